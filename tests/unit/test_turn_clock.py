"""The clock of a turn: one reading from its first handler to its last, real time outside."""

from hypothesis import given
from hypothesis import strategies as st

from hfengine.clock import VirtualClock
from hfengine.kernels.mailbox import Host
from hfengine.kernels.turn_clock import TurnClock

STEPS = st.lists(st.sampled_from(["ask", "enter", "leave", "pass", "forget"]), max_size=40)


def test_outside_of_a_turn_it_is_the_clock_it_was_given() -> None:
    real = VirtualClock(7)
    clock = TurnClock(real, Host(None))
    assert clock.now_ns() == 7
    real.advance_to(9)
    assert (clock.now_ns(), clock.turn_ns) == (9, 0)


def test_while_it_is_held_it_stands_still_outside_too() -> None:
    real = VirtualClock(7)
    clock = TurnClock(real, Host(None))
    clock.turn_ns, clock.held = 5, True
    real.advance_to(9)
    assert clock.now_ns() == 5
    clock.held = False
    assert clock.now_ns() == 9


@given(STEPS)
def test_in_a_turn_it_says_what_it_said_first(steps: list[str]) -> None:
    """Against a twin in plain Python: the reading of a turn is kept until it is forgotten."""
    real, host = VirtualClock(1), Host(None)
    clock = TurnClock(real, host)
    depth, kept = 0, 0
    for step in steps:
        match step:
            case "enter" if depth == 0:
                host.begin_batch()
                depth = 1
            case "leave" if depth == 1:
                host.end_batch()
                depth = 0
            case "pass":
                real.advance_to(real.now_ns() + 1)
            case "forget":
                clock.turn_ns = kept = 0
            case "ask":
                expected = real.now_ns()
                if depth:
                    expected = kept = kept or expected
                assert clock.now_ns() == expected
    if depth:
        host.end_batch()
