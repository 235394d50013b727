"""What a line of a recording and a frame of the synthetic market cost."""

from collections import deque
from itertools import islice
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.feeds.inflate import pieces
from hfengine.feeds.replay import Replay
from hfengine.feeds.synthetic import Synthetic
from tests.shared import RECORDINGS, needs_shared

FILES = [
    RECORDINGS / "binance-usdm" / name for name in ("btcusdt_20240808.gz", "ethusdt_20240808.gz")
]
START_NS = 1_723_161_255_000_000_000
FRAMES = 20_000


def exhaust(files: list[Path]) -> int:
    return sum(1 for _ in Replay(files).events())


@needs_shared
def test_gzip_alone(benchmark: BenchmarkFixture) -> None:
    """The floor of a replay: the same two files decompressed and nothing else."""
    benchmark.pedantic(
        lambda: [deque(pieces(path), maxlen=0) for path in FILES], rounds=5, warmup_rounds=1
    )


@needs_shared
@pytest.mark.parametrize("count", [1, 2])
def test_replay(benchmark: BenchmarkFixture, count: int) -> None:
    """One recording, and two merged by time (93,954 and 168,609 lines)."""
    lines = benchmark.pedantic(exhaust, (FILES[:count],), rounds=5, warmup_rounds=1)
    assert lines == (93_954, 168_609)[count - 1]
    benchmark.extra_info["lines"] = lines


def test_synthetic(benchmark: BenchmarkFixture) -> None:
    """20,000 frames (about 40 s) of two symbols, the first books included."""
    frames = benchmark.pedantic(
        lambda: sum(1 for _ in islice(Synthetic(1, START_NS).events(), FRAMES)),
        rounds=5,
        warmup_rounds=1,
    )
    assert frames == FRAMES
