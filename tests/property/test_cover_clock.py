"""The cover clock against every unit of quantity followed by itself."""

from collections import deque
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hfengine.actors.cover import CoverClock
from tests.rig import fill, position

STEP = Decimal("0.001")

Event = tuple[str, int, int]
"""What happens (a fill, a stop that covers more, an exit), of how many steps, after how many ns."""

events = st.lists(
    st.tuples(
        st.sampled_from(["fill", "cover", "exit"]),
        st.integers(min_value=1, max_value=9),
        st.integers(min_value=0, max_value=50),
    ),
    max_size=30,
)


def waits_by_unit(happened: list[Event]) -> tuple[list[int], int]:
    """Return how long each unit waited that was covered or closed, and how many wait still.

    Units are covered in the order they were filled; an exit takes covered ones first.
    """
    waiting: deque[int] = deque()
    covered, at_ns, waits = 0, 0, []
    for kind, steps, after_ns in happened:
        at_ns += after_ns
        if kind == "fill":
            waiting.extend([at_ns] * steps)
            continue
        left = min(steps, len(waiting) + (covered if kind == "exit" else 0))
        if kind == "exit":
            gone = min(covered, left)
            covered -= gone
            left -= gone
        else:
            covered += left
        waits += [at_ns - waiting.popleft() for _ in range(left)]
    return waits, len(waiting)


@given(events)
def test_every_quantity_waits_since_its_own_fill(happened: list[Event]) -> None:
    clock = CoverClock()
    quantity, covered, at_ns = 0, 0, 1
    waits: list[int] = []
    known = None
    for kind, steps, after_ns in happened:
        at_ns += after_ns
        if kind == "fill":
            quantity += steps
            told = fill("e", quantity=str(STEP * steps), at_ns=at_ns)
            # the stream tells the fill before the position of the same moment
            clock.fill(told, known if known is None or known.at_ns < at_ns else None, at_ns)
        elif kind == "cover":
            covered = min(quantity, covered + steps)
        else:
            uncovered = quantity - covered
            gone = min(steps, quantity)
            covered = max(0, covered - gone)
            quantity -= gone
            assert quantity - covered <= uncovered
        known = position(
            quantity=str(STEP * quantity), covered=str(STEP * covered), at_ns=at_ns
        )  # fmt: skip
        waits += clock.hear(known, at_ns)
    by_unit, left = waits_by_unit(happened)
    assert max(waits, default=0) == max(by_unit, default=0)
    assert set(waits) == set(by_unit)
    assert (clock.noticed_ns is None) == (left == 0)


@given(events)
def test_a_wait_is_never_negative_and_never_invented(happened: list[Event]) -> None:
    clock, at_ns, filled = CoverClock(), 100, 0
    for kind, steps, after_ns in happened:
        at_ns += after_ns if kind != "exit" else -after_ns
        if kind == "fill":
            filled += steps
            clock.fill(fill("e", quantity=str(STEP * steps), at_ns=at_ns), None, at_ns)
        if kind != "cover":
            # position messages come late, and out of order
            continue
        told = position(quantity=str(STEP * filled), at_ns=at_ns)
        waits = clock.hear(told, at_ns)
        assert all(wait >= 0 for wait in waits)
    clock.hear(position(quantity="0", at_ns=at_ns), at_ns)
    assert clock.noticed_ns is None, "flat is covered whatever was told before"
