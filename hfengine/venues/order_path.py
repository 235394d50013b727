"""The way of an account's orders out: over the trading socket where there is one, else by REST."""

import asyncio
from random import Random
from typing import Final

from hfengine import settings
from hfengine.clock import Clock
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import OrderUpdate, ProtectionRefused
from hfengine.requests import OrderRequest
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.venues.call_errors import CLOCK_SKEW, RATE_LIMIT
from hfengine.venues.keys import ApiKeys
from hfengine.venues.link import Link
from hfengine.venues.order_entry import (
    Credentials,
    LegOutcome,
    OrderEntry,
    OrderEntrySettings,
    Wires,
)
from hfengine.venues.port import Answer
from hfengine.venues.quirks import Place, Quirks
from hfengine.venues.understanding import acted
from hfengine.venues.venue_desk import VenueDesk

ORDERS: Final = "order"
"""The budget that orders count in, over whichever path."""


class OrderPath:
    """Sends orders, and answers by REST what the socket refused for a reason that passes."""

    def __init__(
        self,
        name: str,
        quirks: Quirks,
        desk: VenueDesk,
        *,
        place: Place,
        settings: settings.Venue,
        keys: ApiKeys,
        host: ActorHost,
        clock: Clock,
        random: Random,
        stages: Stages,
    ) -> None:
        self._name = name
        self._quirks = quirks
        self._desk = desk
        self._place = place
        self._settings = settings
        self._keys = keys
        self._host = host
        self._clock = clock
        self._random = random
        self._stages = stages
        self._link: Link | None = None
        self.entry: OrderEntry | None = None
        """The trading socket's session, None without one."""
        self.by_rest = 0
        self.by_socket = 0

    @property
    def is_ready(self) -> bool:
        """Whether orders go over the trading socket now."""
        return self.entry is not None and self.entry.is_ready

    # life

    def open(self) -> None:
        """Make the trading socket's session ready, if the profile wants one."""
        if self._settings.order_entry != "websocket" or self.entry is not None:
            return
        wires: Wires = {
            "clock": self._clock,
            "loop": self._host.loop,
            "settings": OrderEntrySettings(
                answer_max_s=self._settings.answer_max_s,
                recv_window_ms=self._settings.recv_window_ms,
            ),
            "on_ready": self._ready,
            "on_protection": self._protection_answered,
            "write_ns": self._stages.write,
        }
        credentials = Credentials(self._keys.key, self._keys.secret.encode())
        opened = self._quirks.order_entry(self._place, credentials, wires)
        if opened is None:
            text = f"{self._name} has no trading socket here: REST instead"
            self._desk.note("order_entry", text)
            return
        self.entry, url, link_settings = opened
        self.entry.clock_offset_ms = self._desk.offset.offset_ms
        self._link = Link(
            url,
            self.entry,
            host=self._host,
            random=self._random,
            settings=link_settings,
            name=f"{self._name} orders",
        )

    def start(self) -> None:
        """Connect the trading socket."""
        if self._link is not None:
            self._link.start()

    def stop(self) -> None:
        """End its connection."""
        if self._link is not None:
            self._link.stop()

    async def wait_stopped(self) -> None:
        """Wait until its connection is gone."""
        if self._link is not None:
            await self._link.wait_stopped()

    def set_clock_offset(self, offset_ms: int) -> None:
        """Take how far the venue's clock is ahead."""
        if self.entry is not None:
            self.entry.clock_offset_ms = offset_ms

    def _ready(self, ready: bool, reason: str) -> None:
        if not ready:
            self._desk.note("order_entry", reason)

    # orders

    def send(self, request: OrderRequest) -> Answer:
        """Send one order; over the socket its bytes leave before this returns."""
        entry = self.entry
        if entry is not None and entry.is_ready and self._quirks.takes(request):
            urgent = request.reduce_only or request.close_position
            if self._desk.limiter.try_send(ORDERS, urgent=urgent):
                self.by_socket += 1
                return self._follow(request, entry.place(request))
        return self._by_rest(request)

    async def _by_rest(self, request: OrderRequest) -> OrderUpdate:
        self.by_rest += 1
        acknowledged = await acted(self._quirks.place(request), request.client_id)
        self._desk.view.placed(acknowledged)
        return acknowledged

    async def _follow(
        self, request: OrderRequest, answer: asyncio.Future[OrderUpdate]
    ) -> OrderUpdate:
        """Wait for the socket's answer; a refusal that may pass is answered by REST, same id."""
        try:
            acknowledged = await answer
        except VenueUnavailable as error:
            # certainly not sent: what reduces goes another way, an entry is late by now
            if not (request.reduce_only or request.close_position):
                raise
            self._desk.note("order_entry", str(error))
        except VenueRejected as rejected:
            reason = rejected.reason
            self._desk.rejected[reason] += 1
            if reason == CLOCK_SKEW:
                await self._desk.offset.refresh()
            elif reason == RATE_LIMIT:
                self._desk.limiter.refused(ORDERS)
            else:
                self._desk.heed(reason, str(rejected))
                raise
        else:
            self._desk.view.placed(acknowledged)
            return acknowledged
        return await self._by_rest(request)

    def _protection_answered(self, request: OrderRequest, outcome: LegOutcome) -> None:
        if isinstance(outcome, OrderUpdate):
            self._desk.tell(outcome)
            return
        if isinstance(outcome, VenueUnknown):
            # the account says whether the leg is there; the guardian acts on missing cover
            self._desk.reconcile_soon(str(outcome))
            return
        if isinstance(outcome, VenueRejected):
            self._desk.heed(outcome.reason, str(outcome))
        self._desk.tell(
            ProtectionRefused(
                request.symbol,
                self._clock.now_ns(),
                request.client_id,
                "target" if request.kind == "take_profit_market" else "stop",
                str(outcome),
            )
        )
