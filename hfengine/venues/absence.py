"""A local venue that is gone: unlike an exchange it does not come back by itself."""

from collections.abc import Awaitable, Callable
from typing import Final

from hfengine.clock import Clock
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.venues.port import Ended

LOOK_S: Final = 1.0
GONE_MAX_S: Final = 10.0
"""Long enough to start a venue again that keeps its state in a file."""


class Absence:
    """Looks whether a venue still answers; says once when it has not for `GONE_MAX_S`."""

    def __init__(self, read: Callable[[], Awaitable[object]], clock: Clock, ended: Ended) -> None:
        self._read = read
        self._clock = clock
        self._ended = ended
        self._since_ns = 0
        self._looking = False

    async def look(self) -> None:
        """Look once; a look under way is not joined by a second one."""
        if self._looking:
            return
        self._looking = True
        asked_ns = self._clock.now_ns()
        try:
            await self._read()
        except VenueRejected:
            # a refusal is an answer
            self._since_ns = 0
        except (VenueUnknown, VenueUnavailable) as error:
            self._since_ns = self._since_ns or asked_ns
            if self._clock.now_ns() - self._since_ns >= GONE_MAX_S * 1e9:
                self._ended(f"the local venue has not answered for {GONE_MAX_S:g} s: {error}")
        else:
            self._since_ns = 0
        finally:
            self._looking = False
