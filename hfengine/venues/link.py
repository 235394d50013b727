"""One websocket kept alive: connect, watch, ping, reconnect. What it carries is its session's."""

import asyncio
import logging
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

from msgspec import Struct
from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    ws_connect,
)

from hfengine.errors import ConfigError, VenueUnavailable
from hfengine.kernels.listener import Line, Listener
from hfengine.limits import BURST_BYTES_MAX, BURST_FRAMES_MAX, FRAME_BYTES_MAX
from hfengine.runtime.hosts import ActorHost

logger = logging.getLogger(__name__)

CLOSING_S = 1.0
"""How long a closing handshake may take before the connection is cut."""

LOOK_S = 60.0
"""Longest time between two looks at a connection."""

BACKOFF_DOUBLINGS_MAX = 20

TEXT = WSMsgType.TEXT
BINARY = WSMsgType.BINARY
CONTINUATION = WSMsgType.CONTINUATION
PING = WSMsgType.PING
CLOSE = WSMsgType.CLOSE


class LinkSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a link is kept alive."""

    connect_timeout_s: float = 5.0
    """For name, connection, TLS and handshake together."""
    silence_max_s: float = 30.0
    """A connection without a single frame for so long is cut; longer than `ping_every_s`."""
    ping: bytes | None = None
    """The venue's own ping as a text frame; None sends the websocket's ping frame."""
    ping_every_s: float = 10.0
    backoff_first_s: float = 0.2
    backoff_max_s: float = 30.0
    """Pauses between attempts double from first to max; each is drawn from its upper half."""
    healthy_s: float = 30.0
    """After so long without a break the next pause is the first one again."""


class Session(Protocol):
    """What a link carries. All calls come on the loop's thread."""

    def opened(self, link: "Link") -> None:
        """Send what a new connection needs: authentication, subscriptions."""

    def heard(self, payload: bytes, received_ns: int) -> None:
        """Take one whole message; `received_ns` is the clock's time when its bytes were read."""

    def closed(self, reason: str) -> None:
        """Learn that the connection ended, or that one could not be made."""


