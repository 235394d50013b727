"""The turn of a plain market frame in compiled code: decoded, its new top told."""

from collections.abc import Callable, Mapping
from typing import Any

from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from hfengine.kernels.codec import BinanceCodec
from hfengine.kernels.histogram import Histogram

IMBALANCE_LEVELS: int
"""Levels a side over which the imbalance of a top is taken."""
UNSEATED: int
"""The symbol has no feed of frames here: nothing was decoded."""
TOLD: int
"""All a frame says was told."""

class _Stages:
    socket: Histogram
    decode: Histogram
    book: Histogram
    frame_at_ns: int
    read_at_ns: int

class TopFeed:
    """One symbol's codec and book, and which top was told last; see the dialects below.

    A tick is made by calling a tick class with symbol, time of arrival in ns, the venue's time in
    ms, update id, bid, bid quantity, ask, ask quantity and imbalance.
    """

    told_synced: bool
    """What was told last of the book's being in sync."""
    contradicted: bool
    """Whether the venue's own best quote is not the book's best level: set by `top`."""

    @property
    def symbol(self) -> str: ...
    @property
    def book(self) -> Book: ...
    def top(self, at_ns: int) -> Any | None:
        """Return the newest top as a tick, None when none or when it was told already."""

class BybitTopFeed(TopFeed):
    """A top is new where its update id is another one: ids begin again when the venue restarts."""

    def __init__(self, symbol: str, codec: BybitCodec, tick_class: Callable[..., Any]) -> None: ...
    @property
    def codec(self) -> BybitCodec: ...

class BinanceTopFeed(TopFeed):
    """A top is new where its update id is greater; quotes of the venue's own are compared."""

    def __init__(
        self, symbol: str, codec: BinanceCodec, tick_class: Callable[..., Any]
    ) -> None: ...
    @property
    def codec(self) -> BinanceCodec: ...

class FrameTurn:
    """Takes the frames of many symbols, timing what it does in `stages`.

    `feeds` may hold others than TopFeed: their frames are UNSEATED. `heard_ns` is written: symbol
    -> when the newest frame came. `publish` is told each new top, `rest` what else a frame says.
    """

    def __init__(
        self,
        feeds: Mapping[str, Any],
        heard_ns: dict[str, int],
        stages: Any,
        publish: Callable[[Any], None],
        rest: Callable[[Any, int], None],
    ) -> None: ...
    def handle(self, frame: Any) -> None:
        """Take a frame; `rest` hears of one that is not TOLD, and how its decoding ended."""

    def take(self, frame: Any) -> int:
        """Take a frame (symbol, received_ns, payload); return TOLD, UNSEATED or its decoding.

        That is the codec's kind or fault where something is left to be said: a fault, a change of
        being in sync, trades, a mark, a contradicted book. Raises what decoding or telling raises.
        """

    @property
    def frames(self) -> int:
        """Return how many frames were taken."""

    @property
    def heard_ns(self) -> dict[str, int]: ...
