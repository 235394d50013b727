"""The compiled layer against least squares on a Legendre basis in extended precision."""

import math
import random
from collections.abc import Iterator

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


def compare(calculus: Calculus, reference: Reference) -> bool:
    """Hold a kernel to its reference; return whether its errors were compared too."""
    assert calculus.kept == len(reference.kept)
    assert calculus.updates == reference.updates
    if calculus.kept < 3:
        assert calculus.value == calculus.confidence == 0.0
        return False
    if reference.margin < 1e-3:  # a degree on the edge of what the points can bear
        return False
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
    # A residual is a difference of moves: below a millionth of them it has no nine digits.
    floor = 1e-15 * reference.largest
    assert calculus.sigma == pytest.approx(reference.sigma, rel=1e-9, abs=floor)
    if reference.sigma > 1e-6 * reference.largest:
        assert calculus.velocity_sigma == pytest.approx(reference.velocity_sigma, rel=1e-9)
        # The velocity's own error, 1e-9 of what is summed in it, counted in standard errors.
        slack = 1e-9 * summed[1] / reference.velocity_sigma
        assert calculus.t_statistic == pytest.approx(reference.t_statistic, rel=1e-9, abs=slack)
        assert calculus.confidence == pytest.approx(reference.confidence, abs=1e-9 + slack)
    return True


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
        compare(calculus, reference)


def series(kind: str) -> Iterator[tuple[int, float]]:
    """Yield (time, price): bursts of quotes with rare lulls, so that the newest point moves."""
    rng = random.Random(kind)
    at_ns, log_price = 1_723_075_200_000_000_000, math.log(60_000.0)
    for number in range(600):
        at_ns += rng.choice((0, 1_000_000, 10_000_000, 60_000_000))
        if number % 97 == 96:
            at_ns += {"lull": 1_500_000_000, "gap": 240_000_000_000}.get(kind, 0)
        if kind == "jump" and number % 150 == 149:
            log_price += 0.05
        log_price += 0.0 if kind == "one tick" else rng.gauss(0, 1e-5)
        yield at_ns, math.exp(log_price) + (0.1 * rng.randrange(2) if kind == "one tick" else 0.0)


@pytest.mark.parametrize("kind", ["walk", "lull", "gap", "jump", "one tick"])
@pytest.mark.parametrize("samples", [8, 32])
def test_equals_least_squares_while_the_newest_point_moves(kind: str, samples: int) -> None:
    parameters = (2.0, samples, 5.0, 8)
    calculus, reference = Calculus(*parameters), Reference(*parameters)
    full = 0
    for number, (at_ns, price) in enumerate(series(kind)):
        calculus.update(at_ns, price)
        reference.update(at_ns, price, fit=False)
        if number % 3 == 0:
            reference.fit()
            full += compare(calculus, reference) and calculus.degree == 4
    assert full > 50


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
