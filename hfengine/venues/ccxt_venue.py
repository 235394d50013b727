"""Any exchange ccxt.pro knows, by ccxt's unified methods alone: the plain fallback.

What it cannot prove, it says: an exchange that cannot read back a leverage proves none, so that the
entry gate refuses; an exchange whose features do not hold an attached stop takes no entry with one.
Its private events are what ccxt merged them to; REST readings fill the gaps.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, Final

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
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
from hfengine.venues import ccxt_rows as rows
from hfengine.venues.ccxt_market import CcxtMarket, open_exchange
from hfengine.venues.market import Dialect as MarketDialect
from hfengine.venues.market import Market
from hfengine.venues.quirks import Budget, MarginMode, Place, PrivateStream, Purpose, Quirks

UNPROVABLE: Final = "unprovable"
GROUP: Final = "any"
KINDS: Final[tuple[dict[str, Any], ...]] = ({}, {"trigger": True})
"""Parameters that ask for resting and for conditional orders."""

CALLS_A_SECOND: Final = 5
"""Slow on purpose: the exchange's own limits are not known here."""


class CcxtQuirks(Quirks):
    """One exchange by its name at ccxt."""

    budgets = (Budget(GROUP, CALLS_A_SECOND, 1.0),)
    tells_ready = False

    def __init__(self, ccxt_id: str) -> None:
        super().__init__()
        self.ccxt_id = ccxt_id
        self._unified: dict[str, str] = {}
        """Our symbol -> ccxt's."""
        self._stops: dict[str, list[OrderUpdate]] = {}

    # making the clients

    def configuration(self, place: Place) -> dict[str, Any]:
        """Return ccxt's arguments: swaps by default."""
        del place
        return {"options": {"defaultType": "swap", "defaultSubType": "linear"}}

    def adjust(self, exchange: Any, place: Place) -> None:
        """Switch to the exchange's practice ground; raises VenueRejected where it has none."""
        if place.mode == "live":
            return
        if place.mode == "local":
            text = f"the local venue does not speak the protocol of {self.ccxt_id}"
            raise VenueRejected("not_supported", text)
        if not exchange.urls.get("test"):
            raise VenueRejected("not_supported", f"{self.ccxt_id} has no {place.mode} at ccxt")
        exchange.set_sandbox_mode(True)

    def open_feed(
        self,
        symbols: Sequence[str],
        place: Place,
        *,
        host: ActorHost,
        random: Random,
        stages: Stages,
    ) -> tuple[Market, MarketDialect]:
        """Return ccxt.pro's own streams."""
        del stages
        exchange = open_exchange(self.ccxt_id, self.configuration(place))
        if place.mode == "testnet":
            exchange.set_sandbox_mode(True)
        return CcxtMarket(exchange, symbols, host=host, random=random), "ticks"

    # calls

    async def _ask(
        self, method: str, *arguments: Any, purpose: Purpose = "read", needed: bool = True
    ) -> Any:
        """Call one unified method; where the exchange has none: VenueRejected, or None."""
        exchange = self.desk.exchange
        offered = rows.camel(method)
        if not exchange.has.get(offered):
            if needed:
                raise VenueRejected(UNPROVABLE, f"{self.ccxt_id} has no {offered}")
            return None
        return await self.desk.call(method, {"arguments": arguments}, group=GROUP, purpose=purpose)

    def _symbol(self, symbol: str) -> str:
        try:
            return self._unified[symbol]
        except KeyError:
            raise VenueRejected(rejects.UNKNOWN_SYMBOL, symbol) from None

    def _ours(self, unified: str) -> str | None:
        return next((ours for ours, theirs in self._unified.items() if theirs == unified), None)

    # start

    async def time_ms(self) -> int:
        """Read the exchange's clock; ours where it has no such call."""
        told = await self._ask("fetch_time", needed=False)
        return self.desk.now_ms() if told is None else int(told)

    async def read_instruments(self, symbols: Sequence[str] | None) -> dict[str, Instrument]:
        """Read the markets, and the leverage tiers where the exchange lists them."""
        markets = await self.desk.call("load_markets", {"arguments": (True,)}, group=GROUP)
        as_of = datetime.fromtimestamp(self.desk.now_ms() / 1e3, UTC).date().isoformat()
        found = {}
        for unified, market in markets.items():
            if not (market.get("swap") and market.get("linear") and market.get("active", True)):
                continue
            name = market["id"] if symbols is None or market["id"] in symbols else unified
            if market.get("settle") != "USDT" or (symbols is not None and name not in symbols):
                continue
            tiers = await self._tiers(unified) if symbols is not None else []
            found[name] = rows.instrument(name, market, tiers, as_of)
            self._unified[name] = unified
        return found

    async def _tiers(self, unified: str) -> list[Mapping[str, Any]]:
        try:
            told = await self._ask("fetch_market_leverage_tiers", unified, needed=False)
        except (VenueRejected, VenueUnavailable) as error:
            self.desk.note(UNPROVABLE, f"tiers of {unified}: {error}")
            return []
        return list(told or ())

    async def prepare_account(self) -> None:
        """Say what cannot be proved; set the position mode where the exchange can."""
        desk = self.desk
        if desk.settings.position_mode == "hedge":
            text = f"hedge mode at {self.ccxt_id} is not supported: use position_mode one_way"
            raise VenueRejected("not_supported", text)
        for method in ("fetch_leverage", "fetch_my_trades", "watch_orders", "set_position_mode"):
            if not desk.exchange.has.get(rows.camel(method)):
                desk.note(UNPROVABLE, f"{self.ccxt_id} has no {rows.camel(method)}")
        if desk.settings.set_modes:
            await self._ask("set_position_mode", False, purpose="setting", needed=False)

    # leverage

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        """Read it; VenueRejected "unprovable" where the exchange cannot tell."""
        told = await self._ask("fetch_leverage", self._symbol(symbol))
        sides = {told.get("longLeverage"), told.get("shortLeverage")} - {None}
        exact = Decimal(str(sides.pop())) if len(sides) == 1 else Decimal(0)
        leverage = int(exact) if exact == exact.to_integral_value() else 0
        mode = told.get("marginMode")
        if mode not in ("isolated", "cross"):
            raise VenueRejected(UNPROVABLE, f"{self.ccxt_id} does not tell {symbol}'s margin mode")
        return LeverageSetting(symbol, leverage, mode)

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Ask for a leverage."""
        await self._ask("set_leverage", leverage, self._symbol(symbol), purpose="setting")

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Ask for a margin mode."""
        await self._ask("set_margin_mode", mode, self._symbol(symbol), purpose="setting")

    # orders

    async def place(self, request: OrderRequest) -> OrderUpdate:
        """Send an order; an entry whose protection cannot be attached is refused here."""
        unified = self._symbol(request.symbol)
        if request.close_position or request.trigger:
            raise VenueRejected("not_supported", f"{request.kind} orders by ccxt's unified methods")
        params = rows.order_params(request)
        if (request.stop or request.target) and not self._attaches(unified):
            text = (
                f"{self.ccxt_id} does not attach stop and target to an entry by ccxt's unified "
                "methods: an entry would stand unprotected"
            )
            raise VenueRejected("protection_not_supported", text)
        reduces = request.reduce_only
        told = await self.desk.call(
            "create_order",
            {
                "arguments": (
                    unified,
                    "limit" if request.kind == "limit" else "market",
                    "buy" if request.side > 0 else "sell",
                    float(request.quantity / self._contract(unified)),
                    float(request.price) if request.kind == "limit" else None,
                    params,
                )
            },
            group=GROUP,
            purpose="protect" if reduces else "order",
        )
        return rows.acknowledged(request, told, self.desk.now_ms())

    def _attaches(self, unified: str) -> bool:
        features = self.desk.exchange.feature_value(unified, "createOrder") or {}
        return bool(features.get("attachedStopLossTakeProfit"))

    def _contract(self, unified: str) -> Decimal:
        return rows.number(self.desk.exchange.markets[unified].get("contractSize") or 1)

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Look through open and closed orders."""
        unified = self._symbol(symbol)
        for method in ("fetch_open_orders", "fetch_closed_orders"):
            listed = await self._ask(method, unified, None, 100, needed=False)
            for told in listed or ():
                if told.get("clientOrderId") == client_id:
                    return rows.order(symbol, told, self._contract(unified))
        return None

    async def cancel_all(self, symbol: str) -> int:
        """Cancel resting orders, and conditional ones where the exchange lists them apart."""
        unified = self._symbol(symbol)
        count = 0
        for params in KINDS:
            listed = await self._ask("fetch_open_orders", unified, None, None, params)
            count += len(listed)
            if listed:
                await self._ask("cancel_all_orders", unified, params, purpose="protect")
        return count

    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        """Look an order up among the open ones, which says how it is cancelled."""
        unified = self._symbol(symbol)
        for params in KINDS:
            for told in await self._open(unified, params):
                named = told.get("id") if venue_id else told.get("clientOrderId")
                if named == (venue_id or client_id):
                    arguments = (told["id"], unified, params)
                    await self._ask("cancel_order", *arguments, purpose="protect")
                    return
        raise VenueRejected(rejects.UNKNOWN_ORDER, f"{symbol} {venue_id or client_id}")

    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        """Refuse: what edit_order does to id and place in the queue differs by exchange."""
        text = f"{self.ccxt_id}: ccxt cannot move {client_id} of {symbol} to {price} for certain"
        raise VenueRejected("not_supported", text)

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Refuse: no unified method moves a position's stop without leaving it uncovered."""
        text = f"{self.ccxt_id}: ccxt has no unified way to move {symbol}'s stop to {stop}/{target}"
        raise VenueRejected("not_supported", text)

    # the account

    async def positions(self) -> list[PositionChanged]:
        """Read the positions; cover is what the exchange says of attached stops."""
        listed = await self._ask("fetch_positions", list(map(self._symbol, self.desk.symbols)))
        found = [self._position(told) for told in listed]
        return [one for one in found if one is not None and one.quantity]

    def _position(self, told: Mapping[str, Any]) -> PositionChanged | None:
        symbol = self._ours(told["symbol"])
        if symbol is None or symbol not in self.desk.symbols:
            # another strategy's
            return None
        stops = self._stops.get(symbol, ())
        contract = self._contract(told["symbol"])
        return rows.position(symbol, told, contract, stops, self.desk.now_ms())

    async def open_orders(self) -> list[OrderUpdate]:
        """Read the open orders, symbol by symbol."""
        found = []
        for symbol, unified in self._unified.items():
            if symbol not in self.desk.symbols:
                continue
            of_symbol = []
            for params in KINDS:
                listed = await self._open(unified, params)
                of_symbol += [rows.order(symbol, t, self._contract(unified)) for t in listed]
            self._stops[symbol] = [o for o in of_symbol if o.kind == "stop_market"]
            found += of_symbol
        return list({update.venue_id: update for update in found}.values())

    async def _open(self, unified: str, params: Mapping[str, Any]) -> list[Any]:
        """Read a symbol's open orders of one kind."""
        try:
            return list(await self._ask("fetch_open_orders", unified, None, None, params))
        except VenueRejected:
            if not params:
                raise
            # without conditional orders of their own kind: nothing is missed
            return []

    async def balance(self) -> BalanceChanged:
        """Read the account."""
        told = await self._ask("fetch_balance")
        return rows.balance(told, self.desk.now_ms())

    async def fills_since(self, since_ms: int) -> list[Fill | FundingPaid]:
        """Read our trades, symbol by symbol; funding has no unified form that can be trusted."""
        found: list[Fill | FundingPaid] = []
        for symbol in self.desk.symbols:
            unified = self._symbol(symbol)
            listed = await self._ask("fetch_my_trades", unified, since_ms)
            contract = self._contract(unified)
            found += [rows.fill(symbol, told, contract) for told in listed]
        return sorted(found, key=lambda event: event.at_ns)

    # the private stream

    def streams(self) -> Sequence[PrivateStream]:
        """One loop a kind of event; each asks for a reading of the account when it breaks."""
        exchange = self.desk.exchange
        watches: dict[str, Callable[[], Awaitable[None]]] = {
            "watchOrders": self._watch_orders,
            "watchMyTrades": self._watch_trades,
            "watchPositions": self._watch_positions,
            "watchBalance": self._watch_balance,
        }
        offered = {name: watch for name, watch in watches.items() if exchange.has.get(name)}
        self.desk.reconcile_soon("the first reading")
        return [PrivateStream(name, self._kept(watch)) for name, watch in offered.items()]

    def _kept(self, watch: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def kept() -> None:
            try:
                await watch()
            except (VenueRejected, VenueUnknown, VenueUnavailable):
                raise
            except Exception:
                self.desk.reconcile_soon("a private stream broke")
                raise

        return kept

    async def _watch_orders(self) -> None:
        # ccxt's lists are live: what is needed is copied before anything else runs
        for told in list(await self.desk.exchange.watch_orders()):
            symbol = self._ours(told["symbol"])
            if symbol is not None:
                self.desk.tell(rows.order(symbol, told, self._contract(told["symbol"])))
        # several changes of one order may have come as one
        self.desk.reconcile_soon("an order changed")

    async def _watch_trades(self) -> None:
        for told in list(await self.desk.exchange.watch_my_trades()):
            symbol = self._ours(told["symbol"])
            if symbol is not None:
                self.desk.tell(rows.fill(symbol, told, self._contract(told["symbol"])))

    async def _watch_positions(self) -> None:
        for told in list(await self.desk.exchange.watch_positions()):
            position = self._position(told)
            if position is not None:
                self.desk.tell(position)

    async def _watch_balance(self) -> None:
        await self.desk.exchange.watch_balance()
        # what the streams call free and used differs from exchange to exchange: REST tells
        self.desk.reconcile_soon("the balance changed")

    def heard(self, message: Mapping[str, Any]) -> bool | None:
        """Leave every message to ccxt."""
        del message
        return None
