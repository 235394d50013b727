"""Sides of a public book as lists of levels: what leads from one to the next, in compiled code."""

def changes(
    old: list[tuple[int, int]], new: list[tuple[int, int]], side: int
) -> list[tuple[int, int]]:
    """Return the levels (ticks, steps) that lead from one side of a book to another, best first.

    Both are best first without a price twice; side +1 is bids, -1 asks. A level that is gone comes
    with 0 steps. Raises TypeError where a level is no tuple of integers.
    """
