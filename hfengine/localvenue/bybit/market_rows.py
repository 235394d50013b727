"""Instruments, risk tiers, tickers, trades and candles as Bybit's JSON rows."""

from decimal import Decimal
from typing import Final

from hfengine.instruments import Instrument
from hfengine.localvenue.bybit.figures import ZERO, gridded, ms, per
from hfengine.localvenue.bybit.identity import trade_uuid
from hfengine.localvenue.bybit.order_rows import Row, side_name
from hfengine.localvenue.figures import plain
from hfengine.localvenue.world import Candle, PublicTrade, Ticker

LAUNCH_MS: Final = "1585526400000"
PRICE_TICKS_MAX: Final = 1_999_998
"""The highest price an instrument takes, in ticks of a tenth of its price scale."""

TICK_DIRECTIONS: Final = {1: "PlusTick", 0: "ZeroPlusTick", -1: "MinusTick"}


def instrument_row(instrument: Instrument) -> Row:
    """Return an instrument as `/v5/market/instruments-info` lists it."""
    tick, step = instrument.price_tick, instrument.quantity_step
    decimals = max(-int(tick.normalize().as_tuple().exponent), 0)
    quantity_max = gridded(instrument.quantity_max, step)
    rate_cap = instrument.tiers[0].maintenance_rate * Decimal("0.75")
    return {
        "symbol": instrument.symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": instrument.base,
        "quoteCoin": "USDT",
        "launchTime": LAUNCH_MS,
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(decimals),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": f"{instrument.max_leverage:.2f}",
            "leverageStep": "1",
        },
        "priceFilter": {
            "minPrice": plain(tick),
            "maxPrice": plain(tick * PRICE_TICKS_MAX * 10),
            "tickSize": plain(tick),
        },
        "lotSizeFilter": {
            "maxOrderQty": quantity_max,
            "maxMktOrderQty": gridded(instrument.market_quantity_max, step),
            "minOrderQty": plain(instrument.quantity_min),
            "qtyStep": plain(step),
            "postOnlyMaxOrderQty": quantity_max,
            "minNotionalValue": plain(instrument.notional_min_usdt),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": instrument.funding_interval_h * 60,
        "settleCoin": "USDT",
        "copyTrading": "both",
        "upperFundingRate": plain(rate_cap),
        "lowerFundingRate": plain(-rate_cap),
    }


def tier_rows(instrument: Instrument) -> list[Row]:
    """Return a symbol's risk tiers as `/v5/market/risk-limit` lists them."""
    return [
        {
            "id": number,
            "symbol": instrument.symbol,
            "riskLimitValue": plain(tier.notional_cap_usdt),
            "maintenanceMargin": plain(tier.maintenance_rate),
            "initialMargin": plain((1 / tier.max_leverage).quantize(Decimal("0.0001"))),
            "isLowestRisk": int(number == 1),
            "maxLeverage": f"{tier.max_leverage:.2f}",
            "mmDeduction": plain(tier.deduction_usdt) if tier.deduction_usdt else "",
        }
        for number, tier in enumerate(instrument.tiers, start=1)
    ]


def ticker_fields(ticker: Ticker, instrument: Instrument, hour_open: Decimal) -> Row:
    """Return the figures that the ticker list and the ticker topic share."""
    tick, step = instrument.price_tick, instrument.quantity_step
    change = per(ticker.last - ticker.open24h, ticker.open24h)
    return {
        "symbol": ticker.symbol,
        "lastPrice": gridded(ticker.last, tick),
        "indexPrice": plain(ticker.index),
        "markPrice": plain(ticker.mark),
        "prevPrice24h": gridded(ticker.open24h, tick),
        "price24hPcnt": plain(change.quantize(Decimal("0.000001"))),
        "highPrice24h": gridded(ticker.high24h, tick),
        "lowPrice24h": gridded(ticker.low24h, tick),
        "prevPrice1h": gridded(hour_open, tick),
        "openInterest": "0",
        "openInterestValue": "0",
        "turnover24h": plain(ticker.turnover24h),
        "volume24h": plain(ticker.volume24h),
        "fundingRate": plain(ticker.funding_rate),
        "nextFundingTime": ms(ticker.next_funding_ns),
        "ask1Size": gridded(ticker.ask_quantity, step),
        "bid1Price": gridded(ticker.bid, tick),
        "ask1Price": gridded(ticker.ask, tick),
        "bid1Size": gridded(ticker.bid_quantity, step),
    }


def ticker_row(ticker: Ticker, instrument: Instrument, hour_open: Decimal) -> Row:
    """Return a symbol as `/v5/market/tickers` lists it."""
    return {
        **ticker_fields(ticker, instrument, hour_open),
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
        "basis": "",
    }


def pushed_ticker(
    ticker: Ticker, instrument: Instrument, hour_open: Decimal, direction: str
) -> Row:
    """Return a symbol as the `tickers` topic has it, all fields."""
    return {
        **ticker_fields(ticker, instrument, hour_open),
        "tickDirection": direction,
        "fundingIntervalHour": str(instrument.funding_interval_h),
    }


def tick_direction(before: Decimal, now: Decimal) -> str:
    """Return how a price moved."""
    return TICK_DIRECTIONS[(now > before) - (now < before)]


def trade_row(trade: PublicTrade) -> Row:
    """Return a public trade as `/v5/market/recent-trade` lists it."""
    return {
        "execId": trade_uuid(trade.symbol, trade.trade_id),
        "symbol": trade.symbol,
        "price": plain(trade.price),
        "size": plain(trade.quantity),
        "side": side_name(trade.side),
        "time": ms(trade.at_ns),
        "isBlockTrade": False,
    }


def pushed_trade(trade: PublicTrade, direction: str, seq: int) -> Row:
    """Return a public trade as the `publicTrade` topic pushes it."""
    return {
        "T": trade.at_ns // 1_000_000,
        "s": trade.symbol,
        "S": side_name(trade.side),
        "v": plain(trade.quantity),
        "p": plain(trade.price),
        "L": direction,
        "i": trade_uuid(trade.symbol, trade.trade_id),
        "BT": False,
        "seq": seq,
    }


def candle_row(candle: Candle) -> list[str]:
    """Return a candle as `/v5/market/kline` lists it."""
    return [
        ms(candle.start_ns),
        plain(candle.open),
        plain(candle.high),
        plain(candle.low),
        plain(candle.close),
        plain(candle.volume),
        plain(candle.turnover),
    ]


def pushed_candle(
    candle: Candle, interval: str, interval_s: int, now_ms: int, *, confirm: bool
) -> Row:
    """Return a candle as the `kline` topic pushes it."""
    start_ms = candle.start_ns // 1_000_000
    return {
        "start": start_ms,
        "end": start_ms + interval_s * 1000 - 1,
        "interval": interval,
        "open": plain(candle.open),
        "close": plain(candle.close),
        "high": plain(candle.high),
        "low": plain(candle.low),
        "volume": plain(candle.volume),
        "turnover": plain(candle.turnover),
        "confirm": confirm,
        "timestamp": now_ms,
    }


def level_rows(levels: list[tuple[int, int]], instrument: Instrument) -> list[list[str]]:
    """Return book levels as [price, size]."""
    tick, step = instrument.price_tick, instrument.quantity_step
    return [[gridded(tick * ticks, tick), gridded(step * steps, step)] for ticks, steps in levels]


__all__ = [
    "ZERO",
    "candle_row",
    "instrument_row",
    "level_rows",
    "pushed_candle",
    "pushed_ticker",
    "pushed_trade",
    "tick_direction",
    "ticker_row",
    "tier_rows",
    "trade_row",
]
