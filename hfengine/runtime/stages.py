"""Where the time of one frame goes: a latency histogram per stage of the hot path, always on."""

from typing import Final

from hfengine.kernels.histogram import Histogram, now_ns

STAGES: Final = (
    "socket",
    "decode",
    "book",
    "signals",
    "risk",
    "order",
    "write",
    "frame_to_order",
    "frame",
)
"""socket: bytes read until the frame reaches its decoder; decode: frame bytes to book; book: the
new top told to whoever hears it; signals, risk: that actor's handler; order: bracket to bytes, the
hand-over to the socket included; write: that hand-over alone; frame_to_order: bytes read until the
order's bytes are handed over; frame: all work one frame causes. A replay has no socket, and the
exchange in this process no write."""


class Stages:
    """The histograms, and the monotonic time at which the current frame reached the engine."""

    __slots__ = (*STAGES, "frame_at_ns", "read_at_ns")

    def __init__(self) -> None:
        self.socket = Histogram()
        self.decode = Histogram()
        self.book = Histogram()
        self.signals = Histogram()
        self.risk = Histogram()
        self.order = Histogram()
        self.write = Histogram()
        self.frame_to_order = Histogram()
        self.frame = Histogram()
        self.frame_at_ns = now_ns()
        self.read_at_ns = 0
        """When the current frame's bytes were read; 0 where there is no socket."""

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
