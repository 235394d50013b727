"""Layer 5 against a weighted ridge over every step kept, and its manners on wild input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels.drift import Drift
from tests.reference.drift_layer import Drift as Reference

T0_NS = 1_723_075_200_000_000_000
# One step is 10 ms; a silence of 0.3 s restarts.
PARAMETERS = (0.64, 2.0, 30.0, 0.3, 80)


def compare(drift: Drift, reference: Reference) -> None:
    """Factors and predictions in units of their own size: 1, and a coefficient's."""
    assert drift.steps == reference.steps
    scale = float(np.abs(reference.coefficients).max())
    assert drift.coefficients == pytest.approx(
        [float(c) for c in reference.coefficients], rel=1e-9, abs=1e-9 * scale
    )
    if reference.steps >= 64:
        assert drift.factors == pytest.approx(reference.factors, rel=1e-9, abs=1e-9)
    assert drift.value == pytest.approx(reference.value, rel=1e-9, abs=1e-9 * scale)
    assert drift.correlation == pytest.approx(reference.correlation, rel=1e-9, abs=1e-9)
    assert drift.confidence == pytest.approx(reference.confidence, rel=1e-9, abs=1e-9)


def walk(kind: str, seed: int, count: int) -> list[tuple[int, float, float]]:
    """Return (time, price, traded quantity or 0): steps of 0 to 25 ms, one gap in the middle."""
    rng = np.random.default_rng(seed)
    at_ns, level, found = T0_NS, math.log(60_000.0), []
    for number in range(count):
        at_ns += int(rng.integers(0, 25_000_000))
        if kind == "gap" and number == count // 2:
            at_ns += 240_000_000_000
        if kind == "backwards" and number % 7 == 0:
            at_ns -= 3_000_000
        if kind == "jump" and number % 150 == 149:
            level += 0.05 * (-1) ** (number // 150)
        level += {"one tick": 0.0, "flat": 0.0}.get(kind, 1e-4 * rng.normal())
        tick = 0.1 * (number % 2) if kind == "one tick" else 0.0
        quantity = float(rng.exponential()) if rng.random() < 0.5 and kind != "flat" else 0.0
        found.append((at_ns, math.exp(level) + tick, quantity))
    return found


@pytest.mark.parametrize("kind", ["walk", "gap", "backwards", "jump", "one tick", "flat"])
def test_equals_a_weighted_ridge_over_all_steps(kind: str) -> None:
    prior = (0.0,) * 7 if kind == "walk" else (1e-4, 2e-4, 0.0, -1e-4, 0.0, 3e-5, 2e-4)
    drift, reference = Drift(*PARAMETERS), Reference(*PARAMETERS, prior)
    drift.load(prior)
    for number, (at_ns, price, quantity) in enumerate(walk(kind, 5, 260)):
        for one in (drift, reference):
            one.update_price(at_ns, price)
            if quantity:
                one.update_trade(at_ns, quantity)
        if number % 40 == 39:
            compare(drift, reference)
    if kind in ("walk", "jump", "one tick"):
        assert len(reference.studied) > 80
        assert drift.coefficients != prior


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(-(10**8), 4 * 10**8), st.floats(1e-12, 1e12), st.floats(1e-9, 1e18)),
        min_size=1,
        max_size=120,
    )
)
def test_stays_finite_whatever_comes(ticks: list[tuple[int, float, float]]) -> None:
    drift = Drift(0.64, 2.0, 1.0, 1.0, 1)
    at_ns = T0_NS
    for step_ns, price, quantity in ticks:
        at_ns += step_ns
        drift.update_price(at_ns, price)
        drift.update_trade(at_ns, quantity)
        assert all(math.isfinite(c) for c in drift.coefficients)
        assert all(-4.0 <= factor <= 4.0 for factor in drift.factors)
        assert math.isfinite(drift.value)
        assert -1.0 - 1e-9 <= drift.correlation <= 1.0 + 1e-9
        assert 0.0 <= drift.confidence <= 1.0
