"""The outside book the simulated exchange matches against: diffs, corrected by newer quotes.

Best-quote frames come about ten times as often as depth diffs. Matching on the diffs alone would
fill orders at prices that the quotes have already left, which no real venue would do.
"""

from hfengine.kernels.book import Book
from hfengine.kernels.codec import BinanceCodec


class TouchBook:
    """A view of one codec's book under its newest quote; it holds no levels of its own.

    While the diff chain is broken only the quote's single level a side is offered.
    """

    __slots__ = ("_book", "_codec")

    def __init__(self, codec: BinanceCodec, book: Book) -> None:
        self._codec = codec
        self._book = book

    @property
    def _quote_is_newer(self) -> bool:
        codec = self._codec
        return codec.quote_update_id > 0 and (
            not codec.synced or codec.quote_update_id > self._book.update_id
        )

    @property
    def bid_ticks(self) -> int:
        """Best bid in ticks, 0 when there is none."""
        return self._codec.quote_bid_ticks if self._quote_is_newer else self._book.bid_ticks

    @property
    def bid_steps(self) -> int:
        """Quantity at the best bid in steps."""
        return self._codec.quote_bid_steps if self._quote_is_newer else self._book.bid_steps

    @property
    def ask_ticks(self) -> int:
        """Best ask in ticks, 0 when there is none."""
        return self._codec.quote_ask_ticks if self._quote_is_newer else self._book.ask_ticks

    @property
    def ask_steps(self) -> int:
        """Quantity at the best ask in steps."""
        return self._codec.quote_ask_steps if self._quote_is_newer else self._book.ask_steps

    @property
    def is_empty(self) -> bool:
        """Tell whether a side is missing."""
        return self.bid_ticks == 0 or self.ask_ticks == 0

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """Return up to `count` (ticks, steps) of a side, best first; side +1 is bids."""
        if not self._quote_is_newer:
            return self._book.levels(side, count)
        codec = self._codec
        if side > 0:
            best, steps = codec.quote_bid_ticks, codec.quote_bid_steps
        else:
            best, steps = codec.quote_ask_ticks, codec.quote_ask_steps
        levels = [(best, steps)]
        if codec.synced:
            levels += self._behind(side, best, count - 1)
        return levels

    def _behind(self, side: int, best: int, count: int) -> list[tuple[int, int]]:
        """Return up to `count` levels behind a newer best, however far the quotes have moved."""
        read = count + 8
        while True:
            rows = self._book.levels(side, read)
            behind = [row for row in rows if side * row[0] < side * best]
            if len(behind) >= count or len(rows) < read:
                return behind[:count]
            read *= 2

    def quantity_at(self, side: int, ticks: int) -> int:
        """Return the steps offered at one price."""
        if self._quote_is_newer:
            best = self.bid_ticks if side > 0 else self.ask_ticks
            if ticks == best:
                return self.bid_steps if side > 0 else self.ask_steps
            if side * ticks > side * best or not self._codec.synced:
                return 0
        return self._book.quantity_at(side, ticks)
