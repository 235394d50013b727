"""Public streams: each is computed once, at its cadence, for everyone who hears it."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from hfengine.exchange.reports import FillReport
from hfengine.localvenue.binance.book import Best, Diffs, Levels, Partial
from hfengine.localvenue.binance.desk import Desk
from hfengine.localvenue.binance.market_rows import (
    INTERVALS_S,
    candle_event,
    day_event,
    mark_event,
    short_day_event,
)
from hfengine.localvenue.binance.private_streams import Listener
from hfengine.localvenue.binance.wire import Grid, Row, encode, ms, side_name
from hfengine.localvenue.tape import Candle, PublicTrade
from hfengine.localvenue.timers import Cancel, in_parts

FAST_S: Final = 0.01
"""Cadence of streams that are told "in real time"."""
DEPTH: Final = re.compile(r"depth(5|10|20)?(?:@(0|100|250|500)ms)?")
KLINE_S: Final = 0.25
PERIODS_S: Final = {
    "bookTicker": FAST_S,
    "markPrice": 3.0,
    "markPrice@1s": 1.0,
    "ticker": 2.0,
    "miniTicker": 0.5,
    "!markPrice@arr": 3.0,
    "!markPrice@arr@1s": 1.0,
    "!ticker@arr": 1.0,
    "!miniTicker@arr": 1.0,
    "!bookTicker": 5.0,
}
TOLD_AT_ONCE: Final = frozenset({"trade", "aggTrade", "forceOrder"})
FORCED_ALL: Final = "!forceOrder@arr"

Frames = Callable[[], Iterable[bytes]]


class Channel:
    """One stream and who hears it; no period: it is told when something happens."""

    __slots__ = ("after", "frames", "listeners", "name", "period_s", "shown")

    def __init__(
        self,
        name: str,
        period_s: float,
        frames: Frames,
        after: str = "",
        shown: Callable[[Levels, Levels], None] | None = None,
    ) -> None:
        self.name = name
        self.period_s = period_s
        self.frames = frames
        self.after = after
        """The stream to tell first: a diff never shows a best price before its quote did."""
        self.shown = shown
        """Hears what snapshots of its symbol showed."""
        self.listeners: dict[Listener, None] = {}

    def tell(self, payload: bytes) -> None:
        """Send a frame to everyone."""
        for listener in tuple(self.listeners):
            listener.push(self.name, payload)


class PublicStreams:
    """All public streams that somebody hears."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._world = desk.world
        self._symbols = {symbol.lower(): symbol for symbol in desk.grids}
        self._channels: dict[str, Channel] = {}
        self._beats: dict[float, tuple[Cancel, dict[str, Channel]]] = {}
        self._world.on_trade(self._on_trade)

    def stop(self) -> None:
        """End the timers."""
        for cancel, _ in self._beats.values():
            cancel()
        self._beats.clear()

    def subscribe(self, name: str, listener: Listener) -> bool:
        """Let a session hear a stream; return whether there is such a stream."""
        channel = self._channels.get(name)
        if channel is None:
            channel = self._open(name)
            if channel is None:
                return False
            self._channels[name] = channel
            if channel.period_s:
                self._join(channel)
        channel.listeners[listener] = None
        return True

    def unsubscribe(self, name: str, listener: Listener) -> None:
        """Let a session hear a stream no more; a stream without ears ends."""
        channel = self._channels.get(name)
        if channel is None:
            return
        channel.listeners.pop(listener, None)
        if channel.listeners:
            return
        del self._channels[name]
        beat = self._beats.get(channel.period_s)
        if beat is not None:
            beat[1].pop(name, None)
            if not beat[1]:
                beat[0]()
                del self._beats[channel.period_s]

    def shown(self, symbol: str, bids: Levels, asks: Levels) -> None:
        """Let the diffs of a symbol lead from a snapshot that was just given, too."""
        prefix = f"{symbol.lower()}@depth"
        for name, channel in self._channels.items():
            if channel.shown is not None and name.startswith(prefix):
                channel.shown(bids, asks)

    def forced(self, report: FillReport) -> None:
        """Tell the public of a liquidation."""
        fill = report.fill
        grid = self._desk.grid(fill.symbol)
        quantity, price = grid.quantity(fill.quantity), grid.price(fill.price)
        order = {
            "s": fill.symbol,
            "S": side_name(fill.side),
            "o": "LIMIT",
            "f": "IOC",
            "q": quantity,
            "p": price,
            "ap": price,
            "X": "FILLED",
            "l": quantity,
            "z": quantity,
            "T": ms(fill.at_ns),
        }
        payload = encode({"e": "forceOrder", "E": self._world.now_ms(), "o": order})
        for name in (f"{fill.symbol.lower()}@forceOrder", FORCED_ALL):
            channel = self._channels.get(name)
            if channel is not None:
                channel.tell(payload)

    # Inside

    def _open(self, name: str) -> Channel | None:
        if name == FORCED_ALL:
            return Channel(name, 0.0, _nothing)
        if name.startswith("!"):
            period_s = PERIODS_S.get(name)
            return None if period_s is None else Channel(name, period_s, self._array(name))
        prefix, _, kind = name.partition("@")
        symbol = self._symbols.get(prefix)
        if symbol is None:
            return None
        grid = self._desk.grid(symbol)
        if kind in TOLD_AT_ONCE:
            return Channel(name, 0.0, _nothing)
        depth = DEPTH.fullmatch(kind)
        if depth is not None:
            count, cadence_ms = depth.groups()
            period_s = max(int(cadence_ms or 250) / 1000, FAST_S)
            if count:
                frames = _maybe(Partial(self._world, grid, int(count)).frame)
                return Channel(name, period_s, frames, after=f"{prefix}@bookTicker")
            diffs = Diffs(self._world, grid)
            frames, shown = _maybe(diffs.frame), diffs.show
            return Channel(name, period_s, frames, after=f"{prefix}@bookTicker", shown=shown)
        if kind == "bookTicker":
            return Channel(name, FAST_S, _maybe(Best(self._world, grid).frame))
        if kind.startswith("kline_") and kind[6:] in INTERVALS_S:
            return Channel(name, KLINE_S, Candles(self._desk, grid, kind[6:]).frames)
        period_s = PERIODS_S.get(kind)
        if period_s is None:
            return None
        return Channel(name, period_s, lambda: [encode(self._event(kind, symbol))])

    def _event(self, kind: str, symbol: str) -> Row:
        world, now_ms = self._world, self._world.now_ms()
        ticker = world.ticker(symbol)
        if kind.startswith("markPrice"):
            return mark_event(ticker, now_ms)
        grid = self._desk.grid(symbol)
        if kind == "miniTicker":
            return short_day_event(ticker, grid, now_ms)
        return day_event(ticker, world.recent_trades(symbol, 1), grid, now_ms)

    def _array(self, name: str) -> Frames:
        """Return the frames of a stream of all symbols."""
        kind = name[1:].removesuffix("@1s").removesuffix("@arr")
        if kind == "bookTicker":
            tops = [Best(self._world, grid) for grid in self._desk.grids.values()]
            return lambda: [frame for top in tops if (frame := top.frame()) is not None]
        return lambda: [encode([self._event(kind, symbol) for symbol in self._desk.grids])]

    def _join(self, channel: Channel) -> None:
        period_s = channel.period_s
        beat = self._beats.get(period_s)
        if beat is None:
            channels: dict[str, Channel] = {}

            def run() -> None:
                in_parts(self._world.loop, list(channels.values()), self._look)

            beat = self._beats[period_s] = self._world.every(period_s, run), channels
        beat[1][channel.name] = channel

    def _look(self, channel: Channel) -> None:
        """Send what a channel has to say now, after the one that comes before it."""
        quotes = self._channels.get(channel.after)
        for told in (quotes, channel) if quotes is not None else (channel,):
            for payload in told.frames():
                told.tell(payload)

    def _on_trade(self, trade: PublicTrade) -> None:
        prefix = trade.symbol.lower()
        plain = self._channels.get(prefix + "@trade")
        aggregate = self._channels.get(prefix + "@aggTrade")
        if plain is None and aggregate is None:
            return
        grid = self._desk.grid(trade.symbol)
        now_ms, at_ms = self._world.now_ms(), ms(trade.at_ns)
        price, quantity = grid.ticks(trade.ticks), grid.steps(trade.steps)
        is_maker = "true" if trade.side < 0 else "false"
        number = trade.trade_id
        if plain is not None:
            plain.tell(
                f'{{"e":"trade","E":{now_ms},"T":{at_ms},"s":"{trade.symbol}","t":{number},'
                f'"p":"{price}","q":"{quantity}","X":"MARKET","m":{is_maker}}}'.encode()
            )
        if aggregate is not None:
            aggregate.tell(
                f'{{"e":"aggTrade","E":{now_ms},"a":{number},"s":"{trade.symbol}",'
                f'"p":"{price}","q":"{quantity}","f":{number},"l":{number},"T":{at_ms},'
                f'"m":{is_maker},"st":1}}'.encode()
            )


