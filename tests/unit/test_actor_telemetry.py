"""Telemetry: exact sums, counts by name, and notes a person can read."""

from decimal import Decimal
from typing import Any, Literal

import pytest
from msgspec.structs import replace

from hfengine.actors.telemetry import Telemetry
from hfengine.limits import DECISIONS_KEPT, FAULTS_SHOWN_A_KIND
from hfengine.messages import (
    ActorDied,
    BookSync,
    CoverGap,
    EngineState,
    FeedFault,
    FeeWarning,
    FlattenDone,
    FundingPaid,
    Halt,
    LeverageProof,
    MarkTick,
    OpenBracket,
    OrderEnded,
    OrderUnknown,
    Rebalanced,
    Refusal,
    Resume,
    SnapshotFailed,
)
from hfengine.settings import Leverage, Settings
from tests.rig import T0_NS, Rig, balance, fill, position

BRACKET = OpenBracket(
    1,
    7,
    "BTCUSDT",
    T0_NS,
    T0_NS,
    -1,
    Decimal("0.010"),
    Decimal(60010),
    Decimal(60250),
    Decimal(59640),
    50,
    60970.0,
    T0_NS,
    -0.002,
    0.9,
    60.0,
    "mode",
)


@pytest.fixture
def ref(rig: Rig) -> Any:
    return rig.start(Telemetry)


def notes(rig: Rig, ref: Any) -> list[str]:
    return [text for _, _, text in rig.report(ref)["recent"]]


def ended(outcome: Any) -> OrderEnded:
    return OrderEnded(1, "hf-1", "BTCUSDT", T0_NS, outcome, Decimal(0), "why")


def test_money_adds_up_exactly(rig: Rig, ref: Any) -> None:
    rig.tell(
        ref,
        fill("a", 1, realised="0"),
        fill("b", 2, realised="-1.10"),
        fill("c", 3, realised="4.25"),
        FundingPaid("BTCUSDT", T0_NS, Decimal("0.0001"), Decimal("0.7")),
        FundingPaid("BTCUSDT", T0_NS, Decimal("-0.0001"), Decimal("-0.2")),
    )
    seen = rig.report(ref)
    assert seen["gross_usdt"] == Decimal("3.15")
    assert seen["fees_usdt"] == Decimal("0.9")
    assert seen["funding_usdt"] == Decimal("0.5")
    assert seen["counts"] == {"Fill": 3, "FundingPaid": 2}
    assert seen["fill_causes"] == {"order": 3}


def test_refusals_and_fee_warnings_are_counted_by_gate(rig: Rig, ref: Any) -> None:
    wide = Refusal(1, "BTCUSDT", T0_NS, "spread_bps", 7.5, 5.0, "detail")
    edge = FeeWarning(3, "BTCUSDT", T0_NS, "fee_edge", -0.0001, 0.0)
    rig.tell(ref, wide, wide, replace(wide, gate="halted"), edge, edge)
    seen = rig.report(ref)
    assert seen["refusals"] == {"spread_bps": 2, "halted": 1}
    assert seen["fee_warnings"] == {"fee_edge": 2}
    assert seen["recent"][0] == (1, T0_NS, "BTCUSDT refused by spread_bps: 7.5 against 5 detail")


def test_brackets_and_fills_are_told_with_their_side(rig: Rig, ref: Any) -> None:
    rig.tell(ref, BRACKET, replace(BRACKET, side=1), fill("a", side=-1), fill("a", 2, cause="stop"))
    assert notes(rig, ref) == [
        "BTCUSDT short 0.010 at 60010, stop 60250, target 59640, 50x, size bound by mode",
        "BTCUSDT long 0.010 at 60010, stop 60250, target 59640, 50x, size bound by mode",
        "BTCUSDT order fill: sell 0.010 at 60000",
        "BTCUSDT stop fill: buy 0.010 at 60000",
    ]
    assert rig.report(ref)["counts"] == {"OpenBracket": 2, "Fill": 2}


