"""Our own Bitget account over unmodified ccxt against the local venue, over loopback sockets."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.messages import Fill, FundingPaid, LeverageChanged, OrderUpdate, PositionChanged
from tests.live_desk import SYMBOL, LiveDesk, live
from tests.localvenue_desk import run_live

ENTRY, EXIT = "hf-a-000001e0", "hf-a-000002x0"


def bitget(mode: str = "hedge") -> Any:
    """Return an account without a reserve: a test has nothing else to wait for."""
    return live("bitget", position_mode=mode, rate_reserve=0.0)


async def ready(desk: LiveDesk) -> None:
    """Isolated, 50x on both sides."""
    await desk.venue.set_margin_mode(SYMBOL, "isolated")
    await desk.venue.set_leverage(SYMBOL, 50)
    setting = await desk.venue.leverage_of(SYMBOL)
    assert (setting.leverage, setting.margin_mode) == (50, "isolated")


async def held(desk: LiveDesk, **changes: Any) -> Any:
    """Open a position with a bracket; return what was asked for."""
    request = desk.bracket(ENTRY, **changes)
    await desk.venue.place(request)
    await desk.until(lambda: desk.position() and desk.position().quantity)
    await desk.until(lambda: desk.position().covered and desk.position().target)
    return request


async def same_ledgers(desk: LiveDesk) -> None:
    """The venue's fills and wallet are ours, to the last unit."""
    theirs = desk.world.exchange.fills("main")
    await desk.until(lambda: len(desk.told(Fill)) == len(theirs))
    ours = desk.told(Fill)
    for name in ("quantity", "price", "side", "fee_usdt", "realised_usdt", "maker"):
        assert [getattr(f, name) for f in ours] == [getattr(f, name) for f in theirs], name
    assert await desk.venue.fills() == ours
    assert desk.told(Fill) == ours
    wallet = desk.world.exchange.balance("main").wallet_usdt
    earned = sum((f.realised_usdt - f.fee_usdt for f in ours), Decimal(0))
    paid = sum((one.funding_usdt for one in desk.told(FundingPaid)), Decimal(0))
    assert desk.wallet_usdt + earned - paid == wallet
    assert (await desk.venue.balance()).wallet_usdt == wallet


async def open_kinds(desk: LiveDesk) -> list[str]:
    return sorted(order.kind for order in await desk.venue._quirks.open_orders())


@pytest.mark.parametrize(("mode", "side"), [("hedge", 1), ("one_way", -1), ("hedge", -1)])
def test_a_bracket_lives_and_ends_and_the_ledgers_agree(mode: str, side: int) -> None:
    async def scenario() -> None:
        async with bitget(mode) as desk:
            venue = desk.venue
            await ready(desk)
            request = await held(desk, side=side)
            opened = desk.position()
            assert (opened.side, opened.quantity) == (side, Decimal("0.010"))
            assert opened.covered == Decimal("0.010")
            assert (opened.stop, opened.target) == (request.stop, request.target)
            assert (opened.leverage, opened.margin_mode) == (50, "isolated")
            assert side * (request.stop - opened.liquidation) > 0
            assert await open_kinds(desk) == ["stop_market", "take_profit_market"]
            (listed,) = await venue.positions()
            assert listed.covered == opened.covered

            nearer = desk.grid(desk.mid * (1 - side * Decimal("0.005")))
            told = len(desk.events)
            moved = await venue.protect(SYMBOL, nearer, Decimal(0))
            assert (moved.stop, moved.target, moved.covered) == (nearer, 0, Decimal("0.010"))
            positions = [one for one in desk.events[told:] if isinstance(one, PositionChanged)]
            assert {one.covered for one in positions} <= {Decimal("0.010")}
            assert await open_kinds(desk) == ["stop_market"]
            moved = await venue.protect(SYMBOL, request.stop, request.target)
            assert (moved.stop, moved.target) == (request.stop, request.target)

            await venue.place(desk.reduction(EXIT, "0.004", side=-side))
            await desk.until(lambda: desk.position().quantity == Decimal("0.006"))
            await desk.until(lambda: desk.position().covered == Decimal("0.006"))

            desk.world.move(SYMBOL, to_price=request.target + side * 50)
            await desk.until(lambda: desk.position().quantity == 0)
            await desk.until(lambda: len(desk.told(Fill)) == 3)
            assert [fill.cause for fill in desk.told(Fill)] == ["order", "order", "target"]
            assert await open_kinds(desk) == []
            assert await venue.positions() == []
            await same_ledgers(desk)
            assert desk.books() > 0

    run_live(scenario)


def test_the_stop_fires_and_nothing_is_left() -> None:
    async def scenario() -> None:
        async with bitget() as desk:
            await ready(desk)
            request = await held(desk)
            desk.world.move(SYMBOL, to_price=request.stop - 20)
            await desk.until(lambda: desk.position().quantity == 0)
            await desk.until(lambda: len(desk.told(Fill)) == 2)
            assert desk.told(Fill)[-1].cause == "stop"
            assert await open_kinds(desk) == []
            await same_ledgers(desk)

    run_live(scenario)


