"""Binance order entry: signed frames, the stop behind its entry, and what answers set off."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.limits import ORDER_REQUESTS_MAX
from hfengine.messages import OrderUpdate
from tests.order_entry_desk import (
    ANSWER_MAX_S,
    HEARD_NS,
    KEY,
    SECRET,
    Desk,
    entry_request,
    exit_request,
)
from tests.reference.binance_orders import signed

ENTRY = "hf-0123456789-000001e0"


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk("binance")
    made.entry.opened(made.link)
    yield made
    made.loop.close()


def answer_order(desk: Desk, place: int, status: str, filled: str = "0") -> None:
    result = {"orderId": 325078477, "status": status, "executedQty": filled, "price": "0"}
    desk.hear(id=desk.link.frames()[place]["id"], status=200, result=result, rateLimits=[])


def answer_algo(desk: Desk, place: int, status: str = "NEW") -> None:
    result = {"algoId": 3000000000003505, "algoStatus": status, "quantity": "1.000"}
    desk.hear(id=desk.link.frames()[place]["id"], status=200, result=result)


def refuse(desk: Desk, place: int, code: int, text: str = "no") -> None:
    identity = desk.link.frames()[place]["id"]
    desk.hear(id=identity, status=400, error={"code": code, "msg": text})


def methods(desk: Desk) -> list[str]:
    return [frame["method"] for frame in desk.link.frames()]


def test_every_frame_is_signed(desk):
    desk.entry.place(entry_request())
    desk.entry.place(exit_request())
    frames = desk.link.frames()
    for frame in frames:
        params = dict(frame["params"])
        params.pop("signature")
        assert signed(SECRET, params) == frame["params"]
        assert params["apiKey"] == KEY
    assert len({frame["id"] for frame in frames}) == 3


def test_the_stop_follows_its_entry_at_once_and_nothing_else(desk):
    answer = desk.entry.place(entry_request())
    assert not answer.done()
    entry, stop = (frame["params"] for frame in desk.link.frames())
    assert methods(desk) == ["order.place", "algoOrder.place"]
    assert (entry["type"], entry["timeInForce"], entry["side"]) == ("LIMIT", "IOC", "BUY")
    assert (entry["price"], entry["quantity"]) == ("61234.5", "0.007")
    assert "stopLoss" not in entry
    assert (stop["type"], stop["side"], stop["triggerPrice"]) == ("STOP_MARKET", "SELL", "61111.1")
    assert (stop["closePosition"], stop["workingType"]) == ("true", "MARK_PRICE")
    assert stop["clientAlgoId"] == ENTRY + "s"


def test_the_target_follows_an_entry_that_lives(desk):
    answer = desk.entry.place(entry_request())
    answer_order(desk, 0, "FILLED", "0.007")
    update = desk.ended(answer)
    assert (update.state, update.filled, update.venue_id) == (
        "filled",
        Decimal("0.007"),
        "325078477",
    )
    target = desk.link.frames()[2]["params"]
    assert (target["type"], target["side"]) == ("TAKE_PROFIT_MARKET", "SELL")
    assert (target["triggerPrice"], target["clientAlgoId"]) == ("61333.3", ENTRY + "t")
    assert desk.legs == []


@pytest.mark.parametrize(
    ("status", "filled", "state", "then"),
    [
        ("NEW", "0.000", "new", "algoOrder.place"),
        ("PARTIALLY_FILLED", "0.001", "partially_filled", "algoOrder.place"),
        ("FILLED", "0.007", "filled", "algoOrder.place"),
        ("EXPIRED", "0.003", "cancelled", "algoOrder.place"),
        ("EXPIRED", "0.000", "cancelled", "algoOrder.cancel"),
        ("CANCELED", "0", "cancelled", "algoOrder.cancel"),
        ("EXPIRED_IN_MATCH", "0", "cancelled", "algoOrder.cancel"),
        ("REJECTED", "0", "rejected", "algoOrder.cancel"),
    ],
)
def test_what_became_of_the_entry_decides_about_its_legs(desk, status, filled, state, then):
    answer = desk.entry.place(entry_request())
    answer_order(desk, 0, status, filled)
    assert desk.ended(answer).state == state
    assert methods(desk)[2:] == [then]
    if then == "algoOrder.cancel":
        assert desk.link.frames()[2]["params"]["clientAlgoId"] == ENTRY + "s"


def test_a_refused_entry_takes_its_stop_back(desk):
    answer = desk.entry.place(entry_request())
    refuse(desk, 0, -2019, f"Margin is insufficient. {KEY}")
    refused = desk.ended(answer)
    assert isinstance(refused, VenueRejected)
    assert refused.reason == rejects.INSUFFICIENT_MARGIN
    assert KEY not in str(refused)
    assert methods(desk)[2:] == ["algoOrder.cancel"]


@pytest.mark.parametrize("entry_is_refused", [True, False])
def test_a_refused_stop_is_no_news_once_its_entry_came_to_nothing(desk, entry_is_refused):
    desk.entry.place(entry_request())
    if entry_is_refused:
        refuse(desk, 0, -2019)
    else:
        answer_order(desk, 0, "FILLED", "0.007")
    refuse(desk, 1, -2021)
    assert len(desk.legs) == (0 if entry_is_refused else 1)
    # the next entry's stop is news again
    desk.entry.place(entry_request())
    refuse(desk, 4, -2021)
    assert len(desk.legs) == (1 if entry_is_refused else 2)


def test_a_stop_nobody_needs_whose_fate_is_open_is_still_told(desk):
    desk.entry.place(entry_request())
    refuse(desk, 0, -2019)
    refuse(desk, 1, -1007)
    assert [type(outcome) for _, outcome in desk.legs] == [VenueUnknown]


def test_the_ids_of_taken_orders_are_told(desk):
    taken = []
    desk.entry.on_taken = taken.append
    desk.entry.place(entry_request())
    desk.entry.place(entry_request(client_id="hf-2", stop=Decimal(0), target=Decimal(0)))
    answer_order(desk, 2, "FILLED", "0.007")
    refuse(desk, 0, -2019)
    assert taken == ["hf-2"]


@pytest.mark.parametrize("code", [-1007, -1006, -1001, -4116, -1099])
def test_an_entry_whose_fate_is_open_keeps_its_stop(desk, code):
    answer = desk.entry.place(entry_request())
    refuse(desk, 0, code)
    assert isinstance(desk.ended(answer), VenueUnknown)
    assert len(desk.link.sent) == 2


def test_a_lost_connection_leaves_entry_and_stop_unknown(desk):
    answer = desk.entry.place(entry_request())
    desk.entry.closed("cut")
    assert isinstance(desk.ended(answer), VenueUnknown)
    [(request, outcome)] = desk.legs
    assert (request.client_id, request.kind) == (ENTRY + "s", "stop_market")
    assert isinstance(outcome, VenueUnknown)
    assert len(desk.link.sent) == 2
    refused = desk.ended(desk.entry.place(entry_request()))
    assert isinstance(refused, VenueUnavailable)
    desk.entry.opened(desk.link)
    assert desk.ready == [(True, ""), (False, "cut"), (True, "")]


def expired_entry(desk: Desk, **changes: object) -> None:
    answer = desk.entry.place(entry_request(**changes))
    answer_algo(desk, len(desk.link.sent) - 1)
    desk.pass_s(ANSWER_MAX_S + 0.1)
    assert isinstance(desk.ended(answer), VenueUnknown)
    desk.legs.clear()


def test_an_entry_that_is_filled_after_all_gets_its_target(desk):
    expired_entry(desk)
    answer_order(desk, 0, "FILLED", "0.007")
    assert methods(desk)[2:] == ["algoOrder.place"]
    assert desk.link.frames()[2]["params"]["clientAlgoId"] == ENTRY + "t"
    answer_algo(desk, 2)
    [(request, outcome)] = desk.legs
    assert (request.kind, outcome.state) == ("take_profit_market", "untriggered")
    assert desk.entry.unread_answers == 0
    answer_order(desk, 0, "FILLED", "0.007")
    assert desk.entry.unread_answers == 1
    assert len(desk.link.sent) == 3, "once"


@pytest.mark.parametrize("code", [None, -2019])
def test_an_entry_that_came_to_nothing_after_all_takes_its_stop_back(desk, code):
    expired_entry(desk)
    # a newer entry changes nothing about that: the stop has the old one's name
    desk.entry.place(entry_request(client_id="newer"))
    if code is None:
        answer_order(desk, 0, "EXPIRED")
    else:
        refuse(desk, 0, code)
    assert methods(desk)[4:] == ["algoOrder.cancel"]
    assert desk.link.frames()[4]["params"]["clientAlgoId"] == ENTRY + "s"


def test_a_late_fill_behind_a_newer_entry_is_told_as_a_missing_target(desk):
    expired_entry(desk)
    desk.entry.place(entry_request(client_id="newer"))
    answer_order(desk, 0, "FILLED", "0.007")
    assert len(desk.link.sent) == 4
    [(request, outcome)] = desk.legs
    assert request.client_id == ENTRY + "t"
    assert isinstance(outcome, VenueUnavailable)
    assert "no target was sent" in str(outcome)


def test_no_late_answer_is_waited_for_on_another_connection(desk):
    expired_entry(desk)
    desk.entry.closed("cut")
    desk.entry.opened(desk.link)
    answer_order(desk, 0, "FILLED", "0.007")
    assert len(desk.link.sent) == 2
    assert desk.entry.unread_answers == 1


def test_only_so_many_late_answers_are_waited_for(desk):
    for number in range(ORDER_REQUESTS_MAX + 1):
        expired_entry(desk, client_id=f"e{number}")
    sent = len(desk.link.sent)
    answer_order(desk, 0, "EXPIRED")
    assert len(desk.link.sent) == sent, "forgotten"
    answer_order(desk, 2, "EXPIRED")
    assert desk.link.frames()[-1]["params"]["clientAlgoId"] == "e1s"


def test_a_status_is_shown_without_the_key_and_cut(desk):
    answer = desk.entry.place(exit_request())
    answer_order(desk, 0, KEY + "x" * 5000)
    unknown = desk.ended(answer)
    assert isinstance(unknown, VenueUnknown)
    assert KEY not in str(unknown)
    assert "***xxx" in str(unknown)
    assert len(str(unknown)) < 300


def test_a_quantity_that_is_no_number_says_nothing(desk):
    answer = desk.entry.place(entry_request())
    answer_order(desk, 0, "EXPIRED", "NaN")
    assert isinstance(desk.ended(answer), VenueUnknown)
    assert len(desk.link.sent) == 2


def test_an_accepted_stop_is_told(desk):
    desk.entry.place(entry_request())
    answer_algo(desk, 1)
    [(request, update)] = desk.legs
    assert request.trigger == Decimal("61111.1")
    assert isinstance(update, OrderUpdate)
    assert (update.state, update.client_id, update.kind) == (
        "untriggered",
        ENTRY + "s",
        "stop_market",
    )
    assert (update.venue_id, update.at_ns) == ("3000000000003505", HEARD_NS)


def test_a_refused_stop_is_told_by_name(desk):
    answer = desk.entry.place(entry_request())
    refuse(desk, 1, -2021, "Order would immediately trigger.")
    [(request, outcome)] = desk.legs
    assert request.client_id == ENTRY + "s"
    assert isinstance(outcome, VenueRejected)
    assert outcome.reason == rejects.WOULD_TRIGGER_IMMEDIATELY
    assert not answer.done()


def test_a_stop_without_an_answer_is_told(desk):
    desk.entry.place(entry_request(target=Decimal(0)))
    answer_order(desk, 0, "FILLED", "0.007")
    desk.pass_s(ANSWER_MAX_S + 0.1)
    [(_, outcome)] = desk.legs
    assert isinstance(outcome, VenueUnknown)
    assert len(desk.link.sent) == 2


def test_a_leg_that_cannot_be_sent_is_told(desk):
    desk.entry.place(entry_request())
    desk.link.shut = True
    answer_order(desk, 0, "FILLED", "0.007")
    [(request, outcome)] = desk.legs
    assert request.client_id == ENTRY + "t"
    assert isinstance(outcome, VenueUnavailable)


def test_a_link_that_takes_only_the_entry_leaves_the_stop_told(desk):
    class OneFrame:
        sent = 0

        def send(self, payload: bytes) -> None:
            if self.sent:
                raise VenueUnavailable("full")
            self.sent += 1

    desk.entry.opened(OneFrame())
    answer = desk.entry.place(entry_request())
    assert not answer.done()
    [(request, outcome)] = desk.legs
    assert request.client_id == ENTRY + "s"
    assert isinstance(outcome, VenueUnavailable)


@pytest.mark.parametrize("gone", [None, -2011, -2013])
def test_a_cancelled_stop_is_no_news_and_neither_is_one_already_gone(desk, gone):
    desk.entry.place(entry_request())
    answer_order(desk, 0, "EXPIRED")
    if gone is None:
        result = {"algoId": 1, "clientAlgoId": ENTRY + "s", "code": "200", "msg": "success"}
        desk.hear(id=desk.link.frames()[2]["id"], status=200, result=result)
    else:
        refuse(desk, 2, gone)
    assert desk.legs == []
    assert desk.entry.in_flight == 1


def test_a_cancellation_that_fails_is_told(desk):
    desk.entry.place(entry_request())
    answer_order(desk, 0, "EXPIRED")
    refuse(desk, 2, -1003)
    [(request, outcome)] = desk.legs
    assert request.client_id == ENTRY + "s"
    assert outcome.reason == "rate_limit"


def test_an_unprotected_entry_is_one_frame(desk):
    answer = desk.entry.place(entry_request(stop=Decimal(0), target=Decimal(0)))
    answer_order(desk, 0, "EXPIRED")
    assert desk.ended(answer).state == "cancelled"
    assert len(desk.link.sent) == 1


def test_an_entry_with_only_a_target_takes_nothing_back(desk):
    desk.entry.place(entry_request(stop=Decimal(0)))
    answer_order(desk, 0, "EXPIRED")
    assert len(desk.link.sent) == 1


def test_an_exit_is_a_reduce_only_market_order(desk):
    answer = desk.entry.place(exit_request())
    [frame] = desk.link.frames()
    assert frame["params"]["type"] == "MARKET"
    assert frame["params"]["reduceOnly"] == "true"
    answer_order(desk, 0, "FILLED", "0.007")
    assert desk.ended(answer).filled == Decimal("0.007")


@pytest.mark.parametrize(
    ("kind", "wire"),
    [("stop_market", "STOP_MARKET"), ("take_profit_market", "TAKE_PROFIT_MARKET")],
)
def test_a_protective_order_can_be_placed_alone(desk, kind, wire):
    request = exit_request(
        kind=kind, trigger=Decimal("61000"), close_position=True, trigger_by="last"
    )
    answer = desk.entry.place(request)
    params = desk.link.frames()[0]["params"]
    assert (params["type"], params["workingType"]) == (wire, "CONTRACT_PRICE")
    assert params["closePosition"] == "true"
    answer_algo(desk, 0)
    assert desk.ended(answer).state == "untriggered"
    assert desk.legs == []


def test_a_protective_order_may_cover_a_part(desk):
    desk.entry.place(exit_request(kind="stop_market", trigger=Decimal("61000")))
    params = desk.link.frames()[0]["params"]
    assert (params["quantity"], params["reduceOnly"]) == ("0.007", "true")
    assert "closePosition" not in params


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"symbol": "NOUSDT"}, rejects.UNKNOWN_SYMBOL),
        ({"price": Decimal("61234.55")}, rejects.OFF_TICK),
        ({"stop": Decimal("61111.11")}, rejects.OFF_TICK),
        ({"target": Decimal("61333.33")}, rejects.OFF_TICK),
        ({"quantity": Decimal("0.0071")}, rejects.OFF_STEP),
        ({"quantity": Decimal(0)}, "bad_order"),
        ({"client_id": "a" * 36}, rejects.BAD_CLIENT_ID),
        ({"client_id": "no spaces"}, "bad_order"),
        ({"reduce_only": True}, rejects.PROTECTION_ON_REDUCE_ONLY),
        ({"close_position": True}, "unsupported_order"),
        (
            {
                "kind": "stop_market",
                "stop": Decimal(0),
                "target": Decimal(0),
                "trigger": Decimal(1),
                "quantity": Decimal(0),
            },
            rejects.OFF_STEP,
        ),
        ({"kind": "stop_market", "stop": Decimal(0)}, "bad_order"),
    ],
)
def test_what_the_venue_could_not_take_is_not_sent(desk, changes, reason):
    refused = desk.ended(desk.entry.place(entry_request(**changes)))
    assert isinstance(refused, VenueRejected)
    assert refused.reason == reason
    assert desk.link.sent == []
    assert desk.entry.in_flight == 0


@pytest.mark.parametrize(
    "reply",
    [
        {"status": 200, "result": {"orderId": 1, "status": "A_NEW_ONE"}},
        {"status": 200, "result": {}},
        {"status": 503},
        {"status": 408, "error": {"code": -1007, "msg": "Timeout"}},
    ],
)
def test_an_answer_that_says_nothing_certain_is_unknown(desk, reply):
    answer = desk.entry.place(exit_request())
    desk.hear(id=desk.link.frames()[0]["id"], **reply)
    assert isinstance(desk.ended(answer), VenueUnknown)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[1]",
        b'{"id":null,"status":400}',
        b'{"id":7,"status":200}',
        b"\xff\xfe",
        b'{"id":"' + b"9" * 5000 + b'","status":200}',
        b'{"id":' + b"9" * 5000 + b',"status":200}',
        b'{"id":7,"status":200,"result":{"orderId":' + b"9" * 5000 + b"}}",
    ],
)
def test_what_answers_nothing_is_counted(desk, payload):
    answer = desk.entry.place(exit_request())
    desk.entry.heard(payload, HEARD_NS)
    assert desk.entry.unread_answers == 1
    assert not answer.done()


def test_neither_key_nor_secret_is_shown(desk):
    assert KEY not in repr(desk.entry)
    assert SECRET.decode() not in repr(vars(desk.entry))


@pytest.mark.parametrize("trigger", ["1E+20", "-5"])
def test_a_stop_that_cannot_be_built_keeps_its_entry_from_leaving(desk, trigger):
    refused = desk.ended(desk.entry.place(entry_request(stop=Decimal(trigger))))
    assert refused.reason == rejects.OFF_TICK
    assert desk.link.sent == []


def test_a_leg_that_fails_after_its_entry_left_is_not_taken_for_the_entry(desk, monkeypatch):
    frame = desk.entry._frame

    def only_entries(request, request_id, now_ms):
        if request.close_position:
            raise ValueError("planted")
        return frame(request, request_id, now_ms)

    monkeypatch.setattr(desk.entry, "_frame", only_entries)
    answer = desk.entry.place(entry_request())
    assert not answer.done()
    [(request, outcome)] = desk.legs
    assert request.client_id == ENTRY + "s"
    assert outcome.reason == "bad_order"
