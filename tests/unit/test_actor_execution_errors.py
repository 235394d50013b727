"""Refusals that ask for more than an end: a position to look at, one more order, a close."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.guardian import Guardian
from hfengine.errors import VenueRejected, VenueUnavailable
from hfengine.messages import (
    Close,
    Halt,
    MarkTick,
    OrderEnded,
    OrderSent,
    PositionChanged,
    ProtectionRefused,
    ReducePosition,
    Resume,
    Start,
)
from tests.proved import proved
from tests.rig import T0_NS, Rig, bracket, fill, order, position

EXIT_ID, AGAIN_ID = "hf-test-000002x0", "hf-test-000002x1"
HELD = Decimal("0.010")


@pytest.fixture
def ref(rig: Rig) -> Any:
    return proved(rig)


def reduction(side: int = 1, intent: int = 2, quantity: Decimal = HELD) -> ReducePosition:
    return ReducePosition(intent, "BTCUSDT", T0_NS, side, quantity, "drift_flip")


def nothing_to_reduce() -> VenueRejected:
    return VenueRejected("reduce_only_rejected", "110017")


def flat() -> PositionChanged:
    return position(side=0, quantity="0")


# nothing to reduce: look at the position


@pytest.mark.parametrize("reason", ["reduce_only_rejected", "no_position"])
def test_an_exit_refused_because_nothing_is_left_ends_flat(rig: Rig, ref: Any, reason: str) -> None:
    rig.venue.answers.append(VenueRejected(reason, "x"))
    rig.tell(ref, position(), reduction())
    rig.run(0.1)
    assert rig.one(OrderEnded).outcome == "rejected"
    assert rig.all(PositionChanged)[-1].quantity == 0
    assert not rig.all(Halt)
    assert not rig.all(Resume)


def test_a_position_that_is_there_and_not_reduced_halts_until_it_is_flat(
    rig: Rig, ref: Any
) -> None:
    rig.venue.answers.append(nothing_to_reduce())
    rig.venue.position_list.append([position()])
    rig.tell(ref, position(), reduction())
    rig.run(0.1)
    halt = rig.one(Halt)
    assert halt.source == "exit BTCUSDT"
    assert "0.010" in halt.reason
    assert "reduce_only_rejected: 110017" in halt.reason
    rig.tell(ref, position(quantity="0.004"))
    assert not rig.all(Resume)
    rig.tell(ref, flat())
    assert rig.one(Resume).source == "exit BTCUSDT"
    rig.tell(ref, flat())
    assert len(rig.all(Resume)) == 1


def test_a_position_on_the_other_side_is_not_the_refused_one(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(nothing_to_reduce())
    rig.venue.position_list.append([position(side=-1)])
    rig.tell(ref, position(), reduction())
    rig.run(0.1)
    assert not rig.all(Halt)


def test_a_refusal_for_another_reason_reads_nothing(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(VenueRejected("reduce_only_regime", "x"))
    rig.venue.position_list.append([position()])
    rig.tell(ref, position(), reduction())
    rig.run(0.1)
    assert rig.one(OrderEnded)
    assert len(rig.venue.position_list) == 1
    assert not rig.all(Halt)


def test_a_refused_entry_reads_nothing(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(nothing_to_reduce())
    rig.venue.position_list.append([position()])
    rig.tell(ref, bracket())
    rig.run(0.1)
    assert rig.one(OrderEnded)
    assert len(rig.venue.position_list) == 1


def test_while_halted_the_account_is_not_read_for_each_refusal(rig: Rig, ref: Any) -> None:
    rig.venue.answers += [nothing_to_reduce(), nothing_to_reduce()]
    rig.venue.position_list += [[position()], [position()]]
    rig.tell(ref, position(), reduction())
    rig.run(0.1)
    rig.tell(ref, reduction(intent=3))
    rig.run(0.1)
    assert len(rig.all(OrderEnded)) == 2
    assert len(rig.venue.position_list) == 1
    assert len(rig.all(Halt)) == 1


def test_an_account_that_cannot_be_read_is_read_again(
    rig: Rig, ref: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[Any] = [VenueUnavailable("away"), [position()]]

    async def positions() -> Any:
        reading = readings.pop(0)
        if isinstance(reading, Exception):
            raise reading
        return reading

    monkeypatch.setattr(rig.venue, "positions", positions)
    rig.venue.answers.append(nothing_to_reduce())
    rig.tell(ref, position(), reduction())
    rig.run(0.5)
    assert not rig.all(Halt)
    rig.run(0.6)
    assert rig.one(Halt).source == "exit BTCUSDT"


def test_a_reading_begun_before_the_refusal_says_nothing(
    rig: Rig, ref: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow: asyncio.Future[list[PositionChanged]] = rig.loop.create_future()
    readings = [slow]

    async def positions() -> list[PositionChanged]:
        return await readings.pop() if readings else []

    monkeypatch.setattr(rig.venue, "positions", positions)
    rig.tell(ref, position(), Start(T0_NS))
    rig.run(0.01)
    rig.venue.answers.append(nothing_to_reduce())
    ref.tell(reduction())
    rig.loop.call_soon(slow.set_result, [position()])
    rig.run(0.1)
    assert rig.one(OrderEnded).outcome == "rejected"
    assert rig.all(PositionChanged)[-1].quantity == 0
    assert not rig.all(Halt)


def test_with_another_exit_on_its_way_nothing_is_said_yet(rig: Rig, ref: Any) -> None:
    second = "hf-test-000003x0"
    rig.venue.answers += [nothing_to_reduce(), order(second, "new", side=-1, filled="0")]
    rig.venue.position_list += [[position()], []]
    rig.tell(ref, position())
    for message in (reduction(), reduction(intent=3)):
        ref.tell(message)
    rig.run(0.5)
    assert not rig.all(Halt)
    rig.tell(ref, order(second, side=-1), fill(second, side=-1, realised="1"), flat())
    rig.run(1.0)
    assert rig.venue.position_list == [], "read again"
    assert not rig.all(Halt)


# price band: once more


def outside() -> VenueRejected:
    return VenueRejected("price_band", "-4131")


def test_a_reduction_outside_the_band_is_sent_once_more(rig: Rig, ref: Any) -> None:
    rig.venue.answers += [outside(), order(AGAIN_ID, side=-1)]
    rig.tell(ref, position(), reduction())
    rig.run(0.9)
    assert [request.client_id for request in rig.venue.placed] == [EXIT_ID]
    assert not rig.all(OrderEnded)
    rig.run(0.2)
    again = rig.venue.placed[-1]
    assert (again.client_id, again.quantity, again.side) == (AGAIN_ID, HELD, -1)
    assert again.reduce_only
    rig.tell(ref, fill(AGAIN_ID, side=-1, realised="1"), flat())
    ended = rig.one(OrderEnded)
    assert (ended.intent, ended.client_id, ended.outcome) == (2, AGAIN_ID, "filled")
    assert [sent.client_id for sent in rig.all(OrderSent)] == [EXIT_ID, AGAIN_ID]


def test_a_second_refusal_is_the_end(rig: Rig, ref: Any) -> None:
    rig.venue.answers += [outside(), outside()]
    rig.tell(ref, position(), reduction())
    rig.run(5.0)
    ended = rig.one(OrderEnded)
    assert (ended.client_id, ended.outcome) == (AGAIN_ID, "rejected")
    assert len(rig.venue.placed) == 2
    assert rig.report(ref)["open"] == 0


def test_a_refusal_told_by_the_stream_too_is_one(rig: Rig, ref: Any) -> None:
    rig.venue.answers += [outside(), order(AGAIN_ID, "cancelled", side=-1, filled="0")]
    refused = order(EXIT_ID, "rejected", side=-1, filled="0", reason="price_band")
    rig.tell(ref, position(), reduction(), refused)
    rig.run(3.0)
    assert len(rig.venue.placed) == 2
    assert rig.one(OrderEnded).client_id == AGAIN_ID


def test_only_what_is_left_is_reduced(rig: Rig, ref: Any) -> None:
    rig.venue.answers += [outside(), order(AGAIN_ID, side=-1, quantity="0.004")]
    rig.tell(ref, position(), reduction(), position(quantity="0.004"))
    rig.run(1.1)
    assert rig.venue.placed[-1].quantity == Decimal("0.004")


@pytest.mark.parametrize("left", [flat(), position(side=-1)])
def test_a_position_that_is_gone_is_not_reduced_again(
    rig: Rig, ref: Any, left: PositionChanged
) -> None:
    rig.venue.answers.append(outside())
    rig.tell(ref, position(), reduction(), left)
    rig.run(1.1)
    ended = rig.one(OrderEnded)
    assert (ended.client_id, ended.outcome) == (EXIT_ID, "rejected")
    assert "price_band" in ended.reason
    assert len(rig.venue.placed) == 1


def test_an_entry_outside_the_band_is_given_up_at_once(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(outside())
    rig.tell(ref, bracket())
    assert rig.one(OrderEnded).outcome == "rejected"
    rig.run(3.0)
    assert len(rig.venue.placed) == 1


# the target's price is passed: close


def passed(reason: str = "would_trigger_immediately: -2021") -> ProtectionRefused:
    return ProtectionRefused("BTCUSDT", T0_NS, "e1t", "target", reason)


def mark() -> MarkTick:
    return MarkTick("BTCUSDT", T0_NS, 60400.0, 60400.0, 0.0001, T0_NS)


def test_a_target_that_is_passed_already_closes(rig: Rig) -> None:
    guardian = rig.start(Guardian)
    rig.tell(guardian, position(), passed())
    close = rig.one(Close)
    assert (close.reason, close.side, close.quantity) == ("target_passed", 1, HELD)


def test_it_closes_as_soon_as_the_position_is_heard_of(rig: Rig) -> None:
    guardian = rig.start(Guardian)
    rig.tell(guardian, bracket(), passed())
    assert not rig.all(Close)
    rig.tell(guardian, position())
    assert rig.one(Close).reason == "target_passed"


def test_it_asks_again_until_the_position_is_flat(rig: Rig) -> None:
    guardian = rig.start(Guardian)
    rig.tell(guardian, position(), passed(), mark())
    assert len(rig.all(Close)) == 1, "once in cover_max_ms"
    rig.run(0.6)
    rig.tell(guardian, mark())
    assert len(rig.all(Close)) == 2
    rig.run(0.6)
    rig.tell(guardian, flat(), position(), mark())
    assert len(rig.all(Close)) == 2, "another position has a target of its own"


def test_a_passed_target_of_an_entry_without_fills_is_forgotten(rig: Rig) -> None:
    guardian = rig.start(Guardian)
    ended = OrderEnded(1, "e1", "BTCUSDT", T0_NS, "cancelled", Decimal(0), "x")
    rig.tell(guardian, bracket(), passed(), ended, replace(position(), at_ns=T0_NS + 1))
    assert not rig.all(Close)
