"""Execution: leverage is proved by reading, an intent is one order, a lost answer is a question."""

from decimal import Decimal
from typing import Any

import pytest

from hfengine.actors.execution import Execution
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import (
    BalanceChanged,
    EngineState,
    Fill,
    Flatten,
    FlattenDone,
    LeverageChanged,
    LeverageProof,
    LeverageSetting,
    OpenBracket,
    OrderEnded,
    OrderSent,
    OrderUnknown,
    PositionOpened,
    ReducePosition,
    Start,
)
from hfengine.settings import Leverage, Settings
from tests.rig import T0_NS, Rig, fill, order, position

ENTRY_ID = "hf-test-000001e0"


def bracket(intent: int = 1) -> OpenBracket:
    return OpenBracket(
        intent,
        7,
        "BTCUSDT",
        T0_NS,
        T0_NS,
        1,
        Decimal("0.010"),
        Decimal(60010),
        Decimal(59760),
        Decimal(60360),
        50,
        59040.0,
        T0_NS,
        0.002,
        0.9,
        60.0,
        "mode",
    )


@pytest.fixture
def ref(rig: Rig) -> Any:
    return rig.start(Execution)


def test_start_sets_reads_back_and_tells_the_account(rig: Rig, ref: Any) -> None:
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    proofs = {p.symbol: p for p in rig.all(LeverageProof)}
    assert set(proofs) == {"BTCUSDT", "ETHUSDT"}
    assert proofs["BTCUSDT"].got == proofs["BTCUSDT"].wanted == 50
    assert proofs["BTCUSDT"].margin_mode == "isolated"
    assert proofs["BTCUSDT"].source == "set and read"
    assert [s.state for s in rig.all(EngineState)] == ["starting", "trading"]
    assert rig.all(BalanceChanged)


def test_a_refused_leverage_is_told_as_what_was_read(rig: Rig, ref: Any) -> None:
    rig.venue.leverage_refusal = "leverage_above_maximum"
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    proof = rig.all(LeverageProof)[0]
    assert (proof.got, proof.wanted) == (20, 50)
    assert "leverage_above_maximum" in proof.source


def test_an_ok_that_changed_nothing_is_not_believed(rig: Rig, ref: Any) -> None:
    rig.venue.ignores_leverage = True
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    assert {p.got for p in rig.all(LeverageProof)} == {20}


def test_without_auto_set_leverage_is_only_read() -> None:
    rig = Rig(Settings(leverage=Leverage(auto_set=False)))
    ref = rig.start(Execution)
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    assert {(p.got, p.source) for p in rig.all(LeverageProof)} == {(20, "read")}
    rig.close()


def test_leverage_is_read_again_at_its_interval_and_repaired_when_flat(rig: Rig, ref: Any) -> None:
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    rig.venue.settings["BTCUSDT"] = LeverageSetting("BTCUSDT", 10, "isolated")
    rig.heard.clear()
    rig.run(60.1)
    assert rig.venue.settings["BTCUSDT"].leverage == 50
    assert {p.symbol: p.source for p in rig.all(LeverageProof)}["BTCUSDT"] == "set and read"


def test_a_mismatch_is_not_repaired_under_a_position(rig: Rig, ref: Any) -> None:
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    rig.venue.settings["BTCUSDT"] = LeverageSetting("BTCUSDT", 10, "isolated")
    rig.tell(ref, position())
    rig.heard.clear()
    rig.run(60.1)
    assert {p.symbol: p.got for p in rig.all(LeverageProof)}["BTCUSDT"] == 10


def test_a_leverage_changed_by_another_client_is_read_at_once(rig: Rig, ref: Any) -> None:
    rig.venue.settings["BTCUSDT"] = LeverageSetting("BTCUSDT", 5, "isolated")
    rig.tell(ref, LeverageChanged("BTCUSDT", T0_NS, 5))
    assert rig.one(LeverageChanged).leverage == 5
    assert rig.one(LeverageProof).got == 5


def test_a_bracket_is_announced_then_sent_with_its_protection(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID, "new", filled="0"))
    rig.tell(ref, bracket())
    sent = rig.one(OrderSent)
    (request,) = rig.venue.placed
    assert sent.client_id == request.client_id == ENTRY_ID
    assert (request.kind, request.tif, request.reduce_only) == ("limit", "ioc", False)
    assert (request.stop, request.target) == (Decimal(59760), Decimal(60360))
    assert request.protect_by == "mark"
    assert not rig.all(OrderEnded), "acknowledged is not over"


