"""Timers in whole nanoseconds: exact on a virtual loop, the loop's own grain on others."""

import asyncio
from collections.abc import Callable

from hfengine.runtime.virtual_loop import VirtualLoop


class TimerHandle:
    """One timer of an actor; `cancel` may be called any number of times."""

    __slots__ = ("_armed", "cancelled", "due_ns")

    def __init__(self, due_ns: int) -> None:
        self.due_ns = due_ns
        self.cancelled = False
        self._armed: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """Make sure that the timer does not fire (again)."""
        self.cancelled = True
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None


class Timers:
    """The timers of one owner, cancelled together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._alive: set[TimerHandle] = set()

    def __len__(self) -> int:
        return len(self._alive)

    def now_ns(self) -> int:
        """Return the loop's time in ns, on the scale of `TimerHandle.due_ns`."""
        loop = self._loop
        return loop.clock.now_ns() if isinstance(loop, VirtualLoop) else round(loop.time() * 1e9)

    def after(self, delay_ns: int, fire: Callable[[], None]) -> TimerHandle:
        """Call `fire` once, `delay_ns` from now; raises ValueError for a negative delay."""
        if delay_ns < 0:
            msg = f"a timer cannot be due in the past: delay_ns is {delay_ns}"
            raise ValueError(msg)
        handle = TimerHandle(self.now_ns() + delay_ns)

        def expire() -> None:
            self._alive.discard(handle)
            handle._armed = None
            fire()

        self._alive.add(handle)
        self._arm(handle, expire)
        return handle

    def every(self, period_ns: int, fire: Callable[[], None]) -> TimerHandle:
        """Call `fire` at start + k · `period_ns`, k = 1, 2, …; calls that come late coalesce.

        Raises ValueError for a period that is not positive.
        """
        if period_ns <= 0:
            msg = f"a timer's period must be positive: period_ns is {period_ns}"
            raise ValueError(msg)
        start_ns = self.now_ns()
        handle = TimerHandle(start_ns + period_ns)

        def expire() -> None:
            # A loop with coarse time may be early: the next time is then one period after the due
            # one, not the due one again.
            passed = (max(self.now_ns(), handle.due_ns) - start_ns) // period_ns
            handle.due_ns = start_ns + (passed + 1) * period_ns
            self._arm(handle, expire)
            fire()

        self._alive.add(handle)
        self._arm(handle, expire)
        return handle

    def cancel_all(self) -> None:
        """Cancel every timer."""
        for handle in self._alive:
            handle.cancel()
        self._alive.clear()

    def _arm(self, handle: TimerHandle, expire: Callable[[], None]) -> None:
        loop = self._loop
        if isinstance(loop, VirtualLoop):
            handle._armed = loop.call_at_ns(handle.due_ns, expire)
        else:
            handle._armed = loop.call_at(handle.due_ns / 1e9, expire)
