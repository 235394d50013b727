"""Where a local venue's market comes from, and the outside book it keeps, which can be moved."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from hfengine.exchange.market import OutsideBook
from hfengine.instruments import Instrument


class Sink(Protocol):
    """What a source tells the world, as soon as it knows; times are the world's own."""

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The venue's instruments by symbol."""

    def attach(self, symbol: str, book: OutsideBook) -> None:
        """Give a symbol the book that the source keeps; once, before anything else of it."""

    def on_book(self, symbol: str) -> None:
        """Say that the book of a symbol changed."""

    def on_trade(self, symbol: str, ticks: int, steps: int, side: int) -> None:
        """Say that somebody traded; `side` is the taker's."""

    def on_mark(self, symbol: str, mark: Decimal, index: Decimal, funding_rate: Decimal) -> None:
        """Tell mark, index and the rate of the funding to come."""

    def report(self, problem: str) -> None:
        """Tell the operator that something is wrong with the market, in one sentence."""


class Source(Protocol):
    """A market for a world: still, synthetic, recorded or relayed from an exchange."""

    @property
    def name(self) -> str:
        """What `--feed` calls it."""

    def start(self, sink: Sink) -> None:
        """Attach the books and begin; whatever can be known at once is told at once."""

    def stop(self) -> None:
        """End timers, tasks and connections; safe to call twice."""


class MovedBook:
    """A source's book with a symbol's price offset added, ticks."""

    __slots__ = ("book", "offset_ticks")

    def __init__(self, book: OutsideBook) -> None:
        self.book = book
        self.offset_ticks = 0

    @property
    def bid_ticks(self) -> int:
        """Best bid in ticks, 0 when there is none."""
        ticks = self.book.bid_ticks
        return ticks + self.offset_ticks if ticks else 0

    @property
    def ask_ticks(self) -> int:
        """Best ask in ticks, 0 when there is none."""
        ticks = self.book.ask_ticks
        return ticks + self.offset_ticks if ticks else 0

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """Return up to `count` (ticks, steps) of a side, best first; side +1 is bids."""
        rows = self.book.levels(side, count)
        offset = self.offset_ticks
        if not offset:
            return rows
        return [(ticks + offset, steps) for ticks, steps in rows if ticks + offset > 0]

    def quantity_at(self, side: int, ticks: int) -> int:
        """Return the steps offered at one price."""
        return self.book.quantity_at(side, ticks - self.offset_ticks)
