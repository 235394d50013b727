"""Binance's open orders are read for as little weight as they can be had."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hfengine.venues.binance_open import APART_MAX, algo_rows, open_rows


class Desk(SimpleNamespace):
    """A desk that hands every call one row that says what was asked."""

    async def call(
        self, method: str, params: Any, *, group: str, weight: int = 1, purpose: str = "read"
    ) -> list[Any]:
        self.asked.append((method, params.get("symbol", ""), weight))
        assert (group, purpose) == ("weight", "read")
        return [{"symbol": params.get("symbol", "all")}]


def desk(count: int) -> Any:
    return Desk(symbols=[f"S{n}" for n in range(count)], asked=[])


@pytest.mark.parametrize(("count", "weight"), [(2, 2), (APART_MAX, APART_MAX), (APART_MAX + 1, 40)])
def test_few_symbols_are_asked_for_one_by_one(count: int, weight: int) -> None:
    of = desk(count)
    rows = asyncio.run(open_rows(of))
    assert sum(each for _, _, each in of.asked) == weight
    assert len(rows) == len(of.asked)
    assert {method for method, _, _ in of.asked} == {"fapiPrivateGetOpenOrders"}


@pytest.mark.parametrize("count", [2, 60])
def test_one_symbol_is_asked_for_alone(count: int) -> None:
    of = desk(count)
    assert asyncio.run(algo_rows(of, "S1")) == [{"symbol": "S1"}]
    assert of.asked == [("fapiPrivateGetOpenAlgoOrders", "S1", 1)]
