"""Bybit order entry: authentication, frames, answers, lost answers, and what is kept secret."""

import hmac
from collections.abc import Iterator
from decimal import Decimal

import pytest

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.limits import ORDER_REQUESTS_MAX, ORDER_REQUESTS_RESERVED
from tests.order_entry_desk import (
    ANSWER_MAX_S,
    HEARD_NS,
    KEY,
    SECRET,
    T0_NS,
    Desk,
    entry_request,
    exit_request,
)

T0_MS = T0_NS // 1_000_000


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk("bybit")
    yield made
    made.loop.close()


@pytest.fixture
def ready(desk: Desk) -> Desk:
    desk.entry.opened(desk.link)
    desk.hear(op="auth", retCode=0, retMsg="OK", connId="c")
    desk.link.sent.clear()
    return desk


def acknowledge(desk: Desk, place: int = -1, **changes) -> None:
    request_id = desk.link.frames()[place]["reqId"]
    reply = {"op": "order.create", "retCode": 0, "retMsg": "OK", "reqId": request_id}
    desk.hear(**(reply | {"data": {"orderId": "venue-1", "orderLinkId": ""}} | changes))


# the connection


def test_authenticates_first(desk):
    desk.entry.opened(desk.link)
    [frame] = desk.link.frames()
    expires = str(T0_MS + 10_000)
    signature = hmac.new(SECRET, f"GET/realtime{expires}".encode(), "sha256").hexdigest()
    assert frame == {"op": "auth", "args": [KEY, expires, signature]}
    assert not desk.entry.is_ready
    assert desk.ready == []


def test_nothing_is_sent_before_the_venue_agreed(desk):
    refused = desk.ended(desk.entry.place(entry_request()))
    assert isinstance(refused, VenueUnavailable)
    assert "not connected yet" in str(refused)
    desk.entry.opened(desk.link)
    refused = desk.ended(desk.entry.place(entry_request()))
    assert isinstance(refused, VenueUnavailable)
    assert "not authenticated yet" in str(refused)
    assert len(desk.link.sent) == 1
    desk.hear(op="auth", success=True, retCode=0, retMsg="", connId="c")
    assert desk.ready == [(True, "")]
    desk.entry.place(entry_request())
    assert desk.link.frames()[1]["op"] == "order.create"


@pytest.mark.parametrize(
    "reply",
    [
        {"op": "auth", "success": False, "retCode": 10003, "retMsg": f"Invalid apikey {KEY}"},
        {"op": "auth", "success": False, "retCode": 0, "retMsg": ""},
        {"success": False, "ret_msg": "error:USVC1111", "request": {"op": "auth", "args": [KEY]}},
    ],
)
def test_a_refused_key_is_named_but_not_shown(desk, reply):
    desk.entry.opened(desk.link)
    desk.hear(**reply)
    [(is_ready, reason)] = desk.ready
    assert not is_ready
    assert "authentication refused" in reason
    refused = desk.ended(desk.entry.place(entry_request()))
    assert isinstance(refused, VenueUnavailable)
    assert "authentication refused" in str(refused)
    assert KEY not in reason + str(refused)
    assert len(desk.link.sent) == 1
    desk.pass_s(10 * ANSWER_MAX_S)
    assert len(desk.link.sent) == 1


def test_a_repeated_authentication_counts_as_one(desk):
    desk.entry.opened(desk.link)
    desk.hear(op="auth", retCode=20001, retMsg="Repeat auth")
    assert desk.entry.is_ready


def test_authentication_is_asked_for_again_while_unanswered(desk):
    desk.entry.opened(desk.link)
    desk.pass_s(ANSWER_MAX_S * 1.5)
    assert [frame["op"] for frame in desk.link.frames()] == ["auth", "auth"]
    assert desk.link.frames()[1]["args"][1] == str(T0_MS + 12_000)
    desk.hear(op="auth", retCode=0)
    desk.pass_s(ANSWER_MAX_S * 5)
    assert len(desk.link.sent) == 2


@pytest.mark.parametrize("code", [10002, 10006, 10016, 10019, 10000])
def test_a_refusal_that_may_pass_is_tried_again_after_growing_pauses(desk, code):
    desk.entry.opened(desk.link)
    pauses_s = []
    for tries in range(1, 9):
        desk.hear(op="auth", success=False, retCode=code, retMsg="later")
        assert len(desk.link.sent) == tries
        asked_ns = desk.clock.now_ns()
        for _ in range(200):
            if len(desk.link.sent) == tries:
                desk.pass_s(0.5)
        pauses_s.append(round((desk.clock.now_ns() - asked_ns) / 1e9))
    assert pauses_s == [2, 4, 8, 16, 32, 60, 60, 60]
    assert {frame["op"] for frame in desk.link.frames()} == {"auth"}
    assert not desk.entry.is_ready
    desk.hear(op="auth", retCode=0)
    assert desk.ready[-1] == (True, "")
    desk.pass_s(200.0)
    assert len(desk.link.sent) == 9


