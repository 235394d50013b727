"""The compiled filter against the numpy matrix form."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels.kalman import Kalman
from tests.reference.kalman import Kalman as Reference

PARAMETERS = (1e-11, 4e-10, 30.0, 5)

steps_ns = st.sampled_from([0, 1, 1_000, 100_000_000, 30_000_000_000, 30_000_000_001]) | (
    st.integers(-1_000_000, 2_000_000_000)
)
moves = st.floats(-1e-3, 1e-3) | st.sampled_from([0.0, 0.3, -0.3])


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(steps_ns, moves), min_size=1, max_size=80), st.floats(0.0, 100.0))
def test_equals_matrix_form(walk: list[tuple[int, float]], horizon_s: float) -> None:
    kalman, reference = Kalman(*PARAMETERS), Reference(*PARAMETERS)
    at_ns, log_price = 1_723_075_200_000_000_000, math.log(60_000.0)
    for step_ns, move in walk:
        at_ns += step_ns
        log_price += move
        price = math.exp(log_price)
        kalman.update(at_ns, price)
        reference.update(at_ns, price)
        sigma = np.sqrt(np.diag(reference.p))
        got = np.array([kalman.level, kalman.slope, kalman.curvature])
        # Rounding of log price (11) limits what can agree, in units of each state's own sigma.
        assert np.all(np.abs(got - reference.x) <= 1e-6 * sigma + 1e-9 * np.abs(reference.x))
        scaled = np.array(kalman.covariance()) / np.outer(sigma, sigma)
        assert scaled == pytest.approx(reference.p / np.outer(sigma, sigma), abs=1e-9)
        assert kalman.innovation == pytest.approx(reference.innovation, rel=1e-7, abs=1e-11)
        assert kalman.innovation_sigma == pytest.approx(reference.innovation_sigma, rel=1e-9)
        assert kalman.snr == pytest.approx(reference.snr, rel=1e-6, abs=1e-5)
        assert kalman.confidence == pytest.approx(reference.confidence, abs=1e-5)
        assert kalman.ready == (reference.count >= 5)
    assert kalman.forecast_log(horizon_s) == pytest.approx(
        reference.forecast_log(horizon_s), rel=1e-6, abs=1e-9
    )


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-(10**12), 10**12), st.floats(1e-12, 1e12)), min_size=1, max_size=60
    )
)
def test_stays_finite_whatever_comes(ticks: list[tuple[int, float]]) -> None:
    kalman = Kalman(*PARAMETERS)
    at_ns = 0
    for step_ns, price in ticks:
        at_ns += step_ns
        kalman.update(at_ns, price)
        assert all(
            math.isfinite(x)
            for x in (kalman.level, kalman.slope, kalman.curvature, kalman.innovation, kalman.snr)
        )
        assert 0.0 <= kalman.confidence <= 1.0
