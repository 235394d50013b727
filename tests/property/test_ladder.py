"""Differences of book sides: the kernel against dictionaries."""

from hypothesis import given
from hypothesis import strategies as st

from hfengine.kernels.ladder import changes
from tests.reference.ladder import changes as reference

LEVELS = st.dictionaries(st.integers(1, 40), st.integers(1, 4), max_size=30)


def side_of(levels, side):
    return sorted(levels.items(), reverse=side > 0)


@given(old=LEVELS, new=LEVELS, side=st.sampled_from((1, -1)))
def test_the_kernel_finds_what_dictionaries_find(old, new, side):
    before, after = side_of(old, side), side_of(new, side)
    assert changes(before, after, side) == reference(before, after, side)


@given(old=LEVELS, new=LEVELS, side=st.sampled_from((1, -1)))
def test_the_changes_lead_from_the_old_side_to_the_new_one(old, new, side):
    book = dict(old)
    for ticks, steps in changes(side_of(old, side), side_of(new, side), side):
        assert book.get(ticks, 0) != steps
        book[ticks] = steps
    assert {ticks: steps for ticks, steps in book.items() if steps} == new
