"""The socket of orders: /v5/trade, the requests of REST as frames."""

from collections import deque
from collections.abc import Callable
from typing import Final

from hfengine.localvenue.bybit.auth import authenticate_socket, check_window
from hfengine.localvenue.bybit.errors import PARAMETERS, Refused
from hfengine.localvenue.bybit.gate import Private
from hfengine.localvenue.bybit.order_desk import Answer, batch_requests
from hfengine.localvenue.bybit.parameters import Parameters
from hfengine.localvenue.bybit.rates import Rates
from hfengine.localvenue.bybit.session import BybitSession, Frame, request_id
from hfengine.localvenue.ports import Socket
from hfengine.localvenue.world import World

REPEATED_AUTH: Final = 20001
REPEATED_REQUEST: Final = 20006
NO_SUCH_OP: Final = 10404
NOT_LOGGED_IN: Final = 10007
REQUEST_IDS_KEPT: Final = 10_000
"""Of so many requests the ids may not come again."""


class OrderSession(BybitSession):
    """One connection to /v5/trade; `calls` are the order requests by op."""

    def __init__(
        self,
        world: World,
        socket: Socket,
        ended: Callable[[BybitSession], None],
        calls: dict[str, Private],
        rates: Rates,
    ) -> None:
        super().__init__(world, socket, ended)
        self._calls = calls
        self._rates = rates
        self._account = ""
        self._seen_ids: set[str] = set()
        self._id_order: deque[str] = deque()

    def take(self, op: str, frame: Frame) -> None:
        """Authenticate, answer a ping, or do an order request."""
        if op == "ping":
            self._tell_plain(frame, "pong", data=[str(self.world.now_ms())])
        elif op == "auth":
            self._authenticate(frame)
        else:
            self._order(op, frame)

    def refuse_frame(self, reason: str) -> None:
        """Answer a frame that is none."""
        self.tell(
            {
                "retCode": PARAMETERS,
                "retMsg": reason,
                "op": "",
                "connId": self.connection_id,
            }
        )

    def _authenticate(self, frame: Frame) -> None:
        if self._account:
            self._tell_plain(frame, "auth", REPEATED_AUTH, "Repeat auth")
            return
        try:
            key = authenticate_socket(frame.get("args"), self.world.keys, self.world.now_ms())
        except Refused as refused:
            self._tell_plain(frame, "auth", refused.code, refused.message)
            return
        self._account = key.account
        self._tell_plain(frame, "auth")

    def _tell_plain(
        self,
        frame: Frame,
        answered_op: str,
        code: int = 0,
        message: str = "OK",
        data: list[str] | None = None,
    ) -> None:
        answer: Frame = {}
        given = request_id(frame, "reqId")
        if given:
            answer["reqId"] = given
        answer |= {"retCode": code, "retMsg": message, "op": answered_op}
        if data is not None:
            answer["data"] = data
        self.tell({**answer, "connId": self.connection_id})

    def _order(self, op: str, frame: Frame) -> None:
        headers: dict[str, str] = {}
        code, message, answer = 0, "OK", Answer(result={})
        try:
            headers, answer = self._do(op, frame)
        except Refused as refused:
            code, message = refused.code, refused.message
            headers = refused.headers or headers
            answer = Answer(result=refused.result)
        now_ms = self.world.now_ms()
        reply: Frame = {}
        given = request_id(frame, "reqId")
        if given:
            reply["reqId"] = given
        reply |= {
            "retCode": code,
            "retMsg": message,
            "op": op,
            "data": answer.result,
            "retExtInfo": answer.ext_info,
            "header": {
                **headers,
                "Traceid": f"{self.world.random.getrandbits(128):032x}",
                "Timenow": str(now_ms),
            },
            "connId": self.connection_id,
        }
        self.tell(reply)

    def _do(self, op: str, frame: Frame) -> tuple[dict[str, str], Answer]:
        call = self._calls.get(op)
        if call is None:
            raise Refused(NO_SUCH_OP, "op type is not found")
        if not self._account:
            raise Refused(NOT_LOGGED_IN, "User authentication failed.")
        self._check_id(request_id(frame, "reqId"))
        header = frame.get("header")
        if not isinstance(header, dict) or "X-BAPI-TIMESTAMP" not in header:
            raise Refused(PARAMETERS, "params error: X-BAPI-TIMESTAMP is required")
        now_ms = self.world.now_ms()
        window = str(header.get("X-BAPI-RECV-WINDOW") or "")
        check_window(str(header["X-BAPI-TIMESTAMP"]), window, now_ms)
        parameters = _parameters(frame)
        if parameters.get("category") != "linear":
            raise Refused(NO_SUCH_OP, "category is not correct")
        endpoint = op.replace(".", "/")
        count = len(batch_requests(parameters)) if op.endswith("-batch") else 1
        limited = self.world.faults.take(
            "rate_limited", path=f"/v5/{endpoint}", account=self._account
        )
        headers = self._rates.spend(
            self._account, endpoint, now_ms, count=count, limited=limited is not None
        )
        try:
            return headers, call(self._account, parameters)
        except Refused as refused:
            refused.headers = headers
            raise

    def _check_id(self, given: str) -> None:
        if not given:
            return
        if given in self._seen_ids:
            raise Refused(REPEATED_REQUEST, "Duplicate reqId")
        self._seen_ids.add(given)
        self._id_order.append(given)
        if len(self._id_order) > REQUEST_IDS_KEPT:
            self._seen_ids.discard(self._id_order.popleft())


def _parameters(frame: Frame) -> Parameters:
    arguments = frame.get("args")
    if not isinstance(arguments, list) or len(arguments) != 1 or not isinstance(arguments[0], dict):
        raise Refused(PARAMETERS, "params error: args must hold one object")
    return arguments[0]
