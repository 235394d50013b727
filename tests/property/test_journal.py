"""Whatever happens to a journal is found, named for what it is, and never called intact."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.journal import JournalLimits, manifest
from hfengine.journal.reader import DAMAGED, EDITED, OK, TRUNCATED, Scan, Verdict, decode, verify
from tests.reference.journal import Note, Order, crashed, start, written
from tests.reference.segment import records, reframed

share = st.floats(0, 1, exclude_max=True)


@dataclass(repr=False)
class Kept:
    """A journal and its bytes as written."""

    path: Path
    segments: dict[str, bytes]

    def with_segment(self, name: str, content: bytes) -> Verdict:
        """Verify with one segment changed, then put it back."""
        (self.path / name).write_bytes(content)
        try:
            return verify(self.path)
        finally:
            (self.path / name).write_bytes(self.segments[name])

    def name(self, where: float) -> str:
        return sorted(self.segments)[int(where * len(self.segments))]


def kept(path: Path) -> Kept:
    return Kept(path, {one.name: one.read_bytes() for one in path.glob("*.journal")})


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return kept(written(tmp_path_factory.mktemp("ended"), 60))


@pytest.fixture(scope="module")
def unended(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    limits = JournalLimits(block_bytes=400, segment_bytes=1500)
    return kept(crashed(tmp_path_factory.mktemp("crashed"), 60, limits=limits))


def flipped(content: bytes, where: float) -> tuple[bytes, int]:
    bit = int(where * len(content) * 8)
    out = bytearray(content)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out), bit // 8


@settings(deadline=None, max_examples=200)
@given(share, share)
def test_any_flipped_bit_is_damage_at_its_place(ended: Kept, which: float, where: float) -> None:
    name = ended.name(which)
    content, byte = flipped(ended.segments[name], where)
    verdict = ended.with_segment(name, content)
    assert (verdict.code, verdict.segment) == (DAMAGED, name)
    assert verdict.offset is not None
    assert verdict.offset <= byte
    later = [one.offset for one in records(ended.path / name) if one.offset > verdict.offset]
    assert not later or byte < later[0]


@settings(deadline=None, max_examples=200)
@given(share, share)
def test_any_flipped_bit_in_a_crashed_journal_is_found(
    unended: Kept, which: float, where: float
) -> None:
    name = unended.name(which)
    content, _ = flipped(unended.segments[name], where)
    verdict = unended.with_segment(name, content)
    whole = verify(unended.path).whole_frames
    assert verdict.segment == name
    assert verdict.code == DAMAGED or (verdict.code == TRUNCATED and verdict.whole_frames < whole)


@settings(deadline=None, max_examples=200)
@given(share, share, st.booleans())
def test_any_truncation_is_found(
    ended: Kept, unended: Kept, which: float, where: float, is_ended: bool
) -> None:
    journal = ended if is_ended else unended
    name = journal.name(which)
    content = journal.segments[name]
    kept_bytes = int(where * len(content))
    verdict = journal.with_segment(name, content[:kept_bytes])
    assert (verdict.code, verdict.segment) == (TRUNCATED, name)
    before = sum(
        len(records(journal.path / other)) for other in sorted(journal.segments) if other < name
    )
    whole = [
        one
        for one in records(journal.path / name)
        if one.offset + 8 + len(one.payload) <= kept_bytes
    ]
    assert verdict.whole_frames == before + len(whole)
    assert verdict.frame == verdict.whole_frames + 1


@settings(deadline=None, max_examples=200)
@given(share, share, share, st.integers(1, 255), st.booleans())
def test_any_edit_with_mended_checksums_is_an_edit(
    ended: Kept, which: float, where: float, at: float, change: int, mend_later: bool
) -> None:
    name = ended.name(which)
    listed = records(ended.path / name)
    index = int(where * len(listed))
    record = listed[index]
    payload = bytearray(record.payload)
    payload[int(at * len(payload))] ^= change
    content = reframed(ended.path / name, index, bytes(payload), mend_later=mend_later)
    verdict = ended.with_segment(name, content)
    assert (verdict.code, verdict.segment) == (EDITED, name)
    before = sum(
        len(records(ended.path / other)) for other in sorted(ended.segments) if other < name
    )
    block = [i for i, one in enumerate(listed) if one.block == record.block]
    if mend_later and index != block[-1]:
        assert verdict.frame == before + block[0] + 1
        assert f"frames {before + block[0] + 1} to {before + block[-1] + 1}" in verdict.detail
    else:
        assert (verdict.frame, verdict.offset) == (before + index + 1, record.offset)


@settings(deadline=None, max_examples=200)
@given(share, share, st.binary(max_size=80), st.integers(0, 80), st.booleans())
def test_no_garbage_is_called_intact_or_raises(
    ended: Kept, unended: Kept, which: float, where: float, garbage: bytes, cut: int, is_ended: bool
) -> None:
    journal = ended if is_ended else unended
    name = journal.name(which)
    content = journal.segments[name]
    begin = int(where * len(content))
    changed = content[:begin] + garbage + content[begin + cut :]
    verdict = journal.with_segment(name, changed)
    if changed != content:
        assert verdict.code != OK
    elif is_ended:
        assert verdict.code == OK


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300))
def test_a_manifest_of_garbage_is_incomplete(ended: Kept, garbage: bytes) -> None:
    page = ended.path / manifest.NAME
    content = page.read_bytes()
    page.write_bytes(garbage)
    try:
        assert verify(ended.path).code != OK
    finally:
        page.write_bytes(content)


texts = st.text(max_size=40)
notes = st.builds(Note, st.integers(0, 2**63), texts, st.floats(allow_nan=False))
orders = st.builds(Order, texts, st.sampled_from([1, -1]), texts)


@settings(deadline=None, max_examples=25)
@given(st.lists(notes | orders, max_size=40), st.integers(1, 500), st.integers(1, 5000))
def test_what_goes_in_comes_out(
    logged: list[Note | Order], block_bytes: int, segment_bytes: int
) -> None:
    with TemporaryDirectory() as directory:
        limits = JournalLimits(block_bytes=block_bytes, segment_bytes=max(segment_bytes, 600))
        journal = start(Path(directory), limits=limits)
        for message in logged:
            journal.append(message)
        journal.close()
        scan = Scan(journal.path)
        assert [decode(one.payload) for one in scan.frames()] == [
            msgspec.to_builtins(one) for one in logged
        ]
        assert (scan.verdict().code, scan.verdict().hash) == (OK, journal.hash)
