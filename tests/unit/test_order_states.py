"""Every row of the order state machine, from a list written here; the page shows the same."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from hfengine.actors.order_desk import OrderDesk
from hfengine.actors.order_states import ENDS, RESTS, TABLE, UNSETTLED, Event, State, event_of
from hfengine.actors.orders import Intent
from hfengine.actors.sending_gates import SendingGates
from hfengine.clock import VirtualClock
from hfengine.messages import Message
from hfengine.oversight import Difference, OrderMoved
from hfengine.settings import Settings
from tests.rig import T0_NS, bracket, order

PAGE = Path(__file__).parents[2] / "docs" / "order-states.md"

ENDED = """
    filled: filled_unsettled
    cancelled liquidated deleveraged delivered: cancelled_unsettled
    expired: expired_unsettled
"""
BY_STATE = {
    "created": "sent: sent | gated: not_placed",
    "sent": f"""{ENDED} acknowledged: open | partially_filled fill: partial
        rejected: rejected | unavailable: not_placed | answer_lost: unknown""",
    "unknown": f"""{ENDED} acknowledged: open | partially_filled fill: partial
        rejected: rejected | undecided: unknown | not_found: not_placed""",
    "open": f"""{ENDED} vanished: cancelled_unsettled
        acknowledged answer_lost undecided: open | partially_filled fill: partial
        rejected: rejected | cancel_sent: cancelling | amend_sent: amending""",
    "partial": f"""{ENDED} vanished: cancelled_unsettled
        acknowledged answer_lost undecided partially_filled fill: partial
        cancel_sent: cancelling | amend_sent: amending""",
    "cancelling": f"""{ENDED} vanished: cancelled_unsettled | rejected: rejected
        acknowledged answer_lost undecided partially_filled fill: cancelling
        cancel_sent cancel_lost amended amend_refused amend_lost: cancelling
        cancel_refused: open""",
    "amending": f"""{ENDED} vanished: cancelled_unsettled | rejected: rejected
        acknowledged answer_lost undecided partially_filled fill: amending
        cancel_sent: cancelling | amended amend_refused amend_lost: open""",
    "filled_unsettled": """settled: filled
        acknowledged partially_filled answer_lost undecided: filled_unsettled
        amended amend_refused amend_lost: filled_unsettled
        fill filled cancelled expired: filled_unsettled""",
    "cancelled_unsettled": """settled: cancelled | filled: filled_unsettled
        acknowledged partially_filled answer_lost undecided: cancelled_unsettled
        amended amend_refused amend_lost: cancelled_unsettled
        fill cancelled expired liquidated deleveraged delivered: cancelled_unsettled""",
    "expired_unsettled": """settled: expired | filled: filled_unsettled
        acknowledged partially_filled answer_lost undecided: expired_unsettled
        amended amend_refused amend_lost: expired_unsettled
        fill cancelled expired: expired_unsettled""",
    "filled": "acknowledged partially_filled filled cancelled expired: filled",
    "cancelled": """acknowledged partially_filled cancelled expired: cancelled
        liquidated deleveraged delivered: cancelled""",
    "expired": "acknowledged partially_filled cancelled expired: expired",
    "rejected": "rejected: rejected",
    "not_placed": "rejected cancelled expired: not_placed",
}


def listed() -> dict[tuple[Any, Any], Any]:
    rows = {}
    for state, text in BY_STATE.items():
        for events, after in re.findall(r"([\w ]+): (\w+)", text):
            rows.update({(state, event): after for event in events.split()})
    return rows


ROWS = listed()
ODD = [(s, e) for s in get_args(State) for e in get_args(Event) if (s, e) not in ROWS]


def desk() -> tuple[OrderDesk, list[Message], list[str]]:
    told: list[Message] = []
    readings: list[str] = []
    ids = SimpleNamespace(session="test")
    wiring = SimpleNamespace(venue=None, order_ids=ids, recalled={})
    actor: Any = SimpleNamespace(
        wiring=wiring, publish=told.append, clock=VirtualClock(T0_NS), settings=Settings()
    )
    return (
        OrderDesk(actor, SendingGates(), lambda: readings.append("read"), lambda *_: None),
        told,
        readings,
    )


def in_state(state: Any) -> Intent:
    intent = Intent("hf-1", bracket())
    intent.state = state
    return intent


@pytest.mark.parametrize(("state", "event"), ROWS)
def test_a_row(state: Any, event: Any) -> None:
    orders, told, readings = desk()
    intent, after = in_state(state), ROWS[state, event]
    assert orders.move(intent, event)
    assert intent.state == after
    moved = OrderMoved(1, "hf-1", "BTCUSDT", T0_NS, state, event, after)
    assert told == ([moved] if after != state else [])
    assert not readings


@pytest.mark.parametrize(("state", "event"), ODD)
def test_what_the_table_does_not_hold_is_told_once_and_changes_nothing(
    state: Any, event: Any
) -> None:
    orders, told, readings = desk()
    intent = in_state(state)
    assert not orders.move(intent, event)
    assert not orders.move(intent, event)
    assert intent.state == state
    (difference,) = told
    assert isinstance(difference, Difference)
    assert (difference.subject, difference.ours, difference.venues) == (
        "order",
        f"hf-1 {state}",
        event,
    )
    assert orders.anomalies == 2
    assert readings == ["read"]


def test_the_table_has_no_other_row() -> None:
    assert {(s, e): a for s, row in TABLE.items() for e, a in row.items()} == ROWS


def test_the_page_shows_the_table() -> None:
    shown = {}
    for state, cell in re.findall(r"^\| `(\w+)` \| (.*→.*) \|$", PAGE.read_text(), re.MULTILINE):
        for part in cell.split("; "):
            events, after = part.split(" → ")
            for event in re.findall(r"`(\w+)`", events):
                shown[state, event] = after.strip("`")
    assert shown == ROWS


def test_the_page_explains_every_state_and_event() -> None:
    explained = set(re.findall(r"`(\w+)`", re.sub(r"^.*→.*$", "", PAGE.read_text(), flags=re.M)))
    assert {*get_args(State), *get_args(Event)} <= explained


def test_the_kinds_of_states_are_told_apart() -> None:
    assert {"filled", "cancelled", "expired", "rejected", "not_placed"} == ENDS
    assert {"filled_unsettled", "cancelled_unsettled", "expired_unsettled"} == UNSETTLED
    assert {"open", "partial", "cancelling", "amending"} == RESTS


def test_no_end_is_ever_left() -> None:
    assert {(s, a) for (s, _), a in ROWS.items() if s in ENDS} == {(s, s) for s in ENDS}


def test_from_every_live_state_an_end_can_be_reached() -> None:
    reached = set(ENDS)
    while more := {s for (s, _), a in ROWS.items() if a in reached} - reached:
        reached |= more
    assert reached == set(get_args(State))


@pytest.mark.parametrize(
    ("state", "filled", "reason", "has_fills", "event"),
    [
        ("new", "0", "", False, "acknowledged"),
        ("untriggered", "0", "", False, "acknowledged"),
        ("new", "0", "", True, "partially_filled"),
        ("partially_filled", "0.004", "", False, "partially_filled"),
        ("filled", "0.010", "", False, "filled"),
        ("cancelled", "0", "cancelled_by_user", False, "cancelled"),
        ("cancelled", "0", "", False, "cancelled"),
        ("cancelled", "0.004", "ioc_remainder", True, "expired"),
        ("cancelled", "0", "expired", False, "expired"),
        ("cancelled", "0", "fok_not_fillable", False, "expired"),
        ("cancelled", "0", "post_only_would_take", False, "expired"),
        ("cancelled", "0", "no_liquidity: 3 levels", False, "expired"),
        ("cancelled", "0", "liquidation", False, "liquidated"),
        ("cancelled", "0", "adl", False, "deleveraged"),
        ("cancelled", "0", "market_closed", False, "delivered"),
        ("rejected", "0", "insufficient_margin", False, "rejected"),
        ("rejected", "0.004", "insufficient_margin", False, "cancelled"),
        ("rejected", "0", "insufficient_margin", True, "cancelled"),
    ],
)
def test_what_the_venue_s_word_means(
    state: str, filled: str, reason: str, *, has_fills: bool, event: str
) -> None:
    assert event_of(order("c", state, filled=filled, reason=reason), has_fills=has_fills) == event
