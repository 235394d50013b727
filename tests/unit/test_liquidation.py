"""Tiers, liquidation prices, the buffer, the joint solve and the breakers, one case at a time."""

import math

import pytest

from hfengine.kernels.liquidation import (
    BINANCE,
    BYBIT,
    BYBIT_LEGACY,
    FEE_INCLUSIVE,
    FORCE_CLOSE,
    NONE,
    WARN,
    RiskTiers,
    bankruptcy_price,
    buffer_usdt,
    cross_price,
    distance_action,
    distance_left,
    isolated_price,
    isolated_price_at,
    largest_notional,
    margin_ratio,
    pnl_usdt,
    stop_is_safe,
    utilisation_action,
)

# Binance BTCUSDT, 2024-10-24: cap, maintenance rate, largest leverage (cum 0, 50, 950, 11 450).
BTC = ((50e3, 0.004, 125.0), (600e3, 0.005, 100.0), (3e6, 0.0065, 75.0), (12e6, 0.01, 50.0))
FREE = {"exit_fee": 0.0, "half_spread_usdt": 0.0, "slippage": 0.0, "k_sigma_usdt": 0.0}


@pytest.fixture
def btc() -> RiskTiers:
    return RiskTiers(BTC)


def test_deductions_follow_from_the_rates(btc):
    wanted = {10e3: 0.0, 100e3: 50.0, 1e6: 950.0, 5e6: 11450.0, 50e6: 11450.0}
    assert {at: btc.deduction_usdt(at) for at in wanted} == pytest.approx(wanted)
    assert btc.maintenance_usdt(5e6) == pytest.approx(5e6 * 0.01 - 11450.0)


def test_on_a_boundary_the_rate_is_the_upper_tiers_and_the_leverage_the_lower_tiers(btc):
    assert btc.maintenance_rate(50e3) == 0.005
    assert btc.max_leverage(50e3) == 125.0
    assert btc.max_leverage(math.nextafter(50e3, math.inf)) == 100.0


def test_above_the_last_cap_no_leverage_is_allowed_but_margin_is_still_due(btc):
    assert btc.max_leverage(12.1e6) == 0.0
    assert btc.maintenance_rate(12.1e6) == 0.01


def test_largest_notional_of_a_leverage(btc):
    wanted = {126.0: 0.0, 125.0: 50e3, 100.0: 600e3, 99.0: 600e3, 50.0: 12e6, 1.0: 12e6}
    assert {leverage: btc.max_notional_usdt(leverage) for leverage in wanted} == wanted


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(50e3, 0.0, 50.0)],
        [(50e3, 1.0, 50.0)],
        [(50e3, -0.01, 50.0)],
        [(50e3, math.nan, 50.0)],
        [(50e3, 0.01, 0.0)],
        [(50e3, 0.01, math.inf)],
        [(0.0, 0.01, 50.0)],
        [(math.nan, 0.01, 50.0)],
        [(50e3, 0.01, 50.0), (50e3, 0.02, 25.0)],
        [(50e3, 0.01, 50.0), (40e3, 0.02, 25.0)],
        [(50e3, 0.02, 50.0), (90e3, 0.01, 25.0)],
        [(50e3, 0.01, 25.0), (90e3, 0.02, 50.0)],
    ],
)
def test_a_table_that_is_no_tier_table_is_refused(rows):
    with pytest.raises(ValueError, match="risk tiers"):
        RiskTiers(rows)


def test_lookups_refuse_what_is_no_notional(btc):
    lookups = (btc.maintenance_rate, btc.deduction_usdt, btc.maintenance_usdt, btc.max_leverage)
    for lookup in lookups:
        for notional in (-1.0, math.nan):
            with pytest.raises(ValueError, match="notional_usdt"):
                lookup(notional)
    with pytest.raises(ValueError, match="leverage"):
        btc.max_notional_usdt(0.0)
    with pytest.raises(ValueError, match="margin_usdt"):
        btc.max_leverage_for_margin(0.0)


