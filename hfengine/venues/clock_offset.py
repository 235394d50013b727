"""How far the venue's clock is from ours: measured, kept fresh, and a reason to stop entries.

The estimate is that of the quickest of several readings: its error is at most half its round trip.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from hfengine.clock import Clock
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown

READINGS: Final = 5
REFRESH_S: Final = 60.0
SOURCE: Final = "clock"


class ClockOffset:
    """The venue's time minus ours, in ms."""

    def __init__(
        self,
        read_ms: Callable[[], Awaitable[int]],
        *,
        clock: Clock,
        offset_max_ms: float,
        changed: Callable[[int], None],
        halt: Callable[[str, str], None],
        resume: Callable[[str], None],
    ) -> None:
        """Take the call that reads the venue's time, and who is to hear.

        `changed` hears every new offset, `halt` of one beyond `offset_max_ms`, `resume` of its end.
        """
        self.offset_ms = 0
        self.round_trip_ms = 0.0
        self.readings = 0
        self._read_ms = read_ms
        self._clock = clock
        self._offset_max_ms = offset_max_ms
        self._changed = changed
        self._halt = halt
        self._resume = resume
        self._under_way: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Measure anew; one measurement serves all who ask meanwhile.

        Raises VenueUnavailable when not a single reading came.
        """
        if self._under_way is not None and self._under_way is asyncio.current_task():
            # the reading itself was refused for its time: it cannot wait for its own end
            msg = "the venue refuses to tell its time to a clock that differs from its own"
            raise VenueUnavailable(msg)
        if self._under_way is None:
            task = asyncio.get_running_loop().create_task(self._measure(), name="clock offset")
            self._under_way = task
            task.add_done_callback(self._measured)
        # one asker's end is not everybody's
        await asyncio.shield(self._under_way)

    async def stop(self) -> None:
        """End a measurement under way."""
        task = self._under_way
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _measured(self, task: asyncio.Task[None]) -> None:
        self._under_way = None
        if not task.cancelled():
            # whoever waits has it too; read here so that it is never lost unread
            task.exception()

    async def _measure(self) -> None:
        best: tuple[int, int] | None = None
        failure: Exception | None = None
        for _ in range(READINGS):
            sent_ns = self._clock.now_ns()
            try:
                venue_ms = await self._read_ms()
            except (VenueRejected, VenueUnknown, VenueUnavailable) as error:
                failure = error
                continue
            trip_ns = self._clock.now_ns() - sent_ns
            offset_ns = venue_ms * 1_000_000 - (sent_ns + trip_ns // 2)
            if best is None or trip_ns < best[0]:
                best = trip_ns, offset_ns
        if best is None:
            msg = f"the venue's clock cannot be read: {failure}"
            raise VenueUnavailable(msg) from failure
        self.readings += 1
        self._take(*best)

    def _take(self, trip_ns: int, offset_ns: int) -> None:
        self.round_trip_ms = trip_ns / 1e6
        self.offset_ms = round(offset_ns / 1e6)
        self._changed(self.offset_ms)
        if abs(self.offset_ms) > self._offset_max_ms:
            reason = (
                f"the venue's clock is {self.offset_ms} ms from ours, allowed are "
                f"{self._offset_max_ms:g}: set this machine's clock"
            )
            self._halt(SOURCE, reason)
        else:
            self._resume(SOURCE)
