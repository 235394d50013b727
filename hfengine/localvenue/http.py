"""HTTP/1.1 as far as exchanges speak it, on one connection that may become a websocket.

Clients keep a connection alive between REST calls and may ask for a websocket on the very same
one, so the requests are read here and not by a web framework.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import parse_qsl, unquote

from msgspec import Struct

from hfengine.localvenue.ports import HttpAnswer, HttpRequest

HEAD_BYTES_MAX: Final = 64 * 1024
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
BUFFERED_BYTES_MAX: Final = 2 * BODY_BYTES_MAX
"""Bytes a client may send ahead of its answers."""

_HEAD_END: Final = b"\r\n\r\n"

Serve = Callable[[HttpRequest], Awaitable[HttpAnswer | None]]
"""Answers a request; None cuts the connection."""

Upgrade = Callable[[HttpRequest, asyncio.Transport, bytes], None]
"""Takes over a connection that asked for a websocket, with every byte from that request on."""


class BadRequest(Exception):
    """Bytes that are no request this server understands; `status` says why."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Head(Struct, frozen=True):
    """The head of one request and where its body lies in the bytes it came in."""

    request: HttpRequest
    body_start: int
    body_end: int
    keep_alive: bool

    @property
    def wants_websocket(self) -> bool:
        """Whether the connection is to become a websocket."""
        return self.request.headers.get("upgrade", "").lower() == "websocket"


def decoded_query(raw_query: str) -> dict[str, str]:
    """Return the parameters of a query; of a repeated one the last."""
    return dict(parse_qsl(raw_query, keep_blank_values=True))


def read_head(received: bytes | bytearray, remote: str) -> Head | None:
    """Return the first request's head, None while it is not all there; raises BadRequest."""
    end = received.find(_HEAD_END)
    if end < 0:
        if len(received) > HEAD_BYTES_MAX:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too long")
        return None
    lines = bytes(received[:end]).decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"no HTTP/1.1 request line: {lines[0]!r}")
    method, target, version = words
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, text = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(HTTPStatus.BAD_REQUEST, f"no header: {line!r}")
        headers[name.lower()] = text.strip()
    path, _, raw_query = target.partition("?")
    return Head(
        HttpRequest(
            method=method,
            path=unquote(path),
            raw_query=raw_query,
            headers=headers,
            body=b"",
            query=decoded_query(raw_query),
            remote=remote,
        ),
        end + len(_HEAD_END),
        end + len(_HEAD_END) + _body_bytes(headers),
        _keeps_alive(version, headers),
    )


def _body_bytes(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise BadRequest(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length, not chunks")
    text = headers.get("content-length", "0")
    if not text.isascii() or not text.isdigit():
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"no Content-Length: {text!r}")
    length = int(text)
    if length > BODY_BYTES_MAX:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{length} bytes of body")
    return length


def _keeps_alive(version: str, headers: Mapping[str, str]) -> bool:
    wish = headers.get("connection", "").lower()
    return "close" not in wish if version == "HTTP/1.1" else "keep-alive" in wish


def encode_answer(answer: HttpAnswer, *, keep_alive: bool) -> bytes:
    """Return an answer as it goes over the wire."""
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Venue"
    lines = [
        f"HTTP/1.1 {answer.status} {phrase}",
        f"Content-Length: {len(answer.body)}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {text}" for name, text in answer.headers.items()),
    ]
    if answer.body:
        lines.append(f"Content-Type: {answer.content_type}")
    return "\r\n".join(lines).encode("latin-1") + _HEAD_END + answer.body


class HttpConnection(asyncio.Protocol):
    """One client's connection: requests answered one after the other, until it is upgraded."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        serve: Serve,
        upgrade: Upgrade,
        open_connections: set["HttpConnection"],
    ) -> None:
        self._loop = loop
        self._serve = serve
        self._upgrade = upgrade
        self._open = open_connections
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._remote = ""
        self._task: asyncio.Task[HttpAnswer | None] | None = None
        self._continued = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._remote = str(peer[0]) if peer else ""
        self._open.add(self)

    def data_received(self, piece: bytes) -> None:
        """Take bytes."""
        self._received += piece
        if len(self._received) > BUFFERED_BYTES_MAX:
            self.abort()
            return
        self._advance()

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the connection; a request that is being answered is carried through."""
        self._transport = None
        self._open.discard(self)

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        transport = self._transport
        if self._task is not None or transport is None or transport.is_closing():
            return
        try:
            head = read_head(self._received, self._remote)
        except BadRequest as problem:
            answer = HttpAnswer(
                body=str(problem).encode(), status=problem.status, content_type="text/plain"
            )
            self._write(answer, keep_alive=False)
            return
        if head is None:
            return
        if head.wants_websocket:
            received, self._received = bytes(self._received), bytearray()
            self._open.discard(self)
            self._transport = None
            self._upgrade(head.request, transport, received)
            return
        if len(self._received) < head.body_end:
            if "expect" in head.request.headers and not self._continued:
                self._continued = True
                transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        self._continued = False
        body = bytes(self._received[head.body_start : head.body_end])
        del self._received[: head.body_end]
        self._task = task = self._loop.create_task(self._answer(head, body))
        task.add_done_callback(lambda done: self._answered(done, head.keep_alive))

    async def _answer(self, head: Head, body: bytes) -> HttpAnswer | None:
        request = head.request
        if body:
            request = HttpRequest(
                method=request.method,
                path=request.path,
                raw_query=request.raw_query,
                headers=request.headers,
                body=body,
                query=request.query,
                remote=request.remote,
            )
        answer = await self._serve(request)
        if answer is not None:
            # written before the next turn of the loop, in which account reports go out
            self._write(answer, keep_alive=head.keep_alive)
        return answer

    def _answered(self, task: "asyncio.Task[HttpAnswer | None]", keep_alive: bool) -> None:
        self._task = None
        if task.cancelled():
            self.abort()
            return
        error = task.exception()
        if error is not None:
            self._loop.call_exception_handler(
                {"message": "the venue failed at a request", "exception": error}
            )
            self._write(HttpAnswer(body=b"", status=500), keep_alive=False)
        elif task.result() is None:
            self.abort()
        if keep_alive and self._received:
            self._advance()

    def _write(self, answer: HttpAnswer, *, keep_alive: bool) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode_answer(answer, keep_alive=keep_alive))
            if not keep_alive:
                self._transport.close()

    def end(self) -> None:
        """End the connection and what it is doing."""
        if self._task is not None:
            self._task.cancel()
        self.abort()
