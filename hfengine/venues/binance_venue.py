"""Binance USDⓈ-M as a live venue: raw calls through ccxt, protection as orders of our own."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, Final

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.instruments import Instrument
from hfengine.messages import BalanceChanged, Fill, FundingPaid, OrderUpdate, PositionChanged
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.venues import binance_market
from hfengine.venues.binance_calls import (
    ORDER,
    WEIGHT,
    algo_params,
    is_conditional,
    order_params,
)
from hfengine.venues.binance_history import BinanceHistory
from hfengine.venues.binance_open import algo_rows, open_rows
from hfengine.venues.binance_order_entry import BinanceOrderEntry
from hfengine.venues.binance_places import (
    ORDERS_DEMO,
    ORDERS_LIVE,
    ORDERS_PATH,
    client_configuration,
)
from hfengine.venues.binance_positions import PositionBook, algo_of
from hfengine.venues.binance_protection import EXISTS, BinanceProtection
from hfengine.venues.binance_rows import (
    FUNDING_INTERVAL_H,
    MS_NS,
    Row,
    algo_of_row,
    balance_of,
    instrument_of,
    is_usdt_perpetual,
    leverage_of_row,
    number,
    order_of_row,
)
from hfengine.venues.binance_stream import BinanceStream
from hfengine.venues.link import LinkSettings
from hfengine.venues.market import Dialect as MarketDialect
from hfengine.venues.market import Market
from hfengine.venues.order_entry import Credentials, LegOutcome, OrderEntry, Wires
from hfengine.venues.quirks import Budget, MarginMode, Place, PrivateStream, Purpose, Quirks

MARGIN_TYPES: Final[dict[MarginMode, str]] = {"isolated": "ISOLATED", "cross": "CROSSED"}
FEES_AT_ONCE: Final = 8


class BinanceQuirks(Quirks):
    """One Binance USDⓈ-M account, in one-way or hedge mode."""

    ccxt_id = "binanceusdm"
    budgets = (Budget(WEIGHT, 2400, 60.0), Budget(ORDER, 300, 10.0), Budget(ORDER, 1200, 60.0))

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
        """Return ccxt's arguments; see VENUES 1.2 for the addresses of a local venue."""
        return client_configuration(place)

    def adjust(self, exchange: Any, place: Place) -> None:
        """Switch to the demo, and hear of connections; error classes by code on any address."""
        if place.mode in ("demo", "testnet"):
            exchange.enable_demo_trading(True)
        tables = exchange.exceptions["linear"]
        exchange.get_exceptions_by_url = lambda _url, kind: tables.get(kind, {})
        plain = exchange.on_connected
        was_connected = False

        def connected(client: Any, message: Any = None) -> None:
            nonlocal was_connected
            plain(client, message)
            if "listenKey=" in client.url:
                if was_connected:
                    self._at_work.history.doubt_income()
                was_connected = True
                self.desk.private_ready()

        exchange.on_connected = connected

    def open_feed(
        self,
        symbols: Sequence[str],
        place: Place,
        *,
        host: ActorHost,
        random: Random,
        stages: Stages,
    ) -> tuple[Market, MarketDialect]:
        """Return the native feed."""
        url, rest_url = binance_market.MAINNET, binance_market.MAINNET_REST
        if place.ws:
            url, rest_url = place.ws, place.http
        elif place.mode in ("demo", "testnet"):
            url, rest_url = binance_market.DEMO, binance_market.DEMO_REST
        market = binance_market.BinanceMarket(
            symbols, host=host, random=random, url=url, rest_url=rest_url, stages=stages
        )
        return market, "binance"

    def order_entry(
        self, place: Place, credentials: Credentials, wires: Wires
    ) -> tuple[OrderEntry, str, LinkSettings] | None:
        """Return the session of /ws-fapi/v1; none in hedge mode, whose orders go by REST."""
        if self.hedged:
            return None
        url = ORDERS_LIVE if place.mode == "live" else ORDERS_DEMO
        if place.ws:
            url = place.ws + ORDERS_PATH
        parts, hear = self._at_work, wires.get("on_protection")

        def leg_answered(leg: OrderRequest, outcome: LegOutcome) -> None:
            if isinstance(outcome, VenueRejected) and outcome.reason == EXISTS:
                parts.protection.make_room(leg)
            elif hear is not None:
                hear(leg, outcome)

        wires = {**wires, "on_protection": leg_answered}
        entry = BinanceOrderEntry(self.desk.instruments, credentials, **wires)
        entry.on_taken = parts.stream.expect
        return entry, url, LinkSettings(ping_every_s=15.0, silence_max_s=45.0)

    # start

    async def time_ms(self) -> int:
        """Read the venue's clock."""
        answer = await self.desk.call("fapiPublicGetTime", {}, group=WEIGHT)
        return int(answer["serverTime"])

    async def read_instruments(self, symbols: Sequence[str] | None) -> dict[str, Instrument]:
        """Read exchangeInfo, leverageBracket and, for named symbols, the account's fee rates."""
        call = self.desk.call
        listed, brackets, intervals = await asyncio.gather(
            call("fapiPublicGetExchangeInfo", {}, group=WEIGHT),
            call("fapiPrivateGetLeverageBracket", {}, group=WEIGHT),
            self._funding_intervals(),
        )
        tiers = {row["symbol"]: row["brackets"] for row in brackets}
        rows = [
            row
            for row in listed["symbols"]
            if is_usdt_perpetual(row)
            and row["symbol"] in tiers
            and (symbols is None or row["symbol"] in symbols)
        ]
        # reading every symbol's rate would cost the budget of many minutes; they rarely differ
        asked = [row["symbol"] for row in (rows if symbols is not None else rows[:1])]
        fees = await self._fees(asked)
        usual = next(iter(fees.values()), (Decimal(0), Decimal(0)))
        as_of = datetime.fromtimestamp(self.desk.now_ms() / 1e3, UTC).date().isoformat()
        found = {}
        for row in rows:
            maker_fee, taker_fee = fees.get(row["symbol"], usual)
            found[row["symbol"]] = instrument_of(
                row,
                tiers[row["symbol"]],
                maker_fee=maker_fee,
                taker_fee=taker_fee,
                as_of=as_of,
                funding_interval_h=intervals.get(row["symbol"], FUNDING_INTERVAL_H),
            )
        return found

    async def _funding_intervals(self) -> dict[str, int]:
        try:
            rows = await self.desk.call("fapiPublicGetFundingInfo", {}, group=WEIGHT)
        except (VenueRejected, VenueUnavailable) as error:
            self.desk.note("funding_intervals", str(error))
            return {}
        return {row["symbol"]: int(row["fundingIntervalHours"]) for row in rows}

    async def _fees(self, symbols: Sequence[str]) -> dict[str, tuple[Decimal, Decimal]]:
        gate = asyncio.Semaphore(FEES_AT_ONCE)

        async def read(symbol: str) -> tuple[Decimal, Decimal]:
            async with gate:
                row = await self.desk.call(
                    "fapiPrivateGetCommissionRate", {"symbol": symbol}, group=WEIGHT, weight=20
                )
            return number(row["makerCommissionRate"]), number(row["takerCommissionRate"])

        rates = await asyncio.gather(*map(read, symbols))
        return dict(zip(symbols, rates, strict=True))

    async def prepare_account(self) -> None:
        """Check multi-assets and position mode, set the latter if allowed; read all leverages."""
        desk = self.desk
        desk.exchange.options["recvWindow"] = desk.settings.recv_window_ms
        account = await desk.call("fapiPrivateGetAccountConfig", {}, group=WEIGHT, weight=5)
        if account.get("multiAssetsMargin") and desk.margin_mode == "isolated":
            sentence = "the account is in multi-assets mode, which has no isolated margin"
            raise VenueRejected("multi_assets", f"{sentence}: switch it off at the exchange")
        if bool(account["dualSidePosition"]) != self.hedged:
            wanted = "hedge" if self.hedged else "one-way"
            if not desk.settings.set_modes:
                sentence = f"the account is not in {wanted} mode, and venue.set_modes is false"
                raise VenueRejected("position_mode_mismatch", sentence)
            dual = "true" if self.hedged else "false"
            await desk.call(
                "fapiPrivatePostPositionSideDual",
                {"dualSidePosition": dual},
                group=WEIGHT,
                purpose="setting",
            )
        await self._read_settings()

    async def _read_settings(self) -> None:
        rows = await self.desk.call("fapiPrivateGetSymbolConfig", {}, group=WEIGHT, weight=5)
        for row in rows:
            self._at_work.book.take_setting(leverage_of_row(row))

    # leverage

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        """Read symbolConfig: the only place that has both leverage and margin mode."""
        rows = await self.desk.call(
            "fapiPrivateGetSymbolConfig", {"symbol": symbol}, group=WEIGHT, weight=5
        )
        for row in rows:
            if row["symbol"] == symbol:
                setting = leverage_of_row(row)
                self._at_work.book.take_setting(setting)
                return setting
        raise VenueRejected(rejects.UNKNOWN_SYMBOL, f"symbolConfig has no {symbol}")

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Ask for a leverage; only `leverage_of` proves it."""
        params = {"symbol": symbol, "leverage": leverage}
        await self.desk.call("fapiPrivatePostLeverage", params, group=WEIGHT, purpose="setting")

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Ask for a margin mode."""
        params = {"symbol": symbol, "marginType": MARGIN_TYPES[mode]}
        await self.desk.call("fapiPrivatePostMarginType", params, group=WEIGHT, purpose="setting")

    # orders

    async def place(self, request: OrderRequest) -> OrderUpdate:
        """Send an order; its stop leaves in the same turn, its target once it lives."""
        if is_conditional(request):
            params = algo_params(request, hedged=self.hedged)
            row = await self.desk.call(
                "fapiPrivatePostAlgoOrder", params, group=ORDER, purpose="protect"
            )
            self._at_work.book.hear_algo(algo_of(row), row["algoStatus"])
            return algo_of_row(row, self.desk.now_ms() * MS_NS)
        if request.close_position:
            raise VenueRejected("unsupported_order", f"{request.kind} cannot close the position")
        return await self._send(request)

    async def _send(self, request: OrderRequest) -> OrderUpdate:
        protection = self._at_work.protection
        params = order_params(request, hedged=self.hedged)
        protection.entry_leaves(request)
        purpose: Purpose = "protect" if request.reduce_only else "order"
        try:
            row = await self.desk.call("fapiPrivatePostOrder", params, group=ORDER, purpose=purpose)
        except (VenueRejected, VenueUnavailable):
            protection.entry_ended(request)
            raise
        except VenueUnknown:
            protection.entry_lost(request)
            raise
        update = order_of_row(row, self.desk.now_ms() * MS_NS)
        self._at_work.history.know(row)
        self._at_work.stream.expect(request.client_id)
        if update.filled or update.state in ("new", "partially_filled"):
            protection.entry_lives(request)
        else:
            protection.entry_ended(request)
        return update

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Look an order up among the plain ones, then among the conditional ones."""
        params = {"symbol": symbol, "origClientOrderId": client_id}
        try:
            row = await self.desk.call("fapiPrivateGetOrder", params, group=WEIGHT)
        except VenueRejected as error:
            if error.reason != rejects.UNKNOWN_ORDER:
                raise
        else:
            self._at_work.history.know(row)
            update = order_of_row(row)
            self._at_work.protection.order_told(update)
            return update
        try:
            return algo_of_row(await self._at_work.protection.algo_by_id(client_id))
        except VenueRejected as error:
            if error.reason != rejects.UNKNOWN_ORDER:
                raise
            return None

    async def cancel_all(self, symbol: str) -> int:
        """Cancel plain and conditional orders: two lists, two calls."""
        params = {"symbol": symbol}
        orders, algos = await asyncio.gather(
            open_rows(self.desk, symbol), algo_rows(self.desk, symbol)
        )
        await asyncio.gather(
            self._cancel("fapiPrivateDeleteAllOpenOrders", params),
            self._cancel("fapiPrivateDeleteAlgoOpenOrders", params),
        )
        for row in algos:
            self._at_work.book.forget_algo(algo_of(row))
        return len(orders) + len(algos)

    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        """Cancel one order: plain and conditional ones have lists, calls and numbers of their own.

        The client's id, unique in both, is preferred: every order here has one.
        """
        protection = self._at_work.protection
        if client_id:
            is_algo = protection.knows(symbol, client_id)
        else:
            is_algo = await self._is_algo(symbol, venue_id)
        named = {"origClientOrderId": client_id} if client_id else {"orderId": venue_id}
        if not is_algo:
            try:
                params = {"symbol": symbol} | named
                await self.desk.call(
                    "fapiPrivateDeleteOrder", params, group=WEIGHT, purpose="protect"
                )
            except VenueRejected as error:
                if error.reason != rejects.UNKNOWN_ORDER or not client_id:
                    raise
            else:
                return
        await protection.cancel_one(symbol, client_id, venue_id)

    async def _is_algo(self, symbol: str, venue_id: str) -> bool:
        """Tell in which list an order is of which only the number is known."""
        orders, algos = await asyncio.gather(
            open_rows(self.desk, symbol), algo_rows(self.desk, symbol)
        )
        plain = any(str(row["orderId"]) == venue_id for row in orders)
        conditional = any(str(row["algoId"]) == venue_id for row in algos)
        if plain and conditional:
            raise VenueRejected("ambiguous_id", f"{symbol}: two orders have the number {venue_id}")
        if not (plain or conditional):
            raise VenueRejected(rejects.UNKNOWN_ORDER, f"{symbol} {venue_id}")
        return conditional

    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        """Move a resting order; the call wants side and quantity again, so it is read first."""
        named = {"symbol": symbol, "origClientOrderId": client_id}
        row = await self.desk.call("fapiPrivateGetOrder", named, group=WEIGHT)
        params = named | {
            "side": row["side"],
            "quantity": row["origQty"],
            "price": f"{price:f}",
        }
        amended = await self.desk.call("fapiPrivatePutOrder", params, group=ORDER, purpose="order")
        return order_of_row(amended, self.desk.now_ms() * MS_NS)

    async def _cancel(self, method: str, params: Row) -> None:
        try:
            await self.desk.call(method, params, group=WEIGHT, purpose="protect")
        except VenueRejected as error:
            if error.reason != rejects.UNKNOWN_ORDER:
                raise

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Place the new stop and target, then cancel the old ones."""
        await self._at_work.protection.move(symbol, stop, target)
        return self._at_work.book.changed(symbol)

    # the account

    async def positions(self) -> list[PositionChanged]:
        """Read positions and conditional orders together."""
        book = self._at_work.book
        began_ms = self.desk.now_ms()
        call = self.desk.call
        rows, algos = await asyncio.gather(
            call("fapiPrivateV3GetPositionRisk", {}, group=WEIGHT, weight=5),
            algo_rows(self.desk),
        )
        if any(book.setting_of(row["symbol"]) is None for row in rows):
            await self._read_settings()
        book.read(rows, algos, began_ns=began_ms * MS_NS)
        open_symbols = [symbol for symbol in book.open_symbols() if symbol in self.desk.symbols]
        for symbol in {row["symbol"] for row in algos}.difference(open_symbols):
            if symbol in self.desk.symbols:
                self._at_work.protection.sweep_later(symbol)
        return [book.changed(symbol) for symbol in open_symbols]

    async def open_orders(self) -> list[OrderUpdate]:
        """Read plain and conditional orders."""
        orders, algos = await asyncio.gather(open_rows(self.desk), algo_rows(self.desk))
        found = [order_of_row(row) for row in orders]
        found += [algo_of_row(row) for row in algos]
        return [update for update in found if update.symbol in self.desk.symbols]

    async def balance(self) -> BalanceChanged:
        """Read the account."""
        account = await self.desk.call("fapiPrivateV3GetAccount", {}, group=WEIGHT, weight=5)
        balance = balance_of(account, self.desk.now_ms() * MS_NS)
        self._at_work.stream.know_balance(balance)
        for asset in account.get("assets", ()):
            if asset["asset"] == "USDT":
                self._at_work.book.cross_wallet_usdt = number(asset.get("crossWalletBalance"))
        return balance

    async def fills_since(self, since_ms: int) -> list[Fill | FundingPaid]:
        """Read userTrades of the symbols that moved, and funding from income."""
        return await self._at_work.history.since(since_ms)

    # the private stream

    def streams(self) -> Sequence[PrivateStream]:
        """Return the one stream there is."""
        self._at_work.stream.start()
        return (PrivateStream("account", self._at_work.stream.watch),)

    def heard(self, message: Mapping[str, Any]) -> bool:
        """Take one raw message; ccxt need not see the account's."""
        return self._at_work.stream.heard(message)


