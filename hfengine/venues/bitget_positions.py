"""Positions on Bitget with what protects them: plan orders are told apart from positions."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from hfengine.instruments import Instrument
from hfengine.messages import OrderKind, PositionChanged
from hfengine.requests import Slot
from hfengine.venues.bitget_rows import (
    MS_NS,
    NOTHING,
    WHOLE_PLANS,
    Row,
    margin_mode_of,
    number,
    plan_kind,
)

ENDED_MAX: Final = 4096
LIVE: Final = ("live", "not_trigger", "executing")


class Held(Struct, frozen=True, kw_only=True):
    """One position; `slot` is net in one-way mode."""

    symbol: str
    slot: Slot
    side: int
    quantity: Decimal
    entry: Decimal
    leverage: int
    margin_mode: str
    margin_usdt: Decimal
    liquidation: Decimal
    mark: Decimal
    at_ns: int


class Plan(Struct, frozen=True, kw_only=True):
    """One waiting stop or target; `quantity` 0 is the whole position."""

    plan_id: str
    symbol: str
    slot: Slot
    kind: OrderKind
    plan_type: str
    trigger: Decimal
    quantity: Decimal
    created_ns: int


def held_of(row: Row, at_ns: int) -> Held:
    """Return a position by REST or by push."""
    side = 1 if row["holdSide"] == "long" else -1
    hedge_slot: Slot = "long" if side > 0 else "short"
    leverage = str(row.get("leverage") or "0")
    return Held(
        symbol=str(row.get("instId") or row.get("symbol")),
        slot=hedge_slot if row.get("posMode") == "hedge_mode" else "net",
        side=side,
        quantity=number(row["total"]),
        entry=number(row["openPriceAvg"]),
        leverage=int(leverage) if leverage.isdecimal() else 0,
        margin_mode=margin_mode_of(row),
        margin_usdt=number(row.get("marginSize")),
        liquidation=max(number(row.get("liquidationPrice")), NOTHING),
        mark=number(row.get("markPrice")),
        at_ns=at_ns,
    )


def plan_of(row: Row) -> Plan | None:
    """Return a stop or target by REST or by push; None for other plan orders."""
    kind = plan_kind(row)
    if kind is None:
        return None
    slots: dict[str, Slot] = {"long": "long", "short": "short"}
    told = str(row["planType"])
    return Plan(
        plan_id=str(row["orderId"]),
        symbol=str(row.get("instId") or row.get("symbol")),
        slot=slots.get(str(row.get("posSide")), "net"),
        kind=kind,
        plan_type=told,
        trigger=number(row.get("triggerPrice")),
        quantity=NOTHING if told in WHOLE_PLANS else number(row.get("size")),
        created_ns=int(row.get("cTime") or 0) * MS_NS,
    )


class PositionBook:
    """What is known of the account's positions and their plan orders."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._held: dict[tuple[str, Slot], Held] = {}
        self._plans: dict[str, Plan] = {}
        self._ended: dict[str, None] = {}
        self.heard_ns = 0
        """Of the newest push of positions."""

    # what is told

    def take_positions(self, held: Iterable[Held], *, told_ns: int) -> list[str]:
        """Take all open positions at once; return the symbols that changed, closed ones too."""
        self.heard_ns = max(self.heard_ns, told_ns)
        now = {(one.symbol, one.slot): one for one in held if one.quantity}
        changed = [key for key, one in now.items() if self._held.get(key) != one]
        changed += [key for key in self._held if key not in now]
        self._held = now
        return list(dict.fromkeys(symbol for symbol, _ in changed))

    def hear_plan(self, row: Row) -> Plan | None:
        """Take a plan order as pushed or as changed by us; an end is never taken back."""
        plan = plan_of(row)
        status = str(row.get("planStatus") or row.get("status") or "live")
        if plan is None or plan.plan_id in self._ended:
            return plan
        if status in LIVE:
            self._plans[plan.plan_id] = plan
        else:
            self.forget_plan(plan.plan_id)
        return plan

    def take_plan(self, plan: Plan) -> None:
        """Take a plan order as the venue has just accepted it."""
        if plan.plan_id not in self._ended:
            self._plans[plan.plan_id] = plan

    def plan(self, plan_id: str) -> Plan | None:
        """Return a waiting plan order."""
        return self._plans.get(plan_id)

    def forget_plan(self, plan_id: str) -> None:
        """Take that a plan order has ended."""
        self._plans.pop(plan_id, None)
        self._ended[plan_id] = None
        while len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]

    def read_plans(self, rows: Sequence[Row], *, began_ns: int, symbol: str | None = None) -> None:
        """Take the waiting plan orders as read; those made after it began are kept."""
        self._plans = {
            plan_id: plan
            for plan_id, plan in self._plans.items()
            if (symbol is not None and plan.symbol != symbol) or plan.created_ns > began_ns
        }
        for row in rows:
            self.hear_plan(row)

    # what is made of it

    def held(self, symbol: str) -> Held | None:
        """Return a symbol's position, the larger one where long and short are both open."""
        several = [one for key, one in self._held.items() if key[0] == symbol]
        return max(several, key=lambda one: one.quantity, default=None)

    def is_two_sided(self, symbol: str) -> bool:
        """Tell whether long and short are both open: the engine knows one position a symbol."""
        return sum(1 for key in self._held if key[0] == symbol) > 1

    def open_symbols(self) -> list[str]:
        """Return the symbols with a position."""
        return list(dict.fromkeys(symbol for symbol, _ in self._held))

    def legs(self, held: Held, kind: OrderKind) -> list[Plan]:
        """Return a position's stops or targets, the nearest first."""
        plans = [
            plan
            for plan in self._plans.values()
            if (plan.symbol, plan.slot, plan.kind) == (held.symbol, held.slot, kind)
        ]
        nearest_first = held.side if kind == "take_profit_market" else -held.side
        return sorted(plans, key=lambda plan: nearest_first * plan.trigger)

    def cover(self, held: Held, kind: OrderKind) -> tuple[Decimal, Decimal]:
        """Return how much of a position its legs close, and where the last of that goes."""
        covered, trigger = NOTHING, NOTHING
        for plan in self.legs(held, kind):
            if covered < held.quantity:
                part = plan.quantity or held.quantity
                covered, trigger = min(held.quantity, covered + part), plan.trigger
        return covered, trigger

    def changed(self, symbol: str, at_ns: int = 0) -> PositionChanged:
        """Return a symbol's position with everything that belongs to it."""
        held = self.held(symbol)
        if held is None:
            return PositionChanged(
                symbol, at_ns or self.heard_ns, 0, NOTHING, NOTHING, 0, "", *(NOTHING,) * 5
            )
        covered, stop = self.cover(held, "stop_market")
        _, target = self.cover(held, "take_profit_market")
        return PositionChanged(
            symbol,
            at_ns or held.at_ns,
            held.side,
            held.quantity,
            held.entry,
            held.leverage,
            held.margin_mode,
            held.margin_usdt,
            held.liquidation,
            stop,
            target,
            covered,
        )

    def maintenance_usdt(self) -> Decimal:
        """Return the maintenance margin of all positions, at the marks last told."""
        needed = NOTHING
        for held in self._held.values():
            instrument = self._instruments.get(held.symbol)
            if instrument is not None:
                notional_usdt = held.quantity * (held.mark or held.entry)
                tier = instrument.tier_at(notional_usdt) or instrument.tiers[-1]
                needed += notional_usdt * tier.maintenance_rate - tier.deduction_usdt
        return needed
