"""Rebalancer: every interval, each position against its newest forecast, by the four rules."""

import dataclasses
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.rebalancer import Rebalancer
from hfengine.messages import Close, Forecast, PositionOpened, Rebalanced, Reduce
from hfengine.settings import Rebalance, Settings
from tests.rig import T0_NS, Rig, position

ALWAYS_FRESH_NS = T0_NS + 10**15


def opened(drift: float = 0.0012, confidence: float = 0.45, half_life_s: float = 300.0) -> Any:
    return PositionOpened(
        1, "BTCUSDT", T0_NS, 1, Decimal("0.010"), Decimal(60000), drift, confidence, half_life_s
    )


def forecast(drift: float, confidence: float = 0.45) -> Forecast:
    return Forecast(
        "BTCUSDT", ALWAYS_FRESH_NS, 60000.0, 60000.0 * (1 + drift), drift, confidence, 300.0
    )


@pytest.fixture
def ref(rig: Rig) -> Any:
    return rig.start(Rebalancer)


def test_nothing_happens_before_thirty_seconds(rig: Rig, ref: Any) -> None:
    rig.tell(ref, opened(), position(), forecast(-0.001))
    rig.run(29.0)
    assert not rig.all(Rebalanced)
    rig.run(1.1)
    assert rig.one(Rebalanced).reason == "drift_flip"


def test_a_flip_closes_the_whole_position(rig: Rig, ref: Any) -> None:
    rig.tell(ref, opened(), position(), forecast(-0.0001))
    rig.run(30.0)
    close = rig.one(Close)
    assert (close.side, close.quantity, close.reason) == (1, Decimal("0.010"), "drift_flip")


def test_a_decay_halves_and_sets_a_new_baseline(rig: Rig, ref: Any) -> None:
    rig.tell(ref, opened(), position(), forecast(0.0006))
    rig.run(30.0)
    reduce = rig.one(Reduce)
    assert (reduce.quantity, reduce.reason) == (Decimal("0.005"), "drift_decay")
    rig.heard.clear()
    rig.tell(ref, position(quantity="0.005"))
    rig.run(30.0)
    assert rig.one(Rebalanced).action == "hold"
    assert rig.one(Rebalanced).baseline_drift == pytest.approx(0.0006)


def test_a_confidence_drop_halves(rig: Rig, ref: Any) -> None:
    rig.tell(ref, opened(), position(), forecast(0.0012, confidence=0.3))
    rig.run(30.0)
    assert rig.one(Reduce).reason == "confidence_drop"
    rig.heard.clear()
    rig.tell(ref, position(quantity="0.005"))
    rig.run(30.0)
    assert rig.one(Rebalanced).action == "hold", "the confidence of the halving is the new baseline"
    assert rig.one(Rebalanced).reason == "none"


def test_two_half_lives_close(rig: Rig, ref: Any) -> None:
    rig.tell(ref, opened(half_life_s=20.0), position(), forecast(0.0012))
    rig.run(30.0)
    assert rig.one(Rebalanced).action == "hold"
    rig.run(30.0)
    assert rig.one(Close).reason == "max_hold"


def test_a_halving_below_the_minimum_closes(rig: Rig, ref: Any) -> None:
    rig.tell(ref, opened(), position(quantity="0.001"), forecast(0.0004))
    rig.run(30.0)
    assert (rig.one(Close).quantity, rig.one(Close).reason) == (Decimal("0.001"), "drift_decay")


def test_a_flat_position_is_forgotten(rig: Rig, ref: Any) -> None:
    rig.tell(ref, opened(), position(), position(quantity="0"), forecast(-0.001))
    rig.run(60.0)
    assert not rig.all(Rebalanced)
    assert rig.report(ref)["rebalances"] == {}


