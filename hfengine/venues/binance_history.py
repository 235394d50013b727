"""Executions and funding of the past, read by REST from where the last reading ended."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnavailable
from hfengine.messages import Fill, FundingPaid
from hfengine.venues.binance_calls import WEIGHT
from hfengine.venues.binance_rows import (
    FEE_ELSEWHERE,
    NOTHING,
    Row,
    fee_elsewhere,
    fill_of_trade,
    funding_of_row,
    number,
)
from hfengine.venues.quirks import Desk

PAGE: Final = 1000
AT_ONCE: Final = 8
WEEK_MS: Final = 7 * 24 * 3600 * 1000
"""userTrades answers for at most so long after its start time."""

SYMBOLS_ASKED_ALL: Final = 20
"""With more symbols than this, income tells which ones traded."""

FUNDING_FEE: Final = "FUNDING_FEE"
FUNDING_NEAR_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
"""Funding is settled on full hours, whatever a symbol's interval."""

INCOME_EVERY_MS: Final = 60_000
"""Income costs a weight of 30: it is read so often, and at every reading for so long after a full
hour. The stream tells of funding meanwhile."""

INCOME_LATE_MS: Final = 600_000
"""Income may be listed so late: each reading begins so long before the last one."""

ORDERS_MAX: Final = 8192
TRADED: Final = ("COMMISSION", "REALIZED_PNL", "INSURANCE_CLEAR")


class _Order(NamedTuple):
    """What a trade does not say of its order."""

    client_id: str
    raw_id: str
    original_type: str


