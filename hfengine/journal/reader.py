"""Read a journal back and say whether it is whole; if not, what happened to it and where.

Truncated: bytes are missing at the end of a segment. Damaged: a frame, seal or header does not fit
its own checksum. Edited: every checksum a frame has fits, but the chain after it, or its block's
seal, does not. Incomplete: a segment or the manifest is missing, or stands in another's place.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from hfengine.errors import ExitCode, HfengineError
from hfengine.journal import frames, manifest
from hfengine.journal.manifest import Manifest, State
from hfengine.limits import JOURNAL_RECORD_BYTES_MAX

OK: Final = int(ExitCode.OK)
TRUNCATED: Final = int(ExitCode.JOURNAL_TRUNCATED)
DAMAGED: Final = int(ExitCode.JOURNAL_DAMAGED)
EDITED: Final = int(ExitCode.JOURNAL_EDITED)
INCOMPLETE: Final = int(ExitCode.JOURNAL_INCOMPLETE)
WRONG_PATH: Final = int(ExitCode.USAGE)

Status = Literal["intact", "truncated", "damaged", "edited", "incomplete"]
STATUS: Final[dict[int, Status]] = {
    OK: "intact",
    TRUNCATED: "truncated",
    DAMAGED: "damaged",
    EDITED: "edited",
    INCOMPLETE: "incomplete",
}


class NotAJournal(HfengineError):
    """The path holds no journal at all."""

    exit_code = ExitCode.USAGE


class Frame(Struct, frozen=True):
    """One logged message: its number in the session from 1, where it lies, its bytes."""

    sequence: int
    segment: str
    offset: int
    payload: bytes


class Verdict(Struct, frozen=True, kw_only=True):
    """What verification found: exit code, status, a sentence, and the place of the first problem.

    whole_frames counts the frames before that place whose checksums fit; frame is the number of
    the one concerned, message_type its type where it can be read.
    """

    code: int
    status: Status
    state: State
    detail: str
    whole_frames: int
    hash: str
    segment: str | None = None
    offset: int | None = None
    frame: int | None = None
    message_type: str | None = None


class _Problem(Exception):
    """Ends the scan; carries what the verdict says of it."""

    def __init__(
        self,
        code: int,
        detail: str,
        *,
        segment: str | None = None,
        offset: int | None = None,
        frame: int | None = None,
        payload: bytes | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.segment = segment
        self.offset = offset
        self.frame = frame
        self.message_type = None if payload is None else type_of(decode(payload))


def decode(payload: bytes) -> Any:
    """Return a payload as plain mappings and lists; None where it is not one MessagePack value."""
    try:
        return msgspec.msgpack.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, RecursionError):
        return None


def type_of(content: Any) -> str | None:
    """Return the tag of a decoded message, None where it has none."""
    if isinstance(content, dict):
        tag = content.get("type")
        return None if tag is None else str(tag)
    if isinstance(content, list) and content and isinstance(content[0], str):
        return content[0]
    return None


def verify(directory: Path) -> Verdict:
    """Check every byte of a journal. Raise NotAJournal, or OSError where it cannot be read."""
    scan = Scan(directory)
    for _ in scan.frames():
        pass
    return scan.verdict()


class Scan:
    """One pass over a journal: the frames that fit, then the verdict."""

    def __init__(self, directory: Path) -> None:
        """Raise NotAJournal for a path that holds no journal, OSError for one not readable."""
        if not directory.is_dir():
            what = "a file" if directory.exists() else "missing"
            raise NotAJournal(f"{directory} is {what}: give the directory of one session's journal")
        self.directory = directory
        if not self._present() and not (directory / manifest.NAME).exists():
            raise NotAJournal(
                f"{directory} holds neither {manifest.NAME} nor segments: give the directory of one"
                " session's journal"
            )
        self.state: State = "crashed"
        self._live = False
        self._problem: _Problem | None = None
        self._whole_frames = 0
        self._crc = 0
        self._digest = frames.GENESIS
        self._sealed_frames = 0
        self._xor = 0
        self._last_offset = 0

    def frames(self) -> Iterator[Frame]:
        """Yield every frame up to the first problem, checked on the way; use it once."""
        try:
            page = self._load_manifest()
            names = self._names(page)
            for number, name in enumerate(names, 1):
                size_bytes = (
                    page.segments[number - 1].size_bytes if number <= len(page.segments) else None
                )
                segment = _Segment(name, (self.directory / name).read_bytes(), size_bytes)
                last = number == len(names)
                segment.open_end = self._live and last
                self._check_header(segment, number, page)
                yield from self._segment_frames(segment, last=last)
                if last and not self._live:
                    self._check_end(segment, page)
        except _Problem as problem:
            self._problem = problem

    def verdict(self) -> Verdict:
        """Return what the exhausted scan found."""
        problem = self._problem
        if problem is None:
            detail = f"{self._whole_frames} frames, all fit"
            if self._live:
                detail = f"{self._whole_frames} frames so far, all fit; it is still being written"
            problem = _Problem(OK, detail)
        return Verdict(
            code=problem.code,
            status=STATUS[problem.code],
            state=self.state,
            detail=problem.detail,
            whole_frames=self._whole_frames,
            hash=self._digest.hex(),
            segment=problem.segment,
            offset=problem.offset,
            frame=problem.frame,
            message_type=problem.message_type,
        )

    def _present(self) -> set[str]:
        return {path.name for path in self.directory.glob("*.journal")}

    def _load_manifest(self) -> Manifest:
        # Asked first: who held no lock before has left its last manifest.
        has_writer = manifest.has_writer(self.directory)
        try:
            page = manifest.load(self.directory)
        except FileNotFoundError:
            raise _Problem(INCOMPLETE, f"{manifest.NAME} is missing") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _Problem(INCOMPLETE, f"{manifest.NAME} cannot be read: {error}") from None
        if page.format != frames.FORMAT:
            raise _Problem(
                INCOMPLETE,
                f"format {page.format} is not format {frames.FORMAT}, which this version reads",
            )
        self._live = page.state == "running" and has_writer
        self.state = "crashed" if page.state == "running" and not self._live else page.state
        return page

    def _names(self, page: Manifest) -> list[str]:
        present = self._present()
        listed = [segment.name for segment in page.segments]
        names = [manifest.segment_name(number) for number in range(1, len(listed) + 1)]
        if listed != names:
            raise _Problem(INCOMPLETE, f"{manifest.NAME} lists segments out of order")
        for name in names:
            if name not in present:
                raise _Problem(INCOMPLETE, f"segment {name} is missing", segment=name)
        after = manifest.segment_name(len(names) + 1)
        # A segment is made before the manifest names it: one more is what a crash between leaves.
        if page.hash is None and after in present:
            names.append(after)
        foreign = sorted(present - set(names))
        if foreign and not self._live:
            raise _Problem(
                INCOMPLETE,
                f"segment {foreign[0]} does not belong to the {len(names)} of this session",
                segment=foreign[0],
            )
        return names

    def _check_header(self, segment: "_Segment", number: int, page: Manifest) -> None:
        content = segment.content
        whole = len(content) >= frames.HEADER.size
        whole = whole and len(content) >= frames.header_bytes(content)
        header = frames.unpack_header(content) if whole else None
        if header is None and not whole and segment.may_be_short():
            segment.offset = len(content)
            raise self._truncated(segment, "its header is not whole")
        if header is None:
            raise _Problem(DAMAGED, "a segment header is damaged", segment=segment.name, offset=0)
        if header.format != frames.FORMAT:
            raise _Problem(
                INCOMPLETE, f"{segment.name} has format {header.format}", segment=segment.name
            )
        if header.segment != number or header.session != page.session:
            raise _Problem(
                INCOMPLETE,
                f"{segment.name} is segment {header.segment} of session {header.session!r}, not"
                f" {number} of {page.session!r}",
                segment=segment.name,
                offset=0,
            )
        if (header.frames_before, header.crc, header.digest) != (
            self._whole_frames,
            self._crc,
            self._digest,
        ):
            raise _Problem(
                EDITED,
                f"{segment.name} does not continue the segment before it",
                segment=segment.name,
                offset=0,
            )
        segment.offset = segment.block_offset = frames.header_bytes(content)

    def _segment_frames(self, segment: "_Segment", *, last: bool) -> Iterator[Frame]:
        content = segment.content
        while segment.offset < len(content):
            if segment.offset == segment.size_bytes:
                raise _Problem(
                    EDITED,
                    f"{len(content) - segment.offset} bytes were added after the end of"
                    f" {segment.name}",
                    segment=segment.name,
                    offset=segment.offset,
                )
            length = segment.u32(segment.offset)
            if length == frames.SEAL_MARK and segment.holds(frames.SEAL.size):
                self._check_seal(segment)
                continue
            end = segment.offset + frames.FRAME.size + (length or 0)
            if not length or length > JOURNAL_RECORD_BYTES_MAX or end > len(content):
                if segment.open_end:
                    return
                raise self._cut_or_damaged(segment, length)
            payload = content[segment.offset + frames.FRAME.size : end]
            stored = segment.u32(segment.offset + 4) or 0
            if frames.frame_crc(self._crc, payload) != stored:
                raise self._misfit(segment, payload, stored)
            self._crc = stored
            self._xor ^= stored
            self._whole_frames += 1
            self._last_offset = segment.offset
            yield Frame(self._whole_frames, segment.name, segment.offset, payload)
            segment.offset = end
        self._check_segment_end(segment, last=last)

    def _check_segment_end(self, segment: "_Segment", *, last: bool) -> None:
        if segment.size_bytes is not None and len(segment.content) < segment.size_bytes:
            raise self._truncated(
                segment, f"{segment.size_bytes - len(segment.content)} bytes are missing"
            )
        if segment.open_end:
            return
        if not last and segment.block_offset != segment.offset:
            raise self._truncated(segment, "its last block has no seal")

    def _check_end(self, segment: "_Segment", page: Manifest) -> None:
        if page.hash is None:
            raise self._truncated(segment, page.fault or "the session did not end")
        if page.hash != self._digest.hex() or page.records != self._whole_frames:
            raise _Problem(
                EDITED,
                f"the segments end at frame {self._whole_frames} with hash {self._digest.hex()},"
                f" the manifest says frame {page.records} with {page.hash}",
            )
        if self._whole_frames != self._sealed_frames:
            raise _Problem(EDITED, "the last block has no seal", frame=self._whole_frames)

    def _truncated(self, segment: "_Segment", why: str) -> _Problem:
        return _Problem(
            TRUNCATED,
            f"{segment.name} is cut at byte {len(segment.content)}: {why};"
            f" whole frames before: {self._whole_frames}",
            segment=segment.name,
            offset=segment.offset,
            frame=self._whole_frames + 1,
        )

    def _damaged(self, segment: "_Segment", what: str, payload: bytes | None = None) -> _Problem:
        number = self._whole_frames + 1
        return _Problem(
            DAMAGED,
            f"{segment.name}, byte {segment.offset}, frame {number}: {what}",
            segment=segment.name,
            offset=segment.offset,
            frame=number,
            payload=payload,
        )

    def _edited_last(self, segment: "_Segment") -> _Problem:
        """Blame the last frame that fits: its own checksum does, what follows it does not."""
        content, offset = segment.content, self._last_offset
        length = segment.u32(offset) or 0
        self._whole_frames -= 1
        number = self._whole_frames + 1
        return _Problem(
            EDITED,
            f"{segment.name}, byte {offset}, frame {number}: the frame fits its own checksum, but"
            " not the chain after it",
            segment=segment.name,
            offset=offset,
            frame=number,
            payload=content[offset + frames.FRAME.size : offset + frames.FRAME.size + length],
        )

    def _cut_or_damaged(self, segment: "_Segment", length: int | None) -> _Problem:
        """Judge a frame that does not fit into what is left of the segment."""
        if length is not None:
            payload = self._with_one_length_bit(segment, length)
            if payload is not None:
                return self._damaged(segment, "its length is damaged", payload)
            if (length ^ frames.SEAL_MARK).bit_count() == 1:
                return self._damaged(segment, "the mark of a seal is damaged")
            if length != frames.SEAL_MARK and not 0 < length <= JOURNAL_RECORD_BYTES_MAX:
                return self._damaged(segment, f"its length, {length}, is impossible")
        if segment.may_be_short():
            return self._truncated(segment, "the record there is not whole")
        return self._damaged(segment, "it goes beyond the end of the segment")

    def _with_one_length_bit(self, segment: "_Segment", length: int) -> bytes | None:
        """Return the payload that fits its checksum with one bit of the length flipped back."""
        begin = segment.offset + frames.FRAME.size
        stored = segment.u32(segment.offset + 4)
        for bit in range(32):
            other = length ^ (1 << bit)
            if not 0 < other <= JOURNAL_RECORD_BYTES_MAX or begin + other > len(segment.content):
                continue
            payload = segment.content[begin : begin + other]
            if frames.frame_crc(self._crc, payload) == stored:
                return payload
        return None

    def _misfit(self, segment: "_Segment", payload: bytes, stored: int) -> _Problem:
        """Tell whether this frame is damaged, or the one before it was edited."""
        damaged = self._damaged(segment, "the frame does not fit its checksum", payload)
        shorter = self._with_one_length_bit(segment, len(payload))
        if shorter is not None:
            return self._damaged(segment, "its length is damaged", shorter)
        first_of_block = self._whole_frames == self._sealed_frames
        if first_of_block:
            return damaged
        computed = frames.frame_crc(self._crc, payload)
        wanted = segment.seal_after(segment.offset)
        if wanted is not None:
            seal_xor, later_xor = wanted
            found = self._xor ^ later_xor
            if seal_xor in (found, found ^ stored ^ computed):
                return damaged
        syndrome = stored ^ computed
        if syndrome.bit_count() == 1 or frames.single_bit_error(len(payload), syndrome):
            return damaged
        return damaged if decode(payload) is None else self._edited_last(segment)

    def _check_seal(self, segment: "_Segment") -> None:
        """Hold the block against its seal and go on behind it, or raise what is wrong."""
        offset = segment.offset
        seal = frames.unpack_seal(segment.content, offset)
        count = self._whole_frames - self._sealed_frames
        hashed = frames.seal_hash(self._digest)
        hashed.update(memoryview(segment.content)[segment.block_offset : offset])
        digest = hashed.digest()
        crc = frames.seal_crc(self._crc, seal.frames, seal.xor, seal.digest)
        fits = crc == seal.crc
        if fits and (digest, count, self._xor) == (seal.digest, seal.frames, seal.xor):
            self._digest = digest
            self._sealed_frames = self._whole_frames
            self._xor = 0
            segment.offset = segment.block_offset = offset + frames.SEAL.size
            return
        if not fits and (digest == seal.digest or self._xor == seal.xor):
            raise self._damaged(segment, "the seal before it is damaged")
        if not fits and count:
            covered = frames.SEAL.pack(frames.SEAL_MARK, 0, *seal[1:])
            original = frames.solve_previous(covered[:4] + covered[8:], seal.crc)
            if self._xor ^ self._crc ^ original == seal.xor:
                raise self._edited_last(segment)
        first, last = self._sealed_frames + 1, self._whole_frames
        self._whole_frames = self._sealed_frames
        raise _Problem(
            EDITED,
            f"{segment.name}, bytes {segment.block_offset} to {offset}: at least one of frames"
            f" {first} to {last} is not the one that was sealed",
            segment=segment.name,
            offset=segment.block_offset,
            frame=first,
        )


class _Segment:
    """The bytes of one segment and how far the scan has come in them."""

    def __init__(self, name: str, content: bytes, size_bytes: int | None) -> None:
        self.name = name
        self.content = content
        self.size_bytes = size_bytes
        self.offset = 0
        self.block_offset = 0
        self.open_end = False

    def may_be_short(self) -> bool:
        """Return whether bytes may be missing: the manifest knows of more, or of no end."""
        return self.size_bytes is None or len(self.content) < self.size_bytes

    def holds(self, length: int) -> bool:
        """Return whether so many bytes are left."""
        return self.offset + length <= len(self.content)

    def u32(self, offset: int) -> int | None:
        """Return the integer at offset, None where the segment ends before it does."""
        if offset + 4 > len(self.content):
            return None
        return int.from_bytes(self.content[offset : offset + 4], "little")

    def seal_after(self, offset: int) -> tuple[int, int] | None:
        """Walk from the frame at offset to its block's seal.

        Return the seal's xor and that of the frame checksums from offset on; None where the walk
        does not lead to a seal.
        """
        later_xor = 0
        while True:
            length = self.u32(offset)
            if length == frames.SEAL_MARK and offset + frames.SEAL.size <= len(self.content):
                return frames.unpack_seal(self.content, offset).xor, later_xor
            stored = self.u32(offset + 4)
            if stored is None or not length or length > JOURNAL_RECORD_BYTES_MAX:
                return None
            later_xor ^= stored
            offset += frames.FRAME.size + length
