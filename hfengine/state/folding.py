"""What an account remembered, read back from its journals where the store has lost it.

Every `Keep` is journaled before it is kept, and a session's first records name its account and
hold what it recalled itself: the newest session says all, earlier ones what it may lack.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from hfengine.heard import Recalled
from hfengine.journal import frames, manifest
from hfengine.journal.reader import decode
from hfengine.limits import JOURNAL_RECORD_BYTES_MAX, RECALLED_SESSIONS_MAX
from hfengine.messages import PositionChanged, PositionOpened
from hfengine.oversight import Keep

HELD: Final = "bot:held:"
M = TypeVar("M", bound=Struct)
WANTED: Final = (b"Keep", b"Recalled", b"PositionOpened", b"PositionChanged")
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


def fold(directory: Path, account: str) -> Folded:
    """Return what an account's journals hold of its memory, crashed sessions included."""
    kept: dict[str, Kept] = {}
    damaged: list[str] = []
    count = 0
    for session in sessions_of(directory, account):
        count += 1
        found, is_whole = fold_session(session, damaged)
        for key, body in found.items():
            kept.setdefault(key, body)
        if is_whole or count >= RECALLED_SESSIONS_MAX:
            break
    return Folded(kept, count, tuple(damaged))


def fold_session(session: Session, damaged: list[str]) -> tuple[dict[str, Kept], bool]:
    """Return what one session kept, and whether what it recalled at its start is all there."""
    kept: dict[str, Kept] = {}
    recalled = 0
    for segment in sorted(session.path.glob("*.journal")):
        try:
            for payload in _wanted(segment.read_bytes()):
                recalled += _take(kept, payload, session.started_ns)
        except (OSError, _Damaged) as error:
            damaged.append(f"{segment}: {error}")
    return kept, session.recalled is not None and recalled >= session.recalled


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
    unpack, head = frames.FRAME.unpack_from, frames.FRAME.size
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
        tag = content[start : start + TAG_BYTES]
        if any(name in tag for name in WANTED):
            payload = content[start:at]
            if frames.frame_crc(crc, payload) == stored:
                yield payload
            else:
                problem = f"a record of memory is damaged at byte {start - head}"
        crc = stored
    if problem:
        raise _Damaged(problem)


def _take(kept: dict[str, Kept], payload: bytes, started_ns: int) -> bool:
    """Take one record; return whether it is one of memory recalled at the start."""
    tag = payload[:TAG_BYTES]
    if b"Keep" in tag:
        if (keep := _decoded(payload, Keep)) is not None:
            kept[keep.key] = Kept(keep.at_ns, keep.body)
    elif b"Recalled" in tag:
        if (known := _decoded(payload, Recalled)) is not None:
            kept[known.key] = Kept(started_ns, known.body)
            return True
    elif b"PositionOpened" in tag:
        if (opened := _decoded(payload, PositionOpened)) is not None:
            kept[f"{HELD}{opened.symbol}"] = Kept(opened.at_ns, opening_body(opened))
    elif b"PositionChanged" in tag:
        position = _decoded(payload, PositionChanged)
        key = "" if position is None else f"{HELD}{position.symbol}"
        if position is not None and not position.quantity and key in kept:
            kept[key] = Kept(position.at_ns, b"")
    return False


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
