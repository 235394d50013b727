"""Seal blocks of frames and write them as segments, on a thread of its own."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple, Protocol

from hfengine.journal import frames, manifest
from hfengine.journal.manifest import Manifest, Segment

THREAD_NAME: Final = "hfengine-journal-writer"
# More parts in one system call than this, and some systems refuse it.
BATCH_CHUNKS_MAX: Final = 64


class Fault:
    """The first thing that went wrong, reported once from whichever thread found it."""

    __slots__ = ("_lock", "_on_fault", "reason")

    def __init__(self, on_fault: Callable[[str], None]) -> None:
        self.reason: str | None = None
        self._lock = threading.Lock()
        self._on_fault = on_fault

    def report(self, reason: str) -> None:
        """Keep and report the reason, unless there is one already."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
        self._on_fault(reason)


class SegmentFile(Protocol):
    """What the writer needs of an open segment; a test's may fail or block."""

    def write(self, parts: list[bytes | bytearray]) -> None:
        """Append every part. Raise OSError."""

    def close(self) -> None:
        """Bring everything to disk and close. Raise OSError."""


class DiskSegment:
    """A segment on disk, written without buffering: a block is handed over whole."""

    def __init__(self, path: Path) -> None:
        """Create the file. Raise OSError, also where it exists."""
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def write(self, parts: list[bytes | bytearray]) -> None:
        """Append every part. Raise OSError."""
        written = os.writev(self._handle, parts)
        for part in parts:
            if written >= len(part):
                written -= len(part)
                continue
            rest = memoryview(part)[written:]
            written = 0
            while rest:
                rest = rest[os.write(self._handle, rest) :]

    def close(self) -> None:
        """Bring everything to disk and close. Raise OSError."""
        try:
            os.fsync(self._handle)
        finally:
            os.close(self._handle)


class Chunk(NamedTuple):
    """Frames on their way to the writer; the last chunk of a block carries what its seal needs."""

    block: bytearray
    sealed: bool
    frames: int
    xor: int
    crc: int
    records: int
    ends_segment: bool


class BlockWriter(threading.Thread):
    """Seal blocks and write segments. It only hashes and writes, both without the GIL."""

    def __init__(
        self,
        directory: Path,
        page: Manifest,
        open_segment: Callable[[Path], SegmentFile],
        fault: Fault,
    ) -> None:
        """Open the first segment. Raise OSError."""
        super().__init__(name=THREAD_NAME, daemon=True)
        self.chunks: SimpleQueue[Chunk | None] = SimpleQueue()
        self.progress = threading.Condition()
        self.done_bytes = 0
        self.failed = False
        self.digest = frames.GENESIS
        self._directory = directory
        self._page = page
        self._open_segment = open_segment
        self._fault = fault
        self._segment: SegmentFile | None = None
        self._size_bytes = 0
        self._crc = 0
        self._records = 0
        self._block = frames.seal_hash(self.digest)
        self._begin_segment()

    def run(self) -> None:
        """Write until told to stop; after failing to, only take chunks off the queue."""
        finished = False
        try:
            while not finished:
                batch, finished = self._next_batch()
                if not self.failed:
                    self._try(batch, finished)
                with self.progress:
                    self.done_bytes += sum(len(chunk.block) for chunk in batch)
                    self.progress.notify_all()
        finally:
            # What failed before may fail to close: that fault is reported already.
            with contextlib.suppress(OSError):
                self._end_segment()
            if not finished:
                self.failed = True
                self._fault.report("the journal's writer ended without being told to")

    def _next_batch(self) -> tuple[list[Chunk], bool]:
        """Wait for one chunk and take all that are there: each turn of the GIL costs 5 ms."""
        batch: list[Chunk] = []
        chunk = self.chunks.get()
        while chunk is not None:
            batch.append(chunk)
            if len(batch) == BATCH_CHUNKS_MAX:
                return batch, False
            try:
                chunk = self.chunks.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _try(self, batch: Iterable[Chunk], finished: bool) -> None:
        try:
            self._write(batch)
            if finished:
                self._end_segment()
        except OSError as error:
            self.failed = True
            self._fault.report(
                f"the journal in {self._directory} cannot be written:"
                f" {error.strerror or error} (errno {error.errno})"
            )

    def _write(self, batch: Iterable[Chunk]) -> None:
        parts: list[bytes | bytearray] = []
        for chunk in batch:
            if self._segment is None:
                self._begin_segment()
            self._block.update(chunk.block)
            parts.append(chunk.block)
            if not chunk.sealed:
                continue
            self.digest = self._block.digest()
            parts.append(frames.pack_seal(chunk.crc, chunk.frames, chunk.xor, self.digest))
            self._block = frames.seal_hash(self.digest)
            self._crc, self._records = chunk.crc, chunk.records
            if chunk.ends_segment:
                self._flush(parts)
                self._end_segment()
        self._flush(parts)

    def _flush(self, parts: list[bytes | bytearray]) -> None:
        if parts and self._segment is not None:
            self._segment.write(parts)
            self._size_bytes += sum(len(part) for part in parts)
        parts.clear()

    def _begin_segment(self) -> None:
        number = len(self._page.segments) + 1
        name = manifest.segment_name(number)
        self._segment = self._open_segment(self._directory / name)
        header = frames.pack_header(
            frames.Header(number, self._page.session, self._records, self._crc, self.digest)
        )
        self._segment.write([header])
        self._size_bytes = len(header)
        self._page.segments.append(Segment(name=name))
        manifest.save(self._directory, self._page)

    def _end_segment(self) -> None:
        if self._segment is not None:
            segment, self._segment = self._segment, None
            segment.close()
            if not self.failed:
                self._page.segments[-1].size_bytes = self._size_bytes