class _Parts:
    """What works for a `BinanceQuirks` once it has its desk."""

    def __init__(self, quirks: BinanceQuirks) -> None:
        desk = quirks.desk
        self.book = PositionBook(desk.instruments)
        self.history = BinanceHistory(desk)
        self.protection = BinanceProtection(
            desk, self.book, self._cover_changed, hedged=lambda: quirks.hedged
        )
        self.stream = BinanceStream(
            desk,
            self.book,
            self.protection,
            learn=self.history.learn,
            read_position=self._read_position,
            read_balance=quirks.balance,
            read_funding=self._read_funding,
        )
        self._desk = desk

    def _cover_changed(self, symbol: str) -> None:
        held = self.book.held(symbol)
        if held is not None and held.quantity:
            self.stream.tell_position(symbol, self._desk.now_ms() * MS_NS)

    async def _read_position(self, symbol: str) -> None:
        params = {"symbol": symbol}
        began_ms = self._desk.now_ms()
        rows, algos = await asyncio.gather(
            self._desk.call("fapiPrivateV3GetPositionRisk", params, group=WEIGHT, weight=5),
            self._desk.call("fapiPrivateGetOpenAlgoOrders", params, group=WEIGHT),
        )
        self.book.read(rows, algos, began_ns=began_ms * MS_NS, symbol=symbol)
        if self.book.is_flat(symbol) and self.book.reducing(symbol):
            # its end was not heard
            self.protection.sweep_later(symbol)

    async def _read_funding(self, since_ms: int) -> None:
        try:
            for paid in await self.history.funding(since_ms):
                self._desk.tell(paid)
        except (VenueRejected, VenueUnknown, VenueUnavailable) as error:
            # the reconciliation reads it again
            self._desk.note("funding", str(error))
