"""Numbers as Bitget writes them: decimal text without exponent, times in milliseconds."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hfengine.localvenue.figures import plain

ZERO: Final = Decimal(0)
GRAIN: Final = Decimal("1e-16")
"""Ratios and divided sums are shown to this; sums of money are shown exact."""

GridText = Callable[[int], str]


def shown(number: Decimal) -> str:
    """Return an average or a ratio, rounded half-even to sixteen places."""
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -16:
        number = number.quantize(GRAIN)
    return plain(number)


def unset(number: Decimal) -> str:
    """Return a figure, empty where there is none."""
    return plain(number) if number else ""


def ms(at_ns: int) -> str:
    """Return a time as text in milliseconds."""
    return str(at_ns // 1_000_000)


def per(part: Decimal, whole: Decimal) -> Decimal:
    """Return a ratio, 0 of nothing."""
    return part / whole if whole else ZERO


def places(grid: Decimal) -> int:
    """Return the decimals of a price tick or a quantity step."""
    exponent = grid.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def grid_text(grid: Decimal) -> GridText:
    """Return what writes so many ticks or steps of `grid` with all of its decimals.

    `grid_text(Decimal("0.10"))(27)` is "2.7".
    """
    decimals = places(grid)
    coefficient = int(grid.scaleb(decimals))
    if not decimals:
        return lambda count: str(count * coefficient)

    def write(count: int) -> str:
        digits = str(count * coefficient).zfill(decimals + 1)
        return f"{digits[:-decimals]}.{digits[-decimals:]}"

    return write