def test_an_intent_ends_only_after_order_fill_and_position_are_heard(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID))
    rig.tell(ref, bracket())
    assert not rig.all(OrderEnded)
    rig.tell(ref, fill(ENTRY_ID))
    opened = rig.one(PositionOpened)
    assert (opened.entry_drift, opened.entry_confidence, opened.half_life_s) == (0.002, 0.9, 60.0)
    assert not rig.all(OrderEnded), "the position after the fill is still unknown"
    rig.tell(ref, position())
    ended = rig.one(OrderEnded)
    assert (ended.outcome, ended.filled) == ("filled", Decimal("0.010"))


def test_fills_before_the_acknowledgement_end_it_the_same(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID, "new", filled="0"))
    rig.tell(ref, bracket(), fill(ENTRY_ID), position(), order(ENTRY_ID))
    assert rig.one(OrderEnded).outcome == "filled"


def test_a_fill_heard_twice_counts_once(rig: Rig, ref: Any) -> None:
    rig.tell(ref, fill("other"), fill("other"))
    assert len(rig.all(Fill)) == 1


def test_start_publishes_the_fills_that_were_missed_and_no_other(rig: Rig, ref: Any) -> None:
    rig.tell(ref, fill("a", 1))
    rig.venue.fill_list = [fill("a", 1), fill("a", 2)]
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    assert [f.fill_id for f in rig.all(Fill)] == ["f1", "f2"]


def test_a_partial_fill_ends_as_cancelled_with_what_was_done(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID, "cancelled", filled="0.004", reason="ioc"))
    rig.tell(ref, bracket(), fill(ENTRY_ID, quantity="0.004"), position(quantity="0.004"))
    ended = rig.one(OrderEnded)
    assert (ended.outcome, ended.filled, ended.reason) == ("cancelled", Decimal("0.004"), "ioc")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(VenueRejected("insufficient_margin"), "rejected"), (VenueUnavailable("down"), "not_placed")],
)
def test_a_certain_refusal_ends_the_intent(
    rig: Rig, ref: Any, error: Exception, outcome: str
) -> None:
    rig.venue.answers.append(error)
    rig.tell(ref, bracket())
    assert rig.one(OrderEnded).outcome == outcome
    assert not rig.all(OrderUnknown)


def test_a_lost_answer_is_queried_by_its_id_and_never_sent_again(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(VenueUnknown("timeout"))
    rig.tell(ref, bracket())
    assert rig.one(OrderUnknown).client_id == ENTRY_ID
    assert not rig.all(OrderEnded)
    rig.venue.known[ENTRY_ID] = order(ENTRY_ID)
    rig.tell(ref, fill(ENTRY_ID), position())
    rig.run(0.2)
    assert rig.venue.queries == [ENTRY_ID]
    assert rig.one(OrderEnded).outcome == "filled"
    assert len(rig.venue.placed) == 1


def test_an_order_the_venue_never_knew_ends_after_bounded_queries(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(VenueUnknown("timeout"))
    rig.tell(ref, bracket())
    rig.run(120.0)
    assert rig.one(OrderEnded).outcome == "not_placed"
    assert len(rig.venue.queries) == 8
    assert len(rig.venue.placed) == 1


def test_a_reduction_is_a_reduce_only_market_order(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order("hf-test-000009x0", "new", filled="0"))
    reduce = ReducePosition(9, "BTCUSDT", T0_NS, 1, Decimal("0.005"), "drift_decay")
    rig.tell(ref, reduce)
    (request,) = rig.venue.placed
    assert (request.side, request.kind, request.reduce_only) == (-1, "market", True)
    assert request.client_id == "hf-test-000009x0"


def test_flatten_cancels_closes_and_reads_back_twice(rig: Rig, ref: Any) -> None:
    held = position("ETHUSDT", side=-1, quantity="1.5")
    rig.venue.position_list = [[held], [], []]
    rig.venue.answers.append(order("x"))
    rig.tell(ref, Flatten(T0_NS, "test"))
    done = rig.one(FlattenDone)
    assert done.flat
    assert done.rounds == 3
    (request,) = rig.venue.placed
    assert (request.symbol, request.side, request.reduce_only) == ("ETHUSDT", 1, True)
    assert request.quantity == Decimal("1.5")
    assert rig.one(OrderSent).reduce_only
    assert set(rig.venue.cancelled) == {"BTCUSDT", "ETHUSDT"}


def test_flatten_says_what_is_left_when_the_venue_will_not_close(rig: Rig, ref: Any) -> None:
    rig.venue.position_list = [[position()]] * 6
    rig.venue.answers = [VenueRejected("no_liquidity")] * 5
    rig.tell(ref, Flatten(T0_NS, "test"))
    done = rig.one(FlattenDone)
    assert not done.flat
    assert "BTCUSDT 0.010" in done.detail
    assert "no_liquidity" in done.detail
