"""Cases 18-20, 27 and 30: what guards a position, how it ends, and what it all cost."""

import asyncio
from decimal import Decimal
from typing import Any

from hfengine.exchange.reports import PositionReport
from hfengine.messages import BalanceChanged, Fill, FundingPaid
from tests.contract.cases_registry import (
    ENTRY,
    EXIT,
    OTHER_MODE,
    Opening,
    Wire,
    bare,
    case,
    has,
    held,
    listed,
    ready,
    told_quantity,
)
from tests.live_desk import SYMBOL, LiveDesk

PAST = Decimal(50)
"""So far behind a trigger the mark is moved, USDT."""


@case(18)
async def protection_moves_and_never_leaves(desk: LiveDesk, _wire: Wire) -> None:
    request = await held(desk)
    uncovered: list[Any] = []

    def watch(_account: str, report: Any) -> None:
        if isinstance(report, PositionReport):
            changed = report.changed
            if changed.covered < changed.quantity:
                uncovered.append(changed)
        for now in desk.world.exchange.position_reports("main", SYMBOL):
            if now.changed.covered < now.changed.quantity:
                uncovered.append(now.changed)

    desk.world.on_account(watch)
    stop, target = request.stop, request.target
    for closer in ("0.994", "0.996", "0.992"):
        stop = desk.grid(desk.mid * Decimal(closer))
        target = desk.grid(desk.mid * (2 - Decimal(closer)))
        moved = await desk.venue.protect(SYMBOL, stop, target)
        assert (moved.stop, moved.target) == (stop, target)
        assert moved.covered == moved.quantity == request.quantity
        await desk.until(lambda stop=stop, target=target: stands(desk, stop, target))
    await asyncio.sleep(0.05)
    assert uncovered == []
    moved = await desk.venue.protect(SYMBOL, stop, Decimal(0))
    assert (moved.stop, moved.target) == (stop, 0)
    await desk.until(lambda: [one.update.kind for one in listed(desk)] == ["stop_market"])
    assert uncovered == []


def stands(desk: LiveDesk, stop: Decimal, target: Decimal) -> bool:
    """Tell whether the venue's lists hold one stop and one target, where they should be."""
    found = sorted((one.update.kind, one.update.trigger) for one in listed(desk))
    return found == [("stop_market", stop), ("take_profit_market", target)]


async def fires(desk: LiveDesk, cause: str, to_price: Decimal) -> None:
    """Move the mark past a leg and see the position end by it."""
    desk.world.move(SYMBOL, to_price=to_price)
    await desk.until(lambda: told_quantity(desk) == 0)
    await desk.until(lambda: len(desk.told(Fill)) == 2)
    assert [fill.cause for fill in desk.told(Fill)] == ["order", cause]
    assert has(desk) == 0
    # exchanges that leave the other leg standing have it cancelled by the adapter
    await desk.until(lambda: listed(desk) == [])
    assert await desk.venue.positions() == []
    assert len(await desk.venue.fills()) == 2


@case(19)
async def the_target_fires_at_the_venue(desk: LiveDesk, _wire: Wire) -> None:
    request = await held(desk)
    await fires(desk, "target", request.target + PAST)


@case(20)
async def the_stop_fires_at_the_venue(desk: LiveDesk, _wire: Wire) -> None:
    request = await held(desk, side=-1)
    assert desk.position().side == -1
    await fires(desk, "stop", request.stop + PAST)


