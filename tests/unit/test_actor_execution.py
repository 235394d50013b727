"""Execution: leverage is proved by reading, an intent is one order, a lost answer is a question."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.execution import Execution
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.limits import FLATTEN_PAUSE_S, FLATTEN_ROUNDS_MAX
from hfengine.messages import (
    BalanceChanged,
    EngineState,
    Fill,
    Flatten,
    FlattenDone,
    FundingPaid,
    LeverageChanged,
    LeverageProof,
    MoveProtection,
    OrderEnded,
    OrderSent,
    OrderUnknown,
    OrderUpdate,
    PositionChanged,
    PositionOpened,
    ReducePosition,
    Start,
)
from hfengine.requests import LeverageSetting
from hfengine.settings import Leverage, Protection, Settings
from tests.proved import proved
from tests.rig import T0_NS, Rig, bracket, fill, order, position

ENTRY_ID = "hf-test-000001e0"


@pytest.fixture
def ref(rig: Rig) -> Any:
    return proved(rig)


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


def test_a_proof_outlives_a_change_heard_before_it_whatever_the_venue_s_clock(
    rig: Rig, ref: Any
) -> None:
    rig.tell(ref, LeverageChanged("BTCUSDT", T0_NS + 300_000_000, 50), Start(T0_NS))
    rig.run(0.01)
    changed, proofs = rig.one(LeverageChanged), rig.all(LeverageProof)
    assert changed.at_ns == T0_NS
    assert changed.at_ns <= min(proof.at_ns for proof in proofs if proof.symbol == "BTCUSDT")


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
    rig.venue.position_list = [[position()]] * (FLATTEN_ROUNDS_MAX + 1)
    rig.venue.answers = [VenueRejected("no_liquidity")] * FLATTEN_ROUNDS_MAX
    rig.tell(ref, Flatten(T0_NS, "test"))
    rig.run(FLATTEN_ROUNDS_MAX * FLATTEN_PAUSE_S)
    done = rig.one(FlattenDone)
    assert not done.flat
    assert "BTCUSDT 0.010" in done.detail
    assert "no_liquidity" in done.detail


def test_a_short_entry_sells_and_a_shorts_reduction_buys(rig: Rig, ref: Any) -> None:
    rig.venue.answers += [order(ENTRY_ID, "new", filled="0"), order("x", "new", filled="0")]
    rig.tell(ref, replace(bracket(), side=-1))
    rig.tell(ref, ReducePosition(9, "BTCUSDT", T0_NS, -1, Decimal("0.005"), "drift_decay"))
    assert [(r.side, r.reduce_only) for r in rig.venue.placed] == [(-1, False), (1, True)]
    assert [(s.side, s.reduce_only) for s in rig.all(OrderSent)] == [(-1, False), (1, True)]
    assert rig.report(ref)["sent"] == 2


def test_protection_triggers_by_what_the_profile_says() -> None:
    rig = Rig(Settings(protection=Protection(trigger_by="last")))
    rig.venue.answers.append(order(ENTRY_ID, "new", filled="0"))
    rig.tell(proved(rig), bracket())
    assert rig.venue.placed[0].protect_by == "last"
    rig.close()


def test_several_fills_open_one_position_at_the_first(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID))
    at_ns = T0_NS + 5_000_000
    rig.tell(ref, bracket(), fill(ENTRY_ID, 1, quantity="0.004", at_ns=at_ns))
    rig.tell(ref, position(quantity="0.004"))
    assert not rig.all(OrderEnded), "six thousandths are still to be heard"
    rig.tell(ref, fill(ENTRY_ID, 2, quantity="0.006", at_ns=at_ns + 1))
    opened = rig.one(PositionOpened)
    assert (opened.at_ns, opened.quantity, opened.side) == (at_ns, Decimal("0.004"), 1)
    rig.tell(ref, position("ETHUSDT"))
    assert not rig.all(OrderEnded), "another symbol's position says nothing"
    rig.tell(ref, position())
    assert rig.one(OrderEnded).filled == Decimal("0.010")


def test_an_end_is_not_taken_back_by_an_older_update(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID))
    rig.tell(ref, bracket())
    rig.tell(ref, order(ENTRY_ID, "partially_filled", filled="0.004"))
    rig.tell(ref, fill(ENTRY_ID), position())
    assert rig.one(OrderEnded).outcome == "filled"
    assert len(rig.all(OrderUpdate)) == 1, "what the venue says is told on"


def test_an_end_that_says_more_was_filled_is_believed(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID, "cancelled", filled="0.004"))
    rig.tell(
        ref, bracket(), fill(ENTRY_ID, 1, quantity="0.004"), fill(ENTRY_ID, 2, quantity="0.006")
    )
    rig.tell(ref, position())
    assert not rig.all(OrderEnded), "fills beyond what the order is known to have"
    rig.tell(ref, order(ENTRY_ID))
    assert (rig.one(OrderEnded).outcome, rig.one(OrderEnded).filled) == ("filled", Decimal("0.010"))


def test_an_unknown_order_with_fills_is_never_called_not_placed(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(VenueUnknown("timeout"))
    rig.tell(ref, bracket(), fill(ENTRY_ID, quantity="0.004"), position(quantity="0.004"))
    rig.run(120.0)
    assert len(rig.venue.queries) > 8
    assert not rig.all(OrderEnded)


def test_queries_that_fail_prove_nothing_and_back_off(rig: Rig, ref: Any) -> None:
    asked_ns: list[int] = []

    async def unreachable(_symbol: str, _client_id: str) -> None:
        asked_ns.append(rig.clock.now_ns())
        raise VenueUnavailable("down")

    rig.venue.order_by_id = unreachable  # type: ignore[method-assign]
    rig.venue.answers.append(VenueUnknown("timeout"))
    rig.tell(ref, bracket())
    rig.run(120.0)
    assert not rig.all(OrderEnded)
    gaps_ms = [(b - a) // 1_000_000 for a, b in pairwise(asked_ns)]
    assert gaps_ms[:8] == [200, 400, 800, 1600, 3200, 6400, 12800, 25600]
    assert gaps_ms[-1] == 25600


def test_reading_again_never_sets_without_auto_set() -> None:
    rig = Rig(Settings(leverage=Leverage(auto_set=False)))
    ref = rig.start(Execution)
    rig.tell(ref, Start(T0_NS))
    rig.run(60.1)
    assert rig.venue.settings["BTCUSDT"].leverage == 20
    rig.close()


def test_the_margin_mode_is_proved_even_when_the_leverage_already_fits(rig: Rig, ref: Any) -> None:
    rig.venue.settings["BTCUSDT"] = LeverageSetting("BTCUSDT", 50, "cross")
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    proof = next(p for p in rig.all(LeverageProof) if p.symbol == "BTCUSDT")
    assert (proof.margin_mode, proof.source) == ("isolated", "set and read")


def test_only_what_differs_is_set(rig: Rig, ref: Any) -> None:
    rig.venue.settings["BTCUSDT"] = LeverageSetting("BTCUSDT", 50, "cross")
    rig.venue.settings["ETHUSDT"] = LeverageSetting("ETHUSDT", 50, "isolated")
    rig.venue.leverage_refusal = "nobody should ask"
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    assert {p.symbol: p.source for p in rig.all(LeverageProof)} == {
        "BTCUSDT": "set and read",
        "ETHUSDT": "read",
    }


def test_positions_found_at_the_start_are_told_and_keep_their_leverage(rig: Rig, ref: Any) -> None:
    rig.venue.position_list = [[position()]]
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    told = {p.symbol: p for p in rig.all(PositionChanged)}
    assert told["BTCUSDT"] == position()
    assert (told["ETHUSDT"].quantity, told["ETHUSDT"].side) == (Decimal(0), 0)
    assert rig.venue.settings["BTCUSDT"].leverage == 20, "not set under a position"
    rig.venue.settings["BTCUSDT"] = LeverageSetting("BTCUSDT", 10, "isolated")
    rig.run(60.1)
    assert rig.venue.settings["BTCUSDT"].leverage == 10, "not repaired under a position"


def test_trading_begins_after_the_account_is_read(rig: Rig, ref: Any) -> None:
    woken = rig.loop.create_future()

    async def slow() -> list[Any]:
        await woken
        return []

    rig.venue.positions = slow  # type: ignore[method-assign]
    rig.tell(ref, Start(T0_NS))
    rig.run(0.1)
    assert [s.state for s in rig.all(EngineState)] == ["starting"]
    woken.set_result(None)
    rig.run(0.01)
    assert [s.state for s in rig.all(EngineState)] == ["starting", "trading"]


@pytest.mark.parametrize("error", [VenueUnknown("timeout"), VenueUnavailable("down")])
def test_a_proof_that_could_not_be_read_is_no_proof_and_no_death(
    rig: Rig, ref: Any, error: Exception
) -> None:
    async def unread(_symbol: str) -> LeverageSetting:
        raise error

    rig.venue.leverage_of = unread  # type: ignore[method-assign]
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    assert not rig.all(LeverageProof)
    assert ref.is_alive()


def test_protection_is_moved_in_place_and_a_refusal_is_survived(rig: Rig, ref: Any) -> None:
    move = MoveProtection("BTCUSDT", T0_NS, Decimal(59800), Decimal(60300), "test")
    rig.tell(ref, move)
    assert rig.venue.protections == [("BTCUSDT", Decimal(59800), Decimal(60300))]

    async def refused(*_asked: Any) -> None:
        raise VenueRejected("stop_would_trigger")

    rig.venue.protect = refused  # type: ignore[assignment,method-assign]
    rig.tell(ref, move)
    assert ref.is_alive()


def test_funding_is_told_on(rig: Rig, ref: Any) -> None:
    paid = FundingPaid("BTCUSDT", T0_NS, Decimal("0.0001"), Decimal("0.06"))
    rig.tell(ref, paid)
    assert rig.one(FundingPaid) == paid


def test_a_flatten_that_cannot_read_is_not_flat(rig: Rig, ref: Any) -> None:
    async def unreachable() -> list[Any]:
        raise VenueUnavailable("down")

    rig.venue.positions = unreachable  # type: ignore[method-assign]
    rig.tell(ref, Flatten(T0_NS, "test"))
    rig.run(20.0)
    assert not rig.all(FlattenDone), "it may come back"
    rig.run(20.0)
    done = rig.one(FlattenDone)
    assert (done.flat, done.detail) == (False, "down")


def test_frame_to_order_is_counted_from_the_frame(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID, "new", filled="0"))
    stages = rig.wiring.stages
    stages.frame_at_ns -= 10_000_000_000
    rig.tell(ref, bracket())
    assert stages.order.count == 1
    assert stages.order.max_ns < 10_000_000_000 <= stages.frame_to_order.max_ns


def test_the_position_is_awaited_when_the_fill_came_before_the_end(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID, "new", filled="0"))
    rig.tell(ref, bracket(), fill(ENTRY_ID))
    rig.tell(ref, order(ENTRY_ID))
    assert not rig.all(OrderEnded), "what is held now is still unknown"
    rig.tell(ref, position())
    assert rig.one(OrderEnded).outcome == "filled"
