"""Layer 5: learns what is there, claims nothing from noise, and keeps what a gap cannot spoil."""

import math
import random
from collections.abc import Sequence

import pytest

from hfengine.kernels.drift import FACTORS, STEPS, Drift

T0_NS = 1_723_075_200_000_000_000
STEP_NS = 10_000_000
PRIOR = (1e-5, 1e-4, 0.0, 0.0, 0.0, 0.0, -1e-4)


def fresh(*, ridge: float = 20.0, learn: bool = True, warmup: int = 1) -> Drift:
    """Return a layer of 10 ms steps, 0.64 s horizon, 60 s memory."""
    return Drift(0.64, 60.0, ridge, 0.5, warmup, learn)


def feed(drift: Drift, levels: Sequence[float], start: int = 0) -> None:
    for number, level in enumerate(levels, start):
        drift.update_price(T0_NS + number * STEP_NS, 60_000.0 * math.exp(level))


def reverting(count: int, seed: int = 1) -> list[float]:
    """Return an AR(1) whose distance from its mean tells the next 0.64 s."""
    rng, level, found = random.Random(seed), 0.0, []
    for _ in range(count):
        level = 0.97 * level + 1e-4 * rng.gauss(0, 1)
        found.append(level)
    return found


def wandering(count: int, seed: int) -> list[float]:
    rng, level, found = random.Random(seed), 0.0, []
    for _ in range(count):
        level += 1e-4 * rng.gauss(0, 1)
        found.append(level)
    return found


def observables(drift: Drift) -> tuple[object, ...]:
    return (
        drift.coefficients,
        drift.factors,
        drift.value,
        drift.confidence,
        drift.correlation,
        drift.judged,
        drift.ready,
        drift.steps,
    )


def test_reversion_is_learned_and_believed_from_its_own_record() -> None:
    drift = fresh()
    feed(drift, reverting(6_000))
    assert len(FACTORS) == len(drift.factors) == 6
    assert drift.coefficients[1 + FACTORS.index("reversion")] > 1e-5
    assert drift.correlation > 0.4
    assert drift.confidence > 0.99
    # 6000 samples less two horizons, weighted, 64 of them counting as one
    assert 60.0 < drift.judged < 93.0


def test_a_random_walk_is_seldom_believed() -> None:
    sure = 0
    for seed in range(40):
        drift = fresh()
        feed(drift, wandering(1_500, seed))
        sure += drift.confidence > 0.95
    # one side of a 5 % test is 2.5 %: 1 of 40 expected, 6 or more has odds below 1 in 1000
    assert sure < 6


def test_a_wrong_prior_is_found_out() -> None:
    wrong = fresh(learn=False)
    wrong.load((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1e-4))
    feed(wrong, reverting(3_000))
    assert wrong.correlation < -0.3
    assert wrong.confidence == 0.0
    assert wrong.coefficients == (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1e-4)
    right = fresh(learn=False)
    right.load((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1e-4))
    feed(right, reverting(3_000))
    assert right.correlation == pytest.approx(-wrong.correlation)
    assert right.confidence > 0.99


def test_value_is_the_loaded_line_through_the_factors() -> None:
    drift = fresh(learn=False)
    feed(drift, reverting(200))
    drift.load(PRIOR)
    expected = PRIOR[0] + sum(c * f for c, f in zip(PRIOR[1:], drift.factors, strict=True))
    assert drift.value == pytest.approx(expected, rel=1e-12)
    assert drift.value != 0.0


def test_the_ridge_holds_the_prior() -> None:
    loose, tight = fresh(ridge=1e-3), fresh(ridge=1e12)
    for drift in (loose, tight):
        drift.load(PRIOR)
        feed(drift, reverting(1_000))
    assert tight.coefficients == pytest.approx(PRIOR, abs=1e-12)
    assert abs(loose.coefficients[6] - PRIOR[6]) > 1e-5


def test_volume_and_clock_are_seen() -> None:
    # 06:00 UTC on a Thursday: the sine of the day is at its height, Thursday the third after Monday
    six_ns = T0_NS - T0_NS % 86_400_000_000_000 + 6 * 3_600_000_000_000
    drift = Drift(0.64, 60.0, 20.0, 0.5, 1)
    for number in range(400):
        drift.update_price(six_ns + number * STEP_NS, 60_000.0)
        drift.update_trade(six_ns + number * STEP_NS, 1.0 if number < 300 else 20.0)
    factors = dict(zip(FACTORS, drift.factors, strict=True))
    assert factors["volume"] > 1.0
    assert factors["time_of_day"] == pytest.approx(math.sqrt(2), rel=1e-6)
    assert factors["day_of_week"] == pytest.approx(math.sqrt(2) * math.sin(6 * math.pi / 7))
    assert factors["momentum"] == factors["volatility"] == factors["reversion"] == 0.0


