"""Cost of one price from Python: inside a step of the grid, and closing one with ten lags."""

import itertools
from typing import Any

from hfengine.kernels.cross import Cross


def test_update_within_a_step(benchmark: Any) -> None:
    cross = Cross(100.0, 10, 60.0, 10)
    cross.update_b(0, 2_600.01)
    at_ns = itertools.count(1, 1_000)
    benchmark(lambda: cross.update_a(next(at_ns), 60_000.1))
    assert cross.updates > 10


def test_update_closing_a_step(benchmark: Any) -> None:
    # A gap so long that the symbol without news never restarts the layer.
    cross = Cross(100.0, 10, 60.0, 10, 1e9)
    cross.update_b(0, 2_600.01)
    at_ns = itertools.count(1, 100_000_000)
    price = itertools.cycle((60_000.1, 60_000.2, 60_000.4, 60_000.3))
    benchmark(lambda: cross.update_a(next(at_ns), next(price)))
    assert cross.ready
