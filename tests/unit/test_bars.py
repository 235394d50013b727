"""True range and volatility against their definitions."""

from math import sqrt

import pytest

from hfengine.kernels.bars import TrueRange, Volatility

S_NS = 1_000_000_000


def test_the_range_of_a_bar_is_high_less_low_and_averages_by_wilder() -> None:
    bars = TrueRange(bar_s=1.0, bars=2)
    for at_s, price in [(10.0, 100.0), (10.5, 104.0), (11.0, 103.0), (11.9, 101.0), (12.0, 101.0)]:
        bars.update(int(at_s * S_NS), price)
    # closed: 104 - 100 = 4; then, from the close of 104, 104 - 101 = 3
    assert bars.count == 2
    assert bars.ready
    assert bars.atr == pytest.approx(4.0 + (3.0 - 4.0) / 2)


def test_a_gap_between_bars_counts_into_the_range() -> None:
    bars = TrueRange(bar_s=1.0, bars=5)
    for at_s, price in [(1.0, 100.0), (2.0, 110.0), (3.0, 110.0)]:
        bars.update(int(at_s * S_NS), price)
    assert bars.atr == pytest.approx((0.0 + 10.0) / 2)


def test_volatility_of_an_alternating_walk_is_its_step() -> None:
    sampled = Volatility(half_life_s=10.0)
    for second in range(200):
        sampled.update((second + 1) * S_NS, 100.0 * (1.0001 if second % 2 else 1.0))
    assert sampled.sigma == pytest.approx(1e-4, rel=0.01)


def test_volatility_scales_with_the_root_of_time() -> None:
    sampled = Volatility(half_life_s=10.0)
    for step in range(200):
        sampled.update((4 * step + 4) * S_NS, 100.0 * (1.0001 if step % 2 else 1.0))
    assert sampled.sigma == pytest.approx(1e-4 / sqrt(4.0), rel=0.01)


def test_nothing_is_known_before_two_samples_and_quick_ones_do_not_count() -> None:
    sampled = Volatility()
    sampled.update(S_NS, 100.0)
    sampled.update(S_NS + 1_000_000, 150.0)
    assert sampled.sigma == 0.0


def test_bars_lie_on_the_clock_not_on_the_first_trade() -> None:
    bars = TrueRange(bar_s=1.0, bars=5)
    for at_s, price in [(1.9, 100.0), (2.1, 107.0), (2.95, 107.0), (3.0, 107.0)]:
        bars.update(int(at_s * S_NS), price)
    # two closed: the trade at 1.9 alone, then 2.1 to 2.95
    assert bars.count == 2
    assert bars.atr == pytest.approx((0.0 + 7.0) / 2)


def test_volatility_needs_no_warming_up() -> None:
    sampled = Volatility(half_life_s=60.0)
    sampled.update(S_NS, 100.0)
    sampled.update(2 * S_NS, 100.01)
    assert sampled.sigma == pytest.approx(1e-4)


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused_and_changes_nothing(price: float) -> None:
    bars, sampled = TrueRange(1.0, 2), Volatility()
    with pytest.raises(ValueError, match="not a positive number"):
        bars.update(S_NS, price)
    with pytest.raises(ValueError, match="not a positive number"):
        sampled.update(S_NS, price)
    bars.update(2 * S_NS, 100.0)
    bars.update(3 * S_NS, 100.0)
    assert (bars.count, bars.atr) == (1, 0.0)
    sampled.update(2 * S_NS, 100.0)
    sampled.update(3 * S_NS, 100.01)
    assert sampled.sigma == pytest.approx(1e-4)


def test_reset_is_exact() -> None:
    bars, sampled = TrueRange(1.0, 2), Volatility()
    for second in range(1, 9):
        bars.update(second * S_NS, 100.0 + second % 3)
        sampled.update(second * S_NS, 100.0 + second % 3)
    assert bars.atr > 0.0
    assert sampled.sigma > 0.0
    bars.reset()
    sampled.reset()
    assert (bars.atr, bars.count, bars.ready, sampled.sigma) == (0.0, 0, False, 0.0)
    bars.update(S_NS, 50.0)
    bars.update(2 * S_NS, 50.0)
    assert (bars.atr, bars.count) == (0.0, 1)


@pytest.mark.parametrize(("bar_s", "bars"), [(0.0, 1), (float("nan"), 1), (1.0, 0)])
def test_parameters_are_checked(bar_s: float, bars: int) -> None:
    with pytest.raises(ValueError, match="bar"):
        TrueRange(bar_s, bars)
    with pytest.raises(ValueError, match="half_life_s"):
        Volatility(bar_s and float("inf"))
