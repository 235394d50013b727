"""The compiled histogram against sorted stamps."""

from hypothesis import given
from hypothesis import strategies as st

from hfengine.kernels.histogram import Histogram
from tests.reference.histogram import Histogram as Reference

stamps_ns = st.integers(-5, 61_000_000_000) | st.integers(0, 36).map(lambda octave: 1 << octave)


def filled(stamps: list[int]) -> Histogram:
    histogram = Histogram()
    for ns in stamps:
        histogram.record(ns)
    return histogram


@given(st.lists(stamps_ns, max_size=200), st.floats(0.0, 1.0))
def test_quantile_is_within_one_percent(stamps: list[int], q: float) -> None:
    histogram, reference = filled(stamps), Reference()
    for ns in stamps:
        reference.record(ns)
    want = reference.quantile(q)
    assert abs(histogram.quantile(q) - want) <= 0.01 * want
    assert histogram.count == len(stamps)
    assert histogram.clamped == reference.clamped
    if stamps:
        assert histogram.min_ns == min(reference.stamps)
        assert histogram.max_ns == max(reference.stamps)
        assert histogram.mean_ns == sum(reference.stamps) / len(stamps)


@given(st.integers(1, 60_000_000_000))
def test_bucket_holds_its_stamp(ns: int) -> None:
    [(lower_ns, count)] = filled([ns]).buckets()
    assert count == 1
    assert lower_ns <= ns <= lower_ns * 1.01


@given(st.lists(stamps_ns, max_size=60), st.lists(stamps_ns, max_size=60))
def test_merge_equals_recording_both(left: list[int], right: list[int]) -> None:
    merged, both = filled(left), filled(left + right)
    merged.merge(filled(right))
    for name in ("count", "clamped", "min_ns", "max_ns", "mean_ns"):
        assert getattr(merged, name) == getattr(both, name)
    assert merged.buckets() == both.buckets()
    assert [merged.quantile(i / 20) for i in range(21)] == [
        both.quantile(i / 20) for i in range(21)
    ]


@given(st.lists(stamps_ns, max_size=100))
def test_quantiles_never_fall(stamps: list[int]) -> None:
    quantiles = [filled(stamps).quantile(i / 50) for i in range(51)]
    assert quantiles == sorted(quantiles)
