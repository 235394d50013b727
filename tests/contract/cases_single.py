"""Cases 34-37: open orders as read, single ones cancelled or moved, and fills of before."""

import asyncio
from decimal import Decimal

import pytest

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.messages import Fill, FundingPaid, OrderUpdate
from hfengine.requests import OrderRequest
from tests.contract.cases_orders import OTHER, resting
from tests.contract.cases_registry import (
    ENTRY,
    OTHER_MODE,
    Opening,
    Wire,
    bare,
    case,
    has,
    held,
    listed,
    ready,
)
from tests.live_desk import SYMBOL, LiveDesk

REST = "hf-a-000005e0"
CANCEL = {
    "bybit": "/v5/order/cancel",
    "binance": "/fapi/v1/order",
    "bitget": "/api/v2/mix/order/cancel-order",
}


async def rest(desk: LiveDesk, client_id: str = REST, symbol: str = SYMBOL) -> OrderRequest:
    """Let an order rest until the venue's own list has it."""
    request = resting(desk, client_id, symbol, "0.010" if symbol == SYMBOL else "0.10")
    await desk.venue.place(request)
    await desk.until(lambda: client_id in ids(desk, symbol))
    return request


def ids(desk: LiveDesk, symbol: str = SYMBOL) -> set[str]:
    """Return the client ids of what the venue itself has open."""
    return {report.update.client_id for report in listed(desk, symbol)}


def kinds(desk: LiveDesk) -> list[str]:
    return sorted(report.update.kind for report in listed(desk))


async def leg(desk: LiveDesk, kind: str) -> OrderUpdate:
    """Return a position's stop or target as the adapter reads it."""
    (found,) = [one for one in await desk.venue.open_orders() if one.kind == kind]
    return found


@bare(34)
async def open_orders_are_read_whole_and_say_what_only_reduces(opening: Opening) -> None:
    for mode in (opening.wire.mode, OTHER_MODE[opening.wire.mode]):
        for side in (1, -1):
            async with opening.desk(position_mode=mode, listed=(SYMBOL, OTHER)) as desk:
                await ready(desk)
                assert await desk.venue.open_orders() == []
                entry = await held(desk, side=side)
                await desk.until(lambda desk=desk: len(listed(desk)) == 2)
                asked = await rest(desk)
                read = {one.kind: one for one in await desk.venue.open_orders()}
                assert sorted(read) == ["limit", "stop_market", "take_profit_market"]
                assert all(one.symbol == SYMBOL and one.venue_id for one in read.values())
                limit = read["limit"]
                assert (limit.client_id, limit.price, limit.quantity, limit.side) == (
                    REST,
                    asked.price,
                    asked.quantity,
                    1,
                )
                assert not limit.reduce_only
                for kind, trigger in (
                    ("stop_market", entry.stop),
                    ("take_profit_market", entry.target),
                ):
                    one = read[kind]
                    assert (one.trigger, one.side, one.state) == (trigger, -side, "untriggered")
                    assert one.reduce_only


@case(35, symbols=(SYMBOL, OTHER))
async def one_order_is_cancelled_and_a_gone_one_is_no_error(desk: LiveDesk, _wire: Wire) -> None:
    await held(desk)
    await rest(desk)
    await rest(desk, "hf-a-000006e0")
    await rest(desk, "hf-a-000007e0", OTHER)
    await desk.venue.cancel(SYMBOL, REST, "")
    assert REST not in ids(desk)
    await desk.until(lambda: desk.ends_of(REST))
    by_id = {one.client_id: one.venue_id for one in await desk.venue.open_orders()}
    await desk.venue.cancel(SYMBOL, "", by_id["hf-a-000006e0"])
    assert kinds(desk) == ["stop_market", "take_profit_market"]
    target = await leg(desk, "take_profit_market")
    await desk.venue.cancel(SYMBOL, target.client_id, target.venue_id)
    assert kinds(desk) == ["stop_market"]
    await desk.until(lambda: desk.position().target == 0)
    stop = await leg(desk, "stop_market")
    await desk.venue.cancel(SYMBOL, "", stop.venue_id)
    assert kinds(desk) == []
    await desk.until(lambda: desk.position().covered == 0)
    for client_id, venue_id in (
        (REST, ""),
        ("", stop.venue_id),
        (target.client_id, target.venue_id),
        ("hf-a-0000ffe0", ""),
    ):
        await desk.venue.cancel(SYMBOL, client_id, venue_id)
    with pytest.raises(VenueRejected):
        await desk.venue.cancel(SYMBOL, "", "")
    assert has(desk) > 0
    assert ids(desk, OTHER) == {"hf-a-000007e0"}
    # a DELETE may be sent again by the HTTP client itself: every answer is lost for a while
    desk.fault("cut_after", path=CANCEL[desk.venue.name], count=None)
    with pytest.raises(VenueUnknown):
        await desk.venue.cancel(OTHER, "hf-a-000007e0", "")
    desk.world.faults.clear("")
    await desk.venue.cancel(OTHER, "hf-a-000007e0", "")
    assert ids(desk, OTHER) == set()


@case(36)
async def a_resting_order_moves_in_place_or_stays(desk: LiveDesk, _wire: Wire) -> None:
    request = await rest(desk)
    (before,) = listed(desk)
    price = desk.grid(request.price * Decimal("1.005"))
    if desk.venue.name == "bitget":
        with pytest.raises(VenueRejected) as refused:
            await desk.venue.amend(SYMBOL, REST, price)
        assert refused.value.reason == "not_supported"
        assert listed(desk) == [before]
        return
    moved = await desk.venue.amend(SYMBOL, REST, price)
    assert (moved.client_id, moved.price, moved.quantity) == (REST, price, request.quantity)
    assert moved.state == "new"
    (after,) = listed(desk)
    assert (after.update.client_id, after.update.price) == (REST, price)
    assert after.update.venue_id == before.update.venue_id
    await desk.venue.cancel(SYMBOL, REST, "")
    for client_id in (REST, ENTRY):
        with pytest.raises(VenueRejected) as refused:
            await desk.venue.amend(SYMBOL, client_id, request.price)
        assert refused.value.reason == "unknown_order"
    assert listed(desk) == []


@bare(37)
async def what_happened_between_two_runs_is_told_once(opening: Opening) -> None:
    for looks_back in (False, True):
        async with opening.desk(connected=False, margin_mode="cross") as desk:
            began_ns = desk.world.now_ns()
            bought = desk.bracket(ENTRY, slot="long" if opening.wire.mode == "hedge" else "net")
            if opening.wire.mode == "hedge":
                desk.world.act(
                    lambda at, d=desk: d.world.exchange.set_position_mode("main", "hedge", at)
                )
            desk.world.act(lambda at, d=desk, r=bought: d.world.exchange.place("main", r, at))
            desk.world.pay_funding(SYMBOL, Decimal("0.0001"))
            await asyncio.sleep(0.02)
            await desk.venue.prepare()
            if looks_back:
                desk.venue.look_back(began_ns)
            desk.connect_only()
            await desk.until(lambda desk=desk: desk.venue.health["reconciliations"] >= 1)
            fills = await desk.venue.fills()
            assert [one.client_id for one in fills] == ([ENTRY] if looks_back else [])
            assert desk.told(Fill) == fills
            assert len(desk.told(FundingPaid)) == looks_back
