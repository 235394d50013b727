"""The streams of one engine: the public feed and the private events, with their breaks.

What `LiveVenue` does about a break is done here too: a lost private stream is made again and the
account read, by the same `Reconciler` and `AccountView`.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any, Final, cast

from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import (
    BalanceChanged,
    BookTick,
    FeedFault,
    Fill,
    MarkTick,
    Message,
    OrderUpdate,
    PositionChanged,
    TradeTick,
)
from hfengine.oversight import VenueHealth
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.runtime.waiting import wait_s
from hfengine.simulation.faults import REORDERED
from hfengine.simulation.market import Top
from hfengine.simulation.order_path import RESET_MS, OrderPath, unconnected
from hfengine.simulation.world import NS_A_MS, World
from hfengine.venues.account_view import AccountView
from hfengine.venues.feed_faults import DISCONNECTED, GAP
from hfengine.venues.port import Ended, Tell
from hfengine.venues.reconciling import Reconciler

BLIND_MS: Final = 1_000
KEPT: Final = 64
"""Account events remembered to be told again after a reconnect."""


class Streams(OrderPath):
    """Brings market data and account events while their connections live."""

    def __init__(self, world: World, loop: VirtualLoop, number: int) -> None:
        super().__init__(world, loop, number)
        self.view = AccountView()
        self._private = self._delay("private", 3_000, 3_000)
        self._public = self._delay("feed", 500, 300)
        self._market: Tell = unconnected
        self._stopped = False
        self._feed_up = True
        self._queue: deque[tuple[int, Message]] = deque()
        self._life = 0
        """Which private connection this is: what an older one carried is lost."""
        self._told: deque[Message] = deque(maxlen=KEPT)
        self._work: set[asyncio.Task[None]] = set()
        self._reconciler = Reconciler(
            cast("Any", self), self.view, tell=self.tell, now_ms=lambda: self._venue_ns() // NS_A_MS
        )

    # life

    def connect(self, market: Tell, account: Tell, _ended: Ended) -> None:
        """Start the streams."""
        self._market, self._account = market, account
        self._connected = True
        self._private_opens()
        self._look_at_clock()

    def stop(self) -> None:
        """End the streams; requests are still answered. Safe to call twice."""
        self._stopped = True
        for task in self._work:
            task.cancel()

    async def close(self) -> None:
        """Wait for the end of what was under way."""
        await asyncio.gather(*self._work, return_exceptions=True)

    def vitals(self) -> Sequence[VenueHealth]:
        """Say how the line is."""
        offset_ms = self.world.offset_ns / NS_A_MS
        answer_ms = 8.0 + 2 * self.world.slow_ns["orders"] / NS_A_MS
        return [VenueHealth("", self.world.now_ns, offset_ms, answer_ms, self._private_up)]

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    def _look_at_clock(self) -> None:
        if self.dead or self._stopped:
            return
        offset_ms = self.world.offset_ns / NS_A_MS
        if abs(offset_ms) > 500:
            self._halt("clock", f"the venue's clock is {offset_ms:g} ms from ours")
        else:
            self._resume("clock")
        self.world.after_ms(1_000, self._look_at_clock)

    # the public feed

    def show(self, symbol: str, top: Top, funding_ns: int, rate: float) -> None:
        """Send what a market step made."""
        world = self.world
        if not self._connected or self._stopped or not self._feed_up:
            return
        if world.is_down("feed"):
            self._feed_up = False
            world.after_ms(RESET_MS, self._feed_breaks)
            return
        slow_ns = world.slow_ns["feed"]
        if slow_ns:
            world.counts["slow_feed"] += 1
        due_ns = self._public.due_ns(world.now_ns + slow_ns)
        world.at(due_ns, self._deliver_top, symbol, top, self._venue_ns(), funding_ns, rate)

    def _deliver_top(
        self, symbol: str, top: Top, stamped_ns: int, funding_ns: int, rate: float
    ) -> None:
        if not self._connected or self._stopped or not self._feed_up:
            return
        now_ns, stamped_ms = self.world.now_ns, stamped_ns // NS_A_MS
        if symbol in self.world.gaps:
            self.world.gaps.discard(symbol)
            self.world.counts["feed_gap"] += 1
            self._market(FeedFault(symbol, now_ns, GAP, "simulation", 0, "an update was lost"))
            return
        price = float(self.world.instruments[symbol].price_tick * top.trade_ticks)
        step = self.world.instruments[symbol].step_quantity
        number = self.world.steps
        quantity = top.trade_steps * step
        side = top.trade_side
        imbalance = (top.bid_quantity - top.ask_quantity) / (top.bid_quantity + top.ask_quantity)
        bid, ask = (top.bid, top.bid_quantity), (top.ask, top.ask_quantity)
        self._market(TradeTick(symbol, now_ns, stamped_ms, number, price, quantity, side))
        self._market(BookTick(symbol, now_ns, stamped_ms, number, *bid, *ask, imbalance))
        if top.mark is not None:
            mark = float(top.mark)
            self._market(MarkTick(symbol, now_ns, mark, mark, rate, funding_ns))

    def _feed_breaks(self) -> None:
        if not self._connected or self._stopped:
            return
        self.world.counts["feed_lost"] += 1
        for symbol in self.world.instruments:
            fault = FeedFault(symbol, self.world.now_ns, DISCONNECTED, "simulation", 0, "reset")
            self._market(fault)
        self._feed_opens()

    def _feed_opens(self) -> None:
        if self.dead or self._stopped:
            return
        if self.world.is_down("feed"):
            self.world.after_ms(100, self._feed_opens)
        else:
            self._feed_up = True

    async def snapshot(self, _symbol: str) -> bytes | None:
        """Leave it to the stream, whose every message is a whole top."""
        return None

    # the private stream

    def event(self, event: Message) -> None:
        """Send an account event."""
        if not self._connected or not self._private_up or self._stopped:
            return
        world = self.world
        if world.is_down("private"):
            self._private_breaks()
            return
        slow_ns = world.slow_ns["private"]
        if slow_ns:
            world.counts["slow_private"] += 1
        if world.offset_ns and isinstance(event, PositionChanged | BalanceChanged | OrderUpdate):
            event = replace(event, at_ns=self._venue_ns())
        self._queue.append((self._life, event))
        world.at(self._private.due_ns(world.now_ns + slow_ns), self._deliver)

    def _deliver(self) -> None:
        life, event = self._queue.popleft()
        if self.dead or self._stopped or life != self._life:
            return
        client_id = getattr(event, "client_id", "")
        if client_id and any(sent.client_id == client_id for sent in self._flying):
            self.world.counts[REORDERED] += 1
        self._told.append(event)
        self.tell(event)

    def tell(self, message: Message) -> None:
        """Tell the engine what is news of its account."""
        if self._connected and not self._stopped and self.view.take(message):
            self.heard(message)
            self._account(message)

    def heard(self, message: Message) -> None:
        """Act on what was told, where the adapter has to."""

    def break_private(self) -> None:
        """Lose the private connection now."""
        if self._private_up:
            self._private_breaks()

    def _private_breaks(self) -> None:
        self._private_up = False
        self._life += 1
        self.world.counts["private_lost"] += 1
        self.world.after_ms(RESET_MS, self._private_opens)
        self.world.after_ms(BLIND_MS, self._still_blind, self._life)

    def _still_blind(self, life: int) -> None:
        if not self.dead and not self._private_up and life == self._life:
            self._halt("blind", "no private stream")

    def _private_opens(self) -> None:
        if self.dead or self._stopped:
            return
        if self.world.is_down("private") or self.world.maintenance:
            self.world.after_ms(100, self._private_opens)
            return
        self._private_up = True
        self._resume("blind")
        if self._life:
            if self.world.take("duplicates"):
                self._repeat()
            self.reconcile_soon()

    def _repeat(self) -> None:
        """Replay what was told before, as venues do after a reconnect; positions only once."""
        for message in list(self._told):
            if isinstance(message, OrderUpdate | Fill):
                self._account(message)

    def reconcile_soon(self) -> None:
        """Read the account and tell what is missing."""
        if not self.dead and not self._stopped:
            self._run(self._reconcile())

    async def _reconcile(self) -> None:
        life = self._life
        while not self._stopped and life == self._life:
            try:
                if await self._reconciler.reconcile():
                    return
            except (VenueRejected, VenueUnknown, VenueUnavailable):
                pass
            await self._pause(0.5)

    async def _pause(self, seconds: float) -> None:
        await wait_s(self.loop, seconds)
