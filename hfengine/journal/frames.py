"""The bytes of a journal segment: header, frames, seals, and their two chains.

A segment is a header followed by frames, with a seal after every block of frames. All integers are
little-endian.

header  magic 8 | format u16 | session length u16 | segment u32 | frames before u64
        | crc of the frame before u32 | digest of the seal before 32 | session | crc32 of all that
frame   length u32 | crc u32 | payload (MessagePack)
        crc = crc32(crc of the frame before || length || payload)
seal    0xFFFFFFFF u32 | crc u32 | frames u32 | xor of the block's frame crcs u32 | digest 32
        digest = SHA-256(digest of the seal before || the block's frames)
        crc = crc32(crc of the frame before || marker || frames || xor || digest)

Headers are outside the digests: the final digest depends on the messages and the block size alone.
The xor tells damage from edits: while it fits, every stored frame crc is the original one, so a
frame that does not fit its crc was damaged; where it does not fit, a crc was replaced.
"""

import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    from hashlib import _Hash as HASH

FORMAT: Final = 1
MAGIC: Final = b"HFJOURNL"
SEAL_MARK: Final = 0xFFFFFFFF
GENESIS: Final = bytes(32)
"""The digest before the first seal."""

HEADER: Final = struct.Struct("<8sHHIQI32s")
FRAME: Final = struct.Struct("<II")
SEAL: Final = struct.Struct("<IIII32s")
_CRC: Final = struct.Struct("<I")
_SEALED: Final = struct.Struct("<IIII32s")
CRC_BYTES: Final = _CRC.size


class Header(NamedTuple):
    """What a segment says about itself and about what came before it."""

    segment: int
    session: str
    frames_before: int
    crc: int
    digest: bytes
    format: int = FORMAT


class Seal(NamedTuple):
    """The end of a block of frames."""

    crc: int
    frames: int
    xor: int
    digest: bytes


def pack_header(header: Header) -> bytes:
    """Encode a segment header."""
    session = header.session.encode()
    head = HEADER.pack(
        MAGIC,
        header.format,
        len(session),
        header.segment,
        header.frames_before,
        header.crc,
        header.digest,
    )
    return head + session + _CRC.pack(crc32(head + session))


def header_bytes(content: bytes) -> int:
    """Return the length of the header content starts with, as its fixed part states it."""
    length: int = HEADER.unpack_from(content)[2]
    return HEADER.size + length + CRC_BYTES


def unpack_header(content: bytes) -> Header | None:
    """Decode the header that content starts with; None where its checksum does not fit."""
    end = header_bytes(content)
    covered = content[: end - CRC_BYTES]
    if len(content) < end or _CRC.unpack_from(content, end - CRC_BYTES)[0] != crc32(covered):
        return None
    magic, version, _, segment, frames_before, crc, digest = HEADER.unpack_from(content)
    if magic != MAGIC:
        return None
    session = covered[HEADER.size :].decode()
    return Header(segment, session, frames_before, crc, digest, version)


def frame_crc(previous: int, payload: bytes) -> int:
    """Return the checksum of a frame that follows the frame with checksum `previous`."""
    return crc32(payload, crc32(FRAME.pack(previous, len(payload))))


def seal_hash(previous: bytes) -> "HASH":
    """Begin SHA-256(digest of the seal before || the block's frames)."""
    return sha256(previous)


def seal_crc(previous: int, frames: int, xor: int, digest: bytes) -> int:
    """Return the checksum of a seal that follows the frame with checksum `previous`."""
    return crc32(_SEALED.pack(previous, SEAL_MARK, frames, xor, digest))


def pack_seal(previous: int, frames: int, xor: int, digest: bytes) -> bytes:
    """Encode the seal that follows the frame with checksum `previous`."""
    return SEAL.pack(SEAL_MARK, seal_crc(previous, frames, xor, digest), frames, xor, digest)


def unpack_seal(content: bytes, offset: int) -> Seal:
    """Decode the seal at offset, unchecked."""
    _, crc, frames, xor, digest = SEAL.unpack_from(content, offset)
    return Seal(crc, frames, xor, digest)


def solve_previous(covered: bytes, crc: int) -> int:
    """Return the one checksum of the frame before with which `covered` has the checksum `crc`.

    `covered` is what follows those four bytes under the checksum. CRC-32 is affine over GF(2) in
    each bit of its input, and one-to-one in any four adjacent bytes: 32 equations, one answer.
    """
    base = crc32(covered, crc32(_CRC.pack(0)))
    rows: list[tuple[int, int]] = []
    for bit in range(32):
        column = crc32(covered, crc32(_CRC.pack(1 << bit))) ^ base
        origin = 1 << bit
        for row, row_origin in rows:
            if column ^ row < column:
                column ^= row
                origin ^= row_origin
        rows.append((column, origin))
        rows.sort(reverse=True)
    target, answer = crc ^ base, 0
    for row, row_origin in rows:
        if target ^ row < target:
            target ^= row
            answer ^= row_origin
    return answer


def single_bit_error(payload_bytes: int, syndrome: int) -> bool:
    """Return whether one flipped bit among the last payload_bytes explains the syndrome.

    The syndrome is stored xor computed checksum. A flipped bit adds to it only by its distance from
    the end, so one pass from the end backwards tries them all.
    """
    base = crc32(b"\0")
    table = [crc32(bytes([i])) ^ base for i in range(256)]
    errors = [table[1 << bit] for bit in range(8)]
    for _ in range(payload_bytes):
        if syndrome in errors:
            return True
        errors = [(error >> 8) ^ table[error & 0xFF] for error in errors]
    return False
