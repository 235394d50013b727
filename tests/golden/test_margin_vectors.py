"""Published margin vectors: Binance's and Bybit's own examples and freqtrade's test numbers."""

import json

import pytest

from hfengine.kernels.liquidation import (
    BINANCE,
    BYBIT,
    BYBIT_LEGACY,
    FEE_INCLUSIVE,
    RiskTiers,
    bankruptcy_price,
    cross_price,
    isolated_price,
    isolated_price_at,
    pnl_usdt,
)
from tests.shared import VECTORS, needs_shared

FORMULAS = {
    "binance": BINANCE,
    "bybit": BYBIT_LEGACY,
    "gate": FEE_INCLUSIVE,
    "okx": FEE_INCLUSIVE,
}


def load(name: str) -> dict:
    return json.loads((VECTORS / f"{name}.json").read_text())


def tiers_of(pair: str) -> tuple[RiskTiers, list[dict]]:
    rows = load("maintenance_margin_tiers")["leverage_tiers"][pair]
    if pair == "AAVE/USDT:USDT":
        # The file prints 0.02, but this and every later amount only add up with 0.025:
        # 5 000 * (0.025 - 0.01) = 75.
        assert rows[1]["maintenanceMarginRate"] == 0.02
        rows[1]["maintenanceMarginRate"] = 0.025
    table = [(row["maxNotional"], row["maintenanceMarginRate"], row["maxLeverage"]) for row in rows]
    return RiskTiers(table), rows


@needs_shared
def test_isolated_prices():
    vectors = load("liquidation_price_isolated")
    conventions = vectors["conventions"]
    assert len(vectors["cases"]) == 12
    for case in vectors["cases"]:
        side = -1 if case["is_short"] else 1
        price = isolated_price_at(
            FORMULAS[case["exchange_name"]],
            side,
            case["amount"],
            case["open_rate"],
            case["leverage"],
            case["amount"] * case["open_rate"] / case["leverage"],
            conventions["mm_ratio"],
            conventions["maintenance_amt"],
            conventions["taker_fee_gate_okx"],
        )
        assert price == pytest.approx(case["expected_liq"], rel=1e-6), case


@needs_shared
def test_binance_isolated_and_cross():
    cases = load("liquidation_price_binance_cross")["cases"]
    assert {case["margin_mode"] for case in cases} == {"isolated", "cross"}
    for case in cases:
        others = [trade for trade in case["open_trades"] if trade["pair"] != case["pair"]]
        marked = [(trade, trade["amount"] * trade["mark_price"]) for trade in others]
        maintenance = sum(at * trade["mm_ratio"] - trade["maintenance_amt"] for trade, at in marked)
        unrealised = sum(
            pnl_usdt(1, trade["amount"], trade["open_rate"], trade["mark_price"])
            for trade in others
        )
        price = cross_price(
            1,
            case["amount"],
            case["open_rate"],
            case["wallet_balance"],
            case["mm_ratio"],
            case["maintenance_amt"],
            maintenance,
            unrealised,
        )
        assert price == pytest.approx(case["expected"], abs=0.005), case


def test_binance_btc_half_of_the_same_example():
    """BTC 109.488 @ 32 481.98 beside ETH 3683.979 @ 1456.84, as VENUES.md §4.1 lists them."""
    btc = (1, 109.488, 32481.98, 1535443.01, 0.025, 16300.0)
    assert cross_price(*btc) == pytest.approx(18778.73, abs=0.005)
    maintenance = 3683.979 * 1335.18 * 0.1 - 135365.0
    unrealised = pnl_usdt(1, 3683.979, 1456.84, 1335.18)
    assert cross_price(*btc, maintenance, unrealised) == pytest.approx(26316.89, abs=0.005)


def test_bybit_example():
    """Bybit help centre, isolated UTA: long 1 BTC @ 40 000, 50x, 3 000 USDT added."""
    price = isolated_price_at(BYBIT, 1, 1.0, 40000.0, 50.0, 0.0, 0.005, 0.0, 0.00055, 3000.0)
    assert price == pytest.approx(36380.25, abs=0.005)
    tiers = RiskTiers([(2e6, 0.005, 100.0)])
    price = isolated_price(BYBIT, 1, 1.0, 40000.0, 50.0, tiers, 3000.0, 0.00055)
    assert price == pytest.approx(36380.25, abs=0.005)
    assert bankruptcy_price(1, 60000.0, 50.0) == pytest.approx(58800.0)


@needs_shared
def test_deductions_of_every_published_tier():
    pairs = load("maintenance_margin_tiers")["leverage_tiers"]
    assert len(pairs) == 8
    for pair in pairs:
        tiers, rows = tiers_of(pair)
        for row in rows:
            inside = (row["minNotional"] + row["maxNotional"]) / 2.0
            assert tiers.deduction_usdt(inside) == pytest.approx(row["maintAmt"], rel=1e-9), pair
            assert tiers.maintenance_rate(inside) == row["maintenanceMarginRate"]
            assert tiers.max_leverage(inside) == row["maxLeverage"]


@needs_shared
def test_maintenance_by_notional():
    for case in load("maintenance_margin_tiers")["maintenance"]:
        tiers, _ = tiers_of(case["pair"])
        assert tiers.maintenance_rate(case["notional"]) == case["mm_ratio"], case
        assert tiers.deduction_usdt(case["notional"]) == pytest.approx(case["maintenance_amt"])


