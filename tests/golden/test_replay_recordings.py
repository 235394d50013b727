"""The real recordings, replayed: every line, the recorded order, plausible latencies."""

import gzip
import json
import re
from pathlib import Path

import pytest

from hfengine.feeds.replay import Replay
from hfengine.feeds.source import Recorded
from tests.shared import RECORDINGS, SHARED, needs_shared

USDM = RECORDINGS / "binance-usdm"
DELAY_NS = 500_000
SENT_MS = re.compile(rb'"E": ?(\d{13})')


def recorded_lines(path: Path) -> list[tuple[int, bytes]]:
    with gzip.open(path) as stream:
        lines = stream.read().splitlines()
    pairs = [line.split(b" ", 1) for line in lines]
    scale = 1 if len(pairs[0][0]) == 19 else 1000
    return [(int(stamp) * scale, payload) for stamp, payload in pairs]


@needs_shared
@pytest.mark.parametrize(
    ("name", "files", "symbol"),
    [
        ("usdm_btcusdt_20240808", None, "BTCUSDT"),
        ("usdm_ethusdt_20240808", None, "ETHUSDT"),
        ("spot_btcusdt_20240808_09", None, "BTCUSDT"),
        ("coinm_ethusd_20240808_09", None, "ETHUSD_PERP"),
        (None, ["binance-usdm/btcusdt_20230404.dat.gz"], "BTCUSDT"),
    ],
)
def test_every_line_of_a_market_in_order(
    name: str | None, files: list[str] | None, symbol: str
) -> None:
    stats = json.loads((SHARED / "data" / "STATS.json").read_bytes())
    paths = [RECORDINGS / file for file in files or stats[name]["files"]]
    expected = [pair for path in paths for pair in recorded_lines(path)]
    replay = Replay(paths)
    events = list(replay.events())
    assert all(isinstance(e, Recorded) for e in events)
    assert [e.payload for e in events] == [payload for _, payload in expected]
    assert {e.symbol for e in events} == {symbol} == set(replay.symbols)
    assert {e.at_ns - local_ns for e, (local_ns, _) in zip(events, expected, strict=True)} == set(
        replay.offsets_ns
    )
    assert replay.start_ns == events[0].at_ns
    if name:
        assert len(events) == stats[name]["lines"]
        first_ns, last_ns = stats[name]["first_ns"], stats[name]["last_ns"]
        assert events[-1].at_ns - events[0].at_ns == last_ns - first_ns


@needs_shared
def test_both_symbols_merge_in_the_order_they_were_recorded() -> None:
    paths = [USDM / "btcusdt_20240808.gz", USDM / "ethusdt_20240808.gz"]
    pairs = [
        (local_ns, place, payload)
        for place, path in enumerate(paths)
        for local_ns, payload in recorded_lines(path)
    ]
    pairs.sort(key=lambda pair: pair[:2])
    replay = Replay(paths)
    events = list(replay.events())
    assert len(events) == 93_954 + 74_655
    assert [e.payload for e in events] == [payload for _, _, payload in pairs]
    assert replay.offsets_ns[0] == replay.offsets_ns[1]


@needs_shared
def test_the_recorders_clock_is_set_right() -> None:
    """`local - E` is -1272.5 .. -1219 ms, median -1269.5 (STATS.json): the correction undoes it."""
    path = USDM / "btcusdt_20240808.gz"
    replay = Replay([path])
    latencies = [
        e.at_ns - int(match[1]) * 1_000_000
        for e in replay.events()
        if isinstance(e, Recorded) and (match := SENT_MS.search(e.payload))
    ]
    assert min(latencies[:500]) == DELAY_NS
    assert 0 < sorted(latencies)[len(latencies) // 2] < 5_000_000
    # the recorder's clock drifts by some ms within the file; the head cannot know it
    assert min(latencies) > -5_000_000
    assert replay.offsets_ns[0] == pytest.approx(1_271_000_000, abs=3_000_000)
