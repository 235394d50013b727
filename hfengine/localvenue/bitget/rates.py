"""Rate limits: so many requests a second of one endpoint, and 6000 a minute of one address."""

from typing import Final

from hfengine.localvenue.bitget.errors import TOO_MANY_REQUESTS, Refused

HEADER: Final = "x-mbx-used-remain-limit"
"""What is left of an endpoint's limit in this second."""

PUBLIC_PER_SECOND: Final = 20
PRIVATE_PER_SECOND: Final = 10
ADDRESS_PER_MINUTE: Final = 6000
ADDRESS_PAUSE_MS: Final = 300_000
"""How long an address that sent too much gets nothing else."""


def too_many() -> Refused:
    """Return the refusal of a request above a limit."""
    return Refused(TOO_MANY_REQUESTS, "Too Many Requests", 429)


class Rates:
    """What every user or address used of its limits, in whole seconds of the venue's clock."""

    def __init__(self) -> None:
        self._second_ms = -1
        self._used: dict[tuple[str, str], int] = {}
        self._minute_ms = -1
        self._seen: dict[str, int] = {}
        self._paused_until_ms: dict[str, int] = {}

    def admit(self, remote: str, now_ms: int) -> None:
        """Count a request of an address; raises Refused while it has sent too much."""
        if now_ms < self._paused_until_ms.get(remote, 0):
            raise too_many()
        minute_ms = now_ms - now_ms % 60_000
        if minute_ms != self._minute_ms:
            self._minute_ms = minute_ms
            self._seen.clear()
        seen = self._seen.get(remote, 0) + 1
        self._seen[remote] = seen
        if seen > ADDRESS_PER_MINUTE:
            self._paused_until_ms[remote] = now_ms + ADDRESS_PAUSE_MS
            raise too_many()

    def spend(self, who: str, path: str, limit: int, now_ms: int) -> int:
        """Use one request of an endpoint up and return what is left; raises Refused."""
        second_ms = now_ms - now_ms % 1000
        if second_ms != self._second_ms:
            self._second_ms = second_ms
            self._used.clear()
        used = self._used.get((who, path), 0) + 1
        if used > limit:
            raise too_many()
        self._used[who, path] = used
        return limit - used
