"""Whatever is made and dropped, the counter's balance is the interpreter's own."""

import gc

from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels.allocation import AllocationCounter
from tests.reference.allocation import blocks_kept

# objects without a free list or a cache of their own
MAKE = {
    "object": lambda size: object(),
    "bytes": lambda size: bytes(size + 2),
    "bytearray": lambda size: bytearray(size + 1),
    "set": lambda size: set(range(size)),
}

steps = st.lists(
    st.tuples(st.sampled_from([*MAKE, "drop"]), st.integers(0, 2000)), min_size=1, max_size=60
)


def play(script, kept):
    for kind, size in script:
        if kind != "drop":
            kept.append(MAKE[kind](size))
        elif kept:
            kept.pop(size % len(kept))


@settings(max_examples=60, deadline=None)
@given(steps)
def test_allocated_minus_freed_is_what_the_interpreter_counts(script):
    kept = []
    play(script, [])  # whatever is cached once is cached now
    gc.disable()
    try:
        with AllocationCounter() as counter:
            before = counter.allocated - counter.freed
            held = blocks_kept(lambda: play(script, kept))
            balance = counter.allocated - counter.freed - before
    finally:
        gc.enable()
    made = sum(kind != "drop" for kind, _ in script)
    assert abs(balance - held) <= 4  # the integers that carry these very counts
    assert counter.allocated >= made
