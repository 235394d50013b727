"""Our own Binance account over unmodified ccxt against the local venue, over loopback sockets."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.messages import (
    Fill,
    FundingPaid,
    LeverageChanged,
    PositionChanged,
    ProtectionRefused,
)
from hfengine.requests import OrderRequest
from tests.live_desk import SYMBOL, LiveDesk, live
from tests.localvenue_desk import run_live

PATHS = ("rest", "websocket")
ENTRY, EXIT = "hf-a-000001e0", "hf-a-000002x0"


async def ready(desk: LiveDesk, path: str = "rest") -> None:
    """Isolated, 50x, and orders on the path wanted."""
    await desk.venue.set_margin_mode(SYMBOL, "isolated")
    await desk.venue.set_leverage(SYMBOL, 50)
    setting = await desk.venue.leverage_of(SYMBOL)
    assert (setting.leverage, setting.margin_mode) == (50, "isolated")
    await desk.until(lambda: desk.venue.health["order_path"] == path)


async def held(desk: LiveDesk, **changes: Any) -> Any:
    """Open a position with a bracket; return what was asked for."""
    request = desk.bracket(ENTRY, **changes)
    await desk.venue.place(request)
    await desk.until(lambda: desk.position() and desk.position().quantity)
    await desk.until(lambda: desk.position().covered and desk.position().target)
    return request


async def same_ledgers(desk: LiveDesk) -> None:
    """The venue's fills and wallet are ours, to the last unit."""
    theirs, ours = desk.world.exchange.fills("main"), desk.told(Fill)
    assert [f.quantity for f in ours] == [f.quantity for f in theirs]
    assert [f.fee_usdt for f in ours] == [f.fee_usdt for f in theirs]
    assert [f.realised_usdt for f in ours] == [f.realised_usdt for f in theirs]
    # read by REST they are the very same, so none is told twice
    told = len(desk.events)
    assert await desk.venue.fills() == ours
    assert desk.told(Fill) == ours
    assert len([one for one in desk.events[told:] if isinstance(one, Fill)]) == 0
    wallet = desk.world.exchange.balance("main").wallet_usdt
    paid = sum((one.funding_usdt for one in desk.told(FundingPaid)), Decimal(0))
    earned = sum((f.realised_usdt - f.fee_usdt for f in ours), Decimal(0))
    assert desk.wallet_usdt + earned - paid == wallet
    assert (await desk.venue.balance()).wallet_usdt == wallet


async def open_kinds(desk: LiveDesk) -> list[str]:
    return sorted(order.kind for order in await desk.venue._quirks.open_orders())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("side", [1, -1])
def test_a_bracket_lives_and_ends_and_the_ledgers_agree(path: str, side: int) -> None:
    async def scenario() -> None:
        async with live("binance", order_entry=path) as desk:
            venue = desk.venue
            await ready(desk, path)
            request = await held(desk, side=side)
            opened = desk.position()
            assert (opened.side, opened.quantity) == (side, Decimal("0.010"))
            assert opened.covered == Decimal("0.010")
            assert (opened.stop, opened.target) == (request.stop, request.target)
            assert (opened.leverage, opened.margin_mode) == (50, "isolated")
            theirs = desk.world.exchange.positions("main")[0]
            assert abs(opened.liquidation - theirs.liquidation) < 1
            assert await open_kinds(desk) == ["stop_market", "take_profit_market"]

            nearer = desk.grid(desk.mid * (1 - side * Decimal("0.005")))
            told = len(desk.events)
            moved = await venue.protect(SYMBOL, nearer, request.target)
            assert (moved.stop, moved.covered) == (nearer, Decimal("0.010"))
            # never uncovered on the way
            positions = [one for one in desk.events[told:] if isinstance(one, PositionChanged)]
            assert {one.covered for one in positions} == {Decimal("0.010")}
            assert await open_kinds(desk) == ["stop_market", "take_profit_market"]
            moved = await venue.protect(SYMBOL, request.stop, request.target)
            assert moved.stop == request.stop

            await venue.place(desk.reduction(EXIT, "0.004", side=-side))
            await desk.until(lambda: desk.position().quantity == Decimal("0.006"))
            assert desk.position().covered == Decimal("0.006")

            desk.world.move(SYMBOL, to_price=request.target + side * 50)
            await desk.until(lambda: desk.position().quantity == 0)
            await desk.until(lambda: len(desk.told(Fill)) == 3)
            assert [fill.cause for fill in desk.told(Fill)] == ["order", "order", "target"]
            assert desk.told(Fill)[-1].client_id == f"{ENTRY}t"
            await asyncio.sleep(0.1)
            assert await open_kinds(desk) == []
            assert await venue.positions() == []
            await same_ledgers(desk)

    run_live(scenario)


def test_the_stop_fires_and_its_sibling_goes_with_it() -> None:
    async def scenario() -> None:
        async with live("binance") as desk:
            await ready(desk)
            request = await held(desk)
            desk.world.move(SYMBOL, to_price=request.stop - 20)
            await desk.until(lambda: desk.position().quantity == 0)
            await desk.until(lambda: len(desk.told(Fill)) == 2)
            assert desk.told(Fill)[-1].cause == "stop"
            await asyncio.sleep(0.1)
            assert await open_kinds(desk) == []
            await same_ledgers(desk)

    run_live(scenario)


