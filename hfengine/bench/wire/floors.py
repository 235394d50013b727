"""The floors: the compiled path over picows, and over bare sockets. No actors, no gates."""

import asyncio
import socket
from collections.abc import Callable

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from hfengine.bench.wire.framing import upgrade_request, ws_frame
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from hfengine.kernels.floor import FloorPath

QUANTITY = "0.010"
KEY = b"hfengine floor!!"
SUBSCRIBE = '{{"op":"subscribe","args":["orderbook.50.{symbol}"]}}'


def floor_path(symbol: str) -> FloorPath:
    """Return a fresh path for a symbol on BTCUSDT's grid."""
    return FloorPath(BybitCodec(symbol, Book("0.1", "0.001")), QUANTITY)


class _Orders(WSListener):
    """The order connection: what it says is dropped."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Drop an acknowledgement."""


class _Feed(WSListener):
    """The market connection: each delta becomes an order before the callback returns."""

    def __init__(self, symbol: str, orders: WSTransport) -> None:
        self._symbol = symbol
        self._path = floor_path(symbol)
        self._orders = orders

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Subscribe to the book."""
        transport.send(WSMsgType.TEXT, SUBSCRIBE.format(symbol=self._symbol).encode())

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """Answer a delta."""
        order = self._path.order(frame.get_payload_as_bytes())
        if order is not None:
            self._orders.send(WSMsgType.TEXT, order)


def run_picows(
    port: int, symbol: str, loop: asyncio.AbstractEventLoop, settle: Callable[[], None]
) -> None:
    """Answer deltas over picows until the venue closes; `settle` runs once connected."""

    async def trade() -> None:
        url = f"ws://127.0.0.1:{port}"
        orders, _ = await ws_connect(_Orders, f"{url}/v5/trade")
        feed, _ = await ws_connect(lambda: _Feed(symbol, orders), f"{url}/v5/public/linear")
        settle()
        await feed.wait_disconnected()

    loop.run_until_complete(trade())


def run_bare(port: int, symbol: str, *, spin: bool, settle: Callable[[], None]) -> None:
    """Answer deltas over bare sockets until the venue closes; `settle` runs once connected."""
    with connect(port, "/v5/trade") as orders, connect(port, "/v5/public/linear") as feed:
        subscribe = SUBSCRIBE.format(symbol=symbol).encode()
        feed.sendall(ws_frame(subscribe, mask=b"wire"))
        settle()
        floor_path(symbol).serve(feed.fileno(), orders.fileno(), spin)


def connect(port: int, target: str) -> socket.socket:
    """Return a websocket to the loopback; raises ConnectionError when the venue hangs up."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(upgrade_request(target, f"127.0.0.1:{port}", KEY))
    answer = b""
    # the venue speaks only when spoken to, so nothing can follow its answer
    while not answer.endswith(b"\r\n\r\n"):
        got = connection.recv(4096)
        if not got:
            raise ConnectionError(f"{target}: closed during the handshake")
        answer += got
    return connection
