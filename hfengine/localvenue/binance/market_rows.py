"""Instruments, tickers, trades and candles as Binance's rows and stream events; pure."""

from decimal import Decimal
from typing import Final

from hfengine.instruments import Instrument
from hfengine.localvenue.binance.wire import Grid, Row, ms, plain, usdt
from hfengine.localvenue.market import Ticker
from hfengine.localvenue.tape import Candle, PublicTrade

NEVER_MS: Final = 4_133_404_800_000
ONBOARD_MS: Final = 1_569_398_400_000
PRICE_MAX_TICKS: Final = 45_000_000
INTEREST_RATE: Final = "0.00010000"
DAY_MS: Final = 86_400_000
INTERVALS_S: Final = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "4h": 14_400,
    "6h": 21_600,
    "8h": 28_800,
    "12h": 43_200,
    "1d": 86_400,
    "3d": 259_200,
    "1w": 604_800,
}
ZERO: Final = Decimal(0)


def symbol_row(grid: Grid) -> Row:
    """Return an instrument as exchangeInfo lists it."""
    instrument = grid.instrument
    band = instrument.price_band
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER_MS,
        "onboardDate": ONBOARD_MS,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": grid.price_places,
        "quantityPrecision": grid.quantity_places,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["Layer-1"],
        "settlePlan": 0,
        "triggerProtect": plain(band, 4),
        "liquidationFee": plain(instrument.liquidation_fee, 6),
        "marketTakeBound": plain(band, 2),
        "maxMoveOrderLimit": 10000,
        "permissionSets": ["GRID", "COPY"],
        "filters": _filters(grid, instrument),
        "orderTypes": [
            "LIMIT",
            "MARKET",
            "STOP",
            "STOP_MARKET",
            "TAKE_PROFIT",
            "TAKE_PROFIT_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _filters(grid: Grid, instrument: Instrument) -> list[Row]:
    step = grid.quantity(instrument.quantity_step)
    least = grid.quantity(instrument.quantity_min)
    band = instrument.price_band
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": grid.ticks(1),
            "maxPrice": grid.ticks(PRICE_MAX_TICKS),
            "tickSize": grid.ticks(1),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": least,
            "maxQty": plain(instrument.quantity_max),
            "stepSize": step,
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": least,
            "maxQty": plain(instrument.market_quantity_max),
            "stepSize": step,
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": plain(instrument.notional_min_usdt)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": plain(1 + band, 4),
            "multiplierDown": plain(1 - band, 4),
            "multiplierDecimal": "4",
        },
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]


def premium_row(ticker: Ticker, now_ms: int) -> Row:
    """Return mark, index and funding of a symbol."""
    return {
        "symbol": ticker.symbol,
        "markPrice": usdt(ticker.mark),
        "indexPrice": usdt(ticker.index),
        "estimatedSettlePrice": usdt(ticker.index),
        "lastFundingRate": usdt(ticker.funding_rate),
        "interestRate": INTEREST_RATE,
        "nextFundingTime": ms(ticker.next_funding_ns),
        "time": now_ms,
    }


def day_row(ticker: Ticker, trades: list[PublicTrade], grid: Grid, now_ms: int) -> Row:
    """Return a symbol's last 24 hours."""
    change = ticker.last - ticker.open24h if ticker.open24h else ZERO
    last = trades[-1] if trades else None
    return {
        "symbol": ticker.symbol,
        "priceChange": grid.price(change),
        "priceChangePercent": percent(change, ticker.open24h),
        "weightedAvgPrice": grid.price(weighted(ticker)),
        "lastPrice": grid.price(ticker.last),
        "lastQty": grid.quantity(last.quantity if last else ZERO),
        "openPrice": grid.price(ticker.open24h),
        "highPrice": grid.price(ticker.high24h),
        "lowPrice": grid.price(ticker.low24h),
        "volume": grid.quantity(ticker.volume24h),
        "quoteVolume": plain(ticker.turnover24h, 2),
        "openTime": now_ms - DAY_MS,
        "closeTime": now_ms,
        "firstId": 1 if last else 0,
        "lastId": last.trade_id if last else 0,
        "count": last.trade_id if last else 0,
    }


def percent(change: Decimal, base: Decimal) -> str:
    """Return a change in per cent with Binance's three decimals."""
    return f"{change / base * 100:.3f}" if base else "0.000"


def weighted(ticker: Ticker) -> Decimal:
    """Return the average price of the last 24 hours, 0 without trades."""
    if not ticker.volume24h:
        return ZERO
    return (ticker.turnover24h / ticker.volume24h).quantize(Decimal("1e-8"))


