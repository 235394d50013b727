"""The clocks: real time between two readings of the system's, virtual time only where it is put."""

import time

import pytest

from hfengine.clock import VirtualClock, WallClock


def test_wall_time_is_the_systems_and_never_runs_backwards() -> None:
    clock = WallClock()
    before_ns = time.time_ns()
    readings = [clock.now_ns() for _ in range(1000)]
    after_ns = time.time_ns()
    assert before_ns <= readings[0]
    assert readings[-1] <= after_ns
    assert readings == sorted(readings)


def test_virtual_time_stands_where_it_was_put() -> None:
    clock = VirtualClock(5)
    assert (clock.start_ns, clock.now_ns()) == (5, 5)
    clock.advance_to(7)
    clock.advance_to(7)
    assert (clock.start_ns, clock.now_ns()) == (5, 7)


def test_virtual_time_does_not_go_back() -> None:
    clock = VirtualClock(5)
    with pytest.raises(ValueError, match="from 5 to 4 ns"):
        clock.advance_to(4)
    assert clock.now_ns() == 5
