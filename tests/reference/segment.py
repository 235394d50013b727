"""A second, plain reader of segments, written from the format's description, and forgeries."""

import hashlib
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

SEAL_BYTES = 48
MARK = 0xFFFFFFFF


class Record(NamedTuple):
    offset: int
    crc: int
    payload: bytes
    block: int | None
    """Which block of the segment, from 0; None where no seal follows."""


def header_length(content: bytes) -> int:
    return 60 + struct.unpack_from("<H", content, 10)[0] + 4


def records(path: Path) -> list[Record]:
    """List the frames of an intact or truncated segment."""
    content = path.read_bytes()
    offset, block, found, open_block = header_length(content), 0, [], []
    while offset + 8 <= len(content):
        length, crc = struct.unpack_from("<II", content, offset)
        if length == MARK:
            found += open_block
            open_block = []
            block += 1
            offset += SEAL_BYTES
            continue
        payload = content[offset + 8 : offset + 8 + length]
        open_block.append(Record(offset, crc, payload, block))
        offset += 8 + length
    return found + [record._replace(block=None) for record in open_block]


def crc_before(content: bytes) -> int:
    return struct.unpack_from("<I", content, 24)[0]


def framed(previous: int, payload: bytes) -> tuple[int, bytes]:
    crc = zlib.crc32(struct.pack("<II", previous, len(payload)) + payload)
    return crc, struct.pack("<II", len(payload), crc) + payload


def reframed(path: Path, index: int, payload: bytes, *, mend_later: bool) -> bytes:
    """Replace one frame and mend its checksum; and those of later frames; never a seal."""
    content = path.read_bytes()
    out = bytearray(content)
    listed = records(path)
    previous = crc_before(content) if index == 0 else listed[index - 1].crc
    for record in listed[index:] if mend_later else listed[index : index + 1]:
        mended = payload if record is listed[index] else record.payload
        assert len(mended) == len(record.payload)
        previous, frame = framed(previous, mended)
        out[record.offset : record.offset + len(frame)] = frame
    return bytes(out)


def resealed(path: Path, index: int, payload: bytes, *, blocks: int) -> bytes:
    """Replace one frame, mend every later checksum, and the first `blocks` seals."""
    content = bytearray(reframed(path, index, payload, mend_later=True))
    digest = bytes(content[28:60])
    crc = crc_before(bytes(content))
    begin = offset = header_length(bytes(content))
    count = xor = 0
    while offset + 8 <= len(content):
        length, stored = struct.unpack_from("<II", content, offset)
        if length != MARK:
            crc, xor, count = stored, xor ^ stored, count + 1
            offset += 8 + length
            continue
        if blocks > 0:
            digest = hashlib.sha256(digest + content[begin:offset]).digest()
            body = struct.pack("<III", MARK, count, xor) + digest
            seal_crc = zlib.crc32(struct.pack("<I", crc) + body)
            content[offset : offset + SEAL_BYTES] = (
                body[:4] + struct.pack("<I", seal_crc) + body[4:]
            )
            blocks -= 1
        begin = offset = offset + SEAL_BYTES
        count = xor = 0
    return bytes(content)
