"""Which of a connection's streams a frame is of, read from its first keys alone."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from hfengine.kernels.listener import Hearer

T = TypeVar("T")
M = TypeVar("M")

class ReadStamp(Protocol):
    """Where the monotonic time of reading a frame is left for its stages."""

    read_at_ns: int

class Router(Generic[T]):
    """Look up what a frame's topic, stream or `s` stands for: a symbol, a stream.

    `routes` maps each of those names, as the venue writes it, to what `route` returns for it.
    """

    def __init__(self, routes: Mapping[str, T]) -> None: ...
    def route(self, payload: bytes) -> T | None:
        """Return what the first `topic`, `stream` or `s` member of the object stands for.

        None when the name is not known or when the front is not plain: another value than an
        object, a list, an object or an escape before that member, or more than 11 members before
        it. What follows the member is not looked at. Raises TypeError unless the payload is bytes.
        """

class Stream:
    """One topic as it lives: when it was last heard."""

    topic: str
    symbol: str
    heard_ns: int
    """The clock's time when its newest frame was read; 0 before the first."""
    def __init__(self, topic: str, symbol: str) -> None: ...

class FrameHearer(Hearer, Generic[M]):
    """Tell what belongs to a known topic, stream or symbol; leave anything else to `other`.

    `routes` is a router's, to streams: raises TypeError for anything else. The monotonic time of
    reading is left in `stages` first. A known payload marks its stream as heard and is told as
    `frame(symbol, received_ns, payload, origin)`.
    """

    tell: Callable[[M], Any]
    """Takes the frames; may be replaced at any time."""
    def __init__(
        self,
        routes: Mapping[str, Stream],
        frame: Callable[[str, int, bytes, str], M],
        tell: Callable[[M], Any],
        stages: ReadStamp,
        origin: str,
        other: Callable[[bytes, int], None],
    ) -> None: ...
