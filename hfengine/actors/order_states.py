"""The life of one order as a table: (state, event) -> state. docs/order-states.md shows the same.

Pure: what an event does besides is said by whoever moves the order. A combination that the table
does not hold is an anomaly: the order stays as it is and the combination is told.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from hfengine.exchange import rejects
from hfengine.messages import OrderUpdate

State = Literal[
    "created",
    "sent",
    "unknown",
    "open",
    "partial",
    "cancelling",
    "amending",
    "filled_unsettled",
    "cancelled_unsettled",
    "expired_unsettled",
    "filled",
    "cancelled",
    "expired",
    "rejected",
    "not_placed",
]
"""`unsettled`: ended at the venue, with fills or the position after them still to be heard."""

Event = Literal[
    "sent",
    "gated",
    "acknowledged",
    "partially_filled",
    "fill",
    "filled",
    "cancelled",
    "expired",
    "liquidated",
    "deleveraged",
    "delivered",
    "rejected",
    "unavailable",
    "answer_lost",
    "undecided",
    "not_found",
    "vanished",
    "cancel_sent",
    "cancel_refused",
    "cancel_lost",
    "amend_sent",
    "amended",
    "amend_refused",
    "amend_lost",
    "settled",
]

ENDS: Final[frozenset[State]] = frozenset(
    ("filled", "cancelled", "expired", "rejected", "not_placed")
)
UNSETTLED: Final[frozenset[State]] = frozenset(
    ("filled_unsettled", "cancelled_unsettled", "expired_unsettled")
)
RESTS: Final[frozenset[State]] = frozenset(("open", "partial", "cancelling", "amending"))
"""The venue has it and may still fill it."""

_ENDED_BY: Final[dict[Event, State]] = {
    "filled": "filled_unsettled",
    "cancelled": "cancelled_unsettled",
    "expired": "expired_unsettled",
    "liquidated": "cancelled_unsettled",
    "deleveraged": "cancelled_unsettled",
    "delivered": "cancelled_unsettled",
}
"""What an end at the venue makes of any order that may be there."""

_VANISHED: Final[dict[Event, State]] = {"vanished": "cancelled_unsettled"}

_STALE: Final[tuple[Event, ...]] = ("acknowledged", "partially_filled")
"""What the venue said of the order before it ended, heard after."""

_LATE: Final[tuple[Event, ...]] = (
    *_STALE,
    "answer_lost",
    "undecided",
    "amended",
    "amend_refused",
    "amend_lost",
)
"""Answers that an end overtook: they change nothing."""


def _late(state: State, *same: Event) -> dict[Event, State]:
    return dict.fromkeys((*_LATE, *same), state)


def _stale(state: State, *same: Event) -> dict[Event, State]:
    return dict.fromkeys((*_STALE, *same), state)


_TABLE: Final[dict[State, dict[Event, State]]] = {
    "created": {"sent": "sent", "gated": "not_placed"},
    "sent": {
        **_ENDED_BY,
        "acknowledged": "open",
        "partially_filled": "partial",
        "fill": "partial",
        "rejected": "rejected",
        "unavailable": "not_placed",
        "answer_lost": "unknown",
    },
    "unknown": {
        **_ENDED_BY,
        "acknowledged": "open",
        "partially_filled": "partial",
        "fill": "partial",
        "rejected": "rejected",
        "undecided": "unknown",
        "not_found": "not_placed",
    },
    "open": {
        **_ENDED_BY,
        **_VANISHED,
        "acknowledged": "open",
        "partially_filled": "partial",
        "fill": "partial",
        "rejected": "rejected",
        "answer_lost": "open",
        "undecided": "open",
        "cancel_sent": "cancelling",
        "amend_sent": "amending",
    },
    "partial": {
        **_ENDED_BY,
        **_VANISHED,
        "acknowledged": "partial",
        "partially_filled": "partial",
        "fill": "partial",
        "answer_lost": "partial",
        "undecided": "partial",
        "cancel_sent": "cancelling",
        "amend_sent": "amending",
    },
    "cancelling": {
        **_ENDED_BY,
        **_VANISHED,
        "acknowledged": "cancelling",
        "partially_filled": "cancelling",
        "fill": "cancelling",
        "rejected": "rejected",
        "answer_lost": "cancelling",
        "undecided": "cancelling",
        "cancel_sent": "cancelling",
        "cancel_refused": "open",
        "cancel_lost": "cancelling",
        "amended": "cancelling",
        "amend_refused": "cancelling",
        "amend_lost": "cancelling",
    },
    "amending": {
        **_ENDED_BY,
        **_VANISHED,
        "acknowledged": "amending",
        "partially_filled": "amending",
        "fill": "amending",
        "rejected": "rejected",
        "answer_lost": "amending",
        "undecided": "amending",
        "cancel_sent": "cancelling",
        "amended": "open",
        "amend_refused": "open",
        "amend_lost": "open",
    },
    "filled_unsettled": {
        **_late("filled_unsettled", "fill", "filled", "cancelled", "expired"),
        "settled": "filled",
    },
    "cancelled_unsettled": {
        **_late("cancelled_unsettled", "fill", "cancelled", "expired"),
        **dict.fromkeys(("liquidated", "deleveraged", "delivered"), "cancelled_unsettled"),
        "filled": "filled_unsettled",
        "settled": "cancelled",
    },
    "expired_unsettled": {
        **_late("expired_unsettled", "fill", "cancelled", "expired"),
        "filled": "filled_unsettled",
        "settled": "expired",
    },
    "filled": _stale("filled", "filled", "cancelled", "expired"),
    "cancelled": _stale(
        "cancelled", "cancelled", "expired", "liquidated", "deleveraged", "delivered"
    ),
    "expired": _stale("expired", "cancelled", "expired"),
    "rejected": {"rejected": "rejected"},
    "not_placed": dict.fromkeys(("rejected", "cancelled", "expired"), "not_placed"),
}

TABLE: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType(
    {state: MappingProxyType(row) for state, row in _TABLE.items()}
)

EXPIRED_REASONS: Final = frozenset(
    (
        "expired",
        "ioc",
        rejects.IOC_REMAINDER,
        rejects.FOK_NOT_FILLABLE,
        rejects.NO_LIQUIDITY,
        rejects.POST_ONLY_WOULD_TAKE,
        rejects.SELF_TRADE,
    )
)
"""The venue ended the order by its own terms; nobody cancelled it."""

ENDED_BY_REASON: Final[Mapping[str, Event]] = MappingProxyType(
    {
        **dict.fromkeys(EXPIRED_REASONS, "expired"),
        rejects.LIQUIDATION: "liquidated",
        rejects.ADL: "deleveraged",
        rejects.MARKET_CLOSED: "delivered",
        "delivery": "delivered",
        "settlement": "delivered",
    }
)


def next_state(state: State, event: Event) -> State | None:
    """Return what an event makes of an order; None where the table does not hold it."""
    return TABLE[state].get(event)


def event_of(update: OrderUpdate, *, has_fills: bool) -> Event:
    """Return what the venue's word on an order means, given whether fills of it were heard.

    An order that filled in part and is refused at last was cancelled but for what it has.
    """
    state = update.state
    if state == "filled":
        return "filled"
    if state == "cancelled":
        return ENDED_BY_REASON.get(update.reason.partition(":")[0], "cancelled")
    if state == "rejected":
        return "cancelled" if has_fills or update.filled else "rejected"
    return "partially_filled" if has_fills or update.filled else "acknowledged"
