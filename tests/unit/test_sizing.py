"""Sizing modes and caps one by one, steps, break-even and edge."""

import math

import pytest

from hfengine.kernels.sizing import (
    BINDINGS,
    FIXED_MARGIN,
    KELLY_FRACTION,
    RISK_PER_TRADE,
    Sizer,
    break_even_win_rate,
    expected_edge,
    floor_steps,
)

OFF = math.inf
PROFILE = {
    "mode": KELLY_FRACTION,
    "fraction": 0.5,
    "fixed_margin_usdt": 0.0,
    "leverage": 10.0,
    "share_of_equity_max": OFF,
    "trade_notional_max_usdt": OFF,
    "exposure_max_usdt": OFF,
    "capital_usdt": OFF,
    "free_margin_reserve": 0.0,
}
MARKET = {
    "price_usdt": 100.0,
    "balance_usdt": 1000.0,
    "free_margin_usdt": 1e9,
    "exposure_usdt": 0.0,
    "stop_distance_usdt": 2.0,
    "fee_round_trip": 0.001,
    "tier_notional_max_usdt": OFF,
    "buffer_notional_max_usdt": OFF,
    "quantity_step": 0.01,
    "quantity_min": 0.01,
    "quantity_max": OFF,
    "notional_min_usdt": 5.0,
}


def sized(profile: dict[str, float] | None = None, **market: float) -> Sizer:
    sizer = Sizer(**(PROFILE | (profile or {})))
    assert sizer.size(**(MARKET | market)) == sizer.quantity_steps
    return sizer


def test_modes():
    kelly = sized()
    assert (kelly.quantity_steps, kelly.notional_usdt, kelly.margin_usdt) == (5000, 5000.0, 500.0)
    assert BINDINGS[kelly.binding] == "mode"
    risk = sized({"mode": RISK_PER_TRADE, "fraction": 0.021})
    assert risk.quantity == 10.0, "21 USDT at risk, 2.1 USDT lost per unit with fees"
    fixed = sized({"mode": FIXED_MARGIN, "fixed_margin_usdt": 6.0})
    assert (fixed.quantity, fixed.margin_usdt) == (0.6, 6.0)


@pytest.mark.parametrize(
    ("binding", "profile", "market", "quantity"),
    [
        ("share_of_equity", {"share_of_equity_max": 0.1}, {}, 10.0),
        ("trade_notional", {"trade_notional_max_usdt": 333.0}, {}, 3.33),
        ("exposure", {"exposure_max_usdt": 900.0}, {"exposure_usdt": 700.0}, 2.0),
        ("free_margin", {}, {"free_margin_usdt": 10.05}, 1.0),
        ("free_margin", {"free_margin_reserve": 0.5}, {"free_margin_usdt": 20.1}, 1.0),
        ("capital_times_leverage", {"capital_usdt": 70.0}, {}, 7.0),
        ("tier", {}, {"tier_notional_max_usdt": 250.0}, 2.5),
        ("liquidation_buffer", {}, {"buffer_notional_max_usdt": 249.99}, 2.49),
        ("venue_maximum", {}, {"quantity_max": 12.345}, 12.34),
    ],
)
def test_each_cap_binds_alone(binding, profile, market, quantity):
    sizer = sized(profile, **market)
    assert BINDINGS[sizer.binding] == binding
    assert BINDINGS[sizer.limiting] == binding
    assert sizer.quantity == quantity
    assert sizer.uncapped_notional_usdt == 5000.0


def test_the_smallest_of_several_caps_binds_and_the_first_of_equal_ones():
    sizer = sized({"trade_notional_max_usdt": 300.0}, tier_notional_max_usdt=200.0)
    assert (BINDINGS[sizer.binding], sizer.quantity) == ("tier", 2.0)
    sizer = sized({"trade_notional_max_usdt": 5000.0}, tier_notional_max_usdt=5000.0)
    assert BINDINGS[sizer.binding] == "mode"


def test_free_margin_leaves_room_for_the_opening_fee():
    """10 USDT at 10x: 99.50 USDT of notional ties up 9.95 and costs 0.04975; 99.51 is too much."""
    sizer = sized(free_margin_usdt=10.0, price_usdt=1.0)
    fee_usdt = sizer.notional_usdt * 0.001 / 2.0
    assert sizer.quantity == 99.5
    assert sizer.margin_usdt + fee_usdt <= 10.0 < (99.51 / 10.0) + 99.51 * 0.0005


@pytest.mark.parametrize(
    ("market", "limiting"),
    [
        ({"quantity_min": 50.01}, "mode"),
        ({"notional_min_usdt": 5000.01}, "mode"),
        ({"tier_notional_max_usdt": 0.99, "notional_min_usdt": 0.0}, "tier"),
        ({"tier_notional_max_usdt": 0.0}, "tier"),
        ({"buffer_notional_max_usdt": 0.0}, "liquidation_buffer"),
        ({"free_margin_usdt": -3.0}, "free_margin"),
        ({"balance_usdt": -3.0}, "mode"),
        ({"quantity_max": -1.0}, "venue_maximum"),
    ],
)
def test_below_the_venues_minimum_is_a_refusal_that_still_names_the_cap(market, limiting):
    sizer = sized(**market)
    assert sizer.quantity_steps == 0
    assert (BINDINGS[sizer.binding], BINDINGS[sizer.limiting]) == ("venue_minimum", limiting)
    assert (sizer.quantity, sizer.notional_usdt, sizer.margin_usdt) == (0.0, 0.0, 0.0)


