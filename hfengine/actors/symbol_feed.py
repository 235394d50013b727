"""One symbol's market data: a codec per dialect behind one face, or ready-made ticks checked."""

from decimal import Decimal
from math import isfinite
from typing import Final

from hfengine.instruments import Instrument
from hfengine.kernels import bybit_codec
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from hfengine.kernels.codec import DEPTH, FOREIGN, QUOTE, BinanceCodec
from hfengine.kernels.frame_turn import BinanceTopFeed, BybitTopFeed
from hfengine.messages import BookTick, MarkTick, TradeTick
from hfengine.symbols import plain_symbol

TRADE_ID_DECIMALS: Final = 18
TRADE_ID_MASK: Final = (1 << 60) - 1
TRADE_ID_DIGITS: Final = 15
"""Hexadecimal digits kept of a trade id that is text: 60 bits."""

NO_TICKS: Final = "a ready-made tick in a feed of frames"
NO_FRAMES: Final = "a frame in a feed of ready-made ticks"


class BinanceFeed(BinanceTopFeed):
    """Frames of Binance USDⓈ-M; the best quote is the newer of book and bookTicker by update id."""

    ticks_on: Final = frozenset((QUOTE, DEPTH))
    """Kinds of frames after which there may be a new top."""

    __slots__ = ("decode",)

    def __init__(self, instrument: Instrument) -> None:
        symbol = instrument.symbol
        codec = BinanceCodec(plain_symbol(symbol), _book_of(instrument))
        super().__init__(symbol, codec, BookTick)
        self.decode = codec.decode

    def trades(self, at_ns: int) -> tuple[TradeTick, ...]:
        """Return the trade of the last frame."""
        codec = self.codec
        return (
            TradeTick(
                self.symbol,
                at_ns,
                codec.match_ms,
                codec.trade_id,
                codec.trade_price,
                codec.trade_quantity,
                codec.trade_side,
            ),
        )

    def mark(self, at_ns: int) -> MarkTick | None:
        """Return the mark of the last frame."""
        return _mark(self.symbol, self.codec, at_ns)

    def checks(self) -> tuple[int, int]:
        """Return how many books the quotes confirmed and how many they contradicted."""
        self.codec.finish_checks()
        return self.codec.checks_matched, self.codec.checks_mismatched

    def refusal(self, _tick: BookTick | TradeTick | MarkTick) -> tuple[str, str] | None:
        """Refuse: this feed is made of frames."""
        return "foreign", NO_TICKS


class BybitFeed(BybitTopFeed):
    """Frames of Bybit V5 linear; several trades may come in one."""

    ticks_on: Final = frozenset((bybit_codec.QUOTE, bybit_codec.DEPTH, bybit_codec.SNAPSHOT))

    __slots__ = ("decode",)

    def __init__(self, instrument: Instrument) -> None:
        symbol = instrument.symbol
        codec = BybitCodec(plain_symbol(symbol), _book_of(instrument))
        super().__init__(symbol, codec, BookTick)
        self.decode = codec.decode

    def trades(self, at_ns: int) -> tuple[TradeTick, ...]:
        """Return the trades of the last frame, oldest first."""
        return tuple(
            TradeTick(self.symbol, at_ns, match_ms, _trade_number(number), price, quantity, side)
            for number, price, quantity, side, match_ms, _, _ in map(
                self.codec.trade, range(self.codec.trade_count)
            )
        )

    def mark(self, at_ns: int) -> MarkTick | None:
        """Return mark, index and funding as far as they came; None before they all did."""
        tick = _mark(self.symbol, self.codec, at_ns)
        whole = isfinite(tick.mark) and isfinite(tick.index) and isfinite(tick.funding_rate)
        return tick if whole else None

    def checks(self) -> tuple[int, int]:
        """Return zeros: no quotes are compared."""
        return 0, 0

    def refusal(self, _tick: BookTick | TradeTick | MarkTick) -> tuple[str, str] | None:
        """Refuse: this feed is made of frames."""
        return "foreign", NO_TICKS


class _NoCodec:
    """Stands where a codec would: says what is synced, decodes nothing."""

    def __init__(self) -> None:
        self.synced = False
        self.fault_detail = NO_FRAMES

    def decode(self, _payload: bytes) -> int:
        """Refuse a frame."""
        return FOREIGN

    def desync(self) -> None:
        """Mark not synced until the next good top."""
        self.synced = False

    def resync(self) -> None:
        """Mark not synced until the next good top."""
        self.synced = False


