"""Stops and targets on Binance, where each is an order of its own and nobody cancels them for us.

A stop leaves with its entry, the target once the entry lives. A leg that does not come to stand is
told at once. When a position goes flat what is left of its legs is cancelled; what slips through
(a target that arrives after the stop has fired) is found by a later look. A leg is moved by placing
the new one first.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Literal

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.messages import OrderKind, OrderUpdate, ProtectionRefused
from hfengine.requests import OrderRequest
from hfengine.runtime.waiting import wait_s
from hfengine.venues.binance_calls import (
    ORDER,
    UNTIL_CANCELLED,
    WEIGHT,
    WITH_POSITION,
    algo_params,
    moved_leg,
)
from hfengine.venues.binance_order_entry import stop_of, target_of
from hfengine.venues.binance_positions import AlgoOrder, Held, PositionBook, algo_of
from hfengine.venues.binance_rows import MS_NS, Row
from hfengine.venues.quirks import Desk

FIND_TRIES: Final = 5
FIND_FIRST_S: Final = 0.1
"""A leg whose answer was lost is looked for after 0.1, 0.2, 0.4 … s."""

GRACE_MS: Final = 1_000
"""An order may reach the venue for recv_window_ms after it left; a leg younger than that and this
may belong to an entry still on its way."""

NEEDLESS_MAX: Final = 1024
STILLBORN: Final = ("CANCELED", "EXPIRED", "REJECTED")
ENDED: Final = ("filled", "cancelled", "rejected")

EXISTS: Final = "protection_exists"
NEEDS_POSITION: Final = ("code_-4129", "code_-4509")
"""GTE_GTC where the venue sees no position (yet)."""

Told = Callable[[str], None]


class BinanceProtection:
    """Sends, moves and clears the legs of one account."""

    def __init__(
        self, desk: Desk, book: PositionBook, changed: Told, *, hedged: Callable[[], bool]
    ) -> None:
        """Take what it works with; `changed` hears of symbols whose cover changed."""
        self._desk = desk
        self._book = book
        self._changed = changed
        self._hedged = hedged
        self._placing: dict[str, asyncio.Future[None]] = {}
        self._moving: dict[str, asyncio.Lock] = {}
        self._sweeps: set[str] = set()
        self._flying: dict[str, OrderUpdate | None] = {}
        """Entries without an answer yet -> what the stream has told of them."""
        self._lost: dict[str, OrderRequest] = {}
        """Entries with legs whose answer was lost, by client id."""
        self._needless: dict[str, None] = {}
        """Ids of legs that we took back ourselves: that they do not stand is no news."""
        self.refused = 0
        self.cancelled_siblings = 0

    # legs of an entry

    def entry_leaves(self, entry: OrderRequest) -> None:
        """Send an entry's stop in the background, if it has one; what goes wrong is told."""
        if not (entry.stop or entry.target):
            return
        self._flying[entry.client_id] = None
        for lost in [one for one in self._lost.values() if one.symbol == entry.symbol]:
            # its target would close the newer position
            del self._lost[lost.client_id]
        if not entry.stop:
            return
        stop = stop_of(entry)
        self._needless.pop(stop.client_id, None)
        self._placing[stop.client_id] = self._desk.loop.create_future()
        self._desk.run(self._place_leg(stop, "stop"), f"stop of {entry.client_id}")

    def entry_lives(self, entry: OrderRequest) -> None:
        """Send the take-profit of an entry that has or may get a position."""
        self._flying.pop(entry.client_id, None)
        if entry.target:
            work = self._place_leg(target_of(entry), "target")
            self._desk.run(work, f"target of {entry.client_id}")

    def entry_ended(self, entry: OrderRequest) -> None:
        """Take back the stop of an entry that came to nothing."""
        self._flying.pop(entry.client_id, None)
        if entry.stop:
            stop = stop_of(entry)
            self._forgo(stop.client_id)
            self._desk.run(self._withdraw(stop), f"withdraw {entry.client_id}")

    def entry_lost(self, entry: OrderRequest) -> None:
        """Remember an entry whose answer was lost: it keeps its stop until its fate is known."""
        told = self._flying.pop(entry.client_id, None)
        if entry.stop or entry.target:
            self._lost[entry.client_id] = entry
        if told is not None:
            self.order_told(told)

    def order_told(self, update: OrderUpdate) -> None:
        """Learn what the stream or a query says of an order."""
        has_ended = update.state in ENDED
        if update.filled or has_ended:
            if update.client_id in self._flying:
                self._flying[update.client_id] = update
            entry = self._lost.pop(update.client_id, None)
            if entry is not None and update.filled:
                self.entry_lives(entry)
            elif entry is not None:
                self.entry_ended(entry)
        symbol = update.symbol
        if has_ended and self._book.is_flat(symbol) and self._book.reducing(symbol):
            # a resting entry that ended may have left its legs
            self.sweep_later(symbol)

    def make_room(self, leg: OrderRequest) -> None:
        """Place an entry's leg again that one left over from an earlier position kept out."""
        name: Literal["stop", "target"] = "stop" if leg.kind == "stop_market" else "target"
        self._desk.run(self._place_leg(leg, name), f"room for {leg.client_id}")

    def _forgo(self, leg_id: str) -> None:
        self._needless[leg_id] = None
        while len(self._needless) > NEEDLESS_MAX:
            del self._needless[next(iter(self._needless))]

    async def _place_leg(self, leg: OrderRequest, name: Literal["stop", "target"]) -> None:
        tif = UNTIL_CANCELLED if name == "stop" else WITH_POSITION
        try:
            await self._put_alone(leg, tif)
        except (VenueRejected, VenueUnknown, VenueUnavailable) as error:
            if self._stands(leg) or leg.client_id in self._needless:
                return
            self.refused += 1
            reason = error.reason if isinstance(error, VenueRejected) else str(error)
            at_ns = self._desk.now_ms() * MS_NS
            refused = ProtectionRefused(leg.symbol, at_ns, leg.client_id, name, reason)
            self._desk.tell(refused)
        finally:
            placing = self._placing.pop(leg.client_id, None)
            if placing is not None and not placing.done():
                placing.set_result(None)

    async def _put_alone(self, leg: OrderRequest, tif: str) -> None:
        """Place an entry's leg; one left over from an earlier position has to make room."""
        try:
            await self._put(leg, tif)
        except VenueRejected as error:
            if error.reason != EXISTS:
                raise
            await self._read_algos(leg.symbol)
            for order in self._book.reducing(leg.symbol):
                same = order.kind == leg.kind and order.side == leg.side and order.closes_all
                if same and order.client_id != leg.client_id:
                    await self._cancel(order)
            if not self._stands(leg):
                await self._put(leg, tif)

    async def _put(self, leg: OrderRequest, tif: str) -> AlgoOrder:
        """Place one conditional order and take it into the book; a lost answer is looked for."""
        try:
            row = await self._post(leg, tif)
        except VenueRejected as error:
            if error.reason not in NEEDS_POSITION or tif != WITH_POSITION:
                raise
            row = await self._post(leg, UNTIL_CANCELLED)
        except VenueUnknown:
            found = await self._find(leg)
            if found is None:
                raise
            row = found
        order, status = algo_of(row), str(row["algoStatus"])
        self._book.hear_algo(order, status)
        self._changed(leg.symbol)
        if status in STILLBORN:
            raise VenueRejected("leg_ended", f"{leg.client_id} is {status}")
        if not self._is_open(order):
            # too late: the position is gone, or the entry has not reached the venue
            self.sweep_later(leg.symbol)
        return order

    async def _post(self, leg: OrderRequest, tif: str) -> Row:
        params = algo_params(leg, hedged=self._hedged(), tif=tif)
        row: Row = await self._desk.call(
            "fapiPrivatePostAlgoOrder", params, group=ORDER, purpose="protect"
        )
        return row

    async def _find(self, leg: OrderRequest) -> Row | None:
        for attempt in range(FIND_TRIES):
            await wait_s(self._desk.loop, FIND_FIRST_S * 2**attempt)
            try:
                return await self.algo_by_id(leg.client_id)
            except (VenueRejected, VenueUnavailable):
                continue
        return None

    async def algo_by_id(self, client_id: str) -> Row:
        """Read one conditional order; VenueRejected when the venue does not know it."""
        params = {"clientAlgoId": client_id}
        row: Row = await self._desk.call("fapiPrivateGetAlgoOrder", params, group=WEIGHT)
        return row

    def _stands(self, leg: OrderRequest) -> bool:
        """Tell whether the stream told meanwhile that a leg of this id stands."""
        return any(order.client_id == leg.client_id for order in self._book.reducing(leg.symbol))

    def knows(self, symbol: str, client_id: str) -> bool:
        """Tell whether a waiting conditional order has this id, as far as was heard."""
        return any(order.client_id == client_id for order in self._book.reducing(symbol))

    async def cancel_one(self, symbol: str, client_id: str, algo_id: str) -> None:
        """Cancel one conditional order, by its client id where it has one.

        VenueRejected "unknown_order" where the venue has none that waits.
        """
        named = {"clientAlgoId": client_id} if client_id else {"algoId": algo_id}
        params = {"symbol": symbol} | named
        await self._desk.call("fapiPrivateDeleteAlgoOrder", params, group=WEIGHT, purpose="protect")
        for order in self._book.reducing(symbol):
            if order.client_id == client_id if client_id else order.algo_id == algo_id:
                self._forgo(order.client_id)
                self._book.forget_algo(order)
        self._changed(symbol)

    async def _withdraw(self, leg: OrderRequest) -> None:
        placing = self._placing.get(leg.client_id)
        if placing is not None:
            await placing
        for order in self._book.reducing(leg.symbol):
            if order.client_id == leg.client_id:
                await self._cancel(order)

    # the end of a position

    def clear(self, held: Held) -> None:
        """Cancel what is left of a position's legs now that it is flat.

        A leg made since may be the next entry's: the news of the end can come after that.
        """
        symbol = held.symbol
        for order in self._book.reducing(symbol):
            is_its = order.slot == held.slot and order.created_ms * MS_NS < held.at_ns
            if is_its and not self._book.is_triggered(order):
                self.cancelled_siblings += 1
                self._desk.run(self._cancel(order), f"sibling {order.client_id}")
        self.sweep_later(symbol)

    def sweep_later(self, symbol: str) -> None:
        """Look for orphaned legs once nothing can be on its way to the venue any more."""
        if symbol in self._sweeps:
            return
        self._sweeps.add(symbol)
        delay_ms = self._desk.settings.recv_window_ms + 2 * GRACE_MS

        def fire() -> None:
            self._sweeps.discard(symbol)
            self._desk.run(self._sweep(symbol), f"sweep {symbol}")

        self._desk.timers.after(delay_ms * MS_NS, fire)

    async def _sweep(self, symbol: str) -> None:
        """Cancel closing orders of a flat symbol that no entry can need.

        One that is younger than an order's life on the way may; then it is looked at again.
        """
        if not self._book.reducing(symbol):
            return
        began_ms = self._desk.now_ms()
        params = {"symbol": symbol}
        call = self._desk.call
        positions, orders, algos = await asyncio.gather(
            call("fapiPrivateV3GetPositionRisk", params, group=WEIGHT, weight=5),
            call("fapiPrivateGetOpenOrders", params, group=WEIGHT),
            call("fapiPrivateGetOpenAlgoOrders", params, group=WEIGHT),
        )
        self._book.read(positions, algos, began_ns=began_ms * MS_NS, symbol=symbol)
        self._changed(symbol)
        if any(not row.get("reduceOnly") for row in orders):
            return
        if any(not algo_of(row).reduces for row in algos):
            # it opens a position when triggered, which will need its legs
            return
        oldest_ms = began_ms - self._desk.settings.recv_window_ms - GRACE_MS
        young = False
        for order in self._book.reducing(symbol):
            if self._is_open(order):
                continue
            if order.created_ms > oldest_ms:
                young = True
                continue
            self._desk.note("orphan", f"{symbol} {order.client_id or order.algo_id}")
            await self._cancel(order)
        if young:
            self.sweep_later(symbol)

    def _is_open(self, order: AlgoOrder) -> bool:
        return self._book.is_open(order.symbol, order.slot)

    async def _cancel(self, order: AlgoOrder) -> None:
        """Cancel one conditional order; one the venue does not have any more is forgotten."""
        params: dict[str, Any] = {"symbol": order.symbol, "algoId": order.algo_id}
        try:
            await self._desk.call(
                "fapiPrivateDeleteAlgoOrder", params, group=WEIGHT, purpose="protect"
            )
        except VenueRejected as error:
            if error.reason != rejects.UNKNOWN_ORDER:
                self._desk.note("cancel_refused", str(error))
                self.sweep_later(order.symbol)
                return
        except (VenueUnknown, VenueUnavailable) as error:
            self._desk.note("cancel_lost", str(error))
            self.sweep_later(order.symbol)
            return
        self._forgo(order.client_id)
        self._book.forget_algo(order)
        self._changed(order.symbol)

    # moves

    async def move(self, symbol: str, stop: Decimal, target: Decimal) -> None:
        """Move a position's stop and target; 0 takes one away. One move of a symbol at a time.

        Raises VenueRejected when there is no position, or the venue refuses the new place: the old
        one then stays in force.
        """
        lock = self._moving.setdefault(symbol, asyncio.Lock())
        async with lock:
            await self._move_leg(symbol, "stop_market", stop)
            await self._move_leg(symbol, "take_profit_market", target)

    async def _move_leg(self, symbol: str, kind: OrderKind, trigger: Decimal) -> None:
        held = self._book.held(symbol)
        if held is None or not held.quantity:
            raise VenueRejected(rejects.NO_POSITION, symbol)
        old = self._book.leg(held, kind)
        if trigger:
            whole = old.covered >= abs(held.quantity)
            alone = len(old.orders) == 1 and old.orders[0].by_mark
            if whole and old.trigger == trigger and alone:
                return
            await self._replace(held, kind, trigger, old.orders)
        for order in old.orders:
            await self._cancel(order)

    async def _replace(
        self, held: Held, kind: OrderKind, trigger: Decimal, old: tuple[AlgoOrder, ...]
    ) -> None:
        fallback = f"hf-m{self._desk.now_ms()}"
        leg = moved_leg(held, kind, trigger, old, fallback)
        try:
            await self._put(leg, WITH_POSITION)
        except VenueRejected as error:
            if error.reason != EXISTS or not leg.close_position:
                raise
            # one stands that we had not heard of: read what there is, then go beside it
            await self._read_algos(held.symbol)
            known = self._book.leg(held, kind).orders
            beside = moved_leg(held, kind, trigger, known, f"{fallback}b")
            if beside.close_position:
                raise
            await self._put(beside, WITH_POSITION)
            for order in known:
                if order not in old:
                    await self._cancel(order)

    async def _read_algos(self, symbol: str) -> None:
        began_ms = self._desk.now_ms()
        params = {"symbol": symbol}
        positions, algos = await asyncio.gather(
            self._desk.call("fapiPrivateV3GetPositionRisk", params, group=WEIGHT, weight=5),
            self._desk.call("fapiPrivateGetOpenAlgoOrders", params, group=WEIGHT),
        )
        self._book.read(positions, algos, began_ns=began_ms * MS_NS, symbol=symbol)
