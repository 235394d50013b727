"""Numbers as Bybit writes them: decimal text without exponent, times in milliseconds."""

from decimal import Decimal
from typing import Final

from hfengine.localvenue.figures import plain

ZERO: Final = Decimal(0)
GRAIN: Final = Decimal("1e-8")
"""Ratios and averages are shown to this; sums of money are shown exact."""


def shown(number: Decimal) -> str:
    """Return an average or a ratio, rounded half-even to eight places."""
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -8:
        number = number.quantize(GRAIN)
    return plain(number)


def gridded(number: Decimal, grid: Decimal) -> str:
    """Return a price or a quantity with the decimals of its grid."""
    return format(number.quantize(grid), "f")


def unset(number: Decimal) -> str:
    """Return a figure, empty where there is none."""
    return plain(number) if number else ""


def ms(at_ns: int) -> str:
    """Return a time as text in milliseconds."""
    return str(at_ns // 1_000_000)


def per(part: Decimal, whole: Decimal) -> Decimal:
    """Return a ratio, 0 of nothing."""
    return part / whole if whole else ZERO
