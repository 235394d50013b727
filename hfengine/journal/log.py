"""The session log as the engine sees it: append on the hot thread, everything else elsewhere."""

import re
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple, Self

from msgspec import Struct

from hfengine.errors import HfengineError
from hfengine.journal import frames, manifest
from hfengine.journal.manifest import Manifest, State, WriterLock
from hfengine.journal.redact import SCALARS, RedactingEncoder, secret_forms
from hfengine.journal.writer import BlockWriter, Chunk, DiskSegment, Fault, SegmentFile
from hfengine.kernels.framing import Framer
from hfengine.limits import (
    JOURNAL_BACKLOG_BYTES,
    JOURNAL_BLOCK_BYTES,
    JOURNAL_RECORD_BYTES_MAX,
    JOURNAL_SEGMENT_BYTES,
)

_SESSION_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
RELIEF_BYTES: Final = 1024 * 1024
"""Unwritten bytes from which on the hot thread pauses a moment with every block it hands over."""


class JournalError(HfengineError):
    """A journal that cannot be started: what is wrong, where, what to do."""


class JournalLimits(NamedTuple):
    """How much a journal holds where, and how long it waits.

    block_bytes is what one seal covers, segment_bytes what one file holds, backlog_bytes how much
    may be unwritten. stall_wait_s is how long append may then wait for the writer before that is a
    fault: 0 when trading, some seconds in a replay, which outruns a disk. stall_max_ns is how long
    the writer may make no progress (Journal.check), close_wait_s how long close waits for it.
    """

    block_bytes: int = JOURNAL_BLOCK_BYTES
    segment_bytes: int = JOURNAL_SEGMENT_BYTES
    backlog_bytes: int = JOURNAL_BACKLOG_BYTES
    stall_max_ns: int = 5_000_000_000
    stall_wait_s: float = 0.0
    close_wait_s: float = 10.0


DEFAULT_LIMITS: Final = JournalLimits()


