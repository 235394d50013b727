"""Websocket and HTTP framing for the measuring venue: bytes in, bytes out, no sockets."""

import base64
import hashlib
import struct

from msgspec import Struct

TEXT = 0x1
CLOSE = 0x8
PING = 0x9
PONG = 0xA

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MASKED = 0x80
_FINAL = 0x80


class WsMessage(Struct, frozen=True):
    """One websocket message: its opcode and its payload, unmasked."""

    opcode: int
    payload: bytes


class HttpRequest(Struct, frozen=True):
    """One HTTP request; header names are lower-case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def ws_frame(payload: bytes, opcode: int = TEXT, mask: bytes = b"") -> bytes:
    """Return one final frame (RFC 6455, 5.2); four bytes of `mask` make it a client's."""
    size = len(payload)
    flag = _MASKED if mask else 0
    if size < 126:
        head = bytes((_FINAL | opcode, flag | size))
    elif size < 1 << 16:
        head = struct.pack(">BBH", _FINAL | opcode, flag | 126, size)
    else:
        head = struct.pack(">BBQ", _FINAL | opcode, flag | 127, size)
    return head + mask + (_xor(payload, mask) if mask else payload)


def take_ws_message(received: bytearray) -> WsMessage | None:
    """Take the first whole frame off `received`; None while it is not all there.

    Raises ValueError for a fragmented message: none of the measured clients sends one.
    """
    if len(received) < 2:
        return None
    size, at = received[1] & 0x7F, 2
    if size == 126:
        at = 4
        size = int.from_bytes(received[2:4])
    elif size == 127:
        at = 10
        size = int.from_bytes(received[2:10])
    masked = received[1] & _MASKED
    start = at + 4 if masked else at
    if len(received) < start or len(received) < start + size:
        return None
    if not received[0] & _FINAL:
        raise ValueError("a fragmented websocket message")
    payload = bytes(received[start : start + size])
    if masked:
        payload = _xor(payload, bytes(received[at:start]))
    opcode = received[0] & 0x0F
    del received[: start + size]
    return WsMessage(opcode, payload)


def take_http_request(received: bytearray) -> HttpRequest | None:
    """Take the first whole request off `received`; None while it is not all there.

    Raises ValueError for a chunked body: none of the measured clients sends one.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = received[:end].decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = {}
    for line in lines[1:]:
        name, _, text = line.partition(":")
        headers[name.strip().lower()] = text.strip()
    if "transfer-encoding" in headers:
        raise ValueError("a chunked HTTP request")
    whole = end + 4 + int(headers.get("content-length", "0"))
    if len(received) < whole:
        return None
    body = bytes(received[end + 4 : whole])
    del received[:whole]
    return HttpRequest(method, target, headers, body)


def upgrade_request(target: str, host: str, key: bytes) -> bytes:
    """Return a client's request for a websocket; `key` is 16 bytes."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(key).decode()}\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def upgrade_answer(request: HttpRequest) -> bytes:
    """Return the answer that makes the connection a websocket, without any extension."""
    key = request.headers["sec-websocket-key"].encode()
    digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


def json_answer(body: bytes) -> bytes:
    """Return a 200 answer on a connection that stays open."""
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: keep-alive\r\n\r\n"
    )
    return head.encode() + body


def _xor(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "little") ^ int.from_bytes(pattern, "little")
    return mixed.to_bytes(size, "little")
