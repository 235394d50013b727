"""Bybit V5 linear perpetuals on a unified account: its calls, its modes, its private stream.

Raw endpoints rather than ccxt's unified methods where those hide what counts: leverage as exact
text, executions of every type, trading-stop with its positionIdx (VENUES 1.3).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, Final

from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.instruments import Instrument
from hfengine.messages import (
    BalanceChanged,
    Fill,
    FundingPaid,
    LeverageChanged,
    OrderUpdate,
    PositionChanged,
)
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.venues import bybit_market
from hfengine.venues import bybit_rows as rows
from hfengine.venues.bybit_instruments import read_instruments
from hfengine.venues.bybit_order_entry import PING, PING_EVERY_S, BybitOrderEntry
from hfengine.venues.bybit_places import (
    BUDGETS,
    GROUP_POSITION,
    TRADE_SOCKETS,
    client_configuration,
)
from hfengine.venues.bybit_positions import Positions
from hfengine.venues.link import LinkSettings
from hfengine.venues.market import Dialect as MarketDialect
from hfengine.venues.market import Market
from hfengine.venues.order_entry import Credentials, OrderEntry, Wires
from hfengine.venues.quirks import (
    MarginMode,
    Place,
    PrivateStream,
    Purpose,
    Quirks,
)
from hfengine.venues.realised import BEFORE_ALL, Execution, Mark, RealisedPnl

LINEAR: Final = {"category": "linear"}
COIN: Final = {"category": "linear", "settleCoin": "USDT"}

TOPICS: Final = ("order", "execution", "position", "wallet")

MARGIN_MODES: Final = {"isolated": "ISOLATED_MARGIN", "cross": "REGULAR_MARGIN"}
PORTFOLIO: Final = "PORTFOLIO_MARGIN"
ONE_WAY, HEDGE = 0, 3
ACCOUNT_INFO_AGE_S: Final = 2.0
"""The margin mode is the account's: one reading serves the symbols read within so long."""

PAGES_MAX: Final = 100
HISTORY_STEP_MS: Final = 7 * 24 * 3600 * 1000 - 1
"""execution/list spans at most 7 days a call."""

BACK_MS: Final = (3600 * 1000, 24 * 3600 * 1000, HISTORY_STEP_MS)
"""How far before the first executions asked for it is looked for when a position was opened."""


