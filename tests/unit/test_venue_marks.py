"""The derived mark: once a second, smoothed, unmoved by a lone jump."""

from math import exp

import pytest

from hfengine.venues.marks import DerivedMark

S_NS = 1_000_000_000


def test_the_first_mid_is_the_mark_and_the_next_comes_a_second_later() -> None:
    mark = DerivedMark()
    assert mark.update(5 * S_NS, 100.0) == 100.0
    assert mark.update(5 * S_NS + S_NS // 2, 101.0) is None
    assert mark.update(6 * S_NS, 101.0) is not None


def test_it_follows_a_step_by_its_time_constant() -> None:
    mark = DerivedMark()
    mark.update(S_NS, 100.0)
    assert mark.update(2 * S_NS, 200.0) == pytest.approx(200.0 - 100.0 * exp(-1.0))


def test_a_jump_of_a_millisecond_hardly_moves_it() -> None:
    mark = DerivedMark()
    mark.update(S_NS, 100.0)
    mark.update(S_NS + 1_000_000, 200.0)
    after = mark.update(2 * S_NS + 1_000_000, 100.0)
    assert after is not None
    assert after < 100.1