@pytest.mark.parametrize("formula", [BINANCE, BYBIT])
def test_the_bracket_is_that_of_the_liquidation_notional(formula, btc):
    """A long opened just above a cap is liquidated below it: the lower bracket's price."""
    quantity = 50.2e3 / 60e3
    lower = isolated_price_at(
        formula, 1, quantity, 60e3, 50.0, 50.2e3 / 50.0, 0.004, 0.0
    )  # fmt: skip
    assert lower * quantity < 50e3
    assert isolated_price(formula, 1, quantity, 60e3, 50.0, btc) == pytest.approx(lower)
    short = isolated_price_at(formula, -1, quantity, 60e3, 50.0, 50.2e3 / 50.0, 0.005, 50.0)
    assert isolated_price(formula, -1, quantity, 60e3, 50.0, btc) == pytest.approx(short)


def test_legacy_takes_the_bracket_at_entry(btc):
    assert isolated_price(BYBIT_LEGACY, 1, 50.2e3 / 60e3, 60e3, 50.0, btc) == pytest.approx(
        60e3 * (1.0 - (0.02 - 0.005))
    )
    assert isolated_price(BYBIT_LEGACY, -1, 1e-3, 60e3, 50.0, btc, 1.2) == pytest.approx(
        60e3 * (1.0 + (0.02 - 0.004)) + 1200.0
    )


def test_flat_margin_liquidates_a_short_at_the_boundary_its_margin_jumps_at():
    """At 1 000 USDT the rate goes from 1 % to 50 %: equity suffices below and not above."""
    tiers = RiskTiers([(1000.0, 0.01, 50.0), (1e6, 0.5, 1.0)])
    assert isolated_price(FEE_INCLUSIVE, -1, 9.99, 100.0, 10.0, tiers) == pytest.approx(
        1000.0 / 9.99
    )
    assert isolated_price(FEE_INCLUSIVE, -1, 9.0, 100.0, 10.0, tiers) == pytest.approx(110.0 / 1.01)


def test_flat_margin_liquidates_a_long_at_the_first_of_two_brackets_that_fit():
    tiers = RiskTiers([(1000.0, 0.01, 50.0), (1e6, 0.05, 20.0)])
    first, second = 90.0 / 0.95, 90.0 / 0.99
    assert isolated_price(FEE_INCLUSIVE, 1, 10.6, 100.0, 10.0, tiers) == pytest.approx(first)
    assert isolated_price(FEE_INCLUSIVE, 1, 10.5, 100.0, 10.0, tiers) == pytest.approx(second)


@pytest.mark.parametrize("formula", [BINANCE, BYBIT, BYBIT_LEGACY, FEE_INCLUSIVE])
def test_extra_margin_moves_liquidation_away(formula, btc):
    for side in (1, -1):
        near = isolated_price(formula, side, 0.1, 60e3, 50.0, btc, 0.0, 0.0005)
        far = isolated_price(formula, side, 0.1, 60e3, 50.0, btc, 50.0, 0.0005)
        assert side * (near - far) == pytest.approx(500.0, rel=0.01)


def test_what_cannot_be_liquidated(btc):
    assert isolated_price(BINANCE, 1, 0.1, 60e3, 1.0, btc) == 0.0
    assert isolated_price(BINANCE, 1, 0.1, 60e3, 50.0, btc, 1e6) == 0.0
    assert cross_price(1, 1.0, 100.0, 1e6, 0.01, 0.0) == 0.0
    for formula in (BINANCE, BYBIT, BYBIT_LEGACY, FEE_INCLUSIVE):
        assert isolated_price(formula, 1, 0.0, 60e3, 50.0, btc) == 0.0
        assert isolated_price(formula, -1, 0.0, 60e3, 50.0, btc) == math.inf
        assert isolated_price_at(formula, -1, 0.0, 60e3, 50.0, 0.0, 0.01, 0.0) == math.inf


def test_a_short_whose_account_is_already_gone_is_liquidated_at_any_price():
    assert cross_price(-1, 1.0, 100.0, 10.0, 0.01, 0.0, 0.0, -200.0) == 0.0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"side": 0}, "side"),
        ({"side": 2}, "side"),
        ({"formula": 4}, "formula"),
        ({"formula": -1}, "formula"),
        ({"quantity": -1.0}, "quantity"),
        ({"quantity": math.nan}, "quantity"),
        ({"entry_usdt": 0.0}, "entry_usdt"),
        ({"entry_usdt": math.inf}, "entry_usdt"),
        ({"leverage": 0.0}, "leverage"),
        ({"leverage": math.nan}, "leverage"),
        ({"taker_fee": 1.0}, "taker_fee"),
        ({"taker_fee": math.nan}, "taker_fee"),
        ({"extra_margin_usdt": math.nan}, "margin"),
    ],
)
def test_positions_out_of_range_are_refused(btc, changed, message):
    position = {
        "formula": BINANCE,
        "side": 1,
        "quantity": 0.1,
        "entry_usdt": 60e3,
        "leverage": 50.0,
    } | changed
    with pytest.raises(ValueError, match=message):
        isolated_price(**position, tiers=btc)
    given = {"wallet_usdt": 120.0, "maintenance_rate": 0.004, "deduction_usdt": 0.0}
    with pytest.raises(ValueError, match=message):
        isolated_price_at(**position, **given)


