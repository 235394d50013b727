"""A market in which nothing happens by itself: for tests that move every price on purpose."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from hfengine.feeds.profile import profile_of
from hfengine.instruments import Instrument
from hfengine.kernels.book import Book
from hfengine.localvenue.source import Sink

FUNDING_RATE: Final = Decimal("0.0001")
MARK_EVERY_S: Final = 1.0
"""Marks come again though nothing changed, as on real venues: funding falls due by them."""

MARK_PARTS: Final = 10
"""Parts in which a second's marks are told, so that many symbols hold nobody up."""

LEVELS: Final = 200
LEVEL_USDT: Final = 20_000.0
"""Notional of the best level; those behind it hold one to five times as much."""


class Still:
    """A fixed book of 200 levels a side, one tick either side of a price; mark and index at it."""

    name = "still"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        instruments: Mapping[str, Instrument] | None = None,
    ) -> None:
        """Make a market of `instruments`; of all that the venue has when none are given."""
        self._loop = loop
        self._instruments = instruments
        self._part = 0
        self._sink: Sink | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._prices: dict[str, Decimal] = {}
        self.books: dict[str, Book] = {}

    def start(self, sink: Sink) -> None:
        """Attach the books, print one trade and tell the marks."""
        self._sink = sink
        instruments = sink.instruments if self._instruments is None else self._instruments
        for symbol, instrument in instruments.items():
            ticks = start_ticks(instrument)
            self._prices[symbol] = instrument.price_tick * ticks
            self.books[symbol] = _fixed_book(instrument, ticks)
            sink.attach(symbol, self.books[symbol])
            sink.on_book(symbol)
            sink.on_trade(symbol, ticks, 1, 1)
        self._tell_marks(sink, list(self._prices))
        self._tell_part()

    def stop(self) -> None:
        """End the timer of the marks."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def set_level(self, symbol: str, side: int, ticks: int, steps: int) -> None:
        """Set one level of the fixed book, before any offset; 0 steps take it away."""
        self.books[symbol].apply(side, ticks, steps)
        if self._sink is not None:
            self._sink.on_book(symbol)

    def _tell_part(self) -> None:
        self._timer = self._loop.call_later(MARK_EVERY_S / MARK_PARTS, self._tell_part)
        self._part = (self._part + 1) % MARK_PARTS
        if self._sink is not None:
            self._tell_marks(self._sink, list(self._prices)[self._part :: MARK_PARTS])

    def _tell_marks(self, sink: Sink, symbols: list[str]) -> None:
        for symbol in symbols:
            price = self._prices[symbol]
            sink.on_mark(symbol, price, price, FUNDING_RATE)


def start_ticks(instrument: Instrument) -> int:
    """Return the price a made-up market of an instrument starts at, ticks."""
    return max(2, round(profile_of(instrument).price / instrument.tick_usdt))


def _fixed_book(instrument: Instrument, ticks: int) -> Book:
    book = Book(str(instrument.price_tick), str(instrument.quantity_step))
    price = ticks * instrument.tick_usdt
    best_steps = max(1, round(LEVEL_USDT / price / instrument.step_quantity))
    for distance in range(1, LEVELS + 1):
        steps = best_steps * (1 + (distance - 1) % 5)
        if ticks > distance:
            book.apply(1, ticks - distance, steps)
        book.apply(-1, ticks + distance, steps)
    return book
