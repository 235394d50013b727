"""A grid in Decimal arithmetic."""

from decimal import Context, Decimal, localcontext


class Grid:
    def __init__(self, unit: str) -> None:
        self.unit = Decimal(unit)

    def text(self, count: int) -> str:
        with localcontext(Context(prec=80)):
            return format(count * self.unit, "f")

    def count(self, number: Decimal) -> int | None:
        """None off the grid."""
        with localcontext(Context(prec=80)):
            count = number / self.unit
            whole = int(count)
            return whole if whole >= 0 and whole * self.unit == number else None
