"""The compiled grid against Decimal arithmetic."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hfengine.kernels.grid import Grid
from tests.reference.grid import Grid as Reference

units = st.builds(
    lambda number, decimals: format(Decimal(number).scaleb(-decimals), "f"),
    st.integers(1, 10**6) | st.sampled_from([1, 5, 10, 25, 100]),
    st.integers(0, 15),
)


def most(unit: str) -> int:
    scaled = int(unit.replace(".", ""))
    return (10**18 - 1) // scaled


@given(units, st.data())
def test_there_and_back(unit, data):
    count = data.draw(st.integers(0, most(unit)))
    grid, reference = Grid(unit), Reference(unit)
    text = grid.text(count)
    assert text == reference.text(count)
    assert grid.count(Decimal(text)) == count


@given(units, st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=8))
def test_a_number_is_counted_or_refused(unit, number):
    want = Reference(unit).count(number)
    assume(want is None or want <= most(unit))
    if want is None:
        with pytest.raises(ValueError, match="is not on the grid"):
            Grid(unit).count(number)
    else:
        assert Grid(unit).count(number) == want


@given(units, st.data(), st.integers(-6, 6))
def test_the_way_a_number_is_written_does_not_matter(unit, data, shift):
    count = data.draw(st.integers(0, min(most(unit), 10**9)))
    exact = Decimal(Reference(unit).text(count))
    for written in (
        exact.normalize(),
        exact * Decimal("1.000"),
        exact.scaleb(shift).scaleb(-shift),
    ):
        assert Grid(unit).count(written) == count


@given(
    st.lists(units, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 10**6)), max_size=60),
)
def test_what_was_counted_before_changes_no_count(wanted, steps):
    """Numbers made, dropped and counted on each other's grids, more than are remembered."""
    grids = [(Grid(unit), Reference(unit), most(unit)) for unit in wanted]
    kept: dict[int, Decimal] = {}
    for at, other, count in steps:
        kept[count % 12] = grids[at % len(grids)][1].unit * count
        counting, plain, bound = grids[other % len(grids)]
        for number in kept.values():
            want = plain.count(number)
            if want is not None and want <= bound:
                assert counting.count(number) == want
            else:
                with pytest.raises(ValueError, match="is not on the grid"):
                    counting.count(number)
