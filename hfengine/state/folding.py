"""What an account remembered, read back from its journals where the store has lost it.

Every `Keep` is journaled before it is kept, and a session's first records name its account and
hold what it recalled itself: the newest session says all, earlier ones what it may lack.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from hfengine.heard import Recalled
from hfengine.journal import frames, manifest
from hfengine.journal.reader import decode
from hfengine.limits import (
    JOURNAL_RECORD_BYTES_MAX,
    RECALLED_HEAD_BYTES,
    RECALLED_JOURNAL_BYTES_MAX,
    RECALLED_SESSIONS_MAX,
)
from hfengine.messages import Fill, PositionChanged, PositionOpened
from hfengine.oversight import Keep

HELD: Final = "bot:held:"
CURSOR: Final = "bot:fills:cursor"
NEVER_NS: Final = 1 << 63
STARTING_NS: Final = 5_000_000_000
"""Fills are listed from a little before a session's start on: from when its venue was prepared."""
M = TypeVar("M", bound=Struct)
WANTED: Final = re.compile(rb"Keep|Recalled|Fill|PositionOpened|PositionChanged")
TAG_BYTES: Final = 32
"""The tag of a record is among its first bytes."""


class Kept(NamedTuple):
    """A body and when it was kept."""

    at_ns: int
    body: bytes


class Folded(Struct, frozen=True):
    """What journals hold of an account's memory, forgotten keys as empty bodies."""

    kept: dict[str, Kept]
    sessions: int
    """How many were read."""
    damaged: tuple[str, ...] = ()
    """Sentences about journals that are not whole; what comes before the damage was used."""
    unread_bytes: int = 0
    """How much of them was left unread, so that a start does not take long."""


class Session(NamedTuple):
    """One session's journal of an account."""

    path: Path
    name: str
    started_ns: int
    crashed: bool
    size_bytes: int
    recalled: int | None
    """How many keys it recalled at its start; None where it does not say."""


def sessions_of(directory: Path, account: str) -> Iterator[Session]:
    """Yield an account's journals, the newest first."""
    pages = []
    for path in directory.glob(f"*/{manifest.NAME}"):
        try:
            page = manifest.load(path.parent)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            # not whole: it names neither its account nor its segments
            continue
        pages.append((page.started_ns, path.parent, page))
    for started_ns, path, page in sorted(pages, key=lambda page: page[:2], reverse=True):
        opened = first_record(path)
        if opened.get("account") == account:
            size_bytes = sum(part.stat().st_size for part in path.glob("*.journal"))
            recalled = opened.get("recalled")
            yield Session(
                path,
                page.session,
                started_ns,
                page.state != "ended",
                size_bytes,
                recalled if isinstance(recalled, int) else None,
            )


def first_record(path: Path) -> dict[str, Any]:
    """Return the first record of a journal as a mapping, empty where it cannot be read."""
    most = JOURNAL_RECORD_BYTES_MAX + frames.FRAME.size + 4096
    try:
        with (path / manifest.segment_name(1)).open("rb") as segment:
            content = segment.read(most)
    except OSError:
        return {}
    if len(content) < frames.HEADER.size:
        return {}
    start = frames.header_bytes(content)
    if len(content) < start + frames.FRAME.size:
        return {}
    length = int.from_bytes(content[start : start + 4], "little")
    start += frames.FRAME.size
    opened = decode(content[start : start + length])
    return opened if isinstance(opened, dict) else {}


def fold(
    directory: Path,
    account: str,
    *,
    since_ns: int = -1,
    cursor: bytes = b"",
    bytes_max: int = RECALLED_JOURNAL_BYTES_MAX,
) -> Folded:
    """Return what an account's journals hold of its memory, crashed sessions included.

    The newest is read first and wins. Reading ends once a store that stands for `since_ns` (engine
    time) can be brought up to date, where a session says all, or after `bytes_max`; of a session
    that is longer its beginning is read nevertheless, for it holds what was recalled then.
    `cursor` is the store's cursor of fills, for where that much of the journals names none.
    """
    memory = _Memory(since_ns, cursor)
    damaged: list[str] = []
    count, left, unread = 0, bytes_max, 0
    for session in sessions_of(directory, account):
        count += 1
        left, skipped = _fold_session(memory, session, damaged, left)
        unread += skipped
        is_enough = memory.is_whole or memory.reaches_back
        if is_enough or left <= 0 or count >= RECALLED_SESSIONS_MAX:
            break
    return Folded(memory.found(), count, tuple(damaged), unread)


