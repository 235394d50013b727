"""One recording: `LOCAL_TIME SPACE RAW_JSON` lines, turned into frames and named damage.

The local time is in nanoseconds (19 digits) or microseconds (16). The clock that wrote it may be
off by seconds, so a recording is placed in time by the exchange's own stamps (`offset_ns`).
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from statistics import median_low
from typing import Final, NamedTuple

from hfengine.errors import FeedError
from hfengine.feeds.inflate import GZIP_MAGIC, Break, pieces
from hfengine.feeds.source import Damage, Recorded
from hfengine.limits import RECORD_LINE_BYTES_MAX

HEAD_FRAMES: Final = 500
"""Frames at the head of a recording that its symbol and clock offset are taken from."""

_JUMP_NS: Final = 10_000_000_000
"""A step ahead this long is believed only if the next line does not take it back."""

_BEFORE_HEAD_NS: Final = 3_600_000_000_000
"""A time further than this before the head's is no time of this recording."""

_PAUSE_MAX_NS: Final = 24 * 3_600_000_000_000
"""A longer silence within one recording is a wrong time."""

_LATENCY_MAX_NS: Final = 60_000_000_000
"""A frame's receive time, set right, is never farther from its send time."""

_TIMED = re.compile(rb"(\d{19}|\d{16}) ")
_SYMBOL = re.compile(rb'"s": ?"([^"]{1,32})"')
_SENT_MS = re.compile(rb'"E": ?(\d{13})\b')
_BRACE: Final = 0x7D
_SPACE: Final = 0x20
_SHOWN_BYTES: Final = 40
_NS_DIGITS: Final = 19


class Head(NamedTuple):
    """What the first frames of a recording say about it."""

    symbol: str
    first_ns: int
    latency_min_ns: int | None
    """The smallest local receive time minus exchange send time; None without send times."""