def test_a_gap_restarts_the_factors_and_keeps_the_lessons() -> None:
    drift = fresh()
    feed(drift, reverting(3_000))
    learned, believed, judged = drift.coefficients, drift.confidence, drift.judged
    drift.update_price(T0_NS + 3_000 * STEP_NS + 501_000_000, 70_000.0)
    assert (drift.steps, drift.ready, drift.value, drift.confidence) == (0, False, 0.0, 0.0)
    assert drift.factors == (0.0,) * 6
    feed(drift, [0.15] * (STEPS + 2), 3_100)
    assert drift.ready
    assert (drift.coefficients, drift.confidence, drift.judged) == (learned, believed, judged)


def test_silence_within_the_limit_is_the_price_standing_still() -> None:
    silent, told = fresh(), fresh()
    feed(silent, [0.0, 1e-4])
    feed(told, [0.0, 1e-4])
    feed(told, [1e-4] * 48, 2)
    for drift in (silent, told):
        drift.update_price(T0_NS + 50 * STEP_NS, 60_000.0)
        feed(drift, reverting(300), 51)
    assert observables(silent) == observables(told)


def test_not_ready_before_a_horizon_nor_before_the_warmup() -> None:
    for warmup, first in ((1, STEPS), (100, 100)):
        drift = fresh(warmup=warmup)
        drift.load(PRIOR)
        feed(drift, reverting(first + 1))
        assert (drift.steps, drift.ready, drift.value) == (first - 1, False, 0.0)
        feed(drift, [0.0], first + 1)
        assert drift.ready
        assert drift.value != 0.0


def test_trades_before_the_first_price_and_a_little_back_in_time() -> None:
    drift = fresh()
    drift.update_trade(T0_NS, 1e18)
    assert drift.steps == 0
    feed(drift, reverting(100))
    before = drift.steps
    drift.update_price(T0_NS, 60_000.0 * math.e)
    assert drift.steps == 0, "a second back is beyond the gap"
    feed(drift, reverting(100))
    drift.update_price(T0_NS + 98 * STEP_NS, 60_000.0)
    assert drift.steps == before


def test_reset_is_exact_and_forgets_what_was_loaded() -> None:
    drift, new = fresh(), fresh()
    drift.load(PRIOR)
    feed(drift, reverting(500))
    drift.reset()
    assert observables(drift) == observables(new)
    assert drift.coefficients == (0.0,) * 7
    for one in (drift, new):
        feed(one, reverting(500, seed=7))
    assert observables(drift) == observables(new)


@pytest.mark.parametrize("coefficients", [(0.0,) * 6, (0.0,) * 8, (0.0,) * 6 + (math.nan,)])
def test_only_seven_finite_coefficients_are_loaded(coefficients: tuple[float, ...]) -> None:
    drift = fresh()
    drift.load(PRIOR)
    with pytest.raises(ValueError, match="7 finite numbers"):
        drift.load(coefficients)
    assert drift.coefficients == PRIOR


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_price_or_quantity_is_refused_and_changes_nothing(bad: float) -> None:
    drift, untouched = fresh(), fresh()
    for one in (drift, untouched):
        feed(one, reverting(200))
    with pytest.raises(ValueError, match="price"):
        drift.update_price(T0_NS + 10**12, bad)
    with pytest.raises(ValueError, match="quantity"):
        drift.update_trade(T0_NS + 10**12, bad)
    assert observables(drift) == observables(untouched)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ((0.0, 60.0, 1.0, 1.0, 1), "horizon_s"),
        ((1.0, 0.5, 1.0, 1.0, 1), "half_life_s"),
        ((1.0, 60.0, 0.0, 1.0, 1), "ridge"),
        ((1.0, 60.0, math.inf, 1.0, 1), "ridge"),
        ((1.0, 60.0, 1.0, math.nan, 1), "gap_max_s"),
        ((1.0, 60.0, 1.0, 1.0, 0), "warmup"),
    ],
)
def test_parameters_are_checked(
    parameters: tuple[float, float, float, float, int], name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        Drift(*parameters)