def test_bracket_figures_out_of_range_are_refused():
    for rate, deduction, wallet in ((1.0, 0.0, 1.0), (0.01, math.nan, 1.0), (0.01, 0.0, math.nan)):
        with pytest.raises(ValueError, match=r"rate|finite"):
            isolated_price_at(BINANCE, 1, 1.0, 100.0, 10.0, wallet, rate, deduction)
    with pytest.raises(ValueError, match="reach 1"):
        isolated_price_at(FEE_INCLUSIVE, 1, 1.0, 100.0, 10.0, 10.0, 0.999, 0.0, 0.001)
    with pytest.raises(ValueError, match="finite"):
        cross_price(1, 1.0, 100.0, math.nan, 0.01, 0.0)
    with pytest.raises(TypeError, match="None"):
        isolated_price(BINANCE, 1, 1.0, 100.0, 10.0, None)


def test_bankruptcy_price_is_where_the_margin_is_gone():
    assert bankruptcy_price(1, 60e3, 50.0) == pytest.approx(58800.0)
    assert bankruptcy_price(-1, 60e3, 50.0) == pytest.approx(61200.0)
    assert bankruptcy_price(1, 60e3, 0.5) == 0.0
    assert pnl_usdt(-1, 2.0, 60e3, 61200.0) == pytest.approx(-2.0 * 60e3 / 50.0)
    with pytest.raises(ValueError, match="leverage"):
        bankruptcy_price(1, 60e3, 0.0)
    with pytest.raises(ValueError, match="side"):
        bankruptcy_price(3, 60e3, 5.0)


def test_margin_ratio():
    assert margin_ratio(25.0, 100.0) == 0.25
    assert margin_ratio(0.0, 0.0) == 0.0
    assert margin_ratio(1.0, 0.0) == math.inf
    assert margin_ratio(0.0, -5.0) == math.inf
    assert math.isnan(margin_ratio(1.0, math.nan))


@pytest.mark.parametrize(("entry", "liquidation"), [(100.0, 98.0), (100.0, 102.0)])
def test_distance_left(entry, liquidation):
    away = entry - liquidation
    for part in (1.5, 1.0, 0.25, 0.0, -0.5):
        mark = liquidation + part * away
        assert distance_left(entry, liquidation, mark) == pytest.approx(part)
    assert distance_left(entry, math.inf, 150.0) == math.inf
    with pytest.raises(ValueError, match="no distance"):
        distance_left(entry, entry, 100.0)


def test_buffer_is_the_larger_of_fraction_and_price_floor():
    by_fraction = buffer_usdt(100.0, 98.0, 0.1, 0.0005, 0.01, 0.0001, 0.02)
    assert by_fraction == pytest.approx(0.2)
    by_floor = buffer_usdt(100.0, 99.5, 0.1, 0.0005, 0.01, 0.0001, 0.02)
    assert by_floor == pytest.approx(0.05 + 0.01 + 0.01 + 0.02)
    assert buffer_usdt(100.0, 102.0, 0.1, 0.0005, 0.01, 0.0001, 0.02) == pytest.approx(0.2)
    assert buffer_usdt(100.0, math.inf, 0.1, **FREE) == 0.0


def test_buffer_refuses_negative_costs_and_a_fraction_of_one():
    for name in FREE:
        for cost in (-1e-9, math.nan):
            with pytest.raises(ValueError, match=name):
                buffer_usdt(100.0, 98.0, 0.1, **(FREE | {name: cost}))
    for fraction in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match="buffer_fraction"):
            buffer_usdt(100.0, 98.0, fraction, **FREE)


