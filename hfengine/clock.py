"""Time, as a seam: wall and monotonic clocks are read here and nowhere else."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the engine calls time: nanoseconds since the Unix epoch, never backwards."""

    def now_ns(self) -> int:
        """Return the current time in nanoseconds since the epoch."""


class WallClock:
    """Real time, made monotone: steps of the system clock backwards are not followed."""

    __slots__ = ("_last_ns",)

    def __init__(self) -> None:
        self._last_ns = 0

    def now_ns(self) -> int:
        """Return the system's time in ns since the epoch, at least the last one returned."""
        now_ns = time.time_ns()
        self._last_ns = max(self._last_ns, now_ns)
        return self._last_ns


class VirtualClock:
    """Time that moves only when told to: replay, simulation and tests."""

    __slots__ = ("_now_ns", "start_ns")

    def __init__(self, start_ns: int) -> None:
        self.start_ns = start_ns
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the virtual time in ns since the epoch."""
        return self._now_ns

    def advance_to(self, now_ns: int) -> None:
        """Move to `now_ns`; raises ValueError when that lies in the past."""
        if now_ns < self._now_ns:
            msg = f"virtual time cannot go back from {self._now_ns} to {now_ns} ns"
            raise ValueError(msg)
        self._now_ns = now_ns


def mono_ns() -> int:
    """Return a monotonic reading in ns: for durations of real work, never for decisions."""
    return time.perf_counter_ns()
