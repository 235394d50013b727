"""The rules of a fair comparison: both sides in turn, order alternating, the collector quiet."""

import gc

import pytest

from hfengine.bench import rounds
from hfengine.bench.rounds import (
    CHUNK,
    Spread,
    collector_off,
    each_ns,
    paired,
    quantiles_of,
    spread_of,
    turns,
)
from hfengine.kernels.histogram import Histogram


def test_paired_gives_right_over_left_for_each_round():
    left, right = iter([1.0, 2.0, 4.0]), iter([10.0, 10.0, 10.0])
    assert paired(lambda: next(left), lambda: next(right), 3) == Spread(5.0, 2.5, 10.0)


def test_the_side_that_begins_alternates():
    order = []

    def side(name):
        def run():
            order.append(name)
            return 1.0

        return run

    turns(side("left"), side("right"), 4)
    assert order == ["left", "right", "right", "left", "left", "right", "right", "left"]


def test_turns_keeps_left_and_right_apart_whoever_begins():
    assert turns(lambda: 1.0, lambda: 2.0, 3) == [(1.0, 2.0)] * 3


def test_the_collector_rests_inside_a_round_and_comes_back():
    assert gc.isenabled()
    seen = []

    def side():
        seen.append(gc.isenabled())
        return 1.0

    paired(side, side, 2)
    assert seen == [False] * 4
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with collector_off():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_comes_back_after_an_error():
    def fail():
        raise KeyError("side")

    with pytest.raises(KeyError):
        paired(fail, fail, 1)
    assert gc.isenabled()


def test_a_spread_is_median_least_and_greatest():
    assert spread_of([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)


def test_no_rounds_give_no_spread():
    with pytest.raises(ValueError, match="at least one round"):
        spread_of([])


def test_quantiles_come_from_the_histogram_and_an_empty_one_is_zero():
    histogram = Histogram()
    assert quantiles_of(histogram).count == 0
    for ns in range(1, 1001):
        histogram.record(ns * 1000)
    found = quantiles_of(histogram)
    assert (found.count, found.max) == (1000, 1_000_000)
    assert found.p50 == pytest.approx(500_000, rel=0.01)
    assert found.p99 == pytest.approx(990_000, rel=0.01)
    assert found.p999 == pytest.approx(999_000, rel=0.01)


def test_each_piece_is_the_median_of_chunks_so_one_interruption_does_not_count(monkeypatch):
    work = list(range(5 * CHUNK))
    now_ns = 0
    handled = []

    def handle_all(chunk):
        nonlocal now_ns
        interrupted = 4_000_000 if chunk[0] == 2 * CHUNK else 0
        now_ns += 700 * len(chunk) + interrupted
        handled.extend(chunk)

    monkeypatch.setattr(rounds, "mono_ns", lambda: now_ns)
    assert each_ns(handle_all, work) == 700.0
    assert handled == work


def test_a_last_short_chunk_counts_by_its_own_length(monkeypatch):
    now_ns = 0

    def handle_all(chunk):
        nonlocal now_ns
        now_ns += 30 * len(chunk)

    monkeypatch.setattr(rounds, "mono_ns", lambda: now_ns)
    assert each_ns(handle_all, list(range(CHUNK + 3))) == 30.0
