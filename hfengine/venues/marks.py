"""A mark price for recordings that hold none: the mid, smoothed over a second.

Real venues take the mark from several spot indices and a premium average; what matters here is
that mark, index and last stay three different prices and that a lone print does not move the mark.
"""

from math import exp

SMOOTHING_S = 1.0
PERIOD_NS = 1_000_000_000


class DerivedMark:
    """Exponentially smoothed mid of one symbol, emitted once a second."""

    __slots__ = ("_at_ns", "_due_ns", "_mark")

    def __init__(self) -> None:
        self._mark = 0.0
        self._at_ns = 0
        self._due_ns = 0

    def update(self, at_ns: int, mid: float) -> float | None:
        """Take a mid price; return the mark when a second is over, else None."""
        if self._at_ns == 0:
            self._mark = mid
        else:
            weight = 1.0 - exp(-(at_ns - self._at_ns) / (SMOOTHING_S * 1e9))
            self._mark += weight * (mid - self._mark)
        self._at_ns = at_ns
        if at_ns < self._due_ns:
            return None
        self._due_ns = at_ns + PERIOD_NS
        return self._mark
