"""Recordings played back: any number of files, merged by time, on one clock."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Final

from hfengine.errors import FeedError
from hfengine.feeds.recording import Recording
from hfengine.feeds.source import Damage, Recorded

SAME_CLOCK_NS: Final = 50_000_000
"""Recordings whose clock offsets differ by less were made by one recorder."""

APART_MAX_NS: Final = 7 * 24 * 3_600_000_000_000
"""Recordings that begin farther apart are no one market; engine time would crawl between them."""

_AT_NS = attrgetter("at_ns")
_Block = list[Recorded | Damage]


class Replay:
    """A feed of recordings.

    Each recording's clock is set right by a constant: the smallest local receive time minus
    exchange send time of its head becomes `network_delay_ns`. Recordings of one recorder share
    the largest of their constants, so that the order they were recorded in is kept.
    Files of one symbol (split at midnight) follow each other. Damage is reported in the stream
    as `gzip_damaged, cut_line, bad_time, line_too_long, time_backwards, empty_line` or
    `read_failed`; raises FeedError for a file that is no recording at all.
    """

    def __init__(self, paths: Sequence[Path], *, network_delay_ns: int = 500_000) -> None:
        if not paths:
            raise FeedError("no recording to replay; name at least one file")
        paths = [Path(path) for path in paths]
        twice = [path for path, n in Counter(path.resolve() for path in paths).items() if n > 1]
        if twice:
            raise FeedError(f"{twice[0]} is given twice; name each recording once")
        names = Counter(path.name for path in paths)
        self._recordings = [
            # the bare name keeps journals equal wherever the recordings lie
            Recording(path, path.name if names[path.name] == 1 else str(path))
            for path in paths
        ]
        self.offsets_ns = _offsets(
            [r.head.latency_min_ns for r in self._recordings], network_delay_ns
        )
        """What is added to the local times of each file, in the order given."""
        self.symbols: tuple[str, ...] = tuple(
            dict.fromkeys(recording.head.symbol for recording in self._recordings)
        )
        starts = sorted(
            (recording.head.first_ns + offset_ns, str(recording.path))
            for recording, offset_ns in zip(self._recordings, self.offsets_ns, strict=True)
        )
        for (one_ns, one), (other_ns, other) in pairwise(starts):
            if other_ns - one_ns > APART_MAX_NS:
                days = (other_ns - one_ns) / (24 * 3600 * 1_000_000_000)
                raise FeedError(
                    f"{one} and {other} begin {days:.0f} days apart; replay them one by one"
                )
        self.start_ns: int = starts[0][0]

    def events(self) -> Iterator[Recorded | Damage]:
        """Yield frames and damage ordered by time, at equal times in the order of the files."""
        sources = [
            recording.blocks(offset_ns)
            for recording, offset_ns in zip(self._recordings, self.offsets_ns, strict=True)
        ]
        for block in sources[0] if len(sources) == 1 else merged(sources):
            yield from block


def merged(sources: Sequence[Iterator[_Block]]) -> Iterator[_Block]:
    """Merge streams of time-ordered blocks: by time, at equal times by the place of the stream.

    Holds one block of each stream and sorts blocks at once, which costs a third of a heap.
    """
    held = [next(source, []) for source in sources]
    live = [place for place, block in enumerate(held) if block]
    while len(live) > 1:
        horizon_ns, first = min((held[place][-1].at_ns, place) for place in live)
        block: _Block = []
        for place in live:
            waiting = held[place]
            # a later stream's events at the horizon come after those the first may still have
            cut = bisect_left if place > first else bisect_right
            count = cut(waiting, horizon_ns, key=_AT_NS)
            block += waiting[:count]
            held[place] = waiting[count:] or next(sources[place], [])
        live = [place for place in live if held[place]]
        block.sort(key=_AT_NS)
        yield block
    for place in live:
        yield held[place]
        yield from sources[place]


def _offsets(latencies_ns: Sequence[int | None], network_delay_ns: int) -> tuple[int, ...]:
    """Return the correction of each clock; one without send times is left as it is."""
    wanted = {
        place: network_delay_ns - latency_ns
        for place, latency_ns in enumerate(latencies_ns)
        if latency_ns is not None
    }
    offsets = [0] * len(latencies_ns)
    group: list[int] = []
    for place in sorted(wanted, key=lambda p: (wanted[p], p)):
        if group and wanted[place] - wanted[group[0]] > SAME_CLOCK_NS:
            group = []
        group.append(place)
        # rising order: the newest of a group is its largest
        for member in group:
            offsets[member] = wanted[place]
    return tuple(offsets)
