"""The allocation counter: exact while entered, gone afterwards, one at a time."""

from itertools import repeat

import pytest

from hfengine.kernels.allocation import AllocationCounter

COUNT = 500
SLACK = 20
"""Blocks the loop around the allocations takes for itself."""


def allocate(kept, count=COUNT):
    for _ in repeat(None, count):  # range would make integers of its own
        kept.append(object())


def test_each_new_object_is_one_block():
    kept: list[object] = []
    with AllocationCounter() as counter:
        allocate(kept)
    assert COUNT <= counter.allocated <= COUNT + SLACK


def test_what_is_dropped_at_once_is_allocated_and_freed():
    with AllocationCounter() as counter:
        for _ in repeat(None, COUNT):
            object()
    assert counter.allocated >= COUNT
    assert counter.freed >= COUNT
    assert abs(counter.allocated - counter.freed) <= SLACK


def test_a_block_that_grows_is_counted_once():
    grown = bytearray()
    with AllocationCounter() as counter:
        for _ in range(200):
            grown.extend(b"0123456789abcdef")
    assert counter.allocated <= SLACK


def test_what_was_made_before_counts_when_freed():
    kept: list[object] = []
    allocate(kept)
    with AllocationCounter() as counter:
        kept.clear()
    assert COUNT <= counter.freed <= COUNT + SLACK


def test_nothing_is_counted_outside():
    kept: list[object] = []
    counter = AllocationCounter()
    assert counter.allocated == counter.freed == 0
    with counter:
        allocate(kept, 10)
    found = counter.allocated
    allocate(kept)
    assert counter.allocated == found


def test_counting_again_starts_at_zero():
    kept: list[object] = []
    counter = AllocationCounter()
    with counter:
        allocate(kept)
    with counter:
        pass
    assert counter.allocated < COUNT


def test_two_at_once_are_refused_and_the_first_goes_on():
    kept: list[object] = []
    with AllocationCounter() as first:
        with pytest.raises(RuntimeError, match="another AllocationCounter"), AllocationCounter():
            pass
        allocate(kept)
    assert first.allocated >= COUNT


def test_an_error_inside_ends_the_counting():
    with pytest.raises(KeyError), AllocationCounter():
        raise KeyError("inside")
    with AllocationCounter() as counter:
        pass
    assert counter.allocated <= SLACK
