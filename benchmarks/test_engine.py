"""The whole engine, all actors and the journal on: frames per second on ten seconds of market."""

from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.bench.hot_path import Bench, measure
from hfengine.config import load


def test_engine_on_the_synthetic_market(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    profile = load("paper", environment={}, dotenv=None, overrides={})

    def run() -> Bench:
        return measure(profile, [], 10.0)

    measured = benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    assert measured.flat
    benchmark.extra_info["frames"] = measured.frames
    benchmark.extra_info["frames_per_s"] = round(measured.frames_per_s)
    benchmark.extra_info["latency_ns"] = measured.latency_ns
