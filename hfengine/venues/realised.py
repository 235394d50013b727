"""Realised PnL of executions that do not tell it, from the average cost of the position.

Bybit's stream tells `execPnl`, its REST list does not: what the stream lost is computed, by
replaying every execution of the symbol in the venue's order from where the session began.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final, NamedTuple

NOTHING: Final = Decimal(0)
QUANTUM: Final = Decimal("1e-8")
DIGITS: Final = 60


class Execution(NamedTuple):
    """What counts of one execution; `order` sorts those of one symbol as the venue made them."""

    order: tuple[int, int]
    fill_id: str
    side: int
    quantity: Decimal
    price: Decimal
    told_usdt: Decimal | None
    """Realised PnL as the venue told it, None when it did not."""


class CostBasis:
    """A position's quantity (signed) and exact cost in USDT."""

    __slots__ = ("cost_usdt", "quantity")

    def __init__(self, quantity: Decimal = NOTHING, entry: Decimal = NOTHING) -> None:
        self.quantity = quantity
        self.cost_usdt = abs(quantity) * entry

    def apply(self, side: int, quantity: Decimal, price: Decimal) -> Decimal:
        """Take an execution; return what it realised before fees, to 1e-8 USDT, half to even."""
        held = self.quantity
        if held * side >= 0:
            self.quantity += side * quantity
            self.cost_usdt += quantity * price
            return NOTHING
        closed = min(quantity, abs(held))
        with localcontext(prec=DIGITS):
            released = (self.cost_usdt * closed / abs(held)).quantize(QUANTUM, ROUND_HALF_EVEN)
        self.cost_usdt -= released
        self.quantity += side * closed
        realised = -side * (closed * price - released)
        opened = quantity - closed
        if opened:
            self.quantity, self.cost_usdt = side * opened, opened * price
        return realised


class RealisedPnl:
    """One symbol's executions since the session began."""

    def __init__(self, quantity: Decimal = NOTHING, entry: Decimal = NOTHING) -> None:
        self._start = (quantity, entry)
        self._known: dict[str, Execution] = {}

    def take(self, executions: Iterable[Execution]) -> dict[str, Decimal]:
        """Take executions, known ones too; return the realised PnL of each, by its id."""
        asked = {one.fill_id: one for one in executions}
        for fill_id, one in asked.items():
            known = self._known.get(fill_id)
            if known is None or known.told_usdt is None:
                self._known[fill_id] = one
        told = {i: t for i in asked if (t := self._known[i].told_usdt) is not None}
        if len(told) == len(asked):
            return told
        basis = CostBasis(*self._start)
        realised = {
            one.fill_id: basis.apply(one.side, one.quantity, one.price)
            for one in sorted(self._known.values(), key=lambda one: one.order)
        }
        return {fill_id: told.get(fill_id, realised[fill_id]) for fill_id in asked}