def test_stop_is_safe_from_exactly_the_buffer_on():
    assert stop_is_safe(1, 98.5, 98.0, 0.5)
    assert not stop_is_safe(1, 98.5, 98.0, 0.50001)
    assert stop_is_safe(-1, 101.5, 102.0, 0.5)
    assert not stop_is_safe(-1, 102.5, 102.0, 0.5)
    assert not stop_is_safe(1, math.nan, 98.0, 0.0)
    assert not stop_is_safe(1, 98.5, 98.0, math.nan)
    assert not stop_is_safe(1, 0.0, 0.0, 0.0)


def solve(tiers, side=1, stop=99.0, leverage=50.0, formula=BINANCE, limit=1e9, fraction=0.1):
    return largest_notional(
        formula, side, 100.0, stop, leverage, tiers, fraction, **FREE, taker_fee=0.0,
        limit_usdt=limit,
    )  # fmt: skip


def test_the_joint_solve_finds_where_the_buffer_binds(btc):
    """Long 50x, stop -1.2 %: liquidation may come to -1.2/0.9 %, which the 0.65 % tier reaches.

    There margin left is 2 % - 4/3 % of entry, so 0.0065*x - 950/N = 0.02 - 0.04/3, x = 1 - 0.04/3.
    """
    left, at = 0.02 - 0.012 / 0.9, 1.0 - 0.012 / 0.9
    assert left == pytest.approx(0.0066667, rel=1e-4)
    wanted = 11450.0 / (0.01 * at - left)
    assert 3e6 < wanted < 12e6
    assert solve(btc, stop=98.8) == pytest.approx(wanted, rel=1e-9)


def test_the_joint_solve_stops_at_the_leverage_tier_and_at_the_limit(btc):
    assert solve(btc, stop=99.9) == 12e6
    assert solve(btc, stop=99.9, leverage=75.0) == 3e6
    assert solve(btc, stop=99.9, limit=1234.5) == 1234.5
    assert solve(btc, side=-1, stop=100.1) == 12e6


@pytest.mark.parametrize("formula", [BINANCE, BYBIT, BYBIT_LEGACY, FEE_INCLUSIVE])
def test_no_notional_where_none_is_safe(btc, formula):
    assert solve(btc, stop=98.5, formula=formula) == 0.0
    assert solve(btc, side=-1, stop=101.5, formula=formula) == 0.0
    assert solve(btc, stop=99.9, leverage=126.0, formula=formula) == 0.0


def test_a_stop_on_the_wrong_side_protects_no_notional(btc):
    for stop in (100.0, 100.5, 0.0, -1.0):
        assert solve(btc, stop=stop) == 0.0
    for stop in (100.0, 99.5):
        assert solve(btc, side=-1, stop=stop) == 0.0
    assert solve(btc, stop=99.9, limit=0.0) == 0.0
    assert solve(btc, stop=99.9, limit=-5.0) == 0.0


def test_without_any_bound_the_solve_says_infinite():
    assert solve(RiskTiers([(math.inf, 0.004, 125.0)]), limit=math.inf) == math.inf


def test_the_solve_refuses_what_is_not_a_number(btc):
    with pytest.raises(ValueError, match="stop_usdt"):
        solve(btc, stop=math.nan)
    with pytest.raises(ValueError, match="limit_usdt"):
        solve(btc, limit=math.nan)
    with pytest.raises(ValueError, match="buffer_fraction"):
        solve(btc, fraction=1.0)
    with pytest.raises(TypeError, match="None"):
        solve(None)


def test_breakers_at_their_thresholds():
    assert utilisation_action(0.95) == FORCE_CLOSE
    assert utilisation_action(0.9) == WARN
    assert utilisation_action(math.nextafter(0.9, 0.0)) == NONE
    assert utilisation_action(math.inf) == FORCE_CLOSE
    assert utilisation_action(0.7, 0.6, 0.8) == WARN
    assert distance_action(0.05) == NONE
    assert distance_action(math.nextafter(0.05, 0.0)) == FORCE_CLOSE
    assert distance_action(-1.0) == FORCE_CLOSE
    assert distance_action(0.1, 0.2) == FORCE_CLOSE


def test_breakers_refuse_to_judge_nan():
    for call in (
        lambda: utilisation_action(math.nan),
        lambda: utilisation_action(0.5, 0.9, 0.8),
        lambda: distance_action(math.nan),
        lambda: distance_action(0.5, math.nan),
    ):
        with pytest.raises(ValueError, match=r"nan|0\.9"):
            call()
