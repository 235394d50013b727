"""The intervals of the evaluation: against closed forms, tables and repeated draws."""

import numpy as np
import pytest

from hfengine.evaluation.statistics import (
    HORIZONS_MIN,
    Estimate,
    holm_levels,
    ic_terms,
    independent_horizons,
    long_run_variance,
    midranks,
    ratio,
    spearman,
)
from hfengine.evaluation.student import critical, two_sided_p


@pytest.mark.parametrize(
    ("dof", "alpha", "t"),
    # Abramowitz and Stegun (1964), table 26.10
    [
        (1, 0.05, 12.706),
        (4, 0.05, 2.776),
        (7, 0.01, 3.499),
        (10, 0.1, 1.812),
        (30, 0.002, 3.385),
        (120, 0.05, 1.980),
    ],
)
def test_students_t_equals_its_table(dof, alpha, t):
    assert critical(alpha, dof) == pytest.approx(t, abs=6e-4)
    assert two_sided_p(critical(alpha, dof), dof) == pytest.approx(alpha, rel=1e-9)


def test_students_t_of_one_and_two_degrees_is_closed():
    for t in (0.0, 0.3, 1.0, 5.0, 1e4):
        assert two_sided_p(t, 1) == pytest.approx(1 - 2 * np.arctan(t) / np.pi, abs=1e-12)
        assert two_sided_p(-t, 2) == pytest.approx(1 - t / np.sqrt(2 + t * t), abs=1e-12)
    assert two_sided_p(float("inf"), 3) == 0.0


@pytest.mark.parametrize("call", [lambda: two_sided_p(1.0, 0), lambda: critical(0.0, 3)])
def test_student_refuses_what_is_no_distribution(call):
    with pytest.raises(ValueError, match="must"):
        call()


def test_the_long_run_variance_of_overlapping_sums_is_h_squared():
    # the sum of h iid steps at each step: long-run variance h², closed form; variance only h
    rng = np.random.default_rng(1)
    h, count, runs = 20, 4_000, 200
    found = []
    for _ in range(runs):
        steps = rng.standard_normal(count + h)
        found.append(long_run_variance(np.convolve(steps, np.ones(h), "valid")[:count], 66))
    # the mean of sinc² up to 66 / 2 / 4000 cycles a sample, times 20: 0.97
    assert np.mean(found) / h**2 == pytest.approx(0.97, abs=0.03)


def test_the_long_run_variance_ignores_a_constant():
    series = np.sin(np.arange(300.0))
    assert long_run_variance(series + 1e3, 9) == pytest.approx(
        long_run_variance(series, 9), rel=1e-6
    )


def test_independent_horizons_are_counted_with_holes():
    second = 1_000_000_000
    at_ns = np.array([0, 1, 2, 3, 10, 11, 30], dtype=np.int64) * second
    assert independent_horizons(at_ns, 2 * second) == 4
    assert independent_horizons(at_ns, 100 * second) == 1
    assert independent_horizons(at_ns[:0], second) == 0


def _miss_rate(signal, runs, count=1_500, horizon=50, seed=7):
    """Return how often the interval of a worthless signal leaves zero out, and the mean IC."""
    rng = np.random.default_rng(seed)
    missed, ics = 0, []
    for _ in range(runs):
        price = np.cumsum(rng.standard_normal(count + horizon + 100))
        now = np.arange(100, 100 + count)
        terms = ic_terms(signal(price, now, rng), price[now + horizon] - price[now])
        horizons = independent_horizons(now.astype(np.int64), horizon)
        found = ratio(terms, np.ones(count), horizons)
        missed += abs(found.mean) > found.reach
        ics.append(found.mean)
    return missed / runs, float(np.mean(ics))


