"""Orders through the real actor: the path of states each story takes, races in both orders."""

import asyncio
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.limits import ORDERS_REMEMBERED
from hfengine.messages import (
    Fill,
    OrderEnded,
    OrderUnknown,
    OrderUpdate,
    PositionOpened,
    ReducePosition,
)
from hfengine.oversight import CancelOrder, Difference, OrderMoved
from hfengine.settings import Entries, Settings
from tests.proved import proved
from tests.rig import T0_NS, Rig, bracket, fill, order, position

ENTRY_ID = "hf-test-000001e0"
HALF = "0.004"


def path(rig: Rig, client_id: str = ENTRY_ID) -> list[str]:
    moved = [one for one in rig.all(OrderMoved) if one.client_id == client_id]
    assert all(a.after == b.before for a, b in pairwise(moved))
    return [moved[0].before, *(one.after for one in moved)]


@pytest.fixture
def ref(rig: Rig) -> Any:
    return proved(rig)


def entered(rig: Rig, ref: Any, answer: Any) -> None:
    rig.venue.answers.append(answer)
    rig.tell(ref, bracket())


def new(filled: str = "0", state: str = "new") -> OrderUpdate:
    return order(ENTRY_ID, state, filled=filled)


def test_an_entry_that_fills_goes_through_every_state_by_name(rig: Rig, ref: Any) -> None:
    entered(rig, ref, new())
    rig.tell(ref, fill(ENTRY_ID, 1, quantity=HALF), fill(ENTRY_ID, 2, quantity="0.006"))
    rig.tell(ref, order(ENTRY_ID), position())
    assert path(rig) == ["created", "sent", "open", "partial", "filled_unsettled", "filled"]
    events = [one.event for one in rig.all(OrderMoved)]
    assert events == ["sent", "acknowledged", "fill", "filled", "settled"]


def test_the_move_is_told_before_the_end(rig: Rig, ref: Any) -> None:
    entered(rig, ref, VenueRejected("insufficient_margin"))
    kinds = [type(one).__name__ for one in rig.heard]
    assert kinds == ["Keep", "OrderSent", "OrderMoved", "OrderMoved", "OrderEnded"]
    assert path(rig) == ["created", "sent", "rejected"]


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        ("ioc_remainder", "expired"),
        ("cancelled_by_user", "cancelled"),
        ("liquidation", "cancelled"),
        ("adl", "cancelled"),
        ("market_closed", "cancelled"),
    ],
)
def test_ends_by_the_venue(rig: Rig, ref: Any, reason: str, end: str) -> None:
    entered(rig, ref, order(ENTRY_ID, "cancelled", filled="0", reason=reason))
    assert path(rig) == ["created", "sent", f"{end}_unsettled", end]
    ended = rig.one(OrderEnded)
    assert (ended.outcome, ended.reason, ended.filled) == ("cancelled", reason, 0)


def test_nothing_sent_is_not_placed(rig: Rig, ref: Any) -> None:
    entered(rig, ref, VenueUnavailable("down"))
    assert path(rig) == ["created", "sent", "not_placed"]


def test_a_lost_answer_is_a_state(rig: Rig, ref: Any) -> None:
    entered(rig, ref, VenueUnknown("timeout"))
    assert path(rig) == ["created", "sent", "unknown"]
    rig.venue.known[ENTRY_ID] = new()
    rig.run(0.2)
    assert path(rig) == ["created", "sent", "unknown", "open"]
    rig.tell(ref, replace(bracket(), intent=2))
    assert rig.all(OrderEnded)[-1].reason == f"gate: order_in_flight: {ENTRY_ID}"


