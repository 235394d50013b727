"""A real exchange's public stream, read for a simulated one: its book, trades and marks.

Orders are then matched on live prices by the exchange core; nothing is sent to the real exchange.
"""

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from random import Random
from typing import Final, Protocol

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange.market import OutsideBook
from hfengine.instruments import Instrument
from hfengine.kernels import codec
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from hfengine.kernels.codec import BinanceCodec
from hfengine.messages import FeedFault, Frame, Message
from hfengine.runtime.hosts import ActorHost
from hfengine.venues.feed_faults import DISCONNECTED
from hfengine.venues.market import NATIVE, Dialect, open_market
from hfengine.venues.port import Tell
from hfengine.venues.touch import TouchBook

BOOK_KINDS: Final = frozenset({codec.QUOTE, codec.DEPTH, codec.SNAPSHOT})
MS_NS: Final = 1_000_000


class Hearer(Protocol):
    """What hears the market of a relay. Prices in ticks, quantities in steps, side the taker's."""

    def on_book(self, symbol: str) -> None:
        """Look at a book that changed."""

    def on_trade(self, symbol: str, ticks: int, steps: int, side: int) -> None:
        """Take a public trade."""

    def on_mark(
        self, symbol: str, mark: Decimal, index: Decimal, funding_rate: Decimal, next_ns: int
    ) -> None:
        """Take mark, index and the funding to come."""


class RelayedSymbol:
    """One symbol's book and codec, on the instrument's grid."""

    def __init__(self, dialect: Dialect, instrument: Instrument) -> None:
        self.symbol = instrument.symbol
        self._book = Book(str(instrument.price_tick), str(instrument.quantity_step))
        self.codec: BinanceCodec | BybitCodec
        self.book: OutsideBook
        if dialect == "binance":
            binance = self.codec = BinanceCodec(instrument.symbol, self._book)
            self.book = TouchBook(binance, self._book)
        else:
            self.codec = BybitCodec(instrument.symbol, self._book)
            self.book = self._book

    def tell(self, kind: int, hearer: Hearer) -> None:
        """Tell what the frame just decoded was."""
        if kind in BOOK_KINDS:
            hearer.on_book(self.symbol)
        elif kind == codec.TRADE:
            self._tell_trades(hearer)
        elif kind == codec.MARK:
            self._tell_mark(hearer)

    def _tell_trades(self, hearer: Hearer) -> None:
        read = self.codec
        if isinstance(read, BybitCodec):
            for number in range(read.trade_count):
                *_, side, _, ticks, steps = read.trade(number)
                hearer.on_trade(self.symbol, ticks, steps, side)
        else:
            hearer.on_trade(self.symbol, read.trade_ticks, read.trade_steps, read.trade_side)

    def _tell_mark(self, hearer: Hearer) -> None:
        read = self.codec
        figures = (read.mark_price, read.index_price, read.funding_rate)
        if all(map(isfinite, figures)):
            mark, index, rate = (Decimal(repr(figure)) for figure in figures)
            hearer.on_mark(self.symbol, mark, index, rate, read.next_funding_ms * MS_NS)


class Relay:
    """The public stream of Bybit or Binance; raises VenueUnavailable for any other exchange."""

    def __init__(
        self,
        exchange: str,
        instruments: Mapping[str, Instrument],
        hearer: Hearer,
        *,
        host: ActorHost,
        random: Random,
        url: str = "",
    ) -> None:
        if exchange not in NATIVE:
            known = ", ".join(NATIVE)
            msg = f"no live relay of {exchange!r}: there are {known}"
            raise VenueUnavailable(msg)
        self._hearer = hearer
        self._host = host
        self._market, self.dialect = open_market(
            exchange, list(instruments), host=host, random=random, url=url
        )
        self.symbols = {name: RelayedSymbol(self.dialect, one) for name, one in instruments.items()}
        self._pass_on: Tell | None = None
        self.last_problem = ""

    def connect(self, pass_on: Tell | None = None) -> None:
        """Start the stream; `pass_on` hears every frame and fault after it was taken in."""
        self._pass_on = pass_on
        self._market.connect_market(self._heard)

    def stop(self) -> None:
        """End the stream for good."""
        self._market.stop()

    def report(self) -> list[dict[str, object]]:
        """Return each connection's state and counters."""
        return self._market.report()

    async def snapshot(self, symbol: str) -> bytes | None:
        """Ask the real exchange for a book and take it in; None when its stream brings it."""
        payload = await self._market.snapshot(symbol)
        if payload is not None:
            self._take(symbol, payload)
        return payload

    async def refresh(self, symbol: str) -> bool:
        """Make sure that a book comes; tell whether it could be asked for."""
        try:
            await self.snapshot(symbol)
        except (VenueUnavailable, VenueUnknown, VenueRejected) as error:
            self.last_problem = str(error)
            return False
        return True

    def _heard(self, message: Message) -> None:
        if isinstance(message, Frame):
            self._take(message.symbol, message.payload)
        elif isinstance(message, FeedFault):
            self.last_problem = f"{message.symbol} {message.fault}: {message.detail}"
            held = self.symbols.get(message.symbol)
            if held is not None and message.fault == DISCONNECTED:
                held.codec.resync()
            elif held is not None:
                held.codec.desync()
        if self._pass_on is not None:
            self._pass_on(message)

    def _take(self, symbol: str, payload: bytes) -> None:
        held = self.symbols.get(symbol)
        if held is None:
            return
        kind = held.codec.decode(payload)
        if kind >= 0:
            held.tell(kind, self._hearer)
        else:
            self.last_problem = f"{symbol}: {held.codec.fault_detail}"
