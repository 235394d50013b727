"""The catalogue against the recordings it was taken from."""

import gzip
import json
from decimal import Decimal

import pytest

from hfengine.instruments import load_catalogue
from tests.shared import SHARED, needs_shared

METADATA = SHARED / "data" / "metadata"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT", "ZRXUSDT")

pytestmark = needs_shared


def recorded(name: str):
    opener = gzip.open if name.endswith(".gz") else open
    with opener(METADATA / name, "rt", encoding="utf-8") as file:
        return json.load(file, parse_float=Decimal)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_binance_filters_and_fee(symbol):
    instrument = load_catalogue("binance").find(symbol)
    listing = recorded("binance_usdm_exchangeInfo_2023-12-16.json.gz")["symbols"]
    row = next(row for row in listing if row["symbol"] == symbol)
    filters = {part["filterType"]: part for part in row["filters"]}
    lot, band = filters["LOT_SIZE"], filters["PERCENT_PRICE"]
    assert instrument.base == row["baseAsset"]
    assert instrument.price_tick == Decimal(filters["PRICE_FILTER"]["tickSize"])
    assert instrument.quantity_step == Decimal(lot["stepSize"])
    assert instrument.quantity_min == Decimal(lot["minQty"])
    assert instrument.quantity_max == Decimal(lot["maxQty"])
    assert instrument.market_quantity_max == Decimal(filters["MARKET_LOT_SIZE"]["maxQty"])
    assert instrument.notional_min_usdt == Decimal(filters["MIN_NOTIONAL"]["notional"])
    assert 1 + instrument.price_band == Decimal(band["multiplierUp"])
    assert 1 - instrument.price_band == Decimal(band["multiplierDown"])
    assert instrument.liquidation_fee == Decimal(row["liquidationFee"])


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_binance_tiers(symbol):
    table = recorded("binance_usdm_leverage_tiers_2024-10.json.gz")
    rows = [row["info"] for row in table[f"{symbol.removesuffix('USDT')}/USDT:USDT"]]
    tiers = load_catalogue("binance").find(symbol).tiers
    assert len(tiers) == len(rows)
    for tier, row in zip(tiers, rows, strict=True):
        assert tier.notional_cap_usdt == Decimal(row["notionalCap"])
        assert tier.maintenance_rate == Decimal(row["maintMarginRatio"])
        assert tier.max_leverage == Decimal(row["initialLeverage"])
        assert tier.deduction_usdt == Decimal(row["cum"])


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_bybit_grid_and_fees(symbol):
    instrument = load_catalogue("bybit").find(symbol)
    rows = recorded("bybit_symbols_v2_2023-08.json.gz")["result"]
    row = next(row for row in rows if row["name"] == symbol)
    lot = row["lot_size_filter"]
    assert instrument.price_tick == Decimal(row["price_filter"]["tick_size"])
    assert instrument.quantity_step == Decimal(lot["qty_step"])
    assert instrument.quantity_min == Decimal(lot["min_trading_qty"])
    assert instrument.quantity_max == Decimal(lot["max_trading_qty"])
    assert instrument.maker_fee == Decimal(row["maker_fee"])
    assert instrument.taker_fee == Decimal(row["taker_fee"])
    assert instrument.funding_interval_h * 60 == row["funding_interval"]
    assert instrument.max_leverage == row["leverage_filter"]["max_leverage"]


def test_bybit_btcusdt_tiers():
    rows = recorded("bybit_linear_risk_limit_2023-08.json")["result"]
    tiers = load_catalogue("bybit").find("BTCUSDT").tiers
    assert len(tiers) == len(rows) == 34
    for tier, row in zip(tiers, rows, strict=True):
        assert tier.notional_cap_usdt == row["limit"]
        assert tier.maintenance_rate == row["maintain_margin"]
        assert tier.max_leverage == row["max_leverage"]


def test_bybit_ethusdt_first_tier_fits_a_recorded_position():
    """maintenance = mark value x rate + fee to close (VENUES 4.2), so the rate is 0.5 %."""
    with gzip.open(SHARED / "data" / "protocol" / "nautilus_bybit_v5.json.gz", "rt") as file:
        position = json.load(file)["ws_account_position.json"]["data"][0]
    instrument = load_catalogue("bybit").find("ETHUSDT")
    assert position["symbol"] == "ETHUSDT"
    assert instrument.tiers[0].notional_cap_usdt == Decimal(position["riskLimitValue"])
    quantity, leverage = Decimal(position["size"]), Decimal(position["leverage"])
    short_bankruptcy = Decimal(position["entryPrice"]) * (1 + 1 / leverage)
    fee_to_close = quantity * short_bankruptcy * instrument.taker_fee
    maintenance = Decimal(position["positionMM"]) - fee_to_close
    rate = maintenance / (quantity * Decimal(position["markPrice"]))
    assert float(rate) == pytest.approx(float(instrument.tiers[0].maintenance_rate), rel=1e-3)
