"""The public socket: subscriptions, and the channels shared by all sessions."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from hfengine.localvenue.bitget.books import DEPTHS, BookFeed
from hfengine.localvenue.bitget.market_rest import (
    GRANULARITIES,
    candle_row,
    ticker_push,
    trade_row,
)
from hfengine.localvenue.bitget.parameters import PRODUCT
from hfengine.localvenue.bitget.session import BaseSession
from hfengine.localvenue.ports import Socket
from hfengine.localvenue.timers import Cancel
from hfengine.localvenue.world import PublicTrade, World

Key = tuple[str, str]
"""A channel and a symbol."""

BOOKS_EVERY_S: Final = 0.15
TOP_EVERY_S: Final = 0.1
TICKER_EVERY_S: Final = 0.3
CANDLE_EVERY_S: Final = 0.5
TRADES_SHOWN: Final = 50
CANDLES_SHOWN: Final = 100


class Feed(Protocol):
    """What a channel of one symbol pushes."""

    def snapshot(self) -> bytes:
        """Return the first push for one who subscribes."""

    def beat(self) -> bytes | None:
        """Return the next push for all, None for nothing new."""


def head(channel: str, symbol: str, action: str) -> str:
    """Return a push up to its data."""
    return (
        f'{{"action":"{action}","arg":{{"instType":"{PRODUCT}","channel":"{channel}",'
        f'"instId":"{symbol}"}},"data":'
    )


class TickerFeed:
    """A symbol's ticker: whole each time it changed."""

    def __init__(self, world: World, symbol: str) -> None:
        self._world = world
        self._symbol = symbol
        self._head = head("ticker", symbol, "snapshot")
        self._last: Any = None

    def snapshot(self) -> bytes:
        """Return the ticker as it is."""
        return self._frame()

    def beat(self) -> bytes | None:
        """Return the ticker if it changed."""
        ticker = self._world.ticker(self._symbol)
        if ticker == self._last:
            return None
        self._last = ticker
        return self._frame()

    def _frame(self) -> bytes:
        now_ms = self._world.now_ms()
        row = ticker_push(self._world.ticker(self._symbol), now_ms)
        return f'{self._head}[{msgspec.json.encode(row).decode()}],"ts":{now_ms}}}'.encode()


class TradeFeed:
    """A symbol's trades, pushed as they happen; `beat` has nothing to add."""

    def __init__(self, world: World, symbol: str) -> None:
        self._world = world
        self._symbol = symbol

    def snapshot(self) -> bytes:
        """Return the latest trades, the newest first."""
        found = self._world.recent_trades(self._symbol, TRADES_SHOWN)
        return self._frame("snapshot", [trade_row(one) for one in reversed(found)])

    def beat(self) -> bytes | None:
        """Return nothing: trades do not wait."""
        return None

    def push(self, trade: PublicTrade) -> bytes:
        """Return one trade."""
        return self._frame("update", [trade_row(trade)])

    def _frame(self, action: str, rows: list[Any]) -> bytes:
        text = msgspec.json.encode(rows).decode()
        start = head("trade", self._symbol, action)
        return f'{start}{text},"ts":{self._world.now_ms()}}}'.encode()


class CandleFeed:
    """A symbol's candles of one length: the last ones, then the one being built."""

    def __init__(self, world: World, symbol: str, channel: str) -> None:
        self._world = world
        self._symbol = symbol
        self._channel = channel
        self._interval_s = GRANULARITIES[channel.removeprefix("candle")]
        self._last: Any = None

    def snapshot(self) -> bytes:
        """Return the last candles, oldest first."""
        return self._frame("snapshot", self._rows(CANDLES_SHOWN))

    def beat(self) -> bytes | None:
        """Return the newest candle if it changed."""
        rows = self._rows(1)
        if not rows or rows == self._last:
            return None
        self._last = rows
        return self._frame("update", rows)

    def _rows(self, count: int) -> list[list[str]]:
        found = self._world.candles(self._symbol, self._interval_s, count)
        # an eighth column repeats the turnover, in USDT
        return [[*row, row[-1]] for row in map(candle_row, found)]

    def _frame(self, action: str, rows: list[list[str]]) -> bytes:
        text = msgspec.json.encode(rows).decode()
        start = head(self._channel, self._symbol, action)
        return f'{start}{text},"ts":{self._world.now_ms()}}}'.encode()


def is_channel(channel: str) -> bool:
    """Tell whether the public socket has a channel."""
    if channel in DEPTHS or channel in {"ticker", "trade"}:
        return True
    return channel.startswith("candle") and channel.removeprefix("candle") in GRANULARITIES


