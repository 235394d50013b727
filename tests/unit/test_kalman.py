"""Behaviour of the filter: what it tracks, restarts, refuses and forgets."""

import math

import numpy as np
import pytest

from hfengine.kernels.kalman import Kalman

SECOND = 1_000_000_000


def fresh(warmup: int = 10) -> Kalman:
    return Kalman(1e-11, 4e-10, 30.0, warmup)


def observables(kalman: Kalman) -> tuple[object, ...]:
    return (
        kalman.level,
        kalman.slope,
        kalman.curvature,
        kalman.innovation,
        kalman.innovation_sigma,
        kalman.snr,
        kalman.confidence,
        kalman.ready,
        kalman.covariance(),
        kalman.forecast_log(5.0),
    )


def feed(kalman: Kalman, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    at_ns = 5 * SECOND
    for _ in range(count):
        at_ns += int(rng.integers(0, SECOND))
        kalman.update(at_ns, float(np.exp(rng.normal(4.0, 1e-4))))


def test_noiseless_parabola_is_recovered() -> None:
    kalman = fresh()
    slope, curvature = 2e-5, 3e-6
    for i in range(400):
        t = i * 0.25
        kalman.update(int(t * SECOND), math.exp(4.0 + slope * t + curvature * t * t / 2))
    t = 399 * 0.25
    assert kalman.level == pytest.approx(4.0 + slope * t + curvature * t * t / 2, abs=1e-9)
    assert kalman.value == kalman.slope == pytest.approx(slope + curvature * t, rel=1e-6)
    assert kalman.curvature == pytest.approx(curvature, rel=1e-4)
    ahead = kalman.slope * 4 + kalman.curvature * 8
    assert kalman.forecast_log(4.0) == pytest.approx(ahead, rel=1e-12)
    assert kalman.confidence > 0.999


def test_forecast_goes_no_further_than_the_gap() -> None:
    kalman = fresh()
    feed(kalman, 1, 50)
    assert kalman.forecast_log(30.0) == kalman.forecast_log(1e9) != 0.0
    assert kalman.forecast_log(0.0) == kalman.forecast_log(-1.0) == 0.0
    assert kalman.forecast_log(math.nan) == 0.0


def test_one_price_for_ever_has_no_slope() -> None:
    kalman = fresh()
    for i in range(2000):
        kalman.update(i * SECOND // 10, 100.0)
    assert kalman.slope == 0.0
    assert kalman.confidence == 0.0
    assert kalman.ready


def test_not_ready_means_no_confidence_and_no_forecast() -> None:
    kalman = fresh(warmup=3)
    for i in range(2):
        kalman.update(i * SECOND, 100.0 + i)
        assert not kalman.ready
        assert kalman.confidence == kalman.forecast_log(5.0) == 0.0
    kalman.update(2 * SECOND, 102.0)
    assert kalman.ready
    assert kalman.confidence > 0.0


@pytest.mark.parametrize("jump_ns", [30 * SECOND + 1, -30 * SECOND - 1])
def test_gap_restarts_as_if_new(jump_ns: int) -> None:
    kalman, new = fresh(), fresh()
    feed(kalman, 2, 40)
    at_ns = 5 * SECOND
    rng = np.random.default_rng(2)
    for _ in range(40):
        at_ns += int(rng.integers(0, SECOND))
        rng.normal(4.0, 1e-4)
    for step in range(20):
        kalman.update(at_ns + jump_ns + step * SECOND, 50.0 + step)
        new.update(at_ns + jump_ns + step * SECOND, 50.0 + step)
        assert observables(kalman) == observables(new)


def test_a_gap_at_the_limit_does_not_restart() -> None:
    kalman = fresh()
    kalman.update(0, 100.0)
    kalman.update(30 * SECOND, 100.0)
    assert kalman.updates == 2


def test_time_running_back_a_little_counts_as_the_same_instant() -> None:
    back, same = fresh(), fresh()
    for kalman, step_ns in ((back, -500_000), (same, 0)):
        feed(kalman, 3, 30)
        last_ns = 40 * SECOND
        kalman.update(last_ns, 55.0)
        kalman.update(last_ns + step_ns, 55.1)
        kalman.update(last_ns + SECOND, 55.2)
    assert observables(back) == observables(same)


def test_many_updates_at_one_instant_only_sharpen() -> None:
    kalman = fresh()
    feed(kalman, 4, 30)
    before = kalman.covariance()[0][0]
    for _ in range(1000):
        kalman.update(40 * SECOND, 54.0)
    variance = kalman.covariance()[0][0]
    assert 0.0 < variance < before
    assert kalman.level == pytest.approx(math.log(54.0), abs=1e-3)


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_a_price_that_is_none_is_refused_and_changes_nothing(price: float) -> None:
    kalman = fresh()
    feed(kalman, 5, 30)
    before = observables(kalman)
    with pytest.raises(ValueError, match="price"):
        kalman.update(60 * SECOND, price)
    assert observables(kalman) == before


@pytest.mark.parametrize(
    "parameters",
    [(0.0, 1.0, 1.0, 1), (1.0, -1.0, 1.0, 1), (1.0, 1.0, math.nan, 1), (1.0, 1.0, 1.0, 0)],
)
def test_parameters_are_checked(parameters: tuple[float, float, float, int]) -> None:
    with pytest.raises(ValueError, match=r"_noise|gap_max_s|warmup"):
        Kalman(*parameters)


def test_reset_is_exact() -> None:
    kalman, new = fresh(), fresh()
    feed(kalman, 6, 100)
    kalman.reset()
    assert observables(kalman) == observables(new)
    for one in (kalman, new):
        feed(one, 7, 100)
    assert observables(kalman) == observables(new)


def test_covariance_stays_positive_semidefinite_over_a_long_irregular_run() -> None:
    kalman = fresh()
    rng = np.random.default_rng(8)
    steps = np.rint(10 ** rng.uniform(0, 10.4, 100_000)).astype(np.int64)
    steps[rng.random(100_000) < 0.2] = 0
    prices = np.exp(4.0 + np.cumsum(rng.normal(0, 1e-5, 100_000)))
    at_ns = 0
    lowest = math.inf
    for i, (step_ns, price) in enumerate(zip(steps.tolist(), prices.tolist(), strict=True)):
        at_ns += step_ns
        kalman.update(at_ns, price)
        if i % 20 == 0:
            covariance = np.array(kalman.covariance())
            assert np.array_equal(covariance, covariance.T)
            sigma = np.sqrt(np.diag(covariance))
            assert np.all(sigma > 0)
            scaled = covariance / np.outer(sigma, sigma)
            lowest = min(lowest, float(np.linalg.eigvalsh(scaled)[0]))
    assert lowest >= -1e-12
    assert kalman.updates == 100_000


def test_innovations_are_as_large_as_the_filter_says() -> None:
    """Normalised innovations of data drawn from the model have unit variance (NIS test)."""
    q, r, dt = 1e-11, 4e-10, 0.2
    rng = np.random.default_rng(9)
    kalman = Kalman(q, r, 30.0, 10)
    f = np.array([[1, dt, dt**2 / 2], [0, 1, dt], [0, 0, 1]])
    noise = q * np.array(
        [
            [dt**5 / 20, dt**4 / 8, dt**3 / 6],
            [dt**4 / 8, dt**3 / 3, dt**2 / 2],
            [dt**3 / 6, dt**2 / 2, dt],
        ]
    )
    root = np.linalg.cholesky(noise)
    state = np.array([4.0, 0.0, 0.0])
    squares = []
    for i in range(4000):
        state = f @ state + root @ rng.normal(size=3)
        kalman.update(int(i * dt * SECOND), float(np.exp(state[0] + rng.normal(0, r**0.5))))
        if i > 100:
            squares.append((kalman.innovation / kalman.innovation_sigma) ** 2)
    assert np.mean(squares) == pytest.approx(1.0, abs=0.1)