def test_a_refusal_is_not_tried_again_on_a_dead_connection(desk):
    desk.entry.opened(desk.link)
    desk.hear(op="auth", retCode=10002, retMsg="clock")
    desk.hear(op="auth", retCode=10002, retMsg="clock")
    desk.entry.closed("gone")
    desk.pass_s(100.0)
    assert len(desk.link.sent) == 1
    desk.entry.opened(desk.link)
    desk.hear(op="auth", retCode=10002, retMsg="clock")
    desk.pass_s(ANSWER_MAX_S + 0.5)
    assert len(desk.link.sent) == 3, "pauses begin anew with the connection"


@pytest.mark.parametrize("reply", [{}, {"retMsg": "OK"}, {"retCode": None, "success": None}])
def test_an_answer_that_says_neither_yes_nor_no_is_none(desk, reply):
    desk.entry.opened(desk.link)
    desk.hear(op="auth", **reply)
    assert not desk.entry.is_ready
    assert desk.entry.unread_answers == 1
    desk.pass_s(ANSWER_MAX_S * 1.5)
    assert len(desk.link.sent) == 2, "asked again, as without any answer"
    desk.hear(op="auth", success=True)
    assert desk.entry.is_ready


def test_an_order_acknowledged_without_a_code_is_unknown(ready):
    answer = ready.entry.place(exit_request())
    ready.hear(op="order.create", reqId=ready.link.frames()[0]["reqId"])
    assert isinstance(ready.ended(answer), VenueUnknown)


def test_a_new_connection_authenticates_again(ready):
    ready.entry.closed("server restart")
    assert ready.ready[-1] == (False, "server restart")
    refused = ready.ended(ready.entry.place(entry_request()))
    assert isinstance(refused, VenueUnavailable)
    assert "server restart" in str(refused)
    ready.entry.opened(ready.link)
    assert ready.link.frames()[-1]["op"] == "auth"
    assert not ready.entry.is_ready


def test_a_link_that_closes_while_authenticating_does_not_hurt(desk):
    desk.link.shut = True
    desk.entry.opened(desk.link)
    desk.entry.closed("gone")
    desk.pass_s(ANSWER_MAX_S * 3)
    assert desk.link.sent == []


# orders


def test_an_entry_leaves_before_place_returns_with_its_protection(ready):
    answer = ready.entry.place(entry_request())
    [frame] = ready.link.frames()
    assert not answer.done()
    assert frame["header"] == {"X-BAPI-TIMESTAMP": str(T0_MS), "X-BAPI-RECV-WINDOW": "5000"}
    assert frame["args"] == [
        {
            "category": "linear",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": "0.007",
            "price": "61234.5",
            "timeInForce": "IOC",
            "orderLinkId": "hf-0123456789-000001e0",
            "reduceOnly": False,
            "positionIdx": 0,
            "stopLoss": "61111.1",
            "slTriggerBy": "MarkPrice",
            "takeProfit": "61333.3",
            "tpTriggerBy": "MarkPrice",
            "tpslMode": "Full",
        }
    ]
    assert (ready.entry.build_ns.count, ready.entry.write_ns.count) == (1, 1)


def test_an_exit_is_a_reduce_only_market_order(ready):
    ready.entry.place(exit_request())
    [order] = ready.link.frames()[0]["args"]
    assert (order["orderType"], order["reduceOnly"], order["side"]) == ("Market", True, "Sell")
    assert "price" not in order
    assert "tpslMode" not in order


def test_an_acknowledgement_settles_its_order(ready):
    first, second = (ready.entry.place(exit_request(number)) for number in (1, 2))
    acknowledge(ready, 1)
    assert not first.done()
    update = ready.ended(second)
    assert (update.client_id, update.venue_id) == ("hf-0123456789-000002x0", "venue-1")
    assert (update.state, update.filled, update.at_ns) == ("new", Decimal(0), HEARD_NS)
    assert (update.kind, update.side, update.quantity) == ("market", -1, Decimal("0.007"))
    assert update.reduce_only
    acknowledge(ready, 0)
    assert ready.ended(first).client_id == "hf-0123456789-000001x0"
    assert ready.entry.in_flight == 0


def test_request_ids_rise_across_sessions(ready):
    ready.entry.place(exit_request(1))
    ready.entry.place(exit_request(2))
    ids = [int(frame["reqId"]) for frame in ready.link.frames()]
    assert ids == [T0_NS // 1000 + 1, T0_NS // 1000 + 2]


def test_the_clock_offset_moves_the_time_stamps(ready):
    ready.entry.clock_offset_ms = -1500
    ready.entry.place(exit_request())
    assert ready.link.frames()[0]["header"]["X-BAPI-TIMESTAMP"] == str(T0_MS - 1500)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (110007, rejects.INSUFFICIENT_MARGIN),
        (110017, rejects.REDUCE_ONLY_REJECTED),
        (10006, "rate_limit"),
        (10002, "clock_skew"),
        (170131, "code_170131"),
    ],
)
def test_a_refusal_is_named(ready, code, reason):
    answer = ready.entry.place(entry_request())
    acknowledge(ready, retCode=code, retMsg=f"no, {KEY}", data={})
    refused = ready.ended(answer)
    assert isinstance(refused, VenueRejected)
    assert refused.reason == reason
    assert str(code) in refused.detail
    assert KEY not in str(refused)


