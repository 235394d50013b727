"""Order entry over a real link and a scripted server on the loopback."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec
import pytest

from hfengine.clock import WallClock
from hfengine.errors import VenueUnavailable, VenueUnknown
from hfengine.instruments import load_catalogue
from hfengine.runtime.hosts import ActorHost
from hfengine.venues.binance_order_entry import BinanceOrderEntry
from hfengine.venues.bybit_order_entry import PING, BybitOrderEntry
from hfengine.venues.link import Link, LinkSettings
from hfengine.venues.order_entry import Credentials, OrderEntry, OrderEntrySettings
from tests.order_entry_desk import KEY, SECRET, entry_request, exit_request
from tests.scripted_server import Peer, ScriptedServer, until

QUICK = LinkSettings(ping=PING, ping_every_s=0.02, backoff_first_s=0.002, backoff_max_s=0.01)


def bybit(peer: Peer, payload: bytes) -> None:
    """Answer as /v5/trade does."""
    frame = json.loads(payload)
    answer = {"op": frame["op"], "retCode": 0, "retMsg": "OK", "connId": "c"}
    if frame["op"] == "order.create":
        answer |= {"reqId": frame["reqId"], "data": {"orderId": "1", "orderLinkId": "x"}}
    peer.send(json.dumps(answer).encode())


def binance(peer: Peer, payload: bytes) -> None:
    """Answer as /ws-fapi/v1 does; an entry fills at once."""
    frame = json.loads(payload)
    if frame["method"] == "order.place":
        quantity = frame["params"]["quantity"]
        result = {"orderId": 1, "status": "FILLED", "executedQty": quantity}
    else:
        result = {"algoId": 2, "algoStatus": "NEW"}
    peer.send(json.dumps({"id": frame["id"], "status": 200, "result": result}).encode())


class Bench:
    def __init__(self, dialect: str, server: ScriptedServer) -> None:
        self.server = server
        self.host = ActorHost(asyncio.get_running_loop(), system="test")
        self.legs: list[object] = []
        make = BybitOrderEntry if dialect == "bybit" else BinanceOrderEntry
        self.entry: OrderEntry = make(
            {"BTCUSDT": load_catalogue(dialect).find("BTCUSDT")},
            Credentials(KEY, SECRET),
            clock=WallClock(),
            loop=asyncio.get_running_loop(),
            settings=OrderEntrySettings(),
            on_protection=lambda _request, outcome: self.legs.append(outcome),
        )
        self.link = Link(
            server.url + "/v5/trade",
            self.entry,
            host=self.host,
            random=random.Random(1),
            settings=QUICK,
            name="orders",
        )
        self.link.start()


@asynccontextmanager
async def serving(dialect: str) -> AsyncIterator[Bench]:
    server = ScriptedServer()
    server.hear = bybit if dialect == "bybit" else binance
    async with server.serving():
        bench = Bench(dialect, server)
        try:
            yield bench
        finally:
            bench.link.stop()
            await bench.link.wait_stopped()
            await bench.host.shutdown()


def received(bench: Bench) -> list[dict[str, object]]:
    frames = [json.loads(p) for p in bench.server.peer.received]
    return [frame for frame in frames if frame.get("op") != "ping"]


def test_bybit_orders_cross_a_real_socket():
    async def trade() -> None:
        async with serving("bybit") as bench:
            await until(lambda: bench.entry.is_ready)
            answers = [bench.entry.place(exit_request(n)) for n in range(5)]
            updates = await asyncio.gather(*answers)
            assert [u.client_id for u in updates] == [exit_request(n).client_id for n in range(5)]
            assert {u.state for u in updates} == {"new"}
            assert [frame["op"] for frame in received(bench)] == ["auth"] + ["order.create"] * 5
            # the answer to one ping has come by the time of the next but one
            await until(lambda: bench.server.peer.received.count(PING) >= 3)
            assert bench.entry.unread_answers == 0

    asyncio.run(trade())


def test_a_cut_connection_leaves_orders_unknown_and_authenticates_again():
    async def trade() -> None:
        async with serving("bybit") as bench:
            await until(lambda: bench.entry.is_ready)
            bench.server.hear = lambda _peer, _payload: None
            answer = bench.entry.place(entry_request())
            await until(lambda: len(received(bench)) == 2)
            bench.server.hear = bybit
            bench.server.peer.cut()
            with pytest.raises(VenueUnknown, match="connection to bybit lost"):
                await answer
            with pytest.raises(VenueUnavailable):
                await bench.entry.place(entry_request())
            await until(lambda: bench.entry.is_ready)
            assert bench.link.reconnects == 1
            assert (await bench.entry.place(entry_request(client_id="again"))).client_id == "again"
            assert [frame["op"] for frame in received(bench)] == ["auth", "order.create"]

    asyncio.run(trade())


def test_a_binance_bracket_crosses_a_real_socket():
    async def trade() -> None:
        async with serving("binance") as bench:
            await until(lambda: bench.entry.is_ready)
            update = await bench.entry.place(entry_request())
            assert (update.state, update.filled) == ("filled", Decimal("0.007"))
            await until(lambda: len(bench.legs) == 2)
            frames = [msgspec.json.decode(p) for p in bench.server.peer.received]
            orders = [frame["params"]["type"] for frame in frames if "params" in frame]
            assert orders == ["LIMIT", "STOP_MARKET", "TAKE_PROFIT_MARKET"]
            assert bench.entry.write_ns.count == 1

    asyncio.run(trade())
