"""What verification says of journals that something happened to, and where."""

import json
import shutil
from pathlib import Path

import pytest

from hfengine.journal import JournalLimits, frames, manifest
from hfengine.journal.reader import (
    DAMAGED,
    EDITED,
    INCOMPLETE,
    OK,
    TRUNCATED,
    NotAJournal,
    Scan,
    verify,
)
from tests.reference.journal import Note, crashed, start, written
from tests.reference.segment import Record, records, reframed, resealed

FIRST = manifest.segment_name(1)


@pytest.fixture
def ended(tmp_path: Path) -> Path:
    return written(tmp_path / "ended", 60)


def edit(record: Record) -> bytes:
    """Change a digit of the payload, which stays MessagePack."""
    changed = bytearray(record.payload)
    changed[-1] ^= 0x03
    return bytes(changed)


def test_codes_are_those_promised() -> None:
    assert (OK, TRUNCATED, DAMAGED, EDITED, INCOMPLETE) == (0, 10, 11, 12, 13)


def test_intact(ended: Path) -> None:
    verdict = verify(ended)
    assert (verdict.code, verdict.status, verdict.state) == (OK, "intact", "ended")
    assert verdict.whole_frames == 60
    assert verdict.hash == manifest.load(ended).hash


def test_a_flipped_payload_bit_is_located_with_its_type(ended: Path) -> None:
    path = ended / manifest.segment_name(2)
    before = len(records(ended / FIRST))
    record = records(path)[4]
    content = bytearray(path.read_bytes())
    content[record.offset + 8 + len(record.payload) - 1] ^= 0x10
    path.write_bytes(content)
    verdict = verify(ended)
    assert (verdict.code, verdict.status) == (DAMAGED, "damaged")
    assert (verdict.segment, verdict.offset) == (path.name, record.offset)
    assert (verdict.frame, verdict.whole_frames) == (before + 5, before + 4)
    assert verdict.message_type in ("Note", "Order")
    assert f"byte {record.offset}" in verdict.detail


def test_a_changed_payload_with_its_old_checksum_is_damage(ended: Path) -> None:
    path = ended / FIRST
    index = next(i for i, one in enumerate(records(path)) if b"BTC" in one.payload and i % 5 > 1)
    record = records(path)[index]
    content = path.read_bytes()
    begin, end = record.offset + 8, record.offset + 8 + len(record.payload)
    path.write_bytes(content[:begin] + record.payload.replace(b"BTC", b"XYZ") + content[end:])
    verdict = verify(ended)
    assert (verdict.code, verdict.offset, verdict.message_type) == (DAMAGED, record.offset, "Order")


