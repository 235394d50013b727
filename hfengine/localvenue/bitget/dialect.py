"""Bitget's classic v2 API of USDT futures over a world: its routes and its sockets."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from hfengine.errors import VenueRejected
from hfengine.localvenue.bitget import auth, parameters
from hfengine.localvenue.bitget.account_rest import AccountRest
from hfengine.localvenue.bitget.desk import Desk
from hfengine.localvenue.bitget.errors import NOT_FOUND, Refused, failure, refused_by
from hfengine.localvenue.bitget.market_rest import MarketRest
from hfengine.localvenue.bitget.parameters import Call
from hfengine.localvenue.bitget.plan_rest import PlanRest
from hfengine.localvenue.bitget.private_socket import PrivateFeeds, PrivateSession
from hfengine.localvenue.bitget.public_socket import PublicFeeds, PublicSession
from hfengine.localvenue.bitget.rates import (
    HEADER,
    PRIVATE_PER_SECOND,
    PUBLIC_PER_SECOND,
    Rates,
    too_many,
)
from hfengine.localvenue.bitget.trade_rest import TradeRest
from hfengine.localvenue.ports import Handler, HttpAnswer, HttpRequest, Session, Socket
from hfengine.localvenue.world import World

PUBLIC_SOCKET: Final = "/v2/ws/public"
PRIVATE_SOCKET: Final = "/v2/ws/private"
CCXT_SECTIONS: Final = ("spot", "mix", "user", "common", "margin", "uta")
"""The sections of ccxt's addresses that calls of this venue lie in."""

Deed = Callable[[Call], Any]


class Route(Struct, frozen=True):
    """One endpoint: what answers it, who may ask and how often."""

    deed: Deed
    private: bool = True
    per_second: int = PRIVATE_PER_SECOND


