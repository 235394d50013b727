"""What a venue remembers of its trades: the last ones, candles, and the last 24 hours."""

from collections import deque
from decimal import Decimal
from typing import Final

from msgspec import Struct

from hfengine.instruments import Instrument

MINUTE_NS: Final = 60_000_000_000
DAY_MINUTES: Final = 1440
TRADES_KEPT: Final = 1000
MINUTES_KEPT: Final = 3000
"""Fifty hours of one-minute candles."""


class PublicTrade(Struct, frozen=True, gc=False):
    """One trade as the public sees it; `side` is the taker's."""

    symbol: str
    trade_id: int
    ticks: int
    steps: int
    price: Decimal
    quantity: Decimal
    side: int
    at_ns: int


class Candle(Struct, frozen=True, gc=False):
    """Prices and volume of one interval; volume in base units, turnover in USDT."""

    start_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal


class _Bar(Struct, gc=False):
    """A candle in ticks and steps; `turnover` in ticks times steps."""

    start_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    turnover: int

    def take(self, other: "_Bar") -> None:
        """Add a later bar."""
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume
        self.turnover += other.turnover


class Tape:
    """The trades of one symbol."""

    __slots__ = ("_day", "_instrument", "_minutes", "_trades", "last_id")

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._trades: deque[PublicTrade] = deque(maxlen=TRADES_KEPT)
        self._minutes: deque[_Bar] = deque(maxlen=MINUTES_KEPT)
        self._day: _Bar | None = None
        self.last_id = 0

    def add(self, ticks: int, steps: int, side: int, at_ns: int) -> PublicTrade:
        """Write a trade down and return it with its number."""
        self.last_id += 1
        instrument = self._instrument
        trade = PublicTrade(
            instrument.symbol,
            self.last_id,
            ticks,
            steps,
            instrument.price_tick * ticks,
            instrument.quantity_step * steps,
            side,
            at_ns,
        )
        self._trades.append(trade)
        start_ns = at_ns - at_ns % MINUTE_NS
        bar = _Bar(start_ns, ticks, ticks, ticks, ticks, steps, ticks * steps)
        if self._minutes and self._minutes[-1].start_ns >= start_ns:
            self._minutes[-1].take(bar)
        else:
            self._minutes.append(bar)
            self._day = None
        if self._day is not None:
            self._day.take(bar)
        return trade

    def recent(self, count: int) -> list[PublicTrade]:
        """Return up to `count` trades, the newest last."""
        return list(self._trades)[-count:] if count > 0 else []

    def candles(self, interval_s: int, count: int) -> list[Candle]:
        """Return up to `count` candles that hold trades, oldest first.

        Raises ValueError unless the interval is a whole number of minutes.
        """
        if interval_s <= 0 or interval_s % 60:
            msg = f"candles are made of whole minutes, not of {interval_s} s"
            raise ValueError(msg)
        interval_ns = interval_s * 1_000_000_000
        made: deque[_Bar] = deque(maxlen=max(count, 1))
        for minute in self._minutes:
            start_ns = minute.start_ns - minute.start_ns % interval_ns
            if made and made[-1].start_ns == start_ns:
                made[-1].take(minute)
            else:
                made.append(_copy(minute, start_ns))
        return [self._candle(bar) for bar in made] if count > 0 else []

    def day(self, now_ns: int) -> Candle | None:
        """Return the last 24 hours as one candle, None without a trade in them."""
        first_ns = now_ns - now_ns % MINUTE_NS - DAY_MINUTES * MINUTE_NS
        day = self._day
        if day is None or day.start_ns < first_ns:
            day = None
            for minute in self._minutes:
                if minute.start_ns < first_ns:
                    continue
                if day is None:
                    day = _copy(minute, minute.start_ns)
                else:
                    day.take(minute)
            self._day = day
        return None if day is None else self._candle(day)

    def _candle(self, bar: _Bar) -> Candle:
        tick, step = self._instrument.price_tick, self._instrument.quantity_step
        return Candle(
            start_ns=bar.start_ns,
            open=tick * bar.open,
            high=tick * bar.high,
            low=tick * bar.low,
            close=tick * bar.close,
            volume=step * bar.volume,
            turnover=tick * step * bar.turnover,
        )


def _copy(bar: _Bar, start_ns: int) -> _Bar:
    return _Bar(start_ns, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover)
