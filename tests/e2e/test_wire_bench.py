"""The wire measurements in small: processes start, orders arrive and are sound. No times."""

import asyncio
import json
import subprocess
import sys
import threading

import msgspec
import pytest

from hfengine.bench.wire import bots, compare, floors
from hfengine.bench.wire.framing import TEXT, take_ws_message, ws_frame
from hfengine.bench.wire.market import FIRST_UPDATE_ID, HEAVY_STEPS
from hfengine.bench.wire.pairs import Pair, PairFailed, quantiles
from hfengine.bench.wire.venue_process import Command, Flooded, Measured

COUNT = 12
PER_S = 200.0


def check_orders(measured):
    """Each trigger had its order, but for those a busy machine answered too late."""
    assert measured.triggers == COUNT
    assert measured.malformed == 0
    assert len(measured.took_ns) == COUNT - measured.missed
    assert COUNT - measured.missed <= measured.orders <= COUNT
    assert measured.missed < COUNT // 2
    assert min(measured.took_ns) > 0


@pytest.mark.parametrize(
    ("kind", "waiting"),
    [("bare", "spin"), ("bare", "sleep"), ("picows", "sleep"), ("ccxt_ws", "sleep")],
)
def test_a_client_orders_once_for_every_trigger(kind, waiting):
    with Pair(kind, waiting) as pair:
        measured = pair.orders(COUNT, PER_S, seed=1)
        check_orders(measured)
        assert measured.order_bytes > 200
        # a second turn of the same pair
        check_orders(pair.orders(COUNT, PER_S, seed=2))


def test_ccxt_orders_over_http_too():
    with Pair("ccxt_rest", "sleep") as pair:
        check_orders(pair.orders(COUNT, PER_S, seed=1))


@pytest.mark.parametrize("waiting", ["sleep", "spin"])
def test_the_engine_orders_through_every_actor(waiting):
    with Pair("engine", waiting) as pair:
        measured = pair.orders(COUNT, PER_S, seed=1)
    check_orders(measured)
    summary = json.loads(pair.client_said)
    assert summary["flat"]
    assert summary["actor_deaths"] == 0
    # an order for every signal that was not refused, and nothing but orders in flight refused one
    assert summary["brackets"] == summary["entries"] >= COUNT
    assert summary["signals"] == summary["entries"] + sum(summary["refusals"].values())
    assert set(summary["refusals"]) <= {"order_in_flight"}
    assert summary["orders_rejected"] == 0
    assert summary["journal"]["records"] > summary["frames"]


@pytest.mark.parametrize("kind", ["engine_watch", "ccxt_watch", "picows"])
def test_a_flood_is_taken_to_its_last_frame(kind):
    with Pair(kind, "sleep") as pair:
        flooded = pair.flood(500, seed=1)
    assert flooded.frames == 500
    assert flooded.took_ns > 0
    assert flooded.sent_bytes > 500 * 100
    if kind == "engine_watch":
        summary = json.loads(pair.client_said)
        # and what a subscription begins with: two answers of the venue and two snapshots at most
        assert 500 <= summary["frames"] <= 504
        assert set(summary["feed_faults"]) <= {"disconnected"}


class Client:
    """A client in this process: it answers each delta with whatever `order` returns."""

    def __init__(self, port, order):
        self.feed = floors.connect(port, "/v5/public/linear")
        self.orders = floors.connect(port, "/v5/trade")
        self.answers = []
        self._order = order
        self._thread = threading.Thread(target=self._serve)
        self.feed.sendall(
            ws_frame(floors.SUBSCRIBE.format(symbol="BTCUSDT").encode(), mask=b"abcd")
        )
        self._thread.start()

    def _serve(self):
        received = bytearray()
        while got := self.feed.recv(1 << 16):
            received += got
            while (message := take_ws_message(received)) is not None:
                if message.opcode == TEXT and b'"delta"' in message.payload:
                    self.orders.sendall(ws_frame(self._order(), mask=b"abcd"))
                    self.answers.append(self.orders.recv(4096))

    def close(self):
        self._thread.join(5.0)
        self.feed.close()
        self.orders.close()


