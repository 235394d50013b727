"""What execution asks once more at the moment of sending, and what it never refuses."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.limits import ENTRIES_IN_FLIGHT_MAX
from hfengine.messages import (
    Flatten,
    FlattenDone,
    LeverageChanged,
    LeverageProof,
    OrderEnded,
    OrderSent,
    ReducePosition,
    Resume,
    Start,
)
from hfengine.oversight import OrderMoved
from hfengine.requests import LeverageSetting
from hfengine.settings import Leverage, Settings
from tests.proved import proved
from tests.rig import T0_NS, Rig, bracket, order, position

MANY = tuple(f"S{n}USDT" for n in range(ENTRIES_IN_FLIGHT_MAX + 1))


@pytest.fixture
def ref(rig: Rig) -> Any:
    return proved(rig)


def refused(rig: Rig) -> str:
    ended = rig.all(OrderEnded)[-1]
    assert (ended.outcome, ended.filled) == ("not_placed", 0)
    assert rig.venue.placed == []
    assert not rig.all(OrderSent)
    assert rig.all(OrderMoved)[-1].event == "gated"
    return ended.reason


def test_without_a_proof_nothing_is_sent(rig: Rig) -> None:
    rig.tell(proved(rig, "ETHUSDT"), bracket())
    assert refused(rig) == "gate: leverage_proof: none stands"


@pytest.mark.parametrize("drift_ns", [-1, 1])
def test_another_proof_than_the_newest_is_none(rig: Rig, drift_ns: int) -> None:
    rig.tell(proved(rig, at_ns=T0_NS + drift_ns), bracket())
    assert refused(rig) == "gate: leverage_proof: not the newest"


def test_the_proof_told_is_the_one_that_counts(rig: Rig, ref: Any) -> None:
    rig.run(0.5)
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    rig.tell(ref, bracket())
    assert refused(rig) == "gate: leverage_proof: not the newest"
    proof = next(one for one in rig.all(LeverageProof) if one.symbol == "BTCUSDT")
    rig.venue.answers.append(order("x", "new", filled="0"))
    rig.tell(ref, replace(bracket(), intent=2, proof_at_ns=proof.at_ns))
    assert len(rig.venue.placed) == 1


def test_a_proof_grows_old_on_the_way() -> None:
    rig = Rig(Settings(leverage=Leverage(proof_age_max_s=2.0)))
    ref = proved(rig)
    rig.run(1.9)
    rig.venue.answers.append(order("hf-test-000001e0", "cancelled", filled="0"))
    rig.tell(ref, bracket())
    assert len(rig.venue.placed) == 1
    rig.venue.placed.clear()
    rig.heard.clear()
    rig.run(0.2)
    rig.tell(ref, replace(bracket(), intent=2))
    assert refused(rig) == "gate: leverage_proof_age_s: more than 2"
    rig.close()


def test_a_newer_proof_stands_when_the_older_has_grown_old() -> None:
    rig = Rig(Settings(leverage=Leverage(proof_age_max_s=2.0)))
    ref = proved(rig)
    rig.run(1.5)
    rig.tell(ref, Start(T0_NS))
    newest = next(one for one in rig.all(LeverageProof) if one.symbol == "BTCUSDT")
    rig.run(1.0)
    rig.venue.answers.append(order("x", "new", filled="0"))
    rig.tell(ref, replace(bracket(), proof_at_ns=newest.at_ns))
    assert len(rig.venue.placed) == 1
    rig.close()


def test_a_leverage_changed_meanwhile_closes_the_gate(rig: Rig, ref: Any) -> None:
    rig.venue.settings["BTCUSDT"] = LeverageSetting("BTCUSDT", 5, "isolated")
    ref.tell(LeverageChanged("BTCUSDT", T0_NS, 5))
    rig.tell(ref, bracket())
    assert refused(rig) == "gate: leverage_proof: none stands"


def test_our_own_change_leaves_it_open(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order("x", "new", filled="0"))
    rig.tell(ref, LeverageChanged("BTCUSDT", T0_NS, 50), bracket())
    assert len(rig.venue.placed) == 1


def test_while_a_flatten_runs_nothing_is_opened(rig: Rig, ref: Any) -> None:
    ref.tell(Flatten(T0_NS, "test"))
    rig.tell(ref, bracket())
    assert refused(rig) == "gate: flatten: positions are being closed"
    rig.run(1.0)
    assert rig.one(FlattenDone).flat
    rig.venue.answers.append(order("x", "new", filled="0"))
    rig.tell(ref, replace(bracket(), intent=2))
    assert len(rig.venue.placed) == 1, "afterwards risk's halt decides"


def test_a_second_flatten_restarts_nothing(rig: Rig, ref: Any) -> None:
    rig.venue.position_list = [[position()], [], []]
    rig.venue.answers.append(order("x"))
    for _ in range(3):
        ref.tell(Flatten(T0_NS, "test"))
    rig.run(1.0)
    assert len(rig.all(FlattenDone)) == 1
    assert len(rig.venue.placed) == 1


@pytest.fixture
def crowded() -> Iterator[Rig]:
    rig = Rig(Settings(symbols=("BTCUSDT",)))
    yield rig
    rig.close()


def test_entries_are_bounded_and_exits_are_not(crowded: Rig) -> None:
    ref = proved(crowded, *MANY)
    placed: list[str] = []
    answers: list[Any] = []

    def place(request: Any) -> Any:
        placed.append(request.symbol)
        answers.append(crowded.loop.create_future())
        return answers[-1]

    crowded.venue.place = place  # type: ignore[method-assign]
    for number, symbol in enumerate(MANY, start=1):
        ref.tell(replace(bracket(number), symbol=symbol))
    crowded.run(0.001)
    assert placed == list(MANY[:-1])
    (ended,) = crowded.all(OrderEnded)
    assert ended.symbol == MANY[-1]
    assert ended.reason == "gate: entries_in_flight: 32, at most 32"
    for number in range(100):
        ref.tell(ReducePosition(100 + number, MANY[-1], T0_NS, 1, Decimal(1), "drift_flip"))
    crowded.run(0.001)
    assert placed.count(MANY[-1]) == 100
    answers[0].set_exception(VenueRejected("insufficient_margin"))
    crowded.run(0.001)
    crowded.tell(ref, replace(bracket(90), symbol=MANY[-1]))
    assert placed[-1] == MANY[-1]
    assert len(placed) == 133, "one that ended makes room for another symbol's"


def test_a_private_reconnect_reads_the_account_and_another_all_clear_does_not(
    rig: Rig, ref: Any
) -> None:
    rig.tell(ref, Resume(T0_NS, "clock"))
    assert rig.report(ref)["readings"] == 0
    rig.tell(ref, Resume(T0_NS, "private_stream"))
    assert rig.report(ref)["readings"] == 1


def test_a_flatten_goes_on_when_its_last_close_is_answered(rig: Rig, ref: Any) -> None:
    answers: list[Any] = []

    def place(_request: Any) -> Any:
        answers.append(rig.loop.create_future())
        return answers[-1]

    rig.venue.place = place  # type: ignore[method-assign]
    rig.tell(ref, position(), position("ETHUSDT", side=-1, quantity="2"))
    rig.tell(ref, Flatten(T0_NS, "test"))
    assert len(answers) == 2
    answers[0].set_result(order("x"))
    rig.run(1.0)
    assert rig.venue.cancelled == [], "cancelling takes the stop of what is still open"
    answers[1].set_exception(VenueUnknown("timeout"))
    rig.run(1.0)
    assert rig.venue.cancelled[:2] == ["BTCUSDT", "ETHUSDT"]
    assert rig.one(FlattenDone).flat


def test_a_flatten_s_close_is_tried_again_by_its_rounds_alone(rig: Rig, ref: Any) -> None:
    rig.venue.position_list = [[position()], [], []]
    rig.venue.answers = [VenueRejected("price_band"), VenueRejected("reduce_only_rejected")]
    rig.tell(ref, position(), Flatten(T0_NS, "test"))
    rig.run(5.0)
    assert rig.one(FlattenDone).flat
    assert [one.client_id[-2:] for one in rig.venue.placed] == ["x0", "x0"]
    assert rig.report(ref)["readings"] == 0
    assert [one.outcome for one in rig.all(OrderEnded)] == ["rejected", "rejected"]
