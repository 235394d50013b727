"""Cases 9-17, 21 and 22: orders, what becomes of them, and what the venue refuses."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.messages import Fill, OrderUpdate, PositionChanged, ProtectionRefused
from hfengine.requests import OrderRequest
from tests.contract.cases_registry import (
    ENTRY,
    EXIT,
    Wire,
    case,
    has,
    held,
    is_covered,
    listed,
    ready,
    told_quantity,
)
from tests.live_desk import SYMBOL, LiveDesk

OTHER = "ETHUSDT"
RICH = {"wallet_usdt": Decimal(1_000_000_000)}
NONE = Decimal(0)


@case(9)
async def a_bracket_opens_once_and_is_covered(desk: LiveDesk, wire: Wire) -> None:
    request = desk.bracket(ENTRY)
    acknowledged = await desk.venue.place(request)
    assert acknowledged.client_id == ENTRY
    assert acknowledged.venue_id
    await desk.until(lambda: is_covered(desk, request))
    position = desk.position()
    assert (position.side, position.quantity) == (1, request.quantity)
    assert (position.leverage, position.margin_mode) == (20, "isolated")
    assert 0 < position.liquidation < request.stop
    await desk.until(lambda: len(desk.ends_of(ENTRY)) == 1)
    (fill,) = desk.told(Fill)
    assert (fill.client_id, fill.quantity, fill.cause) == (ENTRY, request.quantity, "order")
    await desk.until(lambda: all(report.trigger_by == "mark" for report in listed(desk)))
    legs = {report.update.kind: report for report in listed(desk)}
    assert set(legs) == {"stop_market", "take_profit_market"}
    assert legs["stop_market"].update.trigger == request.stop
    assert legs["take_profit_market"].update.trigger == request.target
    slot = "long" if wire.mode == "hedge" else "net"
    for report in legs.values():
        assert report.update.side == -1
        # an order that closes a side of hedge mode cannot open anything
        assert report.update.reduce_only or report.close_position or wire.mode == "hedge"
        assert report.slot == slot


@case(10)
async def a_refused_stop_never_leaves_a_silent_position(desk: LiveDesk, _wire: Wire) -> None:
    desk.fault("stop_refused", count=None)
    (outcome,) = await asyncio.gather(desk.venue.place(desk.bracket(ENTRY)), return_exceptions=True)
    if isinstance(outcome, VenueRejected):
        assert outcome.reason == "would_trigger_immediately"
        await asyncio.sleep(0.2)
        assert has(desk) == 0
        assert desk.told(Fill) == []
        return
    await desk.until(lambda: desk.told(ProtectionRefused))
    (told,) = desk.told(ProtectionRefused)
    assert (told.symbol, told.leg) == (SYMBOL, "stop")
    assert told.reason == "would_trigger_immediately"
    await desk.until(lambda: told_quantity(desk))
    assert desk.position().covered == 0


@case(11)
async def what_finds_nothing_ends_as_cancelled(desk: LiveDesk, _wire: Wire) -> None:
    far = desk.grid(desk.mid * Decimal("0.98"))
    request = desk.bracket(ENTRY, price=far, stop=desk.grid(far * Decimal("0.98")))
    await desk.venue.place(request)
    await desk.until(lambda: desk.ends_of(ENTRY))
    assert [(one.state, one.filled) for one in desk.ends_of(ENTRY)] == [("cancelled", 0)]
    assert desk.told(Fill) == []
    assert has(desk) == 0
    # a stop that went ahead of its entry is taken back
    await desk.until(lambda: listed(desk) == [])


@case(12)
async def a_duplicate_id_is_found_not_placed(desk: LiveDesk, _wire: Wire) -> None:
    request = await held(desk)
    with pytest.raises(VenueUnknown, match="duplicate_client_id"):
        await desk.venue.place(request)
    found = await desk.venue.order_by_id(SYMBOL, ENTRY)
    assert found is not None
    assert (found.state, found.filled) == ("filled", request.quantity)
    assert len(desk.world.exchange.fills("main")) == 1
    assert has(desk) == request.quantity


@case(13)
async def an_answer_lost_after_the_effect(desk: LiveDesk, wire: Wire) -> None:
    desk.fault("cut_after", path=wire.order)
    request = desk.bracket(ENTRY)
    with pytest.raises(VenueUnknown):
        await desk.venue.place(request)
    found = await desk.venue.order_by_id(SYMBOL, ENTRY)
    assert found is not None
    assert (found.state, found.filled) == ("filled", request.quantity)
    await desk.until(lambda: told_quantity(desk) == request.quantity)
    await desk.until(lambda: desk.position().covered == request.quantity)
    assert len(desk.told(Fill)) == len(desk.world.exchange.fills("main")) == 1


@case(14)
async def an_answer_lost_before_it(desk: LiveDesk, wire: Wire) -> None:
    desk.fault("cut_before", path=wire.order)
    with pytest.raises(VenueUnknown):
        await desk.venue.place(desk.bracket(ENTRY))
    assert await desk.venue.order_by_id(SYMBOL, ENTRY) is None
    assert desk.world.exchange.fills("main") == []


@case(15, world_options={"wallet_usdt": Decimal(20)})
async def too_little_margin_is_refused_by_name(desk: LiveDesk, _wire: Wire) -> None:
    with pytest.raises(VenueRejected) as refused:
        await desk.venue.place(desk.bracket(ENTRY, "0.100"))
    assert refused.value.reason == "insufficient_margin"
    assert desk.world.exchange.fills("main") == []
    await desk.until(lambda: listed(desk) == [])


@case(16)
async def half_is_closed_and_the_protection_follows(desk: LiveDesk, _wire: Wire) -> None:
    request = await held(desk)
    half = request.quantity / 2
    await desk.venue.place(desk.reduction(EXIT, str(half)))
    await desk.until(lambda: told_quantity(desk) == half)
    await desk.until(lambda: desk.position().covered == half)
    position = desk.position()
    assert (position.stop, position.target) == (request.stop, request.target)
    assert has(desk) == half
    for report in listed(desk):
        assert report.close_position or report.update.quantity == half
    await desk.until(lambda: [fill.client_id for fill in desk.told(Fill)] == [ENTRY, EXIT])


@case(17)
async def nothing_to_reduce_is_refused_by_name(desk: LiveDesk, _wire: Wire) -> None:
    with pytest.raises(VenueRejected) as refused:
        await desk.venue.place(desk.reduction(EXIT, "0.005"))
    assert refused.value.reason in {"reduce_only_rejected", "no_position"}
    assert has(desk) == 0
    assert desk.world.exchange.fills("main") == []


@case(21, world_options=RICH)
async def a_large_exit_goes_in_parts_and_is_told_as_one(desk: LiveDesk, _wire: Wire) -> None:
    await ready(desk, 5)
    deepen(desk)
    instrument = desk.venue.instruments[SYMBOL]
    most = min(instrument.market_quantity_max, instrument.quantity_max)
    rest = Decimal("0.010")
    whole = most + rest
    for number, quantity in enumerate((most, rest)):
        bare = {"stop": NONE, "target": NONE, "quantity": quantity}
        await desk.venue.place(desk.bracket(f"hf-a-00000{number}e0", **bare))
    await desk.until(lambda: told_quantity(desk) == whole)
    await desk.venue.place(desk.reduction(EXIT, str(whole)))
    await desk.until(lambda: told_quantity(desk) == 0)
    sent = [report for report in desk.world.exchange.order_reports("main") if is_part(report)]
    assert len(sent) == 2
    assert sum(report.update.quantity for report in sent) == whole
    assert desk.venue.health["rejected"] == {}
    await desk.until(lambda: sum(fill.quantity for fill in fills_of(desk, EXIT)) == whole)
    await desk.until(lambda: desk.ends_of(EXIT))
    assert [(one.state, one.filled) for one in desk.ends_of(EXIT)] == [("filled", whole)]
    assert len(fills_of(desk, EXIT)) == len(desk.world.exchange.fills("main")) - 2


def fills_of(desk: LiveDesk, client_id: str) -> list[Fill]:
    return [fill for fill in desk.told(Fill) if fill.client_id == client_id]


def is_part(report: Any) -> bool:
    return report.update.client_id.startswith(EXIT)


def deepen(desk: LiveDesk) -> None:
    """Put a thousand coins on the best level of each side."""
    steps = int(1000 / desk.world.instruments[SYMBOL].quantity_step)
    for side in (1, -1):
        ticks, _ = desk.world.levels(SYMBOL, side, 1)[0]
        desk.world.set_level(SYMBOL, side, ticks, steps)


def resting(desk: LiveDesk, client_id: str, symbol: str, quantity: str) -> OrderRequest:
    """Return a limit order that finds nothing and rests."""
    price = desk.grid(desk.world.ticker(symbol).bid * Decimal("0.97"), symbol)
    request = desk.bracket(client_id, quantity, price=price, stop=NONE, target=NONE, tif="gtc")
    return msgspec.structs.replace(request, symbol=symbol)


@case(22, symbols=(SYMBOL, OTHER))
async def everything_of_one_symbol_is_cancelled(desk: LiveDesk, _wire: Wire) -> None:
    await held(desk)
    await desk.venue.place(resting(desk, "hf-a-000005e0", SYMBOL, "0.010"))
    await desk.venue.place(resting(desk, "hf-a-000006e0", OTHER, "0.10"))
    await desk.until(lambda: len(listed(desk)) == 3)
    assert await desk.venue.cancel_all(SYMBOL) == 3
    assert listed(desk) == []
    assert [one.update.client_id for one in listed(desk, OTHER)] == ["hf-a-000006e0"]
    await desk.until(lambda: desk.ends_of("hf-a-000005e0"))
    await desk.until(lambda: desk.position().covered == 0)
    assert has(desk) == desk.position().quantity > 0
    told = {one.client_id: one.state for one in desk.told(OrderUpdate)}
    assert told["hf-a-000006e0"] == "new"
    held_of = {one.symbol for one in desk.told(PositionChanged) if one.quantity}
    assert held_of == {SYMBOL}
    assert await desk.venue.cancel_all(SYMBOL) == 0