def test_the_newest_of_everything_is_kept(rig: Rig, ref: Any) -> None:
    marked = MarkTick("BTCUSDT", T0_NS, 60001.0, 60000.0, 0.0001, T0_NS)
    rig.tell(ref, position(), position(quantity="0.005"), balance("9000"), balance("9100"))
    rig.tell(ref, marked, replace(marked, mark=60002.0))
    rig.tell(ref, EngineState(T0_NS, "trading", "ready"))
    seen = rig.report(ref)
    assert seen["positions"]["BTCUSDT"].quantity == Decimal("0.005")
    assert seen["balance"].equity_usdt == Decimal(9100)
    assert seen["marks"]["BTCUSDT"].mark == 60002.0
    assert seen["state"].state == "trading"
    assert notes(rig, ref) == ["engine trading: ready"]


def test_a_proof_is_noted_when_it_says_something_new_and_always_counted(rig: Rig, ref: Any) -> None:
    proof = LeverageProof("BTCUSDT", T0_NS, 50, 50, "isolated", "read")
    lower = replace(proof, got=20, at_ns=T0_NS + 1)
    rig.tell(ref, proof, proof, lower)
    assert notes(rig, ref) == [
        "BTCUSDT leverage 50x isolated (read)",
        "BTCUSDT leverage 20x isolated (read), wanted 50x isolated: no entries",
    ]
    seen = rig.report(ref)
    assert seen["counts"]["LeverageProof"] == 3
    assert seen["proofs"] == {"BTCUSDT": lower}


@pytest.mark.parametrize(
    ("on_failure", "meaning"), [("block", "no entries"), ("warn", "TRADED AT THAT")]
)
def test_a_leverage_that_is_not_as_wanted_is_told_until_it_is(
    on_failure: Literal["block", "warn"], meaning: str
) -> None:
    rig = Rig(Settings(leverage=Leverage(on_failure=on_failure)))
    ref = rig.start(Telemetry)
    proof = LeverageProof("BTCUSDT", T0_NS, 50, 50, "isolated", "read")
    rig.tell(ref, replace(proof, symbol="ETHUSDT", got=25), replace(proof, margin_mode="cross"))
    assert rig.report(ref)["leverage_mismatches"] == {
        "BTCUSDT": f"50x cross, wanted 50x isolated: {meaning}",
        "ETHUSDT": f"25x isolated, wanted 50x isolated: {meaning}",
    }
    rig.tell(ref, proof)
    assert set(rig.report(ref)["leverage_mismatches"]) == {"ETHUSDT"}
    rig.tell(ref, replace(proof, symbol="SOLUSDT", got=0))
    unlike = "not the same long and short, isolated, wanted 50x isolated: no entries"
    assert rig.report(ref)["leverage_mismatches"]["SOLUSDT"] == unlike
    assert notes(rig, ref) == [
        f"ETHUSDT leverage 25x isolated (read), wanted 50x isolated: {meaning}",
        f"BTCUSDT leverage 50x cross (read), wanted 50x isolated: {meaning}",
        "BTCUSDT leverage 50x isolated (read)",
        "SOLUSDT leverage not the same long and short, isolated (read), "
        "wanted 50x isolated: no entries",
    ]
    rig.close()


def test_a_book_going_out_of_sync_cannot_be_overlooked(rig: Rig, ref: Any) -> None:
    rig.tell(ref, BookSync("BTCUSDT", T0_NS, True, "snapshot"))
    assert rig.report(ref)["synced"] == {"BTCUSDT": True}
    rig.tell(ref, BookSync("BTCUSDT", T0_NS, False, "gap"))
    assert rig.report(ref)["synced"] == {"BTCUSDT": False}
    assert notes(rig, ref) == [
        "BTCUSDT book in sync: snapshot",
        "BTCUSDT book OUT OF sync: gap",
    ]


