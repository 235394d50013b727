"""A venue that takes orders through the real order entry and sends them nowhere."""

import asyncio
from collections.abc import Callable, Mapping

from hfengine.clock import Clock
from hfengine.instruments import Instrument
from hfengine.kernels.histogram import now_ns
from hfengine.requests import OrderRequest
from hfengine.venues.bybit_order_entry import BybitOrderEntry
from hfengine.venues.local_account import LocalAccount
from hfengine.venues.loopback import Loopback
from hfengine.venues.order_entry import Credentials, OrderEntry, OrderEntrySettings
from hfengine.venues.port import Answer

Acknowledge = Callable[[int], bytes]
"""Makes the venue's acknowledgement of a request id."""


class Sink:
    """Takes order frames where a socket would, and notes when.

    With a loopback they go through the system's network code as well.
    """

    __slots__ = ("frames", "last_frame", "loopback", "sent_ns")

    def __init__(self, loopback: Loopback | None = None) -> None:
        self.loopback = loopback
        self.sent_ns = 0
        self.frames = 0
        self.last_frame = b""

    def send(self, payload: bytes) -> None:
        """Note the moment, monotonic, at which the bytes are handed over."""
        self.sent_ns = now_ns()
        self.last_frame = payload
        self.frames += 1
        if self.loopback is not None:
            self.loopback.carry(payload)

    def close(self) -> None:
        """Take no more; the loopback is closed."""
        if self.loopback is not None:
            self.loopback.close()


def bybit_acknowledgement(request_id: int) -> bytes:
    """Return what Bybit answers to an order it takes."""
    reply = b'{"op":"order.create","retCode":0,"retMsg":"OK","reqId":"%d","data":{"orderId":"x"}}'
    return reply % request_id


BYBIT_WELCOME = b'{"op":"auth","retCode":0,"retMsg":"OK"}'


class RehearsedVenue(LocalAccount):
    """Places orders into a sink; `answer` acknowledges and cancels what was placed since."""

    def __init__(
        self,
        clock: Clock,
        orders: OrderEntry,
        welcome: bytes,
        acknowledge: Acknowledge,
        loopback: Loopback | None = None,
    ) -> None:
        super().__init__(clock)
        self.sink = Sink(loopback)
        self._orders = orders
        self._acknowledge = acknowledge
        self._placed: list[OrderRequest] = []
        orders.opened(self.sink)
        orders.heard(welcome, clock.now_ns())
        # the authentication went there too, and is no order
        self.sink.frames = 0

    def stop(self) -> None:
        """Close what the orders went through."""
        self.sink.close()

    def place(self, request: OrderRequest) -> Answer:
        """Send one order into the sink."""
        self._placed.append(request)
        return self._orders.place(request)

    def answer(self) -> None:
        """Acknowledge every order placed since, and tell it cancelled unfilled."""
        for request in self._placed:
            reply = self._acknowledge(self._orders.last_request_id)
            self._orders.heard(reply, self._clock.now_ns())
            self.cancel_unfilled(request)
        self._placed.clear()


def rehearsed_bybit(
    instruments: Mapping[str, Instrument],
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
    *,
    loopback: Loopback | None = None,
) -> RehearsedVenue:
    """Return a venue that builds Bybit's order frames and sends them nowhere but to a loopback."""
    orders = BybitOrderEntry(
        instruments,
        Credentials("rehearsal", b"signs nothing that is sent"),
        clock=clock,
        loop=loop,
        settings=OrderEntrySettings(),
    )
    return RehearsedVenue(clock, orders, BYBIT_WELCOME, bybit_acknowledgement, loopback)


def rehearsed_over_loopback(
    instruments: Mapping[str, Instrument], clock: Clock, loop: asyncio.AbstractEventLoop
) -> RehearsedVenue:
    """Return the same whose orders go through the system's network code and come back."""
    return rehearsed_bybit(instruments, clock, loop, loopback=Loopback())
