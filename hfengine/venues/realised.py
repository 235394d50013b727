"""Realised PnL of executions that do not tell it, from the average cost of the position.

Bybit's stream tells `execPnl`, its REST list does not: what the stream lost is computed, by
replaying every execution of the symbol in the venue's order. A position that was read tells what
was held before the oldest of them: it is traced back through those that it contains.
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

    def undo(self, side: int, quantity: Decimal, price: Decimal) -> bool:
        """Take an execution back; False where the cost before it cannot be told from after it.

        Then it counts as if nothing had been realised.
        """
        after = self.quantity
        before = after - side * quantity
        self.quantity = before
        if before * side >= 0:
            self.cost_usdt = self.cost_usdt - quantity * price if before else NOTHING
            return True
        if after * side < 0:
            with localcontext(prec=DIGITS):
                self.cost_usdt = self.cost_usdt / abs(after) * abs(before)
            return True
        self.cost_usdt = abs(before) * price
        return False


class Mark(NamedTuple):
    """Up to which execution a reading of a position contains all."""

    at_ms: int = 0
    number: int = 0
    """The venue's sequence number, which decides where there is one; 0 without."""

    def contains(self, one: Execution) -> bool:
        """Tell whether an execution was made before the reading."""
        at_ms, number = one.order
        return number <= self.number if number and self.number else at_ms <= self.at_ms


BEFORE_ALL: Final = Mark()


class RealisedPnl:
    """One symbol's executions around a position of the symbol that was read."""

    def __init__(
        self, quantity: Decimal = NOTHING, entry: Decimal = NOTHING, mark: Mark = BEFORE_ALL
    ) -> None:
        """Take what was held, signed, at which average price, and which executions led to it."""
        self._read = (quantity, entry)
        self._mark = mark
        self._known: dict[str, Execution] = {}

    def know(self, executions: Iterable[Execution]) -> None:
        """Take executions of which nobody asks what they realised."""
        for one in executions:
            known = self._known.get(one.fill_id)
            if known is None or known.told_usdt is None:
                self._known[one.fill_id] = one

    def start(self) -> tuple[CostBasis, bool]:
        """Return what was held before the oldest execution known, and whether its cost is."""
        basis, is_sure = CostBasis(*self._read), True
        for one in sorted(self._known.values(), key=lambda one: one.order, reverse=True):
            if self._mark.contains(one):
                is_told = basis.undo(one.side, one.quantity, one.price)
                # before it was flat nothing is open: what comes after is exact
                is_sure = not basis.quantity or (is_sure and is_told)
        return basis, is_sure

    def take(self, executions: Iterable[Execution]) -> dict[str, Decimal]:
        """Take executions, known ones too; return the realised PnL of each, by its id."""
        asked = {one.fill_id: one for one in executions}
        self.know(asked.values())
        told = {i: t for i in asked if (t := self._known[i].told_usdt) is not None}
        if len(told) == len(asked):
            return told
        basis, _ = self.start()
        realised = {
            one.fill_id: basis.apply(one.side, one.quantity, one.price)
            for one in sorted(self._known.values(), key=lambda one: one.order)
        }
        return {fill_id: told.get(fill_id, realised[fill_id]) for fill_id in asked}