@case(27)
async def the_ledgers_agree_to_the_last_unit(desk: LiveDesk, _wire: Wire) -> None:
    request = await held(desk, quantity=Decimal("0.013"))
    for paid, rate in enumerate(("0.000137", "-0.000061"), 1):
        desk.world.pay_funding(SYMBOL, Decimal(rate))
        if desk.venue.name == "bitget":
            # it pushes the balance but not what changed it: that is read with the account
            await desk.venue.fills()
        await desk.until(lambda paid=paid: len(desk.told(FundingPaid)) == paid)
    await desk.venue.place(desk.reduction(EXIT, "0.007"))
    await desk.until(lambda: told_quantity(desk) == Decimal("0.006"))
    desk.world.move(SYMBOL, to_price=request.target + PAST)
    await desk.until(lambda: told_quantity(desk) == 0)
    await held(desk, "hf-a-000004e0", side=-1)
    await desk.venue.place(desk.reduction("hf-a-000005x0", "0.010", side=1))
    await desk.until(lambda: told_quantity(desk) == 0)
    await desk.until(lambda: len(desk.told(Fill)) == 5)
    theirs = desk.world.exchange.fills("main")
    ours = desk.told(Fill)
    for name in ("side", "quantity", "price", "fee_usdt", "realised_usdt", "maker", "cause"):
        assert [getattr(f, name) for f in ours] == [getattr(f, name) for f in theirs], name
    change = sum((f.realised_usdt - f.fee_usdt for f in ours), Decimal(0))
    change -= sum((paid.funding_usdt for paid in desk.told(FundingPaid)), Decimal(0))
    wallet = desk.world.exchange.balance("main").wallet_usdt
    assert desk.wallet_usdt + change == wallet != desk.wallet_usdt
    assert (await desk.venue.balance()).wallet_usdt == wallet
    await desk.until(lambda: desk.told(BalanceChanged)[-1].wallet_usdt == wallet)
    assert [fill.fill_id for fill in await desk.venue.fills()] == [fill.fill_id for fill in ours]


@case(30)
async def what_the_exchange_takes_is_told(desk: LiveDesk, wire: Wire) -> None:
    request = await held(desk)
    exchange, act = desk.world.exchange, desk.world.act
    slot = "long" if wire.mode == "hedge" else "net"
    part = Decimal("0.004")
    act(lambda now: exchange.force_adl("main", SYMBOL, part, now, slot))
    await desk.until(lambda: told_quantity(desk) == request.quantity - part)
    await desk.until(lambda: len(desk.told(Fill)) == 2)
    await desk.until(lambda: desk.position().covered == desk.position().quantity)
    assert has(desk) == request.quantity - part
    act(lambda now: exchange.force_liquidation("main", SYMBOL, now, slot))
    await desk.until(lambda: told_quantity(desk) == 0)
    await desk.until(lambda: len(desk.told(Fill)) == 3)
    assert has(desk) == 0
    told = [(fill.cause, fill.quantity) for fill in desk.told(Fill)]
    assert told == [
        ("order", request.quantity),
        ("adl", part),
        ("liquidation", request.quantity - part),
    ]
    assert desk.told(Fill)[0].client_id == ENTRY
    await desk.until(lambda: listed(desk) == [])


@bare(33)
async def the_other_position_mode_trades_alike(opening: Opening) -> None:
    async with opening.desk(position_mode=OTHER_MODE[opening.wire.mode]) as desk:
        await ready(desk)
        for side, number in ((1, 1), (-1, 4)):
            desk.events.clear()
            request = await held(desk, f"hf-a-00000{number}e0", side=side)
            assert desk.position().side == side
            reduction = desk.reduction(f"hf-a-00000{number + 1}x0", "0.004", side=-side)
            await desk.venue.place(reduction)
            await desk.until(lambda: told_quantity(desk) == Decimal("0.006"))
            closer = desk.grid(desk.mid * (1 - side * Decimal("0.005")))
            moved = await desk.venue.protect(SYMBOL, closer, request.target)
            assert (moved.stop, moved.target) == (closer, request.target)
            assert moved.covered == moved.quantity == Decimal("0.006")
            desk.world.move(SYMBOL, to_price=closer - side * PAST)
            await desk.until(lambda: told_quantity(desk) == 0)
            await desk.until(lambda: len(desk.told(Fill)) == 3)
            assert [fill.cause for fill in desk.told(Fill)] == ["order", "order", "stop"]
            await desk.until(lambda: listed(desk) == [])
