"""Orders on their way when the engine ends: found again by their ids, never sent again."""

from collections.abc import Callable
from dataclasses import replace as with_changes
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hfengine.actors.execution import Execution
from hfengine.actors.held import KEY as HELD
from hfengine.actors.sent_memory import SENT_KEY, Sent
from hfengine.errors import VenueUnknown
from hfengine.exchange import rejects
from hfengine.messages import (
    OrderEnded,
    OrderUnknown,
    PositionChanged,
    PositionOpened,
    ReducePosition,
    Start,
)
from hfengine.oversight import Difference, Keep, OrderMoved
from hfengine.seeds import Numbers, OrderIds
from tests.proved import proved
from tests.rig import T0_NS, Rig, bracket, fill, order, position

ENTRY_ID = "hf-test-000001e0"
EXIT_ID = "hf-test-000009x0"


def kept(rig: Rig) -> dict[str, Any]:
    body = rig.wiring.recalled.get(SENT_KEY, b"")
    return msgspec.json.decode(body, type=Sent).orders if body else {}


def die(rig: Rig, ref: Any, *, session: str = "test") -> Any:
    """Let execution die, and a new one start: in this process, or in that of another session."""
    ref.stop(block=False)
    rig.run(0.0)
    if session != "test":
        rig.wiring = with_changes(
            rig.wiring, order_ids=OrderIds(session), intents=Numbers(), heard_fills=set()
        )
    rig.heard.clear()
    again = rig.start(Execution)
    rig.tell(again, Start(T0_NS))
    return again


def sent_and_lost(rig: Rig, source: Any = None) -> Any:
    ref = proved(rig)
    rig.venue.answers.append(VenueUnknown("timeout"))
    rig.tell(ref, source or bracket())
    return ref


def an_exit() -> ReducePosition:
    return ReducePosition(9, "BTCUSDT", T0_NS, 1, Decimal("0.010"), "uncovered")


def test_an_order_is_kept_in_the_turn_it_leaves_and_forgotten_when_it_is_over(rig: Rig) -> None:
    ref = proved(rig)
    rig.venue.answers.append(order(ENTRY_ID, "new", filled="0"))
    rig.tell(ref, bracket())
    assert kept(rig) == {ENTRY_ID: bracket()}
    kinds = [type(one).__name__ for one in rig.heard]
    assert kinds[:2] == ["Keep", "OrderSent"], "a crash at any later message finds it"
    rig.tell(ref, order(ENTRY_ID, "cancelled", filled="0", reason="ioc"))
    rig.run(1.1)
    assert kept(rig) == {}


def test_nothing_is_kept_of_a_gated_entry(rig: Rig) -> None:
    ref = rig.start(Execution)
    rig.tell(ref, bracket())
    assert rig.one(OrderEnded).outcome == "not_placed"
    assert SENT_KEY not in rig.wiring.recalled


def test_after_a_crash_it_is_unknown_under_a_number_of_its_own_and_freezes(rig: Rig) -> None:
    ref = die(rig, sent_and_lost(rig), session="later")
    told = rig.all(OrderUnknown)[0]
    assert (told.intent, told.client_id, told.symbol) == (-1, ENTRY_ID, "BTCUSDT")
    assert [one.after for one in rig.all(OrderMoved)][:2] == ["sent", "unknown"]
    placed = len(rig.venue.placed)
    rig.run(0.1)
    actor: Any = rig.host.actors[ref.actor_urn]
    actor._leverage._stand("BTCUSDT", T0_NS)
    rig.tell(ref, replace(bracket(), intent=2))
    (gated,) = [one for one in rig.all(OrderEnded) if one.intent == 2]
    assert gated.reason == f"gate: order_unknown: {ENTRY_ID}"
    assert len(rig.venue.placed) == placed
    assert ENTRY_ID in rig.venue.queries


def test_in_the_same_process_it_keeps_its_number_so_that_risk_is_freed(rig: Rig) -> None:
    ref = die(rig, sent_and_lost(rig))
    rig.tell(ref, order(ENTRY_ID, "cancelled", filled="0", reason="ioc"))
    rig.run(0.2)
    assert rig.one(OrderEnded).intent == 1


def test_a_fill_that_comes_later_opens_the_position_with_its_hopes(rig: Rig) -> None:
    ref = die(rig, sent_and_lost(rig), session="later")
    rig.tell(ref, order(ENTRY_ID), fill(ENTRY_ID), position())
    opened = rig.one(PositionOpened)
    assert (opened.symbol, opened.entry_drift) == ("BTCUSDT", bracket().entry_drift)
    ended = rig.one(OrderEnded)
    assert (ended.intent, ended.outcome, ended.filled) == (-1, "filled", Decimal("0.010"))
    assert kept(rig) == {ENTRY_ID: bracket()}
    rig.run(1.1)
    assert kept(rig) == {}


