"""Bybit's position rows put together: both sides of hedge mode, stops, lists that lag."""

from decimal import Decimal
from typing import Any

import pytest

from hfengine.venues.bybit_positions import LAG_MAX_MS, Positions

NOW_MS = 1_000_000


def row(size: str = "3", index: int = 0, side: str = "Buy", **changes: Any) -> dict[str, Any]:
    made = {
        "symbol": "X",
        "positionIdx": index,
        "side": side if Decimal(size) else "",
        "size": size,
        "avgPrice": "100",
        "leverage": "5",
        "stopLoss": "",
        "updatedTime": str(NOW_MS - 10),
    }
    return made | changes


def stop(**changes: Any) -> dict[str, Any]:
    made = {
        "symbol": "X",
        "orderId": "s1",
        "side": "Sell",
        "qty": "2",
        "cumExecQty": "0",
        "triggerPrice": "90",
        "triggerDirection": 2,
        "orderType": "Market",
        "stopOrderType": "PartialStopLoss",
        "orderStatus": "Untriggered",
        "reduceOnly": True,
    }
    return made | changes


def held(positions: Positions) -> tuple[int, Decimal] | None:
    told = positions.of("X", "isolated")
    return None if told is None else (told.side, told.quantity)


def test_the_held_side_is_told_whichever_side_was_pushed_last() -> None:
    positions = Positions()
    assert positions.of("X", "isolated") is None
    positions.take(row("3", 1))
    positions.take(row("0", 2))
    assert held(positions) == (1, 3)
    assert not positions.both_sides("X")
    positions.take(row("4", 2, "Sell"))
    assert held(positions) == (-1, 4)
    assert positions.both_sides("X")
    positions.take(row("0", 2))
    positions.take(row("0", 1))
    assert held(positions) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, 2),
        ({"stopOrderType": "Stop"}, 2),
        ({"orderStatus": "Triggered"}, 2),
        ({"orderStatus": "Cancelled"}, 0),
        ({"orderStatus": "Filled"}, 0),
        ({"reduceOnly": False}, 0),
        ({"stopOrderType": "StopLoss"}, 0),
        ({"stopOrderType": "PartialTakeProfit"}, 0),
        ({"orderType": "Limit"}, 0),
        ({"side": "Buy"}, 0),
        ({"symbol": "Y"}, 0),
        ({"qty": "9"}, 3),
    ],
)
def test_only_an_open_reducing_market_stop_of_the_other_side_covers(changes, covered) -> None:
    positions = Positions()
    positions.take(row())
    positions.take_order(stop(**changes))
    told = positions.of("X", "isolated")
    assert told is not None
    assert told.covered == covered


def test_a_stop_that_ended_covers_nothing_any_more() -> None:
    positions = Positions()
    positions.take(row())
    assert positions.take_order(stop())
    assert positions.take_order(stop(orderStatus="Cancelled"))
    assert positions.of("X", "isolated").covered == 0  # type: ignore[union-attr]
    positions.take_order(stop())
    positions.take_orders([])
    assert positions.of("X", "isolated").covered == 0  # type: ignore[union-attr]


def test_a_list_overrules_what_it_cannot_lag_behind() -> None:
    positions = Positions()
    positions.take(row("3", updatedTime=str(NOW_MS - LAG_MAX_MS)))
    positions.take_all([], NOW_MS)
    assert held(positions) is None
    positions.take(row("3"))
    positions.take_all([row("2", updatedTime=str(NOW_MS))], NOW_MS)
    assert held(positions) == (1, 2)


def test_a_list_that_lags_takes_back_nothing_that_was_pushed() -> None:
    positions = Positions()
    positions.take(row("3"))
    positions.take_all([], NOW_MS)
    assert held(positions) == (1, 3)
    positions.take(row("0"))
    positions.take_all([row("3", updatedTime=str(NOW_MS - 500))], NOW_MS)
    assert held(positions) == (0, 0)