def _fold_session(
    memory: "_Memory", session: Session, damaged: list[str], left: int
) -> tuple[int, int]:
    """Take one session; return how many bytes may be read still, and how many it left unread."""
    memory.begin(session)
    segments = sorted(session.path.glob("*.journal"), reverse=True)
    unread = 0
    for segment in segments:
        is_first = segment is segments[-1]
        try:
            size = segment.stat().st_size
            if memory.reaches_back:
                break
            if left <= 0 and not is_first:
                unread += size
                continue
            most = size if left > 0 else min(size, RECALLED_HEAD_BYTES)
            with segment.open("rb") as content:
                memory.take(_wanted(content.read(most)))
            unread += size - most
            left -= most
        except (OSError, _Damaged) as error:
            damaged.append(f"{segment}: {error}")
    return left, unread


class _Memory:
    """What was kept, put together from the newest piece of a journal back to the oldest."""

    def __init__(self, since_ns: int, cursor: bytes) -> None:
        self._since_ns = since_ns
        self._cursor = cursor
        self._kept: dict[str, Kept] = {}
        self._fills: dict[str, Fill] = {}
        """By id: told after the newest cursor found so far."""
        self._has_cursor = False
        self._session = Session(Path(), "", 0, False, 0, None)
        self._recalled = 0
        self._oldest_ns = NEVER_NS
        """Engine time of the oldest `Keep` taken."""

    @property
    def reaches_back(self) -> bool:
        """Tell whether a store that is whole knows everything from before what was taken."""
        return self._has_cursor and self._oldest_ns <= self._since_ns

    @property
    def is_whole(self) -> bool:
        """Tell whether what the session recalled at its start is all there."""
        return self._session.recalled is not None and self._recalled >= self._session.recalled

    def begin(self, session: Session) -> None:
        """Go back to a session."""
        self._session, self._recalled = session, 0

    def take(self, records: Iterator[bytes]) -> None:
        """Take one piece of a journal, in its order; raises _Damaged after what is whole of it."""
        kept: dict[str, Kept] = {}
        fills: dict[str, Fill] = {}
        try:
            for payload in records:
                self._one(kept, fills, payload)
        finally:
            if not self._has_cursor:
                self._fills = fills | self._fills
                self._has_cursor = CURSOR in kept
            self._kept = kept | self._kept

    def _one(self, kept: dict[str, Kept], fills: dict[str, Fill], payload: bytes) -> None:
        tag = payload[:TAG_BYTES]
        if b"Keep" in tag:
            if (keep := _decoded(payload, Keep)) is not None:
                kept[keep.key] = Kept(keep.at_ns, keep.body)
                self._oldest_ns = min(self._oldest_ns, keep.at_ns)
                if keep.key == CURSOR:
                    fills.clear()
        elif b"Recalled" in tag:
            if (known := _decoded(payload, Recalled)) is not None:
                kept[known.key] = Kept(self._session.started_ns, known.body)
                self._recalled += 1
        elif b"Fill" in tag:
            if (fill := _decoded(payload, Fill)) is not None:
                fills[fill.fill_id] = fill
        elif b"PositionOpened" in tag:
            if (opened := _decoded(payload, PositionOpened)) is not None:
                kept[f"{HELD}{opened.symbol}"] = Kept(opened.at_ns, opening_body(opened))
        elif b"PositionChanged" in tag:
            position = _decoded(payload, PositionChanged)
            if position is not None and not position.quantity:
                kept[f"{HELD}{position.symbol}"] = Kept(position.at_ns, b"")

    def found(self) -> dict[str, Kept]:
        """Return what is kept now; the cursor knows exactly the fills that the journals hold."""
        known = self._kept.get(CURSOR)
        if known is None and self.is_whole and self._session.crashed:
            # its session was the first to tell fills, and told none from before its start
            started_ns = self._session.started_ns
            known = Kept(started_ns, _cursor_from(started_ns - STARTING_NS))
        elif known is None:
            known = Kept(0, self._cursor)
        at_ns = max(known.at_ns, *(fill.at_ns for fill in self._fills.values()), 0)
        body = cursor_with(known.body, self._fills.values())
        return {**self._kept, CURSOR: Kept(at_ns, body)} if body else dict(self._kept)


