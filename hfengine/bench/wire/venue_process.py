"""A Bybit V5 venue for measuring only: it polls without sleeping and stamps frame and order.

Run as `python -m hfengine.bench.wire.venue_process --port 0`: the first line of its output is the
port; then each line of its input is a command (JSON), each answered by one line of JSON.
"""

import argparse
import os
import select
import socket
import sys
from typing import Literal

import msgspec
from msgspec import Struct

from hfengine.bench.wire.framing import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    HttpRequest,
    json_answer,
    take_http_request,
    take_ws_message,
    upgrade_answer,
    ws_frame,
)
from hfengine.bench.wire.market import BybitMarket
from hfengine.clock import WallClock, mono_ns
from hfengine.runtime.loops import bind_to_core
from hfengine.seeds import Seed

READ_MAX = 1 << 16
WARM_UP = 40
"""Triggers answered in a row before those that count."""

WARM_UP_MAX = 4_000
READY_S = 30.0
ANSWER_S = 0.25
"""A trigger without an order for so long is missed."""

WARM_UP_ANSWER_S = 0.05
FLOOD_S = 120.0
CHUNK = 1 << 16


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """What the venue is asked to do: measure orders, or flood with frames."""

    do: Literal["wait", "measure", "flood"]
    """wait: only until a client has subscribed to the book."""
    count: int = 0
    per_s: float = 500.0
    """Pace of the triggers; gaps are spread evenly over half to one and a half of its period."""
    seed: int = 1


class Ready(Struct, frozen=True):
    """A client has subscribed."""

    topics: list[str]


class Measured(Struct, frozen=True):
    """Wire to wire, in ns: the trigger handed to the socket until the order's last byte read."""

    triggers: int
    orders: int
    """All that came between the first trigger and the last: equal to triggers - missed."""
    missed: int
    malformed: int
    order_bytes: int
    """Of the last order, with its framing."""
    took_ns: list[int]


class Flooded(Struct, frozen=True):
    """Frames sent, and ns until the client answered the ping that followed them."""

    frames: int
    sent_bytes: int
    took_ns: int
    update_id: int


class _Args(Struct, frozen=True):
    symbol: str = ""
    side: str = ""
    qty: str = ""
    price: str = ""
    orderLinkId: str = ""  # noqa: N815 - the venue's name


class _Asked(Struct, frozen=True):
    op: str = ""
    req_id: str | int = ""
    reqId: str | int = ""  # noqa: N815 - the venue's name
    args: list[msgspec.Raw] = []


class Connection:
    """One client's connection: HTTP until it is upgraded."""

    __slots__ = ("path", "queued", "received", "sending", "socket", "topics")

    def __init__(self, taken: socket.socket) -> None:
        self.socket = taken
        self.received = bytearray()
        self.queued = bytearray()
        self.sending = False
        self.path = ""
        self.topics: list[str] = []


