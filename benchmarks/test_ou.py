"""Cost of one price from Python: inside a step of the grid, and closing one."""

import itertools
from typing import Any

from hfengine.kernels.ou import OrnsteinUhlenbeck


def test_update_within_a_step(benchmark: Any) -> None:
    ou = OrnsteinUhlenbeck(60.0, 30.0, 10)
    at_ns = itertools.count(1, 5_000_000)
    benchmark(lambda: ou.update(next(at_ns), 60_000.1))
    assert ou.updates > 10


def test_update_closing_a_step(benchmark: Any) -> None:
    ou = OrnsteinUhlenbeck(60.0, 30.0, 10)
    at_ns = itertools.count(1, 600_000_000)
    price = itertools.cycle((60_000.1, 60_000.2, 60_000.4, 60_000.3))
    benchmark(lambda: ou.update(next(at_ns), next(price)))
    assert ou.ready
