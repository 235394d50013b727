"""Messages framed in compiled code: the same bytes as one by one, and a stop at what needs care."""

from typing import Any

import msgspec
import pytest
from msgspec import Struct

from hfengine.journal.redact import SCALARS, RedactingEncoder, free_fields
from hfengine.kernels.framing import Framer

FULL = 1 << 20


class Plain(Struct, frozen=True, tag=True):
    number: int
    text: str = ""


class Free(Struct, frozen=True, tag=True):
    held: Any


class Named(Struct, frozen=True, tag=True):
    password: str


def framed(messages: list[Any], *, secrets: list[bytes] | None = None, **bounds: int) -> int:
    """Frame messages and hold the block against the encoder's own bytes; return how many."""
    encoder, framer, twin = RedactingEncoder(), Framer(64), Framer(64)
    for kind in {type(one) for one in messages} | {Plain}:
        encoder.free[kind] = free_fields(kind)
    full_bytes = bounds.get("full_bytes", FULL)
    most = bounds.get("most", FULL)
    args = (encoder.pack, encoder.free, SCALARS, secrets or [], full_bytes, most)
    done = framer.add_plain(messages, 0, *args)
    for message in messages[:done]:
        twin.add(encoder.encode(message))
    assert framer.take() == twin.take()
    assert (framer.crc, framer.xor) == (twin.crc, twin.xor)
    return done


def test_plain_messages_are_framed_as_the_encoder_frames_them() -> None:
    free = [Free(None), Free(3), Free("text"), Free(Plain(7, "inside"))]
    assert framed([Plain(1), Plain(2, "two"), *free]) == 6


@pytest.mark.parametrize(
    "careful", [Named("x"), Free({"password": "x"}), Free(Named("x")), Free([Plain(1)])]
)
def test_it_stops_at_what_needs_care(careful: Any) -> None:
    assert framed([Plain(1), careful, Plain(2)]) == 1


def test_it_stops_at_a_class_nobody_has_looked_at() -> None:
    encoder = RedactingEncoder()
    args = (encoder.pack, encoder.free, SCALARS, [], FULL, FULL)
    assert Framer(64).add_plain([Plain(1)], 0, *args) == 0


def test_it_stops_at_a_secret_at_too_long_a_one_and_at_what_cannot_be_encoded() -> None:
    assert framed([Plain(1), Plain(2, "s3cret-key")], secrets=[b"s3cret-key"]) == 1
    longest = len(msgspec.msgpack.encode(Plain(1, "x" * 50)))
    assert framed([Plain(1, "x" * 50), Plain(1, "x" * 51)], most=longest) == 1
    assert framed([Plain(1), Plain(2**70)]) == 1


def test_it_stops_once_the_block_is_full() -> None:
    size = len(msgspec.msgpack.encode(Plain(1))) + 8
    assert framed([Plain(1)] * 5, full_bytes=2 * size) == 2
