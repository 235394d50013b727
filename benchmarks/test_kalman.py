"""Cost of one filter step from Python, against the numpy matrix form."""

import itertools
from typing import Any

from hfengine.kernels.kalman import Kalman
from tests.reference.kalman import Kalman as Reference


def test_update(benchmark: Any) -> None:
    kalman = Kalman(1e-11, 4e-10, 30.0, 10)
    at_ns = itertools.count(1, 100_000_000)
    benchmark(lambda: kalman.update(next(at_ns), 60_000.1))
    assert kalman.ready


def test_update_in_numpy(benchmark: Any) -> None:
    kalman = Reference(1e-11, 4e-10, 30.0, 10)
    at_ns = itertools.count(1, 100_000_000)
    benchmark(lambda: kalman.update(next(at_ns), 60_000.1))
    assert kalman.count > 10
