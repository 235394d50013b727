"""One breaker by itself: levels, hysteresis, what ends a trip, what is no measurement."""

from math import inf, nan

import pytest

from hfengine.actors.breakers import (
    CLEARED,
    CONFIRM_NS,
    TRIPPED,
    WARNED,
    WHEN_RESUMED,
    DailyLoss,
    Drawdown,
    LiquidationDistance,
    LosingStreak,
    MarginUtilisation,
)

DAY_NS = 86_400 * 10**9


def test_a_level_is_entered_at_its_threshold_and_left_beyond_it() -> None:
    breaker = MarginUtilisation("bybit", 0.5, 1.0)
    levels = []
    for measured in (0.49, 0.5, 1.0, 0.99, 0.981, 0.979, 0.491, 0.489, 1.2, 0.1):
        breaker.judge(1, measured)
        levels.append(breaker.level)
    w, t = WARNED, TRIPPED
    assert levels == [CLEARED, w, t, t, t, w, w, CLEARED, t, CLEARED]
    assert breaker.detail == "venue bybit"


def test_only_a_change_of_level_is_told_with_the_threshold_it_crossed() -> None:
    breaker = MarginUtilisation("", 0.9, 0.95)
    told = [breaker.judge(at_ns, 0.91) for at_ns in (5, 6)]
    assert told[1] is None
    assert told[0] is not None
    assert (told[0].at_ns, told[0].measured, told[0].threshold) == (5, 0.91, 0.9)
    changed = breaker.judge(7, 0.97)
    assert changed is not None
    assert (changed.state, changed.threshold, changed.until_ns) == ("tripped", 0.95, 0)


@pytest.mark.parametrize("measured", [nan, inf, -inf])
def test_what_is_no_number_is_no_measurement(measured: float) -> None:
    breaker = MarginUtilisation("", 0.9, 0.95)
    breaker.judge(1, 0.96)
    assert breaker.judge(2, measured) is None
    assert breaker.measured == 0.96
    assert breaker.tripped


def test_a_falling_measure_trips_below_its_threshold() -> None:
    breaker = LiquidationDistance("BTCUSDT", 0.2, 0.05)
    levels = []
    for left in (1.0, 0.21, 0.2, 0.05, 0.0505, 0.0515, 0.2035, 0.205, -0.3):
        breaker.judge(1, left)
        levels.append(breaker.level)
    w, t = WARNED, TRIPPED
    assert levels == [CLEARED, CLEARED, w, t, t, w, w, CLEARED, t]


def test_a_day_that_was_lost_ends_at_midnight_utc() -> None:
    breaker = DailyLoss("", 100.0)
    at_ns = 3 * DAY_NS + 5
    breaker.judge(at_ns, 100.0)
    assert breaker.until_ns == 4 * DAY_NS
    assert breaker.judge(at_ns, -50.0) is None
    assert breaker.look(4 * DAY_NS - 1) is None
    cleared = breaker.look(4 * DAY_NS)
    assert cleared is not None
    assert cleared.state == "cleared"
    assert not breaker.tripped


@pytest.mark.parametrize("breaker", [DailyLoss("", inf), Drawdown(1.0), LosingStreak(0, 1)])
def test_a_limit_that_is_off_never_trips(breaker: DailyLoss | Drawdown | LosingStreak) -> None:
    for measured in (0.5, 1.0, 1e9):
        assert breaker.judge(1, measured) is None
    assert breaker.look(10**18) is None


def test_a_drawdown_needs_a_second_reading_or_a_second() -> None:
    breaker = Drawdown(0.1)
    breaker.judge(0, 0.2)
    assert breaker.level == WARNED
    breaker.judge(1, 0.0)
    assert breaker.look(10 * CONFIRM_NS) is None, "contradicted"
    breaker.judge(2, 0.1)
    assert breaker.look(2 + CONFIRM_NS - 1) is None
    tripped = breaker.look(2 + CONFIRM_NS)
    assert tripped is not None
    assert (tripped.state, tripped.until_ns) == ("tripped", WHEN_RESUMED)
    assert breaker.judge(3, 0.0) is None
    assert breaker.look(10**18) is None, "only a resume ends it"
    resumed = breaker.resume(4)
    assert resumed is not None
    assert resumed.state == "cleared"
    breaker.judge(5, 0.2)
    assert breaker.level == WARNED, "and it begins anew"


def test_a_streak_cools_down_and_warns_one_before() -> None:
    breaker = LosingStreak(3, 100)
    for losses, level in ((1.0, CLEARED), (2.0, WARNED), (3.0, TRIPPED)):
        breaker.judge(50, losses)
        assert breaker.level == level
    assert breaker.look(149) is None
    assert breaker.look(150) is not None
    assert breaker.level == CLEARED


def test_a_restored_trip_holds_as_it_did() -> None:
    breaker = Drawdown(0.1)
    breaker.restore(0.3, WHEN_RESUMED)
    assert breaker.tripped
    assert breaker.told(7).measured == 0.3
    assert breaker.judge(1, 0.0) is None
    assert breaker.resume(8) is not None
