"""The compiled book against two sorted dicts."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels.book import Book
from tests.reference.book import ReferenceBook

# few prices, so that levels are replaced and deleted; some far away, so that searches are long
prices = st.one_of(st.integers(1, 40), st.integers(1, 10**12))
changes = st.lists(
    st.tuples(st.sampled_from((1, -1)), prices, st.one_of(st.just(0), st.integers(1, 10**9))),
    max_size=120,
)


def same(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=1e-12) or (math.isnan(left) and math.isnan(right))


@settings(max_examples=300, deadline=None)
@given(changes, st.integers(1, 12))
def test_equals_sorted_dicts_after_every_change(
    levels: list[tuple[int, int, int]], count: int
) -> None:
    book, reference = Book("0.25", "0.001"), ReferenceBook("0.25", "0.001")
    for side, ticks, steps in levels:
        book.apply(side, ticks, steps)
        reference.apply(side, ticks, steps)
        touch = (book.bid_ticks, book.bid_steps, book.ask_ticks, book.ask_steps)
        assert touch == reference.touch()
        assert book.crossed == reference.crossed()
    for side in (1, -1):
        assert book.levels(side, 1000) == reference.levels(side)
        assert book.levels(side, count) == reference.levels(side, count)
        assert book.depth(side) == len(reference.sides[side])
        for _, ticks, _ in levels:
            assert book.quantity_at(side, ticks) == reference.sides[side].get(ticks, 0)
    assert same(book.mid, reference.mid())
    assert same(book.microprice, reference.microprice())
    assert math.isclose(book.imbalance(count), reference.imbalance(count), abs_tol=1e-12)
    spread = reference.spread_bps()
    assert same(book.spread_bps, spread) or math.isclose(book.spread_bps, spread, abs_tol=1e-9)


@settings(max_examples=200, deadline=None)
@given(changes)
def test_a_copy_equals_its_source(levels: list[tuple[int, int, int]]) -> None:
    book, copy = Book("1", "1"), Book("1", "1")
    for side, ticks, steps in levels:
        book.apply(side, ticks, steps)
        copy.apply(-side, ticks, steps)
    copy.copy_from(book)
    for side in (1, -1):
        assert copy.levels(side, 1000) == book.levels(side, 1000)