class BitgetDialect:
    """One venue that speaks Bitget's classic v2 protocol."""

    name = "bitget"

    def __init__(self, world: World) -> None:
        self._world = world
        self.desk = Desk(world)
        self.rates = Rates()
        self._market = MarketRest(world)
        self._account = AccountRest(self.desk)
        self._trade = TradeRest(self.desk)
        self._plan = PlanRest(self.desk)
        self._public = PublicFeeds(world)
        self._private = PrivateFeeds(self.desk)
        self._encode = msgspec.json.Encoder().encode

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by (method, path)."""
        listed = {**self._market_routes(), **self._account_routes(), **self._order_routes()}
        return {key: self._handler(key[1], route) for key, route in listed.items()}

    def session(self, socket: Socket) -> Session | None:
        """Return the session of a new websocket; None for a path that is not served."""
        if socket.path == PUBLIC_SOCKET:
            return PublicSession(socket, self._world, self._public)
        if socket.path == PRIVATE_SOCKET:
            return PrivateSession(socket, self._private)
        return None

    def failure(self, code: int, message: str, status: int = 200) -> HttpAnswer:
        """Return an error answer, for injected faults."""
        return failure(
            Refused(f"{code:05d}" if code > 999 else str(code), message, status), self._now()
        )

    def not_found(self, request: HttpRequest) -> HttpAnswer:
        """Return the answer to a path that does not exist, the same for all of them."""
        del request
        return failure(Refused(NOT_FOUND, "Request URL NOT FOUND", 404), self._now())

    def stop(self) -> None:
        """End the dialect's timers."""
        self._public.stop()

    def describe(self) -> Mapping[str, Any]:
        """Return paths and ccxt options; `{http}` and `{ws}` stand for the addresses."""
        sockets = {"public": "{ws}" + PUBLIC_SOCKET, "private": "{ws}" + PRIVATE_SOCKET}
        return {
            "sockets": [PUBLIC_SOCKET, PRIVATE_SOCKET],
            "ccxt": {
                "id": "bitget",
                "urls": {"api": {**dict.fromkeys(CCXT_SECTIONS, "{http}"), "ws": sockets}},
                "options": {
                    "uta": False,
                    "defaultType": "swap",
                    "fetchMarkets": {"types": ["swap"]},
                },
            },
        }

    def command(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do something only this dialect knows; raises KeyError if unknown.

        `spoil_checksum` (symbol): the next diff of the book carries a wrong checksum.
        """
        if name != "spoil_checksum":
            raise KeyError(name)
        feed = self._public.book(str(arguments["symbol"]))
        if feed is None:
            return {"spoiled": False}
        feed.spoil_checksum = True
        return {"spoiled": True}

    # Routes

    def _market_routes(self) -> dict[tuple[str, str], Route]:
        market = self._market
        deeds: dict[str, Deed] = {
            "/api/v2/public/time": market.time,
            "/api/v2/spot/public/coins": market.nothing,
            "/api/v2/spot/public/symbols": market.nothing,
            "/api/v2/margin/currencies": market.nothing,
            "/api/v2/mix/market/contracts": market.contracts,
            "/api/v2/mix/market/query-position-lever": market.tiers,
            "/api/v2/mix/market/merge-depth": market.depth,
            "/api/v2/mix/market/orderbook": market.depth,
            "/api/v2/mix/market/ticker": market.ticker,
            "/api/v2/mix/market/tickers": market.tickers,
            "/api/v2/mix/market/symbol-price": market.prices,
            "/api/v2/mix/market/fills": market.trades,
            "/api/v2/mix/market/fills-history": market.trades,
            "/api/v2/mix/market/candles": market.candles,
            "/api/v2/mix/market/history-candles": market.candles,
            "/api/v2/mix/market/history-mark-candles": market.candles,
            "/api/v2/mix/market/history-index-candles": market.candles,
            "/api/v2/mix/market/current-fund-rate": market.funding_rate,
            "/api/v2/mix/market/funding-time": market.funding_time,
            "/api/v2/mix/market/history-fund-rate": market.funding_history,
            "/api/v2/mix/market/open-interest": market.open_interest,
        }
        return {
            ("GET", path): Route(deed, private=False, per_second=PUBLIC_PER_SECOND)
            for path, deed in deeds.items()
        }

    def _account_routes(self) -> dict[tuple[str, str], Route]:
        account = self._account
        return {
            ("GET", "/api/v3/account/settings"): Route(self._market.classic),
            ("GET", "/api/v2/common/trade-rate"): Route(account.trade_rate),
            ("GET", "/api/v2/mix/account/accounts"): Route(account.accounts),
            ("GET", "/api/v2/mix/account/account"): Route(account.account),
            ("GET", "/api/v2/mix/account/bill"): Route(account.bills),
            ("POST", "/api/v2/mix/account/set-leverage"): Route(account.set_leverage, per_second=5),
            ("POST", "/api/v2/mix/account/set-margin-mode"): Route(
                account.set_margin_mode, per_second=5
            ),
            ("POST", "/api/v2/mix/account/set-position-mode"): Route(
                account.set_position_mode, per_second=5
            ),
            ("GET", "/api/v2/mix/position/all-position"): Route(
                account.all_positions, per_second=5
            ),
            ("GET", "/api/v2/mix/position/single-position"): Route(account.single_position),
            ("GET", "/api/v2/mix/position/history-position"): Route(account.history, per_second=20),
        }

    def _order_routes(self) -> dict[tuple[str, str], Route]:
        trade, plan = self._trade, self._plan
        posts: dict[str, Deed] = {
            "place-order": trade.place,
            "modify-order": trade.modify,
            "cancel-order": trade.cancel,
            "batch-cancel-orders": trade.cancel_batch,
            "cancel-all-orders": trade.cancel_all,
            "place-tpsl-order": plan.place_tpsl,
            "place-pos-tpsl": plan.place_position_tpsl,
            "modify-tpsl-order": plan.modify_tpsl,
            "place-plan-order": plan.place_plan,
            "modify-plan-order": plan.modify_plan,
            "cancel-plan-order": plan.cancel,
        }
        gets: dict[str, Deed] = {
            "detail": trade.detail,
            "orders-pending": trade.pending,
            "orders-history": trade.history,
            "fills": trade.fills,
            "fill-history": trade.fills,
            "orders-plan-pending": plan.pending,
            "orders-plan-history": plan.history,
        }
        prefix = "/api/v2/mix/order/"
        return {
            **{("POST", prefix + name): Route(deed) for name, deed in posts.items()},
            **{("GET", prefix + name): Route(deed) for name, deed in gets.items()},
            ("POST", f"{prefix}batch-place-order"): Route(trade.place_batch, per_second=5),
            ("POST", f"{prefix}close-positions"): Route(trade.close, per_second=1),
        }

    # Serving

    def _handler(self, path: str, route: Route) -> Handler:
        async def handle(request: HttpRequest) -> HttpAnswer:
            return self._serve(path, route, request)

        return handle

    def _serve(self, path: str, route: Route, request: HttpRequest) -> HttpAnswer:
        now_ms = self._now()
        headers: dict[str, str] = {}
        try:
            self.rates.admit(request.remote, now_ms)
            account = ""
            if route.private:
                account = auth.authenticate(request, self._world.keys, now_ms).account
            self._strike(path, account)
            who = account or request.remote
            left = self.rates.spend(who, path, route.per_second, now_ms)
            headers[HEADER] = str(left)
            call = Call(account, parameters.read(request), path, now_ms)
            found = route.deed(call)
        except Refused as refused:
            return _with_headers(failure(refused, now_ms), headers)
        except VenueRejected as rejected:
            return _with_headers(failure(refused_by(rejected), now_ms), headers)
        body = (
            b'{"code":"00000","msg":"success","requestTime":%d,"data":' % now_ms
            + self._encode(found)
            + b"}"
        )
        return HttpAnswer(body=body, headers=headers)

    def _strike(self, path: str, account: str) -> None:
        """Let scripted faults refuse a request whatever it asks; raises Refused."""
        faults = self._world.faults
        rule = faults.take("rate_limited", path=path, account=account)
        if rule is not None:
            raise too_many()
        rule = faults.take("banned", path=path, account=account)
        if rule is not None:
            code = str(rule.code or 40018)
            raise Refused(code, rule.message or "Invalid IP", rule.status or 403)

    def _now(self) -> int:
        return self._world.now_ms()


def _with_headers(answer: HttpAnswer, headers: Mapping[str, str]) -> HttpAnswer:
    return msgspec.structs.replace(answer, headers=headers) if headers else answer