GOOD = {"symbol": "BTCUSDT", "side": "Buy", "qty": "0.1", "price": "67412.3", "orderLinkId": "a1"}


@pytest.mark.parametrize(
    ("changes", "malformed"),
    [
        ({}, 0),
        ({"symbol": "ETHUSDT"}, COUNT),
        ({"side": "buy"}, COUNT),
        ({"qty": "0"}, COUNT),
        ({"qty": "much"}, COUNT),
        ({"price": ""}, COUNT),
        ({"price": 67412.3}, COUNT),
    ],
)
def test_the_venue_reads_what_it_is_sent(changes, malformed):
    frame = {"op": "order.create", "reqId": "7", "args": [{**GOOD, **changes}]}
    module = "hfengine.bench.wire.venue_process"
    command = msgspec.json.encode(Command("measure", COUNT, PER_S)) + b"\n"
    with subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as venue:
        client = Client(int(venue.stdout.readline()), lambda: json.dumps(frame).encode())
        venue.stdin.write(command)
        venue.stdin.flush()
        measured = msgspec.json.decode(venue.stdout.readline(), type=Measured)
        venue.stdin.close()
        client.close()
    assert venue.returncode == 0
    assert measured.malformed == min(malformed, measured.orders)
    assert b'"reqId":"7"' in client.answers[-1]
    assert (b'"orderLinkId":"a1"' in client.answers[-1]) or malformed


def test_a_client_that_dies_says_why():
    with pytest.raises(PairFailed, match="invalid int value"):
        Pair("bare", "sleep", favour=("--timer-slack-ns", "none"))


def test_ratios_are_taken_round_by_round():
    p50 = {f"{kind}/{waiting}": [10, 20] for kind, waiting in compare.clients()}
    p50["engine/spin"] = [20, 80]
    p50["ccxt_ws/system"] = [200, 400]
    ratios = compare.ratios_of(p50)
    vs_ws = ratios["wire_to_wire_vs_ccxt_ws"]["spin"]
    assert (vs_ws.min, vs_ws.median, vs_ws.max) == (5.0, 7.5, 10.0)
    vs_floor = ratios["wire_to_wire_vs_floor"]["spin"]
    assert (vs_floor.min, vs_floor.median, vs_floor.max) == (2.0, 3.0, 4.0)
    assert ratios["wire_to_wire_vs_floor"]["sleep"].median == 1.0
    # a bot's loop sleeps, unless the figure says that it spins too
    assert ratios["wire_to_wire_vs_ccxt_ws_same_loop"]["spin"].median == pytest.approx(0.375)


def test_quantiles_are_exact():
    took = quantiles(list(range(1, 1001)))
    assert (took.p50, took.p99, took.p999, took.max, took.count) == (501, 991, 1000, 1000, 1000)
    with pytest.raises(ValueError, match="no order"):
        quantiles([])


def test_ccxt_too_takes_a_flood_to_its_last_frame():
    async def watch_a_flood(port, venue):
        exchange = bots.exchange_at(port, "BTC", "USDT")
        symbol = "BTC/USDT:USDT"
        watching = asyncio.ensure_future(bots._watch(exchange, symbol))
        try:
            venue.stdin.write(msgspec.json.encode(Command("wait")) + b"\n")
            venue.stdin.write(msgspec.json.encode(Command("flood", 500)) + b"\n")
            venue.stdin.flush()
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, venue.stdout.readline)
            line = await loop.run_in_executor(None, venue.stdout.readline)
            # the answer to the ping behind the flood came back: every frame was handled before
            best_bid = exchange.orderbooks[symbol]["bids"][0]
            return msgspec.json.decode(line, type=Flooded), best_bid
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await exchange.close()

    module = "hfengine.bench.wire.venue_process"
    with subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as venue:
        port = int(venue.stdout.readline())
        flooded, best_bid = asyncio.run(watch_a_flood(port, venue))
        venue.stdin.close()
    assert flooded.frames == 500
    # the best bid grows by a step a delta; one update id went to the snapshot
    deltas = flooded.update_id - FIRST_UPDATE_ID - 1
    assert best_bid == [67412.3, (HEAVY_STEPS + deltas) / 1000]
