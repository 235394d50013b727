"""Reading the time: the kernels' clocks, and the standard library's wall clock."""

import time
from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.clock import VirtualClock, WallClock


@pytest.mark.benchmark(group="clocks")
@pytest.mark.parametrize(
    "now_ns",
    [WallClock().now_ns, VirtualClock(1).now_ns, time.time_ns],
    ids=["wall", "virtual", "time"],
)
def test_now(benchmark: BenchmarkFixture, now_ns: Callable[[], int]) -> None:
    assert benchmark(now_ns) > 0