@pytest.mark.parametrize("path", PATHS)
def test_a_refused_stop_is_told_at_once(path: str) -> None:
    async def scenario() -> None:
        async with live("binance", order_entry=path) as desk:
            await ready(desk, path)
            desk.fault("stop_refused")
            await desk.venue.place(desk.bracket(ENTRY))
            await desk.until(lambda: desk.told(ProtectionRefused))
            told = desk.told(ProtectionRefused)[0]
            assert (told.leg, told.client_id) == ("stop", f"{ENTRY}s")
            assert "would_trigger_immediately" in told.reason
            await desk.until(lambda: desk.position() and desk.position().quantity)
            assert desk.position().covered == 0
            # what the guardian then does
            await desk.venue.place(desk.reduction(EXIT, "0.010"))
            await desk.until(lambda: desk.position().quantity == 0)
            await asyncio.sleep(0.1)
            assert await open_kinds(desk) == []
            await same_ledgers(desk)

    run_live(scenario)


@pytest.mark.parametrize("path", PATHS)
def test_an_entry_that_finds_nothing_leaves_no_stop_behind(path: str) -> None:
    async def scenario() -> None:
        async with live("binance", order_entry=path) as desk:
            await ready(desk, path)
            far = desk.grid(desk.mid * Decimal("0.98"))
            stop = desk.grid(far * Decimal("0.98"))
            ended = await desk.venue.place(desk.bracket(ENTRY, price=far, stop=stop))
            assert (ended.state, ended.filled) == ("cancelled", 0)
            await asyncio.sleep(0.2)
            assert await open_kinds(desk) == []
            assert desk.told(ProtectionRefused) == []

    run_live(scenario)


def test_flattening_cancels_both_lists_and_reads_back_zero() -> None:
    async def scenario() -> None:
        async with live("binance") as desk:
            await ready(desk)
            await held(desk)
            assert await desk.venue.cancel_all(SYMBOL) == 2
            (left,) = await desk.venue.positions()
            assert left.covered == 0
            await desk.venue.place(desk.reduction(EXIT, "0.010"))
            await desk.until(lambda: desk.position().quantity == 0)
            assert await desk.venue.positions() == []
            await same_ledgers(desk)

    run_live(scenario)


def test_another_clients_leverage_is_told_within_moments() -> None:
    async def scenario() -> None:
        async with live("binance") as desk:
            await ready(desk)
            desk.world.act(lambda now: desk.world.exchange.set_leverage("main", SYMBOL, 7, now))
            await desk.until(
                lambda: any(one.leverage == 7 for one in desk.told(LeverageChanged)),
            )
            assert (await desk.venue.leverage_of(SYMBOL)).leverage == 7

    run_live(scenario)


def test_what_a_dead_stream_lost_is_found_by_reading_the_account() -> None:
    async def scenario() -> None:
        async with live("binance") as desk:
            await ready(desk)
            request = await held(desk)
            desk.fault("drop_frame", path="/private", count=None)
            desk.world.move(SYMBOL, to_price=request.target + 50)
            await asyncio.sleep(0.1)
            assert len(desk.told(Fill)) == 1
            desk.world.faults.clear()
            assert desk.server._to_sockets("drop", "/private", 1012) == 1
            await desk.until(lambda: len(desk.told(Fill)) == 2)
            await desk.until(lambda: desk.position().quantity == 0)
            assert desk.told(Fill)[-1].cause == "target"
            await same_ledgers(desk)

    run_live(scenario)


def test_a_lost_answer_is_unknown_and_the_id_tells() -> None:
    async def scenario() -> None:
        async with live("binance") as desk:
            await ready(desk)
            desk.fault("cut_after", path="/fapi/v1/order")
            with pytest.raises(VenueUnknown):
                await desk.venue.place(desk.bracket(ENTRY))
            found = await desk.venue.order_by_id(SYMBOL, ENTRY)
            assert found is not None
            assert found.state == "filled"
            # its stop stands all the same, and now that it is known to live its target follows
            await desk.until(lambda: desk.position() and desk.position().covered)
            await desk.until(lambda: desk.position().target)
            assert await open_kinds(desk) == ["stop_market", "take_profit_market"]

    run_live(scenario)


def test_quantities_above_the_market_maximum_are_never_refused() -> None:
    async def scenario() -> None:
        options = {"wallet_usdt": Decimal(500_000_000)}
        async with live("binance", world_options=options) as desk:
            most = desk.venue.instruments[SYMBOL].market_quantity_max
            with pytest.raises(VenueRejected) as refused:
                await desk.venue._quirks.place(desk.reduction("x", str(most + 1)))
            assert refused.value.reason == "above_max_quantity"
            # refused by the venue when it goes out whole: that must never happen to us
            deliberate = desk.venue.health["rejected"]
            await desk.venue.set_leverage(SYMBOL, 5)
            for number in range(8):
                client_id = f"hf-a-00000{number}e0"
                await desk.venue.place(
                    OrderRequest(client_id, SYMBOL, 1, "market", Decimal(most) / 4)
                )
            await desk.until(lambda: desk.position() and desk.position().quantity > most)
            whole = desk.position().quantity
            closed = await desk.venue.place(desk.reduction(EXIT, str(whole)))
            assert closed.client_id == EXIT
            await desk.until(lambda: desk.position().quantity < whole)
            assert desk.venue.health["rejected"] == deliberate
            sent = [r.update.client_id for r in desk.world.exchange.order_reports("main")]
            assert f"{EXIT}1" in sent
            assert f"{EXIT}2" in sent

    run_live(scenario)


def test_the_stream_comes_back_after_the_listen_key_expired() -> None:
    async def scenario() -> None:
        async with live("binance") as desk:
            await ready(desk)
            rounds = desk.venue.health["reconciliations"]
            desk.fault("listen_key_expired", event=True)
            await desk.until(lambda: desk.venue.health["reconciliations"] > rounds)
            await held(desk)
            assert desk.venue.health["notes"]["stream_restarts"] == 1

    run_live(scenario)


def test_funding_is_told_once_and_the_ledgers_agree() -> None:
    async def scenario() -> None:
        async with live("binance") as desk:
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
