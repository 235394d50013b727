"""An asyncio loop on virtual time: it jumps to the next timer, or walks there at a set speed."""

import asyncio
import heapq
import selectors
from collections import deque
from collections.abc import Callable
from contextvars import Context
from math import inf
from typing import Any, TypeVarTuple, Unpack

from hfengine.clock import VirtualClock, mono_ns

Ts = TypeVarTuple("Ts")

NS_PER_S = 1e9
WAIT_MAX_S = 3600.0
"""Longest single wait of a paced loop; a longer one is waited for in parts."""

COMPACT_AT_TIMERS = 128
"""Cancelled timers are swept out when there are this many and they are the majority."""


class VirtualDeadlock(RuntimeError):
    """Nothing is ready, no timer is due ever, and nothing outside could wake the loop."""


class _Timer(asyncio.TimerHandle):
    """A timer on whole nanoseconds; of two due at once the one set first fires first."""

    __slots__ = ("due_ns", "order")

    due_ns: int
    order: int

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, _Timer):
            return NotImplemented
        return (self.due_ns, self.order) < (other.due_ns, other.order)


def ns_at_least(seconds: float) -> int:
    """Return whole ns that are not less than `seconds` once they are float seconds again.

    Exact for every k / 1e9 below 2**51 ns (26 days), never early and monotone everywhere.
    """
    whole_ns = round(seconds * NS_PER_S)
    step_ns = 1
    while whole_ns / NS_PER_S < seconds:
        # above 2**53 ns a single nanosecond is lost in the division
        whole_ns += step_ns
        step_ns *= 2
    return whole_ns