def period_s(channel: str) -> float:
    """Return how often a channel is looked at."""
    if channel == "books1":
        return TOP_EVERY_S
    if channel in DEPTHS:
        return BOOKS_EVERY_S
    return TICKER_EVERY_S if channel == "ticker" else CANDLE_EVERY_S


class PublicFeeds:
    """The feeds that somebody watches, and one timer for each cadence in use."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._feeds: dict[Key, Feed] = {}
        self._watching: dict[Key, dict[Socket, None]] = {}
        self._timers: dict[float, Cancel] = {}
        world.on_trade(self._traded)

    def watch(self, key: Key, socket: Socket) -> bytes:
        """Let a socket watch a channel and return its first push."""
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = self._open(key)
        self._watching.setdefault(key, {})[socket] = None
        channel = key[0]
        every_s = period_s(channel)
        if channel != "trade" and every_s not in self._timers:
            self._timers[every_s] = self._world.every(every_s, self._beat_of(every_s))
        # what the others have not seen yet goes to them first, so that all hold the same book
        beat = feed.beat()
        if beat is not None:
            for other in self._watching[key]:
                if other is not socket:
                    other.send(beat)
        return feed.snapshot()

    def leave(self, key: Key, socket: Socket) -> None:
        """Let a socket watch a channel no longer."""
        watching = self._watching.get(key)
        if watching is None:
            return
        watching.pop(socket, None)
        if not watching:
            del self._watching[key]
            del self._feeds[key]
            self._end_idle_timers()

    def book(self, symbol: str) -> BookFeed | None:
        """Return the feed of a symbol's diffs, None while nobody watches it."""
        feed = self._feeds.get(("books", symbol))
        return feed if isinstance(feed, BookFeed) else None

    def stop(self) -> None:
        """End the timers."""
        for cancel in self._timers.values():
            cancel()
        self._timers.clear()

    def _open(self, key: Key) -> Feed:
        channel, symbol = key
        if channel in DEPTHS:
            return BookFeed(self._world, symbol, channel)
        if channel == "ticker":
            return TickerFeed(self._world, symbol)
        if channel == "trade":
            return TradeFeed(self._world, symbol)
        return CandleFeed(self._world, symbol, channel)

    def _beat_of(self, every_s: float) -> Callable[[], None]:
        def beat() -> None:
            for key, feed in list(self._feeds.items()):
                if period_s(key[0]) != every_s:
                    continue
                frame = feed.beat()
                if frame is not None:
                    for socket in list(self._watching[key]):
                        socket.send(frame)

        return beat

    def _end_idle_timers(self) -> None:
        used = {period_s(channel) for channel, _ in self._feeds if channel != "trade"}
        for every_s in [one for one in self._timers if one not in used]:
            self._timers.pop(every_s)()

    def _traded(self, trade: PublicTrade) -> None:
        key = ("trade", trade.symbol)
        feed = self._feeds.get(key)
        if isinstance(feed, TradeFeed):
            frame = feed.push(trade)
            for socket in list(self._watching[key]):
                socket.send(frame)


class PublicSession(BaseSession):
    """One client of the public socket."""

    def __init__(self, socket: Socket, world: World, feeds: PublicFeeds) -> None:
        super().__init__(socket, world)
        self._feeds = feeds
        self._keys: dict[Key, None] = {}

    def subscribe(self, arg: Mapping[str, Any]) -> bytes | None:
        """Begin a channel; return its first push, None for a channel that does not exist."""
        key = self._key(arg)
        if key is None:
            return None
        self._keys[key] = None
        return self._feeds.watch(key, self.socket)

    def unsubscribe(self, arg: Mapping[str, Any]) -> bool:
        """End a channel; tell whether it exists."""
        key = self._key(arg)
        if key is None:
            return False
        if key in self._keys:
            del self._keys[key]
            self._feeds.leave(key, self.socket)
        return True

    def closed(self) -> None:
        """Leave every channel."""
        super().closed()
        for key in self._keys:
            self._feeds.leave(key, self.socket)
        self._keys.clear()

    def _key(self, arg: Mapping[str, Any]) -> Key | None:
        channel, symbol = str(arg.get("channel", "")), str(arg.get("instId", "")).upper()
        if str(arg.get("instType", "")).upper() != PRODUCT or not is_channel(channel):
            return None
        return (channel, symbol) if symbol in self.world.instruments else None