class Recording:
    """A file of one symbol's frames, checked when made.

    Raises FeedError for what is not a recording: missing, a directory, not gzip though named so,
    empty, without timed lines, or without a frame that names its symbol.
    """

    def __init__(self, path: Path, origin: str) -> None:
        self.path = path
        self.origin = origin
        self._stamp = self._sniff()
        self.head = self._read_head()

    def blocks(self, offset_ns: int) -> Iterator[list[Recorded | Damage]]:
        """Yield the events in blocks, times moved by `offset_ns` and never going back."""
        return self._lines(self.head.symbol, offset_ns, self.head.first_ns + offset_ns)

    def _lines(
        self, symbol: str, offset_ns: int, start_ns: int
    ) -> Iterator[list[Recorded | Damage]]:
        lines = _Lines(self.origin, symbol, self._stamp, offset_ns, start_ns)
        return lines.blocks(_opened(self.path))

    def _sniff(self) -> "_Stamp":
        path = self.path
        if path.is_dir():
            raise FeedError(f"{path} is a directory; name the recording files in it")
        content = bytearray()
        count = 0
        for piece in _opened(path):
            if isinstance(piece, Break):
                break
            content += piece
            count += piece.count(b"\n")
            if count > HEAD_FRAMES or len(content) > 2 * RECORD_LINE_BYTES_MAX:
                break
        if path.suffix == ".gz" and not _is_gzip(path):
            raise FeedError(
                f"{path} is named .gz but is not gzip; compress it again or drop the suffix"
            )
        matches = [_TIMED.match(line) for line in content.split(b"\n")]
        times = [match[1] for match in matches if match]
        if not times:
            raise FeedError(
                f"{path} is not a recording: no line at its head is 'LOCAL_NS JSON' "
                "(19 or 16 digits, a space, the frame); check the file or record it again"
            )
        width = Counter(len(time) for time in times).most_common(1)[0][0]
        scale = 1 if width == _NS_DIGITS else 1000
        head = median_low(int(time) for time in times if len(time) == width)
        return _Stamp(width, scale, head - _BEFORE_HEAD_NS // scale)

    def _read_head(self) -> Head:
        events = chain.from_iterable(self._lines("", 0, 0))
        frames = list(islice((e for e in events if isinstance(e, Recorded)), HEAD_FRAMES))
        symbols = Counter(m[1] for f in frames if (m := _SYMBOL.search(f.payload)))
        if not symbols:
            raise FeedError(
                f"{self.path} is not a recording of a known form: none of its first "
                f'{HEAD_FRAMES} frames names a symbol ("s":"BTCUSDT"); give a Binance recording'
            )
        latencies = [
            f.at_ns - int(m[1]) * 1_000_000 for f in frames if (m := _SENT_MS.search(f.payload))
        ]
        symbol = symbols.most_common(1)[0][0].decode("ascii", "replace")
        return Head(symbol, frames[0].at_ns, min(latencies, default=None))


class _Stamp(NamedTuple):
    """How a recording writes local time: digits, ns per unit, and the earliest time in units."""

    width: int
    scale: int
    floor: int


class _Lines:
    """The lines of one recording on their way to events: number, time and what is cut."""

    def __init__(
        self, origin: str, symbol: str, stamp: _Stamp, offset_ns: int, start_ns: int
    ) -> None:
        self._origin = origin
        self._symbol = symbol
        self._stamp = stamp
        self._offset_ns = offset_ns
        self._start_ns = start_ns
        self._timed = re.compile(rb"(\d{%d}) " % stamp.width)
        self._jump = _JUMP_NS // stamp.scale
        self._number = 0
        self._local = stamp.floor

    def blocks(self, source: Iterator[bytes | Break]) -> Iterator[list[Recorded | Damage]]:
        """Yield the events of every piece of `source`, one list a piece."""
        parts: list[bytes] = []
        held = 0
        skipping = False
        for piece in source:
            if isinstance(piece, Break):
                # what stands before the break is part of a line at best: not to be believed
                self._number += 1
                yield [self._damage(piece.fault, piece.detail)]
                parts, held, skipping = [], 0, False
            elif b"\n" not in piece:
                held += len(piece)
                parts.append(piece)
                if held > RECORD_LINE_BYTES_MAX:
                    parts, skipping = [], True
            else:
                lines = b"".join((*parts, piece)).split(b"\n")
                block = self._parse(lines, skipping=skipping)
                rest = lines.pop()
                parts, held, skipping = [rest], len(rest), False
                if block:
                    yield block
        if skipping:
            self._number += 1
            yield [self._too_long()]
        elif held:
            yield self._last(b"".join(parts))

    def _parse(self, lines: list[bytes], *, skipping: bool) -> list[Recorded | Damage]:
        """Return the events of all lines but the last, which is not whole yet."""
        events: list[Recorded | Damage] = []
        append = events.append
        if skipping or len(lines[0]) > RECORD_LINE_BYTES_MAX:
            # only the first line can be too long: the others lie within one piece
            self._number += 1
            append(self._too_long())
            del lines[0]
        origin, symbol, offset_ns, jump = self._origin, self._symbol, self._offset_ns, self._jump
        width, scale, _ = self._stamp
        number = begun = self._number
        previous = self._local
        for line in islice(lines, len(lines) - 1):
            number += 1
            try:
                local = int(line[:width])
                if (
                    previous <= local <= previous + jump
                    and line[width] == _SPACE
                    and line[-1] == _BRACE
                ):
                    append(
                        Recorded(
                            local * scale + offset_ns, symbol, line[width + 1 :], origin, number
                        )
                    )
                    previous = local
                    continue
            except (ValueError, IndexError):
                pass  # judged below, as is every line that is not plainly sound
            self._number, self._local = number, previous
            events += self._judge(line, lines[number - begun])
            previous = self._local
        self._number, self._local = number, previous
        return events

    def _judge(self, line: bytes, following: bytes) -> list[Recorded | Damage]:
        """Say what is wrong with a line, or why it is sound after all."""
        line = line.rstrip(b"\r ")
        if not line:
            return [self._damage("empty_line", "the line is empty")]
        local = self._time_of(line)
        if local is None or local < self._stamp.floor:
            shown = line[:_SHOWN_BYTES].decode("ascii", "backslashreplace")
            return [self._damage("bad_time", f"no time of this recording in '{shown}'")]
        if line[-1] != _BRACE:
            return [self._damage("cut_line", f"the frame is cut off after {len(line)} bytes")]
        after = self._time_of(following)
        if after is not None and after + self._jump // 2 < local > self._local + self._jump:
            detail = f"the time {local} lies ahead of the lines before and after it"
            return [self._damage("bad_time", detail)]
        if local > self._local + self._jump and not self._believable(local, line):
            detail = f"the time {local} is far ahead of the line before and of the frame's own"
            return [self._damage("bad_time", detail)]
        events: list[Recorded | Damage] = []
        if local < self._local:
            behind_ms = (self._local - local) * self._stamp.scale / 1e6
            detail = f"the time is {behind_ms:.6g} ms before the line before; it is held there"
            events.append(self._damage("time_backwards", detail))
        self._local = max(self._local, local)
        payload = line[self._stamp.width + 1 :]
        events.append(Recorded(self._now_ns(), self._symbol, payload, self._origin, self._number))
        return events

    def _believable(self, local: int, line: bytes) -> bool:
        """Tell whether a leap in time is a pause: the frame's own send time leapt with it."""
        if not self._symbol:
            return True
        ahead_ns = (local - self._local) * self._stamp.scale
        if self._local and ahead_ns > _PAUSE_MAX_NS:
            return False
        sent = _SENT_MS.search(line)
        if sent is None:
            return True
        at_ns = local * self._stamp.scale + self._offset_ns
        return abs(at_ns - int(sent[1]) * 1_000_000) < _LATENCY_MAX_NS

    def _last(self, line: bytes) -> list[Recorded | Damage]:
        """Judge a last line that lacks its end of line: sound only when complete."""
        self._number += 1
        if line.endswith(b"}") and self._time_of(line) is not None:
            return self._judge(line, b"")
        return [self._damage("cut_line", f"the recording ends within a line ({len(line)} bytes)")]

    def _time_of(self, line: bytes) -> int | None:
        match = self._timed.match(line)
        return int(match[1]) if match else None

    def _now_ns(self) -> int:
        # before the first sound line, the time of that line
        return max(self._start_ns, self._local * self._stamp.scale + self._offset_ns)

    def _too_long(self) -> Damage:
        detail = f"the line is longer than {RECORD_LINE_BYTES_MAX} bytes"
        return self._damage("line_too_long", detail)

    def _damage(self, fault: str, detail: str) -> Damage:
        return Damage(self._now_ns(), self._symbol, fault, self._origin, self._number, detail)


def _opened(path: Path) -> Iterator[bytes | Break]:
    try:
        yield from pieces(path)
    except FileNotFoundError:
        raise FeedError(f"there is no recording {path}; check the path") from None
    except OSError as error:
        raise FeedError(f"{path} cannot be read ({error.strerror}); check the file") from error


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == GZIP_MAGIC
