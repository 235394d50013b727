"""Where the time of one frame goes: a latency histogram per stage of the hot path, always on."""

from typing import Final

from hfengine.kernels.histogram import Histogram, now_ns

STAGES: Final = ("decode", "signals", "risk", "order", "frame_to_order", "frame")
"""decode: frame bytes to book; signals, risk, order: that actor's handler; frame_to_order: frame
handed to the engine until the order is handed to the venue; frame: all work one frame causes."""


class Stages:
    """The histograms, and the monotonic time at which the current frame reached the engine."""

    __slots__ = ("decode", "frame", "frame_at_ns", "frame_to_order", "order", "risk", "signals")

    def __init__(self) -> None:
        self.decode = Histogram()
        self.signals = Histogram()
        self.risk = Histogram()
        self.order = Histogram()
        self.frame_to_order = Histogram()
        self.frame = Histogram()
        self.frame_at_ns = now_ns()

    def quantiles(self) -> dict[str, dict[str, int]]:
        """Return {stage: {p50, p99, p999, max, count}} in nanoseconds, empty stages left out."""
        table: dict[str, dict[str, int]] = {}
        for stage in STAGES:
            histogram: Histogram = getattr(self, stage)
            if histogram.count:
                table[stage] = {
                    "p50": histogram.quantile(0.5),
                    "p99": histogram.quantile(0.99),
                    "p999": histogram.quantile(0.999),
                    "max": histogram.max_ns,
                    "count": histogram.count,
                }
        return table
