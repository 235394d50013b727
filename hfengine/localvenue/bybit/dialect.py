"""Bybit V5 over a `World`: routes and sockets put together."""

from collections.abc import Mapping
from typing import Any, Final

from hfengine.localvenue.bybit.account_rest import AccountRest
from hfengine.localvenue.bybit.desk import Desk
from hfengine.localvenue.bybit.errors import NO_ROUTE, Refused
from hfengine.localvenue.bybit.gate import Gate, Private
from hfengine.localvenue.bybit.market_rest import MarketRest
from hfengine.localvenue.bybit.order_desk import OrderDesk
from hfengine.localvenue.bybit.order_socket import OrderSession
from hfengine.localvenue.bybit.position_desk import PositionDesk
from hfengine.localvenue.bybit.private_socket import AccountStream, PrivateSession
from hfengine.localvenue.bybit.public_socket import PublicSession, PublicTopics
from hfengine.localvenue.bybit.rates import Rates
from hfengine.localvenue.bybit.session import BybitSession
from hfengine.localvenue.bybit.trade_rest import TradeRest
from hfengine.localvenue.ports import Handler, HttpAnswer, HttpRequest, Session, Socket
from hfengine.localvenue.world import World

IDLE_CHECK_S: Final = 10.0
ORDER_OPS: Final = (
    "order.create",
    "order.amend",
    "order.cancel",
    "order.create-batch",
    "order.amend-batch",
    "order.cancel-batch",
)


class BybitDialect:
    """The Bybit V5 protocol: USDT linear, unified account, one-way and hedge mode."""

    name = "bybit"

    def __init__(self, world: World) -> None:
        self._world = world
        self._rates = Rates()
        self._gate = Gate(world, self._rates)
        self._desk = desk = Desk(world)
        self._orders = OrderDesk(desk)
        self._stream = AccountStream(desk)
        self._topics = PublicTopics(world)
        self._market = MarketRest(world)
        self._private: dict[tuple[str, str], Private] = {
            **TradeRest(desk, self._orders).routes(),
            **AccountRest(desk, PositionDesk(desk)).routes(),
        }
        self._calls = {op: self._private["POST", f"/v5/{op.replace('.', '/')}"] for op in ORDER_OPS}
        self._sessions: list[BybitSession] = []
        self._idle_timer = world.every(IDLE_CHECK_S, self._end_idle)

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by (method, path)."""
        gate = self._gate
        public = {route: gate.public(call) for route, call in self._market.routes().items()}
        private = {route: gate.private(call) for route, call in self._private.items()}
        return {**public, **private}

    def session(self, socket: Socket) -> Session | None:
        """Return the session of a new websocket, None for a path that is not served."""
        session: BybitSession
        if socket.path == "/v5/public/linear":
            session = PublicSession(self._world, socket, self._forget, self._topics)
        elif socket.path == "/v5/private":
            session = PrivateSession(self._world, socket, self._forget, self._stream)
        elif socket.path == "/v5/trade":
            session = OrderSession(self._world, socket, self._forget, self._calls, self._rates)
        else:
            return None
        self._sessions.append(session)
        return session

    def failure(self, code: int, message: str, status: int = 200) -> HttpAnswer:
        """Return an error in Bybit's envelope."""
        return self._gate.refuse(Refused(code, message, status=status))

    def not_found(self, request: HttpRequest) -> HttpAnswer:
        """Return the answer to a path that Bybit does not have."""
        message = f"Route not found: {request.method} {request.path}"
        return self._gate.refuse(Refused(NO_ROUTE, message, status=404))

    def stop(self) -> None:
        """End the timers."""
        self._idle_timer()
        self._topics.stop()

    def describe(self) -> Mapping[str, Any]:
        """Return the addresses and ccxt options a client needs; `{http}` and `{ws}` are bases."""
        private = {"contract": "{ws}/v5/private", "trade": "{ws}/v5/trade"}
        sockets = {"public": {"linear": "{ws}/v5/public/linear"}, "private": private}
        return {
            "ccxt": "bybit",
            "urls": {"api": {"public": "{http}", "private": "{http}", "ws": sockets}},
            "options": {
                "fetchMarkets": {"types": ["linear"]},
                "enableUnifiedMargin": False,
                "enableUnifiedAccount": True,
                "unifiedMarginStatus": 6,
            },
        }

    def command(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do something only Bybit has; raises KeyError if unknown.

        `book_restart` {symbol}: snapshots with u = 1 now. `cancel_race` {count}: the next cancels
        of filled orders are taken, and a second Filled follows. `order_rate` {per_second}: another
        limit on order requests of every user. `ip_limit` {requests}: another limit on the requests
        of one address in five seconds.
        """
        if name == "book_restart":
            return {"topics": self._topics.books.restart(str(arguments["symbol"]))}
        if name == "cancel_race":
            self._orders.arm_cancel_race(int(arguments.get("count", 1)))
            return {}
        if name == "order_rate":
            self._rates.set_order_rate(int(arguments["per_second"]))
            return {}
        if name == "ip_limit":
            self._rates.set_ip_limit(int(arguments["requests"]))
            return {}
        raise KeyError(name)

    def _forget(self, session: BybitSession) -> None:
        if session in self._sessions:
            self._sessions.remove(session)

    def _end_idle(self) -> None:
        now_ms = self._world.now_ms()
        for session in tuple(self._sessions):
            session.end_if_idle(now_ms)
