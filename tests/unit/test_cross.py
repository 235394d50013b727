"""Behaviour of the lead-lag layer: who leads, what it claims, restarts, refuses and forgets."""

import math

import numpy as np
import pytest

from hfengine.kernels.cross import Cross

SECOND = 1_000_000_000
STEP = SECOND // 10


def fresh(warmup: int = 50) -> Cross:
    return Cross(100.0, 5, 30.0, warmup)


def observables(cross: Cross) -> tuple[object, ...]:
    return (
        cross.lead_lag_ms,
        cross.leader,
        cross.correlation,
        cross.beta,
        cross.divergence,
        cross.value,
        cross.confidence,
        cross.confirms(1),
        cross.confirms(-1),
        cross.ready,
        cross.steps,
        cross.updates,
        tuple(cross.correlation_at(lag) for lag in range(-5, 6)),
    )


def feed(cross: Cross, a: np.ndarray, b: np.ndarray, start_ns: int = 0) -> int:
    """Give both symbols one price a step, in the middle of it."""
    at_ns = start_ns
    for level_a, level_b in zip(np.cumsum(a).tolist(), np.cumsum(b).tolist(), strict=True):
        cross.update_a(at_ns + STEP // 2, math.exp(4.0 + level_a))
        cross.update_b(at_ns + STEP // 2, math.exp(5.0 + level_b))
        at_ns += STEP
    return at_ns


def pair(seed: int, count: int, lag: int, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a leader's returns and a follower's, lag steps later and with noise of its own."""
    rng = np.random.default_rng(seed)
    leader = rng.normal(0.0, 1e-4, count)
    late = np.concatenate([np.zeros(lag), leader])[:count]
    return leader, beta * late + rng.normal(0.0, 1e-4, count)


@pytest.mark.parametrize("lag", [1, 3])
@pytest.mark.parametrize("beta", [0.7, -0.7])
@pytest.mark.parametrize("a_leads", [True, False])
def test_the_leader_is_found_in_either_direction(lag: int, beta: float, a_leads: bool) -> None:
    cross = fresh()
    leader, follower = pair(1, 1500, lag, beta)
    feed(cross, *((leader, follower) if a_leads else (follower, leader)))
    assert cross.lead_lag_ms == (100.0 * lag if a_leads else -100.0 * lag)
    assert cross.leader == (1 if a_leads else -1)
    assert cross.beta == pytest.approx(beta, abs=0.2)
    assert cross.correlation == pytest.approx(beta / math.hypot(0.7, 1.0), abs=0.12)
    assert cross.confidence > 0.999


def test_independent_walks_have_no_leader_at_the_stated_level() -> None:
    """At 0.95 one pair in twenty may be claimed, whatever the lags; 200 pairs, up to twice that."""
    claimed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        cross = fresh()
        feed(cross, rng.normal(0, 1e-4, 400), rng.standard_t(4, 400) * 1e-4)
        claimed += cross.leader != 0
    assert claimed <= 20


def test_value_is_what_of_the_leaders_move_is_still_to_come() -> None:
    cross = fresh()
    leader, follower = pair(2, 1500, 2, 0.7)
    leader[-3:] = follower[-3:] = 0.0
    end_ns = feed(cross, leader, follower)
    cross.update_a(end_ns, math.exp(4.0 + leader.sum()))
    assert cross.lead_lag_ms == 200.0
    assert cross.value == pytest.approx(0.0, abs=1e-13)
    cross.update_a(end_ns + STEP // 4, math.exp(4.0 + leader.sum() + 1e-3))
    assert cross.value == pytest.approx(1e-3 * cross.beta, rel=1e-9)
    assert cross.confirms(1)
    assert not cross.confirms(-1)
    # The grid is half a step late: the move's own step ends at 0.5, and it is due in the next two.
    for after, left in ((0.5, 1.0), (1.5, 1.0), (2.0, 0.5), (2.5, 0.0)):
        cross.update_b(end_ns + int(STEP * after), math.exp(5.0 + follower.sum()))
        assert cross.value == pytest.approx(left * 1e-3 * cross.beta, abs=1e-12)


def test_divergence_is_the_followers_own_way() -> None:
    """A follower that does exactly beta times the leader's lagged moves diverges nowhere."""
    cross = fresh()
    leader = np.random.default_rng(3).normal(0.0, 1e-4, 800)
    late = np.concatenate([np.zeros(2), leader])[:800]
    end_ns = feed(cross, leader, 0.5 * late)
    assert abs(cross.divergence) < 1e-4
    cross.update_b(end_ns + STEP // 2, math.exp(5.0 + 0.5 * late.sum() + 0.01))
    cross.update_a(end_ns + 2 * STEP, math.exp(4.0 + leader.sum()))
    assert cross.divergence == pytest.approx(0.01, rel=0.1)


def test_one_price_for_ever_has_no_leader() -> None:
    cross = fresh()
    feed(cross, np.zeros(500), np.random.default_rng(1).normal(0, 1e-4, 500))
    assert cross.ready
    assert cross.leader == cross.confidence == cross.value == cross.lead_lag_ms == 0
    assert not cross.confirms(1)
    assert not cross.confirms(-1)


def test_not_ready_means_no_claim() -> None:
    cross = fresh(warmup=2000)
    feed(cross, *pair(1, 1000, 1, 0.9))
    assert cross.lead_lag_ms == 100.0
    assert not cross.ready
    assert cross.confidence == cross.leader == 0
    assert not cross.confirms(1)


@pytest.mark.parametrize("jump_ns", [10 * SECOND + 1, -110 * SECOND])
def test_gap_restarts_as_if_new(jump_ns: int) -> None:
    cross, new = fresh(), fresh()
    end_ns = feed(cross, *pair(4, 1000, 1, 0.9))
    for one in (cross, new):
        feed(one, *pair(5, 100, 2, 0.9), start_ns=end_ns + jump_ns)
    assert observables(cross) == observables(new)


def test_one_symbol_falling_silent_restarts_both() -> None:
    cross = fresh()
    end_ns = feed(cross, *pair(4, 200, 1, 0.9))
    for i in range(101):
        cross.update_a(end_ns + i * STEP, 50.0)
    assert cross.updates < 5
    assert cross.steps == 0


def test_time_running_back_a_little_counts_as_the_same_instant() -> None:
    back, same = fresh(), fresh()
    for cross, step_ns in ((back, -500_000), (same, 0)):
        end_ns = feed(cross, *pair(4, 200, 1, 0.9))
        cross.update_a(end_ns + 5, 55.0)
        cross.update_b(end_ns + 5 + step_ns, 150.0)
        cross.update_a(end_ns + SECOND, 55.2)
    assert observables(back) == observables(same)


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_a_price_that_is_none_is_refused_and_changes_nothing(price: float) -> None:
    cross = fresh()
    feed(cross, *pair(4, 200, 1, 0.9))
    before = observables(cross)
    with pytest.raises(ValueError, match="price"):
        cross.update_a(60 * SECOND, price)
    with pytest.raises(ValueError, match="price"):
        cross.update_b(60 * SECOND, price)
    assert observables(cross) == before


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ((0.0, 5, 30.0, 1, 10.0), "step_ms"),
        ((100.0, 0, 30.0, 1, 10.0), "lags"),
        ((100.0, 33, 30.0, 1, 10.0), "lags"),
        ((100.0, 5, 0.05, 1, 10.0), "half_life_s"),
        ((100.0, 5, math.nan, 1, 10.0), "half_life_s"),
        ((100.0, 5, 30.0, 0, 10.0), "warmup"),
        ((100.0, 5, 30.0, 1, 0.0), "gap_max_s"),
    ],
)
def test_parameters_are_checked(
    parameters: tuple[float, int, float, int, float], name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        Cross(*parameters)


def test_side_and_lag_are_checked() -> None:
    with pytest.raises(ValueError, match="side 0"):
        fresh().confirms(0)
    with pytest.raises(ValueError, match="lag 6"):
        fresh().correlation_at(6)


def test_reset_is_exact() -> None:
    cross, new = fresh(), fresh()
    feed(cross, *pair(4, 200, 1, 0.9))
    cross.reset()
    assert observables(cross) == observables(new)
    for one in (cross, new):
        feed(one, *pair(6, 200, 1, 0.9))
    assert observables(cross) == observables(new)