@needs_shared
def test_max_leverage_for_stake():
    for case in load("maintenance_margin_tiers")["max_leverage_for_stake"]:
        tiers, _ = tiers_of(case["pair"])
        found = tiers.max_leverage_for_margin(case["stake"])
        assert found == pytest.approx(case["max_leverage"], rel=1e-12), case


def bybit_deductions(rows: list[tuple[float, float, float, float]]) -> None:
    tiers = RiskTiers([row[:3] for row in rows])
    for cap, _, _, deduction in rows:
        assert tiers.deduction_usdt(cap * 0.999) == pytest.approx(deduction, abs=1e-6)


def test_bybit_deductions():
    """Captures of /v5/market/risk-limit: BTCUSDT 2026-08-05 and 2026-09, ADAUSDT 2026-08-05."""
    bybit_deductions(
        [
            (2e6, 0.005, 100.0, 0.0),
            (2.6e6, 0.0056, 90.0, 1200.0),
            (3.2e6, 0.0063, 80.0, 3020.0),
            (3.8e6, 0.0067, 75.0, 4300.0),
            (4.4e6, 0.0071, 70.0, 5820.0),
            (5e6, 0.0077, 65.0, 8460.0),
            (5.6e6, 0.0091, 55.0, 15460.0),
            (8.5e6, 0.01, 50.0, 20500.0),
            (10e6, 0.013, 45.0, 46000.0),
        ]
    )
    bybit_deductions(
        [(3e5, 0.0033, 150.0, 0.0), (2e6, 0.005, 100.0, 510.0), (2.6e6, 0.0056, 90.0, 1710.0)]
    )
    bybit_deductions(
        [
            (2e5, 0.0075, 75.0, 0.0),
            (3e5, 0.01, 50.0, 500.0),
            (5e5, 0.015, 33.33, 2000.0),
            (9e5, 0.02, 25.0, 4500.0),
        ]
    )


BINANCE_BTC = ((50e3, 0.004, 125), (600e3, 0.005, 100), (3e6, 0.0065, 75), (12e6, 0.01, 50))
BINANCE_SOL = ((20e3, 0.005, 100), (100e3, 0.0065, 75), (800e3, 0.01, 50))
BINANCE_ARB = ((5e3, 0.006, 75), (50e3, 0.01, 50))
BINANCE_ZRX = ((5e3, 0.015, 50),)
BYBIT_BTC = (
    (2e6, 0.005, 100),
    (2.6e6, 0.0056, 90),
    (3.2e6, 0.0063, 80),
    (3.8e6, 0.0067, 75),
    (4.4e6, 0.0071, 70),
    (5e6, 0.0077, 65),
    (5.6e6, 0.0091, 55),
    (8.5e6, 0.01, 50),
)
BYBIT_BTC_SEPTEMBER = ((3e5, 0.0033, 150),)
BYBIT_ADA = ((2e5, 0.0075, 75), (3e5, 0.01, 50))


@pytest.mark.parametrize(
    ("formula", "table", "notional", "long_percent", "short_percent"),
    [
        (BINANCE, BINANCE_BTC, 50e3, -1.61, 1.59),
        (BINANCE, BINANCE_BTC, 600e3, -1.52, 1.50),
        (BINANCE, BINANCE_BTC, 3e6, -1.39, 1.37),
        (BINANCE, BINANCE_BTC, 12e6, -1.11, 1.08),
        (BINANCE, BINANCE_SOL, 100e3, -1.39, 1.37),
        (BINANCE, BINANCE_SOL, 800e3, -1.06, 1.04),
        (BINANCE, BINANCE_ARB, 5e3, -1.41, 1.39),
        (BINANCE, BINANCE_ARB, 50e3, -1.05, 1.03),
        (BINANCE, BINANCE_ZRX, 5e3, -0.51, 0.49),
        (BYBIT, BYBIT_BTC, 2e6, -1.51, 1.49),
        (BYBIT, BYBIT_BTC, 8.5e6, -1.25, 1.23),
        (BYBIT, BYBIT_BTC_SEPTEMBER, 3e5, -1.68, 1.66),
        (BYBIT, BYBIT_ADA, 2e5, -1.26, 1.24),
        (BYBIT, BYBIT_ADA, 3e5, -1.18, 1.16),
    ],
)
def test_how_far_50x_liquidation_really_is(formula, table, notional, long_percent, short_percent):
    """VENUES.md §4.4, which takes the tier at entry; a short's own notional may reach the next.

    The September row prints +1.67 %; 102 / 1.0033 is +1.6645 %.
    """
    tiers = RiskTiers(table)
    for side, percent in ((1, long_percent), (-1, short_percent)):
        price = isolated_price(formula, side, notional / 100.0, 100.0, 50.0, tiers)
        assert price - 100.0 == pytest.approx(percent, abs=0.0151)
        row = next(row for row in table if notional <= row[0])
        at_entry = isolated_price_at(
            formula, side, notional / 100.0, 100.0, 50.0, notional / 50.0, row[1],
            tiers.deduction_usdt(notional * 0.999999),
        )  # fmt: skip
        assert at_entry - 100.0 == pytest.approx(percent, abs=0.0051)
        assert side * (price - at_entry) >= -1e-9
