"""Behaviour of the mean-reversion layer: what it recovers, claims, restarts and forgets."""

import math

import numpy as np
import pytest

from hfengine.kernels.ou import OrnsteinUhlenbeck

SECOND = 1_000_000_000


def fresh(warmup: int = 10) -> OrnsteinUhlenbeck:
    return OrnsteinUhlenbeck(20.0, 30.0, warmup)


def observables(ou: OrnsteinUhlenbeck) -> tuple[object, ...]:
    return (
        ou.theta,
        ou.mu,
        ou.sigma,
        ou.half_life_s,
        ou.z_score,
        ou.t_statistic,
        ou.value,
        ou.confidence,
        ou.ready,
        ou.pairs,
        ou.updates,
    )


def feed(ou: OrnsteinUhlenbeck, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    at_ns = 5 * SECOND
    for _ in range(count):
        at_ns += int(rng.integers(0, SECOND // 5))
        ou.update(at_ns, float(np.exp(rng.normal(4.0, 1e-4))))


def simulate(ou: OrnsteinUhlenbeck, seed: int, theta: float, sigma: float, seconds: float) -> float:
    """Draw the exact Gaussian transition at irregular times around log price 4; return the last."""
    rng = np.random.default_rng(seed)
    t, away = 0.0, 0.0
    while t < seconds:
        dt = rng.exponential(0.05)
        t += dt
        b = math.exp(-theta * dt)
        spread = math.sqrt((1 - b * b) / (2 * theta)) if theta else math.sqrt(dt)
        away = b * away + sigma * spread * rng.normal()
        ou.update(int(t * SECOND), math.exp(4.0 + away))
    return 4.0 + away


def test_simulated_process_is_recovered() -> None:
    """The mean of 12 runs within 15 % for theta, 5 % for sigma; each within 50 % and 15 %.

    A run's weights count as 2 * 100 / ln 2 = 288 pairs 2 s apart, so b = exp(-1) has a standard
    error of sqrt((1 - b^2) / 288) = 0.055, which is 15 % of theta; the mean of 12 has 4.3 %.
    """
    theta, sigma = 0.5, 1e-4
    stationary = sigma / math.sqrt(2 * theta)
    found = []
    for seed in range(12):
        ou = OrnsteinUhlenbeck(200.0, 30.0, 100)
        last = simulate(ou, seed, theta, sigma, 1000.0)
        assert ou.half_life_s == pytest.approx(math.log(2) / ou.theta)
        assert ou.mu == pytest.approx(4.0, abs=stationary / 3)
        assert ou.z_score == pytest.approx((last - 4.0) / stationary, abs=0.6)
        assert ou.value == pytest.approx((ou.mu - last) / 2, abs=1e-12)
        assert ou.confidence > 0.999
        found.append((ou.theta / theta, ou.sigma / sigma))
    assert np.mean(found, axis=0) == pytest.approx(1.0, abs=0.15)
    assert np.mean(found, axis=0)[1] == pytest.approx(1.0, abs=0.05)
    assert np.all(np.abs(np.array(found) - 1.0) < (0.5, 0.15))


def test_random_walks_are_seldom_called_reverting() -> None:
    """At 0.95 the Dickey-Fuller test calls one walk in twenty; 200 walks, up to twice that."""
    sure = []
    for seed in range(200):
        ou = OrnsteinUhlenbeck(20.0, 30.0, 100)
        levels = 4.0 + np.cumsum(np.random.default_rng(seed).normal(0.0, 1e-5, 800))
        for i, level in enumerate(levels.tolist()):
            ou.update(i * SECOND // 5, math.exp(level))
        sure.append(ou.confidence)
    assert np.mean(np.array(sure) > 0.95) <= 0.1


def test_a_trend_is_no_reversion() -> None:
    ou = fresh()
    for i in range(500):
        ou.update(i * SECOND // 5, math.exp(4.0 + 1e-9 * i * i))
    assert ou.theta == ou.value == ou.confidence == ou.z_score == 0.0
    assert ou.half_life_s == math.inf
    assert ou.ready


def test_dickey_fuller_at_its_published_critical_values() -> None:
    """A slope's t of -2.86 is the 5 % point and -3.43 the 1 % point (Fuller 1976, table 8.5.2)."""
    points = []
    for seed in range(60):
        ou = OrnsteinUhlenbeck(20.0, 30.0, 1)
        simulate(ou, seed, 0.4, 1e-4, 60.0)
        if ou.theta:
            points.append((ou.t_statistic, ou.confidence))
    points.sort()
    t, sure = np.array(points).T
    assert t[0] < -3.43
    assert t[-1] > -2.86
    assert np.interp(-2.86, t, sure) == pytest.approx(0.95, abs=0.005)
    assert np.interp(-3.43, t, sure) == pytest.approx(0.99, abs=0.003)


def test_one_price_for_ever_does_not_revert() -> None:
    ou = fresh()
    for i in range(5000):
        ou.update(i * SECOND // 5, 60_000.1)
    assert ou.value == ou.confidence == ou.theta == 0.0
    assert ou.ready


def test_a_silence_counts_as_the_price_standing_still() -> None:
    silent, quoted = fresh(), fresh()
    for ou in (silent, quoted):
        feed(ou, 4, 200)
    last_ns, price = 40 * SECOND, 54.6
    for ou in (silent, quoted):
        ou.update(last_ns, price)
    for i in range(1, 100):
        quoted.update(last_ns + i * SECOND // 5, price)
    for ou in (silent, quoted):
        ou.update(last_ns + 20 * SECOND, price)
    assert silent.pairs == quoted.pairs
    assert silent.theta == pytest.approx(quoted.theta, rel=1e-9)
    assert silent.mu == pytest.approx(quoted.mu, rel=1e-12)


def test_not_ready_means_no_confidence() -> None:
    ou = OrnsteinUhlenbeck(20.0, 30.0, 10_000)
    simulate(ou, 1, 1.0, 1e-4, 60.0)
    assert ou.theta > 0.0
    assert not ou.ready
    assert ou.confidence == 0.0


@pytest.mark.parametrize("jump_ns", [30 * SECOND + 1, -30 * SECOND - 1])
def test_gap_restarts_as_if_new(jump_ns: int) -> None:
    ou, new = fresh(), fresh()
    feed(ou, 2, 40)
    ou.update(20 * SECOND, 54.0)
    for step in range(40):
        at_ns = 20 * SECOND + jump_ns + step * SECOND // 7
        ou.update(at_ns, 50.0 + step % 3)
        new.update(at_ns, 50.0 + step % 3)
        assert observables(ou) == observables(new)


def test_time_running_back_a_little_counts_as_the_same_instant() -> None:
    back, same = fresh(), fresh()
    for ou, step_ns in ((back, -500_000), (same, 0)):
        feed(ou, 3, 60)
        ou.update(12 * SECOND, 55.0)
        ou.update(12 * SECOND + step_ns, 55.1)
        ou.update(13 * SECOND, 55.2)
    assert observables(back) == observables(same)


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_a_price_that_is_none_is_refused_and_changes_nothing(price: float) -> None:
    ou = fresh()
    feed(ou, 5, 60)
    before = observables(ou)
    with pytest.raises(ValueError, match="price"):
        ou.update(60 * SECOND, price)
    assert observables(ou) == before


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ((0.0, 1.0, 1), "half_life_s"),
        ((math.nan, 1.0, 1), "half_life_s"),
        ((1.0, -1.0, 1), "gap_max_s"),
        ((1.0, 1.0, 0), "warmup"),
    ],
)
def test_parameters_are_checked(parameters: tuple[float, float, int], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        OrnsteinUhlenbeck(*parameters)


def test_reset_is_exact() -> None:
    ou, new = fresh(), fresh()
    feed(ou, 6, 100)
    ou.reset()
    assert observables(ou) == observables(new)
    for one in (ou, new):
        feed(one, 7, 300)
    assert observables(ou) == observables(new)
