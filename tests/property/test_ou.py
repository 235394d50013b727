"""The compiled layer against the weighted regression over every sample kept."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels.ou import OrnsteinUhlenbeck
from tests.reference.ou import OrnsteinUhlenbeck as Reference

PARAMETERS = (10.0, 30.0, 5)

steps_ns = st.sampled_from([0, 1, 100_000_000, 30_000_000_000, 30_000_000_001]) | (
    st.integers(-1_000_000, 400_000_000)
)
moves = st.floats(-1e-3, 1e-3) | st.sampled_from([0.0, 0.1, -0.1])


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(steps_ns, moves), min_size=1, max_size=80),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_equals_weighted_regression(walk: list[tuple[int, float]], keep: float) -> None:
    ou, reference = OrnsteinUhlenbeck(*PARAMETERS), Reference(*PARAMETERS)
    at_ns, away = 1_723_075_200_000_000_000, 0.0
    for step_ns, move in walk:
        at_ns += step_ns
        away = keep * away + move
        price = math.exp(math.log(60_000.0) + away)
        ou.update(at_ns, price)
        reference.update(at_ns, price)
    reference.estimate()
    assert ou.pairs == reference.pairs
    assert ou.ready == (reference.pairs >= 5)
    # A walk on the regression line itself leaves a residual of pure rounding.
    if reference.theta == 0.0 or reference.t_statistic < -1e4:
        return
    assert ou.theta == pytest.approx(reference.theta, rel=1e-9)
    assert ou.mu == pytest.approx(reference.mu, rel=1e-9)
    assert ou.sigma == pytest.approx(reference.sigma, rel=1e-9)
    assert ou.t_statistic == pytest.approx(reference.t_statistic, rel=1e-9)
    assert ou.z_score == pytest.approx(reference.z_score, rel=1e-9, abs=1e-9)
    assert ou.value == pytest.approx(reference.value, rel=1e-9, abs=1e-12)
    assert ou.confidence == pytest.approx(reference.confidence, rel=1e-9)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-(10**12), 10**12), st.floats(1e-12, 1e12)), min_size=1, max_size=60
    )
)
def test_stays_finite_whatever_comes(ticks: list[tuple[int, float]]) -> None:
    ou = OrnsteinUhlenbeck(10.0, 1e4, 1)
    at_ns = 0
    for step_ns, price in ticks:
        at_ns += step_ns
        ou.update(at_ns, price)
        assert all(math.isfinite(x) for x in (ou.theta, ou.mu, ou.sigma, ou.z_score, ou.value))
        assert 0.0 <= ou.confidence <= 1.0
        assert ou.half_life_s > 0.0
