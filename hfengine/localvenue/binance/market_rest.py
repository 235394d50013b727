"""Calls on the public market."""

from collections.abc import Callable
from typing import Any, Final

from hfengine.localvenue.binance.book import DEPTH, Levels, snapshot_id
from hfengine.localvenue.binance.desk import Desk
from hfengine.localvenue.binance.errors import BinanceError
from hfengine.localvenue.binance.market_rows import (
    INTERVALS_S,
    aggregate_row,
    best_row,
    candle_row,
    day_row,
    premium_row,
    public_trade_row,
    symbol_row,
)
from hfengine.localvenue.binance.params import Call
from hfengine.localvenue.binance.rates import Rates
from hfengine.localvenue.binance.wire import Row, ms, usdt

DEPTH_WEIGHTS: Final = ((50, 2), (100, 5), (500, 10), (1000, 20))
DEPTH_LIMITS: Final = frozenset({5, 10, 20, 50, 100, 500, 1000})
ASSETS: Final = [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}]
HOUR_NS: Final = 3_600_000_000_000

Shown = Callable[[str, Levels, Levels], None]
"""Hears which bids and asks of a symbol a snapshot showed."""


def depth_weight(call: Call) -> int:
    """Return what a depth call costs: by its limit."""
    limit = call.whole("limit", 500)
    return next((weight for most, weight in DEPTH_WEIGHTS if limit <= most), 20)


class MarketCalls:
    """Public calls."""

    def __init__(self, desk: Desk, rates: Rates, shown: Shown) -> None:
        self._desk = desk
        self._shown = shown
        self._rates = rates
        self._world = desk.world
        self._symbol_rows = [symbol_row(grid) for grid in desk.grids.values()]

    def ping(self, _call: Call) -> Row:
        """Answer."""
        return {}

    def time(self, _call: Call) -> Row:
        """Return the venue's clock."""
        return {"serverTime": self._world.now_ms()}

    def exchange_info(self, _call: Call) -> Row:
        """Return limits and instruments."""
        return {
            "timezone": "UTC",
            "serverTime": self._world.now_ms(),
            "futuresType": "U_MARGINED",
            "rateLimits": self._rates.limits(),
            "exchangeFilters": [],
            "assets": ASSETS,
            "symbols": self._symbol_rows,
        }

    def depth(self, call: Call) -> Row:
        """Return a snapshot of the book."""
        symbol = self._desk.symbol(call)
        limit = call.whole("limit", 500)
        if limit not in DEPTH_LIMITS:
            raise BinanceError(-4021, "Invalid depth limit.")
        grid, world = self._desk.grid(symbol), self._world
        count, now_ms = min(limit, DEPTH), world.now_ms()
        bids, asks = world.levels(symbol, 1, count), world.levels(symbol, -1, count)
        self._shown(symbol, bids, asks)
        sides = {
            name: [[grid.ticks(ticks), grid.steps(steps)] for ticks, steps in levels]
            for name, levels in (("bids", bids), ("asks", asks))
        }
        last = snapshot_id(world.version(symbol))
        return {"lastUpdateId": last, "E": now_ms, "T": now_ms, **sides}

    def trades(self, call: Call) -> list[Row]:
        """Return the last public trades, newest last."""
        symbol = self._desk.symbol(call)
        grid = self._desk.grid(symbol)
        found = self._world.recent_trades(symbol, call.whole("limit", 500, 1000))
        return [public_trade_row(one, grid) for one in found]

    def aggregates(self, call: Call) -> list[Row]:
        """Return the last public trades as aggregates, newest last."""
        symbol = self._desk.symbol(call)
        grid = self._desk.grid(symbol)
        found = self._world.recent_trades(symbol, call.whole("limit", 500, 1000))
        first, start, end = (call.whole(name, 0) for name in ("fromId", "startTime", "endTime"))
        return [
            aggregate_row(one, grid)
            for one in found
            if one.trade_id >= first
            and ms(one.at_ns) >= start
            and (not end or ms(one.at_ns) <= end)
        ]

    def candles(self, call: Call) -> list[list[int | str]]:
        """Return candles, newest last."""
        symbol = self._desk.symbol(call)
        interval_s = INTERVALS_S.get(call.need("interval"))
        if interval_s is None:
            raise BinanceError(-1120, "Invalid interval.")
        grid = self._desk.grid(symbol)
        found = self._world.candles(symbol, interval_s, call.whole("limit", 500, 1500))
        start, end = call.whole("startTime", 0), call.whole("endTime", 0)
        return [
            candle_row(one, interval_s, grid)
            for one in found
            if ms(one.start_ns) >= start and (not end or ms(one.start_ns) <= end)
        ]

    def premium_index(self, call: Call) -> Any:
        """Return mark, index and funding of one symbol or all."""
        now_ms = self._world.now_ms()
        return self._one_or_all(
            call, lambda symbol: premium_row(self._world.ticker(symbol), now_ms)
        )

    def day(self, call: Call) -> Any:
        """Return the last 24 hours of one symbol or all."""
        now_ms, world = self._world.now_ms(), self._world

        def row(symbol: str) -> Row:
            trades = world.recent_trades(symbol, 1)
            return day_row(world.ticker(symbol), trades, self._desk.grid(symbol), now_ms)

        return self._one_or_all(call, row)

    def best(self, call: Call) -> Any:
        """Return best bid and ask of one symbol or all."""
        now_ms, world = self._world.now_ms(), self._world

        def row(symbol: str) -> Row:
            number = snapshot_id(world.version(symbol))
            return best_row(world.ticker(symbol), self._desk.grid(symbol), number, now_ms)

        return self._one_or_all(call, row)

    def price(self, call: Call) -> Any:
        """Return the last price of one symbol or all."""
        now_ms, world = self._world.now_ms(), self._world

        def row(symbol: str) -> Row:
            price = self._desk.grid(symbol).price(world.ticker(symbol).last)
            return {"symbol": symbol, "price": price, "time": now_ms}

        return self._one_or_all(call, row)

    def open_interest(self, call: Call) -> Row:
        """Return the open interest, of which nothing is known here: 0."""
        symbol = self._desk.symbol(call)
        return {"openInterest": "0.000", "symbol": symbol, "time": self._world.now_ms()}

    def funding_info(self, _call: Call) -> list[Row]:
        """Return the funding interval of every symbol."""
        return [
            {
                "symbol": symbol,
                "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": grid.instrument.funding_interval_h,
                "disclaimer": False,
                "updateTime": 0,
            }
            for symbol, grid in self._desk.grids.items()
        ]

    def funding_rates(self, call: Call) -> list[Row]:
        """Return the last funding of a symbol, at the rate there is now."""
        rows = []
        for symbol in self._desk.symbols(call):
            ticker = self._world.ticker(symbol)
            interval_ns = self._desk.grid(symbol).instrument.funding_interval_h * HOUR_NS
            rows.append(
                {
                    "symbol": symbol,
                    "fundingTime": ms(ticker.next_funding_ns - interval_ns),
                    "fundingRate": usdt(ticker.funding_rate),
                    "markPrice": usdt(ticker.mark),
                }
            )
        return rows

    def _one_or_all(self, call: Call, row: Any) -> Any:
        if call.has("symbol"):
            return row(self._desk.symbol(call))
        return [row(symbol) for symbol in self._desk.grids]
