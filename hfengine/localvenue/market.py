"""The public side of a local venue: books, trades, marks, and what an operator does to them."""

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from hfengine.exchange.core import Exchange
from hfengine.exchange.market import OutsideBook
from hfengine.instruments import Instrument
from hfengine.localvenue.source import MovedBook
from hfengine.localvenue.tape import PublicTrade, Tape
from hfengine.localvenue.timers import Cancel, Timers

HOUR_NS: Final = 3_600_000_000_000
MOVE_EVERY_S: Final = 0.05
ZERO: Final = Decimal(0)


class Ticker(Struct, frozen=True, gc=False):
    """One symbol's public figures; 0 is none yet. Volume in base units, turnover in USDT."""

    symbol: str
    last: Decimal
    mark: Decimal
    index: Decimal
    funding_rate: Decimal
    next_funding_ns: int
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    open24h: Decimal
    high24h: Decimal
    low24h: Decimal
    volume24h: Decimal
    turnover24h: Decimal


class _Marked(Struct, gc=False):
    """A symbol's mark, index and funding rate: as the source says, and as an operator holds."""

    mark: Decimal = ZERO
    index: Decimal = ZERO
    funding_rate: Decimal = ZERO
    held: bool = False
    held_mark: Decimal = ZERO
    held_index: Decimal = ZERO