class VirtualLoop(asyncio.SelectorEventLoop):
    """A selector loop whose `time()` is a `VirtualClock`'s, in s since the loop was made.

    `speed` None jumps to the next timer whenever nothing is ready; a number waits first, so that
    virtual time passes at that many times real time (1.0, 10.0, …), on a schedule relative to when
    the loop began to run, so that no delay adds up. File descriptors, signals and
    `call_soon_threadsafe` are served at every speed, and without them the order of events is the
    same at every speed. `timers_made` counts the timers set so far: as long as it stands still,
    no timer can have come before the one that was next.

    A jumping loop that has nothing left to do raises `VirtualDeadlock` from `run_forever` and
    `run_until_complete`; `idle_wait_s` is how long (real time) it waits first for another thread
    to call in. A signal handler alone does not count as something to wait for.
    """

    # The parts of BaseSelectorEventLoop that running one iteration needs; typeshed omits them.
    _selector: selectors.BaseSelector
    _ready: deque[asyncio.Handle]
    _scheduled: list[_Timer]
    _stopping: bool
    _timer_cancelled_count: int
    _process_events: Callable[[list[Any]], None]
    _check_closed: Callable[[], None]

    def __init__(
        self, clock: VirtualClock, *, speed: float | None = None, idle_wait_s: float = 0.0
    ) -> None:
        super().__init__()
        if speed is not None and not 0.0 < speed < inf:
            self.close()
            msg = f"speed must be a positive number or None (jump), not {speed}"
            raise ValueError(msg)
        self.clock = clock
        self.speed = speed
        self.idle_wait_s = idle_wait_s
        self._start_ns = clock.now_ns()
        self._anchor_virtual_ns = self._start_ns
        self._anchor_wall_ns = 0
        self.timers_made = 0

    def time(self) -> float:
        """Return the virtual time in s since the loop was made."""
        return (self.clock.now_ns() - self._start_ns) / NS_PER_S

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back `delay` s from now, rounded up to whole ns."""
        due_ns = self.clock.now_ns() + ns_at_least(delay)
        return self.call_at_ns(due_ns, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back when `time()` is `when` s, rounded up to whole ns."""
        due_ns = self._start_ns + ns_at_least(when)
        return self.call_at_ns(due_ns, callback, *args, context=context)

    def call_at_ns(
        self,
        due_ns: int,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back when the clock is at `due_ns` (epoch), or at once if that has passed."""
        self._check_closed()
        when = (due_ns - self._start_ns) / NS_PER_S
        timer = _Timer(when, callback, args, self, context)
        timer.due_ns = due_ns
        timer.order = self.timers_made
        self.timers_made += 1
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]  # counted when cancelled
        return timer

    def next_timer_ns(self) -> int | None:
        """Return when the earliest timer is due (ns, epoch); None without any."""
        self._sweep()
        return self._scheduled[0].due_ns if self._scheduled else None

    def has_ready(self) -> bool:
        """Return whether callbacks wait to run in the next iteration."""
        return bool(self._ready)

    def advance_to(self, now_ns: int) -> None:
        """Move the clock; raises ValueError for a move backwards or past the next timer."""
        due_ns = self.next_timer_ns()
        if due_ns is not None and now_ns > due_ns:
            msg = f"advancing to {now_ns} ns would pass over the timer due at {due_ns} ns"
            raise ValueError(msg)
        self.clock.advance_to(now_ns)

    def run_forever(self) -> None:
        """Run until stopped; a paced loop measures its schedule from here."""
        self._anchor_virtual_ns = self.clock.now_ns()
        self._anchor_wall_ns = mono_ns()
        super().run_forever()

    def _run_once(self) -> None:
        """Poll, advance the clock when nothing is ready, run what is ready now."""
        due_ns = self.next_timer_ns()
        now_ns = self.clock.now_ns()
        if self._ready or self._stopping or (due_ns is not None and due_ns <= now_ns):
            self._poll(0.0)
        elif due_ns is None:
            self._idle()
        elif self.speed is None:
            self._poll(0.0)
            # Polling may have cancelled timers or set earlier ones: look again, then jump.
            if not self._ready and (due_ns := self.next_timer_ns()) is not None:
                self.clock.advance_to(max(due_ns, now_ns))
        else:
            self._walk(due_ns, self.speed)
        self._collect_due()
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()
        # A handle kept by this frame would keep the exception of its callback in a cycle.
        handle = None  # type: ignore[assignment]

    def _poll(self, wait_s: float | None) -> None:
        self._process_events(self._selector.select(wait_s))

    def _walk(self, due_ns: int, speed: float) -> None:
        """Wait for the wall-clock time of a timer, or for whatever comes first."""
        since_ns = due_ns - self._anchor_virtual_ns
        wait_ns = self._anchor_wall_ns + since_ns / speed - mono_ns()
        self._poll(min(max(0.0, wait_ns / NS_PER_S), WAIT_MAX_S))
        walked_ns = int((mono_ns() - self._anchor_wall_ns) * speed)
        # Woken early, virtual time has passed too, but never beyond the timer.
        reached_ns = min(self._anchor_virtual_ns + walked_ns, due_ns)
        self.clock.advance_to(max(reached_ns, self.clock.now_ns()))

    def _idle(self) -> None:
        """Wait for the outside world, where there is one."""
        only_self_pipe = len(self._selector.get_map()) <= 1
        if self.speed is not None or not only_self_pipe:
            self._poll(None)
            return
        self._poll(self.idle_wait_s)
        if not self._ready and self.next_timer_ns() is None:
            msg = (
                "virtual time cannot go on: no callback is ready, no timer is set and no socket is"
                " open, so what is awaited can never happen (if another thread was to call in, set"
                " idle_wait_s)"
            )
            raise VirtualDeadlock(msg)

    def _collect_due(self) -> None:
        now_ns = self.clock.now_ns()
        scheduled = self._scheduled
        while scheduled and scheduled[0].due_ns <= now_ns:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]
            self._ready.append(timer)

    def _sweep(self) -> None:
        """Drop cancelled timers from the front, and all of them when they are the majority."""
        scheduled = self._scheduled
        if len(scheduled) > COMPACT_AT_TIMERS and self._timer_cancelled_count * 2 > len(scheduled):
            for timer in scheduled:
                timer._scheduled = not timer.cancelled()  # type: ignore[attr-defined]
            scheduled[:] = [timer for timer in scheduled if not timer.cancelled()]
            heapq.heapify(scheduled)
            self._timer_cancelled_count = 0
        while scheduled and scheduled[0].cancelled():
            timer = heapq.heappop(scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count -= 1
