"""The compiled layer against numpy's lstsq on a Legendre basis."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels.calculus import Calculus
from tests.reference.calculus import Calculus as Reference

steps_ns = st.sampled_from([0, 1, 1_000, 100_000_000, 5_000_000_000, 5_000_000_001]) | (
    st.integers(-1_000_000, 300_000_000)
)
moves = st.floats(-1e-3, 1e-3) | st.sampled_from([0.0, 0.3, -0.3])


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(steps_ns, moves), min_size=1, max_size=60), st.sampled_from([6, 17, 64]))
def test_equals_least_squares(walk: list[tuple[int, float]], samples: int) -> None:
    parameters = (2.0, samples, 5.0, 8)
    calculus, reference = Calculus(*parameters), Reference(*parameters)
    at_ns, log_price = 1_723_075_200_000_000_000, math.log(60_000.0)
    for step_ns, move in walk:
        at_ns += step_ns
        log_price += move
        price = math.exp(log_price)
        calculus.update(at_ns, price)
        reference.update(at_ns, price)
        assert calculus.kept == len(reference.kept)
        assert calculus.updates == reference.updates
        if calculus.kept < 3:
            assert calculus.value == calculus.confidence == 0.0
            continue
        if reference.margin < 1e-3:  # a degree on the edge of what the points can bear
            continue
        assert calculus.degree == reference.degree
        got = np.array(
            [
                calculus.level,
                calculus.velocity,
                calculus.acceleration,
                calculus.jerk,
                calculus.snap,
            ]
        )
        # reach times the largest log price is the size of what is summed in each derivative.
        summed = reference.reach * reference.largest
        assert np.all(np.abs(got - reference.fitted) <= 1e-9 * (np.abs(reference.fitted) + summed))
        floor = 1e-9 * reference.largest + 1e-15
        assert calculus.sigma == pytest.approx(reference.sigma, rel=1e-7, abs=floor)
        if reference.sigma > 1e-7 * reference.largest:
            assert calculus.velocity_sigma == pytest.approx(reference.velocity_sigma, rel=1e-6)
            assert calculus.t_statistic == pytest.approx(
                reference.t_statistic, rel=1e-5, abs=1e-5 + 1e-9 * summed[1]
            )
            assert calculus.confidence == pytest.approx(reference.confidence, abs=1e-5)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-(10**10), 10**10), st.floats(1e-12, 1e12)), min_size=1, max_size=60
    )
)
def test_stays_finite_whatever_comes(ticks: list[tuple[int, float]]) -> None:
    calculus = Calculus(1e3, 64, 1e6, 1)
    at_ns = 0
    for step_ns, price in ticks:
        at_ns += step_ns
        calculus.update(at_ns, price)
        assert all(
            math.isfinite(x)
            for x in (calculus.level, calculus.velocity, calculus.snap, calculus.sigma)
        )
        assert 0.0 <= calculus.confidence <= 1.0
