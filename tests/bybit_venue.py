"""A Bybit venue for tests: handlers and sessions called without sockets, or served for ccxt."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hfengine.clock import WallClock
from hfengine.localvenue.bybit import BybitDialect
from hfengine.localvenue.ports import HttpAnswer, HttpRequest
from hfengine.localvenue.server import VenueServer
from hfengine.localvenue.world import World, make_world

BTC, ETH = "BTCUSDT", "ETHUSDT"
KEY, SECRET = "k-test", b"s-test"


def sign(secret: bytes, text: str) -> str:
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


class FakeSocket:
    """The server's end of a websocket: keeps what was sent."""

    def __init__(self, path: str, **query: str) -> None:
        self.path = path
        self.query = query
        self.frames: list[dict[str, Any]] = []
        self.closed_with: int | None = None

    def send(self, payload: bytes) -> None:
        self.frames.append(json.loads(payload))

    def close(self, code: int = 1000) -> None:
        self.closed_with = code

    def take(self) -> list[dict[str, Any]]:
        """Return what was sent since the last take."""
        frames, self.frames = self.frames, []
        return frames


class Venue:
    """A world with its dialect and one client of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dialect = BybitDialect(world)
        self.routes = self.dialect.routes()
        self.headers: dict[str, str] = {}
        self.status = 0

    async def request(
        self,
        method: str,
        path: str,
        raw_query: str = "",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        remote: str = "127.0.0.1",
    ) -> HttpAnswer:
        request = HttpRequest(
            method=method,
            path=path,
            raw_query=raw_query,
            headers=headers or {},
            body=body,
            query=dict(parse_qsl(raw_query, keep_blank_values=True)),
            remote=remote,
        )
        handler = self.routes.get((method, path))
        answer = self.dialect.not_found(request) if handler is None else await handler(request)
        self.headers, self.status = dict(answer.headers), answer.status
        return answer

    def signed(self, payload: str, key: str = KEY, secret: bytes = SECRET) -> dict[str, str]:
        timestamp = str(self.world.now_ms())
        return {
            "x-bapi-api-key": key,
            "x-bapi-timestamp": timestamp,
            "x-bapi-recv-window": "5000",
            "x-bapi-sign": sign(secret, f"{timestamp}{key}5000{payload}"),
        }

    async def public(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer = await self.request("GET", f"/v5/market/{path}", urlencode(parameters))
        return json.loads(answer.body)

    async def get(self, path: str, key: str = KEY, **parameters: Any) -> dict[str, Any]:
        query = urlencode(parameters)
        answer = await self.request("GET", f"/v5/{path}", query, headers=self.signed(query, key))
        return json.loads(answer.body)

    async def post(self, path: str, key: str = KEY, **parameters: Any) -> dict[str, Any]:
        body = json.dumps(parameters)
        answer = await self.request(
            "POST", f"/v5/{path}", body=body.encode(), headers=self.signed(body, key)
        )
        return json.loads(answer.body)

    async def order(self, **parameters: Any) -> dict[str, Any]:
        """Create an order: a market buy of 0.01 BTC unless told otherwise."""
        base = {
            "category": "linear",
            "symbol": BTC,
            "side": "Buy",
            "orderType": "Market",
            "qty": "0.01",
        }
        return await self.post("order/create", **{**base, **parameters})

    async def rows(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the list of a private GET about BTC."""
        base = {"category": "linear", "symbol": BTC}
        answer = await self.get(path, **{**base, **parameters})
        assert answer["retCode"] == 0, answer
        return answer["result"]["list"]

    def open(self, path: str, **query: str) -> tuple[FakeSocket, Any]:
        socket = FakeSocket(path, **query)
        session = self.dialect.session(socket)
        return socket, session

    def private(self, *topics: str) -> tuple[FakeSocket, Any]:
        """Open an authenticated private socket that hears these topics."""
        socket, session = self.open("/v5/private")
        session.heard(json.dumps({"op": "auth", "args": self.auth_arguments()}).encode())
        session.heard(json.dumps({"op": "subscribe", "args": list(topics)}).encode())
        acks = socket.take()
        assert [ack["success"] for ack in acks] == [True, True], acks
        return socket, session

    def auth_arguments(self) -> list[Any]:
        expires = self.world.now_ms() + 10_000
        return [KEY, expires, sign(SECRET, f"GET/realtime{expires}")]

    def subscribed(self, *topics: str) -> tuple[FakeSocket, Any]:
        """Open a public socket that hears these topics; the acknowledgement is taken."""
        socket, session = self.open("/v5/public/linear")
        session.heard(json.dumps({"op": "subscribe", "args": list(topics)}).encode())
        acknowledgement, *socket.frames = socket.frames
        assert acknowledgement["success"], acknowledgement
        return socket, session

    def price(self, symbol: str = BTC) -> Decimal:
        return self.world.exchange.mark(symbol)


def away(venue: Venue, percent: str | int) -> str:
    """Return a price of BTC on the grid that is so far from the mark, as text."""
    return str((venue.price() * (100 + Decimal(percent)) / 100).quantize(Decimal("0.1")))


async def turn(turns: int = 4) -> None:
    """Let the loop turn: reports are told on the next one, frames sent on the one after."""
    for _ in range(turns):
        await asyncio.sleep(0)


def run(scenario: Callable[[Venue], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a scenario over a still world."""

    async def body() -> None:
        loop = asyncio.get_running_loop()
        chosen: dict[str, Any] = {"symbols": [BTC, ETH], "wallet_usdt": Decimal(100_000)}
        world = make_world("bybit", loop=loop, clock=WallClock(), **{**chosen, **options})
        venue = Venue(world)
        try:
            await asyncio.wait_for(scenario(venue), 10)
        finally:
            venue.dialect.stop()
            world.close()

    asyncio.run(body())


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[tuple[Venue, str]]:
    """Serve Bybit on a free port; gives the venue and its port's address without scheme."""
    loop = asyncio.get_running_loop()
    chosen: dict[str, Any] = {"symbols": [BTC, ETH], "wallet_usdt": Decimal(100_000)}
    world = make_world("bybit", loop=loop, clock=WallClock(), **{**chosen, **options})
    venue = Venue(world)
    server = VenueServer(world, venue.dialect)
    await server.start()
    try:
        yield venue, f"127.0.0.1:{server.port}"
    finally:
        await server.close()
