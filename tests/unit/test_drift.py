"""The four rebalance rules at their edges, in their order, and the reduce they call for."""

import math

import pytest

from hfengine.kernels.drift import CLOSE, HOLD, REASONS, REDUCE, RebalanceRules, drift_of

SITUATION = {
    "side": 1,
    "baseline_drift": 0.001,
    "drift": 0.001,
    "entry_confidence": 0.5,
    "confidence": 0.5,
    "age_s": 30.0,
    "half_life_s": 300.0,
    "quantity_steps": 10,
    "quantity_min_steps": 1,
}


def decided(rules: RebalanceRules | None = None, **changed: float) -> tuple[int, str, int]:
    rules = rules or RebalanceRules()
    action = rules.decide(**(SITUATION | changed))
    assert rules.action == action
    return action, REASONS[rules.reason], rules.close_steps


def test_nothing_changed_holds():
    assert decided() == (HOLD, "none", 0)


def test_exactly_each_threshold_holds_and_just_beyond_it_acts():
    assert decided(baseline_drift=0.0012, drift=0.0007) == (HOLD, "none", 0)
    assert decided(baseline_drift=0.0011, drift=0.0006) == (HOLD, "none", 0)
    assert decided(baseline_drift=0.0012, drift=0.000699999) == (REDUCE, "drift_decay", 5)
    assert decided(entry_confidence=0.45, confidence=0.315) == (HOLD, "none", 0)
    assert decided(entry_confidence=0.45, confidence=0.314999) == (REDUCE, "confidence_drop", 5)
    assert decided(age_s=600.0) == (HOLD, "none", 0)
    assert decided(age_s=600.001) == (CLOSE, "max_hold", 10)
    assert decided(baseline_drift=0.0, drift=0.0) == (HOLD, "none", 0)
    assert decided(baseline_drift=0.0, drift=-1e-9) == (CLOSE, "drift_flip", 10)


def test_the_order_of_the_rules():
    everything = {"drift": -0.001, "age_s": 601.0, "confidence": 0.1}
    assert decided(**everything)[1] == "drift_flip"
    assert decided(**(everything | {"drift": 0.0}))[1] == "max_hold"
    assert decided(drift=0.0, confidence=0.1)[1] == "drift_decay"
    assert decided(confidence=0.1)[1] == "confidence_drop"


def test_a_short_gains_from_falling_drift():
    assert decided(side=-1, baseline_drift=-0.001, drift=-0.003) == (HOLD, "none", 0)
    assert decided(side=-1, baseline_drift=-0.001, drift=-0.0004)[1] == "drift_decay"
    assert decided(side=-1, baseline_drift=-0.001, drift=0.0001)[1] == "drift_flip"


@pytest.mark.parametrize(
    ("reduce_to", "quantity", "minimum", "wanted"),
    [
        (0.5, 10, 1, (REDUCE, 5)),
        (0.5, 7, 1, (REDUCE, 4)),
        (0.5, 7, 4, (CLOSE, 7)),
        (0.5, 8, 4, (REDUCE, 4)),
        (0.5, 1, 0, (CLOSE, 1)),
        (0.29, 100, 1, (REDUCE, 71)),
        (0.7, 10, 1, (REDUCE, 3)),
        (0.0, 10, 1, (CLOSE, 10)),
        (0.5, 2**52 + 1, 1, (REDUCE, 2**51 + 1)),
    ],
)
def test_what_a_reduce_leaves_is_rounded_down_and_never_below_the_minimum(
    reduce_to, quantity, minimum, wanted
):
    action, reason, close_steps = decided(
        RebalanceRules(reduce_to=reduce_to),
        drift=0.0,
        quantity_steps=quantity,
        quantity_min_steps=minimum,
    )
    assert (action, close_steps) == wanted
    assert reason == "drift_decay"


def test_without_a_position_there_is_nothing_to_do():
    rules = RebalanceRules()
    assert decided(rules, drift=-1.0)[0] == CLOSE
    assert decided(rules, drift=-1.0, quantity_steps=0) == (HOLD, "none", 0)


def test_an_unknown_half_life_never_ends_a_position():
    assert decided(half_life_s=math.inf, age_s=1e9) == (HOLD, "none", 0)
    assert decided(RebalanceRules(max_hold_half_lives=math.inf), age_s=1e9)[0] == HOLD


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("side", 0, "side"),
        ("drift", math.nan, "drifts"),
        ("baseline_drift", math.inf, "drifts"),
        ("confidence", math.nan, "confidence"),
        ("confidence", -0.1, "confidence"),
        ("entry_confidence", math.nan, "confidence"),
        ("entry_confidence", math.inf, "confidence"),
        ("age_s", -1.0, "age"),
        ("age_s", math.nan, "age"),
        ("half_life_s", 0.0, "half-life"),
        ("half_life_s", math.nan, "half-life"),
        ("quantity_steps", -1, "quantity"),
        ("quantity_min_steps", -1, "minimum"),
    ],
)
def test_a_situation_out_of_range_is_refused(name, wrong, message):
    with pytest.raises(ValueError, match=message):
        decided(**{name: wrong})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("decay_threshold", -1e-9),
        ("decay_threshold", math.inf),
        ("confidence_drop_relative", 1.1),
        ("confidence_drop_relative", math.nan),
        ("max_hold_half_lives", 0.0),
        ("max_hold_half_lives", math.nan),
        ("reduce_to", 1.0),
        ("reduce_to", -0.1),
    ],
)
def test_nonsense_rules_are_refused(name, wrong):
    with pytest.raises(ValueError, match=name):
        RebalanceRules(**{name: wrong})


def test_drift_of():
    assert drift_of(101.0, 100.0) == pytest.approx(0.01)
    assert drift_of(99.0, 100.0) == pytest.approx(-0.01)
    for forecast, price in ((100.0, 0.0), (100.0, -1.0), (math.nan, 100.0), (100.0, math.inf)):
        with pytest.raises(ValueError, match="no drift"):
            drift_of(forecast, price)
