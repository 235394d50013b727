"""The server's end of websockets: picows, with faults and a bound on what a slow client owes."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from picows import WSAutoPingStrategy, WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined] # its stub leaves it out

from hfengine.localvenue.ports import HttpRequest, Session, Socket
from hfengine.localvenue.world import World

FRAME_BYTES_MAX: Final = 1024 * 1024
UNSENT_BYTES_MAX: Final = 16 * 1024 * 1024
"""What may wait to be sent to a client that does not read, before it is dropped."""

CLOSE_WAIT_S: Final = 1.0
"""How long a client has to answer a close frame."""

HANDSHAKE_S: Final = 5.0
TEXT_FRAME: Final = 0x81

SHARED_HEADER_BYTES: Final = 8192
"""Above this picows queues a view of the header it writes the next frame's over: one turn's frames
then leave under one another's lengths."""

HEADER_ROOM: Final = bytes(14)
LOGGER: Final = logging.getLogger("hfengine.localvenue")

OpenSession = Callable[[Socket], Session | None]


class ServedSocket(WSListener):
    """One websocket between a client and its session."""

    def __init__(
        self, world: World, request: HttpRequest, open_sockets: "set[ServedSocket]"
    ) -> None:
        self._world = world
        self._path = request.path
        self._query = request.query
        self._open = open_sockets
        self._transport: WSTransport | None = None
        self._session: Session | None = None
        self._stalled = False
        self._slow = False
        self._closing = False
        self._early: list[bytes] = []
        self._outbox: list[bytes] = []
        self._held: bytes | None = None
        self._fragments = bytearray()
        self.sent_frames = 0
        self.heard_frames = 0

    @property
    def path(self) -> str:
        """The path it was opened on."""
        return self._path

    @property
    def query(self) -> Mapping[str, str]:
        """Its decoded query."""
        return self._query

    @property
    def unsent_bytes(self) -> int:
        """What waits in this process to be sent."""
        transport = self._transport
        return 0 if transport is None else transport.underlying_transport.get_write_buffer_size()

    def open_session(self, open_session: OpenSession) -> bool:
        """Ask for the session; tell whether the path is served."""
        self._session = open_session(self)
        return self._session is not None

    # Outgoing

    def send(self, payload: bytes) -> None:
        """Send one text frame, unless the connection is over or a fault has it otherwise."""
        if self._stalled or self._closing:
            return
        if self._transport is None:
            self._early.append(payload)
            return
        if not self._world.settle():
            self.drop()
            return
        if self._world.faults.sockets_at_risk and self._strike(payload):
            return
        self._write(payload)

    def close(self, code: int = 1000) -> None:
        """Send a close frame; the connection ends when it is answered, or a second later."""
        transport = self._transport
        if transport is None or self._closing:
            return
        self._flush()
        self._closing = True
        transport.send_close(code)  # type: ignore[arg-type] # any code, not only the named ones
        self._world.later(CLOSE_WAIT_S, self.drop)

    def drop(self) -> None:
        """Cut the connection without a word."""
        self._flush_singly()
        self._closing = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def stall(self) -> None:
        """Neither read nor send from now on, and keep the connection open."""
        self._stalled = True
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def _write(self, payload: bytes) -> None:
        transport = self._transport
        if transport is None or self._stalled or self._closing:
            return
        if self._slow:
            unsent = transport.underlying_transport.get_write_buffer_size()
            if unsent > UNSENT_BYTES_MAX:
                LOGGER.warning("%s: dropped, %d bytes behind", self._path, unsent)
                self.drop()
                return
        self.sent_frames += 1
        if not self._outbox:
            self._world.loop.call_soon(self._flush)
        self._outbox.append(payload)
        if self._held is not None:
            held, self._held = self._held, None
            self._write(held)

    def _flush(self) -> None:
        """Send what one turn of the loop had to say with one system call: each costs 10 us."""
        outbox = self._outbox
        if len(outbox) < 2:
            self._flush_singly()
            return
        self._outbox = []
        if self._transport is not None:
            parts = [part for payload in outbox for part in (_header(payload), payload)]
            self._transport.underlying_transport.write(b"".join(parts))

    def _flush_singly(self) -> None:
        """Send frames one by one, each before this returns if the system takes it."""
        outbox, self._outbox = self._outbox, []
        transport = self._transport
        if transport is None:
            return
        for payload in outbox:
            if len(payload) > SHARED_HEADER_BYTES:
                framed = bytearray(HEADER_ROOM + payload)
                transport.send_reuse_external_bytearray(WSMsgType.TEXT, framed, len(HEADER_ROOM))
            else:
                transport.send(WSMsgType.TEXT, payload)

    def _strike(self, payload: bytes) -> bool:
        """Let the faults of outgoing frames happen; tell whether the frame is dealt with."""
        take = partial(
            self._world.faults.take, path=self._path, topic=payload.decode(errors="replace")
        )
        if take("drop_socket"):
            self.drop()
        elif take("stall_socket"):
            self.stall()
        elif rule := take("close_socket"):
            self.close(rule.code or WSCloseCode.GOING_AWAY.value)
        elif take("drop_frame"):
            pass
        elif take("duplicate_frame"):
            self._write(payload)
            self._write(payload)
        elif self._held is None and take("reorder_frame"):
            self._held = payload
        elif rule := take("delay_frame"):
            self._world.later(rule.delay_ms / 1000, partial(self._write, payload))
        else:
            return False
        return True

    # picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin, with what the session has said already."""
        self._transport = transport
        self._open.add(self)
        early, self._early = self._early, []
        for payload in early:
            self.send(payload)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand a text frame to the session; answer a close."""
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            if not self._closing:
                self._closing = True
                transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if self._stalled or kind in (WSMsgType.PING, WSMsgType.PONG):
            return
        payload = frame.get_payload_as_bytes()
        if not frame.fin or self._fragments:
            self._fragments += payload
            if len(self._fragments) > FRAME_BYTES_MAX:
                self.drop()
                return
            if not frame.fin:
                return
            payload = bytes(self._fragments)
            self._fragments.clear()
        self._hear(payload)

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """End the session."""
        self._transport = None
        self._end()

    def expect(self, transport: asyncio.Transport) -> None:
        """End the session of a connection whose handshake failed: it is never connected."""

        def look() -> None:
            if self._transport is None:
                self._end()

        if transport.is_closing():
            look()
        elif self._transport is None:
            self._world.later(HANDSHAKE_S, look)

    def _end(self) -> None:
        self._closing = True
        self._early.clear()
        self._open.discard(self)
        session, self._session = self._session, None
        if session is not None:
            session.closed()

    def pause_writing(self) -> None:
        """Note that the client does not read as fast as we write."""
        self._slow = True

    def resume_writing(self) -> None:
        """Note that it caught up."""
        self._slow = False

    def _hear(self, payload: bytes) -> None:
        session = self._session
        if session is None or self._closing:
            return
        self.heard_frames += 1
        faults = self._world.faults
        if not faults.any_armed:
            session.heard(payload)
            # an answer does not wait for what else this turn has to do
            self._flush()
            return
        topic = payload.decode(errors="replace")
        if faults.take("cut_before", path=self._path, topic=topic):
            self.drop()
        elif faults.take("cut_after", path=self._path, topic=topic):
            # deaf to the answer, and to whatever else would still be sent
            self._stalled = True
            session.heard(payload)
            self._world.settle()
            self.drop()
        else:
            session.heard(payload)


def _header(payload: bytes) -> bytes:
    """Return the header of an unmasked text frame (RFC 6455, 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((TEXT_FRAME, length))
    if length < 1 << 16:
        return bytes((TEXT_FRAME, 126, length >> 8, length & 255))
    return bytes((TEXT_FRAME, 127)) + length.to_bytes(8)


def upgrade(
    socket: ServedSocket,
    open_session: OpenSession,
    transport: asyncio.Transport,
    received: bytes,
) -> None:
    """Make a connection a websocket: picows reads it from the upgrade request in `received` on."""

    def listener(_request: object) -> ServedSocket | None:
        return socket if socket.open_session(open_session) else None

    protocol = WSProtocol(
        None,
        None,
        False,  # is_client_side
        listener,
        LOGGER,
        True,  # disconnect_on_exception
        HANDSHAKE_S,
        False,  # enable_auto_ping
        20.0,
        20.0,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        True,  # enable_auto_pong
        FRAME_BYTES_MAX,
        None,
        16 * 1024,
    )
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    while received:
        room = protocol.get_buffer(-1)
        taken = min(len(room), len(received))
        room[:taken] = received[:taken]
        received = received[taken:]
        protocol.buffer_updated(taken)
    socket.expect(transport)
