"""A line to a venue where stop and target are orders of their own, as Binance has it.

Models what `binance_protection.py` does: the stop leaves right behind its entry on the same
connection, the target once the entry lives, the sibling is cancelled when the position is flat, a
leg is moved by placing the new one first, a leg that does not come to stand is told.
"""

import asyncio
from decimal import Decimal
from typing import Any, Literal

from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.messages import (
    Message,
    OrderKind,
    OrderUpdate,
    PositionChanged,
    ProtectionRefused,
)
from hfengine.requests import OrderRequest
from hfengine.simulation.line import Line
from hfengine.simulation.world import ACCOUNT
from hfengine.venues.binance_order_entry import stop_of, target_of

ENDED = ("filled", "cancelled", "rejected")
FIND_TRIES = 5
SWEEP_S = 7.0
"""Longer than an order may be on its way."""

TROUBLE = (VenueRejected, VenueUnknown, VenueUnavailable)
NONE = Decimal(0)


class LegLine(Line):
    """The adapter's own work: legs are sent, found again, moved and cleared."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lost: dict[str, OrderRequest] = {}
        """Entries whose answer was lost, by client id: they keep their stop."""
        self._read: dict[str, PositionChanged] = {}
        self._moves = 0
        self._moving: dict[str, asyncio.Lock] = {}
        self._sweeping: set[str] = set()
        self.cancelled_siblings = 0

    # entries

    def place(self, request: OrderRequest) -> "asyncio.Future[OrderUpdate]":
        """Send an order; a stop follows its entry on the same connection at once."""
        if not (request.stop or request.target):
            return self.send_order(request)
        bare = replace(request, stop=NONE, target=NONE)
        answer = self.send_order(bare)
        if request.stop and not answer.done():
            self._run(self._place_leg(stop_of(request), "stop"))
        answer.add_done_callback(lambda done: self._answered(request, done))
        return answer

    def _answered(self, entry: OrderRequest, done: "asyncio.Future[OrderUpdate]") -> None:
        if done.cancelled() or self.dead:
            return
        error = done.exception()
        if isinstance(error, VenueUnknown):
            self._lost[entry.client_id] = entry
        elif error is not None:
            self._run(self._withdraw(entry))
        else:
            self._learn(entry, done.result())

    def _learn(self, entry: OrderRequest, update: OrderUpdate) -> None:
        if update.filled and entry.target:
            self._run(self._place_leg(target_of(entry), "target"))
        elif update.filled:
            return
        elif update.state in ENDED:
            self._run(self._withdraw(entry))
        else:
            # it rests: its target follows with the first fill
            self._lost[entry.client_id] = entry

    def heard(self, message: Message) -> None:
        """Learn from the stream what became of an entry, and clear up behind a position."""
        if isinstance(message, OrderUpdate):
            if (message.filled or message.state in ENDED) and message.client_id in self._lost:
                self._learn(self._lost.pop(message.client_id), message)
        elif isinstance(message, PositionChanged) and not message.quantity:
            self._run(self._clear(message.symbol, message.at_ns))
            self._sweep_later(message.symbol)

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Look an order up; what a lost entry turns out to be concerns its legs."""
        found = await super().order_by_id(symbol, client_id)
        if found is not None and client_id in self._lost and (found.filled or found.state in ENDED):
            self._learn(self._lost.pop(client_id), found)
        return found

    # legs

    async def _place_leg(self, leg: OrderRequest, name: Literal["stop", "target"]) -> None:
        try:
            await self._put(leg, strikes=name == "stop")
        except TROUBLE as error:
            at_ns, reason = self.world.now_ns, str(error)
            if self._connected and not self._stopped:
                refused = ProtectionRefused(leg.symbol, at_ns, leg.client_id, name, reason)
                self._account(refused)

    async def _put(self, leg: OrderRequest, *, strikes: bool) -> None:
        """Place a conditional order; one whose answer was lost is looked for."""
        try:
            await self._send_leg(leg, strikes=strikes)
        except VenueUnknown:
            for attempt in range(FIND_TRIES):
                await self._pause(0.1 * 2**attempt)
                try:
                    found = await super().order_by_id(leg.symbol, leg.client_id)
                except TROUBLE:
                    continue
                if found is not None:
                    return
            raise

    async def _send_leg(self, leg: OrderRequest, *, strikes: bool) -> None:
        def placed(at_ns: int) -> OrderUpdate:
            exchange = self.world.exchange
            if strikes and self.world.take("stop_refused", leg.symbol):
                raise VenueRejected(rejects.WOULD_TRIGGER_IMMEDIATELY, "refused by the fault")
            mark = exchange.mark(leg.symbol)
            rising = (leg.side > 0) == (leg.kind == "stop_market")
            if (mark >= leg.trigger) if rising else (mark <= leg.trigger):
                raise VenueRejected(rejects.WOULD_TRIGGER_IMMEDIATELY, "-2021")
            return exchange.place(ACCOUNT, leg, at_ns)

        await self._ask("protect", leg.symbol, placed, leg.client_id)

    async def _withdraw(self, entry: OrderRequest) -> None:
        await self._drop(entry.symbol, stop_of(entry).client_id)

    async def _drop(self, symbol: str, client_id: str) -> None:
        try:
            await self.cancel(symbol, client_id, "")
        except TROUBLE:
            self._sweep_later(symbol)

    def _legs(self, symbol: str, *, kind: OrderKind | None = None) -> list[OrderUpdate]:
        """Return the closing conditional orders the stream has told of."""
        return [
            order
            for order in self.view.open_orders.values()
            if order.symbol == symbol
            and order.state == "untriggered"
            and order.reduce_only
            and kind in (None, order.kind)
        ]

    async def _clear(self, symbol: str, flat_ns: int) -> None:
        for leg in self._legs(symbol):
            if leg.at_ns < flat_ns:
                self.cancelled_siblings += 1
                await self._drop(symbol, leg.client_id)

    def _sweep_later(self, symbol: str) -> None:
        if symbol not in self._sweeping and not self._stopped and not self.dead:
            self._sweeping.add(symbol)
            self._run(self._sweep(symbol))

    async def _sweep(self, symbol: str) -> None:
        """Cancel what is left of a flat symbol once nothing can be on its way to it."""
        try:
            await self._pause(SWEEP_S)
        finally:
            self._sweeping.discard(symbol)
        oldest_ns = self.world.now_ns - int(SWEEP_S * 1e9)
        try:
            positions, orders = await self.positions(), await self.open_orders()
        except TROUBLE:
            self._sweep_later(symbol)
            return
        if any(one.symbol == symbol for one in positions):
            return
        mine = [one for one in orders if one.symbol == symbol]
        if any(not one.reduce_only for one in mine):
            return
        for order in mine:
            if order.at_ns < oldest_ns:
                await self._drop(symbol, order.client_id)

    # moves

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Move stop and target: the new leg is placed before the old one goes."""
        async with self._moving.setdefault(symbol, asyncio.Lock()):
            await self._move(symbol, "stop_market", stop)
            await self._move(symbol, "take_profit_market", target)
        for held in await self.positions():
            if held.symbol == symbol:
                return held
        raise VenueRejected(rejects.NO_POSITION, symbol)

    async def positions(self) -> list[PositionChanged]:
        """Read the open positions; a line that has just come up knows them from here."""
        read = await super().positions()
        self._read = {position.symbol: position for position in read}
        return read

    async def _move(self, symbol: str, kind: OrderKind, trigger: Decimal) -> None:
        held = self.view.positions.get(symbol) or self._read.get(symbol)
        if held is None or not held.quantity:
            raise VenueRejected(rejects.NO_POSITION, symbol)
        old = self._legs(symbol, kind=kind)
        if len(old) == 1 and old[0].trigger == trigger and held.covered >= held.quantity:
            return
        if trigger:
            self._moves += 1
            leg = OrderRequest(
                client_id=f"hf-m{self.number}-{self.world.now_ms}-{self._moves}",
                symbol=symbol,
                side=-held.side,
                kind=kind,
                quantity=NONE,
                reduce_only=True,
                trigger=trigger,
                trigger_by="mark",
                close_position=True,
            )
            await self._put(leg, strikes=kind == "stop_market")
        for order in old:
            await self._drop(symbol, order.client_id)
