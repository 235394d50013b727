"""An account answered in this process: what a measurement or a rehearsal needs of a venue."""

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Literal

from hfengine.clock import Clock
from hfengine.errors import VenueRejected
from hfengine.messages import BalanceChanged, Fill, Message, OrderUpdate, PositionChanged
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.venues.port import Answer, Ended, Tell

WALLET_USDT = Decimal(1_000_000)


class LocalAccount(ABC):
    """One account that is always flat: every entry is acknowledged, then cancelled unfilled.

    For measuring and rehearsing only. Leverage is set and read back here, so that the engine's
    proof and its gates run as they always do; a subclass brings market data and sends the orders.
    """

    derived_marks = 0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leverage: dict[str, int] = {}
        self._market: Tell = _unconnected
        self._account: Tell = _unconnected

    def connect(self, market: Tell, account: Tell, _ended: Ended) -> None:
        """Take whom to tell; a subclass starts its streams."""
        self._market = market
        self._account = account

    @abstractmethod
    def stop(self) -> None:
        """End the streams that a subclass has."""

    @abstractmethod
    def place(self, request: OrderRequest) -> Answer:
        """Send one order; a subclass says how."""

    def cancel_unfilled(self, request: OrderRequest) -> None:
        """Tell the engine that an immediate-or-cancel order found nothing."""
        nothing = Decimal(0)
        self._account(
            OrderUpdate(
                request.client_id,
                "",
                request.symbol,
                self._clock.now_ns(),
                request.kind,
                request.side,
                request.quantity,
                nothing,
                request.price,
                nothing,
                request.reduce_only,
                "cancelled",
            )
        )

    async def snapshot(self, symbol: str) -> bytes | None:
        """Return None: the stream brings it."""
        return None

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set a leverage."""
        self._leverage[symbol] = leverage

    async def set_margin_mode(self, symbol: str, mode: Literal["isolated", "cross"]) -> None:
        """Take isolated margin only."""
        if mode != "isolated":
            raise VenueRejected("unsupported", f"{symbol}: measured in isolated margin only")

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        """Read a symbol's leverage back."""
        return LeverageSetting(symbol, self._leverage.get(symbol, 1), "isolated")

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Know no order: every one was cancelled at once."""
        return None

    async def cancel_all(self, symbol: str) -> int:
        """Cancel nothing: nothing rests."""
        return 0

    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        """Find it gone: nothing rests."""
        return

    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        """Refuse: nothing rests."""
        raise VenueRejected("unknown_order", client_id)

    async def open_orders(self) -> list[OrderUpdate]:
        """Return none."""
        return []

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Refuse: there is no position."""
        raise VenueRejected("no_position", symbol)

    async def positions(self) -> list[PositionChanged]:
        """Return none."""
        return []

    async def balance(self) -> BalanceChanged:
        """Return the account, untouched."""
        nothing = Decimal(0)
        at_ns = self._clock.now_ns()
        return BalanceChanged(at_ns, WALLET_USDT, WALLET_USDT, WALLET_USDT, nothing)

    async def fills(self) -> list[Fill]:
        """Return none."""
        return []


def _unconnected(message: Message) -> None:
    msg = f"a venue event before connect(): {type(message).__name__}"
    raise RuntimeError(msg)