class Candles:
    """A stream of one symbol's candles."""

    __slots__ = ("_desk", "_grid", "_interval", "_last")

    def __init__(self, desk: Desk, grid: Grid, interval: str) -> None:
        self._desk = desk
        self._grid = grid
        self._interval = interval
        self._last: Candle | None = None

    def frames(self) -> list[bytes]:
        """Return the candle if it changed, after the end of the one before it."""
        symbol = self._grid.instrument.symbol
        found = self._desk.world.candles(symbol, INTERVALS_S[self._interval], 2)
        if not found or found[-1] == self._last:
            return []
        before, self._last = self._last, found[-1]
        frames = []
        if before is not None and before.start_ns < found[-1].start_ns:
            whole = found[0] if found[0].start_ns == before.start_ns else before
            frames.append(self._frame(whole, closed=True))
        frames.append(self._frame(found[-1], closed=False))
        return frames

    def _frame(self, candle: Candle, *, closed: bool) -> bytes:
        now_ms = self._desk.world.now_ms()
        return encode(candle_event(candle, self._interval, self._grid, now_ms, closed))


def _nothing() -> Iterable[bytes]:
    return ()


def _maybe(frame: Callable[[], bytes | None]) -> Frames:
    """Return a source of at most one frame."""

    def frames() -> Iterable[bytes]:
        payload = frame()
        return () if payload is None else (payload,)

    return frames