def test_a_position_the_rebalancer_remembers_is_not_opened_again(rig: Rig) -> None:
    ref = sent_and_lost(rig)
    rig.wiring.recalled[f"{HELD}BTCUSDT"] = b"{}"
    ref = die(rig, ref, session="later")
    rig.tell(ref, fill(ENTRY_ID), order(ENTRY_ID), position())
    assert not rig.all(PositionOpened)


def test_what_had_filled_and_was_told_before_the_crash_ends_by_a_reading(rig: Rig) -> None:
    ref = sent_and_lost(rig)
    rig.tell(ref, fill(ENTRY_ID))
    rig.venue.known[ENTRY_ID] = order(ENTRY_ID)
    rig.venue.fill_list = [fill(ENTRY_ID)]
    rig.venue.position_list = [[position()]] * 9
    die(rig, ref, session="later")
    rig.run(1.0)
    ended = rig.one(OrderEnded)
    assert (ended.outcome, ended.filled) == ("filled", Decimal("0.010"))


def test_the_position_of_an_order_of_unknown_fate_is_told_at_once(rig: Rig) -> None:
    ref = sent_and_lost(rig, an_exit())
    bare = position(stop=Decimal(0), covered="0")
    rig.venue.position_list = [[bare]] * 9
    die(rig, ref, session="later")
    rig.run(0.05)
    assert bare in rig.all(PositionChanged), "the guardian must see what has no stop"
    assert rig.all(OrderUnknown)[0].client_id == EXIT_ID


def test_what_rests_of_an_entry_nobody_waits_for_is_cancelled(rig: Rig) -> None:
    ref = sent_and_lost(rig)
    rig.venue.known[ENTRY_ID] = order(ENTRY_ID, "new", filled="0")
    die(rig, ref, session="later")
    rig.run(0.2)
    assert rig.venue.withdrawn == [("BTCUSDT", ENTRY_ID, "")]


def test_an_exit_refused_outside_the_price_band_is_not_repeated_after_a_crash(rig: Rig) -> None:
    ref = sent_and_lost(rig, an_exit())
    placed = len(rig.venue.placed)
    rig.venue.position_list = [[position()]] * 9
    rig.venue.answers.append(order("hf-test-000009x1"))
    ref = die(rig, ref, session="later")
    rig.tell(ref, order(EXIT_ID, "rejected", filled="0", reason=rejects.PRICE_BAND))
    rig.run(3.0)
    assert rig.all(OrderEnded)[-1].outcome == "rejected"
    assert len(rig.venue.placed) == placed


def test_an_order_the_venue_never_got_ends_as_not_placed(rig: Rig) -> None:
    die(rig, sent_and_lost(rig), session="later")
    rig.run(30.0)
    assert rig.one(OrderEnded).outcome == "not_placed"


@pytest.mark.parametrize("make", [bracket, an_exit])
def test_one_of_before_is_given_up_once_the_venue_would_find_it_too_old(
    rig: Rig, make: Callable[[], Any]
) -> None:
    die(rig, sent_and_lost(rig, make()), session="later")
    window_s = rig.settings.venue.recv_window_ms / 1e3
    rig.run(window_s - (rig.clock.now_ns() - T0_NS) / 1e9)
    assert not rig.all(OrderEnded), "its bytes may still be on their way"
    rig.run(1.0)
    assert rig.one(OrderEnded).outcome == "not_placed"
    assert len(rig.venue.queries) > 2


def test_one_of_this_process_is_not_given_up_so_soon(rig: Rig) -> None:
    sent_and_lost(rig)
    rig.run(10.0)
    assert not rig.all(OrderEnded)


def test_a_crash_before_it_is_taken_up_again_loses_nothing(rig: Rig) -> None:
    ref = sent_and_lost(rig)
    ref.stop(block=False)
    rig.run(0.0)
    rig.wiring = with_changes(rig.wiring, order_ids=OrderIds("later"))
    second = rig.start(Execution)
    second.stop(block=False)
    rig.run(0.0)
    assert list(kept(rig)) == [ENTRY_ID]
    rig.wiring = with_changes(rig.wiring, order_ids=OrderIds("last"))
    rig.heard.clear()
    rig.tell(rig.start(Execution), Start(T0_NS))
    assert rig.all(OrderUnknown)[0].client_id == ENTRY_ID


@pytest.mark.parametrize("body", [b"{", b'{"session":1}', b"\xff"])
def test_a_memory_that_cannot_be_read_is_told_and_counts_as_absent(rig: Rig, body: bytes) -> None:
    rig.wiring.recalled[SENT_KEY] = body
    ref = rig.start(Execution)
    rig.tell(ref, Start(T0_NS))
    (told,) = [one for one in rig.all(Difference) if one.subject == "order"]
    assert told.ours.startswith(f"{SENT_KEY} unreadable")
    assert not rig.all(OrderUnknown)
    assert not [one for one in rig.all(Keep) if one.key == SENT_KEY]
