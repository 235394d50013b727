"""Public REST: contracts, tiers, book, ticker, trades, candles, funding, time."""

from typing import Any, Final

from hfengine.instruments import Instrument
from hfengine.localvenue.bitget import identity
from hfengine.localvenue.bitget.errors import Refused, parameter
from hfengine.localvenue.bitget.figures import ms, per, places
from hfengine.localvenue.bitget.order_rows import Row
from hfengine.localvenue.bitget.parameters import Call
from hfengine.localvenue.figures import plain
from hfengine.localvenue.world import Candle, PublicTrade, Ticker, World

DEPTH: Final = 100
DEPTH_MAX: Final = 500
TRADES: Final = 100
CANDLES: Final = 100
CANDLES_MAX: Final = 1000
GRANULARITIES: Final = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1H": 3600,
    "4H": 14_400,
    "6H": 21_600,
    "12H": 43_200,
    "1D": 86_400,
    "1W": 604_800,
}
RATE_MAX: Final = "0.003"
"""The funding rate's bound, as recorded of BTCUSDT."""


class MarketRest:
    """Handlers under /api/v2/public and /api/v2/mix/market."""

    def __init__(self, world: World) -> None:
        self._world = world

    def time(self, call: Call) -> Row:
        """Answer public/time."""
        return {"serverTime": str(call.now_ms)}

    def nothing(self, _call: Call) -> list[Row]:
        """Answer what this venue has nothing of: spot and margin lists."""
        return []

    def contracts(self, call: Call) -> list[Row]:
        """Answer market/contracts."""
        if call.lists_nothing():
            return []
        symbol = call.text("symbol").upper()
        listed = self._world.instruments.values()
        return [contract_row(one) for one in listed if symbol in {"", one.symbol}]

    def tiers(self, call: Call) -> list[Row]:
        """Answer market/query-position-lever: a symbol's risk tiers."""
        instrument = self._instrument(call)
        floor, rows = "0", []
        for level, tier in enumerate(instrument.tiers, 1):
            cap = plain(tier.notional_cap_usdt)
            rows.append(
                {
                    "symbol": instrument.symbol,
                    "level": str(level),
                    "startUnit": floor,
                    "endUnit": cap,
                    "leverage": plain(tier.max_leverage),
                    "keepMarginRate": f"{tier.maintenance_rate:.4f}",
                }
            )
            floor = cap
        return rows

    def depth(self, call: Call) -> Row:
        """Answer market/merge-depth and market/orderbook, unmerged."""
        instrument = self._instrument(call)
        wanted = call.text("limit", str(DEPTH))
        count = DEPTH_MAX if wanted == "max" else min(call.whole("limit", DEPTH), DEPTH_MAX)
        tick, step = instrument.price_tick, instrument.quantity_step
        asks, bids = (
            [
                [plain(tick * ticks), plain(step * steps)]
                for ticks, steps in self._world.levels(instrument.symbol, side, count)
            ]
            for side in (-1, 1)
        )
        return {
            "asks": asks,
            "bids": bids,
            "ts": str(call.now_ms),
            "scale": plain(tick),
            "precision": "scale0",
            "isMaxPrecision": "NO",
        }

    def ticker(self, call: Call) -> list[Row]:
        """Answer market/ticker."""
        return [self._ticker_row(self._instrument(call).symbol, call.now_ms)]

    def tickers(self, call: Call) -> list[Row]:
        """Answer market/tickers."""
        if call.lists_nothing():
            return []
        return [self._ticker_row(symbol, call.now_ms) for symbol in self._world.instruments]

    def prices(self, call: Call) -> list[Row]:
        """Answer market/symbol-price: last, index and mark."""
        ticker = self._world.ticker(self._instrument(call).symbol)
        return [
            {
                "symbol": ticker.symbol,
                "price": plain(ticker.last),
                "indexPrice": plain(ticker.index),
                "markPrice": plain(ticker.mark),
                "ts": str(call.now_ms),
            }
        ]

    def trades(self, call: Call) -> list[Row]:
        """Answer market/fills and market/fills-history, the latest first."""
        symbol = self._instrument(call).symbol
        count = max(1, min(call.whole("limit", TRADES), 1000))
        found = self._world.recent_trades(symbol, 1000)
        rows = [
            {**trade_row(one), "symbol": symbol}
            for one in reversed(found)
            if call.within(one.at_ns // 1_000_000)
        ]
        before = call.text("idLessThan")
        if before:
            rows = [row for row in rows if int(row["tradeId"]) < int(before)]
        return rows[:count]

    def candles(self, call: Call) -> list[list[str]]:
        """Answer market/candles and its history, mark and index kin, oldest first.

        Candles are made of the trades this venue saw, whatever price is asked for.
        """
        symbol = self._instrument(call).symbol
        interval_s = GRANULARITIES.get(call.required("granularity"))
        if interval_s is None:
            raise parameter("granularity")
        count = max(1, min(call.whole("limit", CANDLES), CANDLES_MAX))
        found = self._world.candles(symbol, interval_s, CANDLES_MAX)
        rows = [candle_row(one) for one in found if call.within(one.start_ns // 1_000_000)]
        return rows[-count:]

    def funding_rate(self, call: Call) -> list[Row]:
        """Answer market/current-fund-rate."""
        instrument = self._instrument(call)
        ticker = self._world.ticker(instrument.symbol)
        return [
            {
                "symbol": instrument.symbol,
                "fundingRate": plain(ticker.funding_rate),
                "fundingRateInterval": str(instrument.funding_interval_h),
                "nextUpdate": ms(ticker.next_funding_ns),
                "minFundingRate": f"-{RATE_MAX}",
                "maxFundingRate": RATE_MAX,
            }
        ]

    def funding_time(self, call: Call) -> list[Row]:
        """Answer market/funding-time."""
        instrument = self._instrument(call)
        due_ns = self._world.next_funding_ns(instrument.symbol)
        return [
            {
                "symbol": instrument.symbol,
                "nextFundingTime": ms(due_ns),
                "ratePeriod": str(instrument.funding_interval_h),
            }
        ]

    def funding_history(self, call: Call) -> list[Row]:
        """Answer market/history-fund-rate: this venue keeps no past rates."""
        self._instrument(call)
        return []

    def open_interest(self, call: Call) -> Row:
        """Answer market/open-interest: nobody counts it here."""
        symbol = self._instrument(call).symbol
        return {
            "openInterestList": [{"symbol": symbol, "size": "0"}],
            "ts": str(call.now_ms),
        }

    def classic(self, _call: Call) -> Any:
        """Refuse the unified account's settings: the account is a classic one."""
        text = (
            "You are in Classic Account mode, and the Unified Account API is not supported "
            "at this time"
        )
        raise Refused("40084", text)

    def _instrument(self, call: Call) -> Instrument:
        return self._world.instruments[call.symbol(self._world.instruments)]

    def _ticker_row(self, symbol: str, now_ms: int) -> Row:
        ticker = self._world.ticker(symbol)
        turnover = plain(ticker.turnover24h)
        return {
            "symbol": symbol,
            "lastPr": plain(ticker.last),
            "askPr": plain(ticker.ask),
            "bidPr": plain(ticker.bid),
            "bidSz": plain(ticker.bid_quantity),
            "askSz": plain(ticker.ask_quantity),
            "high24h": plain(ticker.high24h),
            "low24h": plain(ticker.low24h),
            "ts": str(now_ms),
            "change24h": change_text(ticker),
            "baseVolume": plain(ticker.volume24h),
            "quoteVolume": turnover,
            "usdtVolume": turnover,
            "openUtc": plain(ticker.open24h),
            "changeUtc24h": change_text(ticker),
            "indexPrice": plain(ticker.index),
            "fundingRate": plain(ticker.funding_rate),
            "holdingAmount": "0",
            "deliveryStartTime": None,
            "deliveryTime": None,
            "deliveryStatus": "",
            "open24h": plain(ticker.open24h),
            "markPrice": plain(ticker.mark),
        }


def contract_row(instrument: Instrument) -> Row:
    """Return an instrument as market/contracts lists it."""
    price_place = places(instrument.price_tick)
    band = plain(instrument.price_band)
    return {
        "symbol": instrument.symbol,
        "baseCoin": instrument.base,
        "quoteCoin": "USDT",
        "buyLimitPriceRatio": band,
        "sellLimitPriceRatio": band,
        "feeRateUpRatio": "0.005",
        "makerFeeRate": plain(instrument.maker_fee),
        "takerFeeRate": plain(instrument.taker_fee),
        "openCostUpRatio": "0.01",
        "supportMarginCoins": ["USDT"],
        "minTradeNum": plain(instrument.quantity_min),
        "priceEndStep": plain(instrument.price_tick.scaleb(price_place)),
        "volumePlace": str(places(instrument.quantity_step)),
        "pricePlace": str(price_place),
        "sizeMultiplier": plain(instrument.quantity_step),
        "symbolType": "perpetual",
        "minTradeUSDT": plain(instrument.notional_min_usdt),
        "maxSymbolOrderNum": "200",
        "maxProductOrderNum": "1000",
        "maxPositionNum": "200",
        "symbolStatus": "normal",
        "offTime": "-1",
        "limitOpenTime": "-1",
        "deliveryTime": "",
        "deliveryStartTime": "",
        "deliveryPeriod": "",
        "launchTime": "",
        "fundInterval": str(instrument.funding_interval_h),
        "minLever": "1",
        "maxLever": plain(instrument.max_leverage),
        "posLimit": "0.2",
        "maintainTime": "",
        "openTime": "",
        "maxMarketOrderQty": plain(instrument.market_quantity_max),
        "maxOrderQty": plain(instrument.quantity_max),
        "isRwa": "NO",
    }


def trade_row(trade: PublicTrade) -> Row:
    """Return a public trade as the socket pushes it."""
    return {
        "ts": ms(trade.at_ns),
        "price": plain(trade.price),
        "size": plain(trade.quantity),
        "side": "buy" if trade.side > 0 else "sell",
        "tradeId": identity.trade_id(trade.trade_id),
    }


def candle_row(candle: Candle) -> list[str]:
    """Return a candle as REST shows it: seven columns."""
    return [
        ms(candle.start_ns),
        plain(candle.open),
        plain(candle.high),
        plain(candle.low),
        plain(candle.close),
        plain(candle.volume),
        plain(candle.turnover),
    ]


def change_text(ticker: Ticker) -> str:
    """Return the change of 24 hours as a fraction, to five places."""
    if not ticker.open24h:
        return "0"
    change = per(ticker.last - ticker.open24h, ticker.open24h)
    return plain(round(change, 5))


def ticker_push(ticker: Ticker, now_ms: int) -> Row:
    """Return a ticker as the socket pushes it."""
    return {
        "instId": ticker.symbol,
        "lastPr": plain(ticker.last),
        "bidPr": plain(ticker.bid),
        "askPr": plain(ticker.ask),
        "bidSz": plain(ticker.bid_quantity),
        "askSz": plain(ticker.ask_quantity),
        "open24h": plain(ticker.open24h),
        "high24h": plain(ticker.high24h),
        "low24h": plain(ticker.low24h),
        "change24h": change_text(ticker),
        "fundingRate": plain(ticker.funding_rate),
        "nextFundingTime": ms(ticker.next_funding_ns),
        "markPrice": plain(ticker.mark),
        "indexPrice": plain(ticker.index),
        "holdingAmount": "0",
        "baseVolume": plain(ticker.volume24h),
        "quoteVolume": plain(ticker.turnover24h),
        "openUtc": plain(ticker.open24h),
        "symbolType": "1",
        "symbol": ticker.symbol,
        "ts": str(now_ms),
    }
