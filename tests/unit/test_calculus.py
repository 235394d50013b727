"""Behaviour of the local polynomial: what it recovers, keeps, restarts, refuses and forgets."""

import math

import numpy as np
import pytest

from hfengine.kernels.calculus import Calculus

SECOND = 1_000_000_000


def fresh(warmup: int = 10) -> Calculus:
    return Calculus(2.0, 21, 30.0, warmup)


def observables(calculus: Calculus) -> tuple[object, ...]:
    return (
        calculus.level,
        calculus.velocity,
        calculus.acceleration,
        calculus.jerk,
        calculus.snap,
        calculus.sigma,
        calculus.velocity_sigma,
        calculus.t_statistic,
        calculus.degree,
        calculus.kept,
        calculus.value,
        calculus.confidence,
        calculus.ready,
        calculus.updates,
    )


def feed(calculus: Calculus, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    at_ns = 5 * SECOND
    for _ in range(count):
        at_ns += int(rng.integers(0, SECOND // 5))
        calculus.update(at_ns, float(np.exp(rng.normal(4.0, 1e-4))))


def test_noiseless_quartic_is_recovered() -> None:
    calculus = fresh()
    rng = np.random.default_rng(1)
    terms = (4.0, 2e-3, -3e-3, 4e-3, 5e-3)
    t = 0.0
    for _ in range(60):
        t = round(t + rng.uniform(0.1, 0.15), 9)
        calculus.update(round(t * SECOND), math.exp(sum(c * t**k for k, c in enumerate(terms))))
    assert calculus.degree == 4
    expected = [
        sum(c * math.perm(k, order) * t ** (k - order) for k, c in enumerate(terms) if k >= order)
        for order in range(5)
    ]
    assert calculus.level == pytest.approx(expected[0], abs=1e-12)
    assert calculus.value == calculus.velocity == pytest.approx(expected[1], rel=1e-9)
    assert calculus.acceleration == pytest.approx(expected[2], rel=1e-8)
    assert calculus.jerk == pytest.approx(expected[3], rel=1e-7)
    assert calculus.snap == pytest.approx(expected[4], rel=1e-5)
    assert calculus.confidence > 0.999


def test_fast_quotes_do_not_shorten_the_window() -> None:
    """A spacing of window / (samples - 1) = 0.1 s: 21 cells reach back 2 s at 1,000 quotes/s."""
    calculus = fresh()
    for i in range(6000):
        calculus.update(i * SECOND // 1000, 100.0)
    assert calculus.kept >= 20
    assert calculus.updates == 6000


def test_few_observations_lower_the_degree() -> None:
    calculus = fresh(warmup=1)
    degrees = []
    for i in range(7):
        calculus.update(i * SECOND // 5, 100.0 + i * i % 3)
        degrees.append(calculus.degree)
    assert degrees == [0, 0, 1, 2, 3, 4, 4]
    calculus.update(10 * SECOND, 101.0)
    assert (calculus.kept, calculus.degree, calculus.value) == (1, 0, 0.0)
    assert not calculus.ready


def test_students_distribution_of_a_known_fit() -> None:
    """Three points 0, 1, 1 at equal steps: slope 0.5, s.e. 1/sqrt(12), t = sqrt 3, P = 2/3."""
    calculus = fresh(warmup=3)
    for i, log_price in enumerate((4.0, 4.001, 4.001)):
        calculus.update(i * SECOND // 2, math.exp(log_price))
    assert calculus.degree == 1
    assert calculus.velocity == pytest.approx(0.5e-3 / 0.5, rel=1e-9)
    assert calculus.velocity_sigma == pytest.approx(1e-3 / math.sqrt(12) / 0.5, rel=1e-9)
    assert calculus.t_statistic == pytest.approx(math.sqrt(3), rel=1e-9)
    assert calculus.confidence == pytest.approx(2 / 3, rel=1e-9)


def test_confidence_on_white_noise_is_uniform() -> None:
    """Independent residuals are what the t-test assumes: 10 % of fits reach 0.9."""
    calculus = fresh()
    rng = np.random.default_rng(2)
    sure = []
    for i in range(20_000):
        calculus.update(i * SECOND // 10, float(np.exp(rng.normal(4.0, 1e-4))))
        if i % 21 == 20:
            sure.append(calculus.confidence)
    assert np.mean(np.array(sure) > 0.9) == pytest.approx(0.1, abs=0.04)
    assert np.mean(sure) == pytest.approx(0.5, abs=0.04)


def test_one_price_for_ever_has_no_velocity() -> None:
    calculus = fresh()
    for i in range(2000):
        calculus.update(i * SECOND // 10, 100.0)
    assert calculus.value == calculus.confidence == calculus.t_statistic == 0.0
    assert calculus.ready


def test_not_ready_means_no_confidence() -> None:
    calculus = fresh(warmup=4)
    for i in range(3):
        calculus.update(i * SECOND // 4, 100.0 + i)
        assert not calculus.ready
        assert calculus.confidence == 0.0
    calculus.update(3 * SECOND // 4, 103.0)
    assert calculus.ready
    assert calculus.confidence > 0.0


@pytest.mark.parametrize("jump_ns", [30 * SECOND + 1, -30 * SECOND - 1])
def test_gap_restarts_as_if_new(jump_ns: int) -> None:
    calculus, new = fresh(), fresh()
    feed(calculus, 2, 40)
    calculus.update(20 * SECOND, 54.0)
    for step in range(20):
        at_ns = 20 * SECOND + jump_ns + step * SECOND // 7
        calculus.update(at_ns, 50.0 + step)
        new.update(at_ns, 50.0 + step)
        assert observables(calculus) == observables(new)


def test_a_gap_at_the_limit_does_not_restart() -> None:
    calculus = fresh()
    calculus.update(0, 100.0)
    calculus.update(30 * SECOND, 100.0)
    assert calculus.updates == 2


def test_time_running_back_a_little_counts_as_the_same_instant() -> None:
    back, same = fresh(), fresh()
    for calculus, step_ns in ((back, -500_000), (same, 0)):
        feed(calculus, 3, 30)
        calculus.update(12 * SECOND, 55.0)
        calculus.update(12 * SECOND + step_ns, 55.1)
        calculus.update(12 * SECOND + SECOND // 5, 55.2)
    assert observables(back) == observables(same)


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_a_price_that_is_none_is_refused_and_changes_nothing(price: float) -> None:
    calculus = fresh()
    feed(calculus, 5, 30)
    before = observables(calculus)
    with pytest.raises(ValueError, match="price"):
        calculus.update(60 * SECOND, price)
    assert observables(calculus) == before


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ((0.0, 20, 1.0, 1), "window_s"),
        ((math.nan, 20, 1.0, 1), "window_s"),
        ((1.0, 5, 1.0, 1), "samples"),
        ((1.0, 65, 1.0, 1), "samples"),
        ((1.0, 20, 0.0, 1), "gap_max_s"),
        ((1.0, 20, 1.0, 0), "warmup"),
    ],
)
def test_parameters_are_checked(parameters: tuple[float, int, float, int], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Calculus(*parameters)


def test_reset_is_exact() -> None:
    calculus, new = fresh(), fresh()
    feed(calculus, 6, 100)
    calculus.reset()
    assert observables(calculus) == observables(new)
    for one in (calculus, new):
        feed(one, 7, 300)
    assert observables(calculus) == observables(new)
