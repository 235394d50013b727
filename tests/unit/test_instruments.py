"""Instruments: the grid, the tiers, and that every table of the catalogue is sound."""

from decimal import Decimal

import msgspec
import pytest

from hfengine.instruments import Instrument, RiskTier, load_catalogue
from hfengine.kernels.liquidation import RiskTiers

VENUES = ("binance", "bybit", "bitget")
ALL = [instrument for venue in VENUES for instrument in load_catalogue(venue).instruments]


def ids(instrument: Instrument) -> str:
    return f"{instrument.venue}-{instrument.symbol}"


def btcusdt() -> Instrument:
    return load_catalogue("binance").find("BTCUSDT")


@pytest.mark.parametrize("venue", VENUES)
def test_the_catalogue_has_the_symbols_the_engine_promises(venue):
    symbols = [instrument.symbol for instrument in load_catalogue(venue).instruments]
    assert {"BTCUSDT", "ETHUSDT", "SOLUSDT", "ZRXUSDT"} <= set(symbols)
    assert len(symbols) == len(set(symbols))


@pytest.mark.parametrize("instrument", ALL, ids=ids)
def test_deductions_follow_the_recurrence(instrument):
    deduction, cap, rate = Decimal(0), Decimal(0), instrument.tiers[0].maintenance_rate
    for tier in instrument.tiers:
        deduction += cap * (tier.maintenance_rate - rate)
        assert tier.deduction_usdt == deduction
        cap, rate = tier.notional_cap_usdt, tier.maintenance_rate


@pytest.mark.parametrize("instrument", ALL, ids=ids)
def test_leverage_falls_and_leaves_room_above_maintenance(instrument):
    leverages = [tier.max_leverage for tier in instrument.tiers]
    assert leverages == sorted(leverages, reverse=True)
    assert instrument.max_leverage == leverages[0]
    for tier in instrument.tiers:
        assert 0 < tier.maintenance_rate < 1 / tier.max_leverage


@pytest.mark.parametrize("instrument", ALL, ids=ids)
def test_the_kernel_takes_every_table_and_finds_the_same_deductions(instrument):
    kernel = RiskTiers(
        [
            (float(tier.notional_cap_usdt), float(tier.maintenance_rate), float(tier.max_leverage))
            for tier in instrument.tiers
        ]
    )
    for tier in instrument.tiers:
        inside = float(tier.notional_cap_usdt) * (1 - 1e-9)
        assert kernel.maintenance_rate(inside) == float(tier.maintenance_rate)
        assert kernel.deduction_usdt(inside) == pytest.approx(float(tier.deduction_usdt), rel=1e-9)


@pytest.mark.parametrize("instrument", ALL, ids=ids)
def test_grid_limits_and_fees_are_plausible(instrument):
    assert instrument.symbol == instrument.base + "USDT"
    assert instrument.price_tick > 0
    assert instrument.quantity_min % instrument.quantity_step == 0
    assert instrument.quantity_min <= instrument.market_quantity_max <= instrument.quantity_max
    assert instrument.notional_min_usdt > 0
    assert 0 < instrument.price_band < 1
    assert 0 < instrument.maker_fee <= instrument.taker_fee < Decimal("0.001")
    assert instrument.taker_fee <= instrument.liquidation_fee < Decimal("0.05")
    assert instrument.funding_interval_h == 8
    assert instrument.as_of[:2] == "20"
    assert instrument.sources


def test_incomplete_tables_say_so():
    marked = {
        (instrument.venue, instrument.symbol)
        for instrument in ALL
        if any("tier only" in source or "tiers only" in source for source in instrument.sources)
    }
    short = {
        (instrument.venue, instrument.symbol)
        for instrument in ALL
        if instrument.tiers[-1].max_leverage > 1
    }
    assert marked == short
    assert marked == {("bybit", f"{base}USDT") for base in ("ETH", "SOL", "ADA", "ZRX")}


def test_a_tier_cap_is_inclusive_and_nothing_lies_above_the_last():
    instrument = btcusdt()
    first, second = instrument.tiers[:2]
    assert instrument.tier_at(Decimal(0)) is first
    assert instrument.tier_at(first.notional_cap_usdt) is first
    assert instrument.tier_at(first.notional_cap_usdt + Decimal("0.01")) is second
    assert instrument.tier_at(instrument.tiers[-1].notional_cap_usdt + 1) is None


@pytest.mark.parametrize(
    ("price", "down", "up"),
    [
        (61_590.0, "61590.0", "61590.0"),
        (61_590.04, "61590.0", "61590.1"),
        (0.3, "0.3", "0.3"),
        (61_590.19999, "61590.1", "61590.2"),
        (1e-05, "0", "0.1"),
    ],
)
def test_prices_round_to_the_grid(price, down, up):
    instrument = btcusdt()
    assert instrument.price_down(price) == Decimal(down)
    assert instrument.price_up(price) == Decimal(up)


def test_quantities_are_exact_steps():
    assert str(btcusdt().quantity_of(7)) == "0.007"
    assert btcusdt().step_quantity == 0.001
    assert btcusdt().tick_usdt == 0.1


def test_find_names_what_there_is():
    with pytest.raises(KeyError, match=r"no DOGEUSDT in the bybit catalogue .* it has BTCUSDT"):
        load_catalogue("bybit").find("DOGEUSDT")


@pytest.mark.parametrize("caps", [(), (10, 5), (10, 10)])
def test_a_table_that_contradicts_itself_is_refused(caps):
    tiers = tuple(RiskTier(Decimal(cap), Decimal("0.01"), Decimal(10), Decimal(0)) for cap in caps)
    with pytest.raises(ValueError, match="BTCUSDT: risk tiers must have rising notional caps"):
        msgspec.structs.replace(btcusdt(), tiers=tiers)
