"""Differences of book sides: single cases, and what is refused."""

import pytest

from hfengine.kernels.ladder import changes


def test_new_changed_and_gone_levels_come_best_first():
    bids = [(10, 5), (9, 4), (7, 1)]
    assert changes(bids, [(11, 2), (9, 3), (7, 1)], 1) == [(11, 2), (10, 0), (9, 3)]
    asks = [(11, 1), (12, 2), (15, 3)]
    assert changes(asks, [(12, 2), (13, 9), (15, 4), (16, 1)], -1) == [
        (11, 0),
        (13, 9),
        (15, 4),
        (16, 1),
    ]


def test_equal_sides_differ_in_nothing():
    assert changes([], [], 1) == []
    level = (10, 5)
    assert changes([level, (9, 1)], [level, (9, 1)], 1) == []


def test_an_empty_side_gains_and_loses_everything():
    bids = [(10, 5), (9, 4)]
    assert changes([], bids, 1) == bids
    assert changes(bids, [], 1) == [(10, 0), (9, 0)]


def test_prices_beyond_32_bits_are_whole():
    far = 2**40
    assert changes([(far, 1)], [(far + 1, 1)], -1) == [(far, 0), (far + 1, 1)]


@pytest.mark.parametrize("wrong", [[[10, 5]], [("10", 5)], None, ((10, 5),)])
def test_what_is_no_list_of_levels_is_refused(wrong):
    with pytest.raises(TypeError):
        changes(wrong, [(10, 4)], 1)
