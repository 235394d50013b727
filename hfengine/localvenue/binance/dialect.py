"""Binance USDⓈ-M as a dialect: its addresses, and what stands behind each."""

from collections.abc import Mapping
from typing import Any, Final

from hfengine.localvenue.binance.accounts import Accounts
from hfengine.localvenue.binance.algos import Algos
from hfengine.localvenue.binance.auth import Auth
from hfengine.localvenue.binance.desk import Desk
from hfengine.localvenue.binance.errors import BinanceError
from hfengine.localvenue.binance.front import Endpoint, Front, Security, error_body
from hfengine.localvenue.binance.listen_keys import ListenKeys
from hfengine.localvenue.binance.market_rest import MarketCalls, depth_weight
from hfengine.localvenue.binance.order_socket import Method, OrderSession
from hfengine.localvenue.binance.params import Call
from hfengine.localvenue.binance.private_streams import PrivateStreams
from hfengine.localvenue.binance.public_streams import PublicStreams
from hfengine.localvenue.binance.stream_session import StreamSession, parse_address
from hfengine.localvenue.binance.trading import Trading
from hfengine.localvenue.ports import Handler, HttpAnswer, HttpRequest, Session, Socket
from hfengine.localvenue.world import World

ORDER_SOCKET: Final = "/ws-fapi/v1"
FAULTS_EVERY_S: Final = 0.25
OPEN, KEY, SIGNED = Security.NONE, Security.KEY, Security.SIGNED


