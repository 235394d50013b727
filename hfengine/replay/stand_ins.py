"""What stands in for the world while a session is run again: clock, venue, store, market data."""

from collections.abc import Callable, Generator
from typing import Any

from hfengine.actors.wiring import WiredActor


class RecordedClock:
    """Says the time of the record that is being run."""

    def __init__(self, now_ns: int) -> None:
        self.at_ns = now_ns

    def now_ns(self) -> int:
        """Return the time of the turn, in ns since the epoch."""
        return self.at_ns


class Unanswered:
    """The answer to a request that was never sent: what it was is in the record."""

    def __await__(self) -> Generator[Any, None, Any]:
        """Fail: nothing waits for answers in a replay."""
        msg = "a replay asks no venue"
        raise RuntimeError(msg)

    def close(self) -> None:
        """Forget the request."""


class RecordedVenue:
    """Takes every request and answers none; tells the player that it was called."""

    def __init__(self, called: Callable[[], None]) -> None:
        self._called = called

    def __getattr__(self, name: str) -> Callable[..., Unanswered]:
        """Return any request of the venue port."""
        if name.startswith("__"):
            raise AttributeError(name)

        def request(*_arguments: Any, **_named: Any) -> Unanswered:
            self._called()
            return Unanswered()

        return request


class RecordedStore:
    """Keeps nothing, and is lost when the recorded one was."""

    def __init__(self, fault: Callable[[], str]) -> None:
        self._fault = fault

    def put(self, key: str, body: bytes) -> None:
        """Forget it."""

    def add(self, series: str, at_ns: int, row: bytes) -> None:
        """Forget it."""

    @property
    def fault(self) -> str:
        """Return what was wrong with the recorded store at this point."""
        return self._fault()


class MarketData(WiredActor):
    """Has the place of the actor whose messages are input, and says nothing."""

    def on_receive(self, message: Any) -> None:
        """Forget it."""
