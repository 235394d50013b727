"""Topics of tickers, trades and candles, each encoded once for all who hear it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import orjson

from hfengine.localvenue.bybit.market_rest import INTERVALS_S, hour_open
from hfengine.localvenue.bybit.market_rows import (
    pushed_candle,
    pushed_ticker,
    pushed_trade,
    tick_direction,
)
from hfengine.localvenue.bybit.order_rows import Row
from hfengine.localvenue.ports import Socket
from hfengine.localvenue.world import Candle, PublicTrade, World

TICKER_S: Final = 0.1
CANDLE_S: Final = 1.0
TRADES_MAX: Final = 1024
"""Trades in one message."""
ALWAYS: Final = ("symbol",)
"""Fields that a ticker delta carries although they never change."""


class Listeners:
    """Who hears which topic of one kind."""

    def __init__(self) -> None:
        self.by_name: dict[str, list[Socket]] = {}

    def add(self, name: str, socket: Socket) -> None:
        """Let a socket hear a topic."""
        heard_by = self.by_name.setdefault(name, [])
        if socket not in heard_by:
            heard_by.append(socket)

    def remove(self, name: str, socket: Socket) -> None:
        """Let a socket hear a topic no more."""
        heard_by = self.by_name.get(name, [])
        if socket in heard_by:
            heard_by.remove(socket)
        if not heard_by:
            self.by_name.pop(name, None)

    def send(self, name: str, frame: Row) -> None:
        """Send a frame to everybody who hears a topic."""
        heard_by = self.by_name.get(name)
        if heard_by:
            payload = orjson.dumps(frame)
            for socket in tuple(heard_by):
                socket.send(payload)


class TickerStream:
    """`tickers.SYMBOL`: a snapshot for the newcomer, then what changed, every 100 ms."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._listeners = Listeners()
        self._last: dict[str, Row] = {}
        self._directions: dict[str, tuple[Decimal, str]] = {}
        self._timer: Callable[[], None] | None = None

    def add(self, symbol: str, socket: Socket) -> None:
        """Send the snapshot and let a socket hear the symbol."""
        if symbol not in self._listeners.by_name:
            self._last[symbol] = self._fields(symbol)
        self._listeners.add(symbol, socket)
        socket.send(orjson.dumps(self._frame(symbol, "snapshot", self._last[symbol])))
        if self._timer is None:
            self._timer = self._world.every(TICKER_S, self._beat)

    def remove(self, symbol: str, socket: Socket) -> None:
        """Let a socket hear no more."""
        self._listeners.remove(symbol, socket)

    def stop(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer()
            self._timer = None

    def _beat(self) -> None:
        for symbol in tuple(self._listeners.by_name):
            fields, before = self._fields(symbol), self._last[symbol]
            changed = {name: value for name, value in fields.items() if before[name] != value}
            if changed:
                self._last[symbol] = fields
                known = {name: fields[name] for name in ALWAYS}
                self._listeners.send(symbol, self._frame(symbol, "delta", {**known, **changed}))

    def _fields(self, symbol: str) -> Row:
        world = self._world
        ticker = world.ticker(symbol)
        before, direction = self._directions.get(symbol, (ticker.last, "ZeroPlusTick"))
        if ticker.last != before:
            direction = tick_direction(before, ticker.last)
        self._directions[symbol] = ticker.last, direction
        opened = hour_open(world, symbol, ticker.last)
        return pushed_ticker(ticker, world.instruments[symbol], opened, direction)

    def _frame(self, symbol: str, kind: str, fields: Row) -> Row:
        world = self._world
        return {
            "topic": f"tickers.{symbol}",
            "type": kind,
            "data": fields,
            "cs": world.version(symbol),
            "ts": world.now_ms(),
        }


class TradeStream:
    """`publicTrade.SYMBOL`: the trades of one turn of the loop in one message."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._listeners = Listeners()
        self._waiting: dict[str, list[Row]] = {}
        self._last: dict[str, Decimal] = {}
        world.on_trade(self._note)

    def add(self, symbol: str, socket: Socket) -> None:
        """Let a socket hear the symbol."""
        self._listeners.add(symbol, socket)

    def remove(self, symbol: str, socket: Socket) -> None:
        """Let a socket hear no more."""
        self._listeners.remove(symbol, socket)

    def _note(self, trade: PublicTrade) -> None:
        symbol = trade.symbol
        before = self._last.get(symbol, trade.price)
        self._last[symbol] = trade.price
        if symbol not in self._listeners.by_name:
            return
        if not self._waiting:
            self._world.loop.call_soon(self._flush)
        row = pushed_trade(trade, tick_direction(before, trade.price), self._world.version(symbol))
        self._waiting.setdefault(symbol, []).append(row)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for symbol, rows in waiting.items():
            for start in range(0, len(rows), TRADES_MAX):
                self._listeners.send(
                    symbol,
                    {
                        "topic": f"publicTrade.{symbol}",
                        "type": "snapshot",
                        "ts": self._world.now_ms(),
                        "data": rows[start : start + TRADES_MAX],
                    },
                )


class CandleStream:
    """`kline.INTERVAL.SYMBOL`: the running candle when it changed, the finished one confirmed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._listeners = Listeners()
        self._last: dict[str, Candle] = {}
        self._timer: Callable[[], None] | None = None

    def add(self, name: str, socket: Socket) -> None:
        """Let a socket hear `INTERVAL.SYMBOL`."""
        self._listeners.add(name, socket)
        if self._timer is None:
            self._timer = self._world.every(CANDLE_S, self._beat)

    def remove(self, name: str, socket: Socket) -> None:
        """Let a socket hear no more."""
        self._listeners.remove(name, socket)

    def stop(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer()
            self._timer = None

    def _beat(self) -> None:
        for name in tuple(self._listeners.by_name):
            interval, _, symbol = name.partition(".")
            candles = self._world.candles(symbol, INTERVALS_S[interval], 2)
            if not candles:
                continue
            before = self._last.get(name)
            if before is not None and before.start_ns < candles[-1].start_ns:
                done = [one for one in candles if one.start_ns == before.start_ns]
                self._send(name, interval, done[0] if done else before, confirm=True)
            if candles[-1] != before:
                self._last[name] = candles[-1]
                self._send(name, interval, candles[-1], confirm=False)

    def _send(self, name: str, interval: str, candle: Candle, *, confirm: bool) -> None:
        now_ms = self._world.now_ms()
        row = pushed_candle(candle, interval, INTERVALS_S[interval], now_ms, confirm=confirm)
        self._listeners.send(
            name, {"topic": f"kline.{name}", "data": [row], "ts": now_ms, "type": "snapshot"}
        )
