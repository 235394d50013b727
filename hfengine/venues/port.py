"""What the engine asks of a venue, and what a venue tells the engine.

Every request is a coroutine that ends in one of three ways: an answer; `VenueRejected` (certainly
not done); `VenueUnknown` (the answer was lost: query by client id before anything else).
`VenueUnavailable` means that nothing was sent.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any, Literal, Protocol

from hfengine.errors import VenueUnavailable
from hfengine.messages import (
    BalanceChanged,
    Fill,
    Message,
    OrderUpdate,
    PositionChanged,
)
from hfengine.requests import LeverageSetting, OrderRequest

Tell = Callable[[Message], None]
Answer = Coroutine[Any, Any, OrderUpdate] | asyncio.Future[OrderUpdate]
Ended = Callable[[str], None]
"""Called once, with the reason, when a stream is over for good."""


class PartlyRead(VenueUnavailable):
    """Some of several venues did not answer; `found` are the positions of those that did."""

    def __init__(self, reason: str, found: Sequence[PositionChanged]) -> None:
        super().__init__(reason)
        self.found = found


class Venue(Protocol):
    """One account at one venue."""

    def connect(self, market: Tell, account: Tell, ended: Ended) -> None:
        """Start the streams: frames and feed faults go to `market`, account events to `account`."""

    def stop(self) -> None:
        """End the streams; requests are still answered. Safe to call twice."""

    @property
    def derived_marks(self) -> int:
        """Return how many frames it made up: marks where a recording holds none."""

    async def snapshot(self, symbol: str) -> bytes | None:
        """Return the venue's book snapshot in its own wire form.

        None when it was asked for and the stream itself will bring it.
        """

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Ask for a leverage; success is proved only by `leverage_of`."""

    async def set_margin_mode(self, symbol: str, mode: Literal["isolated", "cross"]) -> None:
        """Ask for a margin mode; "not modified" is a success."""

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        """Read a symbol's leverage and margin mode."""

    def place(self, request: OrderRequest) -> Answer:
        """Send one order; the answer is the venue's acknowledgement.

        A venue with native order entry hands the bytes to its socket before this returns, so that
        no turn of the loop lies between the decision and the wire.
        """

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Look an order up by its client id; None when the venue does not know it."""

    async def cancel_all(self, symbol: str) -> int:
        """Cancel every open and conditional order of a symbol; return how many."""

    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        """Cancel one open or conditional order, of whomever; one that is gone is a success.

        By the venue's id where there is one, else by client id.
        """

    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        """Move a resting order of ours to another price, in place.

        VenueRejected where it has ended meanwhile or the venue cannot: the order stands as it was
        or is gone, which its own updates tell.
        """

    async def open_orders(self) -> list[OrderUpdate]:
        """Read every open order of the profile's symbols: resting, conditional and attached."""

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Amend stop and target of a position in place."""

    async def positions(self) -> list[PositionChanged]:
        """Read the positions that are not flat."""

    async def balance(self) -> BalanceChanged:
        """Read the account."""

    async def fills(self) -> list[Fill]:
        """Read the fills of this session."""
