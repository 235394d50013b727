"""The rebalance decision against the rules in exact decimals, and its symmetry."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels import drift as kernel
from tests.reference import drift as reference

ACTIONS = {kernel.HOLD: "hold", kernel.REDUCE: "reduce", kernel.CLOSE: "close"}


def decimals(low: int, high: int, places: int) -> st.SearchStrategy[float]:
    """Decimals on a coarse grid, so that draws fall exactly on the thresholds too."""
    return st.integers(low, high).map(lambda units: float(Decimal(units).scaleb(-places)))


drifts = decimals(-30, 30, 4)
confidences = decimals(0, 100, 2)
ages = decimals(0, 2000, 1)
half_lives = decimals(1, 800, 1)
rules = st.fixed_dictionaries(
    {
        "decay_threshold": decimals(0, 10, 4),
        "confidence_drop_relative": decimals(0, 100, 2),
        "max_hold_half_lives": decimals(1, 40, 1),
        "reduce_to": decimals(0, 99, 2),
    }
)
situations = st.tuples(drifts, drifts, confidences, confidences, ages, half_lives)
quantities = st.integers(1, 1000) | st.integers(1, 10**12)


@given(rules, st.sampled_from((1, -1)), situations, quantities, st.integers(0, 600))
@settings(max_examples=1000)
def test_decision_equals_the_rules(thresholds, side, situation, quantity, minimum):
    decider = kernel.RebalanceRules(**thresholds)
    action = decider.decide(side, *situation, quantity, minimum)
    why = reference.reason(thresholds, side, *situation)
    wanted = reference.action(why, thresholds["reduce_to"], quantity, minimum)
    assert kernel.REASONS[decider.reason] == why
    assert (ACTIONS[action], decider.close_steps) == wanted
    assert decider.action == action


@given(rules, situations, quantities)
def test_a_short_decides_as_the_long_of_the_mirrored_market(thresholds, situation, quantity):
    baseline, drift, *rest = situation
    long, short = kernel.RebalanceRules(**thresholds), kernel.RebalanceRules(**thresholds)
    assert long.decide(1, baseline, drift, *rest, quantity, 1) == short.decide(
        -1, -baseline, -drift, *rest, quantity, 1
    )
    assert (long.reason, long.close_steps) == (short.reason, short.close_steps)


@given(rules, st.sampled_from((1, -1)), situations, quantities, st.integers(0, 600))
def test_no_decision_leaves_a_remainder_the_venue_would_refuse(
    thresholds, side, situation, quantity, minimum
):
    decider = kernel.RebalanceRules(**thresholds)
    action = decider.decide(side, *situation, quantity, minimum)
    left = quantity - decider.close_steps
    assert 0 <= left <= quantity
    assert action != kernel.REDUCE or max(minimum, 1) <= left < quantity
    assert action != kernel.CLOSE or left == 0
    assert action != kernel.HOLD or left == quantity


@given(st.floats(1e-8, 1e8), st.floats(-0.5, 0.5))
def test_drift_is_the_return_to_the_forecast(price, move):
    exact = (Decimal(price * (1.0 + move)) - Decimal(price)) / Decimal(price)
    assert abs(kernel.drift_of(price * (1.0 + move), price) - float(exact)) <= 1e-15
