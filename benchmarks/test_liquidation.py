"""Liquidation price and joint solve over a table of realistic length, called from Python."""

from hfengine.kernels.liquidation import BINANCE, RiskTiers, isolated_price, largest_notional

TIERS = RiskTiers(
    [(50e3 * 1.8**i, 0.004 * 1.2**i, 125.0 / 1.2**i) for i in range(12)]
    + [(1e9 * 2.0**i, 0.1 + 0.05 * i, 5.0 / (i + 1)) for i in range(5)]
)


def test_isolated_price(benchmark):
    price = benchmark(isolated_price, BINANCE, 1, 0.5, 96000.0, 50.0, TIERS)
    assert 94080.0 < price < 96000.0


def test_largest_notional(benchmark):
    notional = benchmark(
        largest_notional, BINANCE, 1, 96000.0, 95000.0, 50.0, TIERS, 0.1, 0.00055, 0.05, 0.0001,
        20.0, 0.00055, 1e7,
    )  # fmt: skip
    assert 0.0 < notional < 1e7
