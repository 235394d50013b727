"""The frame builder against zlib and the frames module, byte for byte."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfengine.journal.frames import FRAME, frame_crc
from hfengine.kernels.framing import Framer


def plain(payloads: list[bytes]) -> tuple[bytes, int, int]:
    """Return block, last crc and xor as the format's own page writes them."""
    block, crc, xor = b"", 0, 0
    for payload in payloads:
        crc = frame_crc(crc, payload)
        xor ^= crc
        block += FRAME.pack(len(payload), crc) + payload
    return block, crc, xor


@given(st.lists(st.binary(max_size=300), max_size=12))
def test_a_block_is_the_frames_one_after_the_other(payloads: list[bytes]) -> None:
    framer = Framer(64)
    used = [framer.add(payload) for payload in payloads]
    block, crc, xor = plain(payloads)
    assert used == [sum(len(p) + 8 for p in payloads[: n + 1]) for n in range(len(payloads))]
    assert (framer.crc, framer.xor) == (crc, xor)
    assert framer.take() == block


def test_the_checksum_is_zlibs_at_every_length() -> None:
    for length in range(70):
        payload = bytes(range(length))
        framer = Framer(64)
        framer.add(payload)
        assert framer.crc == crc32(payload, crc32(FRAME.pack(0, length)))


def test_checksums_go_on_over_blocks_and_the_xor_begins_with_a_seal() -> None:
    framer = Framer(64)
    framer.add(b"first")
    framer.take()
    assert framer.block_bytes == 0
    framer.begin_seal()
    framer.add(b"second")
    first = frame_crc(0, b"first")
    second = frame_crc(first, b"second")
    assert (framer.crc, framer.xor) == (second, second)
    assert framer.take() == FRAME.pack(6, second) + b"second"


def test_what_is_no_payload_or_no_room_is_refused() -> None:
    framer = Framer(64)
    for wrong in (None, "text", bytearray(b"x")):
        with pytest.raises(TypeError):
            framer.add(wrong)  # type: ignore[arg-type]
    assert framer.block_bytes == 0
    with pytest.raises(ValueError, match="at least 64"):
        Framer(63)