class BinanceHistory:
    """Reads what happened; remembers which order ids are whose."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._orders: dict[str, _Order] = {}
        self._noted_ms = 0
        """Time of the newest trade whose fee in another coin was noted."""
        self._income_ms = 0
        """When income was last read, 0 never."""
        self._income_from_ms = 0
        """Since when it is known."""

    def learn(self, order_id: str, client_id: str, raw_id: str, original_type: str) -> None:
        """Remember whose an order is; `raw_id` is the client id that the venue shows."""
        self._orders[order_id] = _Order(client_id, raw_id, original_type)
        while len(self._orders) > ORDERS_MAX:
            del self._orders[next(iter(self._orders))]

    def know(self, row: Row) -> None:
        """Remember an order from its row."""
        client_id = row.get("clientOrderId", "")
        original_type = str(row.get("origType") or row.get("type") or "")
        self.learn(str(row["orderId"]), client_id, client_id, original_type)

    async def since(self, since_ms: int) -> list[Fill | FundingPaid]:
        """Return executions and funding at or after a time, oldest first."""
        symbols = list(self._desk.symbols)
        asks_who = len(symbols) > SYMBOLS_ASKED_ALL
        # what trades came to is only read to learn who traded
        income = await self._income_since(since_ms, "" if asks_who else FUNDING_FEE)
        if asks_who:
            traded = {row["symbol"] for row in income if row["incomeType"] in TRADED}
            symbols = [symbol for symbol in symbols if symbol in traded]
        gate = asyncio.Semaphore(AT_ONCE)

        async def read(symbol: str) -> list[Fill]:
            async with gate:
                return await self._fills(symbol, since_ms)

        several = await asyncio.gather(*map(read, symbols))
        events: list[Fill | FundingPaid] = [fill for fills in several for fill in fills]
        events += await self._funding_of(income)
        return sorted(events, key=lambda event: event.at_ns)

    # executions

    async def _fills(self, symbol: str, since_ms: int) -> list[Fill]:
        rows = await self._trades(symbol, since_ms)
        unknown = [int(row["orderId"]) for row in rows if str(row["orderId"]) not in self._orders]
        if unknown:
            params = {"symbol": symbol, "orderId": min(unknown), "limit": PAGE}
            orders = await self._desk.call(
                "fapiPrivateGetAllOrders", params, group=WEIGHT, weight=5
            )
            for order in orders:
                if str(order["orderId"]) not in self._orders:
                    self.know(order)
        fills = []
        for row in rows:
            order = self._orders.get(str(row["orderId"]), _Order("", "", ""))
            fills.append(fill_of_trade(row, order.client_id, order.original_type, order.raw_id))
            self._note_fee(row)
        return fills

    async def _trades(self, symbol: str, since_ms: int) -> list[Row]:
        """Return the trades since a time: by time first, then by number."""
        since_ms = max(since_ms, self._desk.now_ms() - WEEK_MS)
        asked: Mapping[str, Any] = {"startTime": since_ms}
        trades: dict[Any, Row] = {}
        while True:
            params = {"symbol": symbol, "limit": PAGE, **asked}
            rows = await self._desk.call("fapiPrivateGetUserTrades", params, group=WEIGHT, weight=5)
            trades.update((row["id"], row) for row in rows)
            if len(rows) < PAGE:
                break
            asked = {"fromId": max(int(row["id"]) for row in rows) + 1}
        return [row for row in trades.values() if int(row["time"]) >= since_ms]

    def _note_fee(self, row: Row) -> None:
        elsewhere = fee_elsewhere(row.get("commission"), row.get("commissionAsset"))
        if elsewhere and int(row["time"]) > self._noted_ms:
            self._noted_ms = int(row["time"])
            self._desk.note(FEE_ELSEWHERE, f"{row['symbol']}: {elsewhere}, counted as 0 USDT")

    # funding

    def doubt_income(self) -> None:
        """Read income at the next reading in any case: the stream may have lost a funding."""
        self._income_ms = 0

    async def _income_since(self, since_ms: int, kind: str) -> list[Row]:
        """Return the income since a time; nothing where there can hardly be any to be told."""
        asked_ms, read_ms = self._desk.now_ms(), self._income_ms
        is_due = not (kind and read_ms) or since_ms < self._income_from_ms
        is_due = is_due or asked_ms - read_ms >= INCOME_EVERY_MS
        if not is_due and asked_ms % HOUR_MS >= INCOME_EVERY_MS:
            return []
        if read_ms:
            since_ms = min(since_ms, read_ms - INCOME_LATE_MS)
        income = await self._income(since_ms, kind)
        known = self._income_from_ms
        self._income_from_ms = min(known, since_ms) if known else since_ms
        self._income_ms = asked_ms
        return income

    async def funding(self, since_ms: int) -> list[FundingPaid]:
        """Return the funding at or after a time, oldest first."""
        return await self._funding_of(await self._income(since_ms, FUNDING_FEE))

    async def _income(self, since_ms: int, kind: str = "") -> list[Row]:
        found: list[Row] = []
        page = 1
        while True:
            params: dict[str, Any] = {"startTime": since_ms, "limit": PAGE, "page": page}
            if kind:
                params["incomeType"] = kind
            rows = await self._desk.call("fapiPrivateGetIncome", params, group=WEIGHT, weight=30)
            found += rows
            if len(rows) < PAGE:
                return found
            page += 1

    async def _funding_of(self, income: list[Row]) -> list[FundingPaid]:
        paid: dict[tuple[str, int], FundingPaid] = {}
        for row in income:
            ours = row["symbol"] in self._desk.symbols
            if row["incomeType"] != FUNDING_FEE or row["asset"] != "USDT" or not ours:
                continue
            settled = row["symbol"], int(row["time"])
            known = paid.get(settled)
            if known is None:
                paid[settled] = funding_of_row(row, await self._rate(*settled))
            else:
                # long and short of one symbol are settled apart, in the same ms
                both_usdt = known.funding_usdt - number(row["income"])
                paid[settled] = replace(known, funding_usdt=both_usdt)
        return sorted(paid.values(), key=lambda each: each.at_ns)

    async def _rate(self, symbol: str, at_ms: int) -> Decimal:
        """Return the rate of one funding; 0 when the venue does not tell it."""
        params = {"symbol": symbol, "startTime": at_ms - FUNDING_NEAR_MS, "limit": 1}
        try:
            rows = await self._desk.call("fapiPublicGetFundingRate", params, group=WEIGHT)
        except (VenueRejected, VenueUnavailable) as error:
            self._desk.note("funding_rate", str(error))
            return NOTHING
        for row in rows:
            if abs(int(row["fundingTime"]) - at_ms) <= FUNDING_NEAR_MS:
                return number(row["fundingRate"])
        return NOTHING