@pytest.mark.parametrize("code", [10000, 10016, 10019, 110072, 10999, 500])
def test_an_answer_that_leaves_it_open_is_unknown(ready, code):
    answer = ready.entry.place(entry_request())
    acknowledge(ready, retCode=code, retMsg="Request timeout", data={})
    assert isinstance(ready.ended(answer), VenueUnknown)


def test_an_order_without_an_answer_is_unknown_in_time(ready):
    first = ready.entry.place(exit_request(1))
    ready.pass_s(ANSWER_MAX_S / 2)
    second = ready.entry.place(exit_request(2))
    ready.pass_s(ANSWER_MAX_S / 2 - 0.01)
    assert not first.done()
    ready.pass_s(0.02)
    lost = ready.ended(first)
    assert isinstance(lost, VenueUnknown)
    assert "hf-0123456789-000001x0: no answer from bybit in 2 s" in str(lost)
    assert not second.done()
    ready.pass_s(ANSWER_MAX_S / 2)
    assert isinstance(ready.ended(second), VenueUnknown)
    before = ready.entry.unread_answers
    acknowledge(ready, 0)
    assert ready.entry.unread_answers == before + 1


def test_a_lost_connection_makes_every_order_unknown(ready):
    answers = [ready.entry.place(exit_request(number)) for number in range(3)]
    ready.entry.closed("cut")
    for answer in answers:
        lost = ready.ended(answer)
        assert isinstance(lost, VenueUnknown)
        assert "cut" in str(lost)
    assert ready.entry.in_flight == 0


def test_a_link_that_refuses_the_frame_makes_it_unavailable(ready):
    ready.link.shut = True
    assert isinstance(ready.ended(ready.entry.place(entry_request())), VenueUnavailable)
    assert ready.entry.in_flight == 0


def test_whoever_no_longer_waits_is_left_alone(ready):
    answer = ready.entry.place(entry_request())
    answer.cancel()
    acknowledge(ready)
    assert answer.cancelled()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"symbol": "ETHUSDT"}, rejects.UNKNOWN_SYMBOL),
        ({"price": Decimal("61234.55")}, rejects.OFF_TICK),
        ({"stop": Decimal("61111.11")}, rejects.OFF_TICK),
        ({"target": Decimal("61333.33")}, rejects.OFF_TICK),
        ({"quantity": Decimal("0.0071")}, rejects.OFF_STEP),
        ({"quantity": Decimal(0)}, "bad_order"),
        ({"price": Decimal(0)}, "bad_order"),
        ({"client_id": "no spaces"}, "bad_order"),
        ({"reduce_only": True}, "bad_order"),
        ({"kind": "stop_market"}, "unsupported_order"),
        ({"close_position": True}, "unsupported_order"),
    ],
)
def test_what_the_venue_could_not_take_is_not_sent(ready, changes, reason):
    refused = ready.ended(ready.entry.place(entry_request(**changes)))
    assert isinstance(refused, VenueRejected)
    assert refused.reason == reason
    assert ready.link.sent == []
    assert ready.entry.in_flight == 0


def test_exits_have_a_share_of_the_requests_under_way_to_themselves(ready):
    for number in range(ORDER_REQUESTS_MAX - ORDER_REQUESTS_RESERVED):
        ready.entry.place(entry_request(client_id=f"e{number}"))
    refused = ready.ended(ready.entry.place(entry_request(client_id="late")))
    assert isinstance(refused, VenueUnavailable)
    assert "48 requests are unanswered" in str(refused)
    for number in range(ORDER_REQUESTS_RESERVED):
        assert not ready.entry.place(exit_request(number)).done()
    assert isinstance(ready.ended(ready.entry.place(exit_request(99))), VenueUnavailable)
    assert len(ready.link.sent) == ORDER_REQUESTS_MAX
    acknowledge(ready, 0)
    assert not ready.entry.place(exit_request(99)).done()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"op":"order.create","retCode":"x"}',
        b'{"op":"order.create","reqId":"no number","retCode":0}',
        b'{"op":"order.create","reqId":"7","retCode":0}',
        b'{"op":"subscribe","success":true}',
        b'{"op":"order.create","retCode":0,"reqId":"' + b"9" * 5000 + b'"}',
    ],
)
def test_what_cannot_be_read_is_counted(ready, payload):
    answer = ready.entry.place(entry_request())
    ready.entry.heard(payload, HEARD_NS)
    assert ready.entry.unread_answers == 1
    assert not answer.done()


def test_pongs_are_nothing_special(ready):
    ready.hear(op="pong", args=["1"], connId="c")
    assert ready.entry.unread_answers == 0


def test_neither_key_nor_secret_is_shown(ready):
    shown = repr(ready.entry) + repr(vars(ready.entry))
    assert KEY not in shown
    assert SECRET.decode() not in shown
