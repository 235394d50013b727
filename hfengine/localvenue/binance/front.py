"""The REST door: limits, keys and signatures before a call; status, headers and JSON after it."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from hfengine.localvenue.binance.auth import Auth
from hfengine.localvenue.binance.errors import BinanceError
from hfengine.localvenue.binance.params import Call
from hfengine.localvenue.binance.rates import BAN_MS, Rates, banned, too_many
from hfengine.localvenue.binance.wire import encode
from hfengine.localvenue.ports import Handler, HttpAnswer, HttpRequest
from hfengine.localvenue.world import World

RETRY_AFTER_S: Final = 30


class Security(Enum):
    """What a call asks of its caller."""

    NONE = auto()
    KEY = auto()
    SIGNED = auto()


class Endpoint(NamedTuple):
    """One REST call: where, for whom, what it does, and what it costs."""

    method: str
    path: str
    security: Security
    do: Callable[[Call], Any]
    weight: int | Callable[[Call], int] = 1
    orders: int = 0


class Front:
    """Turns endpoints into the server's handlers."""

    def __init__(self, world: World, auth: Auth) -> None:
        self._world = world
        self._auth = auth
        self.now_ms = world.now_ms
        self.rates = Rates(world.now_ms)

    def handler(self, endpoint: Endpoint) -> Handler:
        """Return the handler of an endpoint."""

        async def handle(request: HttpRequest) -> HttpAnswer:
            return self.answer(endpoint, request)

        return handle

    def answer(self, endpoint: Endpoint, request: HttpRequest) -> HttpAnswer:
        """Answer one request."""
        account = ""
        more: dict[str, str] = {}
        try:
            params = _params(request)
            open_call = Call("", endpoint.path, params)
            weight = endpoint.weight
            cost = weight if isinstance(weight, int) else weight(open_call)
            self.admit(request.remote, endpoint.path, cost)
            if endpoint.security is Security.SIGNED:
                account = self._auth.request(request, params).account
            elif endpoint.security is Security.KEY:
                account = self._auth.key(request.headers.get("x-mbx-apikey", "")).account
            if endpoint.orders:
                self.rates.spend_orders(account, endpoint.orders)
            row = endpoint.do(Call(account, endpoint.path, params))
            body, status = encode(row), 200
        except BinanceError as error:
            body, status = error_body(error), error.status
            if error.retry_after_s is not None:
                more = {"Retry-After": str(error.retry_after_s)}
        headers = {"X-MBX-USED-WEIGHT-1M": str(self.rates.weight(request.remote)), **more}
        if endpoint.orders and account:
            ten, minute = self.rates.orders(account)
            headers["X-MBX-ORDER-COUNT-10S"] = str(ten)
            headers["X-MBX-ORDER-COUNT-1M"] = str(minute)
        return HttpAnswer(body=body, status=status, headers=headers)

    def admit(self, remote: str, place: str, weight: int) -> None:
        """Count a request against its address; raises BinanceError when it may not pass."""
        faults = self._world.faults
        rule = faults.take("banned", path=place)
        if rule is not None:
            duration_ms = int(rule.delay_ms) or BAN_MS
            self.rates.ban(remote, duration_ms)
            now_ms = self.now_ms()
            raise banned(remote, now_ms + duration_ms, now_ms)
        rule = faults.take("rate_limited", path=place)
        if rule is not None:
            retry_after_s = -(-int(rule.delay_ms) // 1000) or RETRY_AFTER_S
            error = too_many(remote, self.rates.weight_max, retry_after_s)
            raise BinanceError(
                rule.code or error.code,
                rule.message or error.message,
                rule.status or error.status,
                retry_after_s,
            )
        self.rates.spend(remote, weight)


def error_body(error: BinanceError) -> bytes:
    """Return an error as it stands in an answer."""
    return encode({"code": error.code, "msg": error.message})


def _params(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of a request; what stands in query and body is the query's."""
    if not request.body:
        return dict(request.query)
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    return form | dict(request.query)
