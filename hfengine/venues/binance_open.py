"""Binance's lists of open orders, read for as little request weight as they can be had."""

import asyncio
from typing import Final

from hfengine.venues.binance_calls import WEIGHT
from hfengine.venues.binance_rows import Row
from hfengine.venues.quirks import Desk

APART_MAX: Final = 10
"""So many symbols are asked for one by one, at a weight of 1 each; all at once cost 40, and a start
that follows soon on others must not find the minute's 2400 spent."""

ALL_WEIGHT: Final = 40


async def open_rows(desk: Desk, symbol: str = "") -> list[Row]:
    """Read the orders in the book, of a symbol or of all the profile trades (or more)."""
    return await _listed(desk, "fapiPrivateGetOpenOrders", symbol)


async def algo_rows(desk: Desk, symbol: str = "") -> list[Row]:
    """Read the conditional orders that wait, likewise."""
    return await _listed(desk, "fapiPrivateGetOpenAlgoOrders", symbol)


async def _listed(desk: Desk, method: str, symbol: str) -> list[Row]:
    if not symbol and len(desk.symbols) > APART_MAX:
        found: list[Row] = await desk.call(method, {}, group=WEIGHT, weight=ALL_WEIGHT)
        return found
    asked = [symbol] if symbol else desk.symbols
    several = await asyncio.gather(
        *(desk.call(method, {"symbol": one}, group=WEIGHT) for one in asked)
    )
    return [row for rows in several for row in rows]
