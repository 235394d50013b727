"""The way in for REST: IP limit, authentication, rate limit; the way out: Bybit's envelope."""

from collections.abc import Callable
from typing import Final

import orjson

from hfengine.localvenue.bybit.auth import authenticate
from hfengine.localvenue.bybit.errors import Refused
from hfengine.localvenue.bybit.order_desk import Answer, batch_requests
from hfengine.localvenue.bybit.parameters import Parameters, read_body
from hfengine.localvenue.bybit.rates import Rates
from hfengine.localvenue.ports import Handler, HttpAnswer, HttpRequest
from hfengine.localvenue.world import World

Public = Callable[[Parameters], Answer]
Private = Callable[[str, Parameters], Answer]

DENIED: Final = (
    b"<html><head><title>403 Forbidden</title></head><body>access too frequent</body></html>"
)


class Gate:
    """Turns requests into calls of the dialect, and what they answer into HTTP."""

    def __init__(self, world: World, rates: Rates) -> None:
        self._world = world
        self._rates = rates

    def public(self, call: Public) -> Handler:
        """Return the handler of a public endpoint."""

        async def handle(request: HttpRequest) -> HttpAnswer:
            if self._is_denied(request, ""):
                return denied()
            try:
                return self.answer(call(request.query))
            except Refused as refused:
                return self.refuse(refused)

        return handle

    def private(self, call: Private) -> Handler:
        """Return the handler of a signed endpoint; its rate is that of its path."""

        async def handle(request: HttpRequest) -> HttpAnswer:
            return self._handle_private(request, call)

        return handle

    def answer(self, answer: Answer, headers: dict[str, str] | None = None) -> HttpAnswer:
        """Return a success in Bybit's envelope."""
        return self._envelope(0, "OK", answer.result, answer.ext_info, 200, headers or {})

    def refuse(self, refused: Refused, headers: dict[str, str] | None = None) -> HttpAnswer:
        """Return a refusal in Bybit's envelope: HTTP 200 unless a fault says otherwise."""
        return self._envelope(
            refused.code,
            refused.message,
            refused.result,
            {},
            refused.status,
            refused.headers or headers or {},
        )

    def _handle_private(self, request: HttpRequest, call: Private) -> HttpAnswer:
        world = self._world
        account = ""
        headers: dict[str, str] = {}
        try:
            if self._is_denied(request, ""):
                return denied()
            key = authenticate(request, world.keys, world.now_ms())
            account = key.account
            parameters = request.query if request.method == "GET" else read_body(request.body)
            headers = self._spend(account, request.path, parameters)
            return self.answer(call(account, parameters), headers)
        except Refused as refused:
            return self.refuse(refused, headers)

    def _spend(self, account: str, path: str, parameters: Parameters) -> dict[str, str]:
        endpoint = path.removeprefix("/v5/")
        count = len(batch_requests(parameters)) if endpoint.endswith("-batch") else 1
        limited = self._world.faults.take("rate_limited", path=path, account=account) is not None
        return self._rates.spend(
            account, endpoint, self._world.now_ms(), count=count, limited=limited
        )

    def _is_denied(self, request: HttpRequest, account: str) -> bool:
        world = self._world
        if world.faults.take("banned", path=request.path, account=account) is not None:
            return True
        return self._rates.is_banned(request.remote, world.now_ms())

    def _envelope(
        self,
        code: int,
        message: str,
        result: dict[str, object],
        ext_info: dict[str, object],
        status: int,
        headers: dict[str, str],
    ) -> HttpAnswer:
        body = orjson.dumps(
            {
                "retCode": code,
                "retMsg": message,
                "result": result,
                "retExtInfo": ext_info,
                "time": self._world.now_ms(),
            }
        )
        return HttpAnswer(body=body, status=status, headers=headers)


def denied() -> HttpAnswer:
    """Return what a banned address gets: 403 without JSON."""
    return HttpAnswer(body=DENIED, status=403, content_type="text/html")