def test_exactly_the_venues_minimum_is_enough():
    assert sized(quantity_min=50.0).quantity_steps == 5000
    assert sized(notional_min_usdt=5000.0).quantity_steps == 5000
    assert sized({"trade_notional_max_usdt": 0.03}, price_usdt=0.1, quantity_step=0.1,
                 quantity_min=0.3, notional_min_usdt=0.03).quantity == 0.3  # fmt: skip


def test_an_exact_fit_loses_no_step_to_representation():
    sizer = sized({"trade_notional_max_usdt": 0.3}, price_usdt=0.1, quantity_step=1.0,
                  quantity_min=1.0, notional_min_usdt=0.0)  # fmt: skip
    assert sizer.quantity_steps == 3
    assert sizer.notional_usdt <= 0.3


def test_a_quantity_is_the_decimal_the_venue_expects():
    sizer = sized({"trade_notional_max_usdt": 576.5}, price_usdt=96000.0, quantity_step=0.001,
                  quantity_min=0.001)  # fmt: skip
    assert repr(sizer.quantity) == "0.006"


def test_after_an_error_the_sizer_says_refused():
    sizer = sized()
    with pytest.raises(ValueError, match="tier"):
        sizer.size(**(MARKET | {"tier_notional_max_usdt": math.nan}))
    assert sizer.quantity_steps == 0
    assert BINDINGS[sizer.binding] == "venue_minimum"


@pytest.mark.parametrize("name", sorted(MARKET))
def test_nan_is_never_a_cap_that_is_off(name):
    sizer = Sizer(**(PROFILE | {"mode": RISK_PER_TRADE, "exposure_max_usdt": 1e6}))
    with pytest.raises(ValueError, match=r"nan|NaN"):
        sizer.size(**(MARKET | {name: math.nan}))


@pytest.mark.parametrize(
    "changed",
    [
        {"price_usdt": 0.0},
        {"price_usdt": math.inf},
        {"quantity_step": 0.0},
        {"quantity_step": -0.1},
        {"stop_distance_usdt": 0.0},
        {"fee_round_trip": -0.001},
        {"quantity_min": -1.0},
        {"notional_min_usdt": -1.0},
    ],
)
def test_a_market_out_of_range_is_refused(changed):
    sizer = Sizer(**(PROFILE | {"mode": RISK_PER_TRADE}))
    with pytest.raises(ValueError, match=next(iter(changed))):
        sizer.size(**(MARKET | changed))


def test_a_size_no_double_can_count_is_an_error():
    with pytest.raises(OverflowError, match=r"2\^53"):
        sized(price_usdt=1e-8, balance_usdt=1e8, quantity_step=1e-3)


@pytest.mark.parametrize(
    "changed",
    [
        {"mode": 3},
        {"mode": -1},
        {"fraction": 0.0},
        {"fraction": 1.01},
        {"fraction": math.nan},
        {"mode": FIXED_MARGIN, "fixed_margin_usdt": 0.0},
        {"mode": FIXED_MARGIN, "fixed_margin_usdt": math.inf},
        {"leverage": 0.0},
        {"leverage": math.inf},
        {"share_of_equity_max": 0.0},
        {"share_of_equity_max": 1.5},
        {"trade_notional_max_usdt": 0.0},
        {"exposure_max_usdt": math.nan},
        {"capital_usdt": -1.0},
        {"free_margin_reserve": 1.0},
        {"free_margin_reserve": -0.1},
    ],
)
def test_nonsense_profiles_are_refused(changed):
    with pytest.raises(ValueError, match=list(changed)[-1]):
        Sizer(**(PROFILE | changed))


@pytest.mark.parametrize(
    ("quantity", "step", "count"),
    [
        (0.3, 0.1, 3),
        (0.29999999999999993, 0.1, 2),
        (0.30000000000000004, 0.1, 3),
        (0.6, 0.2, 3),
        (0.7, 0.1, 7),
        (8.2, 0.1, 82),
        (1.15, 0.01, 115),
        (0.0065104, 0.001, 6),
        (0.0, 0.001, 0),
        (0.00099, 0.001, 0),
        (12345.0, 1000.0, 12),
        (1e-8, 1e-8, 1),
        (1.0, 1.0 / 3.0, 3),
        (1.0, 1.0 / 11.0, 10),
    ],
)
def test_floor_steps(quantity, step, count):
    assert floor_steps(quantity, step) == count


def test_floor_steps_refuses_what_is_no_quantity_or_step():
    for quantity in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="quantity"):
            floor_steps(quantity, 0.1)
    for step in (0.0, -0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="step"):
            floor_steps(1.0, step)
    with pytest.raises(OverflowError, match=r"2\^53"):
        floor_steps(1e16, 1.0)


def test_break_even_win_rate_of_brackets_that_cannot_win():
    assert break_even_win_rate(0.001, 0.001, 0.003) == pytest.approx(2.0)
    assert break_even_win_rate(0.0, 0.0, 0.001) == math.inf
    assert break_even_win_rate(-0.002, 0.001, 0.001) == math.inf
    with pytest.raises(ValueError, match="nan"):
        break_even_win_rate(math.nan, 0.001, 0.001)


def test_expected_edge_is_the_move_less_every_cost():
    assert expected_edge(0.005, 0.0011, 0.0002, 0.0003, 0.0001) == pytest.approx(0.0033)
    assert expected_edge(0.005, 0.0011, 0.0002, 0.0003, -0.0001) == pytest.approx(0.0035)
    assert math.isnan(expected_edge(0.005, math.nan, 0.0, 0.0, 0.0))
