"""A synthetic or recorded market, paced to real time: never early, and late without a loss."""

import asyncio
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from hfengine.clock import Clock, mono_ns
from hfengine.feeds.source import Damage, Feed, Recorded
from hfengine.instruments import Instrument
from hfengine.kernels.book import Book
from hfengine.kernels.codec import DEPTH, MARK, QUOTE, SNAPSHOT, TRADE, BinanceCodec
from hfengine.localvenue.source import Sink
from hfengine.localvenue.still import FUNDING_RATE
from hfengine.venues.marks import DerivedMark
from hfengine.venues.touch import TouchBook

TURN_NS: Final = 1_000_000
"""Longest stretch of one turn of the loop that the market takes while it is behind."""

LOOK_EVERY: Final = 16
"""Frames between two looks at the stopwatch."""

WARM_UP_MAX_NS: Final = 10_000_000_000
"""Feed time played at once at the start, until every symbol has a mark and a last price."""

LOOK_NS_MAX: Final = 500_000
"""What such a run of frames counts for at most: longer, and the system had taken the core away."""

MARK_SAMPLE_NS: Final = 100_000_000


class _Kept:
    """What is kept of one symbol of the feed."""

    __slots__ = ("book", "codec", "derived", "is_marked", "is_traded", "sample_ns", "tenth")

    def __init__(self, symbol: str, instrument: Instrument) -> None:
        self.book = Book(str(instrument.price_tick), str(instrument.quantity_step))
        self.codec = BinanceCodec(symbol, self.book)
        self.derived: DerivedMark | None = DerivedMark()
        self.sample_ns = 0
        self.is_marked = self.is_traded = False
        self.tenth = instrument.price_tick / 10


class Paced:
    """Plays a feed at `speed` times real time; after its end it begins again.

    Marks are the feed's own, or derived from the mid where it has none.
    """

    def __init__(
        self,
        name: str,
        feed: Feed,
        instruments: Mapping[str, Instrument],
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        speed: float = 1.0,
    ) -> None:
        if speed <= 0:
            msg = f"the speed of a market must be above 0, not {speed}"
            raise ValueError(msg)
        self.name = name
        self.frames = 0
        self.rounds = 0
        self.late_ms = 0.0
        """How far the market is behind its schedule right now."""
        self.warm_up_ns = 0
        """Feed time that was played before the clock began to count."""
        self._feed = feed
        self._kept = {symbol: _Kept(symbol, one) for symbol, one in instruments.items()}
        self._loop = loop
        self._clock = clock
        self._speed = speed
        self._sink: Sink | None = None
        self._events: Iterator[Recorded | Damage] = iter(())
        self._head: Recorded | Damage | None = None
        self._feed_start_ns = self._start_ns = 0
        self._handle: asyncio.Handle | None = None

    def start(self, sink: Sink) -> None:
        """Attach the books, play until there are prices, and the rest when it is due."""
        self._sink = sink
        for symbol, kept in self._kept.items():
            sink.attach(symbol, TouchBook(kept.codec, kept.book))
        self._rewind()
        self._warm_up(sink)
        self._handle = self._loop.call_soon(self._pump)

    def stop(self) -> None:
        """Play no further."""
        self._sink = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _rewind(self) -> None:
        self.rounds += 1
        self._events = iter(self._feed.events())
        self._head = next(self._events, None)
        self._feed_start_ns = 0 if self._head is None else self._head.at_ns
        self._start_ns = self._clock.now_ns()
        for kept in self._kept.values():
            kept.codec.resync()
            kept.derived, kept.sample_ns = DerivedMark(), 0

    def _warm_up(self, sink: Sink) -> None:
        waiting = set(self._kept)
        head = self._head
        while head is not None and waiting:
            self.warm_up_ns = head.at_ns - self._feed_start_ns
            if self.warm_up_ns > WARM_UP_MAX_NS:
                break
            self._take(sink, head)
            kept = self._kept.get(head.symbol)
            if kept is not None and kept.is_marked and kept.is_traded:
                waiting.discard(head.symbol)
            head = self._head = next(self._events, None)
        self._start_ns -= int(self.warm_up_ns / self._speed)

    def _pump(self) -> None:
        """Take what is due, at most about a millisecond of it, and come again for the rest."""
        looked_ns, spent_ns = mono_ns(), 0
        sink = self._sink
        if sink is None:
            return
        played_ns = int((self._clock.now_ns() - self._start_ns) * self._speed)
        until_ns = self._feed_start_ns + played_ns
        count = 0
        head = self._head
        while head is not None and head.at_ns <= until_ns:
            self._take(sink, head)
            head = self._head = next(self._events, None)
            count += 1
            if count % LOOK_EVERY:
                continue
            now_ns = mono_ns()
            spent_ns += min(now_ns - looked_ns, LOOK_NS_MAX)
            looked_ns = now_ns
            if spent_ns > TURN_NS:
                self.late_ms = 0.0 if head is None else (until_ns - head.at_ns) / 1e6
                self._handle = self._loop.call_soon(self._pump)
                return
        self.late_ms = 0.0
        if head is None:
            if self.frames == 0:
                sink.report("the feed holds nothing to play")
                return
            self._rewind()
            head = self._head
        wait_ns = 0 if head is None else head.at_ns - until_ns
        self._handle = self._loop.call_later(max(wait_ns / self._speed / 1e9, 0.001), self._pump)

    def _take(self, sink: Sink, event: Recorded | Damage) -> None:
        if isinstance(event, Damage):
            sink.report(f"{event.origin} line {event.line}: {event.fault} ({event.detail})")
            return
        kept = self._kept.get(event.symbol)
        if kept is None:
            return
        self.frames += 1
        codec = kept.codec
        kind = codec.decode(event.payload)
        if kind == TRADE:
            kept.is_traded = True
            sink.on_trade(event.symbol, codec.trade_ticks, codec.trade_steps, codec.trade_side)
        elif kind in (QUOTE, DEPTH, SNAPSHOT):
            if event.at_ns >= kept.sample_ns:
                self._derive_mark(sink, event.symbol, kept, event.at_ns)
            sink.on_book(event.symbol)
        elif kind == MARK:
            kept.derived = None
            kept.is_marked = True
            sink.on_mark(
                event.symbol,
                Decimal(repr(codec.mark_price)),
                Decimal(repr(codec.index_price)),
                Decimal(repr(codec.funding_rate)),
            )

    def _derive_mark(self, sink: Sink, symbol: str, kept: _Kept, at_ns: int) -> None:
        kept.sample_ns = at_ns + MARK_SAMPLE_NS
        codec = kept.codec
        if kept.derived is None or not codec.top_valid:
            return
        mid = 0.5 * (codec.top_bid + codec.top_ask)
        mark = kept.derived.update(at_ns, mid)
        if mark is not None:
            kept.is_marked = True
            exact_mark = Decimal(repr(mark)).quantize(kept.tenth)
            index = Decimal(repr(mid)).quantize(kept.tenth)
            sink.on_mark(symbol, exact_mark, index, FUNDING_RATE)