def _cursor_from(at_ns: int) -> bytes:
    return msgspec.json.encode(
        {"session": "", "newest_ns": at_ns, "floor_ns": at_ns, "dropped": 0, "ids": {}}
    )


def cursor_with(body: bytes, fills: Collection[Fill]) -> bytes:
    """Return the body of a cursor of fills (docs/state.md) that knows these as well.

    They are among its recent ones too: risk may not have kept what they came to. A cursor that
    cannot be read is returned as it is: execution tells of it.
    """
    if not fills:
        return body
    times_ns = {fill.fill_id: fill.at_ns for fill in fills}
    try:
        cursor = msgspec.json.decode(body, type=dict[str, Any]) if body else {}
        ids = {**cursor.get("ids", {}), **times_ns}
        recent = [*cursor.get("recent", ()), *fills]
        newest_ns = max(int(cursor.get("newest_ns", 0)), *times_ns.values())
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, ValueError):
        return body
    blank = {"session": "", "floor_ns": 0, "dropped": 0}
    found = {**blank, **cursor, "newest_ns": newest_ns, "ids": ids, "recent": recent}
    return msgspec.json.encode(found)


class _Damaged(Exception):
    """A segment cannot be read any further."""


def _wanted(content: bytes) -> Iterator[bytes]:
    """Yield the records of a segment that memory is made of, each by its own checksum.

    Much faster than verifying the chain, and it reads on behind a damaged record. An end that is
    cut is what a crash leaves.
    """
    if len(content) < frames.HEADER.size:
        return
    at, end = frames.header_bytes(content), len(content)
    crc = frames.HEADER.unpack_from(content)[5]
    unpack, head, wanted = frames.FRAME.unpack_from, frames.FRAME.size, WANTED.search
    problem = ""
    while at + head <= end:
        length, stored = unpack(content, at)
        if length == frames.SEAL_MARK:
            at += frames.SEAL.size
            continue
        if not 0 < length <= JOURNAL_RECORD_BYTES_MAX:
            raise _Damaged(f"damaged at byte {at}")
        start, at = at + head, at + head + length
        if at > end:
            break
        if wanted(content, start, min(start + TAG_BYTES, at)):
            payload = content[start:at]
            if frames.frame_crc(crc, payload) == stored:
                yield payload
            else:
                problem = f"a record of memory is damaged at byte {start - head}"
        crc = stored
    if problem:
        raise _Damaged(problem)


def opening_body(opened: PositionOpened) -> bytes:
    """Return what is remembered of a position as it was opened (docs/state.md)."""
    return msgspec.json.encode(
        {
            "side": opened.side,
            "opened_ns": opened.at_ns,
            "entry": opened.entry,
            "entry_drift": opened.entry_drift,
            "entry_confidence": opened.entry_confidence,
            "baseline_drift": opened.entry_drift,
            "baseline_confidence": opened.entry_confidence,
            "baseline_half_life_s": opened.half_life_s,
            "half_life_s": opened.half_life_s,
        }
    )


def _decoded(payload: bytes, message: type[M]) -> M | None:
    try:
        return msgspec.msgpack.decode(payload, type=message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # another record whose first bytes hold the name
        return None
