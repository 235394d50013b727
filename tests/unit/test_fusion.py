"""Fusion: pooling, agreement and disagreement, half-life, and every gate by name."""

from math import expm1

import pytest

from hfengine.kernels.fusion import GATES, Fusion

TREND, PUSH = 1e-4, 4e-4


def fresh(**changes: float) -> Fusion:
    limits = {"drift_min": 1e-5, "confidence_min": 0.5, "disagreement_max": 0.4} | changes
    return Fusion((0.5, 1.0, 1.0, 1.0, 1.0, 1.0), 60.0, **limits)


def fed(
    moves: dict[int, float], sure: dict[int, float], *, claims: bool = False, **changes: float
) -> Fusion:
    fusion = fresh(**changes)
    fusion.update(
        [moves.get(i, 0.0) for i in range(6)], [sure.get(i, 0.0) for i in range(6)], 12.0, claims
    )
    return fusion


@pytest.mark.parametrize("side", [1, -1])
def test_layers_that_agree_add_up_like_independent_evidence(side: int) -> None:
    fusion = fed({1: side * TREND, 3: side * PUSH}, {1: 0.6, 3: 0.7})
    assert fusion.confidence == pytest.approx(1.0 - 0.4 * 0.3)
    # (0.6 x 1e-4 + 0.7 x 4e-4) / 1.3
    assert fusion.value == pytest.approx(side * 3.4e-4 / 1.3)
    assert fusion.drift == pytest.approx(expm1(fusion.value), rel=1e-15)
    assert fusion.direction == side
    assert fusion.gate() == 1


@pytest.mark.parametrize(("sure", "surer"), [(0.9, 0.02), (0.2, 0.9)])
def test_layers_that_disagree_leave_their_difference(sure: float, surer: float) -> None:
    fusion = fed({1: TREND, 3: -PUSH}, {1: sure, 3: surer})
    assert fusion.confidence == pytest.approx(abs(sure - surer))
    assert fusion.support == pytest.approx(max(sure, surer))
    assert fusion.opposition == pytest.approx(min(sure, surer))


def test_a_layer_is_a_witness_as_far_as_its_weight_goes() -> None:
    assert fed({0: TREND}, {0: 0.8}).confidence == pytest.approx(0.4)


def test_a_forecast_against_the_surer_side_has_no_confidence() -> None:
    # one large move, little sure, outweighs a sure small one in the mean
    fusion = fed({1: 1e-5, 3: -PUSH}, {1: 0.6, 3: 0.5})
    assert fusion.direction == -1
    assert fusion.confidence == 0.0


def test_nothing_known_is_no_view_and_no_signal() -> None:
    fusion = fed({1: TREND}, {})
    assert (fusion.value, fusion.confidence, fusion.direction) == (0.0, 0.0, 0)
    assert fusion.gate() == 0
    assert fusion.refused_gate == ""
    assert fresh(drift_min=0.0).gate() == 0, "nothing fused yet"


@pytest.mark.parametrize(
    ("sure", "move", "expected_s"), [(0.95, TREND, 12.0), (0.94, TREND, 60.0), (0.95, -1e-6, 60.0)]
)
def test_the_half_life_is_layer_3s_where_it_is_sure_and_agrees(
    sure: float, move: float, expected_s: float
) -> None:
    fusion = fed({1: TREND, 2: move}, {1: 0.9, 2: sure})
    assert fusion.direction == 1
    assert fusion.half_life_s == expected_s


def test_below_the_least_drift_is_no_signal() -> None:
    at_least = fed({1: TREND}, {1: 0.9}, drift_min=expm1(TREND))
    assert at_least.gate() == 1
    assert fed({1: TREND}, {1: 0.9}, drift_min=1.0001 * TREND).gate() == 0


def refused(fusion: Fusion) -> tuple[str, float, float]:
    assert fusion.gate() == 2
    assert fusion.refused_gate in GATES
    return fusion.refused_gate, fusion.refused_measured, fusion.refused_threshold


def test_the_confidence_gate() -> None:
    fusion = fed({1: TREND}, {1: 0.49})
    assert refused(fusion) == ("confidence", fusion.confidence, 0.5)
    assert fed({1: TREND}, {1: 0.5}).gate() == 1


def test_the_disagreement_gate() -> None:
    moves = {1: TREND, 3: -TREND}
    fusion = fed(moves, {1: 0.99, 3: 0.41})
    assert refused(fusion) == ("disagreement", fusion.opposition, 0.4)
    assert fed(moves, {1: 0.99, 3: 0.4}).gate() == 1


def test_the_cross_gate_listens_to_a_claimed_leader_only() -> None:
    moves, sure = {1: PUSH, 5: -1e-5}, {1: 0.99, 5: 0.3}
    assert refused(fed(moves, sure, claims=True)) == ("cross", -1e-5, 0.0)
    assert fed(moves, sure, claims=False).gate() == 1
    assert fed({1: PUSH, 5: 1e-5}, sure, claims=True).gate() == 1
    assert refused(fed({1: -PUSH, 5: 1e-5}, sure, claims=True)) == ("cross", -1e-5, 0.0)


def test_an_entry_forgets_the_last_refusal_and_reset_everything() -> None:
    fusion = fed({1: TREND}, {1: 0.1})
    assert fusion.gate() == 2
    fusion.update([TREND] * 6, [0.9] * 6, 12.0, False)
    assert fusion.gate() == 1
    assert (fusion.refused_gate, fusion.refused_measured) == ("", 0.0)
    fusion.reset()
    assert not fusion.ready
    assert (fusion.drift, fusion.confidence, fusion.half_life_s) == (0.0, 0.0, 60.0)


def test_parameters_and_inputs_are_checked() -> None:
    with pytest.raises(ValueError, match="weights"):
        Fusion((1.0,) * 5, 60.0, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"weight 1\.5 of layer 2"):
        Fusion((1.0, 1.5, 1.0, 1.0, 1.0, 1.0), 60.0, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="horizon_s"):
        Fusion((1.0,) * 6, 0.0, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="confidence_min"):
        fresh(confidence_min=float("nan"))
    with pytest.raises(ValueError, match="6 each"):
        fresh().update([0.0] * 5, [0.0] * 6, 1.0, False)
    for move, sure in ((1.1, 0.5), (float("nan"), 0.5), (0.0, 1.1)):
        with pytest.raises(ValueError, match="layer 1"):
            fresh().update([move] * 6, [sure] * 6, 1.0, False)
