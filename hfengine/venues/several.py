"""Several venues behind one face: a symbol says which it is of, BTCUSDT@bybit.

Each venue keeps its own names; what it tells is renamed on its way to the engine, and balances
carry the venue's name, for margin of one venue carries nothing at another.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Literal, TypeVar

from msgspec.structs import replace

from hfengine.clock import Clock
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import (
    BalanceChanged,
    Fill,
    Halt,
    Message,
    OrderUpdate,
    PositionChanged,
    Resume,
)
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.symbols import at_venue, plain_symbol, venue_of
from hfengine.venues.port import Answer, Ended, PartlyRead, Tell, Venue

M = TypeVar("M", bound=Message)


def renamed(message: M, venue: str) -> M:
    """Return a message of one venue as the engine knows it: symbols and sources qualified."""
    changes: dict[str, Any] = {}
    if isinstance(message, BalanceChanged):
        changes["venue"] = venue
    elif isinstance(message, Halt | Resume):
        changes["source"] = f"{venue} {message.source}"
    else:
        changes["symbol"] = at_venue(message.symbol, venue)  # type: ignore[attr-defined]
        if isinstance(message, Fill):
            # venues count their fills each for themselves
            changes["fill_id"] = f"{venue}:{message.fill_id}"
    return replace(message, **changes)


class SeveralVenues:
    """One account at each of several venues."""

    def __init__(self, venues: Mapping[str, Venue], clock: Clock) -> None:
        self._venues = dict(venues)
        self._clock = clock
        self._account: Tell | None = None

    def _of(self, symbol: str) -> tuple[str, Venue, str]:
        """Return (venue's name, venue, its own name of the symbol)."""
        name = venue_of(symbol)
        return name, self._venues[name], plain_symbol(symbol)

    @property
    def derived_marks(self) -> int:
        """Return how many frames the venues made up."""
        return sum(venue.derived_marks for venue in self._venues.values())

    def connect(self, market: Tell, account: Tell, ended: Ended) -> None:
        """Start all streams; the first that is over for good ends them for all."""
        self._account = account

        def through(tell: Tell, name: str, message: Message) -> None:
            tell(renamed(message, name))

        def over(name: str, reason: str) -> None:
            ended(f"{name}: {reason}")

        for name, venue in self._venues.items():
            venue.connect(
                partial(through, market, name),
                partial(through, account, name),
                partial(over, name),
            )

    def stop(self) -> None:
        """End all streams."""
        for venue in self._venues.values():
            venue.stop()

    async def snapshot(self, symbol: str) -> bytes | None:
        """Ask the symbol's venue for a book."""
        _, venue, plain = self._of(symbol)
        return await venue.snapshot(plain)

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Ask for a leverage."""
        _, venue, plain = self._of(symbol)
        await venue.set_leverage(plain, leverage)

    async def set_margin_mode(self, symbol: str, mode: Literal["isolated", "cross"]) -> None:
        """Ask for a margin mode."""
        _, venue, plain = self._of(symbol)
        await venue.set_margin_mode(plain, mode)

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        """Read leverage and margin mode."""
        name, venue, plain = self._of(symbol)
        return renamed(await venue.leverage_of(plain), name)

    def place(self, request: OrderRequest) -> Answer:
        """Send one order to its venue before this returns, where the venue does so."""
        name, venue, plain = self._of(request.symbol)
        answer = venue.place(replace(request, symbol=plain))
        return self._placed(answer, name)

    async def _placed(self, answer: Answer, name: str) -> OrderUpdate:
        return renamed(await answer, name)

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Look an order up at its venue."""
        name, venue, plain = self._of(symbol)
        found = await venue.order_by_id(plain, client_id)
        return None if found is None else renamed(found, name)

    async def cancel_all(self, symbol: str) -> int:
        """Cancel every order of a symbol."""
        _, venue, plain = self._of(symbol)
        return await venue.cancel_all(plain)

    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        """Cancel one order at the symbol's venue."""
        _, venue, plain = self._of(symbol)
        await venue.cancel(plain, client_id, venue_id)

    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        """Move a resting order to another price, at the symbol's venue."""
        name, venue, plain = self._of(symbol)
        return renamed(await venue.amend(plain, client_id, price), name)

    async def open_orders(self) -> list[OrderUpdate]:
        """Read the open orders of all venues; raises as soon as one does not answer.

        A list that lacks a venue's orders would say that they are gone.
        """
        names = list(self._venues)
        lists = await asyncio.gather(*(self._venues[name].open_orders() for name in names))
        pairs = zip(names, lists, strict=True)
        return [renamed(one, name) for name, found in pairs for one in found]

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Amend stop and target in place."""
        name, venue, plain = self._of(symbol)
        return renamed(await venue.protect(plain, stop, target), name)

    async def positions(self) -> list[PositionChanged]:
        """Read the positions of all venues; raises PartlyRead where only some answered."""
        names = list(self._venues)
        read = await asyncio.gather(
            *(self._venues[name].positions() for name in names), return_exceptions=True
        )
        found: list[PositionChanged] = []
        failures: list[str] = []
        for name, listed in zip(names, read, strict=True):
            if isinstance(listed, VenueRejected | VenueUnknown | VenueUnavailable):
                failures.append(f"{name}: {listed}")
            elif isinstance(listed, BaseException):
                raise listed
            else:
                found += [renamed(one, name) for one in listed]
        if failures:
            raise PartlyRead("; ".join(failures), found)
        return found

    async def fills(self) -> list[Fill]:
        """Read the fills of all venues."""
        names = list(self._venues)
        lists = await asyncio.gather(*(self._venues[name].fills() for name in names))
        pairs = zip(names, lists, strict=True)
        return [renamed(one, name) for name, found in pairs for one in found]

    async def balance(self) -> BalanceChanged:
        """Read all accounts, tell each as an event, and return their sum under no name."""
        names = list(self._venues)
        read = await asyncio.gather(*(self._venues[name].balance() for name in names))
        for name, one in zip(names, read, strict=True):
            if self._account is not None:
                self._account(renamed(one, name))
        return BalanceChanged(
            self._clock.now_ns(),
            sum((one.wallet_usdt for one in read), Decimal(0)),
            sum((one.equity_usdt for one in read), Decimal(0)),
            sum((one.free_margin_usdt for one in read), Decimal(0)),
            sum((one.maintenance_usdt for one in read), Decimal(0)),
        )
