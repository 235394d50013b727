"""One engine's connections to the simulated exchange, as the venue the engine is given."""

import asyncio
from decimal import Decimal
from typing import Literal

from hfengine.actors.exits import EXIT_SOON_NS
from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.exchange import rejects
from hfengine.messages import BalanceChanged, Fill, FundingPaid, OrderUpdate, PositionChanged
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.simulation.streams import Streams
from hfengine.simulation.world import ACCOUNT, NS_A_MS, World


class Line(Streams):
    """A venue with protection attached to positions, as Bybit has it, seen over a network."""

    derived_marks = 0

    def __init__(self, world: World, loop: VirtualLoop, number: int) -> None:
        super().__init__(world, loop, number)
        self.closing: dict[str, int] = {}
        """Symbol -> reduce-only orders on the wire or without an answer."""
        self.closed_ns: dict[str, int] = {}
        """Symbol -> when a reduce-only order was last sent or answered."""

    # leverage

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Ask for a leverage."""

        def set_it(at_ns: int) -> None:
            if not self.world.take("leverage_not_applied", symbol):
                self.world.exchange.set_leverage(ACCOUNT, symbol, leverage, at_ns)

        await self._ask("set", symbol, set_it)

    async def set_margin_mode(self, symbol: str, mode: Literal["isolated", "cross"]) -> None:
        """Ask for a margin mode; "not modified" is a success."""
        exchange = self.world.exchange
        try:
            await self._ask(
                "set", symbol, lambda at: exchange.set_margin_mode(ACCOUNT, symbol, mode, at)
            )
        except VenueRejected as rejected:
            if rejected.reason != rejects.MARGIN_MODE_NOT_MODIFIED:
                raise

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        """Read back leverage and margin mode."""
        exchange = self.world.exchange
        return await self._ask("read", symbol, lambda _: exchange.leverage(ACCOUNT, symbol))

    # orders

    def place(self, request: OrderRequest) -> "asyncio.Future[OrderUpdate]":
        """Send one order; it is on the wire before this returns."""
        return self.send_order(request)

    def send_order(self, request: OrderRequest) -> "asyncio.Future[OrderUpdate]":
        """Put an order on the wire, counted while it is there if it closes."""
        symbol = request.symbol

        def placed(at_ns: int) -> OrderUpdate:
            if request.stop and self.world.take("stop_refused", symbol):
                raise VenueRejected(rejects.STOP_WRONG_SIDE, "refused by the fault")
            return self.world.exchange.place(ACCOUNT, request, at_ns)

        answer = self._send("place", symbol, placed, request.client_id)
        if request.reduce_only and not request.trigger:
            self.closing[symbol] = self.closing.get(symbol, 0) + 1
            self.closed_ns[symbol] = self.world.now_ns
            answer.add_done_callback(lambda done: self._closed(symbol, done))
        return answer

    def _closed(self, symbol: str, done: "asyncio.Future[OrderUpdate]") -> None:
        self.closing[symbol] -= 1
        now_ns = self.world.now_ns
        is_lost = not done.cancelled() and isinstance(done.exception(), VenueUnknown)
        # a lost one may still be at work; another is not sent before risk's patience has ended
        late_ns = self.closed_ns[symbol] + 2 * EXIT_SOON_NS if is_lost else now_ns
        self.closed_ns[symbol] = max(now_ns, late_ns)

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Look an order up by client id."""
        exchange = self.world.exchange
        return await self._ask("read", symbol, lambda _: exchange.order(ACCOUNT, symbol, client_id))

    async def cancel_all(self, symbol: str) -> int:
        """Cancel every order of a symbol, conditional ones included."""
        exchange = self.world.exchange
        return await self._ask(
            "cancel", symbol, lambda at: len(exchange.cancel_all(ACCOUNT, symbol, at))
        )

    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        """Cancel one order; one that is gone is a success."""
        exchange = self.world.exchange

        def cancelled(at_ns: int) -> None:
            found = exchange.find_order(ACCOUNT, client_id=client_id, venue_id=venue_id)
            named = client_id if found is None else found.update.client_id
            exchange.cancel(ACCOUNT, symbol, named, at_ns)

        try:
            await self._ask("cancel", symbol, cancelled)
        except VenueRejected as rejected:
            if rejected.reason != rejects.UNKNOWN_ORDER:
                raise

    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        """Move a resting order to another price."""
        exchange = self.world.exchange

        def moved(at_ns: int) -> OrderUpdate:
            return exchange.amend(ACCOUNT, symbol, client_id, at_ns, price=price).update

        return await self._ask("place", symbol, moved)

    async def open_orders(self) -> list[OrderUpdate]:
        """Read every open order, conditional and attached ones too."""
        return await self._ask("read", "", lambda _: self.world.exchange.open_orders(ACCOUNT))

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Amend the position's stop and target in place."""
        exchange = self.world.exchange

        def moved(at_ns: int) -> PositionChanged:
            if self.world.take("stop_refused", symbol):
                raise VenueRejected(rejects.STOP_WRONG_SIDE, "refused by the fault")
            return exchange.set_protection(ACCOUNT, symbol, stop, target, "mark", at_ns)

        return await self._ask("protect", symbol, moved)

    # the account

    async def positions(self) -> list[PositionChanged]:
        """Read the open positions."""
        return await self._ask("read", "", lambda _: self.world.exchange.positions(ACCOUNT))

    async def balance(self) -> BalanceChanged:
        """Read the account."""
        return await self._ask("read", "", lambda _: self.world.exchange.balance(ACCOUNT))

    async def fills(self) -> list[Fill]:
        """Read the fills of the account; those the stream had not told are told now."""
        await self._reconciler.read_fills()
        return list(self.view.fills.values())

    async def fills_since(self, start_ms: int) -> list[Fill | FundingPaid]:
        """Read executions, and the funding paid since this line began."""
        world, start_ns = self.world, start_ms * NS_A_MS

        def read(_: int) -> list[Fill | FundingPaid]:
            since_ns = max(start_ns, self.began_ns)
            found: list[Fill | FundingPaid] = [
                fill for fill in world.exchange.fills(ACCOUNT) if fill.at_ns >= start_ns
            ]
            return found + [paid for paid in world.fundings if paid.at_ns >= since_ns]

        return await self._ask("read", "", read)
