"""Stops and targets on Bitget: plan orders that belong to a position and are amended in place."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.messages import OrderKind
from hfengine.venues.bitget_positions import LIVE, Held, Plan, PositionBook
from hfengine.venues.bitget_rows import COIN, MS_NS, NOTHING, Row, product
from hfengine.venues.quirks import Desk

BY_MARK: Final = "mark_price"
WHOLE_PLANS: Final[dict[OrderKind, str]] = {
    "stop_market": "pos_loss",
    "take_profit_market": "pos_profit",
}
REST_TYPES: Final = {
    "psl": "pos_loss",
    "ptp": "pos_profit",
    "sl": "loss_plan",
    "tp": "profit_plan",
    "pl": "normal_plan",
}
"""Plan types as pushes shorten them."""

GONE: Final = ("22001", "40768", "43025")
"""What is gone meanwhile is as good as cancelled."""

CORRECTED_MAX: Final = 1024


class BitgetProtection:
    """Moves and cancels the legs of one account's positions."""

    def __init__(self, desk: Desk, book: PositionBook) -> None:
        self._desk = desk
        self._book = book
        self._moving: dict[str, asyncio.Lock] = {}
        self._corrected: dict[str, None] = {}
        """Plan orders that were told to watch the mark price: once, whatever is then heard."""

    async def move(self, symbol: str, stop: Decimal, target: Decimal) -> None:
        """Amend stop and target; one that is missing is made, 0 takes one away.

        Raises VenueRejected when there is no position or the venue refuses the place: the old one
        then stays in force.
        """
        async with self._moving.setdefault(symbol, asyncio.Lock()):
            await self._move_leg(symbol, "stop_market", stop)
            await self._move_leg(symbol, "take_profit_market", target)

    async def _move_leg(self, symbol: str, kind: OrderKind, trigger: Decimal) -> None:
        book = self._book
        held = book.held(symbol)
        if held is None:
            raise VenueRejected(rejects.NO_POSITION, symbol)
        covered, now_at = book.cover(held, kind)
        if trigger and trigger == now_at and covered >= held.quantity:
            return
        legs = book.legs(held, kind)
        if not trigger:
            for leg in legs:
                await self.cancel(symbol, leg.plan_type, [leg.plan_id])
            return
        for leg in legs:
            await self._amend(leg, trigger)
        covered, _ = book.cover(held, kind)
        if covered < held.quantity:
            await self._add(held, kind, trigger)

    async def _amend(self, leg: Plan, trigger: Decimal) -> None:
        """Amend one leg; one the venue does not have any more is forgotten."""
        params = product(
            symbol=leg.symbol,
            marginCoin=COIN,
            orderId=leg.plan_id,
            triggerPrice=f"{trigger:f}",
            triggerType=BY_MARK,
            size=f"{leg.quantity:f}" if leg.quantity else "",
        )
        try:
            await self._post("privateMixPostV2MixOrderModifyTpslOrder", params)
        except VenueRejected as error:
            if error.reason != rejects.UNKNOWN_ORDER:
                raise
            self._book.forget_plan(leg.plan_id)
            return
        self._book.take_plan(replace(leg, trigger=trigger))

    async def _add(self, held: Held, kind: OrderKind, trigger: Decimal) -> None:
        sides = ("long", "short") if held.slot != "net" else ("buy", "sell")
        params = product(
            symbol=held.symbol,
            marginCoin=COIN,
            planType=WHOLE_PLANS[kind],
            triggerPrice=f"{trigger:f}",
            triggerType=BY_MARK,
            holdSide=sides[held.side < 0],
        )
        answer = await self._post("privateMixPostV2MixOrderPlaceTpslOrder", params)
        self._book.take_plan(
            Plan(
                plan_id=str(answer["orderId"]),
                symbol=held.symbol,
                slot=held.slot,
                kind=kind,
                plan_type=WHOLE_PLANS[kind],
                trigger=trigger,
                quantity=NOTHING,
                created_ns=self._desk.now_ms() * MS_NS,
            )
        )

    async def cancel(self, symbol: str, plan_type: str, plan_ids: Sequence[str]) -> None:
        """Cancel plan orders of one type; those gone meanwhile do not count as failures.

        Raises VenueRejected for one the venue says nothing of: asked for the wrong type, it answers
        a success with empty lists, and nothing was cancelled.
        """
        params = product(
            symbol=symbol,
            marginCoin=COIN,
            planType=REST_TYPES.get(plan_type, plan_type),
            orderIdList=[{"orderId": plan_id} for plan_id in plan_ids],
        )
        answer = await self._post("privateMixPostV2MixOrderCancelPlanOrder", params)
        gone = check_failures(answer)
        gone += [str(done.get("orderId")) for done in answer.get("successList") or ()]
        for plan_id in plan_ids:
            if plan_id not in gone:
                raise VenueRejected("cancel_refused", f"bitget says nothing of plan {plan_id}")
            self._book.forget_plan(plan_id)

    def heard(self, row: Row) -> None:
        """Have a leg that came with its order triggered by the mark price, as ours are."""
        plan = self._book.hear_plan(row)
        if plan is None or row.get("triggerType") != "fill_price":
            return
        is_live = (row.get("planStatus") or row.get("status")) in LIVE
        if is_live and plan.plan_id not in self._corrected:
            self._corrected[plan.plan_id] = None
            while len(self._corrected) > CORRECTED_MAX:
                del self._corrected[next(iter(self._corrected))]
            self._desk.run(self._correct(plan), f"trigger of {plan.plan_id}")

    async def _correct(self, plan: Plan) -> None:
        """Have a leg watch the mark price, where it is by then: a move may have come first."""
        async with self._moving.setdefault(plan.symbol, asyncio.Lock()):
            leg = self._book.plan(plan.plan_id)
            if leg is None:
                return
            try:
                await self._amend(leg, leg.trigger)
            except (VenueRejected, VenueUnknown, VenueUnavailable):
                # asked again when the leg is next heard of
                self._corrected.pop(plan.plan_id, None)
                raise

    async def _post(self, method: str, params: Mapping[str, Any]) -> Row:
        answer = await self._desk.call(method, params, group="plan", purpose="protect")
        found: Row = answer.get("data") or {}
        return found


def check_failures(answer: Row) -> list[str]:
    """Return the ids of what was gone already; raises VenueRejected for what was not done else."""
    gone = []
    for failed in answer.get("failureList") or ():
        code = str(failed.get("errorCode") or "")
        if code not in GONE:
            raise VenueRejected("cancel_refused", f"bitget {code} {failed.get('errorMsg')}")
        gone.append(str(failed.get("orderId") or ""))
    return gone
