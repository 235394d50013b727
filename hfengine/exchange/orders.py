"""One order as the exchange keeps it."""

from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from hfengine.messages import OrderKind, OrderState, OrderUpdate
from hfengine.requests import Slot, TimeInForce

if TYPE_CHECKING:
    from hfengine.exchange.account import Account
    from hfengine.exchange.market import Market
    from hfengine.exchange.positions import Position

PriceSource = Literal["mark", "last"]
Cause = Literal["order", "stop", "target", "liquidation", "adl"]

OPEN_STATES: Final = frozenset({"new", "partially_filled", "untriggered", "triggered"})
CONDITIONAL_KINDS: Final[tuple[OrderKind, ...]] = ("stop_market", "take_profit_market")


class Attachment(NamedTuple):
    """Protection that an entry brings to its position; 0 ticks is none."""

    stop_ticks: int
    target_ticks: int
    by: PriceSource


class Order:
    """An order: quantities in steps, prices in ticks (0 is no limit).

    `attached` protection belongs to its position: of the whole size, or `partial`, of its own
    quantity. `carried` is the protection an entry came with, `attachment` what is yet to attach.
    """

    __slots__ = (
        "ahead_steps",
        "at_ns",
        "attached",
        "attachment",
        "carried",
        "client_id",
        "close_position",
        "cost_units",
        "created_ns",
        "expires_with_position",
        "fee_units",
        "filled_steps",
        "kind",
        "limit_ticks",
        "parent_id",
        "partial",
        "position",
        "quantity_steps",
        "reason",
        "reduce_only",
        "side",
        "state",
        "tif",
        "trigger",
        "trigger_by",
        "trigger_ticks",
        "triggered_ns",
        "venue_id",
    )

    def __init__(
        self,
        position: "Position",
        client_id: str,
        kind: OrderKind,
        side: int,
        quantity_steps: int,
        *,
        at_ns: int,
        limit_ticks: int = 0,
        tif: TimeInForce = "gtc",
        reduce_only: bool = False,
        close_position: bool = False,
        trigger_ticks: int = 0,
        trigger_by: PriceSource = "mark",
        attachment: Attachment | None = None,
        attached: bool = False,
        partial: bool = False,
        parent_id: str = "",
        expires_with_position: bool = False,
    ) -> None:
        self.position = position
        self.client_id = client_id
        self.venue_id = ""
        self.kind: OrderKind = kind
        self.side = side
        self.quantity_steps = quantity_steps
        self.filled_steps = 0
        self.limit_ticks = limit_ticks
        self.tif: TimeInForce = tif
        self.reduce_only = reduce_only or close_position
        self.close_position = close_position
        self.trigger_by: PriceSource = trigger_by
        self.set_trigger(trigger_ticks)
        self.attachment = self.carried = attachment
        self.attached = attached
        self.partial = partial
        self.parent_id = parent_id
        self.expires_with_position = expires_with_position
        self.ahead_steps = 0
        self.state: OrderState = "untriggered" if kind in CONDITIONAL_KINDS else "new"
        self.reason = ""
        self.at_ns = self.created_ns = at_ns
        self.triggered_ns = 0
        self.cost_units = 0
        self.fee_units = 0

    @property
    def account(self) -> "Account":
        """Whose order it is."""
        return self.position.account

    @property
    def market(self) -> "Market":
        """Where it is."""
        return self.position.market

    @property
    def slot(self) -> Slot:
        """Which position of the symbol it opens or closes."""
        return self.position.slot

    @property
    def remaining_steps(self) -> int:
        """What is not filled yet."""
        return self.quantity_steps - self.filled_steps

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return self.state in OPEN_STATES

    @property
    def is_conditional(self) -> bool:
        """Whether it waits, or waited, for a trigger."""
        return self.kind in CONDITIONAL_KINDS

    @property
    def is_waiting(self) -> bool:
        """Whether it is conditional and not triggered yet (protection may be, and stay armed)."""
        return self.client_id in self.position.conditionals

    @property
    def cause(self) -> Cause:
        """What its fills are to say."""
        if not (self.is_conditional and self.reduce_only):
            return "order"
        return "stop" if self.kind == "stop_market" else "target"

    def set_trigger(self, ticks: int) -> None:
        """Put the trigger at a price."""
        self.trigger_ticks = ticks
        self.trigger: Decimal = self.market.price_of(ticks)

    def is_due(self) -> bool:
        """Tell whether the price it watches has reached the trigger (0: no price yet)."""
        market = self.market
        price = market.mark if self.trigger_by == "mark" else market.last()
        return bool(price) and reaches(self.kind, self.side, self.trigger, price)

    def update(self) -> OrderUpdate:
        """Return the order as a message."""
        market = self.market
        return OrderUpdate(
            self.client_id,
            self.venue_id,
            market.instrument.symbol,
            self.at_ns,
            self.kind,
            self.side,
            market.quantity_of(self.quantity_steps),
            market.quantity_of(self.filled_steps),
            market.price_of(self.limit_ticks),
            self.trigger,
            self.reduce_only,
            self.state,
            self.reason,
        )


def reaches(kind: OrderKind, side: int, trigger: Decimal, price: Decimal) -> bool:
    """Tell whether a price fires a trigger.

    A stop buys at or above its trigger and sells at or below it; a take-profit the other way.
    """
    rising = (side > 0) == (kind == "stop_market")
    return price >= trigger if rising else price <= trigger