def test_a_flipped_length_bit_is_named_and_the_type_still_read(ended: Path) -> None:
    path = ended / FIRST
    record = records(path)[2]
    for bit in range(32):
        content = bytearray(path.read_bytes())
        content[record.offset + bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        verdict = verify(ended)
        assert (verdict.code, verdict.offset) == (DAMAGED, record.offset)
        assert verdict.message_type == "Note"
        assert "its length is damaged" in verdict.detail
        content[record.offset + bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)


def test_many_damaged_bytes_in_one_frame_are_damage(ended: Path) -> None:
    path = ended / FIRST
    record = records(path)[2]
    content = bytearray(path.read_bytes())
    content[record.offset + 12 : record.offset + 20] = b"\xc1" * 8
    path.write_bytes(content)
    verdict = verify(ended)
    assert (verdict.code, verdict.frame, verdict.message_type) == (DAMAGED, 3, None)


def test_an_edit_that_mends_its_own_checksum_names_the_frame(ended: Path) -> None:
    path = ended / FIRST
    for index in range(len(records(path))):
        whole = path.read_bytes()
        record = records(path)[index]
        path.write_bytes(reframed(path, index, edit(record), mend_later=False))
        verdict = verify(ended)
        assert (verdict.code, verdict.status) == (EDITED, "edited")
        assert (verdict.segment, verdict.offset) == (FIRST, record.offset)
        assert (verdict.frame, verdict.whole_frames) == (index + 1, index)
        assert verdict.message_type in ("Note", "Order")
        path.write_bytes(whole)


def test_an_edit_that_mends_every_later_checksum_is_caught_by_the_seal(ended: Path) -> None:
    path = ended / FIRST
    block = [record for record in records(path) if record.block == 1]
    first = records(path).index(block[0]) + 1
    last = first + len(block) - 1
    index = records(path).index(block[1])
    path.write_bytes(reframed(path, index, edit(block[1]), mend_later=True))
    verdict = verify(ended)
    assert verdict.code == EDITED
    assert verdict.frame == first
    assert verdict.whole_frames == first - 1
    assert f"frames {first} to {last}" in verdict.detail
    assert verdict.offset == block[0].offset


def test_an_edit_that_mends_its_seal_is_caught_by_the_next(ended: Path) -> None:
    path = ended / FIRST
    path.write_bytes(resealed(path, 1, edit(records(path)[1]), blocks=1))
    verdict = verify(ended)
    assert verdict.code == EDITED
    assert verdict.whole_frames == len([one for one in records(path) if one.block == 0])


def test_an_edit_that_mends_the_whole_segment_is_caught_by_the_next_one(ended: Path) -> None:
    path = ended / FIRST
    path.write_bytes(resealed(path, 1, edit(records(path)[1]), blocks=1000))
    verdict = verify(ended)
    assert (verdict.code, verdict.segment) == (EDITED, manifest.segment_name(2))


def test_an_edit_that_mends_everything_is_caught_by_the_manifest(tmp_path: Path) -> None:
    ended = written(tmp_path, 8)
    path = ended / FIRST
    assert len(list(ended.glob("*.journal"))) == 1
    path.write_bytes(resealed(path, 1, edit(records(path)[1]), blocks=1000))
    verdict = verify(ended)
    assert verdict.code == EDITED
    assert "manifest" in verdict.detail


def test_a_removed_frame_is_an_edit(ended: Path) -> None:
    path = ended / FIRST
    record = records(path)[3]
    content = path.read_bytes()
    path.write_bytes(content[: record.offset] + content[record.offset + 8 + len(record.payload) :])
    verdict = verify(ended)
    assert verdict.code in (EDITED, DAMAGED)
    assert verdict.whole_frames in (2, 3)


def test_bytes_added_after_the_end(ended: Path) -> None:
    path = ended / FIRST
    size_bytes = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"more")
    verdict = verify(ended)
    assert (verdict.code, verdict.offset, verdict.segment) == (EDITED, size_bytes, FIRST)


def test_a_crash_within_a_frame(tmp_path: Path) -> None:
    left = crashed(tmp_path, 12)
    path = sorted(left.glob("*.journal"))[-1]
    last = records(path)[-1]
    path.write_bytes(path.read_bytes()[:-3])
    verdict = verify(left)
    assert (verdict.code, verdict.status, verdict.state) == (TRUNCATED, "truncated", "crashed")
    assert (verdict.segment, verdict.offset) == (path.name, last.offset)
    assert (verdict.frame, verdict.whole_frames) == (12, 11)
    assert "whole frames before: 11" in verdict.detail


def test_a_crash_between_frames(tmp_path: Path) -> None:
    left = crashed(tmp_path, 12)
    verdict = verify(left)
    assert (verdict.code, verdict.state, verdict.whole_frames) == (TRUNCATED, "crashed", 12)
    assert "did not end" in verdict.detail


def test_a_crash_before_the_manifest_named_the_new_segment(tmp_path: Path) -> None:
    left = crashed(tmp_path, 60)
    page = manifest.load(left)
    assert len(page.segments) > 2
    page.segments.pop()
    page.segments[-1].size_bytes = None
    manifest.save(left, page)
    verdict = verify(left)
    assert (verdict.code, verdict.whole_frames) == (TRUNCATED, 60)


def test_damage_in_the_unsealed_tail_of_a_crash(tmp_path: Path) -> None:
    left = crashed(tmp_path, 12, limits=JournalLimits(block_bytes=512))
    path = sorted(left.glob("*.journal"))[-1]
    tail = [one for one in records(path) if one.block is None]
    assert len(tail) > 2
    whole = path.read_bytes()
    for record in tail:
        for byte in range(8 + len(record.payload)):
            content = bytearray(whole)
            content[record.offset + byte] ^= 1 << byte % 8
            path.write_bytes(content)
            assert verify(left).code in (DAMAGED, TRUNCATED)
            if byte >= 4:
                assert (verify(left).code, verify(left).offset) == (DAMAGED, record.offset)


def test_an_edit_in_the_unsealed_tail_of_a_crash(tmp_path: Path) -> None:
    left = crashed(tmp_path, 12, limits=JournalLimits(block_bytes=512))
    path = sorted(left.glob("*.journal"))[-1]
    tail = [one for one in records(path) if one.block is None]
    index = records(path).index(tail[1])
    path.write_bytes(reframed(path, index, edit(tail[1]), mend_later=False))
    verdict = verify(left)
    assert (verdict.code, verdict.offset) == (EDITED, tail[1].offset)