class Journal:
    """The append-only log of one session, in a directory of its own: `path`. See create().

    append, flush, check and close belong to one thread, the hot one. After a fault (disk full,
    writer stalled) `ok` is False for good: a journal with a hole is no evidence, so messages are
    counted as dropped and nothing is raised.
    """

    __slots__ = (
        "_block_records",
        "_breath",
        "_closed",
        "_encode",
        "_encoder",
        "_fault",
        "_flushed_bytes",
        "_framer",
        "_handed_bytes",
        "_limits",
        "_lock",
        "_noted",
        "_page",
        "_progress_bytes",
        "_progress_ns",
        "_seal_at_bytes",
        "_secrets",
        "_segment_used_bytes",
        "_writer",
        "dropped",
        "note",
        "path",
        "records",
    )

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        session: str,
        config_hash: str,
        version: str,
        started_ns: int,
        on_fault: Callable[[str], None],
        limits: JournalLimits = DEFAULT_LIMITS,
        open_segment: Callable[[Path], SegmentFile] = DiskSegment,
    ) -> Self:
        """Start a journal in a new directory under `directory`, named after the session.

        A session of that name logged before keeps its own: the new one is called NAME-2, and so on.
        on_fault is called once with the reason, from the thread that finds the fault: it must be
        safe to call from any thread, and not raise. Raise JournalError.
        """
        if not _SESSION_NAME.fullmatch(session):
            raise JournalError(
                f"session name {session!r}: give 1 to 64 of the characters A-Z a-z 0-9 . _ -, not"
                " beginning with a dot"
            )
        page = Manifest(
            format=frames.FORMAT,
            session=session,
            version=version,
            config_hash=config_hash,
            started_ns=started_ns,
            state="running",
            segments=[],
        )
        fault = Fault(on_fault)
        try:
            path = _new_directory(directory, session)
            lock = WriterLock(path)
            try:
                writer = BlockWriter(path, page, open_segment, fault)
            except OSError:
                lock.release()
                raise
        except OSError as error:
            raise JournalError(
                f"a journal cannot be started in {directory}: {error.strerror or error}"
            ) from error
        writer.start()
        return cls(path, page, writer, lock, fault, limits)

    def __init__(
        self,
        path: Path,
        page: Manifest,
        writer: BlockWriter,
        lock: WriterLock,
        fault: Fault,
        limits: JournalLimits,
    ) -> None:
        """Join the parts that create() made."""
        self.path = path
        self.records = 0
        self.dropped = 0
        self._page = page
        self._writer = writer
        self._lock = lock
        self._fault = fault
        self._limits = limits
        self._encoder = RedactingEncoder()
        self._encode = self._encoder.encode
        self._secrets = secret_forms()
        self._noted: list[Struct] = []
        self.note: Callable[[Struct], None] = self._noted.append
        self._framer = Framer(max(64, 2 * limits.block_bytes))
        self._block_records = 0
        self._seal_at_bytes = limits.block_bytes
        self._flushed_bytes = 0
        self._segment_used_bytes = 0
        self._handed_bytes = 0
        self._progress_bytes = 0
        self._progress_ns: int | None = None
        self._closed = False
        self._breath = Lock()
        self._breath.acquire()

    def settle(self) -> None:
        """Log what was noted since, in order: `note(message)` keeps a message for this call.

        What is noted is immutable, so that encoding it later changes nothing but the moment: after
        the handlers have run and an order is on its way.
        """
        noted = self._noted
        if noted:
            at, end = 0, len(noted)
            while at < end:
                at = self._append_plain(at)
                if at < end:
                    self._append_with_care(noted[at])
                    at += 1
            noted.clear()

    def _append_plain(self, start: int) -> int:
        """Log what needs no care from `start` on; return where it ends."""
        noted, framer, encoder, at = self._noted, self._framer, self._encoder, start
        while self._fault.reason is None and not self._closed:
            done = framer.add_plain(
                noted,
                at,
                encoder.pack,
                encoder.free,
                SCALARS,
                self._secrets,
                self._seal_at_bytes,
                JOURNAL_RECORD_BYTES_MAX,
            )
            self.records += done - at
            at = done
            if framer.block_bytes < self._seal_at_bytes:
                break
            self._hand_over(sealed=True)
        return at

    def _append_with_care(self, message: Struct) -> None:
        try:
            self.append(message)
        except (TypeError, ValueError, OverflowError) as error:
            # a journal with a hole is no evidence: entries end here, the run goes on
            self.dropped += 1
            name = type(message).__name__
            self._fault.report(f"a {name} cannot be written: {error}")

    def append(self, message: Struct) -> None:
        """Log one message; count it as dropped after a fault or close.

        Raise TypeError, leaving the journal as it was, for a message MessagePack cannot express.
        """
        if self._fault.reason is not None or self._closed:
            self.dropped += 1
            return
        payload = self._encode(message)
        length = len(payload)
        if length > JOURNAL_RECORD_BYTES_MAX:
            self.dropped += 1
            self._fault.report(
                f"a {type(message).__name__} of {length} bytes is more than a journal frame may"
                f" hold ({JOURNAL_RECORD_BYTES_MAX})"
            )
            return
        self.records += 1
        if self._framer.add(payload) >= self._seal_at_bytes:
            self._hand_over(sealed=True)

    def is_ok(self) -> bool:
        """Return whether every message so far is written or on its way; entries need it."""
        return self._fault.reason is None

    @property
    def noted(self) -> list[Struct]:
        """Return what waits to be logged, always the same list: a recorder adds to it."""
        return self._noted

    @property
    def ok(self) -> bool:
        """Return what `is_ok` says."""
        return self._fault.reason is None

    @property
    def fault(self) -> str | None:
        """Return why the journal failed, None while it did not."""
        return self._fault.reason

    @property
    def hash(self) -> str:
        """Return the digest of the last seal in hex: after close, of the whole session."""
        return self._writer.digest.hex()

    @property
    def backlog_bytes(self) -> int:
        """Return how many bytes the writer has been given and not written yet."""
        return self._handed_bytes - self._writer.done_bytes

    def check(self, at_ns: int) -> bool:
        """Return `ok` after looking for a writer that has made no progress for stall_max_ns.

        at_ns is real monotonic time in ns (kernels.histogram.now_ns), never virtual time.
        """
        done_bytes = self._writer.done_bytes
        if self._progress_ns is None or done_bytes != self._progress_bytes:
            self._progress_ns, self._progress_bytes = at_ns, done_bytes
        if done_bytes == self._handed_bytes:
            self._progress_ns = at_ns
        elif at_ns - self._progress_ns > self._limits.stall_max_ns:
            self._fault.report(self._stalled())
        return self.ok

    def flush(self, wait_s: float = 0.0) -> bool:
        """Hand what is buffered to the writer; return whether all is written within wait_s seconds.

        Changes no byte of the journal: seals fall where they would have fallen.
        """
        self.settle()
        if self._framer.block_bytes:
            self._hand_over(sealed=False)
        return self._written_within(wait_s, 0) and self.ok

    def mark(self) -> int:
        """Hand what is buffered to the writer; return what `has_written` is asked with."""
        if not self._closed:
            self.flush()
        return self._handed_bytes

    def has_written(self, mark: int) -> bool:
        """Return whether the operating system holds every byte up to a `mark`."""
        # the writer tells a fault before it counts what it could not write
        return self._writer.done_bytes >= mark and self.ok

    def close(self, state: State = "ended") -> None:
        """Seal and write what is left and end the manifest; more calls do nothing.

        Waits close_wait_s at most. After a fault the state is "crashed", whatever was asked.
        """
        if self._closed:
            return
        self.settle()
        self._closed = True
        if self.records > self._block_records:
            self._hand_over(sealed=True)
        self._writer.chunks.put(None)
        self._writer.join(self._limits.close_wait_s)
        if self._writer.is_alive():
            # Its file may still be held: the manifest goes on saying "running", read as crashed.
            self._fault.report(self._stalled())
            return
        page = self._page
        page.state = state if self.ok else "crashed"
        page.fault = self._fault.reason
        if not self._writer.failed:
            page.records, page.hash = self.records, self.hash
        try:
            manifest.save(self.path, page)
        except OSError as error:
            self._fault.report(
                f"the manifest in {self.path} cannot be written: {error.strerror or error}"
            )
        finally:
            self._lock.release()

    def _hand_over(self, *, sealed: bool) -> None:
        framer = self._framer
        block = framer.take()
        self._flushed_bytes += len(block)
        ends_segment = False
        if sealed:
            self._segment_used_bytes += self._flushed_bytes + frames.SEAL.size
            ends_segment = self._segment_used_bytes >= self._limits.segment_bytes
        self._handed_bytes += len(block)
        frame_count = self.records - self._block_records
        chunk = Chunk(
            block, sealed, frame_count, framer.xor, framer.crc, self.records, ends_segment
        )
        if sealed:
            self._block_records = self.records
            framer.begin_seal()
            self._flushed_bytes = 0
            if ends_segment:
                self._segment_used_bytes = 0
        self._seal_at_bytes = self._limits.block_bytes - self._flushed_bytes
        self._writer.chunks.put(chunk)
        if self.backlog_bytes > RELIEF_BYTES:
            self._relieve_writer()

    def _relieve_writer(self) -> None:
        """Let a writer that is behind run, or give it up."""
        # A thread that never lets go of the GIL keeps the writer waiting 5 ms for each block; this
        # lets go of it once, for as long as the system's shortest wait (some 60 us).
        self._breath.acquire(timeout=1e-6)
        most = self._limits.backlog_bytes
        if self.backlog_bytes > most and not self._written_within(
            self._limits.stall_wait_s, most // 2
        ):
            self._fault.report(self._stalled())

    def _written_within(self, wait_s: float, backlog_bytes: int) -> bool:
        if self.backlog_bytes <= backlog_bytes:
            return True
        if wait_s <= 0.0:
            return False
        with self._writer.progress:
            return self._writer.progress.wait_for(
                lambda: self.backlog_bytes <= backlog_bytes, wait_s
            )

    def _stalled(self) -> str:
        return (
            f"the journal's writer has stalled with {self.backlog_bytes} bytes unwritten in"
            f" {self.path}"
        )


def _new_directory(parent: Path, session: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    path, number = parent / session, 1
    while True:
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
            path = parent / f"{session}-{number}"
        else:
            return path
