"""Cost of one stamp: below 100 ns, clock reading included, is what the hot path allows."""

from typing import Any

from hfengine.kernels.histogram import Histogram, now_ns


def test_record(benchmark: Any) -> None:
    histogram = Histogram()
    benchmark(histogram.record, 12_345)
    assert histogram.count > 0


def test_now_ns(benchmark: Any) -> None:
    assert benchmark(now_ns) > 0


def test_quantile(benchmark: Any) -> None:
    histogram = Histogram()
    for ns in range(1, 100_000, 7):
        histogram.record(ns)
    assert benchmark(histogram.quantile, 0.999) > 0
