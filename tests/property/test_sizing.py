"""The sizing kernel against exact decimals: the smallest limit, in whole steps, never above it."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hfengine.kernels import sizing as kernel
from tests.reference import sizing as reference

STEPS = [
    float(f"{digits}e{power}") for digits in ("1", "2", "5", "25", "125") for power in range(-8, 4)
]
# What a double cannot tell apart, on either side of a limit.
NOISE = Fraction(3, 10**15)

magnitudes = st.floats(-8.0, 8.0).map(lambda exponent: 10.0**exponent)
steps = st.sampled_from(STEPS)
off = st.just(math.inf)


@given(magnitudes, steps)
@example(0.3, 0.1)
@example(0.29999999999999993, 0.1)
@example(0.6, 0.2)
@example(1.1, 0.1)
@example(4.35, 0.01)
@example(1e8, 1e-7)
@settings(max_examples=500)
def test_floor_steps_equals_decimal(quantity, step):
    exact = reference.floor_steps(quantity, step)
    digits = int("".join(map(str, Decimal(repr(step)).as_tuple().digits)))
    if exact * digits < 10**15:
        assert kernel.floor_steps(quantity, step) == exact


@given(st.integers(0, 10**9), steps)
@settings(max_examples=500)
def test_a_whole_number_of_steps_is_kept_and_the_next_double_below_is_not(count, step):
    quantity = float(count * reference.exact(step))
    assert kernel.floor_steps(quantity, step) == count
    if count:
        assert kernel.floor_steps(math.nextafter(quantity, 0.0), step) == count - 1


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 10.0))
def test_floor_steps_of_any_step_is_largest(quantity, step):
    count = kernel.floor_steps(quantity, step)
    width = Fraction(step)
    slack = width * Fraction(count + 1, 10**15)
    assert count * width <= Fraction(quantity) + slack
    assert (count + 1) * width > Fraction(quantity) - slack


profiles = st.fixed_dictionaries(
    {
        "mode": st.sampled_from((0, 1, 2)),
        "fraction": st.floats(0.001, 1.0),
        "fixed_margin_usdt": st.floats(0.1, 1e5),
        "leverage": st.floats(1.0, 150.0),
        "share_of_equity_max": st.floats(0.001, 1.0) | off,
        "trade_notional_max_usdt": magnitudes | off,
        "exposure_max_usdt": magnitudes | off,
        "capital_usdt": magnitudes | off,
        "free_margin_reserve": st.floats(0.0, 0.9),
    }
)
markets = st.fixed_dictionaries(
    {
        "price_usdt": magnitudes,
        "balance_usdt": magnitudes,
        "free_margin_usdt": magnitudes,
        "exposure_usdt": st.just(0.0) | magnitudes,
        "stop_distance_usdt": magnitudes,
        "fee_round_trip": st.floats(0.0, 0.002),
        "tier_notional_max_usdt": magnitudes | off,
        "buffer_notional_max_usdt": magnitudes | off,
        "quantity_step": steps,
        "quantity_min": st.just(0.0) | magnitudes,
        "quantity_max": magnitudes | off,
        "notional_min_usdt": st.floats(0.0, 100.0),
    }
)


def limits(profile: dict[str, float], market: dict[str, float]) -> list[Fraction]:
    """Every limit on notional, in the order of BINDINGS; a cap that is off is left huge."""

    def exact(number: float) -> Fraction:
        return Fraction(10) ** 40 if math.isinf(number) else reference.exact(number)

    leverage, balance = exact(profile["leverage"]), exact(market["balance_usdt"])
    return [
        reference.mode_notional(
            int(profile["mode"]), profile["fraction"], profile["fixed_margin_usdt"],
            profile["leverage"], market["price_usdt"], market["balance_usdt"],
            market["stop_distance_usdt"], market["fee_round_trip"],
        ),
        balance * exact(profile["share_of_equity_max"]) * leverage,
        exact(profile["trade_notional_max_usdt"]),
        exact(profile["exposure_max_usdt"]) - exact(market["exposure_usdt"]),
        reference.free_margin_notional(
            market["free_margin_usdt"], profile["free_margin_reserve"], profile["leverage"],
            market["fee_round_trip"],
        ),
        exact(profile["capital_usdt"]) * leverage,
        exact(market["tier_notional_max_usdt"]),
        exact(market["buffer_notional_max_usdt"]),
        exact(market["quantity_max"]) * exact(market["price_usdt"]),
    ]  # fmt: skip


@given(profiles, markets)
@settings(max_examples=500)
def test_size_is_the_smallest_limit_in_whole_steps(profile, market):
    step, price = (reference.exact(market[name]) for name in ("quantity_step", "price_usdt"))
    caps = limits(profile, market)
    bound = max(min(caps), Fraction(0))
    exact_steps = bound / price // step
    sizer = kernel.Sizer(**profile)
    if exact_steps * step.numerator >= 10**15:
        return
    count = sizer.size(**market)

    # The exposure left is a difference: its noise is that of what it is taken from.
    noise = NOISE
    if sizer.limiting == kernel.BINDINGS.index("exposure") and bound > 0:
        noise = NOISE * max(1, reference.exact(profile["exposure_max_usdt"]) / bound)
    assert count == sizer.quantity_steps
    assert count * step * price <= bound * (1 + noise)
    assert caps[sizer.limiting] <= min(caps) + abs(min(caps)) * noise
    for cap in caps:
        assert count == 0 or count * step * price <= cap * (1 + noise)

    lowest = max(
        reference.exact(market["quantity_min"]) / step,
        reference.exact(market["notional_min_usdt"]) / price / step,
        Fraction(1),
    )
    if count == 0:
        assert kernel.BINDINGS[sizer.binding] == "venue_minimum"
        assert exact_steps * (1 - noise) < lowest
        assert sizer.quantity == sizer.notional_usdt == sizer.margin_usdt == 0.0
        return
    assert sizer.binding == sizer.limiting
    assert (count + 1) * step * price > bound * (1 - noise)
    assert count >= lowest * (1 - NOISE)
    assert sizer.quantity == float(count * step)
    assert sizer.notional_usdt == pytest.approx(float(count * step * price), rel=1e-14)
    assert sizer.margin_usdt == pytest.approx(sizer.notional_usdt / profile["leverage"])
    assert sizer.uncapped_notional_usdt == pytest.approx(float(caps[0]), rel=1e-14)


@given(profiles, markets, st.sampled_from(["trade_notional_max_usdt", "capital_usdt"]))
def test_what_is_reported_obeys_its_caps_without_any_slack(profile, market, name):
    sizer = kernel.Sizer(**(profile | {name: 1234.5}))
    if market["price_usdt"] < 1e-3 and market["quantity_step"] < 1e-6:
        return
    sizer.size(**market)
    assert sizer.notional_usdt <= 1234.5 * (profile["leverage"] if name == "capital_usdt" else 1.0)
    assert sizer.notional_usdt <= market["tier_notional_max_usdt"]
    assert sizer.notional_usdt <= market["buffer_notional_max_usdt"]
    assert sizer.quantity <= market["quantity_max"]


@given(st.floats(1e-5, 0.5), st.floats(1e-5, 0.5), st.floats(0.0, 0.01))
def test_break_even_is_where_wins_pay_for_losses(target, stop, fee):
    rate = kernel.break_even_win_rate(target, stop, fee)
    assert rate == pytest.approx(float(reference.break_even_win_rate(target, stop, fee)))
    assert rate * (target - fee) == pytest.approx((1.0 - rate) * (stop + fee), abs=1e-12)