class BinanceDialect:
    """Binance USDⓈ-M futures over a world."""

    name = "binance"

    def __init__(self, world: World) -> None:
        self._world = world
        desk = Desk(world)
        self._auth = Auth(world.keys, world.now_ms)
        self._front = Front(world, self._auth)
        self._trading = Trading(desk)
        self._algos = Algos(desk, self._trading)
        self._accounts = Accounts(desk, self._front.rates)
        self._public = PublicStreams(desk)
        self._market = MarketCalls(desk, self._front.rates, self._public.shown)
        self._private = PrivateStreams(desk, self._trading.unrecorded, self._public.forced)
        self._keys = ListenKeys(world, self._private.key_ended)
        self._methods = self._socket_methods()
        self._cancel = world.every(FAULTS_EVERY_S, self._look_for_faults)

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by (method, path)."""
        endpoints = (
            *self._market_endpoints(),
            *self._trade_endpoints(),
            *self._account_endpoints(),
        )
        return {(one.method, one.path): self._front.handler(one) for one in endpoints}

    def session(self, socket: Socket) -> Session | None:
        """Return the session of a new websocket; None for a path that is not served."""
        if socket.path.rstrip("/") == ORDER_SOCKET:
            return OrderSession(socket, self._front, self._auth, self._methods)
        address = parse_address(socket.path, socket.query)
        if address is None:
            return None
        combined, names = address
        session = StreamSession(
            self._world, socket, self._public, self._private, self._keys, combined=combined
        )
        session.open(names)
        return session

    def failure(self, code: int, message: str, status: int = 200) -> HttpAnswer:
        """Return an error answer; Binance never has one with status 200, so that means 400."""
        error = BinanceError(code, message)
        return HttpAnswer(body=error_body(error), status=400 if status == 200 else status)

    def not_found(self, request: HttpRequest) -> HttpAnswer:
        """Return the answer to a path that does not exist."""
        message = f"Path {request.path}, Method {request.method} is invalid"
        return HttpAnswer(body=error_body(BinanceError(-5000, message)), status=404)

    def stop(self) -> None:
        """End the dialect's timers."""
        self._cancel()
        self._trading.stop()
        self._public.stop()
        self._private.stop()
        self._keys.stop()

    def describe(self) -> Mapping[str, Any]:
        """Return the addresses and ccxt options a client needs; `{http}` and `{ws}` are bases."""
        versions = {"": "v1", "V2": "v2", "V3": "v3"}
        urls: dict[str, Any] = {
            f"fapi{access}{suffix}": "{http}/fapi/" + version
            for access in ("Public", "Private")
            for suffix, version in versions.items()
        }
        urls["ws"] = {"linear": "{ws}/ws", "ws-api": {"linear": "{ws}" + ORDER_SOCKET}}
        options = {
            "fetchCurrencies": False,
            "fetchMargins": False,
            "fetchOpenOrders": {"warnWithoutSymbol": False},
        }
        return {"ccxt": "binanceusdm", "urls": {"api": urls}, "options": options}

    def command(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do something only Binance has; raises KeyError if unknown.

        `expire_listen_key` {account, event = true}: the account's key ends now, with or without
        the event. `limits` {weight, orders_10s, orders_1m}: other limits for everyone; what is
        left out stays.
        """
        if name == "expire_listen_key":
            event = bool(arguments.get("event", True))
            return {"expired": self._keys.expire(str(arguments["account"]), event=event)}
        if name == "limits":
            rates = self._front.rates
            rates.weight_max = int(arguments.get("weight", rates.weight_max))
            rates.orders_10s_max = int(arguments.get("orders_10s", rates.orders_10s_max))
            rates.orders_1m_max = int(arguments.get("orders_1m", rates.orders_1m_max))
            return {"rateLimits": rates.limits()}
        raise KeyError(name)

    def _look_for_faults(self) -> None:
        for account in self._keys.accounts():
            rule = self._world.faults.take("listen_key_expired", account=account)
            if rule is not None:
                self._keys.expire(account, event=rule.event)

    def _market_endpoints(self) -> tuple[Endpoint, ...]:
        market = self._market
        return (
            Endpoint("GET", "/fapi/v1/ping", OPEN, market.ping),
            Endpoint("GET", "/fapi/v1/time", OPEN, market.time),
            Endpoint("GET", "/fapi/v1/exchangeInfo", OPEN, market.exchange_info),
            Endpoint("GET", "/fapi/v1/depth", OPEN, market.depth, depth_weight),
            Endpoint("GET", "/fapi/v1/trades", OPEN, market.trades, 5),
            Endpoint("GET", "/fapi/v1/aggTrades", OPEN, market.aggregates, 20),
            Endpoint("GET", "/fapi/v1/klines", OPEN, market.candles, 5),
            Endpoint("GET", "/fapi/v1/premiumIndex", OPEN, market.premium_index),
            Endpoint("GET", "/fapi/v1/ticker/24hr", OPEN, market.day, _one_or(1, 40)),
            Endpoint("GET", "/fapi/v1/ticker/bookTicker", OPEN, market.best, _one_or(2, 5)),
            Endpoint("GET", "/fapi/v1/ticker/price", OPEN, market.price, _one_or(1, 2)),
            Endpoint("GET", "/fapi/v2/ticker/price", OPEN, market.price, _one_or(1, 2)),
            Endpoint("GET", "/fapi/v1/openInterest", OPEN, market.open_interest),
            Endpoint("GET", "/fapi/v1/fundingInfo", OPEN, market.funding_info, 0),
            Endpoint("GET", "/fapi/v1/fundingRate", OPEN, market.funding_rates, 0),
        )

    def _trade_endpoints(self) -> tuple[Endpoint, ...]:
        trading, algos = self._trading, self._algos
        return (
            Endpoint("POST", "/fapi/v1/order", SIGNED, trading.place, 0, 1),
            Endpoint("GET", "/fapi/v1/order", SIGNED, trading.query),
            Endpoint("PUT", "/fapi/v1/order", SIGNED, trading.amend_rest, 0, 1),
            Endpoint("DELETE", "/fapi/v1/order", SIGNED, trading.cancel),
            Endpoint("POST", "/fapi/v1/batchOrders", SIGNED, trading.place_batch, 5, 5),
            Endpoint("PUT", "/fapi/v1/batchOrders", SIGNED, trading.amend_batch, 5, 5),
            Endpoint("DELETE", "/fapi/v1/batchOrders", SIGNED, trading.cancel_batch),
            Endpoint("GET", "/fapi/v1/openOrder", SIGNED, trading.open_order),
            Endpoint("GET", "/fapi/v1/openOrders", SIGNED, trading.open_orders, _one_or(1, 40)),
            Endpoint("GET", "/fapi/v1/allOrders", SIGNED, trading.all_orders, 5),
            Endpoint("DELETE", "/fapi/v1/allOpenOrders", SIGNED, trading.cancel_all),
            Endpoint("POST", "/fapi/v1/countdownCancelAll", SIGNED, trading.countdown, 10),
            Endpoint("GET", "/fapi/v1/userTrades", SIGNED, trading.trades, 5),
            Endpoint("POST", "/fapi/v1/algoOrder", SIGNED, algos.place, 0, 1),
            Endpoint("GET", "/fapi/v1/algoOrder", SIGNED, algos.query),
            Endpoint("DELETE", "/fapi/v1/algoOrder", SIGNED, algos.cancel),
            Endpoint("GET", "/fapi/v1/openAlgoOrders", SIGNED, algos.open_orders, _one_or(1, 40)),
            Endpoint("GET", "/fapi/v1/allAlgoOrders", SIGNED, algos.all_orders, 5),
            Endpoint("DELETE", "/fapi/v1/algoOpenOrders", SIGNED, algos.cancel_all),
        )

    def _account_endpoints(self) -> tuple[Endpoint, ...]:
        accounts, keys = self._accounts, self._keys
        return (
            Endpoint("POST", "/fapi/v1/leverage", SIGNED, accounts.set_leverage),
            Endpoint("POST", "/fapi/v1/marginType", SIGNED, accounts.set_margin_type),
            Endpoint("POST", "/fapi/v1/positionSide/dual", SIGNED, accounts.set_position_mode),
            Endpoint("GET", "/fapi/v1/positionSide/dual", SIGNED, accounts.position_mode, 30),
            Endpoint("POST", "/fapi/v1/multiAssetsMargin", SIGNED, accounts.set_multi_assets),
            Endpoint("GET", "/fapi/v1/multiAssetsMargin", SIGNED, accounts.multi_assets, 30),
            Endpoint("GET", "/fapi/v1/symbolConfig", SIGNED, accounts.symbol_config, 5),
            Endpoint("GET", "/fapi/v1/accountConfig", SIGNED, accounts.account_config, 5),
            Endpoint("GET", "/fapi/v1/leverageBracket", SIGNED, accounts.leverage_bracket),
            Endpoint("GET", "/fapi/v1/commissionRate", SIGNED, accounts.commission_rate, 20),
            Endpoint("GET", "/fapi/v1/rateLimit/order", SIGNED, accounts.order_limits),
            Endpoint("GET", "/fapi/v1/adlQuantile", SIGNED, accounts.adl_quantile, 5),
            Endpoint("GET", "/fapi/v1/feeBurn", SIGNED, accounts.fee_burn, 30),
            Endpoint("GET", "/fapi/v1/income", SIGNED, accounts.income, 30),
            Endpoint("GET", "/fapi/v2/account", SIGNED, accounts.account_v2, 5),
            Endpoint("GET", "/fapi/v3/account", SIGNED, accounts.account_v3, 5),
            Endpoint("GET", "/fapi/v2/balance", SIGNED, accounts.balance, 5),
            Endpoint("GET", "/fapi/v3/balance", SIGNED, accounts.balance, 5),
            Endpoint("GET", "/fapi/v2/positionRisk", SIGNED, accounts.position_risk_v2, 5),
            Endpoint("GET", "/fapi/v3/positionRisk", SIGNED, accounts.position_risk_v3, 5),
            Endpoint("POST", "/fapi/v1/listenKey", KEY, keys.open),
            Endpoint("PUT", "/fapi/v1/listenKey", KEY, keys.extend),
            Endpoint("DELETE", "/fapi/v1/listenKey", KEY, keys.close),
        )

    def _socket_methods(self) -> Mapping[str, Method]:
        market, accounts, keys = self._market, self._accounts, self._keys
        return {
            "ping": Method(OPEN, market.ping),
            "time": Method(OPEN, market.time),
            "exchangeInfo": Method(OPEN, market.exchange_info),
            "depth": Method(OPEN, market.depth, 5),
            "ticker.price": Method(OPEN, market.price, 2),
            "ticker.book": Method(OPEN, market.best, 2),
            "order.place": Method(SIGNED, self._trading.place, 0, 1),
            "order.modify": Method(SIGNED, self._trading.amend, 0, 1),
            "order.cancel": Method(SIGNED, self._trading.cancel),
            "order.status": Method(SIGNED, self._trading.query),
            "algoOrder.place": Method(SIGNED, self._algos.place, 0, 1),
            "algoOrder.cancel": Method(SIGNED, self._algos.cancel),
            "account.status": Method(SIGNED, accounts.account_v2, 5),
            "account.balance": Method(SIGNED, accounts.balance, 5),
            "account.position": Method(SIGNED, accounts.position_risk_v2, 5),
            "v2/account.status": Method(SIGNED, accounts.account_v3, 5),
            "v2/account.balance": Method(SIGNED, accounts.balance, 5),
            "v2/account.position": Method(SIGNED, accounts.position_socket, 5),
            "userDataStream.start": Method(KEY, keys.open),
            "userDataStream.ping": Method(KEY, keys.extend),
            "userDataStream.stop": Method(KEY, keys.close),
        }


def _one_or(one: int, all_of_them: int) -> Any:
    """Return the weight of a call that is dearer without a symbol."""

    def weight(call: Call) -> int:
        return one if call.has("symbol") else all_of_them

    return weight
