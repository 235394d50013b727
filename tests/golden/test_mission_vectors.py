"""The mission's worked examples: sizing, rebalancing, moves, bankruptcy, break-even, breakers."""

import json
import math

import pytest

from hfengine.kernels import drift, liquidation, sizing
from tests.shared import MISSION, needs_shared

pytestmark = needs_shared

OFF = math.inf
ACTIONS = {"hold": drift.HOLD, "reduce": drift.REDUCE, "close": drift.CLOSE}
BREAKERS = {
    "none": liquidation.NONE,
    "warn": liquidation.WARN,
    "force_close": liquidation.FORCE_CLOSE,
}
# The sources size off any grid; so fine a step is as good as none.
NO_GRID = 1e-12


@pytest.fixture(scope="module")
def mission() -> dict:
    return json.loads(MISSION.read_text())


@pytest.fixture(scope="module")
def cases(mission) -> dict[str, dict]:
    return {case["case"]: case for case in mission["sizing"]}


def sizer_of(mode: int, leverage: float, **changed: float) -> sizing.Sizer:
    profile = {
        "fraction": 1.0,
        "fixed_margin_usdt": 0.0,
        "share_of_equity_max": OFF,
        "trade_notional_max_usdt": OFF,
        "exposure_max_usdt": OFF,
        "capital_usdt": OFF,
        "free_margin_reserve": 0.0,
    }
    return sizing.Sizer(mode=mode, leverage=leverage, **(profile | changed))


def size(sizer: sizing.Sizer, price: float, balance: float, **changed: float) -> int:
    market = {
        "free_margin_usdt": 1e12,
        "exposure_usdt": 0.0,
        "stop_distance_usdt": 1.0,
        "fee_round_trip": 0.0,
        "tier_notional_max_usdt": OFF,
        "buffer_notional_max_usdt": OFF,
        "quantity_step": NO_GRID,
        "quantity_min": 0.0,
        "quantity_max": OFF,
        "notional_min_usdt": 0.0,
    }
    return sizer.size(price_usdt=price, balance_usdt=balance, **(market | changed))


def test_kelly_50x(cases):
    case = cases["kelly_50x"]
    sizer = sizer_of(
        sizing.KELLY_FRACTION, case["leverage"], fraction=case["kelly_fraction"]
    )  # fmt: skip
    size(sizer, case["price_usdt"], case["balance_usdt"])
    assert sizer.uncapped_notional_usdt == case["notional_usdt"]
    assert sizer.quantity == pytest.approx(case["quantity"], abs=NO_GRID)
    assert sizer.margin_usdt == pytest.approx(case["margin_usdt"], rel=1e-9)


def test_kelly_50x_on_grid(cases):
    case = cases["kelly_50x_on_grid"]
    sizer = sizer_of(sizing.KELLY_FRACTION, case["leverage"], fraction=case["kelly_fraction"])
    step = case["quantity_step"]
    assert size(sizer, case["price_usdt"], case["balance_usdt"], quantity_step=step) == 6
    assert sizer.quantity == case["quantity"]
    assert sizer.notional_usdt == pytest.approx(case["notional_usdt"], rel=1e-15)
    assert sizer.margin_usdt == pytest.approx(case["margin_usdt"], rel=1e-15)


def test_risk_capped_by_capital(cases):
    case = cases["risk_capped_by_capital"]
    sizer = sizer_of(
        sizing.RISK_PER_TRADE,
        case["leverage"],
        fraction=case["risk_fraction"],
        capital_usdt=case["capital_usdt"],
    )
    stop = case["stop_distance_usdt"]
    size(sizer, case["price_usdt"], case["balance_usdt"], stop_distance_usdt=stop)
    uncapped = sizer.uncapped_notional_usdt / case["price_usdt"]
    assert uncapped == pytest.approx(case["uncapped_quantity"], rel=1e-15)
    assert sizer.quantity == pytest.approx(case["quantity"], abs=NO_GRID)
    assert sizer.notional_usdt == pytest.approx(case["max_notional_usdt"], rel=1e-9)
    assert sizing.BINDINGS[sizer.binding] == case["binding"]


def test_fixed_notional_exposure(cases):
    """As many positions as allowed fill the exposure exactly, and one more is refused."""
    case = cases["fixed_notional_exposure"]
    for leverage, exposure_max in case["exposure_usdt"].items():
        sizer = sizer_of(
            sizing.FIXED_MARGIN,
            float(leverage),
            fixed_margin_usdt=case["position_size_usdt"],
            exposure_max_usdt=exposure_max,
        )
        exposure = 0.0
        for _ in range(case["max_positions"]):
            size(sizer, 2.0, 1e6, exposure_usdt=exposure, quantity_step=1.0)
            assert sizer.margin_usdt == case["position_size_usdt"]
            exposure += sizer.notional_usdt
        assert exposure == exposure_max
        assert size(sizer, 2.0, 1e6, exposure_usdt=exposure, quantity_step=1.0) == 0
        assert sizing.BINDINGS[sizer.limiting] == "exposure"


