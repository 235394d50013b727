"""One account at an exchange in this process: requests, answers and events take their time.

Each takes a seeded latency of its own, so acknowledgement and fill race as on a real venue.
"""

from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, TypeVar, cast

from hfengine.clock import Clock
from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.core import Exchange
from hfengine.exchange.latency import FifoDelay, Latency
from hfengine.messages import BalanceChanged, Fill, Message, OrderUpdate, PositionChanged
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.seeds import Seed
from hfengine.settings import Venue as VenueSettings
from hfengine.venues.port import Tell

ACCOUNT = "main"
WALLET_UNIT_USDT = Decimal("1e-8")

T = TypeVar("T")


class SimulatedAccount(ABC):
    """The account half of a simulated venue; a subclass brings the market and the timers."""

    def __init__(
        self,
        exchange: Exchange,
        settings: VenueSettings,
        *,
        seed: Seed,
        loop: AbstractEventLoop,
        clock: Clock,
    ) -> None:
        self._exchange = exchange
        self._simulation_loop = loop
        self._simulation_clock = clock
        self._account_events: deque[Message] = deque()
        order = (settings.order_latency_us, settings.order_jitter_us)
        self._order_delay = self._delay(seed, "order", *order)
        self._answer_delay = self._delay(seed, "answer", *order)
        self._account_delay = self._delay(seed, "account", *order)
        self._account: Tell = unconnected
        wallet_usdt = Decimal(str(settings.wallet_usdt)).quantize(WALLET_UNIT_USDT)
        exchange.open_account(ACCOUNT, wallet_usdt)

    @staticmethod
    def _delay(seed: Seed, name: str, base_us: int, jitter_us: int) -> FifoDelay:
        return FifoDelay(Latency(seed.stream(f"latency/{name}"), base_us, jitter_us))

    @property
    def exchange(self) -> Exchange:
        """The exchange itself, for the closing comparison of ledgers."""
        return self._exchange

    @abstractmethod
    def _at(self, due_ns: int, call: Callable[..., None], *arguments: Any) -> None:
        """Call at a time of the simulation's clock."""

    def _send_account_events(self, at_ns: int) -> None:
        for account, event in self._exchange.drain():
            if account == ACCOUNT:
                self._account_events.append(event)
                due_ns = self._account_delay.due_ns(at_ns)
                self._at(due_ns, self._deliver_account_event)

    def _deliver_account_event(self) -> None:
        # one timer an event; taken in order here because equal due times have no order of theirs
        self._account(self._account_events.popleft())

    # requests

    async def _request(self, call: Callable[[int], T]) -> T:
        answer: Future[object] = self._simulation_loop.create_future()
        due_ns = self._order_delay.due_ns(self._simulation_clock.now_ns())
        self._at(due_ns, self._arrive, call, answer)
        outcome = await answer
        if isinstance(outcome, VenueRejected):
            raise outcome
        return cast("T", outcome)

    def _arrive(self, call: Callable[[int], object], answer: Future[object]) -> None:
        at_ns = self._simulation_clock.now_ns()
        outcome: object
        try:
            outcome = call(at_ns)
        except VenueRejected as rejected:
            outcome = rejected
        self._send_account_events(at_ns)
        due_ns = self._answer_delay.due_ns(at_ns)
        self._at(due_ns, _settle, answer, outcome)

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set the leverage of a symbol; VenueRejected above the tier's maximum."""
        await self._request(lambda at: self._exchange.set_leverage(ACCOUNT, symbol, leverage, at))

    async def set_margin_mode(self, symbol: str, mode: Literal["isolated", "cross"]) -> None:
        """Set the margin mode; "not modified" is a success."""
        try:
            await self._request(
                lambda at: self._exchange.set_margin_mode(ACCOUNT, symbol, mode, at)
            )
        except VenueRejected as rejected:
            if rejected.reason != "margin_mode_not_modified":
                raise

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        """Read back leverage and margin mode."""
        return await self._request(lambda _: self._exchange.leverage(ACCOUNT, symbol))

    async def place(self, request: OrderRequest) -> OrderUpdate:
        """Send one order."""
        return await self._request(lambda at: self._exchange.place(ACCOUNT, request, at))

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Look an order up by client id."""
        return await self._request(lambda _: self._exchange.order(ACCOUNT, symbol, client_id))

    async def cancel_all(self, symbol: str) -> int:
        """Cancel every order of a symbol, conditional ones included."""
        return await self._request(lambda at: len(self._exchange.cancel_all(ACCOUNT, symbol, at)))

    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        """Cancel one order; one that is gone is a success."""

        def cancelled(at_ns: int) -> None:
            found = self._exchange.find_order(ACCOUNT, client_id=client_id, venue_id=venue_id)
            named = client_id if found is None else found.update.client_id
            self._exchange.cancel(ACCOUNT, symbol, named, at_ns)

        try:
            await self._request(cancelled)
        except VenueRejected as rejected:
            if rejected.reason != rejects.UNKNOWN_ORDER:
                raise

    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        """Move a resting order to another price."""

        def moved(at_ns: int) -> OrderUpdate:
            return self._exchange.amend(ACCOUNT, symbol, client_id, at_ns, price=price).update

        return await self._request(moved)

    async def open_orders(self) -> list[OrderUpdate]:
        """Read every open order, conditional and attached ones too."""
        return await self._request(lambda _: self._exchange.open_orders(ACCOUNT))

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Amend the position's stop and target in place, triggered by mark price."""
        return await self._request(
            lambda at: self._exchange.set_protection(ACCOUNT, symbol, stop, target, "mark", at)
        )

    async def positions(self) -> list[PositionChanged]:
        """Read the open positions."""
        return await self._request(lambda _: self._exchange.positions(ACCOUNT))

    async def balance(self) -> BalanceChanged:
        """Read the account."""
        return await self._request(lambda _: self._exchange.balance(ACCOUNT))

    async def fills(self) -> list[Fill]:
        """Read all fills of the account."""
        return await self._request(lambda _: self._exchange.fills(ACCOUNT))


def _settle(answer: Future[object], outcome: object) -> None:
    if not answer.done():
        answer.set_result(outcome)


def unconnected(message: Message) -> None:
    msg = f"a venue event before connect(): {type(message).__name__}"
    raise RuntimeError(msg)
