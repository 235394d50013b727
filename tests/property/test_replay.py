"""Replay under any damage and any interleaving: nothing raised, no time backwards, no line lost."""

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.feeds.replay import Replay, merged
from hfengine.feeds.source import Damage, Recorded

T0_NS = 1_700_000_000_000_000_000
STEP_NS = 1_000_000
LINES = [
    b'%d {"data":{"s":"BTCUSDT","n":%d,"E":%d}}'
    % (T0_NS + n * STEP_NS, n * 7919 % 100_003, T0_NS // 10**6 + n)
    for n in range(3000)
]


def replayed(content: bytes) -> list[Recorded | Damage]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.gz"
        path.write_bytes(content)
        return list(Replay([path]).events())


def assert_ordered(events: list[Recorded | Damage]) -> None:
    times = [e.at_ns for e in events]
    assert times == sorted(times)
    numbers = [e.line for e in events]
    assert numbers == sorted(numbers)


@settings(max_examples=60, deadline=None)
@given(st.integers(200, 10**6), st.integers(1, 255), st.integers(1, 40))
def test_flipped_bytes_never_raise_and_are_always_reported(at: int, flip: int, run: int) -> None:
    packed = bytearray(gzip.compress(b"\n".join(LINES) + b"\n", mtime=0))
    at = 200 + at % (len(packed) - 200)
    for place in range(at, min(at + run, len(packed))):
        packed[place] ^= flip
    events = replayed(bytes(packed))
    assert_ordered(events)
    assert any(isinstance(e, Damage) and e.fault == "gzip_damaged" for e in events)
    # one flipped bit of a back reference may rename the symbol in every frame after it
    assert len({e.symbol for e in events}) == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(200, 10**6))
def test_a_cut_recording_is_a_prefix_of_the_whole(at: int) -> None:
    packed = gzip.compress(b"\n".join(LINES) + b"\n", mtime=0)
    at = 200 + at % (len(packed) - 201)
    *frames, last = replayed(packed[:at])
    assert isinstance(last, Damage)
    assert last.fault == "gzip_damaged"
    assert [f.payload for f in frames] == [text[20:] for text in LINES[: len(frames)]]


FAULTS = {
    "empty_line": lambda text: b"",
    "bad_time": lambda text: b"#" + text,
    "cut_line": lambda text: text[:40],
    "time_backwards": lambda text: b"%d%b" % (int(text[:19]) - 60 * STEP_NS, text[19:]),
}


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(100, 2998), st.sampled_from(sorted(FAULTS)), max_size=12))
def test_planted_faults_are_found_at_their_lines_and_nothing_else(planted: dict[int, str]) -> None:
    lines = [FAULTS[planted[n]](text) if n in planted else text for n, text in enumerate(LINES)]
    events = replayed(gzip.compress(b"\n".join(lines) + b"\n", 1))
    assert_ordered(events)
    found = {e.line - 1: e.fault for e in events if isinstance(e, Damage)}
    assert found == planted
    kept = [n for n in range(len(LINES)) if planted.get(n, "time_backwards") == "time_backwards"]
    assert [e.line - 1 for e in events if isinstance(e, Recorded)] == kept


@st.composite
def streams(draw: st.DrawFn) -> list[list[list[Recorded]]]:
    """Streams of blocks; small steps make ties across streams and blocks."""
    result = []
    for place in range(draw(st.integers(1, 4))):
        at_ns, line, blocks = 0, 0, []
        for size in draw(st.lists(st.integers(1, 5), max_size=6)):
            block = []
            for step in draw(st.lists(st.integers(0, 2), min_size=size, max_size=size)):
                at_ns += step
                line += 1
                block.append(Recorded(at_ns, str(place), b"", "", line))
            blocks.append(block)
        result.append(blocks)
    return result


@settings(max_examples=300, deadline=None)
@given(streams())
def test_merging_equals_sorting_by_time_and_place(blocks: list[list[list[Recorded]]]) -> None:
    everything = [e for stream in blocks for block in stream for e in block]
    expected = sorted(everything, key=lambda e: (e.at_ns, e.symbol, e.line))
    assert [e for block in merged([iter(stream) for stream in blocks]) for e in block] == expected