def test_ten_percent_cap(cases):
    case = cases["ten_percent_cap"]
    for leverage in (1.0, 5.0, 50.0):
        sizer = sizer_of(
            sizing.KELLY_FRACTION,
            leverage,
            share_of_equity_max=case["max_position_fraction_of_equity"],
        )
        size(sizer, case["price_usdt"], case["balance_usdt"], quantity_step=0.0001)
        assert sizer.margin_usdt == pytest.approx(case["max_margin_usdt"], rel=1e-12)
        assert sizing.BINDINGS[sizer.binding] == "share_of_equity"


def test_rebalance_trace(mission):
    trace = mission["rebalance_trace"]
    position, thresholds = trace["position"], trace["rules"]
    rules = drift.RebalanceRules(
        thresholds["decay_threshold"],
        thresholds["confidence_drop_relative"],
        thresholds["max_hold_half_lives"],
        thresholds["reduce_to"],
    )
    step = 1e-15
    held = sizing.floor_steps(position["quantity"], step)
    baseline, confidence = position["entry_drift"], position["entry_confidence"]
    total = 0.0
    for at in trace["steps"]:
        now = drift.drift_of(at["forecast_usdt"], at["price_usdt"])
        assert now == pytest.approx(at["drift"], rel=1e-12)
        assert now - baseline == pytest.approx(at.get("drift_change", now - baseline), rel=1e-12)
        action = rules.decide(
            1, baseline, now, confidence, at["confidence"], at["t_s"], position["half_life_s"],
            held, 1,
        )  # fmt: skip
        assert action == ACTIONS[at["action"]], at
        assert drift.REASONS[rules.reason] == at.get("reason", "none")
        if action == drift.HOLD:
            assert rules.close_steps == 0
            continue
        closed = rules.close_steps * step
        assert closed == pytest.approx(at["closed_quantity"], rel=1e-9)
        profit = liquidation.pnl_usdt(1, closed, position["entry_price_usdt"], at["price_usdt"])
        assert profit == pytest.approx(at["realised_pnl_usdt"], rel=1e-9)
        margin = closed * position["entry_price_usdt"] / position["leverage"]
        assert margin == pytest.approx(at.get("margin_closed_usdt", margin), rel=1e-9)
        assert now == pytest.approx(at.get("new_baseline_drift", now), rel=1e-12)
        held -= rules.close_steps
        baseline, confidence = now, at["confidence"]
        total += profit
    assert held == 0
    assert total == pytest.approx(trace["total_pnl_usdt"], rel=1e-9)


def test_rebalance_rules(mission):
    rules = drift.RebalanceRules()
    assert len(mission["rebalance_rules"]) == 9
    for case in mission["rebalance_rules"]:
        minimum = case.get("min_quantity", 0.001)
        held = sizing.floor_steps(case.get("quantity", 0.01), 0.001)
        action = rules.decide(
            {"long": 1, "short": -1}[case["side"]],
            case["baseline_drift"],
            case["drift"],
            case.get("entry_confidence", 0.45),
            case.get("confidence", 0.45),
            case.get("age_s", 30.0),
            case.get("half_life_s", 300.0),
            held,
            sizing.floor_steps(minimum, 0.001),
        )
        assert action == ACTIONS[case["action"]], case
        assert drift.REASONS[rules.reason] == case.get("reason", "none"), case
        closes = {"hold": 0, "reduce": held // 2, "close": held}
        assert rules.close_steps == closes[case["action"]], case


def test_moves_at_50x(mission, cases):
    case = cases["kelly_50x"]
    for move in mission["moves_at_50x"]:
        pnl = liquidation.pnl_usdt(1, move["quantity"], move["entry_usdt"], move["exit_usdt"])
        assert pnl == pytest.approx(move["pnl_usdt"], rel=1e-12)
        assert pnl / case["margin_usdt"] == pytest.approx(move["return_on_margin"], rel=1e-12)
        assert pnl / case["balance_usdt"] == pytest.approx(move["return_on_account"], rel=1e-12)
    worst = min(mission["moves_at_50x"], key=lambda move: move["exit_usdt"])
    gone = liquidation.bankruptcy_price(1, worst["entry_usdt"], case["leverage"])
    assert gone == pytest.approx(worst["exit_usdt"])


def test_bankruptcy_distance(mission):
    for case in mission["bankruptcy_distance"]:
        for side in (1, -1):
            price = liquidation.bankruptcy_price(side, 50000.0, case["leverage"])
            assert side * (1.0 - price / 50000.0) == pytest.approx(case["distance"], rel=1e-12)


def test_liquidation_comes_before_bankruptcy(mission):
    tiers = liquidation.RiskTiers([(1e6, 0.004, 125.0)])
    for case in mission["bankruptcy_distance"]:
        for side in (1, -1):
            price = liquidation.isolated_price(
                liquidation.BINANCE, side, 0.01, 50000.0, case["leverage"], tiers
            )
            assert 0.0 < side * (1.0 - price / 50000.0) < case["distance"]


def test_break_even_win_rate(mission):
    for case in mission["break_even_win_rate"]:
        rate = sizing.break_even_win_rate(
            case["take_profit"], case["stop_loss"], case["round_trip_fee"]
        )
        assert rate == pytest.approx(case["win_rate"], rel=1e-12)


def test_breakers(mission):
    for case in mission["breakers"]:
        if "margin_utilisation" in case:
            action = liquidation.utilisation_action(case["margin_utilisation"])
        else:
            action = liquidation.distance_action(case["liquidation_distance_left"])
        assert action == BREAKERS[case["action"]], case
