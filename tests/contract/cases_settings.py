"""Cases 1-7: what is read and set before anything is traded."""

import pytest

from hfengine.errors import VenueRejected
from hfengine.messages import Halt, LeverageChanged, Resume
from tests.contract.cases_registry import (
    LEVERAGE,
    OTHER_MODE,
    Opening,
    Wire,
    bare,
    case,
    ready,
)
from tests.live_desk import SYMBOL, LiveDesk

GRID = (
    "price_tick",
    "quantity_step",
    "quantity_min",
    "quantity_max",
    "market_quantity_max",
    "notional_min_usdt",
    "maker_fee",
    "taker_fee",
    "funding_interval_h",
    "tiers",
)


@case(1, listed=(SYMBOL, "ETHUSDT"))
async def instruments_are_the_venues(desk: LiveDesk, _wire: Wire) -> None:
    everything = await desk.venue.all_instruments()
    assert set(everything) == {SYMBOL, "ETHUSDT"}
    assert set(desk.venue.instruments) == {SYMBOL}
    for symbol, ours in {**everything, **desk.venue.instruments}.items():
        theirs = desk.world.instruments[symbol]
        for name in GRID:
            assert getattr(ours, name) == getattr(theirs, name), (symbol, name)


@bare(2)
async def the_clock_is_compared(opening: Opening) -> None:
    async with opening.desk(connected=False) as desk:
        desk.world.clock_skew_ns = 300_000_000
        await desk.connect()
        assert abs(desk.venue.health["clock_offset_ms"] - 300) < 100
        assert desk.told(Halt) == []
        desk.world.clock_skew_ns = 60_000_000_000
        # the first signed call is refused for its time, measured anew and repeated
        assert (await desk.venue.balance()).wallet_usdt == desk.wallet_usdt
        assert [halt.source for halt in desk.told(Halt)] == ["clock"]
        assert abs(desk.venue.health["clock_offset_ms"] - 60_000) < 200
        desk.world.clock_skew_ns = 0
        assert (await desk.venue.balance()).wallet_usdt == desk.wallet_usdt
        assert [resume.source for resume in desk.told(Resume)] == ["clock"]
        assert desk.venue.health["halts"] == {}


@bare(3)
async def modes_are_set_as_configured(opening: Opening) -> None:
    for mode in (OTHER_MODE[opening.wire.mode], opening.wire.mode):
        async with opening.desk(position_mode=mode, connected=False) as desk:
            exchange, venue = desk.world.exchange, desk.venue
            put_mode(desk, OTHER_MODE[mode])
            await venue.prepare()
            assert exchange.position_mode("main") == mode
            await venue.prepare()
            for margin_mode in ("isolated", "isolated", "cross"):
                await venue.set_margin_mode(SYMBOL, margin_mode)
                assert (await venue.leverage_of(SYMBOL)).margin_mode == margin_mode
            reports = exchange.position_reports("main", SYMBOL)
            assert {report.changed.margin_mode for report in reports} == {"cross"}
        async with opening.desk(position_mode=mode, connected=False, set_modes=False) as desk:
            put_mode(desk, OTHER_MODE[mode])
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.prepare()
            assert refused.value.reason == "position_mode_mismatch"
            assert "set_modes" in str(refused.value)
            assert desk.world.exchange.position_mode("main") == OTHER_MODE[mode]


def put_mode(desk: LiveDesk, mode: str) -> None:
    """Put the account in a position mode, as another client of it may have."""
    exchange = desk.world.exchange
    if exchange.position_mode("main") != mode:
        exchange.set_position_mode("main", mode, desk.world.now_ns())


@case(4)
async def leverage_is_set_and_read_back(desk: LiveDesk, _wire: Wire) -> None:
    for leverage in (50, 50, 7):
        await desk.venue.set_leverage(SYMBOL, leverage)
        assert (await desk.venue.leverage_of(SYMBOL)).leverage == leverage
        assert theirs(desk) == {leverage}
    assert desk.venue.leverage_stats.mismatches == 0


def theirs(desk: LiveDesk) -> set[int]:
    """Return the leverages the venue itself has for the symbol."""
    reports = desk.world.exchange.position_reports("main", SYMBOL)
    return {report.changed.leverage for report in reports}


@case(5)
async def agreed_and_not_applied_shows_in_the_reading(desk: LiveDesk, _wire: Wire) -> None:
    desk.fault("leverage_kept", count=None)
    await desk.venue.set_leverage(SYMBOL, 50)
    assert desk.world.faults.done["leverage_kept"] >= 1
    assert theirs(desk) == {LEVERAGE}
    assert (await desk.venue.leverage_of(SYMBOL)).leverage == LEVERAGE
    assert desk.venue.leverage_stats.mismatches == 1


@case(6)
async def above_the_maximum_is_refused_by_name(desk: LiveDesk, _wire: Wire) -> None:
    most = int(desk.venue.instruments[SYMBOL].tiers[0].max_leverage)
    await desk.venue.set_leverage(SYMBOL, most)
    with pytest.raises(VenueRejected) as refused:
        await desk.venue.set_leverage(SYMBOL, most + 1)
    assert refused.value.reason == "leverage_above_maximum"
    assert theirs(desk) == {most}
    assert (await desk.venue.leverage_of(SYMBOL)).leverage == most


@bare(7)
async def another_clients_leverage_is_told(opening: Opening) -> None:
    async with opening.desk() as desk:
        await ready(desk)
        world = desk.world
        slots = ("long", "short") if opening.wire.mode == "hedge" else ("net",)
        desk.events.clear()
        for slot in slots:
            world.act(
                lambda now, slot=slot: world.exchange.set_leverage("main", SYMBOL, 7, now, slot)
            )
        await desk.until(lambda: any(one.leverage == 7 for one in desk.told(LeverageChanged)))
        told = [one.leverage for one in desk.told(LeverageChanged)]
        # two sides that differ for a moment read as no leverage at all, never as the wanted one
        assert set(told) <= {7, 0}
        assert told.count(7) == 1
