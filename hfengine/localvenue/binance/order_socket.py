"""The websocket API: signed requests with an id, each answered once."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from hfengine.localvenue.binance.auth import Auth
from hfengine.localvenue.binance.errors import BinanceError
from hfengine.localvenue.binance.front import Front, Security
from hfengine.localvenue.binance.params import Call
from hfengine.localvenue.binance.wire import Row, encode
from hfengine.localvenue.ports import Socket

REMOTE = "127.0.0.1"
_TEXTS = msgspec.json.Decoder(dict[str, str])
"""For parameters that are all text already; numbers keep the digits they were signed with."""


class Method(NamedTuple):
    """One method: who may call it, what it costs, what it does."""

    security: Security
    do: Callable[[Call], Any]
    weight: int = 1
    orders: int = 0


class Ask(msgspec.Struct):
    """A request as it stands in a frame."""

    method: str
    id: int | str | None = None
    params: msgspec.Raw = msgspec.Raw(b"{}")


class OrderSession:
    """One connection of the websocket API."""

    def __init__(
        self, socket: Socket, front: Front, auth: Auth, methods: Mapping[str, Method]
    ) -> None:
        self._socket = socket
        self._front = front
        self._auth = auth
        self._methods = methods

    def heard(self, payload: bytes) -> None:
        """Take one request and answer it."""
        try:
            ask = msgspec.json.decode(payload, type=Ask)
            params = _texts(ask.params)
        except (msgspec.DecodeError, ValueError) as error:
            message = f"Malformed request: {error}"
            self._answer({"id": None, "status": 400, "error": {"code": -1135, "msg": message}})
            return
        row: Row
        method = self._methods.get(ask.method)
        account = ""
        try:
            account, result = self._do(ask.method, method, params)
            row = {"id": ask.id, "status": 200, "result": result}
        except BinanceError as error:
            row = {"id": ask.id, "status": error.status, "error": self._error(error)}
        if params.get("returnRateLimits") != "false":
            counted = account if method is not None and method.orders else ""
            row["rateLimits"] = self._front.rates.rows(REMOTE, counted)
        self._answer(row)

    def closed(self) -> None:
        """Forget the connection."""

    def _do(self, name: str, method: Method | None, params: Mapping[str, str]) -> tuple[str, Any]:
        if method is None:
            raise BinanceError(-1020, f"This operation is not supported: {name}")
        self._front.admit(REMOTE, name, method.weight)
        account = ""
        if method.security is Security.SIGNED:
            account = self._auth.message(params).account
        elif method.security is Security.KEY:
            account = self._auth.key(params.get("apiKey", "")).account
        call = Call(account, name, params)
        if method.orders:
            self._front.rates.spend_orders(account, method.orders)
        return account, method.do(call)

    def _error(self, error: BinanceError) -> Row:
        row: Row = {"code": error.code, "msg": error.message}
        if error.retry_after_s is not None:
            now_ms = self._front.now_ms()
            retry_ms = now_ms + error.retry_after_s * 1000
            row["data"] = {"serverTime": now_ms, "retryAfter": retry_ms}
        return row

    def _answer(self, row: Row) -> None:
        self._socket.send(encode(row))


def _texts(raw: msgspec.Raw) -> dict[str, str]:
    """Return parameters as the text that was signed; raises ValueError unless they are flat."""
    with suppress(msgspec.ValidationError):
        return _TEXTS.decode(raw)
    params = json.loads(bytes(raw), parse_float=str, parse_int=str)
    if not isinstance(params, dict):
        msg = "params must be an object"
        raise ValueError(msg)  # noqa: TRY004 - it is the client's text that is wrong
    texts = {}
    for name, given in params.items():
        if isinstance(given, bool):
            texts[name] = "true" if given else "false"
        elif isinstance(given, str):
            texts[name] = given
        elif given is not None:
            msg = f"parameter {name!r} must be text, a number or a truth value"
            raise ValueError(msg)
    return texts
