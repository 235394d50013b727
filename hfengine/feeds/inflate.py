"""Bytes of a recording, plain or gzip, read in pieces; damage is an item and not an exception."""

import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

GZIP_MAGIC: Final = b"\x1f\x8b"
_MEMBER_HEADER: Final = b"\x1f\x8b\x08"
_MEMBER_HEADER_BYTES: Final = 10
_READ_BYTES: Final = 8 * 1024
"""Small on purpose: what one read inflates to should still be in the cache when it is split."""
_PIECE_BYTES_MAX: Final = 1024 * 1024
_GZIP_WINDOW: Final = 31
_SALVAGE_BYTES: Final = 256


class Break(Struct, frozen=True, gc=False):
    """A place where the bytes stop making sense; what follows it starts anew."""

    fault: str
    detail: str


def pieces(path: Path) -> Iterator[bytes | Break]:
    """Yield the uncompressed content in pieces of at most 1 MiB, and a Break where it is damaged.

    Everything before the damage is delivered, as far as the compression lets one tell; after it
    the next gzip member is looked for. Raises OSError only when the file cannot be opened.
    """
    with path.open("rb") as stream:
        packed = stream.read(2) == GZIP_MAGIC
        stream.seek(0)
        raw = _raw(stream.read)
        if packed:
            yield from _Inflater().run(raw)
        else:
            yield from raw


def _raw(read: Callable[[int], bytes]) -> Iterator[bytes | Break]:
    while True:
        try:
            piece = read(_READ_BYTES)
        except OSError as error:
            yield Break("read_failed", f"reading failed ({error.strerror or error})")
            return
        if not piece:
            return
        yield piece


class _Inflater:
    """Gzip members one after the other, with what can be saved of damaged ones."""

    def __init__(self) -> None:
        self._stream: zlib._Decompress | None = zlib.decompressobj(_GZIP_WINDOW)
        self._fed = False

    def run(self, raw: Iterator[bytes | Break]) -> Iterator[bytes | Break]:
        """Yield the content of the compressed pieces."""
        pending = b""
        for piece in raw:
            if isinstance(piece, Break):
                yield piece
                return
            pending += piece
            while pending:
                if self._stream is None:
                    pending, opened = self._find_member(pending)
                    if not opened:
                        break
                pending = yield from self._feed(pending)
        if self._stream is not None and self._fed:
            yield Break("gzip_damaged", "the compressed data end before their end mark")

    def _feed(self, packed: bytes) -> Generator[bytes | Break, None, bytes]:
        """Inflate `packed`, yield the content, return the bytes that belong to what follows."""
        stream = self._stream
        assert stream is not None
        before = stream.copy()
        try:
            content = stream.decompress(packed, _PIECE_BYTES_MAX)
        except zlib.error as error:
            if saved := _salvage(before, packed):
                yield saved
            self._stream = None
            yield Break("gzip_damaged", _reason(error))
            # damage shows late: a member appended after a crash may begin before this place
            return packed[1:]
        self._fed = True
        if content:
            yield content
        if not stream.eof:
            return stream.unconsumed_tail
        self._stream, self._fed = zlib.decompressobj(_GZIP_WINDOW), False
        rest = stream.unused_data.lstrip(b"\0")
        if rest and not _MEMBER_HEADER.startswith(rest[:3]):
            self._stream = None
            yield Break("gzip_damaged", "bytes that are not gzip follow the end mark")
        return rest

    def _find_member(self, packed: bytes) -> tuple[bytes, bool]:
        """Return the bytes from the next member header on, and whether there is one."""
        start = packed.find(_MEMBER_HEADER)
        if start < 0 or len(packed) - start < _MEMBER_HEADER_BYTES:
            return packed[start:] if start >= 0 else packed[-2:], False
        self._stream, self._fed = zlib.decompressobj(_GZIP_WINDOW), False
        return packed[start:], True


def _salvage(stream: "zlib._Decompress", packed: bytes) -> bytes:
    """Return what `packed` yields up to its damage."""
    saved: list[bytes] = []
    used = 0
    for step in (_SALVAGE_BYTES, 1):
        while used < len(packed):
            trial = stream.copy()
            try:
                saved.append(trial.decompress(packed[used : used + step]))
            except zlib.error:
                break
            stream = trial
            used += step
    return b"".join(saved)


def _reason(error: zlib.error) -> str:
    if "data check" in str(error) or "length check" in str(error):
        return "the checksum does not match: something before this place is not as recorded"
    return f"the compressed data are damaged ({str(error).rpartition(': ')[2]})"