class BybitQuirks(Quirks):
    """Bybit's account and orders."""

    ccxt_id = "bybit"
    budgets = BUDGETS
    pushes_leverage = False

    def __init__(self) -> None:
        super().__init__()
        self._margin_mode: MarginMode = "cross"
        self._margin_mode_s = -ACCOUNT_INFO_AGE_S
        self._is_portfolio = False
        self._leverage: dict[str, int] = {}
        self._realised: dict[str, RealisedPnl] = {}
        self._seeded = False
        """Whether the positions the session began with are known."""
        self._flat_mark = BEFORE_ALL
        """When those were read: what was not among them was flat then."""
        self._traced: set[str] = set()
        self._positions = Positions()

    # making the clients

    def configuration(self, place: Place) -> dict[str, Any]:
        """Return ccxt's arguments: only linear markets, the account's type not asked for."""
        return client_configuration(place)

    def adjust(self, exchange: Any, place: Place) -> None:
        """Switch to the testnet or the demo."""
        if place.mode == "testnet":
            exchange.set_sandbox_mode(True)
        elif place.mode == "demo":
            exchange.enable_demo_trading(True)

    def open_feed(
        self,
        symbols: Sequence[str],
        place: Place,
        *,
        host: ActorHost,
        random: Random,
        stages: Stages,
    ) -> tuple[Market, MarketDialect]:
        """Return the native feed; the demo's prices are the main exchange's."""
        own = bybit_market.TESTNET if place.mode == "testnet" else bybit_market.MAINNET
        url = place.ws or own
        feed = bybit_market.BybitMarket(symbols, host=host, random=random, url=url, stages=stages)
        return feed, "bybit"

    def order_entry(
        self, place: Place, credentials: Credentials, wires: Wires
    ) -> tuple[OrderEntry, str, LinkSettings] | None:
        """Return the session of /v5/trade, in one-way mode only: its frames name no side."""
        url = f"{place.ws}/v5/trade" if place.ws else TRADE_SOCKETS.get(place.mode, "")
        if not url or self.desk.settings.position_mode != "one_way":
            return None
        settings = LinkSettings(ping=PING, ping_every_s=PING_EVERY_S, silence_max_s=45.0)
        return BybitOrderEntry(self.desk.instruments, credentials, **wires), url, settings

    # calls

    async def _get(self, method: str, params: Mapping[str, Any], group: str) -> Any:
        answer = await self.desk.call(method, params, group=group)
        return answer["result"]

    async def _post(
        self, method: str, params: Mapping[str, Any], group: str, purpose: Purpose
    ) -> Any:
        answer = await self.desk.call(method, params, group=group, purpose=purpose)
        return answer.get("result") or {}

    async def _pages(
        self, method: str, params: Mapping[str, Any], group: str
    ) -> list[dict[str, Any]]:
        """Read a list that comes in pages."""
        found: list[dict[str, Any]] = []
        cursor = ""
        for _ in range(PAGES_MAX):
            asked = {**params, "cursor": cursor} if cursor else params
            result = await self._get(method, asked, group)
            found += result.get("list") or ()
            cursor = result.get("nextPageCursor") or ""
            if not cursor or not result.get("list"):
                return found
        self.desk.note("pages", f"{method}: more than {PAGES_MAX} pages")
        return found

    # start

    async def time_ms(self) -> int:
        """Read the venue's clock."""
        answer = await self.desk.call("publicGetV5MarketTime", {}, group="public")
        return int(answer["time"])

    async def read_instruments(self, symbols: Sequence[str] | None) -> dict[str, Instrument]:
        """Read grid, limits, fees and tiers."""
        as_of = datetime.fromtimestamp(self.desk.now_ms() / 1e3, UTC).date().isoformat()
        return await read_instruments(self._pages, symbols, as_of)

    async def prepare_account(self) -> None:
        """Set position mode and margin mode where they differ, or only compare them."""
        desk = self.desk
        wants_hedge = desk.settings.position_mode == "hedge"
        is_hedged = await self._is_hedged()
        if is_hedged != wants_hedge and desk.settings.set_modes:
            mode = {"coin": "USDT", "mode": HEDGE if wants_hedge else ONE_WAY}
            await self._post(
                "privatePostV5PositionSwitchMode", LINEAR | mode, "margin_mode", "setting"
            )
            is_hedged = await self._is_hedged()
        if is_hedged != wants_hedge:
            has, wants = ("hedge", "one_way") if is_hedged else ("one_way", "hedge")
            text = (
                f"the account is in {has} mode, the profile wants {wants}: change the account, or "
                "venue.position_mode, or let venue.set_modes do it"
            )
            raise VenueRejected("position_mode_mismatch", text)
        await self._read_margin_mode()
        fits = self._margin_mode == desk.margin_mode and not self._is_portfolio
        if not fits and desk.settings.set_modes:
            await self.set_margin_mode("all symbols", desk.margin_mode)
            await self._read_margin_mode()

    async def _is_hedged(self) -> bool:
        symbol = next(iter(self.desk.symbols), "BTCUSDT")
        result = await self._get(
            "privateGetV5PositionList", LINEAR | {"symbol": symbol}, GROUP_POSITION
        )
        return any(int(row.get("positionIdx") or 0) for row in result["list"])

    # leverage

    async def _read_margin_mode(self) -> None:
        result = await self._get("privateGetV5AccountInfo", {}, "wallet")
        self._margin_mode = rows.MARGIN_MODES[result["marginMode"]]
        self._is_portfolio = result["marginMode"] == PORTFOLIO
        self._margin_mode_s = self.desk.loop.time()

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        """Read the symbol's position rows; two sides that differ read as 0."""
        if self.desk.loop.time() - self._margin_mode_s > ACCOUNT_INFO_AGE_S:
            await self._read_margin_mode()
        result = await self._get(
            "privateGetV5PositionList", LINEAR | {"symbol": symbol}, GROUP_POSITION
        )
        read = {rows.leverage_of(row) for row in result["list"]}
        # a portfolio's risk is no symbol's: what its rows say of leverage proves nothing
        leverage = read.pop() if len(read) == 1 and not self._is_portfolio else 0
        self._leverage[symbol] = leverage
        return LeverageSetting(symbol, leverage, self._margin_mode)

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set both sides; 110043 (not modified) is a success."""
        text = str(leverage)
        asked = LINEAR | {"symbol": symbol, "buyLeverage": text, "sellLeverage": text}
        await self._post("privatePostV5PositionSetLeverage", asked, "leverage", "setting")

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Set the margin mode: the whole account's, whatever the symbol."""
        asked = {"setMarginMode": MARGIN_MODES[mode]}
        result = await self._post(
            "privatePostV5AccountSetMarginMode", asked, "margin_mode", "setting"
        )
        reasons = [str(each.get("reasonMsg")) for each in result.get("reasons") or ()]
        self._margin_mode_s = -ACCOUNT_INFO_AGE_S
        if reasons:
            raise VenueRejected(rejects.MARGIN_MODE_LOCKED, f"{symbol}: {'; '.join(reasons)}")

    # orders

    def _index(self, request: OrderRequest) -> int:
        if self.desk.settings.position_mode != "hedge":
            return 0
        reduces = request.reduce_only or request.close_position
        side = -request.side if reduces else request.side
        return 1 if side > 0 else 2

    async def place(self, request: OrderRequest) -> OrderUpdate:
        """Send an order; Bybit acknowledges, what becomes of it comes by the stream."""
        reduces = request.reduce_only or request.close_position
        result = await self._post(
            "privatePostV5OrderCreate",
            rows.create_request(request, self._index(request)),
            "order",
            "protect" if reduces else "order",
        )
        return OrderUpdate(
            request.client_id,
            str(result.get("orderId", "")),
            request.symbol,
            self.desk.now_ms() * rows.NS_A_MS,
            request.kind,
            request.side,
            request.quantity,
            rows.NOTHING,
            request.price,
            request.trigger,
            request.reduce_only,
            "untriggered" if request.trigger else "new",
        )

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Look in the open orders, which hold the recently ended too, then in the history."""
        asked = LINEAR | {"symbol": symbol, "orderLinkId": client_id}
        for method in ("privateGetV5OrderRealtime", "privateGetV5OrderHistory"):
            result = await self._get(method, asked, "query")
            for row in result["list"]:
                if row.get("orderLinkId") == client_id:
                    return rows.order(row)
        return None

    async def cancel_all(self, symbol: str) -> int:
        """Cancel resting, conditional and attached orders; the answer lists them."""
        asked = LINEAR | {"symbol": symbol}
        result = await self._post("privatePostV5OrderCancelAll", asked, "order", "protect")
        return len(result.get("list") or ())

    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        """Cancel one order, a position's attached stop or target too."""
        named = {"orderId": venue_id} if venue_id else {"orderLinkId": client_id}
        asked = LINEAR | {"symbol": symbol} | named
        await self._post("privatePostV5OrderCancel", asked, "order", "protect")

    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        """Move a resting order; the acknowledgement names no more than its ids."""
        asked = LINEAR | {"symbol": symbol, "orderLinkId": client_id, "price": f"{price:f}"}
        await self._post("privatePostV5OrderAmend", asked, "order", "order")
        try:
            moved = await self.order_by_id(symbol, client_id)
        except VenueUnavailable as error:
            msg = f"{client_id} was amended, but not read: {error}"
            raise VenueUnknown(msg) from error
        if moved is None:
            msg = f"{client_id} was amended, but is not found"
            raise VenueUnknown(msg)
        # the list may be behind the acknowledgement
        return replace(moved, price=price) if rows.is_open(moved) else moved

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Amend the position's Full stop and target in place; 0 removes one."""
        held = [p for p in await self._positions_of(symbol) if p.quantity]
        if not held:
            raise VenueRejected(rejects.NO_POSITION, symbol)
        for position in held:
            index = 0
            if self.desk.settings.position_mode == "hedge":
                index = 1 if position.side > 0 else 2
            asked = LINEAR | {
                "symbol": symbol,
                "positionIdx": index,
                "tpslMode": rows.FULL,
                "stopLoss": f"{stop:f}",
                "takeProfit": f"{target:f}",
                "slTriggerBy": "MarkPrice",
                "tpTriggerBy": "MarkPrice",
            }
            await self._post("privatePostV5PositionTradingStop", asked, "trading_stop", "protect")
        now = [p for p in await self._positions_of(symbol) if p.quantity]
        if not now:
            raise VenueRejected(rejects.NO_POSITION, symbol)
        return now[0]

    # the account

    def _position(self, row: rows.Row) -> PositionChanged:
        return self._positions.position(row, self._margin_mode)

    def _ours(self, listed: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave out the symbols that the profile does not trade: they are somebody else's."""
        return [row for row in listed if row.get("symbol") in self.desk.symbols]

    async def _positions_of(self, symbol: str) -> list[PositionChanged]:
        result = await self._get(
            "privateGetV5PositionList", LINEAR | {"symbol": symbol}, GROUP_POSITION
        )
        return [self._position(row) for row in result["list"]]

    async def positions(self) -> list[PositionChanged]:
        """Read the open positions; cover by partial stops is that of the last reading of orders."""
        asked_ms = self.desk.now_ms()
        listed = await self._pages(
            "privateGetV5PositionList", COIN | {"limit": 200}, GROUP_POSITION
        )
        ours = self._ours(listed)
        others = {row["symbol"] for row in listed} - {row["symbol"] for row in ours}
        if others:
            self.desk.note("foreign_position", f"left alone: {', '.join(sorted(others))}")
        self._positions.take_all(ours, self.desk.now_ms())
        for row in ours:
            if self._positions.both_sides(row["symbol"]):
                self.desk.note("both_sides", f"{row['symbol']}: long and short are held at once")
            if not self._seeded:
                held = rows.SIDES.get(row["side"], 0) * rows.number(row["size"])
                mark = Mark(asked_ms, int(row.get("seq") or 0))
                start = RealisedPnl(held, rows.number(row["avgPrice"]), mark)
                self._realised.setdefault(row["symbol"], start)
        if not self._seeded:
            self._seeded, self._flat_mark = True, Mark(asked_ms)
        return [one for one in map(self._position, ours) if one.quantity]

    async def open_orders(self) -> list[OrderUpdate]:
        """Read what is open, conditional and attached orders too."""
        listed = await self._pages(
            "privateGetV5OrderRealtime", COIN | {"openOnly": 0, "limit": 50}, "query"
        )
        ours = self._ours(listed)
        self._positions.take_orders(ours)
        return [one for one in map(rows.order, ours) if rows.is_open(one)]

    async def balance(self) -> BalanceChanged:
        """Read the account."""
        result = await self._get(
            "privateGetV5AccountWalletBalance", {"accountType": "UNIFIED"}, "wallet"
        )
        at_ns = self.desk.now_ms() * rows.NS_A_MS
        return rows.balance(result["list"][0], at_ns, self._margin_mode)

    async def fills_since(self, since_ms: int) -> list[Fill | FundingPaid]:
        """Read executions of every type; those that change no position and no wallet are left."""
        listed: list[dict[str, Any]] = []
        until_ms = self.desk.now_ms() + 10_000
        start_ms = since_ms
        while start_ms < until_ms:
            end_ms = min(start_ms + HISTORY_STEP_MS, until_ms)
            span = {"startTime": start_ms, "endTime": end_ms, "limit": 100}
            found = await self._pages("privateGetV5ExecutionList", LINEAR | span, "query")
            # newest first, each span by itself
            listed += reversed(self._ours(found))
            start_ms = end_ms + 1
        for symbol in dict.fromkeys(row["symbol"] for row in listed):
            if symbol not in self._traced:
                await self._trace(symbol, [row for row in listed if row["symbol"] == symbol])
        return self._executions(listed)

    async def _trace(self, symbol: str, listed: Sequence[rows.Row]) -> None:
        """Read on backwards, once, until it is known what a symbol's first executions met."""
        book = self._book(symbol)
        book.know(rows.execution(row) for row in listed if row.get("execType") in rows.TRADES)
        first_ms = min(int(row.get("execTime") or 0) for row in listed)
        for back_ms in BACK_MS:
            basis, is_sure = book.start()
            if not basis.quantity or (is_sure and back_ms != BACK_MS[0]):
                break
            span = {"symbol": symbol, "startTime": first_ms - back_ms, "endTime": first_ms}
            found = await self._pages(
                "privateGetV5ExecutionList", LINEAR | span | {"limit": 100}, "query"
            )
            book.know(rows.execution(row) for row in found if row.get("execType") in rows.TRADES)
        self._traced.add(symbol)

    def _book(self, symbol: str) -> RealisedPnl:
        return self._realised.setdefault(symbol, RealisedPnl(mark=self._flat_mark))

    def _executions(self, listed: Sequence[rows.Row]) -> list[Fill | FundingPaid]:
        trades = [row for row in listed if row.get("execType") in rows.TRADES]
        by_symbol: dict[str, list[Execution]] = {}
        for row in trades:
            by_symbol.setdefault(row["symbol"], []).append(rows.execution(row))
        realised: dict[str, Decimal] = {}
        for symbol, executions in by_symbol.items():
            realised |= self._book(symbol).take(executions)
        events: list[Fill | FundingPaid] = []
        for row in listed:
            if row.get("execType") == rows.FUNDING:
                events.append(rows.funding(row))
            elif row.get("execType") in rows.TRADES:
                events.append(rows.fill(row, realised[row["execId"]]))
        return events

    # the private stream

    def streams(self) -> Sequence[PrivateStream]:
        """One connection carries all topics."""
        return (PrivateStream("private", self._watch),)

    async def _watch(self) -> None:
        exchange = self.desk.exchange
        url = exchange.implode_hostname(exchange.urls["api"]["ws"]["private"]["contract"])
        await exchange.authenticate(url)
        # nothing resolves these but the end of the connection: rows go straight to `heard`
        await exchange.watch_topics(url, list(TOPICS), list(TOPICS))

    def heard(self, message: Mapping[str, Any]) -> bool | None:
        """Take a push; ccxt needs to see none of them."""
        topic = message.get("topic")
        if topic is None:
            if message.get("op") == "subscribe" and message.get("success"):
                self.desk.private_ready()
            return None
        linear = [row for row in message["data"] if row.get("category", "linear") == "linear"]
        listed = self._ours(linear)
        if topic == "execution":
            for event in self._executions(listed):
                self.desk.tell(event)
        elif topic == "order":
            for row in listed:
                self._order_pushed(row)
        elif topic == "position":
            for row in listed:
                self._position_pushed(row)
        elif topic == "wallet":
            at_ns = int(message["creationTime"]) * rows.NS_A_MS
            for row in message["data"]:
                self.desk.tell(rows.balance(row, at_ns, self._margin_mode))
        return True

    def _order_pushed(self, row: rows.Row) -> None:
        self.desk.tell(rows.order(row))
        if self._positions.take_order(row):
            # a stop of its own changes what covers the position
            position = self._positions.of(row["symbol"], self._margin_mode)
            if position is not None and position.quantity:
                self.desk.tell(position)

    def _position_pushed(self, row: rows.Row) -> None:
        self._positions.take(row)
        position = self._position(row)
        known = self._leverage.get(position.symbol)
        if known is not None and known != position.leverage:
            changed = LeverageChanged(position.symbol, position.at_ns, position.leverage)
            self.desk.tell(changed)
        self._leverage[position.symbol] = position.leverage
        self.desk.tell(self._positions.of(position.symbol, self._margin_mode) or position)
