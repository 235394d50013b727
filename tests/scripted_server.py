"""A websocket server on the test's own loop that does what a test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

PATIENCE_S = 5.0


class Peer(WSListener):
    """One client's connection, seen from the server."""

    def __init__(self, server: "ScriptedServer", path: str) -> None:
        super().__init__()
        self.server = server
        self.path = path
        self.received: list[bytes] = []
        self.pings = 0
        self.pongs: list[bytes] = []
        self.close_codes: list[int] = []
        self.is_open = False
        self.transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.is_open = True
        self.server.peers.append(self)
        self.server.greet(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        if frame.msg_type == WSMsgType.PING:
            self.pings += 1
            if self.server.answers_pings:
                transport.send_pong(payload)
        elif frame.msg_type == WSMsgType.PONG:
            self.pongs.append(payload)
        elif frame.msg_type == WSMsgType.CLOSE:
            self.close_codes.append(int.from_bytes(payload[:2], "big"))
            transport.disconnect()
        else:
            self.received.append(payload)
            self.server.hear(self, payload)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.is_open = False

    def send(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.transport.send(WSMsgType.TEXT, payload)

    def send_in_one_read(self, *payloads: bytes) -> None:
        """Write several frames at once, so that the client reads them together."""
        self.transport.underlying_transport.write(b"".join(frame_of(p) for p in payloads))

    def send_parts(self, *parts: bytes) -> None:
        """Send one message in fragments."""
        for number, part in enumerate(parts):
            kind = WSMsgType.CONTINUATION if number else WSMsgType.TEXT
            self.transport.send(kind, part, fin=number == len(parts) - 1)

    def close(self, code: WSCloseCode, reason: str = "") -> None:
        self.transport.send_close(code, reason.encode())

    def cut(self) -> None:
        self.transport.disconnect(graceful=False)


def frame_of(payload: bytes, opcode: int = 1, *, fin: bool = True) -> bytes:
    """Return a server's frame as bytes on the wire."""
    head = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 1 << 16:
        return head + b"\x7e" + len(payload).to_bytes(2, "big") + payload
    return head + b"\x7f" + len(payload).to_bytes(8, "big") + payload


class ScriptedServer:
    """Listens on a free port of the loopback; `greet` and `hear` are the script."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.greet: Callable[[Peer], Any] = lambda _peer: None
        self.hear: Callable[[Peer, bytes], Any] = lambda _peer, _payload: None
        self.answers_pings = True
        self.refuses = False
        self.attempts = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def peer(self) -> Peer:
        """The newest connection."""
        return self.peers[-1]

    def admit(self, request: WSUpgradeRequest) -> Peer | None:
        self.attempts += 1
        if self.refuses:
            return None
        return Peer(self, request.path.decode())

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["ScriptedServer"]:
        server = await ws_create_server(self.admit, "127.0.0.1", 0, enable_auto_pong=False)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for peer in self.peers:
                if peer.is_open:
                    peer.cut()
            await until(lambda: not any(peer.is_open for peer in self.peers))
            await server.wait_closed()


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fails when it does not within PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - the conditions are a test's own
            await asyncio.sleep(0.001)
