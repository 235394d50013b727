"""Cost of one update of the true range and of the volatility, against plain Python."""

import itertools
from typing import Any

import pytest

from hfengine.kernels.bars import TrueRange, Volatility
from tests.reference.bars import TrueRange as PlainRange
from tests.reference.bars import Volatility as PlainVolatility


@pytest.mark.parametrize("kind", [TrueRange, PlainRange])
def test_true_range(benchmark: Any, kind: Any) -> None:
    bars, times = kind(5.0, 14), itertools.count(1, 10_000_000)
    benchmark(lambda: bars.update(next(times), 60_000.0))
    assert bars.atr == 0.0


@pytest.mark.parametrize("kind", [Volatility, PlainVolatility])
def test_volatility(benchmark: Any, kind: Any) -> None:
    sampled, times = kind(60.0), itertools.count(1, 10_000_000)
    benchmark(lambda: sampled.update(next(times), 60_000.0))
    assert sampled.sigma == 0.0
