"""Bitget's classic USDT futures as a live venue: hedge or one-way mode, preset stop and target."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, Final

from hfengine.errors import VenueRejected, VenueUnavailable
from hfengine.exchange import rejects
from hfengine.instruments import Instrument
from hfengine.messages import (
    BalanceChanged,
    Fill,
    FundingPaid,
    OrderUpdate,
    PositionChanged,
)
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.venues import bitget_rows as rows
from hfengine.venues.bitget_positions import PositionBook, held_of
from hfengine.venues.bitget_protection import BitgetProtection, check_failures
from hfengine.venues.bitget_rows import COIN, MS_NS, NOTHING, Row, number, product
from hfengine.venues.bitget_stream import BitgetStream
from hfengine.venues.ccxt_market import CcxtMarket, open_exchange
from hfengine.venues.market import Dialect as MarketDialect
from hfengine.venues.market import Market
from hfengine.venues.quirks import Budget, MarginMode, Place, PrivateStream, Purpose, Quirks

PAGE: Final = 100
AT_ONCE: Final = 8
KEEP_ALIVE_MS: Final = 15_000
CLOCK_ERROR_MS: Final = 50
"""The venue's time is known about so well: what it told so shortly before a reading began may have
happened after."""

PLAN_LISTS: Final = ("profit_loss", "normal_plan")


class BitgetQuirks(Quirks):
    """One Bitget account of the classic kind."""

    ccxt_id = "bitget"
    # of flat symbols none is pushed
    pushes_leverage = False
    # an endpoint has its own limit; the address has one for all of them
    budgets = (
        Budget("*", 6000, 60.0),
        Budget("order", 10, 1.0),
        Budget("cancel", 10, 1.0),
        Budget("plan", 10, 1.0),
        Budget("leverage", 5, 1.0),
        Budget("mode", 5, 1.0),
        Budget("account", 10, 1.0),
        Budget("accounts", 10, 1.0),
        Budget("positions", 5, 1.0),
        Budget("detail", 10, 1.0),
        Budget("pending", 10, 1.0),
        Budget("plans", 10, 1.0),
        Budget("fills", 10, 1.0),
        Budget("bills", 10, 1.0),
        Budget("fees", 10, 1.0),
        Budget("levels", 10, 1.0),
        Budget("public", 10, 1.0),
    )

    def __init__(self) -> None:
        super().__init__()
        self._parts: _Parts | None = None

    @property
    def _at_work(self) -> "_Parts":
        """What hangs on the desk, made when it is first wanted."""
        if self._parts is None:
            self._parts = _Parts(self)
        return self._parts

    @property
    def hedged(self) -> bool:
        """Whether the account holds long and short apart."""
        return self.desk.settings.position_mode == "hedge"

    # making the clients

    def configuration(self, place: Place) -> dict[str, Any]:
        """Return ccxt's arguments: never let it guess the kind of account (VENUES 1.3)."""
        configuration: dict[str, Any] = {
            "options": {
                "uta": False,
                "defaultType": "swap",
                "fetchMarkets": {"types": ["swap"]},
            },
            "streaming": {"keepAlive": KEEP_ALIVE_MS},
        }
        if place.http:
            names = ("spot", "mix", "user", "common", "margin", "uta")
            sockets = {
                "public": f"{place.ws}/v2/ws/public",
                "private": f"{place.ws}/v2/ws/private",
            }
            addresses = dict.fromkeys(names, place.http)
            configuration["urls"] = {"api": {**addresses, "ws": sockets}}
        return configuration

    def adjust(self, exchange: Any, place: Place) -> None:
        """Switch to the demo: the same addresses with a header, sockets of its own."""
        if place.mode in ("demo", "testnet"):
            exchange.set_sandbox_mode(True)

    def open_feed(
        self,
        symbols: Sequence[str],
        place: Place,
        *,
        host: ActorHost,
        random: Random,
        stages: Stages,  # noqa: ARG002 - ccxt's feed measures nothing
    ) -> tuple[Market, MarketDialect]:
        """Return ccxt's feed: hfengine has no native one for this exchange."""
        exchange = open_exchange(
            self.ccxt_id, self.configuration(place) | {"enableRateLimit": False}
        )
        self.adjust(exchange, place)
        return CcxtMarket(exchange, symbols, host=host, random=random), "ticks"

    # start

    async def time_ms(self) -> int:
        """Read the venue's clock."""
        answer = await self._get("publicCommonGetV2PublicTime", {}, "public")
        return int(answer["serverTime"])

    async def read_instruments(self, symbols: Sequence[str] | None) -> dict[str, Instrument]:
        """Read contracts, and position levels and fee rates symbol by symbol."""
        listed = await self._get("publicMixGetV2MixMarketContracts", product(), "public")
        wanted = [
            row
            for row in listed
            if rows.is_usdt_perpetual(row) and (symbols is None or row["symbol"] in symbols)
        ]
        as_of = datetime.fromtimestamp(self.desk.now_ms() / 1e3, UTC).date().isoformat()
        gate = asyncio.Semaphore(AT_ONCE)

        async def read(row: Row) -> Instrument:
            symbol = row["symbol"]
            async with gate:
                levels = await self._get(
                    "publicMixGetV2MixMarketQueryPositionLever", product(symbol=symbol), "levels"
                )
                fees = number(row["makerFeeRate"]), number(row["takerFeeRate"])
                if symbols is not None:
                    fees = await self._fees(symbol, fees)
            return rows.instrument_of(
                row, levels, maker_fee=fees[0], taker_fee=fees[1], as_of=as_of
            )

        instruments = await asyncio.gather(*map(read, wanted))
        return {instrument.symbol: instrument for instrument in instruments}

    async def _fees(self, symbol: str, listed: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal]:
        params = {"symbol": symbol, "businessType": "mix"}
        try:
            row = await self._get("privateCommonGetV2CommonTradeRate", params, "fees")
        except (VenueRejected, VenueUnavailable) as error:
            self.desk.note("fee_rates", f"{symbol}: {error}")
            return listed
        return number(row["makerFeeRate"]), number(row["takerFeeRate"])

    async def prepare_account(self) -> None:
        """Check the position mode; set it if allowed."""
        desk = self.desk
        wanted = "hedge_mode" if self.hedged else "one_way_mode"
        account = await self._account(desk.symbols[0])
        if account.get("posMode") != wanted:
            if not desk.settings.set_modes:
                sentence = f"the account is not in {wanted}, and venue.set_modes is false"
                raise VenueRejected("position_mode_mismatch", sentence)
            await desk.call(
                "privateMixPostV2MixAccountSetPositionMode",
                product(posMode=wanted),
                group="mode",
                purpose="setting",
            )

    # leverage

    async def _account(self, symbol: str) -> Row:
        params = product(symbol=symbol, marginCoin=COIN)
        row: Row = await self._get("privateMixGetV2MixAccountAccount", params, "account")
        return row

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        """Read account/account: both sides must agree to prove anything."""
        setting = rows.leverage_of_account(await self._account(symbol), symbol)
        self._at_work.stream.know_leverage(symbol, setting.leverage)
        return setting

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Ask for a leverage, of each side where the sides have their own."""
        params = product(symbol=symbol, marginCoin=COIN, leverage=str(leverage))
        apart = self.hedged and self.desk.margin_mode == "isolated"
        for side in ({"holdSide": "long"}, {"holdSide": "short"}) if apart else ({},):
            await self.desk.call(
                "privateMixPostV2MixAccountSetLeverage",
                params | side,
                group="leverage",
                purpose="setting",
            )

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Ask for a margin mode."""
        told = rows.MARGIN_MODES[mode]
        await self.desk.call(
            "privateMixPostV2MixAccountSetMarginMode",
            product(symbol=symbol, marginCoin=COIN, marginMode=told),
            group="mode",
            purpose="setting",
        )

    # orders

    async def place(self, request: OrderRequest) -> OrderUpdate:
        """Send an order, stop and target attached; what becomes of it comes on the stream."""
        if request.close_position or request.kind not in ("market", "limit"):
            raise VenueRejected("unsupported_order", f"{request.kind} orders are made by protect()")
        stream = self._at_work.stream
        stream.sent(request)
        params = rows.order_params(request, hedged=self.hedged, margin_mode=self.desk.margin_mode)
        purpose: Purpose = "protect" if request.reduce_only else "order"
        answer = await self._post("privateMixPostV2MixOrderPlaceOrder", params, "order", purpose)
        update = rows.acknowledged(request, answer, self.desk.now_ms() * MS_NS)
        stream.took(request, update.venue_id)
        return update

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Look an order up by its client id."""
        params = product(symbol=symbol, clientOid=client_id)
        try:
            row = await self._get("privateMixGetV2MixOrderDetail", params, "detail")
        except VenueRejected as error:
            if error.reason != rejects.UNKNOWN_ORDER:
                raise
            return None
        self._at_work.stream.know(row)
        return rows.order_of_row(row)

    async def order_detail(self, symbol: str, order_id: str) -> Row:
        """Read an order by the venue's id."""
        params = product(symbol=symbol, orderId=order_id)
        row: Row = await self._get("privateMixGetV2MixOrderDetail", params, "detail")
        return row

    async def cancel_all(self, symbol: str) -> int:
        """Cancel what rests and what waits for a trigger; none is no error."""
        pending, plans = await asyncio.gather(self._pending(symbol), self._plan_rows(symbol))
        answer = await self._post(
            "privateMixPostV2MixOrderCancelAllOrders",
            product(symbol=symbol, marginCoin=COIN),
            "cancel",
            "protect",
        )
        check_failures(answer)
        for plan_type in dict.fromkeys(row["planType"] for row in plans):
            named = [row["orderId"] for row in plans if row["planType"] == plan_type]
            await self._at_work.protection.cancel(symbol, plan_type, named)
        return len(pending) + len(plans)

    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        """Cancel one order; a plan order is cancelled by its type, which is looked up."""
        plan = self._at_work.book.plan(venue_id) if venue_id else None
        if plan is not None:
            await self._at_work.protection.cancel(symbol, plan.plan_type, [venue_id])
            return
        named = {"orderId": venue_id} if venue_id else {"clientOid": client_id}
        try:
            params = product(symbol=symbol, marginCoin=COIN) | named
            await self._post("privateMixPostV2MixOrderCancelOrder", params, "cancel", "protect")
        except VenueRejected as error:
            if error.reason != rejects.UNKNOWN_ORDER:
                raise
        else:
            return
        for row in await self._plan_rows(symbol):
            name, wanted = ("orderId", venue_id) if venue_id else ("clientOid", client_id)
            if row.get(name) == wanted:
                found = str(row["orderId"])
                await self._at_work.protection.cancel(symbol, row["planType"], [found])
                return
        raise VenueRejected(rejects.UNKNOWN_ORDER, f"{symbol} {venue_id or client_id}")

    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        """Refuse: modify-order ends the order and makes another one under another id."""
        text = f"bitget replaces {client_id} of {symbol} to move it to {price}: cancel it instead"
        raise VenueRejected("not_supported", text)

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Amend stop and target in place; one that is missing is made, 0 takes one away."""
        await self._at_work.protection.move(symbol, stop, target)
        return self._at_work.book.changed(symbol)

    # the account

    async def positions(self) -> list[PositionChanged]:
        """Read positions and plan orders."""
        await self._read_positions()
        book = self._at_work.book
        return [
            book.changed(symbol) for symbol in book.open_symbols() if symbol in self.desk.symbols
        ]

    async def _read_positions(self) -> None:
        book = self._at_work.book
        began_ns = self.desk.now_ms() * MS_NS
        params = product(marginCoin=COIN)
        listed, plans = await asyncio.gather(
            self._get("privateMixGetV2MixPositionAllPosition", params, "positions"),
            self._plan_rows(None, ("profit_loss",)),
        )
        if book.heard_ns <= began_ns - CLOCK_ERROR_MS * MS_NS:
            # nothing newer was pushed meanwhile
            book.take_positions([held_of(row, began_ns) for row in listed], told_ns=began_ns)
        book.read_plans(plans, began_ns=began_ns - CLOCK_ERROR_MS * MS_NS)

    async def _pending(self, symbol: str | None) -> list[Row]:
        method = "privateMixGetV2MixOrderOrdersPending"
        return await self._listed(method, _named(symbol), "entrustedList", "pending")

    async def _plan_rows(self, symbol: str | None, lists: Sequence[str] = PLAN_LISTS) -> list[Row]:
        method = "privateMixGetV2MixOrderOrdersPlanPending"
        several = [
            await self._listed(method, _named(symbol, planType=one), "entrustedList", "plans")
            for one in lists
        ]
        return [row for found in several for row in found]

    async def open_orders(self) -> list[OrderUpdate]:
        """Read resting and plan orders."""
        pending, plans = await asyncio.gather(self._pending(None), self._plan_rows(None))
        found = [rows.order_of_row(row) for row in pending]
        found += [rows.plan_of_row(row) for row in plans]
        return [update for update in found if update.symbol in self.desk.symbols]

    async def balance(self) -> BalanceChanged:
        """Read the account."""
        listed = await self._get("privateMixGetV2MixAccountAccounts", product(), "accounts")
        at_ns = self.desk.now_ms() * MS_NS
        for row in listed:
            if row["marginCoin"] == COIN:
                return self._at_work.stream.balance(row, at_ns)
        return BalanceChanged(at_ns, NOTHING, NOTHING, NOTHING, NOTHING)

    async def read_account(self) -> BalanceChanged:
        """Read positions, plan orders and balance."""
        await self._read_positions()
        return await self.balance()

    async def fills_since(self, since_ms: int) -> list[Fill | FundingPaid]:
        """Read executions and settlements of the account."""
        stream = self._at_work.stream
        params = product(startTime=since_ms)
        executed, bills = await asyncio.gather(
            self._listed("privateMixGetV2MixOrderFills", params, "fillList", "fills"),
            self._listed(
                "privateMixGetV2MixAccountBill",
                params | {"businessType": rows.FUNDING_BUSINESS, "coin": COIN},
                "bills",
                "bills",
            ),
        )
        events: list[Fill | FundingPaid] = []
        for row in executed:
            if row["symbol"] in self.desk.symbols:
                fill = stream.named_fill(row) or await stream.looked_up_fill(row)
                events.append(fill)
        # the bills do not tell the rate
        events += [
            rows.funding_of_bill(row, NOTHING)
            for row in bills
            if row["symbol"] in self.desk.symbols
        ]
        return sorted(events, key=lambda event: event.at_ns)

    # the private stream

    def streams(self) -> Sequence[PrivateStream]:
        """Return a loop for each channel."""
        return self._at_work.stream.streams()

    def heard(self, message: Mapping[str, Any]) -> bool:
        """Take one raw message; ccxt need not see the account's."""
        return self._at_work.stream.heard(message)

    # calls

    async def _get(self, method: str, params: Row, group: str) -> Any:
        answer = await self.desk.call(method, params, group=group)
        return answer.get("data") or {}

    async def _post(self, method: str, params: Row, group: str, purpose: Purpose) -> Row:
        answer = await self.desk.call(method, params, group=group, purpose=purpose)
        found: Row = answer.get("data") or {}
        return found

    async def _listed(self, method: str, params: Row, name: str, group: str) -> list[Row]:
        """Read all pages of a list, the latest first."""
        found: list[Row] = []
        page = {**params, "limit": PAGE}
        while True:
            answer = await self._get(method, page, group)
            part = (answer.get(name) if isinstance(answer, Mapping) else None) or []
            found += part
            end_id = answer.get("endId") if part else None
            if len(part) < PAGE or not end_id or end_id == page.get("idLessThan"):
                return found
            page["idLessThan"] = end_id


class _Parts:
    """What works for a `BitgetQuirks` once it has its desk."""

    def __init__(self, quirks: BitgetQuirks) -> None:
        desk = quirks.desk
        self.book = PositionBook(desk.instruments)
        self.protection = BitgetProtection(desk, self.book)
        self.stream = BitgetStream(
            desk,
            self.book,
            plan=self.protection.heard,
            detail=quirks.order_detail,
            read=quirks.read_account,
        )


def _named(symbol: str | None, **parameters: Any) -> dict[str, Any]:
    return product(**parameters) if symbol is None else product(symbol=symbol, **parameters)
