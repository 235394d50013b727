"""The compiled layer against numpy over every price kept."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels.cross import Cross
from tests.reference.cross import Cross as Reference

PARAMETERS = (100.0, 3, 5.0, 5, 8.0)

steps_ns = st.sampled_from([0, 1, 100_000_000, 450_000_000, 8_000_000_000, 8_000_000_001]) | (
    st.integers(-1_000_000, 150_000_000)
)
moves = st.integers(-20, 20).map(lambda ticks: ticks * 1e-5)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(steps_ns, moves, st.booleans()), min_size=1, max_size=120))
def test_equals_numpy_on_the_same_grid(walk: list[tuple[int, float, bool]]) -> None:
    cross, reference = Cross(*PARAMETERS), Reference(*PARAMETERS)
    at_ns = 1_723_075_200_000_000_000
    levels = [math.log(60_000.0), math.log(2_600.0)]
    for step_ns, move, is_a in walk:
        at_ns += step_ns
        levels[not is_a] += move
        price = math.exp(levels[not is_a])
        for one in (cross, reference):
            (one.update_a if is_a else one.update_b)(at_ns, price)
    reference.estimate()
    assert cross.steps == reference.steps
    assert cross.ready == (reference.steps >= 5)
    if reference.steps == 0 or reference.norm < 1e-14:
        return
    for lag in range(-3, 4):
        expected = max(-1.0, min(1.0, reference.products[lag] / reference.norm))
        assert cross.correlation_at(lag) == pytest.approx(expected, abs=1e-9)
    # Lags whose sums differ by less are a tie, and a sum of which nothing is left has no digits.
    if not reference.clear_lead or abs(reference.correlation) < 1e-6:
        return
    assert cross.lead_lag_ms == 100.0 * reference.lag
    assert cross.correlation == pytest.approx(reference.correlation, abs=1e-9)
    assert cross.beta == pytest.approx(reference.beta, rel=1e-9)
    assert cross.divergence == pytest.approx(reference.divergence, rel=1e-9, abs=1e-15)
    assert cross.value == pytest.approx(reference.value, rel=1e-9, abs=1e-15)
    assert cross.confidence == pytest.approx(reference.confidence, rel=1e-9)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-(10**11), 10**11), st.floats(1e-12, 1e12), st.booleans()),
        min_size=1,
        max_size=80,
    )
)
def test_stays_in_range_whatever_comes(ticks: list[tuple[int, float, bool]]) -> None:
    cross = Cross(100.0, 32, 1.0, 1, 1e4)
    at_ns = 0
    for step_ns, price, is_a in ticks:
        at_ns += step_ns
        (cross.update_a if is_a else cross.update_b)(at_ns, price)
        assert all(math.isfinite(x) for x in (cross.beta, cross.divergence, cross.value))
        assert -1.0 <= cross.correlation <= 1.0
        assert 0.0 <= cross.confidence <= 1.0
