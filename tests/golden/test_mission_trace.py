"""The mission's rebalancing example, step by step through the actor itself."""

import json
from decimal import Decimal
from typing import Any

import pytest

from hfengine.actors.rebalancer import Rebalancer
from hfengine.messages import Close, Forecast, PositionOpened, Rebalanced, Reduce
from tests.rig import T0_NS, Rig, position
from tests.shared import MISSION, needs_shared

pytestmark = needs_shared

S_NS = 1_000_000_000


@pytest.fixture(scope="module")
def trace() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(MISSION.read_text())["rebalance_trace"]
    return found


def forecast_of(step: dict[str, Any], half_life_s: float) -> Forecast:
    return Forecast(
        "BTCUSDT",
        T0_NS + step["t_s"] * 1_000_000_000 - 1,
        step["price_usdt"],
        step["forecast_usdt"],
        step["forecast_usdt"] / step["price_usdt"] - 1.0,
        step["confidence"],
        half_life_s,
    )


def test_the_actor_holds_halves_and_closes_as_the_mission_does(
    rig: Rig, trace: dict[str, Any]
) -> None:
    start = trace["position"]
    rules = rig.settings.rebalance
    assert trace["rules"] == {
        "interval_s": rules.interval_s,
        "decay_threshold": rules.decay_threshold,
        "confidence_drop_relative": rules.confidence_drop_relative,
        "max_hold_half_lives": rules.max_hold_half_lives,
        "reduce_to": rules.reduce_to,
    }
    # the source's quantity on the venue's grid: an even number of steps, so that half is half
    held = Decimal("0.006")
    ref = rig.start(Rebalancer)
    begun_ns = rig.clock.now_ns()
    opened = PositionOpened(
        1,
        "BTCUSDT",
        begun_ns,
        1,
        held,
        Decimal(str(start["entry_price_usdt"])),
        start["entry_drift"],
        start["entry_confidence"],
        start["half_life_s"],
    )
    rig.tell(ref, opened, position(quantity=str(held), entry="96000"))
    baseline = start["entry_drift"]
    profit = 0.0
    for step in trace["steps"]:
        # to a second before the look, looks in between left out
        look_ns = begun_ns + step["t_s"] * S_NS
        rig.run((look_ns - rig.clock.now_ns()) / S_NS - 1.0)
        rig.heard.clear()
        rig.tell(ref, forecast_of(step, start["half_life_s"]))
        rig.run(1.5)
        look = rig.one(Rebalanced)
        assert look.action == step["action"]
        assert look.reason == step.get("reason", "none")
        assert look.drift == pytest.approx(step["drift"], rel=1e-12)
        change = step.get("drift_change", look.drift - baseline)
        assert look.drift - look.baseline_drift == pytest.approx(change, rel=1e-12)
        assert look.confidence == step["confidence"]
        assert look.age_s == pytest.approx(step["t_s"], abs=0.01)
        exits = [*rig.all(Reduce), *rig.all(Close)]
        assert len(exits) == (step["action"] != "hold")
        for wish in exits:
            assert isinstance(wish, Reduce if step["action"] == "reduce" else Close)
            share = float(wish.quantity) / 0.006
            assert share == pytest.approx(step["closed_quantity"] / start["quantity"])
            move = step["price_usdt"] - start["entry_price_usdt"]
            profit += share * start["quantity"] * move
            held -= wish.quantity
            rig.tell(ref, position(quantity=str(held), entry="96000"))
        baseline = step.get("new_baseline_drift", baseline)
    assert held == 0
    assert profit == pytest.approx(trace["total_pnl_usdt"])
    rig.heard.clear()
    rig.run(60.0)
    assert not rig.all(Rebalanced), "a flat position is looked at no more"


def rule_cases() -> list[dict[str, Any]]:
    """Return the mission's single decisions; none where the shared files are not at hand."""
    if not MISSION.exists():
        return []
    found: list[dict[str, Any]] = json.loads(MISSION.read_text())["rebalance_rules"]
    return found


@pytest.mark.parametrize("case", rule_cases(), ids=lambda case: case["case"])
def test_the_actor_decides_every_case_as_the_mission_does(rig: Rig, case: dict[str, Any]) -> None:
    side = {"long": 1, "short": -1}[case["side"]]
    quantity = str(case.get("quantity", 0.01))
    age_s = case.get("age_s", 30)
    ref = rig.start(Rebalancer)
    begun_ns = rig.clock.now_ns()
    # the look comes at a whole interval after the start; the age is set by the opening
    look_ns = begun_ns + 600 * S_NS
    opened = PositionOpened(
        1,
        "BTCUSDT",
        look_ns - age_s * S_NS,
        side,
        Decimal(quantity),
        Decimal(60000),
        case["baseline_drift"],
        case.get("entry_confidence", 0.45),
        case.get("half_life_s", 300.0),
    )
    rig.tell(ref, opened, position(side=side, quantity=quantity))
    rig.run((look_ns - rig.clock.now_ns()) / S_NS - 1.0)
    rig.heard.clear()
    price = 60000.0
    forecast = price * (1.0 + case["drift"])
    confidence = case.get("confidence", 0.45)
    at_ns = rig.clock.now_ns()
    rig.tell(ref, Forecast("BTCUSDT", at_ns, price, forecast, case["drift"], confidence, 300.0))
    rig.run(1.5)
    look = rig.one(Rebalanced)
    assert (look.action, look.reason) == (case["action"], case.get("reason", "none"))
    held = Decimal(quantity)
    wishes = [wish.quantity for wish in (*rig.all(Reduce), *rig.all(Close))]
    assert wishes == {"hold": [], "reduce": [held / 2], "close": [held]}[case["action"]]


def test_there_are_nine_cases() -> None:
    assert len(rule_cases()) == 9
