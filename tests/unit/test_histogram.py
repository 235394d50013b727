"""Edges of the latency histogram and the stage clock."""

import pytest

from hfengine.kernels.histogram import Histogram, now_ns


def test_empty_answers_zero() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.99) == 0
    assert (histogram.count, histogram.min_ns, histogram.max_ns) == (0, 0, 0)
    assert histogram.mean_ns == 0.0
    assert histogram.buckets() == []


def test_small_durations_are_exact() -> None:
    histogram = Histogram()
    for ns in range(1, 101):
        histogram.record(ns)
    assert [histogram.quantile(q) for q in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert histogram.buckets() == [(ns, 1) for ns in range(1, 101)]


@pytest.mark.parametrize(
    ("ns", "kept", "clamped"),
    [
        (0, 1, 1),
        (-(2**62), 1, 1),
        (1, 1, 0),
        (60_000_000_000, 60_000_000_000, 0),
        (60_000_000_001, 60_000_000_000, 1),
        (2**62, 60_000_000_000, 1),
    ],
)
def test_out_of_range_is_clamped_and_counted(ns: int, kept: int, clamped: int) -> None:
    histogram = Histogram()
    histogram.record(ns)
    assert (histogram.min_ns, histogram.max_ns, histogram.clamped) == (kept, kept, clamped)
    assert histogram.quantile(0.5) == kept


@pytest.mark.parametrize("q", [-0.01, 1.01, float("nan")])
def test_quantile_outside_range_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        Histogram().quantile(q)


def test_reset_leaves_nothing() -> None:
    histogram = Histogram()
    histogram.record(70)
    histogram.record(10**12)
    histogram.reset()
    assert (histogram.count, histogram.clamped, histogram.max_ns) == (0, 0, 0)
    histogram.record(500)
    assert (histogram.min_ns, histogram.max_ns, histogram.mean_ns) == (500, 500, 500.0)


def test_merging_an_empty_one_changes_nothing() -> None:
    histogram = Histogram()
    histogram.record(123_456)
    histogram.merge(Histogram())
    assert (histogram.count, histogram.min_ns, histogram.max_ns) == (1, 123_456, 123_456)


def test_stage_clock_never_goes_back() -> None:
    stamps = [now_ns() for _ in range(1000)]
    assert stamps == sorted(stamps)
    assert stamps[0] > 0


def test_record_since_counts_the_time_up_to_the_moment_it_returns() -> None:
    histogram = Histogram()
    before_ns = now_ns()
    ended_ns = histogram.record_since(before_ns - 5_000_000_000)
    after_ns = now_ns()
    assert before_ns <= ended_ns <= after_ns
    assert histogram.count == 1
    assert histogram.max_ns == ended_ns - before_ns + 5_000_000_000