class PublicMarket:
    """What the source tells reaches the exchange through here; implements `source.Sink`.

    `collect` is called after everything that may have done something to an account, `moved` when
    an operator's move of a symbol went a step on.
    """

    def __init__(
        self,
        exchange: Exchange,
        instruments: Mapping[str, Instrument],
        now_ns: Callable[[], int],
        timers: Timers,
        collect: Callable[[], None],
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self.exchange = exchange
        self.instruments = instruments
        self.tapes = {symbol: Tape(one) for symbol, one in instruments.items()}
        self.versions = dict.fromkeys(instruments, 0)
        self.problems: deque[str] = deque(maxlen=100)
        """What was wrong with the market so far, newest last."""
        self.trade_listeners: list[Callable[[PublicTrade], None]] = []
        self.mark_listeners: list[Callable[[str], None]] = []
        self._now_ns = now_ns
        self._timers = timers
        self._collect = collect
        self._moved = moved
        self._books: dict[str, MovedBook] = {}
        self._offsets: dict[str, int] = {}
        """Offsets of an earlier life, for the books to come."""
        self._marked = {symbol: _Marked() for symbol in instruments}
        self._moves: dict[str, Cancel] = {}

    # What the source tells

    def attach(self, symbol: str, book: OutsideBook) -> None:
        """Take the book that the source keeps of a symbol."""
        self._books[symbol] = moved = MovedBook(book)
        moved.offset_ticks = self._offsets.get(symbol, 0)
        self.exchange.attach_book(symbol, moved)

    def on_book(self, symbol: str) -> None:
        """Look at a book that changed."""
        self.versions[symbol] += 1
        self.exchange.on_book(symbol, self._now_ns())
        self._collect()

    def on_trade(self, symbol: str, ticks: int, steps: int, side: int) -> None:
        """Take a trade between others than our accounts, shifted by the symbol's offset."""
        ticks += self._books[symbol].offset_ticks
        if ticks > 0:
            self._print(symbol, ticks, steps, side)

    def on_mark(self, symbol: str, mark: Decimal, index: Decimal, funding_rate: Decimal) -> None:
        """Take mark, index and funding rate, before the symbol's offset."""
        marked = self._marked[symbol]
        marked.mark, marked.index, marked.funding_rate = mark, index, funding_rate
        self._tell_mark(symbol)

    def report(self, problem: str) -> None:
        """Remember what is wrong with the market."""
        self.problems.append(problem)

    # What the public sees

    def levels(self, symbol: str, side: int, count: int) -> list[tuple[int, int]]:
        """Return up to `count` (ticks, steps) of the public book, best first."""
        return self.exchange.publish_levels(symbol, side, count)

    def ticker(self, symbol: str) -> Ticker:
        """Return a symbol's figures."""
        exchange, instrument = self.exchange, self.instruments[symbol]
        tick, step = instrument.price_tick, instrument.quantity_step
        bids, asks = self.levels(symbol, 1, 1), self.levels(symbol, -1, 1)
        bid, ask = bids[0] if bids else (0, 0), asks[0] if asks else (0, 0)
        now_ns = self._now_ns()
        day = self.tapes[symbol].day(now_ns)
        return Ticker(
            symbol=symbol,
            last=exchange.last(symbol),
            mark=exchange.mark(symbol),
            index=exchange.index(symbol),
            funding_rate=self._marked[symbol].funding_rate,
            next_funding_ns=self.next_funding_ns(symbol, now_ns),
            bid=tick * bid[0],
            bid_quantity=step * bid[1],
            ask=tick * ask[0],
            ask_quantity=step * ask[1],
            open24h=day.open if day else ZERO,
            high24h=day.high if day else ZERO,
            low24h=day.low if day else ZERO,
            volume24h=day.volume if day else ZERO,
            turnover24h=day.turnover if day else ZERO,
        )

    def next_funding_ns(self, symbol: str, now_ns: int) -> int:
        """Return the next time on the symbol's grid of funding times."""
        interval_ns = self.instruments[symbol].funding_interval_h * HOUR_NS
        return (now_ns // interval_ns + 1) * interval_ns

    def print_fill(
        self, symbol: str, price: Decimal, quantity: Decimal, side: int, at_ns: int
    ) -> None:
        """Show what one of our accounts took to the public."""
        instrument = self.instruments[symbol]
        ticks, steps = price / instrument.price_tick, quantity / instrument.quantity_step
        self._publish_trade(self.tapes[symbol].add(int(ticks), int(steps), side, at_ns))

    # What an operator does

    def move(self, symbol: str, ticks: int, to_price: Decimal | None, over_s: float) -> None:
        """Shift book, trades, mark and index of a symbol; raises ValueError below a price of 1."""
        tick = self.instruments[symbol].price_tick
        if to_price is not None:
            ticks = int(((to_price - self.exchange.mark(symbol)) / tick).to_integral_value())
        bid_ticks = self._books[symbol].bid_ticks
        if bid_ticks + ticks <= 0:
            msg = f"{symbol} cannot move by {ticks} ticks: its best bid is at {bid_ticks}"
            raise ValueError(msg)
        running = self._moves.pop(symbol, None)
        if running is not None:
            running()
        beats = round(over_s / MOVE_EVERY_S)
        if beats <= 1:
            self._shift(symbol, ticks)
            return
        left_ticks = ticks

        def beat() -> None:
            nonlocal beats, left_ticks
            step_ticks = round(left_ticks / beats)
            left_ticks -= step_ticks
            beats -= 1
            if not beats:
                self._moves.pop(symbol)()
            self._shift(symbol, step_ticks)

        self._moves[symbol] = self._timers.every(MOVE_EVERY_S, beat)

    def hold_mark(self, symbol: str, mark: Decimal | None, index: Decimal | None) -> None:
        """Hold mark and index at figures; None lets them follow the source again."""
        marked = self._marked[symbol]
        marked.held = mark is not None
        if mark is not None:
            marked.held_mark, marked.held_index = mark, mark if index is None else index
        self._tell_mark(symbol)

    def pay_funding(self, symbol: str, rate: Decimal) -> None:
        """Let every holder of a symbol pay or receive funding now."""
        exchange, now_ns = self.exchange, self._now_ns()
        mark, index = exchange.mark(symbol), exchange.index(symbol)
        # due in a nanosecond, and then that nanosecond passes
        exchange.on_mark(symbol, mark, index, rate, now_ns + 1, now_ns)
        due_ns = self.next_funding_ns(symbol, now_ns)
        exchange.on_mark(symbol, mark, index, rate, due_ns, now_ns + 1)
        self._collect()
        self._tell_mark(symbol)

    def offset_ticks(self, symbol: str) -> int:
        """Return by how much a symbol was moved so far, ticks."""
        return self._books[symbol].offset_ticks

    def state(self) -> dict[str, Any]:
        """Return how prices were moved and held, as JSON."""
        return {
            "offsets": {symbol: book.offset_ticks for symbol, book in self._books.items()},
            "held": {
                symbol: [str(one.held_mark), str(one.held_index)]
                for symbol, one in self._marked.items()
                if one.held
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Move and hold prices as they were; before the source begins."""
        self._offsets.update(state.get("offsets", {}))
        for symbol, (mark, index) in state.get("held", {}).items():
            if marked := self._marked.get(symbol):
                marked.held = True
                marked.held_mark, marked.held_index = Decimal(mark), Decimal(index)

    def _shift(self, symbol: str, ticks: int) -> None:
        if not ticks:
            return
        self._moved()
        book = self._books[symbol]
        book.offset_ticks += ticks
        marked = self._marked[symbol]
        if marked.held:
            change = self.instruments[symbol].price_tick * ticks
            marked.held_mark += change
            marked.held_index += change
        self.on_book(symbol)
        # a trade at the new touch, or the last price would stay behind
        touch_ticks = book.ask_ticks if ticks > 0 else book.bid_ticks
        if touch_ticks > 0:
            self._print(symbol, touch_ticks, 1, 1 if ticks > 0 else -1)
        self._tell_mark(symbol)

    def _print(self, symbol: str, ticks: int, steps: int, side: int) -> None:
        now_ns = self._now_ns()
        self.exchange.on_trade(symbol, ticks, steps, side, now_ns)
        self._publish_trade(self.tapes[symbol].add(ticks, steps, side, now_ns))
        self._collect()

    def _publish_trade(self, trade: PublicTrade) -> None:
        for listener in self.trade_listeners:
            listener(trade)

    def _tell_mark(self, symbol: str) -> None:
        marked = self._marked[symbol]
        if marked.held:
            mark, index = marked.held_mark, marked.held_index
        elif marked.mark:
            change = self.instruments[symbol].price_tick * self._books[symbol].offset_ticks
            mark, index = marked.mark + change, marked.index + change
        else:
            return
        if mark <= 0:
            return
        now_ns = self._now_ns()
        due_ns = self.next_funding_ns(symbol, now_ns)
        self.exchange.on_mark(symbol, mark, index, marked.funding_rate, due_ns, now_ns)
        self._collect()
        for listener in self.mark_listeners:
            listener(symbol)
