"""Requests as bytes: what is read of them, whole or in any pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfengine.localvenue.http import BadRequest, encode_answer, read_head
from hfengine.localvenue.ports import HttpAnswer

REQUEST = (
    b"POST /v5/order/create?a=1&b=%3D%20 HTTP/1.1\r\nHost: x:1\r\nX-BAPI-SIGN:  abc \r\n"
    b"Content-Length: 5\r\n\r\nhello"
)


def test_a_head_is_read_as_it_was_sent():
    head = read_head(REQUEST, "1.2.3.4")
    assert head.request.method == "POST"
    assert head.request.path == "/v5/order/create"
    assert head.request.raw_query == "a=1&b=%3D%20"
    assert head.request.query == {"a": "1", "b": "= "}
    assert head.request.headers == {"host": "x:1", "x-bapi-sign": "abc", "content-length": "5"}
    assert head.request.remote == "1.2.3.4"
    assert REQUEST[head.body_start : head.body_end] == b"hello"
    assert head.keep_alive
    assert not head.wants_websocket


@given(st.integers(0, REQUEST.index(b"\r\n\r\n") + 3))
def test_a_part_of_a_head_is_none(length):
    assert read_head(REQUEST[:length], "") is None


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("HTTP/1.1", "", True),
        ("HTTP/1.1", "Connection: Close\r\n", False),
        ("HTTP/1.0", "", False),
        ("HTTP/1.0", "Connection: Keep-Alive\r\n", True),
    ],
)
def test_a_connection_is_kept_as_its_version_says(version, connection, kept):
    head = read_head(f"GET / {version}\r\n{connection}\r\n".encode(), "")
    assert head.keep_alive is kept


def test_a_websocket_is_asked_for_in_any_case():
    asked = b"GET /ws HTTP/1.1\r\nUPGRADE: WebSocket\r\nConnection: Upgrade\r\n\r\n"
    assert read_head(asked, "").wants_websocket


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(noise):
    try:
        status = 200 if read_head(noise + b"\r\n\r\n", "") else 0
    except BadRequest as refused:
        status = refused.status
    assert status == 200 or 400 <= status < 500


def test_an_answer_has_its_length_headers_and_status():
    answer = HttpAnswer(body=b"{}", status=429, headers={"Retry-After": "5"})
    assert encode_answer(answer, keep_alive=True) == (
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\nConnection: keep-alive\r\n"
        b"Retry-After: 5\r\nContent-Type: application/json\r\n\r\n{}"
    )
    unnamed = encode_answer(HttpAnswer(body=b"", status=520), keep_alive=False)
    assert unnamed == (b"HTTP/1.1 520 Venue\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
