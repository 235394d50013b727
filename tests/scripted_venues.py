"""Scripted market-data venues on a loopback socket: Bybit V5 linear and Binance USDⓈ-M."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from hfengine.actors.market_data import MarketData
from hfengine.actors.tally import DayResult, Tally
from hfengine.actors.wiring import Wiring
from hfengine.instruments import load_catalogue
from hfengine.messages import BookSync, Message, Start
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.seeds import Numbers, OrderIds
from hfengine.settings import Settings
from hfengine.topology import HEARERS
from hfengine.venues.binance_market import BinanceMarket
from hfengine.venues.bybit_market import BybitMarket
from hfengine.venues.link import LinkSettings
from hfengine.venues.native_market import FeedSettings, NativeMarket
from tests.scripted_server import Peer, ScriptedServer, until

QUICK = FeedSettings(
    link=LinkSettings(
        ping_every_s=5.0, silence_max_s=10.0, backoff_first_s=0.002, backoff_max_s=0.02
    ),
    stale_after_s=30.0,
    answer_max_s=2.0,
    requests_a_second=1000,
)


class BybitVenue(ScriptedServer):
    """Answers subscriptions; a book topic begins with a snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.hear = self.on_request
        self.update_ids: dict[str, int] = {}
        self.requests: list[dict[str, Any]] = []
        self.refused: dict[str, str] = {}
        self.is_deaf = False
        """Answer no subscription."""
        self.sends_snapshots = True

    def on_request(self, peer: Peer, payload: bytes) -> None:
        request = json.loads(payload)
        if request["op"] == "ping":
            peer.send(b'{"success":true,"ret_msg":"pong","conn_id":"c","op":"ping"}')
            return
        self.requests.append(request)
        if self.is_deaf:
            return
        bad = [topic for topic in request["args"] if topic in self.refused]
        reply = {
            "success": not bad,
            "ret_msg": self.refused[bad[0]] if bad else "",
            "conn_id": "c",
            "req_id": request["req_id"],
            "op": request["op"],
        }
        peer.send(json.dumps(reply).encode())
        if bad or request["op"] != "subscribe" or not self.sends_snapshots:
            return
        for topic in request["args"]:
            if topic.startswith("orderbook."):
                peer.send(self.snapshot(topic.split(".")[-1]))

    def snapshot(self, symbol: str, depth: int = 50) -> bytes:
        self.update_ids[symbol] = self.update_ids.get(symbol, 100) + 10
        return self.book(symbol, "snapshot", [["60000.0", "1"]], [["60000.1", "2"]], depth)

    def delta(self, symbol: str, bid: str = "59999.9", skip: int = 0) -> bytes:
        self.update_ids[symbol] += 1 + skip
        return self.book(symbol, "delta", [[bid, "3"]], [])

    def book(self, symbol: str, kind: str, bids: Any, asks: Any, depth: int = 50) -> bytes:
        update = self.update_ids[symbol]
        return json.dumps(
            {
                "topic": f"orderbook.{depth}.{symbol}",
                "type": kind,
                "ts": 1_700_000_000_000 + update,
                "data": {"s": symbol, "b": bids, "a": asks, "u": update, "seq": 7 * update},
                "cts": 1_700_000_000_000 + update,
            }
        ).encode()


