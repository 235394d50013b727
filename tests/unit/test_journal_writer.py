"""What the journal writes, when it seals and rotates, and how it fails."""

import errno
import os
import threading
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from hfengine.journal import Journal, JournalError, JournalLimits, frames, manifest
from hfengine.journal.reader import OK, Scan, decode, verify
from hfengine.journal.writer import THREAD_NAME, DiskSegment, SegmentFile
from tests.reference.journal import SMALL, Note, messages, start, written


class FullDisk(DiskSegment):
    """A segment that takes its header and then has no room left."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.writes = 0

    def write(self, parts: list[bytes | bytearray]) -> None:
        self.writes += 1
        if self.writes > 1:
            super().write([bytes(parts[0])[:100]])
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(parts)


class StuckDisk(DiskSegment):
    """A segment that takes its header and then blocks until released."""

    released = threading.Event()

    def write(self, parts: list[bytes | bytearray]) -> None:
        if self.released is not None and not isinstance(parts[0], bytes):
            self.released.wait(20)
        super().write(parts)


def test_what_is_appended_comes_back_in_order(tmp_path: Path) -> None:
    path = written(tmp_path, 200)
    scan = Scan(path)
    found = list(scan.frames())
    assert [frame.sequence for frame in found] == list(range(1, 201))
    assert [decode(frame.payload) for frame in found] == [
        msgspec.to_builtins(one) for one in messages(200)
    ]
    assert scan.verdict().code == OK


def test_manifest_tells_the_session(tmp_path: Path) -> None:
    journal = start(tmp_path, started_ns=42)
    page = manifest.load(journal.path)
    assert (page.state, page.records, page.hash) == ("running", None, None)
    assert manifest.has_writer(journal.path)
    for message in messages(100):
        journal.append(message)
    journal.close()
    page = manifest.load(journal.path)
    assert (page.session, page.config_hash, page.version, page.started_ns) == (
        "session",
        "c0ffee",
        "0.1.0",
        42,
    )
    assert (page.state, page.records, page.hash) == ("ended", 100, journal.hash)
    assert page.fault is None
    assert [(one.name, one.size_bytes) for one in page.segments] == [
        (path.name, path.stat().st_size) for path in sorted(journal.path.glob("*.journal"))
    ]
    assert len(page.segments) > 2
    assert not manifest.has_writer(journal.path)


def test_same_messages_same_bytes_and_hash_whatever_the_time(tmp_path: Path) -> None:
    paths = [
        written(tmp_path / "a", 100, started_ns=1),
        written(tmp_path / "b", 100, started_ns=2**60),
    ]
    left, right = ([one.read_bytes() for one in sorted(path.glob("*.journal"))] for path in paths)
    assert left == right
    hashes = {manifest.load(path).hash for path in paths}
    assert len(hashes) == 1
    other = manifest.load(written(tmp_path / "c", 99)).hash
    assert other not in hashes


def test_session_name_and_rotation_leave_the_hash_alone(tmp_path: Path) -> None:
    one = manifest.load(written(tmp_path, 100, session="one")).hash
    two = manifest.load(written(tmp_path, 100, session="another-name")).hash
    big = JournalLimits(block_bytes=SMALL.block_bytes, segment_bytes=10**6)
    three = manifest.load(written(tmp_path, 100, session="big", limits=big)).hash
    assert one == two == three


def test_flushes_change_no_byte(tmp_path: Path) -> None:
    plain = written(tmp_path / "plain", 60)
    journal = start(tmp_path / "flushed")
    for i, message in enumerate(messages(60)):
        journal.append(message)
        if i % 4 == 0:
            assert journal.flush(5.0)
    journal.close()
    for path in sorted(plain.glob("*.journal")):
        assert (journal.path / path.name).read_bytes() == path.read_bytes()


def test_flushed_messages_are_on_disk_before_close(tmp_path: Path) -> None:
    journal = start(tmp_path)
    journal.append(Note(1, "first"))
    assert verify(journal.path).whole_frames == 0
    assert journal.flush(5.0)
    verdict = verify(journal.path)
    assert (verdict.code, verdict.whole_frames, verdict.state) == (OK, 1, "running")
    journal.close()
    assert verify(journal.path).state == "ended"


def test_an_empty_session_is_intact(tmp_path: Path) -> None:
    path = written(tmp_path, 0)
    verdict = verify(path)
    assert (verdict.code, verdict.whole_frames, verdict.hash) == (OK, 0, frames.GENESIS.hex())


def test_the_writer_is_one_named_thread_and_gone_after_close(tmp_path: Path) -> None:
    journal = start(tmp_path)
    assert [one.name for one in threading.enumerate()].count(THREAD_NAME) == 1
    journal.close()
    assert THREAD_NAME not in [one.name for one in threading.enumerate()]


def test_a_second_session_of_the_name_gets_its_own_directory(tmp_path: Path) -> None:
    assert [written(tmp_path, 3).name for _ in range(3)] == ["session", "session-2", "session-3"]
    assert verify(tmp_path / "session").code == OK


def test_close_again_and_append_after_it(tmp_path: Path) -> None:
    journal = start(tmp_path)
    journal.append(Note(1, "kept"))
    journal.close("crashed")
    journal.close("ended")
    journal.append(Note(2, "late"))
    assert (journal.records, journal.dropped) == (1, 1)
    verdict = verify(journal.path)
    assert (verdict.code, verdict.state, verdict.whole_frames) == (OK, "crashed", 1)


@pytest.mark.parametrize("session", ["", "../up", "a/b", ".hidden", "x" * 65, "new\nline"])
def test_session_names_are_checked(tmp_path: Path, session: str) -> None:
    with pytest.raises(JournalError, match="session name"):
        start(tmp_path, session=session)
    assert list(tmp_path.iterdir()) == []


def test_no_place_to_write_is_said_in_one_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(JournalError, match="cannot be started"):
        start(blocked)


def test_an_inexpressible_message_raises_and_leaves_the_journal_whole(tmp_path: Path) -> None:
    class Odd(Struct, tag=True):
        thing: object

    journal = start(tmp_path)
    journal.append(Note(1, "before"))
    with pytest.raises(TypeError):
        journal.append(Odd(object()))
    journal.append(Note(2, "after"))
    journal.close()
    assert (verify(journal.path).code, journal.records, journal.ok) == (OK, 2, True)


def test_a_full_disk_halts_once_and_never_raises(tmp_path: Path) -> None:
    reasons: list[str] = []
    journal = start(tmp_path, on_fault=reasons.append, open_segment=FullDisk)
    assert journal.ok
    for message in messages(40):
        journal.append(message)
    assert not journal.flush(5.0)
    assert not journal.ok
    dropped = journal.dropped
    for message in messages(10):
        journal.append(message)
    assert journal.dropped == dropped + 10
    journal.close()
    assert len(reasons) == 1
    assert "No space left" in reasons[0]
    assert str(journal.path) in reasons[0]
    page = manifest.load(journal.path)
    assert (page.state, page.hash, page.fault) == ("crashed", None, reasons[0])
    verdict = verify(journal.path)
    assert (verdict.status, verdict.whole_frames) == ("truncated", 1)
    assert "whole frames before: 1" in verdict.detail


def test_a_failed_rotation_is_no_intact_journal(tmp_path: Path) -> None:
    def first_only(path: Path) -> SegmentFile:
        if path.name != manifest.segment_name(1):
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        return DiskSegment(path)

    reasons: list[str] = []
    journal = start(tmp_path, on_fault=reasons.append, open_segment=first_only)
    for message in messages(100):
        journal.append(message)
    journal.close()
    assert len(reasons) == 1
    assert "quota" in reasons[0]
    verdict = verify(journal.path)
    assert (verdict.status, verdict.state) == ("truncated", "crashed")
    assert 0 < verdict.whole_frames < 100


def test_a_stuck_writer_fills_the_backlog_and_halts(tmp_path: Path) -> None:
    reasons: list[str] = []
    limits = JournalLimits(block_bytes=64 * 1024, backlog_bytes=2 * 1024 * 1024, close_wait_s=0.05)
    StuckDisk.released = threading.Event()
    journal = start(tmp_path, on_fault=reasons.append, open_segment=StuckDisk, limits=limits)
    text = "x" * 30_000
    appended = 0
    while journal.ok and appended < 200:
        journal.append(Note(appended, text))
        appended += 1
    assert 64 < appended < 100
    assert len(reasons) == 1
    assert "stalled" in reasons[0]
    journal.append(Note(0, text))
    assert journal.dropped == 1
    journal.close()
    assert len(reasons) == 1
    assert manifest.load(journal.path).state == "running"
    StuckDisk.released.set()


def test_a_slow_writer_is_waited_for_where_that_is_allowed(tmp_path: Path) -> None:
    limits = JournalLimits(block_bytes=64 * 1024, backlog_bytes=2 * 1024 * 1024, stall_wait_s=20.0)
    StuckDisk.released = threading.Event()
    journal = start(tmp_path, open_segment=StuckDisk, limits=limits)
    release = threading.Timer(0.2, StuckDisk.released.set)
    release.start()
    for i in range(200):
        journal.append(Note(i, "x" * 30_000))
    journal.close()
    release.join()
    verdict = verify(journal.path)
    assert (verdict.code, verdict.whole_frames, journal.dropped) == (OK, 200, 0)


def test_no_progress_for_too_long_halts(tmp_path: Path) -> None:
    reasons: list[str] = []
    limits = JournalLimits(stall_max_ns=1000, close_wait_s=5.0)
    StuckDisk.released = threading.Event()
    journal = start(tmp_path, on_fault=reasons.append, open_segment=StuckDisk, limits=limits)
    assert journal.check(0)
    assert journal.check(5_000)
    journal.append(Note(1, "one"))
    assert not journal.flush()
    assert journal.check(5_500)
    assert journal.check(6_000)
    assert not journal.check(6_001)
    assert len(reasons) == 1
    assert "stalled" in reasons[0]
    StuckDisk.released.set()
    journal.close()
    page = manifest.load(journal.path)
    assert (page.state, page.fault) == ("crashed", reasons[0])
    assert verify(journal.path).code == OK


def test_too_long_a_message_halts(tmp_path: Path) -> None:
    reasons: list[str] = []
    journal = start(tmp_path, on_fault=reasons.append)
    journal.append(Note(1, "kept"))
    journal.append(Note(2, "x" * (1024 * 1024)))
    assert (journal.ok, journal.dropped, len(reasons)) == (False, 1, 1)
    assert "Note" in reasons[0]
    journal.close()
    verdict = verify(journal.path)
    assert (verdict.code, verdict.whole_frames, verdict.state) == (OK, 1, "crashed")


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = written(tmp_path / "plain", 60)
    whole_writev, whole_write = os.writev, os.write
    monkeypatch.setattr(
        os, "writev", lambda fd, parts: whole_writev(fd, [bytes(parts[0])[: len(parts[0]) // 2]])
    )
    monkeypatch.setattr(os, "write", lambda fd, rest: whole_write(fd, bytes(rest)[:7]))
    short = written(tmp_path / "short", 60)
    monkeypatch.undo()
    for path in sorted(plain.glob("*.journal")):
        assert (short / path.name).read_bytes() == path.read_bytes()
    assert verify(short).code == OK


def test_hash_is_public_before_and_after(tmp_path: Path) -> None:
    journal: Journal = start(tmp_path)
    assert journal.hash == frames.GENESIS.hex()
    journal.append(Note(1, "one"))
    journal.close()
    assert journal.hash == verify(journal.path).hash != frames.GENESIS.hex()