def test_an_unknown_order_freezes_its_symbol_until_it_is_known(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(VenueUnknown("timeout"))
    exit_id = "hf-test-000005x0"
    rig.tell(ref, ReducePosition(5, "BTCUSDT", T0_NS, 1, Decimal("0.010"), "drift_flip"))
    assert rig.one(OrderUnknown).client_id == exit_id
    rig.tell(ref, bracket())
    assert rig.one(OrderEnded).reason == f"gate: order_unknown: {exit_id}"
    rig.venue.known[exit_id] = order(exit_id, "cancelled", side=-1, filled="0")
    rig.run(0.2)
    rig.venue.answers.append(new())
    rig.tell(ref, replace(bracket(), intent=2))
    assert [one.client_id for one in rig.venue.placed] == [exit_id, "hf-test-000002e0"]


def test_an_order_never_found_was_not_placed(rig: Rig, ref: Any) -> None:
    entered(rig, ref, VenueUnknown("timeout"))
    rig.run(120.0)
    assert path(rig) == ["created", "sent", "unknown", "not_placed"]


def test_a_fill_proves_that_an_unknown_order_is_there(rig: Rig, ref: Any) -> None:
    entered(rig, ref, VenueUnknown("timeout"))
    rig.tell(ref, fill(ENTRY_ID, quantity=HALF), position(quantity=HALF))
    assert path(rig)[-1] == "partial"
    rig.venue.known[ENTRY_ID] = order(ENTRY_ID, "cancelled", filled=HALF)
    rig.run(0.2)
    assert path(rig)[-2:] == ["cancelled_unsettled", "cancelled"]
    assert rig.one(OrderEnded).filled == Decimal(HALF)


def test_an_acknowledged_order_that_the_venue_forgets_is_cancelled_not_unplaced(
    rig: Rig, ref: Any
) -> None:
    entered(rig, ref, new())
    rig.run(300.0)
    assert path(rig) == ["created", "sent", "open", "cancelled_unsettled", "cancelled"]
    ended = rig.one(OrderEnded)
    assert (ended.outcome, "unknown to the venue" in ended.reason) == ("cancelled", True)


@pytest.mark.parametrize("first", ["cancel", "fill"])
def test_cancel_and_fill_race_in_both_orders(rig: Rig, ref: Any, first: str) -> None:
    entered(rig, ref, new())
    rig.tell(ref, CancelOrder("BTCUSDT", T0_NS, ENTRY_ID, "", "test"))
    assert path(rig)[-1] == "cancelling"
    end = order(ENTRY_ID, "cancelled", filled=HALF)
    done = fill(ENTRY_ID, quantity=HALF)
    rig.tell(ref, *((end, done) if first == "cancel" else (done, end)))
    assert not rig.all(OrderEnded), "the position after the fill is still to be heard"
    rig.tell(ref, position(quantity=HALF))
    assert path(rig)[-3:] == ["cancelling", "cancelled_unsettled", "cancelled"]
    ended = rig.one(OrderEnded)
    assert (ended.outcome, ended.filled) == ("cancelled", Decimal(HALF))
    assert len(rig.all(Fill)) == len(rig.all(PositionOpened)) == 1


def test_a_fill_wins_the_race_whole(rig: Rig, ref: Any) -> None:
    entered(rig, ref, new())
    rig.tell(ref, CancelOrder("BTCUSDT", T0_NS, ENTRY_ID, "", "test"))
    rig.tell(ref, fill(ENTRY_ID), order(ENTRY_ID), position())
    assert path(rig)[-3:] == ["cancelling", "filled_unsettled", "filled"]


def test_a_cancel_first_that_the_venue_takes_back_is_filled(rig: Rig, ref: Any) -> None:
    entered(rig, ref, order(ENTRY_ID, "cancelled", filled=HALF))
    rig.tell(ref, order(ENTRY_ID), fill(ENTRY_ID), position())
    assert path(rig)[-3:] == ["cancelled_unsettled", "filled_unsettled", "filled"]


def test_a_refused_cancel_is_told_and_asked_for_again(rig: Rig, ref: Any) -> None:
    asked: list[str] = []

    async def cancel(_symbol: str, client_id: str, _venue_id: str) -> None:
        asked.append(client_id)
        if len(asked) == 1:
            raise VenueRejected("busy")

    rig.venue.cancel = cancel  # type: ignore[method-assign]
    entered(rig, ref, new())
    rig.tell(ref, CancelOrder("BTCUSDT", T0_NS, ENTRY_ID, "", "test"))
    assert path(rig)[-2:] == ["cancelling", "open"]
    assert "busy" in rig.one(Difference).venues
    rig.run(1.1)
    assert asked == [ENTRY_ID, ENTRY_ID]
    assert path(rig)[-1] == "cancelling"
    rig.tell(ref, order(ENTRY_ID, "cancelled", filled="0"))
    rig.run(5.0)
    assert len(asked) == 2


def test_a_lost_cancel_reads_the_account_and_is_asked_for_again(rig: Rig, ref: Any) -> None:
    asked: list[str] = []

    async def cancel(_symbol: str, client_id: str, _venue_id: str) -> None:
        asked.append(client_id)
        raise VenueUnknown("timeout")

    rig.venue.cancel = cancel  # type: ignore[method-assign]
    entered(rig, ref, new())
    rig.tell(ref, CancelOrder("BTCUSDT", T0_NS, ENTRY_ID, "", "test"))
    assert path(rig)[-1] == "cancelling"
    assert rig.report(ref)["readings"] == 1
    rig.run(1.1)
    assert len(asked) == 2


def test_a_cancel_that_did_nothing_is_asked_for_again(rig: Rig, ref: Any) -> None:
    entered(rig, ref, new())
    rig.venue.known[ENTRY_ID] = new()
    rig.tell(ref, CancelOrder("BTCUSDT", T0_NS, ENTRY_ID, "", "test"))
    rig.run(6.0)
    assert len(rig.venue.withdrawn) == 2, "a query still found it in the book"


def test_an_order_of_somebody_else_is_cancelled_by_what_is_known_of_it(rig: Rig, ref: Any) -> None:
    rig.tell(ref, CancelOrder("BTCUSDT", T0_NS, "", "v9", "foreign"))
    assert rig.venue.withdrawn == [("BTCUSDT", "", "v9")]
    assert not rig.all(OrderMoved)


def test_a_refusal_of_what_the_stream_told_of_is_a_question(rig: Rig, ref: Any) -> None:
    answer: asyncio.Future[OrderUpdate] = rig.loop.create_future()
    rig.venue.place = lambda _request: answer  # type: ignore[assignment,method-assign]
    rig.venue.known[ENTRY_ID] = order(ENTRY_ID, "cancelled", filled=HALF)
    rig.tell(ref, bracket(), fill(ENTRY_ID, quantity=HALF), position(quantity=HALF))
    answer.set_exception(VenueRejected("duplicate_client_id"))
    rig.run(0.05)
    assert not rig.all(OrderEnded)
    rig.run(0.2)
    assert rig.venue.queries == [ENTRY_ID]
    assert rig.one(OrderEnded).filled == Decimal(HALF)


def test_a_fill_after_the_end_is_counted_and_told_as_odd(rig: Rig, ref: Any) -> None:
    entered(rig, ref, order(ENTRY_ID, "cancelled", filled="0"))
    assert rig.one(OrderEnded)
    readings = rig.report(ref)["readings"]
    rig.tell(ref, fill(ENTRY_ID, quantity=HALF))
    assert rig.one(Fill).quantity == Decimal(HALF)
    assert rig.one(PositionOpened).quantity == Decimal(HALF)
    told = rig.one(Difference)
    assert (told.subject, told.ours, told.venues) == ("order", f"{ENTRY_ID} cancelled", "fill")
    assert rig.report(ref)["readings"] == readings + 1
    assert rig.report(ref)["anomalies"] == 1
    assert len(rig.all(OrderEnded)) == 1


def test_an_order_that_lives_after_it_was_refused_is_told(rig: Rig, ref: Any) -> None:
    entered(rig, ref, VenueRejected("insufficient_margin"))
    rig.tell(ref, new())
    assert rig.one(Difference).ours == f"{ENTRY_ID} rejected"


def test_news_from_before_the_end_is_not_odd(rig: Rig, ref: Any) -> None:
    entered(rig, ref, order(ENTRY_ID))
    rig.tell(ref, fill(ENTRY_ID), position())
    rig.tell(ref, new(), new(HALF, "partially_filled"), order(ENTRY_ID))
    assert not rig.all(Difference)
    assert path(rig)[-1] == "filled"


def test_an_exit_while_the_position_is_liquidated(rig: Rig, ref: Any) -> None:
    exit_id = "hf-test-000002x0"
    rig.venue.answers.append(VenueRejected("reduce_only_rejected"))
    taken = replace(fill("liquidation#1", side=-1, realised="-9"), cause="liquidation")
    rig.tell(ref, position())
    rig.tell(ref, ReducePosition(2, "BTCUSDT", T0_NS, 1, Decimal("0.010"), "margin"), taken)
    rig.run(0.1)
    assert path(rig, exit_id) == ["created", "sent", "rejected"]
    assert rig.one(Fill).cause == "liquidation"


def test_fill_or_kill_goes_out_as_such() -> None:
    rig = Rig(Settings(entries=Entries(kind="fok")))
    ref = proved(rig)
    entered(rig, ref, order(ENTRY_ID, "cancelled", filled="0", reason="fok_not_fillable"))
    assert rig.venue.placed[0].tif == "fok"
    assert rig.one(OrderEnded).reason == "fok_not_fillable"
    rig.close()


def test_a_part_filled_order_whose_cancel_is_refused_is_still_part_filled(
    rig: Rig, ref: Any
) -> None:
    async def cancel(*_asked: str) -> None:
        raise VenueRejected("busy")

    rig.venue.cancel = cancel  # type: ignore[method-assign]
    entered(rig, ref, new())
    rig.tell(ref, fill(ENTRY_ID, quantity=HALF), position(quantity=HALF))
    rig.tell(ref, CancelOrder("BTCUSDT", T0_NS, ENTRY_ID, "", "test"))
    assert path(rig)[-3:] == ["cancelling", "open", "partial"]


def test_what_ended_is_remembered_within_bounds(rig: Rig, ref: Any) -> None:
    for number in range(1, ORDERS_REMEMBERED + 3):
        rig.venue.answers.append(VenueRejected("insufficient_margin"))
        rig.tell(ref, replace(bracket(), intent=number))
    rig.tell(ref, fill(ENTRY_ID, 1), fill(f"hf-test-{ORDERS_REMEMBERED:06d}e0", 2))
    assert len(rig.all(Fill)) == 2
    assert [one.ours.split()[0] for one in rig.all(Difference)] == [
        f"hf-test-{ORDERS_REMEMBERED:06d}e0"
    ]


def test_a_lost_exit_is_asked_for_more_often_than_a_lost_entry(rig: Rig, ref: Any) -> None:
    rig.venue.answers += [VenueUnknown("timeout"), VenueUnknown("timeout")]
    rig.tell(ref, bracket(), ReducePosition(9, "ETHUSDT", T0_NS, 1, Decimal("0.01"), "uncovered"))
    rig.run(10.0)
    asked = rig.venue.queries
    assert asked.count("hf-test-000009x0") == 14, "0.1, 0.3, 0.7 and 1.5 s, then each 0.8 s"
    assert asked.count(ENTRY_ID) == 6, "0.1, 0.3, 0.7, 1.5, 3.1, 6.3 s"
    assert not rig.all(OrderEnded)
    rig.run(9.0)
    assert rig.one(OrderEnded).client_id == "hf-test-000009x0"
    rig.run(10.0)
    assert [one.outcome for one in rig.all(OrderEnded)] == ["not_placed", "not_placed"]
