"""Timers of a venue's loop: once, or again and again without drifting."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")
Cancel = Callable[[], None]

PART: Final = 8
"""What `in_parts` does in one turn of the loop."""


def in_parts(
    loop: asyncio.AbstractEventLoop, each: Sequence[T], call: Callable[[T], None], start: int = 0
) -> None:
    """Call for each of many, a few in every turn of the loop: requests are answered between them.

    The first few at once; nothing is called off.
    """
    end = start + PART
    for one in each[start:end]:
        call(one)
    if end < len(each):
        loop.call_soon(in_parts, loop, each, call, end)


class _Repeat:
    """One repeating call."""

    __slots__ = ("_call", "_due_s", "_handle", "_loop", "_period_s")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, period_s: float, call: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._period_s = period_s
        self._call = call
        self._due_s = loop.time() + period_s
        self._handle = loop.call_at(self._due_s, self._fire)

    def cancel(self) -> None:
        """Call no more."""
        self._handle.cancel()

    def _fire(self) -> None:
        self._due_s = max(self._due_s + self._period_s, self._loop.time())
        self._handle = self._loop.call_at(self._due_s, self._fire)
        self._call()


class Timers:
    """Every timer of one world, so that its end ends them all."""

    __slots__ = ("_loop", "_repeats")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._repeats: dict[object, Cancel] = {}

    def later(self, delay_s: float, call: Callable[[], None]) -> Cancel:
        """Call once; returns what calls it off."""
        token = object()

        def fire() -> None:
            self._repeats.pop(token, None)
            call()

        handle = self._loop.call_later(delay_s, fire)
        return self._keep(token, handle.cancel)

    def every(self, period_s: float, call: Callable[[], None]) -> Cancel:
        """Call every `period_s`; beats that were missed are not made up for."""
        return self._keep(object(), _Repeat(self._loop, period_s, call).cancel)

    def close(self) -> None:
        """Call everything off."""
        for cancel in list(self._repeats.values()):
            cancel()

    def _keep(self, token: object, end: Cancel) -> Cancel:
        def cancel() -> None:
            self._repeats.pop(token, None)
            end()

        self._repeats[token] = cancel
        return cancel