def test_a_segment_of_an_ended_session_cut_between_blocks(ended: Path) -> None:
    path = ended / FIRST
    second_block = next(one for one in records(path) if one.block == 1)
    path.write_bytes(path.read_bytes()[: second_block.offset])
    verdict = verify(ended)
    assert (verdict.code, verdict.segment, verdict.offset) == (
        TRUNCATED,
        FIRST,
        second_block.offset,
    )


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_missing_segment(ended: Path, number: int) -> None:
    name = manifest.segment_name(number)
    (ended / name).unlink()
    verdict = verify(ended)
    assert (verdict.code, verdict.status, verdict.segment) == (INCOMPLETE, "incomplete", name)
    assert name in verdict.detail


def test_segments_in_each_others_place(ended: Path) -> None:
    one, two = ended / FIRST, ended / manifest.segment_name(2)
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    verdict = verify(ended)
    assert (verdict.code, verdict.segment) == (INCOMPLETE, FIRST)
    assert "segment 2" in verdict.detail


def test_a_segment_of_another_session(tmp_path: Path, ended: Path) -> None:
    other = written(tmp_path, 60, session="other")
    shutil.copy(other / manifest.segment_name(2), ended / manifest.segment_name(2))
    verdict = verify(ended)
    assert (verdict.code, verdict.segment) == (INCOMPLETE, manifest.segment_name(2))
    assert "'other'" in verdict.detail


def test_a_segment_of_another_run_of_the_session(tmp_path: Path, ended: Path) -> None:
    journal = start(tmp_path / "rerun")
    for record in records(ended / FIRST):
        journal.append(Note(record.offset, "a different message in its place"))
    journal.close()
    rerun = journal.path / manifest.segment_name(2)
    shutil.copy(rerun, ended / manifest.segment_name(2))
    assert verify(ended).code == EDITED


def test_a_segment_too_many(ended: Path) -> None:
    extra = manifest.segment_name(len(list(ended.glob("*.journal"))) + 1)
    shutil.copy(ended / FIRST, ended / extra)
    verdict = verify(ended)
    assert (verdict.code, verdict.segment) == (INCOMPLETE, extra)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"format": "one"}', b"null"]
)
def test_an_unreadable_manifest(ended: Path, content: bytes) -> None:
    (ended / manifest.NAME).write_bytes(content)
    verdict = verify(ended)
    assert verdict.code == INCOMPLETE
    assert manifest.NAME in verdict.detail


def test_a_missing_manifest(ended: Path) -> None:
    (ended / manifest.NAME).unlink()
    verdict = verify(ended)
    assert (verdict.code, verdict.detail) == (INCOMPLETE, f"{manifest.NAME} is missing")


@pytest.mark.parametrize(
    ("field", "other", "code"),
    [
        ("hash", "00" * 32, EDITED),
        ("records", 59, EDITED),
        ("format", 2, INCOMPLETE),
        ("session", "another", INCOMPLETE),
        ("state", "asleep", INCOMPLETE),
    ],
)
def test_a_manifest_that_says_something_else(
    ended: Path, field: str, other: object, code: int
) -> None:
    page = json.loads((ended / manifest.NAME).read_text())
    page[field] = other
    (ended / manifest.NAME).write_text(json.dumps(page))
    assert verify(ended).code == code


def test_no_journal_at_the_path(tmp_path: Path, ended: Path) -> None:
    for path in (tmp_path / "none", tmp_path, ended / FIRST):
        with pytest.raises(NotAJournal, match="directory of one"):
            verify(path)


def test_a_frame_is_yielded_before_a_later_problem(ended: Path) -> None:
    path = ended / FIRST
    record = records(path)[5]
    path.write_bytes(path.read_bytes()[: record.offset + 3])
    scan = Scan(ended)
    assert [frame.sequence for frame in scan.frames()] == [1, 2, 3, 4, 5]
    assert scan.verdict().code == TRUNCATED


def test_a_segment_of_a_later_format_is_not_called_damaged(ended: Path) -> None:
    path = ended / FIRST
    content = path.read_bytes()
    header = frames.unpack_header(content)
    assert header is not None
    later = frames.pack_header(header._replace(format=2))
    path.write_bytes(later + content[len(later) :])
    verdict = verify(ended)
    assert verdict.code == INCOMPLETE
    assert "format 2" in verdict.detail
