"""A Bitget venue for tests: handlers and sessions called without sockets, or served for ccxt."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hfengine.clock import VirtualClock, WallClock
from hfengine.localvenue.bitget import BitgetDialect
from hfengine.localvenue.bitget.dialect import PRIVATE_SOCKET, PUBLIC_SOCKET
from hfengine.localvenue.ports import HttpAnswer, HttpRequest
from hfengine.localvenue.server import VenueServer
from hfengine.localvenue.world import World, make_world
from hfengine.runtime.virtual_loop import VirtualLoop

BTC, ETH = "BTCUSDT", "ETHUSDT"
EPOCH_NS = 1_790_000_000_000_000_000
KEY, SECRET, PASSPHRASE = "k-test", b"s-test", "p-test"
ORDER = "/api/v2/mix/order/"
ACCOUNT = "/api/v2/mix/account/"
POSITION = "/api/v2/mix/position/"
MARKET = "/api/v2/mix/market/"
PRODUCT = {"productType": "USDT-FUTURES"}
COMMON = {**PRODUCT, "symbol": BTC, "marginCoin": "USDT"}


def sign(secret: bytes, text: str) -> str:
    return base64.b64encode(hmac.new(secret, text.encode(), hashlib.sha256).digest()).decode()


class FakeSocket:
    """The server's end of a websocket: keeps what was sent."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.query: dict[str, str] = {}
        self.frames: list[Any] = []
        self.closed_with: int | None = None

    def send(self, payload: bytes) -> None:
        self.frames.append("pong" if payload == b"pong" else json.loads(payload))

    def close(self, code: int = 1000) -> None:
        self.closed_with = code

    def take(self) -> list[Any]:
        """Return what was sent since the last take."""
        frames, self.frames = self.frames, []
        return frames

    def pushed(self, channel: str) -> list[dict[str, Any]]:
        """Return the rows pushed on a channel since the last take of anything."""
        return [
            row
            for frame in self.frames
            if isinstance(frame, dict) and frame.get("arg", {}).get("channel") == channel
            for row in frame.get("data", ())
        ]


class Venue:
    """A world with its dialect and one client of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dialect = BitgetDialect(world)
        self.routes = self.dialect.routes()
        self.status = 0
        self.headers: dict[str, str] = {}

    def signed(self, request: HttpRequest, secret: bytes = SECRET, **headers: str) -> HttpRequest:
        """Return a request with the headers of its signature."""
        timestamp = str(self.world.now_ms())
        query = f"?{request.raw_query}" if request.raw_query else ""
        text = f"{timestamp}{request.method}{request.path}{query}{request.body.decode()}"
        given = {
            "access-key": KEY,
            "access-timestamp": timestamp,
            "access-passphrase": PASSPHRASE,
            "access-sign": sign(secret, text),
            **headers,
        }
        return HttpRequest(
            method=request.method,
            path=request.path,
            raw_query=request.raw_query,
            headers=given,
            body=request.body,
            query=request.query,
        )

    async def send(self, request: HttpRequest) -> dict[str, Any]:
        """Send a request as it is."""
        handler = self.routes[request.method, request.path]
        answer: HttpAnswer = await handler(request)
        self.status, self.headers = answer.status, dict(answer.headers)
        return json.loads(answer.body)

    async def get(self, path: str, **query: str) -> Any:
        """Ask and return the data; the code and message of a refusal."""
        raw = urlencode(query)
        request = HttpRequest(
            method="GET", path=path, raw_query=raw, headers={}, body=b"", query=dict(parse_qsl(raw))
        )
        return _data(await self.send(self.signed(request)))

    async def post(self, path: str, **parameters: Any) -> Any:
        """Post and return the data; the code and message of a refusal."""
        body = json.dumps(parameters).encode()
        request = HttpRequest(
            method="POST", path=path, raw_query="", headers={}, body=body, query={}
        )
        return _data(await self.send(self.signed(request)))

    async def order(self, side: str, trade_side: str = "open", **more: Any) -> Any:
        """Place a market order of 0.01 BTC on isolated margin in hedge mode."""
        parameters = {
            **COMMON,
            "orderType": "market",
            "size": "0.01",
            "marginMode": "isolated",
            "side": side,
            "tradeSide": trade_side,
            **more,
        }
        return await self.post(f"{ORDER}place-order", **parameters)

    async def hedged(self) -> None:
        """Set hedge mode and isolated margin."""
        await self.post(f"{ACCOUNT}set-position-mode", **PRODUCT, posMode="hedge_mode")
        await self.post(f"{ACCOUNT}set-margin-mode", **COMMON, marginMode="isolated")

    def price(self) -> Decimal:
        """Return the mark price of BTCUSDT."""
        return self.world.exchange.mark(BTC)

    def private(self, *channels: str, symbol: str = "default") -> FakeSocket:
        """Return a logged-in private socket subscribed to channels."""
        socket = FakeSocket(PRIVATE_SOCKET)
        session = self.dialect.session(socket)
        timestamp = str(self.world.now_ms() // 1000)
        login = {
            "apiKey": KEY,
            "passphrase": PASSPHRASE,
            "timestamp": timestamp,
            "sign": sign(SECRET, f"{timestamp}GET/user/verify"),
        }
        session.heard(json.dumps({"op": "login", "args": [login]}).encode())
        if channels:
            args = [subscription(channel, symbol) for channel in channels]
            session.heard(json.dumps({"op": "subscribe", "args": args}).encode())
        return socket

    def public(self, *channels: str, symbol: str = BTC) -> FakeSocket:
        """Return a public socket subscribed to channels."""
        socket = FakeSocket(PUBLIC_SOCKET)
        session = self.dialect.session(socket)
        args = [subscription(channel, symbol) for channel in channels]
        session.heard(json.dumps({"op": "subscribe", "args": args}).encode())
        return socket


def subscription(channel: str, symbol: str = BTC) -> dict[str, str]:
    name = "coin" if channel == "account" else "instId"
    return {"instType": "USDT-FUTURES", "channel": channel, name: symbol}


def _data(answer: dict[str, Any]) -> Any:
    assert set(answer) == {"code", "msg", "requestTime", "data"}
    return answer["data"] if answer["code"] == "00000" else (answer["code"], answer["msg"])


async def turns(count: int = 3) -> None:
    """Let the loop turn: reports are told on the next turn, states pushed on the one after."""
    for _ in range(count):
        await asyncio.sleep(0)


def on_still_venue(scenario: Callable[[Venue], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a scenario on a venue in virtual time."""
    clock = VirtualClock(EPOCH_NS)
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        world = make_world(
            "bitget", loop=runner.get_loop(), clock=clock, symbols=(BTC, ETH), **options
        )
        venue = Venue(world)
        try:
            runner.run(scenario(venue))
        finally:
            venue.dialect.stop()
            world.close()


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[tuple[Venue, str]]:
    """Serve a venue on a free port; yields it and host:port."""
    loop = asyncio.get_running_loop()
    venue = Venue(make_world("bitget", loop=loop, clock=WallClock(), symbols=(BTC, ETH), **options))
    server = VenueServer(venue.world, venue.dialect)
    port = await server.start()
    try:
        yield venue, f"127.0.0.1:{port}"
    finally:
        await server.close()
