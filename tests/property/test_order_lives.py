"""Random stories of one entry, told by a venue that repeats, reorders and contradicts itself."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.actors.order_states import ENDS
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import Fill, OrderEnded, OrderUnknown, PositionOpened
from hfengine.oversight import CancelOrder, OrderMoved
from tests.proved import proved
from tests.rig import T0_NS, Rig, bracket, fill, order, position

ENTRY_ID = "hf-test-000001e0"
PARTS = ("0.002", "0.003", "0.005")

ANSWERS = st.sampled_from(("new", "filled", "expired", "rejected", "unavailable", "unknown"))
EVENTS = st.lists(
    st.sampled_from(
        (
            *(("fill", n) for n in range(3)),
            ("position", 0),
            ("new", 0),
            ("partial", 0),
            ("filled", 0),
            ("cancelled", 0),
            ("expired", 0),
            ("rejected", 0),
            ("cancel", 0),
            ("wait", 1),
            ("wait", 7),
            ("read", 0),
        )
    ),
    max_size=14,
)


def answer_of(name: str) -> Any:
    faults = {
        "rejected": VenueRejected("insufficient_margin"),
        "unavailable": VenueUnavailable("down"),
        "unknown": VenueUnknown("timeout"),
    }
    return faults.get(name) or update(name, Decimal(0))


def update(name: str, filled: Decimal) -> Any:
    if name == "filled":
        return order(ENTRY_ID)
    state = {"new": "new", "partial": "partially_filled", "rejected": "rejected"}
    reason = "ioc_remainder" if name == "expired" else ""
    return order(ENTRY_ID, state.get(name, "cancelled"), filled=str(filled), reason=reason)


def story(rig: Rig, ref: Any, events: list[tuple[str, int]]) -> Decimal:
    """Tell the events; return what the fills come to."""
    done: dict[int, Decimal] = {}
    for name, number in events:
        held = sum(done.values(), Decimal(0))
        match name:
            case "fill":
                done[number] = Decimal(PARTS[number])
                rig.tell(ref, fill(ENTRY_ID, number, quantity=PARTS[number]))
            case "position":
                rig.tell(ref, position(quantity=str(held), side=1 if held else 0))
            case "cancel":
                rig.tell(ref, CancelOrder("BTCUSDT", T0_NS, ENTRY_ID, "", "story"))
            case "wait":
                rig.run(float(number))
            case "read":
                rig.venue.fill_list = [fill(ENTRY_ID, n, quantity=PARTS[n]) for n in sorted(done)]
                rig.venue.position_list = [[position(quantity=str(held))] if held else []]
                rig.run(60.0)
            case _:
                rig.tell(ref, update(name, held))
    return sum(done.values(), Decimal(0))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(answer=ANSWERS, events=EVENTS)
def test_whatever_is_told_nothing_is_lost_and_everything_ends_once(
    answer: str, events: list[tuple[str, int]]
) -> None:
    rig = Rig()
    try:
        ref = proved(rig)
        rig.venue.answers.append(answer_of(answer))
        rig.tell(ref, bracket())
        if answer == "filled" or ("filled", 0) in events:
            # what is said to be filled is told in full at last
            events = [*events, *(("fill", n) for n in range(3))]
        done = story(rig, ref, events)
        # the venue comes to its word: how it ended, all that filled, and the position
        final = update("filled" if done == Decimal("0.010") else "cancelled", done)
        rig.venue.known[ENTRY_ID] = final
        rig.tell(ref, final, position(quantity=str(done), side=1 if done else 0))
        rig.run(120.0)
        check(rig, ref, done, {n for name, n in events if name == "fill"})
    finally:
        rig.close()


def check(rig: Rig, ref: Any, done: Decimal, numbers: set[int]) -> None:
    assert ref.is_alive()
    fills = rig.all(Fill)
    assert {one.fill_id for one in fills} == {f"f{n}" for n in numbers}
    assert len(fills) == len(numbers), "each once"
    assert sum((one.quantity for one in fills), Decimal(0)) == done
    assert len(rig.all(PositionOpened)) == bool(numbers)
    assert len(rig.venue.placed) == 1, "never sent again"
    moves = rig.all(OrderMoved)
    assert all(a.after == b.before for a, b in pairwise(moves))
    assert all(one.before not in ENDS for one in moves)
    assert len(rig.all(OrderUnknown)) <= 1
    assert len(rig.all(OrderUnknown)) >= sum(one.after == "unknown" for one in moves)
    (ended,) = rig.all(OrderEnded)
    assert moves[-1].after in ENDS
    assert ended.filled <= done
    assert rig.report(ref)["open"] == 0
