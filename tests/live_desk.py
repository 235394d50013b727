"""A live account over real ccxt and real loopback sockets at a local venue in the same loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

from hfengine import settings
from hfengine.clock import WallClock
from hfengine.localvenue.dialects import make_dialect
from hfengine.localvenue.faults import Rule
from hfengine.localvenue.server import VenueServer
from hfengine.localvenue.world import World, make_world
from hfengine.messages import BookTick, Frame, Message, OrderUpdate, PositionChanged
from hfengine.requests import OrderRequest
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.seeds import Seed
from hfengine.venues.keys import ApiKeys
from hfengine.venues.live_venue import LiveVenue
from hfengine.venues.open_venue import open_venue

SYMBOL = "BTCUSDT"
KEYS = ApiKeys(key="k-test", secret="s-test", passphrase="p-test")
M = TypeVar("M", bound=Message)


class LiveDesk:
    """One account at one served local venue, with everything it told."""

    def __init__(self, world: World, server: VenueServer, venue: LiveVenue) -> None:
        self.world = world
        self.server = server
        self.venue = venue
        self.events: list[Message] = []
        self.market: list[Message] = []
        self.exceptions: list[dict[str, Any]] = []
        self.wallet_usdt = world.exchange.balance("main").wallet_usdt
        """What the account began with."""

    async def connect(self) -> None:
        """Prepare and connect; wait until the private stream was reconciled once."""
        await self.venue.prepare()
        self.connect_only()
        await self.until(lambda: self.venue.health["reconciliations"] >= 1)

    def connect_only(self) -> None:
        self.venue.connect(self.market.append, self.events.append, lambda reason: None)

    async def until(self, holds: Callable[[], Any], timeout_s: float = 5.0) -> None:
        """Wait until something holds; fails with what was told."""
        try:
            async with asyncio.timeout(timeout_s):
                while not holds():  # noqa: ASYNC110 - what is watched has no event
                    await asyncio.sleep(0.005)
        except TimeoutError:
            told = "\n".join(map(str, self.events[-12:]))
            raise AssertionError(f"not within {timeout_s} s; told last:\n{told}") from None

    def told(self, kind: type[M]) -> list[M]:
        """Return the events of a kind, in the order they were told."""
        return [event for event in self.events if isinstance(event, kind)]

    def ends_of(self, client_id: str) -> list[OrderUpdate]:
        ended = ("filled", "cancelled", "rejected")
        return [
            one
            for one in self.told(OrderUpdate)
            if one.client_id == client_id and one.state in ended
        ]

    def position(self, symbol: str = SYMBOL) -> PositionChanged | None:
        told = [one for one in self.told(PositionChanged) if one.symbol == symbol]
        return told[-1] if told else None

    @property
    def mid(self) -> Decimal:
        ticker = self.world.ticker(SYMBOL)
        return (ticker.bid + ticker.ask) / 2

    def grid(self, price: Decimal, symbol: str = SYMBOL) -> Decimal:
        tick = self.world.instruments[symbol].price_tick
        return (price // tick) * tick

    def bracket(
        self, client_id: str, quantity: str = "0.010", *, side: int = 1, **changes: Any
    ) -> OrderRequest:
        """Return an immediate-or-cancel entry that fills, with a stop and a target around it."""
        mid = self.mid
        asked: dict[str, Any] = {
            "client_id": client_id,
            "symbol": SYMBOL,
            "side": side,
            "kind": "limit",
            "tif": "ioc",
            "quantity": Decimal(quantity),
            "price": self.grid(mid * (1 + side * Decimal("0.002"))),
            "stop": self.grid(mid * (1 - side * Decimal("0.01"))),
            "target": self.grid(mid * (1 + side * Decimal("0.01"))),
        }
        return OrderRequest(**asked | changes)

    def reduction(self, client_id: str, quantity: str, *, side: int = -1) -> OrderRequest:
        return OrderRequest(client_id, SYMBOL, side, "market", Decimal(quantity), reduce_only=True)

    def fault(self, kind: Any, **match: Any) -> None:
        self.world.faults.add(Rule(kind=kind, **match))

    def books(self) -> int:
        return sum(isinstance(one, Frame | BookTick) for one in self.market)


@asynccontextmanager
async def live(
    dialect: str,
    *,
    symbols: Sequence[str] = (SYMBOL,),
    listed: Sequence[str] = (),
    margin_mode: Any = "isolated",
    connected: bool = True,
    world_options: dict[str, Any] | None = None,
    **changes: Any,
) -> AsyncIterator[LiveDesk]:
    """Serve a dialect over a still world on a free port and open an account at it.

    `changes` are of `settings.Venue`. Nothing may be lost in an exception handler.
    """
    loop = asyncio.get_running_loop()
    lost: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: lost.append(context))
    clock = WallClock()
    world = make_world(
        dialect, loop=loop, clock=clock, symbols=list(listed or symbols), **world_options or {}
    )
    server = VenueServer(world, make_dialect(world))
    port = await server.start()
    host = ActorHost(loop, clock, system="live test")
    venue = open_venue(
        dialect,
        mode="local",
        settings=settings.Venue(name=dialect, **changes),
        margin_mode=margin_mode,
        keys=KEYS,
        url=f"http://127.0.0.1:{port}",
        symbols=symbols,
        host=host,
        clock=clock,
        random=Seed(1).stream("live"),
        stages=Stages(),
    )
    desk = LiveDesk(world, server, venue)
    desk.exceptions = lost
    try:
        if connected:
            await desk.connect()
        yield desk
    finally:
        await venue.close()
        await host.shutdown()
        await server.close()
        await asyncio.sleep(0.01)
    assert lost == []