@pytest.mark.parametrize(
    ("name", "signal", "most"),
    [
        ("white noise", lambda price, now, rng: rng.standard_normal(len(now)), 0.07),
        ("momentum", lambda price, now, rng: price[now] - price[now - 50], 0.09),
        ("reversion", lambda price, now, rng: price[now - 50] - price[now], 0.09),
    ],
)
def test_the_interval_holds_zero_about_95_percent_of_the_time(name, signal, most):
    # 800 draws: standard error 0.8 %; a persistent signal costs a point or two of coverage
    missed, ic = _miss_rate(signal, 800)
    assert 0.025 <= missed <= most
    assert abs(ic) < 0.03


def test_an_interval_that_ignored_the_overlap_would_miss_far_more_often():
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(200):
        price = np.cumsum(rng.standard_normal(1_600))
        now = np.arange(50, 1_550)
        terms = ic_terms(price[now] - price[now - 50], price[now + 49] - price[now])
        found = ratio(terms, np.ones(len(now)), len(now))
        missed += abs(found.mean) > found.reach
    assert missed / 200 > 0.5


def test_a_random_walk_fools_the_centred_rank_correlation_but_not_ours():
    rng = np.random.default_rng(11)
    ours, centred = [], []
    for _ in range(400):
        price = np.cumsum(rng.standard_normal(500))
        now = np.arange(50, 400)
        reversion, moves = price[now - 50] - price[now], price[now + 50] - price[now]
        ours.append(float(np.mean(ic_terms(reversion, moves))))
        centred.append(spearman(reversion, moves))
    assert np.mean(centred) > 0.12
    assert abs(np.mean(ours)) < 0.6 * np.mean(centred)


def test_a_known_correlation_lies_in_its_interval():
    rng = np.random.default_rng(3)
    held, runs, rho = 0, 300, 0.3
    # signed ranks of a bivariate normal: found from a large draw
    x = rng.standard_normal(400_000)
    y = rho * x + np.sqrt(1 - rho**2) * rng.standard_normal(len(x))
    truth = float(np.mean(ic_terms(x, y)))
    for _ in range(runs):
        x = rng.standard_normal(400)
        y = rho * x + np.sqrt(1 - rho**2) * rng.standard_normal(400)
        found = ratio(ic_terms(x, y), np.ones(400), 400)
        held += abs(found.mean - truth) <= found.reach
    assert 0.91 <= held / runs <= 0.985


def test_too_few_horizons_give_no_estimate():
    ones = np.ones(500)
    assert ratio(ones, ones, HORIZONS_MIN - 1) is None
    assert ratio(ones, 0 * ones, 100) is None
    assert ratio(ones, ones, HORIZONS_MIN).dof == HORIZONS_MIN // 3


def test_a_ratio_weighs_instants_by_their_denominators():
    found = ratio(np.array([1.0, 0.0] * 50), np.array([1.0, 3.0] * 50), 100)
    assert found.mean == pytest.approx(0.25)


def test_ic_is_one_for_a_monotone_forecast_of_the_same_sign_and_minus_one_turned():
    moves = np.array([-3.0, -1.0, 0.5, 2.0, 7.0])
    assert np.mean(ic_terms(moves**3, moves)) == pytest.approx(1.0)
    assert np.mean(ic_terms(-moves, moves)) == pytest.approx(-1.0)
    assert not ic_terms(np.zeros(5), moves).any()


def test_midranks_share_ties():
    assert midranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_spearman_of_a_constant_is_none():
    assert spearman(np.ones(9), np.arange(9.0)) is None
    assert spearman(np.arange(9.0), np.arange(9.0) ** 3) == pytest.approx(1.0)


def test_holm_steps_down_and_stops():
    # m = 4: 0.05/4, 0.05/3 rejected; 0.03 is above 0.05/2, so it and the rest stay at 0.025
    assert holm_levels([0.03, 0.001, 0.9, 0.016]) == pytest.approx([0.025, 0.0125, 0.025, 0.05 / 3])
    assert holm_levels([]) == []


def test_an_estimate_without_error_is_certain():
    sure = Estimate(mean=0.5, error=0.0, dof=4)
    assert (sure.p_against(0.0), sure.p_against(0.5), sure.reach) == (0.0, 1.0, 0.0)