class MeasuringVenue:
    """The sockets, the market and the stopwatch. Every order is acknowledged, none is filled."""

    def __init__(self, symbol: str, seed: int, port: int = 0) -> None:
        self._symbol = symbol
        self._clock = WallClock()
        self._market = BybitMarket(symbol, Seed(seed).stream("wire market"))
        self._listening = socket.create_server(("127.0.0.1", port))
        self._listening.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listening.fileno(), select.EPOLLIN)
        # made once: a buffer made anew for every read would cost page faults inside what is timed
        self._read_buffer = bytearray(READ_MAX)
        self._read_view = memoryview(self._read_buffer)
        self._connections: dict[int, Connection] = {}
        self._feed: Connection | None = None
        self._order_at_ns = 0
        self._answered_orders = 0
        self._malformed = 0
        self._order_bytes = 0
        self._pong_at_ns = 0
        self._input = bytearray()
        self._ended = False

    @property
    def port(self) -> int:
        """The port it listens on, of the loopback only."""
        port: int = self._listening.getsockname()[1]
        return port

    def serve(self) -> None:
        """Answer commands from standard input until it ends; asleep between them."""
        self._say(str(self.port))
        self._epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        while not self._ended:
            self._poll(1.0)
            while b"\n" in self._input:
                line, _, rest = self._input.partition(b"\n")
                self._input = bytearray(rest)
                command = msgspec.json.decode(line, type=Command)
                answer = self.run(command)
                self._say(msgspec.json.encode(answer).decode())

    @staticmethod
    def _say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def run(self, command: Command) -> Ready | Measured | Flooded:
        """Carry out one command. Raises TimeoutError when no client does its part."""
        feed = self._wait_for_feed()
        if command.do == "wait":
            return Ready(feed.topics)
        if command.do == "flood":
            return self._flood(feed, command.count, command.seed)
        return self._measure(feed, command)

    # sockets

    def _poll(self, timeout_s: float = 0.0) -> None:
        for fd, _ in self._epoll.poll(timeout_s):
            connection = self._connections.get(fd)
            if connection is not None:
                self._read(connection)
            elif fd == self._listening.fileno():
                self._accept()
            else:
                got = os.read(fd, READ_MAX)
                self._input += got
                self._ended = self._ended or not got

    def _accept(self) -> None:
        taken, _ = self._listening.accept()
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        taken.setblocking(False)
        self._connections[taken.fileno()] = Connection(taken)
        self._epoll.register(taken.fileno(), select.EPOLLIN)

    def _drop(self, connection: Connection) -> None:
        fd = connection.socket.fileno()
        if self._connections.pop(fd, None) is None:
            return
        self._epoll.unregister(fd)
        connection.socket.close()
        if self._feed is connection:
            self._feed = None

    def _read(self, connection: Connection) -> None:
        try:
            size = connection.socket.recv_into(self._read_buffer)
        except BlockingIOError:
            return
        except ConnectionError:
            size = 0
        at_ns = mono_ns()
        if not size:
            self._drop(connection)
            return
        connection.received += self._read_view[:size]
        if connection.path:
            self._read_messages(connection, at_ns, size)
            return
        while (request := take_http_request(connection.received)) is not None:
            self._hear_http(connection, request, at_ns, size)

    def _read_messages(self, connection: Connection, at_ns: int, size: int) -> None:
        while (message := take_ws_message(connection.received)) is not None:
            if message.opcode == TEXT:
                self._hear_text(connection, message.payload, at_ns, size)
            elif message.opcode == PING:
                self._send(connection, ws_frame(message.payload, PONG))
            elif message.opcode == PONG:
                self._pong_at_ns = at_ns
            elif message.opcode == CLOSE:
                self._send(connection, ws_frame(message.payload, CLOSE))
                self._drop(connection)
                return

    def _send(self, connection: Connection, wire: bytes) -> None:
        if connection.sending:
            # an answer to what came in meanwhile: it waits until the frame before it is out
            connection.queued += wire
            return
        connection.sending = True
        try:
            self._send_whole(connection, wire)
            while connection.queued:
                queued, connection.queued = bytes(connection.queued), bytearray()
                self._send_whole(connection, queued)
        except OSError:
            self._drop(connection)
        finally:
            connection.sending = False

    def _send_whole(self, connection: Connection, wire: bytes) -> None:
        left = memoryview(wire)
        while left:
            try:
                left = left[connection.socket.send(left[:CHUNK]) :]
            except BlockingIOError:
                # read what the client says meanwhile: it may wait for us as we for it
                self._poll()

    # what clients say

    def _hear_http(
        self, connection: Connection, request: HttpRequest, at_ns: int, size: int
    ) -> None:
        if "upgrade" in request.headers:
            connection.path = request.target
            self._send(connection, upgrade_answer(request))
            return
        if request.method == "POST" and request.target == "/v5/order/create":
            self._take_order(at_ns, size)
            link = self._check_order(request.body)
            result = f'{{"orderId":"{self._answered_orders:08d}","orderLinkId":"{link}"}}'
        else:
            result = "{}"
        at_ms = self._now_ms()
        body = (
            f'{{"retCode":0,"retMsg":"OK","result":{result},"retExtInfo":{{}},"time":{at_ms}}}'
        ).encode()
        self._send(connection, json_answer(body))

    def _hear_text(self, connection: Connection, payload: bytes, at_ns: int, size: int) -> None:
        asked = msgspec.json.decode(payload, type=_Asked)
        if asked.op == "order.create":
            self._take_order(at_ns, size)
            link = self._check_order(bytes(asked.args[0]) if asked.args else b"{}")
            answer = (
                f'{{"reqId":"{asked.reqId}","retCode":0,"retMsg":"OK","op":"order.create","data":{{'
                f'"orderId":"{self._answered_orders:08d}","orderLinkId":"{link}"}},'
                '"retExtInfo":{},"header":{},"connId":"wire"}'
            )
        elif asked.op == "auth":
            answer = (
                f'{{"reqId":"{asked.reqId}","retCode":0,"retMsg":"OK","op":"auth",'
                '"success":true,"ret_msg":"","connId":"wire"}'
            )
        elif asked.op == "subscribe":
            self._subscribe(connection, asked)
            return
        elif asked.op == "ping":
            answer = (
                f'{{"success":true,"ret_msg":"pong","conn_id":"wire","req_id":"{asked.req_id}",'
                f'"reqId":"{asked.reqId}","retCode":0,"retMsg":"OK","op":"pong"}}'
            )
        else:
            answer = (
                f'{{"success":true,"ret_msg":"","conn_id":"wire","req_id":"{asked.req_id}",'
                f'"op":"{asked.op}"}}'
            )
        self._send(connection, ws_frame(answer.encode()))

    def _subscribe(self, connection: Connection, asked: _Asked) -> None:
        topics = [msgspec.json.decode(topic, type=str) for topic in asked.args]
        connection.topics += topics
        answer = (
            f'{{"success":true,"ret_msg":"","conn_id":"wire","req_id":"{asked.req_id}",'
            '"op":"subscribe"}'
        )
        self._send(connection, ws_frame(answer.encode()))
        for topic in topics:
            if topic.startswith("orderbook."):
                self._send(connection, ws_frame(self._market.snapshot(self._now_ms())))
                self._feed = connection
            elif topic.startswith("tickers."):
                self._send(connection, ws_frame(self._market.ticker(self._now_ms(), whole=True)))

    def _take_order(self, at_ns: int, size: int) -> None:
        self._order_at_ns = at_ns
        self._order_bytes = size
        self._answered_orders += 1

    def _check_order(self, text: bytes) -> str:
        """Return the order's client id; count an order that a venue would not understand."""
        try:
            order = msgspec.json.decode(text, type=_Args)
            sound = (
                order.symbol == self._symbol
                and order.side in ("Buy", "Sell")
                and float(order.qty) > 0.0
                and float(order.price) > 0.0
            )
        except (msgspec.DecodeError, ValueError):
            self._malformed += 1
            return ""
        self._malformed += not sound
        return order.orderLinkId

    # measuring

    def _now_ms(self) -> int:
        return self._clock.now_ns() // 1_000_000

    def _wait_for_feed(self) -> Connection:
        due_ns = mono_ns() + int(READY_S * 1e9)
        while self._feed is None:
            self._poll(0.01)
            if mono_ns() > due_ns:
                raise TimeoutError(f"no client subscribed to a book within {READY_S:.0f} s")
        return self._feed

    def _trigger(self, feed: Connection, due_ns: int, patience_s: float) -> int | None:
        """Send the next delta when it is due; return ns until its order was here, or None."""
        while mono_ns() < due_ns:
            self._poll()
        if self._feed is not feed:
            raise ConnectionError("the client closed its market connection")
        wire = ws_frame(self._market.delta(self._now_ms()))
        self._order_at_ns = 0
        sent_ns = mono_ns()
        feed.socket.send(wire)
        late_ns = sent_ns + int(patience_s * 1e9)
        while not self._order_at_ns:
            self._poll()
            if not self._order_at_ns and mono_ns() > late_ns:
                return None
        return self._order_at_ns - sent_ns

    def _measure(self, feed: Connection, command: Command) -> Measured:
        gaps = Seed(command.seed).stream("wire gaps")
        period_ns = 1e9 / command.per_s
        due_ns = mono_ns()
        answered = in_all = 0
        for _ in range(WARM_UP_MAX):
            due_ns = max(due_ns, mono_ns()) + int(period_ns * gaps.uniform(0.5, 1.5))
            took_ns = self._trigger(feed, due_ns, WARM_UP_ANSWER_S)
            answered = 0 if took_ns is None else answered + 1
            in_all += took_ns is not None
            if answered == WARM_UP:
                break
        else:
            raise TimeoutError(
                f"the client does not answer {WARM_UP} deltas in a row: "
                f"{in_all} of {WARM_UP_MAX}, and {self._malformed} orders were malformed"
            )
        self._answered_orders = self._malformed = 0
        took: list[int] = []
        missed = 0
        for _ in range(command.count):
            due_ns = max(due_ns, mono_ns()) + int(period_ns * gaps.uniform(0.5, 1.5))
            took_ns = self._trigger(feed, due_ns, ANSWER_S)
            if took_ns is None:
                missed += 1
            else:
                took.append(took_ns)
        return Measured(
            triggers=command.count,
            orders=self._answered_orders,
            missed=missed,
            malformed=self._malformed,
            order_bytes=self._order_bytes,
            took_ns=took,
        )

    def _flood(self, feed: Connection, count: int, seed: int) -> Flooded:
        """Send mixed frames as fast as the socket takes them, then a ping; wait for its pong."""
        at_ms = self._now_ms()
        wire = b"".join(ws_frame(self._market.mixed(at_ms)) for _ in range(count))
        self._pong_at_ns = 0
        sent_ns = mono_ns()
        self._send(feed, wire)
        self._send(feed, ws_frame(b"end %d" % seed, PING))
        late_ns = sent_ns + int(FLOOD_S * 1e9)
        while not self._pong_at_ns:
            self._poll(0.001)
            if mono_ns() > late_ns:
                raise TimeoutError(f"the client did not take {count} frames in {FLOOD_S:.0f} s")
        return Flooded(count, len(wire), self._pong_at_ns - sent_ns, self._market.update_id)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--symbol", default="BTCUSDT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cpu", type=int, default=-1, help="core to stay on, -1 for any")
    parser.add_argument("--fifo", action="store_true", help="real-time class, before all others")
    options = parser.parse_args()
    if options.cpu >= 0:
        bind_to_core(options.cpu)
    if options.fifo:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    MeasuringVenue(options.symbol, options.seed, options.port).serve()


if __name__ == "__main__":
    main()
