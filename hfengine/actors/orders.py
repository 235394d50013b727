"""What execution remembers of one order until it is over."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal

from hfengine.actors.order_states import RESTS, State
from hfengine.messages import (
    Fill,
    OpenBracket,
    OrderUpdate,
    PositionChanged,
    ReducePosition,
)
from hfengine.requests import OrderRequest, TimeInForce
from hfengine.runtime.actor import TimerHandle

NO_TRIGGER = Decimal(0)
TERMINAL = ("filled", "cancelled", "rejected")
RESTING_KINDS: Final = ("gtc", "post_only")

EndOutcome = Literal["filled", "cancelled", "rejected", "not_placed"]
OUTCOMES: Final[Mapping[State, EndOutcome]] = MappingProxyType(
    {
        "filled": "filled",
        "cancelled": "cancelled",
        "expired": "cancelled",
        "rejected": "rejected",
        "not_placed": "not_placed",
    }
)
"""End of an order -> what `OrderEnded` calls it."""


def reducing_request(
    client_id: str, symbol: str, position_side: int, quantity: Decimal
) -> OrderRequest:
    """Return the reduce-only market order that takes `quantity` off a position."""
    return OrderRequest(
        client_id=client_id,
        symbol=symbol,
        side=-position_side,
        kind="market",
        quantity=quantity,
        reduce_only=True,
    )


def flat_position(symbol: str, at_ns: int) -> PositionChanged:
    """Return what a symbol without a position looks like."""
    none = Decimal(0)
    return PositionChanged(symbol, at_ns, 0, none, none, 0, "", none, none, none, none, none)


def entry_request(
    client_id: str,
    bracket: OpenBracket,
    protect_by: Literal["mark", "last"],
    tif: TimeInForce = "ioc",
    price: Decimal | None = None,
) -> OrderRequest:
    """Return the limit order of a bracket, stop and target attached; at its price unless given."""
    return OrderRequest(
        client_id,
        bracket.symbol,
        bracket.side,
        "limit",
        bracket.quantity,
        bracket.price if price is None else price,
        tif,
        False,
        NO_TRIGGER,
        "mark",
        False,
        bracket.stop,
        bracket.target,
        protect_by,
    )


class Intent:
    """One order at the venue of one intent, and what has been heard of it.

    It is over when the order's end is known, every fill of it was heard, and the position was
    heard after the last fill; not earlier, or a second entry could slip in between.
    """

    __slots__ = (
        "asked_ns",
        "cancel_ns",
        "client_id",
        "ended_ns",
        "heard",
        "is_bare",
        "is_overdue",
        "odd",
        "opened",
        "order",
        "position_due",
        "queries",
        "recalled",
        "refused",
        "rests",
        "source",
        "state",
        "timer",
        "waits",
    )

    def __init__(
        self, client_id: str, source: OpenBracket | ReducePosition, *, rests: bool = False
    ) -> None:
        self.client_id = client_id
        self.source = source
        self.state: State = "created"
        self.order: OrderUpdate | None = None
        self.ended_ns = 0
        """When its end at the venue was heard."""
        self.heard = Decimal(0)
        self.position_due = False
        self.opened = False
        self.queries = 0
        self.asked_ns = 0
        """When the venue was asked for it last."""
        self.recalled = False
        """Whether it was sent by an actor or process before: fills of it may have been told."""
        self.refused = ""
        """What the venue said of its first order, where a second one is sent."""
        self.waits = False
        """Whether the second one is still to be sent."""
        self.rests = rests
        """Whether it is meant to stay in the book for a while."""
        self.is_bare = False
        """Whether the venue has refused its stop."""
        self.is_overdue = False
        """Whether it is to be cancelled as soon as it can be."""
        self.cancel_ns = 0
        """When its cancel was asked for last."""
        self.timer: TimerHandle | None = None
        """When the venue is asked for it next."""
        self.odd: frozenset[str] = frozenset()
        """Events its state does not know, each told once."""

    @property
    def is_entry(self) -> bool:
        """Tell whether the intent opens a position."""
        return isinstance(self.source, OpenBracket)

    @property
    def is_quiet(self) -> bool:
        """Tell whether it lies in the book and nothing of it is still to be heard."""
        return self.rests and self.state in RESTS and not self.position_due

    @property
    def is_lost(self) -> bool:
        """Tell whether it is not known to have come to the venue, and was asked for in vain."""
        return self.state == "unknown" and (self.recalled or self.queries > 0)

    def hear_order(self, update: OrderUpdate, at_ns: int = 0) -> None:
        """Take what the venue says of the order; an end is never taken back."""
        known = self.order
        if known is None or known.state not in TERMINAL or update.filled > known.filled:
            self.order = update
            if update.state in TERMINAL:
                self.ended_ns = at_ns

    def hear_fill(self, fill: Fill) -> None:
        """Take one fill of the order."""
        self.heard += fill.quantity
        self.position_due = True

    @property
    def has_ended(self) -> bool:
        """Tell whether the venue has said how the order ended."""
        return self.order is not None and self.order.state in TERMINAL

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more can come of it."""
        order = self.order
        if order is None or order.state not in TERMINAL:
            return False
        return order.filled == self.heard and not self.position_due