def test_flattening_cancels_everything_and_reads_back_zero() -> None:
    async def scenario() -> None:
        async with bitget() as desk:
            await ready(desk)
            await held(desk)
            assert await desk.venue.cancel_all(SYMBOL) == 2
            (left,) = await desk.venue.positions()
            assert left.covered == 0
            await desk.venue.place(desk.reduction(EXIT, "0.010"))
            await desk.until(lambda: desk.position().quantity == 0)
            assert await desk.venue.positions() == []
            assert await desk.venue.cancel_all(SYMBOL) == 0
            await same_ledgers(desk)

    run_live(scenario)


def test_sides_that_differ_prove_no_leverage() -> None:
    async def scenario() -> None:
        async with bitget() as desk:
            await ready(desk)
            exchange = desk.world.exchange
            desk.world.act(lambda now: exchange.set_leverage("main", SYMBOL, 7, now, "short"))
            await desk.until(lambda: desk.told(LeverageChanged))
            assert [one.leverage for one in desk.told(LeverageChanged)] == [0]
            assert (await desk.venue.leverage_of(SYMBOL)).leverage == 0

    run_live(scenario)


def test_leverage_is_what_is_read_not_what_was_agreed() -> None:
    async def scenario() -> None:
        async with bitget() as desk:
            await ready(desk)
            desk.fault("leverage_kept", count=2)
            await desk.venue.set_leverage(SYMBOL, 20)
            assert (await desk.venue.leverage_of(SYMBOL)).leverage == 50
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.set_leverage(SYMBOL, 151)
            assert refused.value.reason == "leverage_above_maximum"

    run_live(scenario)


def test_a_stop_on_the_wrong_side_opens_nothing() -> None:
    async def scenario() -> None:
        async with bitget() as desk:
            await ready(desk)
            wrong = desk.bracket(ENTRY, stop=desk.grid(desk.mid * Decimal("1.01")))
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.place(wrong)
            assert refused.value.reason == "would_trigger_immediately"
            assert desk.world.exchange.fills("main") == []

    run_live(scenario)


def test_an_entry_that_finds_nothing_ends_as_cancelled() -> None:
    async def scenario() -> None:
        async with bitget() as desk:
            await ready(desk)
            far = desk.grid(desk.mid * Decimal("0.98"))
            stop = desk.grid(far * Decimal("0.98"))
            await desk.venue.place(desk.bracket(ENTRY, price=far, stop=stop))
            await desk.until(lambda: desk.ends_of(ENTRY))
            ended: OrderUpdate = desk.ends_of(ENTRY)[0]
            assert (ended.state, ended.filled) == ("cancelled", 0)
            assert await open_kinds(desk) == []

    run_live(scenario)


def test_a_lost_answer_is_unknown_and_the_id_tells() -> None:
    async def scenario() -> None:
        async with bitget() as desk:
            await ready(desk)
            desk.fault("cut_after", path="/api/v2/mix/order/place-order")
            with pytest.raises(VenueUnknown):
                await desk.venue.place(desk.bracket(ENTRY))
            found = await desk.venue.order_by_id(SYMBOL, ENTRY)
            assert found is not None
            assert (found.state, found.side) == ("filled", 1)
            assert await desk.venue.order_by_id(SYMBOL, "hf-a-000009e0") is None
            with pytest.raises(VenueUnknown, match="duplicate_client_id"):
                await desk.venue.place(desk.bracket(ENTRY))
            assert len(desk.world.exchange.fills("main")) == 1

    run_live(scenario)


def test_what_a_dead_stream_lost_is_found_by_reading_the_account() -> None:
    async def scenario() -> None:
        async with bitget() as desk:
            await ready(desk)
            request = await held(desk)
            desk.fault("drop_frame", path="/v2/ws/private", count=None)
            desk.world.move(SYMBOL, to_price=request.target + 50)
            await asyncio.sleep(0.1)
            assert len(desk.told(Fill)) == 1
            desk.world.faults.clear()
            assert desk.server._to_sockets("drop", "/v2/ws/private", 1012) == 1
            await desk.until(lambda: len(desk.told(Fill)) == 2)
            await desk.until(lambda: desk.position().quantity == 0)
            assert desk.told(Fill)[-1].cause == "target"
            await same_ledgers(desk)

    run_live(scenario)


def test_a_liquidation_is_told_as_one() -> None:
    async def scenario() -> None:
        async with bitget() as desk:
            await ready(desk)
            await held(desk)
            desk.world.act(
                lambda now: desk.world.exchange.force_liquidation("main", SYMBOL, now, "long")
            )
            await desk.until(lambda: desk.position().quantity == 0)
            await desk.until(lambda: len(desk.told(Fill)) == 2)
            assert desk.told(Fill)[-1].cause == "liquidation"
            assert desk.told(Fill)[-1].side == -1

    run_live(scenario)


def test_funding_is_told_once_and_the_ledgers_agree() -> None:
    async def scenario() -> None:
        async with bitget() as desk:
            await ready(desk)
            await held(desk)
            desk.world.pay_funding(SYMBOL, Decimal("0.0001"))
            await desk.venue.fills()
            await desk.until(lambda: desk.told(FundingPaid))
            desk.venue._desk.reconcile_soon("a second reading")
            await asyncio.sleep(0.5)
            (paid,) = desk.told(FundingPaid)
            assert paid.symbol == SYMBOL
            assert abs(paid.funding_usdt - Decimal("0.0618")) < Decimal("0.001")
            await same_ledgers(desk)

    run_live(scenario)