class Link(Line):
    """One websocket connection to one URL, made again whenever it ends until `stop`.

    All messages of one socket read reach the session in one batch of the host, so that actors run
    once, when the last is in; of a long read, once every `BURST_FRAMES_MAX`. A session whose
    `heard` is a compiled `Hearer` is reached without a Python frame. An error of the session ends
    the connection: its state is not known any more. Counters only grow.
    """

    def __init__(
        self,
        url: str,
        session: Session,
        *,
        host: ActorHost,
        random: Random,
        settings: LinkSettings,
        name: str,
    ) -> None:
        """Take what it is made of; raises ConfigError for an address no socket can be made to."""
        check_socket_url(url)
        self.url = url
        self.name = name
        self.settings = settings
        self.host = host
        self.is_open = False
        self.listener = None
        self.opens = 0
        self.attempts_failed = 0
        self.silences = 0
        self.session_errors = 0
        self.last_reason = ""
        """Why the last connection ended."""
        self._session = session
        self._random = random
        self._wire: _Wire | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop_asked = asyncio.Event()
        self._stopping = False
        self._failures = 0
        self._frames_before = 0

    @property
    def frames(self) -> int:
        """How many frames came in, pings and pongs included."""
        return self._frames_before + (0 if self.listener is None else self.listener.frames)

    @property
    def reconnects(self) -> int:
        """How often a connection was made again after the first."""
        return max(0, self.opens - 1)

    def start(self) -> None:
        """Begin connecting; raises RuntimeError when it already has."""
        if self._task is not None and not self._task.done():
            msg = f"link {self.name} was started already"
            raise RuntimeError(msg)
        self._stopping = False
        self._stop_asked.clear()
        self._task = self.host.loop.create_task(self._keep_alive(), name=f"link {self.name}")
        self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        """End reconnecting and close; the host's shutdown waits until that is done."""
        task = self._task
        self._stopping = True
        if task is None or task.done():
            return
        self.host.tasks.add(task)
        task.add_done_callback(self.host.tasks.discard)
        if self._wire is not None and self.is_open:
            self._wire.end("stopped", WSCloseCode.OK)
            self._stop_asked.set()
        else:
            task.cancel()

    async def wait_stopped(self) -> None:
        """Wait until a stopped link has closed."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def unsendable(self) -> VenueUnavailable:
        """Return why `send` refuses."""
        listener = self.listener
        if self.is_open and listener is not None and listener.congested:
            return VenueUnavailable(f"{self.name}: the venue does not read what is sent to it")
        return VenueUnavailable(f"{self.name}: not connected to {self.url}")

    def drop(self, reason: str) -> None:
        """Cut the connection at once; it is made again unless the link was stopped."""
        if self._wire is not None:
            self._wire.cut(reason)

    async def _keep_alive(self) -> None:
        loop = self.host.loop
        while not self._stopping:
            self._frames_before = self.frames
            wire = _Wire(self, self._session)
            self._wire, self.listener = wire, wire.listener
            try:
                async with asyncio.timeout(self.settings.connect_timeout_s):
                    await self._connect(wire)
            except (OSError, WSError, TimeoutError, ValueError) as error:
                # ValueError: a name or an address that the resolver does not even ask for
                wire.abandon()
                self.attempts_failed += 1
                self.last_reason = f"no connection to {self.url}: {_sentence(error)}"
                self._session.closed(self.last_reason)
            except asyncio.CancelledError:
                wire.abandon()
                raise
            else:
                opened_s = loop.time()
                await self._watch(wire)
                if loop.time() - opened_s >= self.settings.healthy_s:
                    self._failures = 0
            if not self._stopping:
                await self._pause()

    async def _connect(self, wire: "_Wire") -> None:
        await ws_connect(
            lambda: wire.listener,
            self.url,
            # A pong sent by picows itself would hide the end of a burst.
            enable_auto_pong=False,
            websocket_handshake_timeout=self.settings.connect_timeout_s,
            max_frame_size=FRAME_BYTES_MAX,
            max_redirects=0,
            logger_name=logger,
        )

    async def _watch(self, wire: "_Wire") -> None:
        """Ping, and cut a silent connection, until it has ended."""
        settings, loop = self.settings, self.host.loop
        gone = asyncio.ensure_future(wire.transport.wait_disconnected())
        try:
            heard_s = pinged_s = loop.time()
            heard = wire.listener.frames
            every_s = min(settings.ping_every_s / 2, settings.silence_max_s / 4, LOOK_S)
            while not gone.done():
                await asyncio.wait({gone}, timeout=every_s if self.is_open else CLOSING_S)
                now_s = loop.time()
                if wire.listener.frames != heard:
                    heard, heard_s = wire.listener.frames, now_s
                if gone.done():
                    break
                if not self.is_open:
                    if now_s - wire.ending_at_s >= CLOSING_S:
                        wire.transport.disconnect(graceful=False)
                elif now_s - heard_s >= settings.silence_max_s:
                    self.silences += 1
                    wire.cut(f"silent for {settings.silence_max_s:g} s")
                elif now_s - pinged_s >= settings.ping_every_s:
                    pinged_s = now_s
                    wire.ping(settings.ping)
            error = gone.exception()
        finally:
            gone.cancel()
        if error is not None and not isinstance(error, WSProtocolError):
            self.session_errors += 1
            logger.error("the session of link %s failed", self.name, exc_info=error)

    def _next_pause_s(self) -> float:
        settings = self.settings
        doublings = min(self._failures, BACKOFF_DOUBLINGS_MAX)
        longest_s = min(settings.backoff_max_s, settings.backoff_first_s * 2**doublings)
        self._failures += 1
        pause_s: float = longest_s * self._random.uniform(0.5, 1.0)
        return pause_s

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._next_pause_s()):
                await self._stop_asked.wait()
        except TimeoutError:
            return

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.is_open = False
        self._frames_before = self.frames
        self._wire = self.listener = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self.host.loop.call_exception_handler(
                {"message": f"link {self.name} gave up", "exception": error, "task": task}
            )


class _Wire:
    """One connection of a link: what its compiled listener leaves to Python."""

    def __init__(self, link: Link, session: Session) -> None:
        self.transport: WSTransport
        self.listener = Listener(
            self,
            link.host,
            link.host.clock.now_ns,
            session.heard,
            BURST_FRAMES_MAX,
            BURST_BYTES_MAX,
        )
        self.abandoned = False
        self.ending_at_s = 0.0
        self._link = link
        self._host = link.host
        self._session = session
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._reason = ""

    def connected(self, transport: WSTransport) -> None:
        """Open the session, unless nobody waits for this connection any more."""
        self.transport = transport
        link = self._link
        if self.abandoned:
            transport.disconnect(graceful=False)
            return
        link.opens += 1
        link.is_open = True
        try:
            self._session.opened(link)
        except BaseException as error:
            self.listener.broken = True
            self.failed(error)
            raise

    def failed(self, error: BaseException) -> None:
        """Say why the connection ends.

        picows closes it; what follows would meet a session in an unknown state.
        """
        named = error.args[-1] if isinstance(error, WSProtocolError) else repr(error)
        self._closing(f"closed by us: {named}")

    def take(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a piece of a message, a ping, or the venue's goodbye."""
        kind = frame.msg_type
        if kind in (TEXT, BINARY):
            if self._parts:
                raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "message inside a message")
            self._add_part(frame)
        elif kind == CONTINUATION:
            if not self._parts:
                raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "continuation of nothing")
            self._add_part(frame)
        elif kind == PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == CLOSE:
            told = frame.get_payload_as_bytes()
            code, reason = int.from_bytes(told[:2], "big"), told[2:].decode()
            text = f"closed by the venue, code {code}" + (f": {reason}" if reason else "")
            self.end(text, WSCloseCode.OK)

    def _add_part(self, frame: WSFrame) -> None:
        self._parts.append(frame.get_payload_as_bytes())
        # An empty part must not cost nothing, or a message could go on for ever.
        self._parts_bytes += frame.payload_size + 1
        if self._parts_bytes > FRAME_BYTES_MAX:
            raise WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, f"over {FRAME_BYTES_MAX} bytes")
        self.listener.in_parts = not frame.fin
        if frame.fin:
            payload = b"".join(self._parts)
            self._parts, self._parts_bytes = [], 0
            self.listener.hear(payload)

    def disconnected(self, transport: WSTransport) -> None:
        """Tell the session why, once."""
        if self.abandoned:
            return
        link = self._link
        link.is_open = False
        link.last_reason = self._reason or _reason_of(transport)
        self._session.closed(link.last_reason)

    def ping(self, payload: bytes | None) -> None:
        """Send the venue's ping, or a ping frame."""
        if payload is None:
            self.transport.send_ping()
        else:
            self.transport.send(TEXT, payload)

    def end(self, reason: str, code: WSCloseCode) -> None:
        """Close in good order."""
        if self._closing(reason):
            self.transport.send_close(code)
            self.transport.disconnect()

    def cut(self, reason: str) -> None:
        """Close at once, without waiting for the other side."""
        if self._closing(reason):
            self.transport.disconnect(graceful=False)

    def abandon(self) -> None:
        """Never open the session, or close what was opened while nobody waits any more."""
        self.cut("abandoned")
        self.abandoned = self.listener.broken = True

    def _closing(self, reason: str) -> bool:
        if not self._link.is_open:
            return False
        self._link.is_open = False
        self._reason = reason
        self.ending_at_s = self._host.loop.time()
        return True


def check_socket_url(url: str) -> None:
    """Raise ConfigError, naming what is wrong, unless `url` is the address of a websocket."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError as error:
        problem = str(error)
    else:
        if parts.scheme not in ("ws", "wss"):
            problem = "it begins with ws:// or wss://"
        elif not host or port == 0:
            problem = "it names no host" if not host else "there is no port 0"
        elif parts.fragment or not url.isprintable() or " " in url:
            problem = "it holds a blank, a control character or a #"
        else:
            return
    raise ConfigError([f"{url!r} is no socket address: {problem}"])


def _reason_of(transport: WSTransport) -> str:
    """Say why a connection ended that neither side's session closed."""
    handshake = transport.close_handshake
    if handshake is None or handshake.sent is None:
        return "the connection was lost"
    return f"closed by us: {handshake.sent.reason or 'a broken frame'}"


def _sentence(error: BaseException) -> str:
    return str(error) or type(error).__name__
