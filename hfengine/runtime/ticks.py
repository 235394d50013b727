"""Something done at an interval on a loop, so that no frame has to wait for the timer behind it."""

import asyncio
from collections.abc import Callable
from typing import Final

from hfengine.kernels.histogram import now_ns
from hfengine.kernels.ticker import Ticker
from hfengine.runtime.loops import LiveLoop, SpinningLoop

SPIN_SHARE: Final = 4
"""On a loop that spins the ticks are so many times as frequent: its core has nothing else to do."""


class Ticks:
    """Calls `tick` every `every_s` seconds from `begin` to `end`; missed ones stay missed.

    A spinning loop looks at the time in every turn, for its timers are too coarse. A sleeping one
    waits for a file, because a frame that wakes it would first have to disarm the timer. Virtual
    loops, and systems without such files, have the loop's own timer.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, every_s: float, tick: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._every_s = every_s
        self._every_ns = round(every_s * 1e9)
        self._tick = tick
        self._due_ns = 0
        self._timer: asyncio.Handle | None = None
        self._file: Ticker | None = None

    def begin(self) -> None:
        """Tick from one interval on."""
        loop = self._loop
        if isinstance(loop, SpinningLoop):
            self._due_ns = now_ns() + self._every_ns // SPIN_SHARE
            self._timer = loop.call_later(self._every_s, self._look)
        elif isinstance(loop, LiveLoop) and (file := _ticker(self._every_ns)) is not None:
            self._file = file
            loop.add_reader(file, self._wake)
        else:
            self._timer = loop.call_later(self._every_s, self._again)

    def end(self) -> None:
        """Tick no more; safe to call twice and inside a tick."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._file is not None:
            self._loop.remove_reader(self._file)
            self._file.close()
            self._file = None

    def _look(self) -> None:
        self._timer = self._loop.call_soon(self._look)
        at_ns = now_ns()
        if at_ns >= self._due_ns:
            self._due_ns = at_ns + self._every_ns // SPIN_SHARE
            self._tick()

    def _wake(self) -> None:
        if self._file is not None and self._file.take():
            self._tick()

    def _again(self) -> None:
        self._timer = self._loop.call_later(self._every_s, self._again)
        self._tick()


def _ticker(every_ns: int) -> Ticker | None:
    try:
        return Ticker(max(1, every_ns))
    except OSError:
        return None