def test_the_first_faults_of_each_kind_are_noted_with_their_place(rig: Rig, ref: Any) -> None:
    faults = [
        FeedFault("BTCUSDT", T0_NS, kind, "a.gz", line, "pu 3, last 2")
        for kind in ("gap", "malformed")
        for line in range(FAULTS_SHOWN_A_KIND + 4)
    ]
    rig.tell(ref, *faults, SnapshotFailed("BTCUSDT", T0_NS, "none"))
    seen = rig.report(ref)
    noted = [text for _, _, text in seen["recent"]]
    assert len(noted) == 2 * FAULTS_SHOWN_A_KIND
    assert noted[1] == "a.gz:1: gap: pu 3, last 2"
    assert seen["counts"]["FeedFault"] == len(faults)
    assert seen["counts"]["SnapshotFailed"] == 1


def test_only_what_the_rebalancer_did_is_noted_but_every_look_counted(rig: Rig, ref: Any) -> None:
    look = Rebalanced("BTCUSDT", T0_NS, "hold", "none", 0.001, 0.001, 0.5, 30.0)
    rig.tell(ref, look)
    rig.tell(ref, replace(look, action="reduce", reason="drift_decay"))
    rig.tell(ref, replace(look, action="close", reason="max_hold"))
    assert notes(rig, ref) == [
        "BTCUSDT rebalance: reduce, drift_decay",
        "BTCUSDT rebalance: close, max_hold",
    ]
    assert rig.report(ref)["counts"] == {"Rebalanced": 3}


def test_halts_stand_until_their_own_source_resumes(rig: Rig, ref: Any) -> None:
    rig.tell(ref, Halt(T0_NS, "drawdown", "10 %"), Halt(T0_NS, "supervisor", "died"))
    rig.tell(ref, Resume(T0_NS, "drawdown"), Resume(T0_NS, "nobody"))
    assert rig.report(ref)["halts"] == {"supervisor": "died"}
    assert notes(rig, ref)[0] == "HALT by drawdown: 10 %"
    # a journal with a hole stays one
    rig.tell(ref, Halt(T0_NS, "journal", "disk full"), Resume(T0_NS, "all"))
    assert rig.report(ref)["halts"] == {"journal": "disk full"}


def test_deaths_unknown_orders_and_gaps_are_counted(rig: Rig, ref: Any) -> None:
    rig.tell(
        ref,
        ActorDied(T0_NS, "Risk-1", "ValueError()"),
        OrderUnknown(1, "hf-1", "BTCUSDT", T0_NS, "timeout"),
        CoverGap("BTCUSDT", T0_NS, 40.0),
    )
    assert rig.report(ref)["counts"] == {"ActorDied": 1, "OrderUnknown": 1, "CoverGap": 1}
    assert notes(rig, ref) == ["ACTOR DIED: Risk-1: ValueError()", "BTCUSDT order hf-1 UNKNOWN"]


def test_orders_are_counted_by_how_they_end_and_the_bad_ends_noted(rig: Rig, ref: Any) -> None:
    for outcome in ("filled", "filled", "cancelled", "rejected", "not_placed"):
        rig.tell(ref, ended(outcome))
    assert rig.report(ref)["counts"] == {
        "orders_filled": 2,
        "orders_cancelled": 1,
        "orders_rejected": 1,
        "orders_not_placed": 1,
    }
    assert notes(rig, ref) == [
        "BTCUSDT order hf-1 rejected: why",
        "BTCUSDT order hf-1 not_placed: why",
    ]


def test_the_end_of_a_flatten_says_what_is_left(rig: Rig, ref: Any) -> None:
    rig.tell(ref, FlattenDone(T0_NS, True, 2, ""))
    rig.tell(ref, FlattenDone(T0_NS, False, 5, "BTCUSDT 0.010"))
    assert notes(rig, ref) == ["flatten: flat", "flatten: NOT FLAT: BTCUSDT 0.010"]


def test_notes_are_numbered_so_that_a_reader_sees_what_it_missed(rig: Rig, ref: Any) -> None:
    for number in range(DECISIONS_KEPT + 5):
        rig.tell(ref, EngineState(T0_NS, "trading", str(number)))
    recent = rig.report(ref)["recent"]
    assert len(recent) == DECISIONS_KEPT
    assert [recent[0][0], recent[-1][0]] == [6, DECISIONS_KEPT + 5]
