"""The journal's bytes: headers, chains, and what can be solved from a CRC."""

from hashlib import sha256
from zlib import crc32

import pytest

from hfengine.journal import frames
from hfengine.journal.frames import Header


def test_header_comes_back() -> None:
    header = Header(3, "paper-7", 12_345, 0xDEADBEEF, bytes(range(32)))
    content = frames.pack_header(header)
    assert frames.unpack_header(content + b"frames follow") == header
    assert frames.header_bytes(content) == len(content)


def test_every_flipped_bit_of_a_header_is_seen() -> None:
    content = frames.pack_header(Header(1, "s", 0, 0, frames.GENESIS))
    for bit in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        assert frames.unpack_header(bytes(flipped)) is None


def test_frame_crc_covers_previous_length_and_payload() -> None:
    payload = b"payload"
    written_out = (5).to_bytes(4, "little") + (7).to_bytes(4, "little") + payload
    assert frames.frame_crc(5, payload) == crc32(written_out)


def test_seal_covers_the_seal_before_and_the_block() -> None:
    digest = frames.seal_hash(frames.GENESIS)
    digest.update(b"block")
    assert digest.digest() == sha256(bytes(32) + b"block").digest()
    packed = frames.pack_seal(9, 2, 0xABCD, digest.digest())
    seal = frames.unpack_seal(b"xx" + packed, 2)
    assert (seal.frames, seal.xor, seal.digest) == (2, 0xABCD, digest.digest())
    assert seal.crc == frames.seal_crc(9, 2, 0xABCD, digest.digest())
    assert len(packed) == frames.SEAL.size


@pytest.mark.parametrize("previous", [0, 1, 0x80000000, 0xFFFFFFFF, 0x12345678])
@pytest.mark.parametrize("covered", [b"", b"\0", b"some payload", bytes(range(256)) * 3])
def test_the_crc_before_is_solved(previous: int, covered: bytes) -> None:
    crc = crc32(previous.to_bytes(4, "little") + covered)
    assert frames.solve_previous(covered, crc) == previous


def test_single_flipped_bits_are_told_from_other_changes() -> None:
    payload = b"a payload of some length"
    crc = frames.frame_crc(77, payload)
    for bit in range(len(payload) * 8):
        flipped = bytearray(payload)
        flipped[bit // 8] ^= 1 << bit % 8
        syndrome = crc ^ frames.frame_crc(77, bytes(flipped))
        assert frames.single_bit_error(len(payload), syndrome)
    for other in (b"A payload of some lengtH", b"nothing of the kind here"):
        syndrome = crc ^ frames.frame_crc(77, other)
        assert not frames.single_bit_error(len(payload), syndrome)
