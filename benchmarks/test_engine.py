"""The whole engine, all actors and the journal on: frames per second on ten seconds of market."""

from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.bench.hot_path import Bench, Until, measure
from hfengine.bench.tick_to_order import TickToOrder
from hfengine.config import load

TICKS = 1_000


def test_engine_on_the_synthetic_market(benchmark: BenchmarkFixture) -> None:
    profile = load("paper", environment={}, dotenv=None, overrides={})

    def run() -> Bench:
        return measure(profile, [], Until(engine_s=10.0))

    measured = benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    assert measured.flat
    benchmark.extra_info["frames"] = measured.frames
    benchmark.extra_info["frames_per_s"] = round(measured.frames_per_s)
    benchmark.extra_info["latency_ns"] = measured.latency_ns


def test_frame_in_to_order_out(benchmark: BenchmarkFixture) -> None:
    """The time of a round is that of the whole drive; the path's own is in extra_info."""
    engine = TickToOrder(count=2 * TICKS)
    took = benchmark.pedantic(engine.hot, args=(TICKS,), rounds=3)
    assert took.count == TICKS
    benchmark.extra_info["tick_to_order_p50_ns"] = took.p50
    benchmark.extra_info["tick_to_order_p99_ns"] = took.p99