def test_a_short_is_judged_from_its_own_side(rig: Rig, ref: Any) -> None:
    short = replace(opened(drift=-0.0012), side=-1)
    rig.tell(ref, short, position(side=-1), forecast(-0.0012))
    rig.run(30.0)
    assert rig.one(Rebalanced).action == "hold"
    rig.heard.clear()
    rig.tell(ref, forecast(-0.0006))
    rig.run(30.0)
    assert (rig.one(Reduce).side, rig.one(Reduce).quantity) == (-1, Decimal("0.005"))
    rig.heard.clear()
    rig.tell(ref, position(side=-1, quantity="0.005"), forecast(0.0001))
    rig.run(30.0)
    assert (rig.one(Close).side, rig.one(Close).reason) == (-1, "drift_flip")
    looks = {"hold": 1, "drift_decay": 1, "drift_flip": 1}
    assert rig.report(ref)["rebalances"] == looks


def test_a_look_tells_baseline_drift_confidence_and_age(rig: Rig, ref: Any) -> None:
    old = replace(forecast(0.0010, confidence=0.4), at_ns=T0_NS + 25_000_000_000)
    rig.tell(ref, opened(), position(), old)
    rig.run(30.0)
    look = rig.one(Rebalanced)
    assert look.baseline_drift == 0.0012
    assert look.drift == pytest.approx(0.0010)
    assert look.confidence == 0.4
    assert look.age_s == pytest.approx(30.0), "since the opening, not since the forecast"


def test_the_drift_is_taken_from_the_two_prices(rig: Rig, ref: Any) -> None:
    rig.tell(ref, opened(), position(), replace(forecast(-0.001), drift=0.0012))
    rig.run(30.0)
    assert rig.one(Close).reason == "drift_flip"


def test_flat_told_before_the_opening_position_forgets_nothing(rig: Rig, ref: Any) -> None:
    rig.tell(ref, opened(), position(quantity="0"), position(), forecast(-0.001))
    rig.run(30.0)
    assert rig.one(Close).quantity == Decimal("0.010")


def test_interval_and_rules_are_the_profiles() -> None:
    rules = Rebalance(interval_s=10.0, max_hold_half_lives=4.0, reduce_to=0.25)
    rig = Rig(Settings(rebalance=rules))
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(half_life_s=8.0), position(quantity="0.100"), forecast(0.0012))
    rig.run(30.5)
    assert [look.action for look in rig.all(Rebalanced)] == ["hold"] * 3
    rig.tell(ref, opened(half_life_s=300.0), position(quantity="0.100"), forecast(0.0006))
    rig.run(10.0)
    assert rig.one(Reduce).quantity == Decimal("0.075")
    rig.close()


def test_a_rest_below_the_venues_minimum_closes_though_it_is_on_the_grid() -> None:
    rig = Rig()
    coarse = replace(rig.wiring.instruments["BTCUSDT"], quantity_min=Decimal("0.004"))
    rig.wiring = dataclasses.replace(rig.wiring, instruments={"BTCUSDT": coarse})
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(), position(quantity="0.006"), forecast(0.0006))
    rig.run(30.0)
    assert (rig.one(Close).quantity, rig.one(Close).reason) == (Decimal("0.006"), "drift_decay")
    rig.close()


def test_a_position_whose_entry_was_not_seen_is_adopted(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(), forecast(0.0012))
    rig.run(30.0)
    assert rig.one(Rebalanced).action == "hold"
    rig.heard.clear()
    rig.tell(ref, forecast(0.0006))
    rig.run(30.0)
    assert rig.one(Reduce).reason == "drift_decay"
    rig.heard.clear()
    rig.tell(ref, forecast(-0.0006))
    rig.run(30.0)
    assert rig.one(Close).reason == "drift_flip"


def test_a_forecast_from_a_silent_feed_decides_nothing(rig: Rig, ref: Any) -> None:
    rig.tell(ref, opened(), position())
    rig.run(15.0)
    at_ns = rig.clock.now_ns()
    rig.tell(ref, replace(forecast(-0.001), at_ns=at_ns))
    rig.run(15.1)
    assert not rig.all(Rebalanced), "15 s old at the look"
    rig.run(25.0)
    rig.tell(ref, replace(forecast(-0.001), at_ns=rig.clock.now_ns()))
    rig.run(5.0)
    assert rig.one(Close).reason == "drift_flip"
