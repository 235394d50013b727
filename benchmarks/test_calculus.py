"""Cost of one fit from Python at three ring sizes, against numpy's lstsq."""

import itertools
from typing import Any

import pytest

from hfengine.kernels.calculus import Calculus
from tests.reference.calculus import Calculus as Reference


@pytest.mark.parametrize("samples", [16, 32, 64])
def test_update_with_a_full_ring(benchmark: Any, samples: int) -> None:
    calculus = Calculus(2.0, samples, 30.0, 10)
    at_ns = itertools.count(1, 2_000_000_000 // (samples - 1))
    for _ in range(2 * samples):
        calculus.update(next(at_ns), 60_000.1)
    benchmark(lambda: calculus.update(next(at_ns), 60_000.1))
    assert calculus.kept >= samples - 1


def test_update_in_numpy(benchmark: Any) -> None:
    calculus = Reference(2.0, 32, 30.0, 10)
    at_ns = itertools.count(1, 2_000_000_000 // 31)
    benchmark(lambda: calculus.update(next(at_ns), 60_000.1))
    assert calculus.updates > 10
