"""What every feed yields: frames and damage, ordered by time."""

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct


class Recorded(Struct, frozen=True, gc=False):
    """One frame and when it arrived; `origin` and `line` (from 1) say where it was recorded."""

    at_ns: int
    symbol: str
    payload: bytes
    origin: str
    line: int


class Damage(Struct, frozen=True, gc=False):
    """Something unreadable in a feed, which goes on after it where it can."""

    at_ns: int
    symbol: str
    fault: str
    origin: str
    line: int
    detail: str


class Feed(Protocol):
    """A source of market data on the clock of the engine: ns since the epoch, never backwards."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols the frames are of."""

    @property
    def start_ns(self) -> int:
        """The time of the first event, or just before it."""

    def events(self) -> Iterator[Recorded | Damage]:
        """Yield what happened, ordered by `at_ns`; each call starts from the beginning."""
