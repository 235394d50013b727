"""A fixed-point price-level order book in compiled code."""

from typing import Final

DEPTH_MAX: Final[int]

class Book:
    """Hold the levels of one instrument as integer ticks and steps, best level cheapest to reach.

    Prices are ``ticks * tick``, quantities ``steps * step``, both exact; floats are the nearest
    doubles to the decimal numbers. Side is +1 for bids and -1 for asks. Each side holds at most
    ``DEPTH_MAX`` levels; past that the level farthest from the touch is dropped and counted.
    """

    update_id: int

    def __init__(self, tick: str, step: str) -> None:
        """Set the grid from exact decimal strings.

        Raises ValueError when one is not a positive decimal of at most 15 decimals below 1e15.
        """

    @property
    def tick(self) -> float: ...
    @property
    def step(self) -> float: ...
    @property
    def dropped(self) -> int:
        """Count the levels lost because a side was full."""

    @property
    def bid_ticks(self) -> int:
        """Return the best bid in ticks, 0 when there is none."""

    @property
    def bid_steps(self) -> int: ...
    @property
    def ask_ticks(self) -> int:
        """Return the best ask in ticks, 0 when there is none."""

    @property
    def ask_steps(self) -> int: ...
    @property
    def bid(self) -> float:
        """Return the best bid price, nan when there is none."""

    @property
    def bid_quantity(self) -> float: ...
    @property
    def ask(self) -> float:
        """Return the best ask price, nan when there is none."""

    @property
    def ask_quantity(self) -> float: ...
    @property
    def mid(self) -> float:
        """Return the mean of best bid and ask, nan when a side is empty."""

    @property
    def microprice(self) -> float:
        """Return the touch weighted by the opposite quantity, nan when a side is empty."""

    @property
    def spread_bps(self) -> float:
        """Return (ask - bid) / mid in basis points, nan when a side is empty."""

    @property
    def crossed(self) -> bool:
        """Tell whether the best bid is at or above the best ask."""

    @property
    def is_empty(self) -> bool:
        """Tell whether either side is empty."""

    def imbalance(self, levels: int) -> float:
        """Return (bid - ask) / (bid + ask) quantity of the best `levels` a side.

        In [-1, 1]; 0 when a side is empty. Raises ValueError when `levels` is below 1.
        """

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """Return up to `count` (price in ticks, quantity in steps) of a side, best first."""

    def quantity_at(self, side: int, ticks: int) -> int:
        """Return the steps resting at a price, 0 when the level does not exist."""

    def depth(self, side: int) -> int:
        """Return how many levels a side holds."""

    def apply(self, side: int, ticks: int, steps: int) -> None:
        """Set the absolute size of a level; 0 steps delete it.

        Raises ValueError unless side is +1 or -1, ticks is positive and steps is not negative.
        """

    def clear(self) -> None:
        """Remove every level and forget the update id; the dropped count stays."""

    def copy_from(self, other: Book) -> None:
        """Take over the levels, update id and dropped count of a book of the same grid.

        Raises ValueError when tick or step differ.
        """
