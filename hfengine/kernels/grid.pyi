"""A venue's price or quantity grid: exact decimals to whole units and back, without floats."""

from decimal import Decimal

class Grid:
    """All whole multiples of one decimal unit (a price tick, a quantity step) below 10**18.

    The bound is on the number in units of the unit's last decimal.
    """

    def __init__(self, unit: str) -> None:
        """Set the unit, such as "0.10"; raises ValueError unless it is a positive decimal.

        At most 15 digits before and 15 after the point.
        """

    def count(self, number: Decimal) -> int:
        """Return how many units `number` is; raises ValueError when negative or off the grid."""

    def text(self, count: int) -> str:
        """Return `count` units as exact decimal text with all decimals of the unit.

        Equals ``format(count * Decimal(unit), "f")``. Raises ValueError for a negative count or
        one beyond the grid's bound.
        """