class BinanceVenue(ScriptedServer):
    """Answers subscriptions and depth snapshots by REST."""

    def __init__(self) -> None:
        super().__init__()
        self.hear = self.on_request
        self.requests: list[dict[str, Any]] = []
        self.last_id = 1000
        self.snapshot_answers: list[web.Response] = []
        """What to answer instead, one each."""
        self.snapshots_read: list[str] = []
        self.rest_port = 0

    def on_request(self, peer: Peer, payload: bytes) -> None:
        request = json.loads(payload)
        self.requests.append(request)
        peer.send(json.dumps({"result": None, "id": request["id"]}).encode())

    def on_path(self, path: str) -> Peer:
        """The newest connection to a path."""
        return [peer for peer in self.peers if peer.path == path][-1]

    def diff(self, symbol: str, bid: str = "59999.9", skip: int = 0, wrapped: bool = True) -> bytes:
        previous = self.last_id + skip
        self.last_id = previous + 5
        event = {
            "e": "depthUpdate",
            "E": 1_700_000_000_000,
            "T": 1_700_000_000_000,
            "s": symbol,
            "U": previous + 1,
            "u": self.last_id,
            "pu": previous,
            "b": [[bid, "3"]],
            "a": [],
        }
        whole = {"stream": f"{symbol.lower()}@depth@100ms", "data": event}
        return json.dumps(whole if wrapped else event).encode()

    async def depth(self, request: web.Request) -> web.Response:
        self.snapshots_read.append(request.query["symbol"])
        assert request.query["limit"] == "1000"
        if self.snapshot_answers:
            return self.snapshot_answers.pop(0)
        return self.book()

    def book(self, last_id: int = 0) -> web.Response:
        return web.json_response(
            {
                "lastUpdateId": last_id or self.last_id,
                "E": 1,
                "T": 1,
                "bids": [["60000.0", "1"]],
                "asks": [["60000.1", "2"]],
            }
        )

    @asynccontextmanager
    async def serving_rest(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/fapi/v1/depth", self.depth)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.rest_port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()


class LiveRig:
    """A market on sockets, the market-data actor behind it, everything published in `heard`."""

    def __init__(self, market: NativeMarket | Any, dialect: Any, symbols: list[str]) -> None:
        self.host: ActorHost = market.host
        self.market = market
        self.heard: list[Message] = []
        settings = replace(Settings(), symbols=tuple(symbols))
        catalogue = load_catalogue("bybit" if dialect == "bybit" else "binance")
        known = {instrument.symbol: instrument for instrument in catalogue.instruments}
        base = catalogue.instruments[0]
        wiring = Wiring(
            settings=settings,
            instruments={s: known.get(s) or replace(base, symbol=s) for s in symbols},
            venue=market,
            stages=Stages(),
            intents=Numbers(),
            signals=Numbers(),
            order_ids=OrderIds("test"),
            journal_ok=lambda: True,
            pause=asyncio.sleep,
            tally=Tally(),
            day=DayResult(),
            heard_fills=set(),
            dialect=dialect,
            asks_for_books=True,
        )
        for message_class in HEARERS:
            self.host.routes.wire(message_class)
        self.host.routes.tap(self.heard.append)
        self.actor = MarketData.start(wiring)
        market.connect_market(self.actor.actor_inbox.deliver)
        self.actor.tell(Start(self.host.clock.now_ns()))

    def all(self, message_class: type[Any]) -> list[Any]:
        return [m for m in self.heard if type(m) is message_class]

    def synced(self, symbol: str) -> bool:
        told = [m.synced for m in self.all(BookSync) if m.symbol == symbol]
        return bool(told) and told[-1]

    async def until_synced(self, *symbols: str) -> None:
        await until(lambda: all(self.synced(symbol) for symbol in symbols))

    async def close(self) -> None:
        self.market.stop()
        await self.host.shutdown()


@asynccontextmanager
async def bybit_rig(
    venue: BybitVenue, symbols: list[str], settings: FeedSettings = QUICK, **changes: Any
) -> AsyncIterator[LiveRig]:
    host = ActorHost(asyncio.get_running_loop(), system="test")
    async with venue.serving():
        market = BybitMarket(
            symbols,
            host=host,
            random=random.Random(1),
            url=venue.url,
            settings=settings,
            **changes,
        )
        rig = LiveRig(market, "bybit", symbols)
        try:
            yield rig
        finally:
            await rig.close()


@asynccontextmanager
async def binance_rig(
    venue: BinanceVenue, symbols: list[str], settings: FeedSettings = QUICK, **changes: Any
) -> AsyncIterator[LiveRig]:
    host = ActorHost(asyncio.get_running_loop(), system="test")
    async with venue.serving(), venue.serving_rest():
        market = BinanceMarket(
            symbols,
            host=host,
            random=random.Random(1),
            url=venue.url,
            rest_url=f"http://127.0.0.1:{venue.rest_port}",
            settings=settings,
            **changes,
        )
        rig = LiveRig(market, "binance", symbols)
        try:
            yield rig
        finally:
            await rig.close()
