"""Framing of the measuring venue: what is written is read back, whole or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfengine.bench.wire.framing import (
    PING,
    TEXT,
    HttpRequest,
    json_answer,
    take_http_request,
    take_ws_message,
    upgrade_answer,
    upgrade_request,
    ws_frame,
)


@given(
    st.sampled_from((0, 1, 125, 126, 127, 65_535, 65_536)),
    st.sampled_from((b"", b"\x01\x02\x03\xff")),
    st.sampled_from((TEXT, PING)),
    st.integers(0, 14),
)
def test_a_frame_is_read_back_once_it_is_whole(size, mask, opcode, missing):
    payload = bytes(n % 251 for n in range(size))
    wire = ws_frame(payload, opcode, mask)
    cut = max(0, len(wire) - missing)
    received = bytearray(wire[:cut])
    if missing and cut < len(wire):
        assert take_ws_message(received) is None
        assert received == wire[:cut]
        received += wire[cut:]
    received += b"next"
    message = take_ws_message(received)
    assert message is not None
    assert (message.opcode, message.payload) == (opcode, payload)
    assert received == b"next"


def test_bytes_of_the_rfc():
    # RFC 6455, 5.7: an unmasked and a masked "Hello"
    assert ws_frame(b"Hello") == bytes.fromhex("810548656c6c6f")
    assert ws_frame(b"Hello", mask=bytes.fromhex("37fa213d")) == bytes.fromhex(
        "818537fa213d7f9f4d5158"
    )


def test_a_fragment_is_refused():
    with pytest.raises(ValueError, match="fragmented"):
        take_ws_message(bytearray(b"\x01\x01x"))


def test_the_handshake_of_the_rfc():
    # RFC 6455, 1.3
    request = HttpRequest("GET", "/chat", {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}, b"")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in upgrade_answer(request)


def test_requests_are_read_one_by_one():
    upgrade = upgrade_request("/v5/trade", "127.0.0.1:1", b"k" * 16)
    post = b"POST /v5/order/create HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
    received = bytearray(upgrade + post[:-1])
    first = take_http_request(received)
    assert first is not None
    assert (first.method, first.target, first.headers["upgrade"]) == (
        "GET",
        "/v5/trade",
        "websocket",
    )
    assert take_http_request(received) is None
    received += b"y"
    second = take_http_request(received)
    assert second is not None
    assert (second.method, second.body) == ("POST", b"body")
    assert not received


def test_a_chunked_request_is_refused():
    with pytest.raises(ValueError, match="chunked"):
        take_http_request(bytearray(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"))


def test_an_answer_states_its_length():
    assert json_answer(b'{"a":1}').endswith(
        b'Content-Length: 7\r\nConnection: keep-alive\r\n\r\n{"a":1}'
    )
