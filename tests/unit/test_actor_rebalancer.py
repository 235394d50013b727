"""Rebalancer: every interval, each position against its newest forecast, by the four rules."""

from decimal import Decimal
from typing import Any

import pytest

from hfengine.actors.rebalancer import Rebalancer
from hfengine.messages import Close, Forecast, PositionOpened, Rebalanced, Reduce
from tests.rig import T0_NS, Rig, position


def opened(drift: float = 0.0012, confidence: float = 0.45, half_life_s: float = 300.0) -> Any:
    return PositionOpened(
        1, "BTCUSDT", T0_NS, 1, Decimal("0.010"), Decimal(60000), drift, confidence, half_life_s
    )


def forecast(drift: float, confidence: float = 0.45) -> Forecast:
    return Forecast("BTCUSDT", T0_NS, 60000.0, 60000.0 * (1 + drift), drift, confidence, 300.0)


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
    rig.run(30.0)
    assert rig.one(Rebalanced).action == "hold", "the confidence of the halving is the new baseline"


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
    assert rig.report(ref) == {"rebalances": {}}
