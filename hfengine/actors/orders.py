"""What execution remembers of one intent until it is over."""

from decimal import Decimal
from typing import Literal

from hfengine.messages import (
    Fill,
    OpenBracket,
    OrderUpdate,
    PositionChanged,
    ReducePosition,
)
from hfengine.requests import OrderRequest

NO_TRIGGER = Decimal(0)
TERMINAL = ("filled", "cancelled", "rejected")


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
    client_id: str, bracket: OpenBracket, protect_by: Literal["mark", "last"]
) -> OrderRequest:
    """Return the immediate-or-cancel limit order of a bracket, stop and target attached."""
    return OrderRequest(
        client_id,
        bracket.symbol,
        bracket.side,
        "limit",
        bracket.quantity,
        bracket.price,
        "ioc",
        False,
        NO_TRIGGER,
        "mark",
        False,
        bracket.stop,
        bracket.target,
        protect_by,
    )


class Intent:
    """One intent: its order at the venue, and what has been heard of it.

    It is over when the order's end is known, every fill of it was heard, and the position was
    heard after the last fill; not earlier, or a second entry could slip in between.
    """

    __slots__ = (
        "client_id",
        "heard",
        "opened",
        "order",
        "position_due",
        "queries",
        "refused",
        "source",
        "waits",
    )

    def __init__(self, client_id: str, source: OpenBracket | ReducePosition) -> None:
        self.client_id = client_id
        self.source = source
        self.order: OrderUpdate | None = None
        self.heard = Decimal(0)
        self.position_due = False
        self.opened = False
        self.queries = 0
        self.refused = ""
        """What the venue said of its first order, where a second one is sent."""
        self.waits = False
        """Whether the second one is still to be sent."""

    @property
    def is_entry(self) -> bool:
        """Tell whether the intent opens a position."""
        return isinstance(self.source, OpenBracket)

    def hear_order(self, update: OrderUpdate) -> None:
        """Take what the venue says of the order; an end is never taken back."""
        known = self.order
        if known is None or known.state not in TERMINAL or update.filled > known.filled:
            self.order = update

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
