"""A real market feed and real order entry over sockets, beside an account that is only local."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from hfengine.clock import Clock
from hfengine.instruments import Instrument
from hfengine.messages import OrderUpdate
from hfengine.requests import OrderRequest
from hfengine.runtime.hosts import current_host
from hfengine.runtime.stages import Stages
from hfengine.runtime.timers import Timers
from hfengine.seeds import Seed
from hfengine.venues.bybit_market import BybitMarket
from hfengine.venues.bybit_order_entry import PING, PING_EVERY_S, BybitOrderEntry
from hfengine.venues.link import Link, LinkSettings
from hfengine.venues.local_account import LocalAccount
from hfengine.venues.native_market import FeedSettings
from hfengine.venues.order_entry import Credentials, OrderEntrySettings
from hfengine.venues.port import Ended, Tell

LOOK_NS: Final = 20_000_000

PATIENCE_S: Final = 3_600.0
"""The venue says nothing between turns: the watchdogs must not take that for a fault."""

PATIENT_LINK: Final = LinkSettings(ping=PING, ping_every_s=PING_EVERY_S, silence_max_s=PATIENCE_S)
PATIENT_FEED: Final = FeedSettings(
    link=PATIENT_LINK, stale_after_s=PATIENCE_S, answer_max_s=PATIENCE_S
)
SEED: Final = 1


class BenchVenue(LocalAccount):
    """Bybit as far as it is measured: market data and placing orders go over native sockets.

    The rest of the account is answered here and at once. The measuring venue acknowledges every
    order and fills none, so an acknowledged order is told cancelled, as the venue's own stream
    would, and the next signal may enter again. The run ends when the market connection does.
    """

    def __init__(
        self,
        port: int,
        instruments: Mapping[str, Instrument],
        clock: Clock,
        settle: Callable[[], None],
        stages: Stages,
    ) -> None:
        super().__init__(clock)
        self._stages = stages
        self._settle: Callable[[], None] | None = settle
        self._url = f"ws://127.0.0.1:{port}"
        self._instruments = instruments
        self._feed: BybitMarket | None = None
        self._orders: BybitOrderEntry | None = None
        self._link: Link | None = None
        self._timers: Timers | None = None

    def connect(self, market: Tell, account: Tell, ended: Ended) -> None:
        """Open both connections on the running loop."""
        super().connect(market, account, ended)
        host = current_host()
        random = Seed(SEED).stream("wire links")
        self._orders = orders = BybitOrderEntry(
            self._instruments,
            Credentials("wire", b"the measuring venue takes any key"),
            clock=self._clock,
            loop=host.loop,
            settings=OrderEntrySettings(answer_max_s=PATIENCE_S),
            write_ns=self._stages.write,
        )
        self._link = Link(
            f"{self._url}/v5/trade",
            orders,
            host=host,
            random=random,
            settings=PATIENT_LINK,
            name="bybit orders",
        )
        self._link.start()
        self._feed = feed = BybitMarket(
            list(self._instruments),
            host=host,
            random=random,
            url=self._url,
            settings=PATIENT_FEED,
            stages=self._stages,
        )
        feed.connect_market(market)
        link = feed.connections[0].link

        def look() -> None:
            if self._settle is not None and orders.is_ready:
                self._settle()
                self._settle = None
            if link.opens and not link.is_open:
                ended(f"the venue closed: {link.last_reason}")

        self._timers = Timers(host.loop)
        self._timers.every(LOOK_NS, look)

    def stop(self) -> None:
        """Close both connections."""
        if self._timers is not None:
            self._timers.cancel_all()
        if self._feed is not None:
            self._feed.stop()
        if self._link is not None:
            self._link.stop()

    async def snapshot(self, symbol: str) -> bytes | None:
        """Ask the venue for a new snapshot; the stream brings it."""
        return None if self._feed is None else await self._feed.snapshot(symbol)

    def place(self, request: OrderRequest) -> asyncio.Future[OrderUpdate]:
        """Send an order before returning; once acknowledged it is told cancelled."""
        if self._orders is None:
            raise RuntimeError("an order before connect()")
        answer = self._orders.place(request)

        def acknowledged(done: asyncio.Future[OrderUpdate]) -> None:
            if not done.cancelled() and done.exception() is None:
                self.cancel_unfilled(request)

        answer.add_done_callback(acknowledged)
        return answer
