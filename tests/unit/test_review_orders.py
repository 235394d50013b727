"""Risk and execution at the edges: exact limits, another intent's end, answers of an odd kind."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.brackets import Account
from hfengine.actors.execution import Execution
from hfengine.actors.orders import Intent
from hfengine.actors.risk import Risk
from hfengine.errors import VenueUnavailable
from hfengine.limits import ORDER_REQUESTS_MAX, ORDER_REQUESTS_RESERVED
from hfengine.messages import (
    BalanceChanged,
    BookSync,
    Close,
    Entry,
    LeverageProof,
    OpenBracket,
    OrderEnded,
    OrderUnknown,
    PositionChanged,
    ReducePosition,
    Refusal,
    Start,
    Timer,
)
from hfengine.settings import Risk as RiskSettings
from hfengine.settings import Settings, Sizing
from tests.order_entry_desk import (
    ANSWER_MAX_S,
    Desk,
    entry_request,
    exit_request,
)
from tests.proved import proved
from tests.rig import T0_NS, Rig, balance, bracket, fill, order, position

BTC = Entry(7, "BTCUSDT", T0_NS, T0_NS, 1, 60000.0, 60000.1, 60120.0, 0.002, 0.9, 60.0, 5e-5, 20.0)
ETH = replace(BTC, symbol="ETHUSDT", bid=3000.0, ask=3000.1, forecast=3006.0)


def proof(symbol: str, got: int = 50) -> LeverageProof:
    return LeverageProof(symbol, T0_NS, 50, got, "isolated", "set and read")


def ready(rig: Rig) -> Any:
    ref = rig.start(Risk)
    rig.tell(ref, proof("BTCUSDT"), proof("ETHUSDT"), balance())
    rig.tell(ref, *(BookSync(symbol, T0_NS, True, "test") for symbol in ("BTCUSDT", "ETHUSDT")))
    return ref


# risk


def test_an_exit_in_flight_is_freed_by_its_own_end_only(rig: Rig) -> None:
    ref = ready(rig)
    close = Close("BTCUSDT", T0_NS, 1, Decimal("0.010"), "drift_flip")
    rig.tell(ref, position(), close)
    mine = rig.one(ReducePosition)
    other = OrderEnded(mine.intent + 9, "c", "BTCUSDT", T0_NS, "filled", Decimal("0.010"), "")
    rig.tell(ref, other, close)
    assert rig.all(ReducePosition) == [mine]
    rig.tell(ref, replace(other, intent=mine.intent), close)
    assert len(rig.all(ReducePosition)) == 2


def test_an_account_under_water_is_refused_as_such(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, balance("-5", free="0"), BTC)
    refused = rig.one(Refusal)
    assert (refused.gate, refused.measured) == ("equity_usdt", -5.0)


def test_an_entry_already_filled_counts_its_symbol_once() -> None:
    rig = Rig(Settings(sizing=Sizing(positions_max=2)))
    ref = ready(rig)
    rig.tell(ref, BTC, position(), ETH)
    assert [one.symbol for one in rig.all(OpenBracket)] == ["BTCUSDT", "ETHUSDT"]
    rig.close()


@pytest.mark.parametrize("got", [49, 51, 100])
def test_more_leverage_than_wanted_is_no_proof_either(rig: Rig, got: int) -> None:
    ref = ready(rig)
    rig.tell(ref, proof("BTCUSDT", got), BTC)
    refused = rig.one(Refusal)
    assert (refused.gate, refused.measured, refused.threshold) == ("leverage_proof", got, 50)


def test_a_loss_of_exactly_the_limit_stops_entries() -> None:
    rig = Rig(Settings(risk=RiskSettings(daily_loss_max_usdt=5.0)))
    ref = ready(rig)
    # a fill of the rig costs 0.3 in fees
    lost = replace(fill("x", realised="-4.5"), fee_usdt=Decimal("0.5"))
    rig.tell(ref, lost, BTC)
    assert rig.one(Refusal).gate == "daily_loss_usdt"
    rig.close()


def test_the_account_keeps_wallet_equity_and_free_margin_apart() -> None:
    told = BalanceChanged(T0_NS, *map(Decimal, ("900", "1000", "300", "40")))
    account = Account.of(told)
    assert account.wallet_usdt == float(told.wallet_usdt)
    assert account.equity_usdt == float(told.equity_usdt)
    assert account.free_margin_usdt == float(told.free_margin_usdt)
    assert account.maintenance_usdt == float(told.maintenance_usdt)
    assert len(set(account[:4])) == 4


# execution


def test_an_error_of_our_own_leaves_the_order_unknown_not_refused(rig: Rig) -> None:
    ref = proved(rig)
    rig.venue.answers.append(RuntimeError("planted"))
    rig.tell(ref, bracket())
    assert "planted" in rig.one(OrderUnknown).detail
    assert not rig.all(OrderEnded)
    rig.run(0.2)
    assert rig.venue.queries


def test_what_was_read_while_an_order_flies_does_not_call_its_symbol_flat(rig: Rig) -> None:
    ref = rig.start(Execution)
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    never = rig.loop.create_future()
    rig.venue.place = lambda _request: never  # type: ignore[method-assign, assignment]
    rig.tell(ref, bracket())
    rig.heard.clear()
    rig.tell(ref, Timer("account"))
    rig.run(0.01)
    assert [one.symbol for one in rig.all(PositionChanged)] == ["ETHUSDT"]


@pytest.mark.parametrize("end", ["cancelled", "rejected"])
def test_an_end_without_a_fill_is_not_taken_back_by_an_older_update(end: str) -> None:
    intent = Intent("c", bracket())
    intent.hear_order(order("c", end, filled="0"))
    intent.hear_order(order("c", "new", filled="0"))
    assert intent.has_ended
    assert intent.order is not None
    assert intent.order.state == end


# order entry


def test_an_order_that_closes_the_position_has_the_share_of_exits() -> None:
    desk = Desk("binance")
    desk.entry.opened(desk.link)
    for number in range(ORDER_REQUESTS_MAX - ORDER_REQUESTS_RESERVED):
        desk.entry.place(entry_request(client_id=f"e{number}", stop=Decimal(0), target=Decimal(0)))
    refused = desk.ended(desk.entry.place(entry_request(stop=Decimal(0), target=Decimal(0))))
    assert isinstance(refused, VenueUnavailable)
    closing = exit_request(
        kind="stop_market",
        quantity=Decimal(0),
        trigger=Decimal("61111.1"),
        close_position=True,
        reduce_only=False,
    )
    assert not desk.entry.place(closing).done()
    desk.loop.close()


@pytest.mark.parametrize("dialect", ["bybit", "binance"])
def test_orders_of_a_second_connection_time_out_too(dialect: str) -> None:
    desk = Desk(dialect)
    for _ in range(2):
        desk.entry.opened(desk.link)
        desk.hear(op="auth", retCode=0, retMsg="OK")
        answer = desk.entry.place(exit_request())
        assert not answer.done()
        if _ == 0:
            desk.entry.closed("gone")
            assert "gone" in str(desk.ended(answer))
    desk.pass_s(ANSWER_MAX_S + 0.1)
    assert "no answer" in str(desk.ended(answer))
    desk.loop.close()


def test_an_old_connections_authentication_is_not_asked_for_on_the_new_one() -> None:
    desk = Desk("bybit")
    desk.entry.opened(desk.link)
    desk.pass_s(0.4 * ANSWER_MAX_S)
    desk.entry.closed("gone")
    desk.entry.opened(desk.link)
    desk.pass_s(0.9 * ANSWER_MAX_S)
    assert [frame["op"] for frame in desk.link.frames()] == ["auth", "auth"]
    desk.loop.close()


def test_a_good_state_under_a_bad_status_is_unknown() -> None:
    desk = Desk("binance")
    desk.entry.opened(desk.link)
    answer = desk.entry.place(exit_request())
    result = {"orderId": 1, "status": "NEW", "executedQty": "0"}
    desk.hear(id=desk.link.frames()[0]["id"], status=503, result=result)
    assert "status 503" in str(desk.ended(answer))
    desk.loop.close()


def test_a_target_is_stamped_with_the_venues_time() -> None:
    desk = Desk("binance")
    desk.entry.clock_offset_ms = 1234
    desk.entry.opened(desk.link)
    desk.entry.place(entry_request())
    result = {"orderId": 1, "status": "FILLED", "executedQty": "0.007"}
    desk.hear(id=desk.link.frames()[0]["id"], status=200, result=result)
    stamps = [int(frame["params"]["timestamp"]) for frame in desk.link.frames()]
    assert stamps == [desk.clock.now_ns() // 1_000_000 + 1234] * 3
    desk.loop.close()