def best_row(ticker: Ticker, grid: Grid, update_id: int, now_ms: int) -> Row:
    """Return best bid and ask."""
    return {
        "lastUpdateId": update_id,
        "symbol": ticker.symbol,
        "bidPrice": grid.price(ticker.bid),
        "bidQty": grid.quantity(ticker.bid_quantity),
        "askPrice": grid.price(ticker.ask),
        "askQty": grid.quantity(ticker.ask_quantity),
        "time": now_ms,
    }


def public_trade_row(trade: PublicTrade, grid: Grid) -> Row:
    """Return a public trade."""
    return {
        "id": trade.trade_id,
        "price": grid.ticks(trade.ticks),
        "qty": grid.steps(trade.steps),
        "quoteQty": plain(trade.price * trade.quantity, 2),
        "time": ms(trade.at_ns),
        "isBuyerMaker": trade.side < 0,
    }


def aggregate_row(trade: PublicTrade, grid: Grid) -> Row:
    """Return a public trade as an aggregate of one."""
    return {
        "a": trade.trade_id,
        "p": grid.ticks(trade.ticks),
        "q": grid.steps(trade.steps),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": ms(trade.at_ns),
        "m": trade.side < 0,
    }


def candle_row(candle: Candle, interval_s: int, grid: Grid) -> list[int | str]:
    """Return a candle; who took what side is not kept: half and half."""
    start_ms = ms(candle.start_ns)
    return [
        start_ms,
        grid.price(candle.open),
        grid.price(candle.high),
        grid.price(candle.low),
        grid.price(candle.close),
        grid.quantity(candle.volume),
        start_ms + interval_s * 1000 - 1,
        plain(candle.turnover, 5),
        1,
        plain(candle.volume / 2, grid.quantity_places),
        plain(candle.turnover / 2, 5),
        "0",
    ]


# Stream events


def mark_event(ticker: Ticker, now_ms: int) -> Row:
    """Return a markPriceUpdate."""
    return {
        "e": "markPriceUpdate",
        "E": now_ms,
        "s": ticker.symbol,
        "p": usdt(ticker.mark),
        "P": usdt(ticker.index),
        "i": usdt(ticker.index),
        "r": usdt(ticker.funding_rate),
        "T": ms(ticker.next_funding_ns),
        "st": 1,
    }


def day_event(ticker: Ticker, trades: list[PublicTrade], grid: Grid, now_ms: int) -> Row:
    """Return a 24hrTicker."""
    row = day_row(ticker, trades, grid, now_ms)
    return {
        "e": "24hrTicker",
        "E": now_ms,
        "s": ticker.symbol,
        "p": row["priceChange"],
        "P": row["priceChangePercent"],
        "w": row["weightedAvgPrice"],
        "c": row["lastPrice"],
        "Q": row["lastQty"],
        "o": row["openPrice"],
        "h": row["highPrice"],
        "l": row["lowPrice"],
        "v": row["volume"],
        "q": row["quoteVolume"],
        "O": row["openTime"],
        "C": row["closeTime"],
        "F": row["firstId"],
        "L": row["lastId"],
        "n": row["count"],
        "st": 1,
    }


def short_day_event(ticker: Ticker, grid: Grid, now_ms: int) -> Row:
    """Return a 24hrMiniTicker."""
    return {
        "e": "24hrMiniTicker",
        "E": now_ms,
        "s": ticker.symbol,
        "c": grid.price(ticker.last),
        "o": grid.price(ticker.open24h),
        "h": grid.price(ticker.high24h),
        "l": grid.price(ticker.low24h),
        "v": grid.quantity(ticker.volume24h),
        "q": plain(ticker.turnover24h, 2),
    }


def candle_event(candle: Candle, interval: str, grid: Grid, now_ms: int, closed: bool) -> Row:
    """Return a kline event of one candle."""
    row = candle_row(candle, INTERVALS_S[interval], grid)
    symbol = grid.instrument.symbol
    candle_fields = {
        "t": row[0],
        "T": row[6],
        "s": symbol,
        "i": interval,
        "f": -1,
        "L": -1,
        "o": row[1],
        "c": row[4],
        "h": row[2],
        "l": row[3],
        "v": row[5],
        "n": row[8],
        "x": closed,
        "q": row[7],
        "V": row[9],
        "Q": row[10],
        "B": "0",
    }
    return {"e": "kline", "E": now_ms, "s": symbol, "k": candle_fields}
