"""Bybit's instruments as read at start: instruments-info, risk-limit and fee-rate put together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec.structs import replace

from hfengine.errors import VenueRejected
from hfengine.instruments import ASSUMED, Instrument
from hfengine.venues import bybit_rows as rows
from hfengine.venues.call_errors import BAD_KEY

Pages = Callable[[str, Mapping[str, Any], str], Awaitable[list[dict[str, Any]]]]
"""Reads a whole list, page by page: method, parameters, budget."""

ASSUMED_FEES: Final = (Decimal("0.0002"), Decimal("0.00055"))
"""Maker and taker of an account without discounts, where the venue does not tell (the demo)."""

FEES_ASSUMED: Final = f"{ASSUMED}fees, 0.02 % maker and 0.055 % taker: bybit refused fee-rate"
SINGLY_MAX: Final = 5
"""Up to so many symbols are asked for one by one: the whole risk table takes dozens of pages."""


async def read_instruments(
    pages: Pages, symbols: Sequence[str] | None, as_of: str
) -> dict[str, Instrument]:
    """Return the USDT perpetuals that trade, of `symbols` or all."""
    singly = symbols is not None and len(symbols) <= SINGLY_MAX
    asked: list[dict[str, Any]] = [{"symbol": s} for s in symbols or ()] if singly else [{}]
    parts = await asyncio.gather(*(_read_listed(pages, one) for one in asked))
    found = {}
    for listed, risk, rates in parts:
        tiers: dict[str, list[rows.Row]] = {}
        for row in risk:
            tiers.setdefault(row["symbol"], []).append(row)
        fees = {row["symbol"]: _fees(row) for row in rates}
        for row in listed:
            symbol = row["symbol"]
            wanted = symbols is None or symbol in symbols
            if wanted and _is_tradable(row):
                told = fees.get(symbol)
                instrument = rows.instrument(
                    row, tiers.get(symbol, ()), told or ASSUMED_FEES, as_of
                )
                if told is None:
                    sources = (*instrument.sources[:-1], FEES_ASSUMED)
                    instrument = replace(instrument, sources=sources)
                found[symbol] = instrument
    return found


async def _read_listed(pages: Pages, one: Mapping[str, Any]) -> Sequence[list[dict[str, Any]]]:
    try:
        return await _read(pages, one)
    except VenueRejected as rejected:
        # 10001: a symbol the venue does not know
        if one and rejected.reason == "bad_request":
            return ([], [], [])
        raise


async def _read(pages: Pages, one: Mapping[str, Any]) -> Sequence[list[dict[str, Any]]]:
    asked = {"category": "linear", **one}
    whole = {} if one else {"limit": 1000}
    return await asyncio.gather(
        pages("publicGetV5MarketInstrumentsInfo", asked | whole, "public"),
        pages("publicGetV5MarketRiskLimit", asked, "public"),
        _rates(pages, asked),
    )


async def _rates(pages: Pages, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        return await pages("privateGetV5AccountFeeRate", asked, "query")
    except VenueRejected as rejected:
        if rejected.reason == BAD_KEY:
            raise
        # the demo does not serve it
        return []


def _fees(row: rows.Row) -> tuple[Decimal, Decimal]:
    return rows.number(row["makerFeeRate"]), rows.number(row["takerFeeRate"])


def _is_tradable(row: rows.Row) -> bool:
    return (
        row.get("contractType") == "LinearPerpetual"
        and row.get("settleCoin", row.get("quoteCoin")) == "USDT"
        and row.get("status") == "Trading"
    )
