"""The floor over real sockets: it answers deltas and pings, and ends when the other side does."""

import json
import socket
import threading
from contextlib import contextmanager

import pytest

from hfengine.bench.wire.framing import CLOSE, PING, PONG, take_ws_message, ws_frame
from hfengine.bench.wire.market import BybitMarket
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from hfengine.kernels.floor import FloorPath
from hfengine.seeds import Seed

AT_MS = 1_730_000_000_000


def path(quantity="0.010", symbol="BTCUSDT"):
    return FloorPath(BybitCodec(symbol, Book("0.1", "0.001")), quantity)


@contextmanager
def serving(spin):
    """Yield the venue's ends of feed and order connection, and what `serve` came to."""
    feed, feed_end = socket.socketpair()
    orders, orders_end = socket.socketpair()
    came_to = []

    def serve():
        try:
            came_to.append(path().serve(feed_end.fileno(), orders_end.fileno(), spin))
        except (OSError, ValueError) as error:
            came_to.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    feed.settimeout(5.0)
    orders.settimeout(5.0)
    try:
        yield feed, orders, came_to, thread
    finally:
        for each in (feed, orders):
            each.close()
        thread.join(5.0)
        feed_end.close()
        orders_end.close()
        assert not thread.is_alive()


def messages(connection, count):
    received, taken = bytearray(), []
    while len(taken) < count:
        received += connection.recv(1 << 16)
        while (message := take_ws_message(received)) is not None:
            taken.append(message)
    assert not received
    return taken


@pytest.mark.parametrize("spin", [True, False])
def test_each_delta_becomes_one_masked_order(spin):
    market = BybitMarket("BTCUSDT", Seed(3).stream("test"))
    frames = [market.snapshot(AT_MS), *(market.delta(AT_MS) for _ in range(20))]
    with serving(spin) as (feed, orders, came_to, thread):
        wire = b"".join(ws_frame(frame) for frame in frames)
        # cut anywhere: a frame may arrive in parts
        feed.sendall(wire[:5_000])
        feed.sendall(wire[5_000:])
        sent = [json.loads(message.payload) for message in messages(orders, 20)]
        feed.sendall(ws_frame(b"", CLOSE))
        thread.join(5.0)
    assert [order["reqId"] for order in sent] == [str(n) for n in range(1, 21)]
    assert {order["args"][0]["symbol"] for order in sent} == {"BTCUSDT"}
    assert came_to == [20]


@pytest.mark.parametrize("spin", [True, False])
def test_a_ping_is_answered_with_its_payload(spin):
    with serving(spin) as (feed, _orders, _came_to, _thread):
        feed.sendall(ws_frame(b"still there?", PING))
        (answer,) = messages(feed, 1)
    assert (answer.opcode, answer.payload) == (PONG, b"still there?")


@pytest.mark.parametrize("spin", [True, False])
def test_it_ends_when_either_side_closes(spin):
    with serving(spin) as (feed, _orders, came_to, thread):
        feed.close()
        thread.join(5.0)
        assert came_to == [0]
    with serving(spin) as (_feed, orders, came_to, thread):
        orders.close()
        thread.join(5.0)
        assert came_to == [0]


def test_a_frame_too_large_to_hold_is_an_error():
    with serving(False) as (feed, _orders, came_to, thread):
        feed.sendall(ws_frame(b"x" * (1 << 18)))
        thread.join(5.0)
        assert isinstance(came_to[0], ValueError)


def test_a_socket_that_is_none_is_an_error():
    with pytest.raises(OSError, match="Bad file descriptor"):
        path().serve(-1, -1, True)


def test_only_deltas_are_answered():
    market = BybitMarket("BTCUSDT", Seed(3).stream("test"))
    answers = [path().order(market.delta(AT_MS))]
    floor = path()
    answers += [floor.order(market.snapshot(AT_MS)), floor.order(market.ticker(AT_MS))]
    assert answers == [None, None, None]
    assert floor.order(market.delta(AT_MS)) is not None
    assert floor.orders == 1


@pytest.mark.parametrize("quantity", ["", "-1", "1e3", '1","side":"Buy', "1" * 40])
def test_a_quantity_that_is_no_plain_number_is_refused(quantity):
    with pytest.raises(ValueError, match="plain decimals"):
        path(quantity)


def test_a_symbol_too_long_for_the_frame_is_refused():
    with pytest.raises(ValueError, match="too long"):
        path(symbol="A" * 250)


def test_a_payload_must_be_bytes():
    with pytest.raises(TypeError):
        path().order("text")
