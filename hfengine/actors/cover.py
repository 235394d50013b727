"""How long any quantity of a position stood without a stop at the exchange (I2).

A fill's quantity is uncovered from the moment the venue says it happened. A stop that comes covers
the quantity that has waited longest. A length is measured between two of the venue's times;
patience is measured by our own clock, for the venue's may be wrong.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hfengine.kernels.histogram import Histogram
from hfengine.messages import Fill, PositionChanged

NOTHING = Decimal(0)


@dataclass(slots=True)
class Lot:
    """A quantity without cover: since when by the venue's clock, noticed when by ours."""

    since_ns: int
    noticed_ns: int
    quantity: Decimal
    is_counted: bool
    """Whether the position as told contains it."""


class CoverClock:
    """What of one symbol's position is uncovered, and since when."""

    __slots__ = ("_lots", "_quantity")

    def __init__(self) -> None:
        self._lots: list[Lot] = []
        self._quantity = NOTHING

    @property
    def noticed_ns(self) -> int | None:
        """When the quantity that waits longest was noticed, None while all is covered."""
        return min((lot.noticed_ns for lot in self._lots), default=None)

    def fill(self, fill: Fill, position: PositionChanged | None, now_ns: int) -> None:
        """Take the fill of an entry; one older than the position as told is in it already."""
        if position is not None and position.quantity and fill.at_ns <= position.at_ns:
            return
        self._lots.append(Lot(fill.at_ns, now_ns, fill.quantity, is_counted=False))

    def hear(self, position: PositionChanged, now_ns: int) -> list[int]:
        """Take a position; return how long each quantity waited that waits no more, in ns."""
        uncounted = sum((lot.quantity for lot in self._lots if not lot.is_counted), NOTHING)
        has_all = position.quantity >= self._quantity + uncounted
        self._quantity = position.quantity
        for lot in self._lots:
            # what was told before the fill says nothing about it
            if has_all or not position.quantity or lot.since_ns <= position.at_ns:
                lot.is_counted = True
        waiting = sum((lot.quantity for lot in self._lots if lot.is_counted), NOTHING)
        uncovered = position.quantity - position.covered
        if uncovered > waiting:
            at_ns = position.at_ns
            self._lots.append(Lot(at_ns, now_ns, uncovered - waiting, is_counted=True))
            return []
        return self._take(waiting - uncovered, position.at_ns)

    def _take(self, covered: Decimal, at_ns: int) -> list[int]:
        """Take off what is covered now, the longest waiting first."""
        waits_ns = []
        for lot in sorted(self._lots, key=lambda lot: lot.since_ns):
            if not covered:
                break
            if not lot.is_counted:
                continue
            part = min(lot.quantity, covered)
            covered -= part
            lot.quantity -= part
            waits_ns.append(max(0, at_ns - lot.since_ns))
        self._lots = [lot for lot in self._lots if lot.quantity]
        return waits_ns


class CoverTimes:
    """The distribution of those lengths over all positions of a run."""

    __slots__ = ("_gaps", "_histogram", "_worst_ns")

    def __init__(self) -> None:
        self._histogram = Histogram()
        self._gaps = 0
        self._worst_ns = 0

    def ended(self, wait_ns: int) -> None:
        """Count a quantity that was covered, or closed, after so long."""
        # the histogram begins at one nanosecond
        self._histogram.record(max(1, wait_ns))
        self._gaps += wait_ns > 0
        self.lasts(wait_ns)

    def lasts(self, wait_ns: int) -> None:
        """Note how long a quantity has waited that waits still."""
        self._worst_ns = max(self._worst_ns, wait_ns)

    def report(self) -> dict[str, Any]:
        """Return the worst wait, gaps of any length included that last still, and the quantiles."""
        histogram = self._histogram
        return {
            "uncovered_max_ms": self._worst_ns / 1e6,
            "cover": {
                "quantities": histogram.count,
                "gaps": self._gaps,
                "p50_ms": histogram.quantile(0.5) / 1e6,
                "p99_ms": histogram.quantile(0.99) / 1e6,
                "max_ms": (histogram.max_ns if self._gaps else 0) / 1e6,
            },
        }
