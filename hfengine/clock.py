"""Time, as a seam: wall and monotonic clocks are read here and nowhere else."""

import time
from typing import Protocol

from hfengine.kernels.clocks import VirtualClock, WallClock

__all__ = ["Clock", "VirtualClock", "WallClock", "mono_ns"]


class Clock(Protocol):
    """What the engine calls time: nanoseconds since the Unix epoch, never backwards."""

    def now_ns(self) -> int:
        """Return the current time in nanoseconds since the epoch."""


def mono_ns() -> int:
    """Return a monotonic reading in ns: for durations of real work, never for decisions."""
    return time.perf_counter_ns()
