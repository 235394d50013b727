"""What the engine asks of a venue, and what a venue answers about a symbol's settings.

Side is +1 (buy) or -1 (sell); prices and quantities are exact Decimals on the instrument's grid.
"""

from decimal import Decimal
from typing import Literal

from hfengine.messages import Message, OrderKind

TimeInForce = Literal["gtc", "ioc", "fok", "post_only"]
Slot = Literal["net", "long", "short"]
"""Which position of a symbol: `net` in one-way mode, `long` or `short` in hedge mode."""


class OrderRequest(Message, frozen=True, gc=False, tag=True):
    """What an order asks of the venue. `stop` and `target` attach to the position; 0 is none.

    A conditional kind with a price becomes a limit order when triggered. One that
    `expires_with_position` is cancelled when the position of its slot goes flat.
    """

    client_id: str
    symbol: str
    side: int
    kind: OrderKind
    quantity: Decimal
    price: Decimal = Decimal(0)
    tif: TimeInForce = "gtc"
    reduce_only: bool = False
    trigger: Decimal = Decimal(0)
    trigger_by: Literal["mark", "last"] = "mark"
    close_position: bool = False
    stop: Decimal = Decimal(0)
    target: Decimal = Decimal(0)
    protect_by: Literal["mark", "last"] = "mark"
    slot: Slot = "net"
    expires_with_position: bool = False


class LeverageSetting(Message, frozen=True, gc=False, tag=True):
    """A symbol's leverage and margin mode as read from the venue."""

    symbol: str
    leverage: int
    margin_mode: Literal["isolated", "cross"]
