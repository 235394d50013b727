"""Cost of one quote and one trade from Python."""

import itertools
from typing import Any

from hfengine.kernels.flow import Flow


def test_update_quote(benchmark: Any) -> None:
    flow = Flow(2.0, 60.0, 10)
    at_ns = itertools.count(1, 10_000_000)
    benchmark(lambda: flow.update_quote(next(at_ns), 60_000.1, 1.5, 60_000.2, 2.5))
    assert flow.ready


def test_update_trade(benchmark: Any) -> None:
    flow = Flow(2.0, 60.0, 10)
    at_ns = itertools.count(1, 10_000_000)
    benchmark(lambda: flow.update_trade(next(at_ns), 0.25, -1))
    assert flow.ready
