"""What a review of the client side found: lagging readings, piled-up retries, one venue down."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.execution import Execution
from hfengine.actors.flattening import flatten
from hfengine.actors.guardian import Guardian
from hfengine.actors.orders import reducing_request
from hfengine.clock import VirtualClock
from hfengine.errors import VenueUnavailable, VenueUnknown
from hfengine.live import _prepare
from hfengine.messages import (
    Close,
    FundingPaid,
    LeverageChanged,
    LeverageProof,
    OpenBracket,
    OrderUpdate,
    PositionChanged,
    Refusal,
    Start,
    Timer,
)
from hfengine.requests import LeverageSetting
from hfengine.settings import Fees, Leverage, Settings
from hfengine.venues.account_view import AccountView
from hfengine.venues.ccxt_rows import covers
from hfengine.venues.clock_offset import ClockOffset
from hfengine.venues.reconciling import DOUBTED_MS
from hfengine.venues.several import SeveralVenues
from tests.proved import proved
from tests.rig import T0_NS, Rig, ScriptedVenue, bracket, fill, order, position
from tests.unit.test_actor_risk import entry as risk_entry
from tests.unit.test_actor_risk import proof as risk_proof
from tests.unit.test_actor_risk import ready as risk_ready
from tests.unit.test_venue_live import Reading, opened
from tests.unit.test_venue_live import order as told_order
from tests.unit.test_venue_live import position as held_position

ENTRY_ID = "hf-test-000001e0"


@pytest.fixture
def ref(rig: Rig) -> Any:
    return proved(rig)


# execution: readings that the stream overtook


def test_a_reading_that_the_stream_overtook_does_not_bring_a_closed_position_back(
    rig: Rig, ref: Any
) -> None:
    rig.venue.answers.append(VenueUnknown("timeout"))
    rig.venue.known[ENTRY_ID] = order(ENTRY_ID)
    rig.venue.fill_list = [fill(ENTRY_ID)]
    closed = replace(position(), side=0, quantity=Decimal(0), covered=Decimal(0))

    async def slow() -> list[PositionChanged]:
        rig.loop.call_later(0.05, ref.tell, closed)
        await rig.pause(0.1)
        return [position()]

    rig.venue.positions = slow  # type: ignore[method-assign]
    rig.tell(ref, bracket())
    rig.run(0.5)
    told = [one for one in rig.all(PositionChanged) if one.symbol == "BTCUSDT"]
    assert told[-1].quantity == 0


# execution: proofs


def test_a_proof_that_keeps_failing_is_asked_for_by_one_chain_only() -> None:
    rig = Rig(Settings(symbols=("BTCUSDT",), leverage=Leverage(reread_s=2.0)))
    asked: list[str] = []

    async def deaf(symbol: str) -> LeverageSetting:
        asked.append(symbol)
        raise VenueUnavailable("down")

    try:
        ref = rig.start(Execution)
        rig.venue.leverage_of = deaf  # type: ignore[method-assign]
        rig.tell(ref, Start(T0_NS))
        rig.run(30.0)
        asked.clear()
        rig.run(10.0)
        assert 5 <= len(asked) <= 11
    finally:
        rig.close()


def test_readings_of_leverage_are_spread_over_their_interval() -> None:
    symbols = tuple(f"{name}USDT" for name in ("BTC", "ETH"))
    rig = Rig(Settings(symbols=symbols, leverage=Leverage(reread_s=10.0)))
    try:
        ref = rig.start(Execution)
        rig.tell(ref, Start(T0_NS))
        rig.run(1.0)
        rig.heard.clear()
        rig.run(10.0)
        proofs = rig.all(LeverageProof)
        assert sorted(proof.symbol for proof in proofs) == sorted(symbols)
        assert abs(proofs[0].at_ns - proofs[1].at_ns) == pytest.approx(5e9, rel=0.1)
    finally:
        rig.close()


# guardian: the venue's clock is not ours


@pytest.mark.parametrize("ahead_s", [-0.45, 0.0, 30.0])
def test_an_uncovered_position_is_closed_in_time_whatever_the_venue_s_clock(
    rig: Rig, ahead_s: float
) -> None:
    ref = rig.start(Guardian)
    at_ns = T0_NS + round(ahead_s * 1e9)
    rig.tell(ref, fill("e", at_ns=at_ns), position(covered="0", at_ns=at_ns))
    rig.run(0.4)
    assert not rig.all(Close)
    rig.run(0.25)
    assert rig.one(Close).reason == "uncovered"


# reconciliation: a list may lag behind the stream


def young(reading: Reading, quantity: str) -> PositionChanged:
    return held_position(quantity, at_ns=(reading.now_ms - 100) * 1_000_000)


def test_a_reading_that_contradicts_fresh_news_is_believed_only_when_it_is_repeated() -> None:
    reading = Reading()
    reading.tell(young(reading, "3"))
    reading.told.clear()
    assert not reading.look()
    assert not [one for one in reading.told if isinstance(one, PositionChanged)]
    assert reading.look()
    (told,) = [one for one in reading.told if isinstance(one, PositionChanged)]
    assert told.quantity == 0


def test_a_list_that_has_caught_up_takes_the_doubt_away() -> None:
    reading = Reading()
    reading.tell(young(reading, "3"))
    reading.account.held = [young(reading, "2")]
    assert not reading.look()
    reading.account.held = [young(reading, "3")]
    assert reading.look()
    reading.account.held = [young(reading, "2")]
    assert not reading.look(), "doubted anew"
    reading.account.held = []
    assert not reading.look(), "another contradiction is not a confirmation"


def test_old_news_is_contradicted_at_once() -> None:
    reading = Reading()
    reading.tell(young(reading, "3"))
    reading.now_ms += DOUBTED_MS
    assert reading.look()
    assert reading.view.positions["BTCUSDT"].quantity == 0


# the view: both sides of hedge mode pay funding at the same moment


def test_both_sides_of_a_symbol_pay_funding() -> None:
    view = AccountView()
    paid = FundingPaid("BTCUSDT", 7, Decimal("0.0001"), Decimal("1.5"))
    got = replace(paid, funding_usdt=Decimal("-0.5"))
    assert [view.take(one) for one in (paid, got, paid, got)] == [True, True, False, False]


# several venues: one of them down


class Down(ScriptedVenue):
    async def positions(self) -> list[PositionChanged]:
        raise VenueUnavailable("down")


def test_flatten_closes_at_the_venues_that_answer_while_another_is_down() -> None:
    up, down = ScriptedVenue(), Down()
    up.position_list = [[position()]]
    up.answers = [order("x")]
    both = SeveralVenues({"bybit": down, "binance": up}, VirtualClock(T0_NS))

    def closing(held: PositionChanged) -> Any:
        return reducing_request("x", held.symbol, held.side, held.quantity)

    async def pause(_seconds: float) -> None:
        return

    flat, _, left = asyncio.run(flatten(both, ("BTCUSDT@binance",), closing, pause))
    assert not flat
    assert "down" in left
    assert [one.symbol for one in up.placed] == ["BTCUSDT"]


# the clock


class Offsets:
    def __init__(self, read: Any) -> None:
        self.offset = ClockOffset(
            read,
            clock=VirtualClock(T0_NS),
            offset_max_ms=500.0,
            changed=lambda _ms: None,
            halt=lambda _source, _reason: None,
            resume=lambda _source: None,
        )


def test_a_time_call_refused_for_its_time_does_not_wait_for_itself() -> None:
    async def go() -> None:
        async def read() -> int:
            await offsets.offset.refresh()
            return 0

        offsets = Offsets(read)
        with pytest.raises(VenueUnavailable):
            await asyncio.wait_for(offsets.offset.refresh(), 1.0)

    asyncio.run(go())


def test_a_measurement_under_way_ends_with_stop() -> None:
    async def go() -> None:
        calls: list[int] = []

        async def read() -> int:
            calls.append(1)
            await asyncio.sleep(30.0)
            return 0

        offset = Offsets(read).offset
        asker = asyncio.create_task(offset.refresh())
        await asyncio.sleep(0.01)
        asker.cancel()
        await asyncio.wait([asker])
        await offset.stop()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others
        assert calls == [1]

    asyncio.run(go())


# the sweep of leverage where the stream does not tell it


@pytest.mark.parametrize(("count", "at_once"), [(3, 3), (75, 5), (150, 10), (600, 20)])
def test_every_symbol_s_leverage_is_swept_in_turn(count: int, at_once: int) -> None:
    venue = opened()
    read: list[str] = []

    class Counting:
        async def leverage_of(self, symbol: str) -> LeverageSetting:
            read.append(symbol)
            if symbol == "S1":
                raise VenueUnavailable("down")
            return LeverageSetting(symbol, 10, "isolated")

    venue._quirks = Counting()
    venue._leverage = {f"S{n}": 10 for n in range(count)}
    rounds = -(-count // at_once)

    async def go() -> None:
        for _ in range(rounds):
            await venue._sweep_some()

    asyncio.run(go())
    assert len(read) == rounds * at_once
    assert set(read) == set(venue._leverage)
    assert venue.health["notes"] == {"leverage_sweep": 1}


# any ccxt exchange: what covers a position


def stop_order(**changes: Any) -> Any:
    asked: dict[str, Any] = {
        "client_id": "s", "venue_id": "v", "symbol": "BTCUSDT", "at_ns": 1, "kind": "stop_market",
        "side": -1, "quantity": Decimal(1), "filled": Decimal(0), "price": Decimal(0),
        "trigger": Decimal(95), "reduce_only": True, "state": "untriggered",
    }  # fmt: skip
    return OrderUpdate(**asked | changes)


@pytest.mark.parametrize(
    ("changes", "does"),
    [
        ({}, True),
        ({"side": 1}, False),
        ({"reduce_only": False}, False),
        ({"price": Decimal(94)}, False),
        ({"trigger": Decimal(105)}, False),
        ({"trigger": Decimal(100)}, False),
    ],
)
def test_only_a_reducing_market_stop_on_the_losing_side_covers(
    changes: dict[str, Any], does: bool
) -> None:
    assert covers(stop_order(**changes), 1, Decimal(100)) is does
    mirrored = stop_order(**changes)
    mirrored = replace(mirrored, side=-mirrored.side, trigger=200 - mirrored.trigger)
    assert covers(mirrored, -1, Decimal(100)) is does


# several accounts opened at once


def test_a_failed_account_waits_for_the_others_before_they_are_closed() -> None:
    done: list[str] = []

    class Account:
        def __init__(self, fails: bool) -> None:
            self.fails = fails

        async def prepare(self) -> None:
            if self.fails:
                raise VenueUnavailable("down")
            await asyncio.sleep(0.01)
            done.append("prepared")

    opened_at = {"bybit": Account(True), "binance": Account(False)}
    with pytest.raises(VenueUnavailable, match="down"):
        asyncio.run(_prepare(opened_at))  # type: ignore[arg-type]
    assert done == ["prepared"]


# risk: a leverage that is not known is no leverage


def test_a_leverage_that_cannot_be_told_is_refused_even_where_a_mismatch_only_warns() -> None:
    lax = Settings(fees=Fees(gate="report"), leverage=Leverage(wanted=50, on_failure="warn"))
    rig = Rig(lax)
    try:
        ref = risk_ready(rig)
        rig.tell(ref, risk_proof(got=0, at_ns=T0_NS + 1), risk_entry())
        assert not rig.all(OpenBracket)
        assert rig.one(Refusal).gate == "leverage_proof"
    finally:
        rig.close()


# the view and the reconciler: what a mutation showed to be untested


def test_an_acknowledgement_that_comes_late_does_not_take_a_partial_fill_back() -> None:
    view = AccountView()
    view.take(told_order("partially_filled", "2"))
    view.placed(told_order())
    assert view.open_orders["v1"].filled == 2


def test_an_end_that_was_read_before_the_stream_spoke_is_left() -> None:
    reading = Reading()
    reading.tell(told_order())

    async def overtaken(_symbol: str, _client_id: str) -> OrderUpdate:
        reading.tell(told_order("partially_filled", "2"))
        return told_order("cancelled", "1")

    reading.account.order_by_id = overtaken  # type: ignore[method-assign]
    reading.look()
    assert [one.state for one in reading.told if isinstance(one, OrderUpdate)] == [
        "new",
        "partially_filled",
    ]


def test_a_sweep_that_was_under_way_while_we_set_a_leverage_tells_nothing() -> None:
    venue = opened()
    told: list[Any] = []

    class Overtaken:
        async def leverage_of(self, symbol: str) -> LeverageSetting:
            venue._leverage[symbol] = 20
            return LeverageSetting(symbol, 15, "isolated")

    venue._quirks = Overtaken()
    venue._desk.tell = told.append
    venue._leverage = {"S0": 10}
    asyncio.run(venue._sweep_some())
    assert not told
    assert venue._leverage == {"S0": 20}


def test_a_reading_from_before_another_client_s_change_is_no_proof(rig: Rig, ref: Any) -> None:
    reading = [50, 20]

    async def slow(symbol: str) -> LeverageSetting:
        got = reading.pop(0) if symbol == "BTCUSDT" and len(reading) > 1 else reading[-1]
        await rig.pause(0.1)
        return LeverageSetting(symbol, got, "isolated")

    rig.venue.leverage_of = slow  # type: ignore[method-assign]
    ref.tell(Timer("prove BTCUSDT"))
    rig.run(0.05)
    rig.tell(ref, LeverageChanged("BTCUSDT", T0_NS, 20))
    rig.run(1.0)
    assert {proof.got for proof in rig.all(LeverageProof)} == {20}