class TickFeed:
    """Ready-made ticks of an exchange without a native codec, checked before they are believed."""

    ticks_on: Final[frozenset[int]] = frozenset()

    __slots__ = (
        "_mark_ns",
        "_top_ms",
        "_top_ns",
        "_trade_ms",
        "codec",
        "contradicted",
        "decode",
        "symbol",
        "told_synced",
    )

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.codec = _NoCodec()
        self.decode = self.codec.decode
        self.told_synced = False
        self.contradicted = False
        self._top_ns = self._top_ms = self._trade_ms = self._mark_ns = 0

    def top(self, _at_ns: int) -> BookTick | None:
        """Return nothing: tops come ready-made."""
        return None

    def trades(self, _at_ns: int) -> tuple[TradeTick, ...]:
        """Return nothing: trades come ready-made."""
        return ()

    def mark(self, _at_ns: int) -> MarkTick | None:
        """Return nothing: marks come ready-made."""
        return None

    def checks(self) -> tuple[int, int]:
        """Return zeros: no quotes are compared."""
        return 0, 0

    def refusal(self, tick: BookTick | TradeTick | MarkTick) -> tuple[str, str] | None:
        """Return (fault, detail) of a tick that cannot be true, None for a good one.

        Prices must be finite and positive, quantities not negative, bid below ask, and times may
        not run backwards within one kind. A bad top takes the book out of sync, a good one in.
        """
        if isinstance(tick, BookTick):
            found = self._refused_top(tick)
            self.codec.synced = found is None
            return found
        if isinstance(tick, TradeTick):
            if not _positive(tick.price, tick.quantity) or tick.side not in (1, -1):
                return "bad_number", f"trade of {tick.quantity} at {tick.price}, side {tick.side}"
            if tick.exchange_ms < self._trade_ms:
                return "stale", f"trade of {tick.exchange_ms} ms after {self._trade_ms} ms"
            self._trade_ms = tick.exchange_ms
            return None
        if not _positive(tick.mark, tick.index) or not isfinite(tick.funding_rate):
            return "bad_number", f"mark {tick.mark}, index {tick.index}"
        if tick.at_ns < self._mark_ns:
            return "stale", f"mark of {tick.at_ns} ns after {self._mark_ns} ns"
        self._mark_ns = tick.at_ns
        return None

    def _refused_top(self, tick: BookTick) -> tuple[str, str] | None:
        quantities = (tick.bid_quantity, tick.ask_quantity)
        if not _positive(tick.bid, tick.ask) or not all(isfinite(q) and q >= 0 for q in quantities):
            return "bad_number", f"top {tick.bid} x {quantities[0]}, {tick.ask} x {quantities[1]}"
        if tick.bid >= tick.ask:
            return "crossed", f"bid {tick.bid} at or above ask {tick.ask}"
        if tick.at_ns < self._top_ns or tick.exchange_ms < self._top_ms:
            return "stale", f"top of {tick.exchange_ms} ms after {self._top_ms} ms"
        self._top_ns, self._top_ms = tick.at_ns, tick.exchange_ms
        return None


SymbolFeed = BinanceFeed | BybitFeed | TickFeed


def symbol_feed(dialect: str, symbol: str, instrument: Instrument | None) -> SymbolFeed:
    """Return the feed of one symbol; ready-made ticks need no instrument.

    Raises ValueError for an unknown dialect or a missing instrument.
    """
    if dialect == "ticks":
        return TickFeed(symbol)
    if instrument is None:
        msg = f"{symbol}: its price tick and quantity step must be known to decode {dialect} frames"
        raise ValueError(msg)
    if dialect == "binance":
        return BinanceFeed(instrument)
    if dialect == "bybit":
        return BybitFeed(instrument)
    msg = f"no market data dialect {dialect!r}; there are binance, bybit, ticks"
    raise ValueError(msg)


def _book_of(instrument: Instrument) -> Book:
    return Book(written_grain(instrument.price_tick), written_grain(instrument.quantity_step))


def written_grain(step: Decimal) -> str:
    """Return the finest step the venue writes: 0.10 writes 0.01.

    An order placed before the venue made its grid coarser may rest between today's steps, and its
    level must not be a fault.
    """
    exponent = step.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= 0:
        return "1"
    return f"{Decimal(1).scaleb(exponent):f}"


def _mark(symbol: str, codec: BinanceCodec | BybitCodec, at_ns: int) -> MarkTick:
    return MarkTick(
        symbol,
        at_ns,
        codec.mark_price,
        codec.index_price,
        codec.funding_rate,
        codec.next_funding_ms * 1_000_000,
    )


def _trade_number(number: str | int) -> int:
    """Return a trade's id as a number: its own, or the last 60 bits of one that is hexadecimal."""
    if isinstance(number, int):
        return number & TRADE_ID_MASK
    if number.isdecimal() and len(number) <= TRADE_ID_DECIMALS:
        return int(number)
    digits = number[-TRADE_ID_DIGITS - 1 :].replace("-", "")[-TRADE_ID_DIGITS:]
    try:
        return int(digits, 16)
    except ValueError:
        return int.from_bytes(number.encode()[-7:], "big")


def _positive(*prices: float) -> bool:
    return all(isfinite(price) and price > 0 for price in prices)
