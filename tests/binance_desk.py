"""A Binance venue without sockets: signed requests to its handlers, and recorded frames."""

import asyncio
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hfengine.clock import VirtualClock
from hfengine.localvenue.binance.dialect import BinanceDialect
from hfengine.localvenue.ports import ApiKey, HttpRequest
from hfengine.localvenue.world import TEST_KEY, make_world
from hfengine.runtime.virtual_loop import VirtualLoop

START_NS = 1_700_000_000_000_000_000
BTC = "BTCUSDT"
OTHER_KEY = ApiKey(key="k-other", secret=b"s-other", account="other", passphrase="p-other")


class Answer:
    """A REST answer, decoded."""

    def __init__(self, status: int, row: Any, headers: dict[str, str]) -> None:
        self.status = status
        self.row = row
        self.headers = headers

    @property
    def code(self) -> int:
        return self.row["code"]


class RecordedSocket:
    """The server's end of a websocket that goes nowhere."""

    def __init__(self, path: str, query: dict[str, str]) -> None:
        self.path = path
        self.query = query
        self.frames: list[Any] = []
        self.close_code = 0

    def send(self, payload: bytes) -> None:
        self.frames.append(json.loads(payload))

    def close(self, code: int = 1000) -> None:
        self.close_code = code


class Stream:
    """One websocket of the venue."""

    def __init__(self, dialect: BinanceDialect, path: str, query: dict[str, str]) -> None:
        self.socket = RecordedSocket(path, query)
        session = dialect.session(self.socket)
        assert session is not None, path
        self.session = session

    def ask(self, **message: Any) -> Any:
        """Send a message; return the answer, which comes at once."""
        self.session.heard(json.dumps(message).encode())
        return self.socket.frames.pop()

    def take(self) -> list[Any]:
        """Return the frames since the last call."""
        frames = list(self.socket.frames)
        self.socket.frames.clear()
        return frames

    def events(self, kind: str) -> list[Any]:
        """Return the frames of one event type since the last `take`, and keep them all."""
        return [frame for frame in self.socket.frames if frame.get("e") == kind]


class Desk:
    """A still Binance market on virtual time, and one client of it."""

    def __init__(self, symbols: tuple[str, ...] = (BTC,), **options: Any) -> None:
        self.clock = VirtualClock(START_NS)
        self.loop = VirtualLoop(self.clock)
        self.world = make_world(
            "binance",
            loop=self.loop,
            clock=self.clock,
            symbols=symbols,
            keys=(TEST_KEY, OTHER_KEY),
            **options,
        )
        self.dialect = BinanceDialect(self.world)
        self.routes = self.dialect.routes()
        self.turn()

    def close(self) -> None:
        self.dialect.stop()
        self.world.close()
        self.loop.close()

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def turn(self) -> None:
        """Let what is due now happen."""
        self.run(0)
        self.run(0)

    def send(self, method: str, path: str, query: str, body: str = "", key: str = "") -> Answer:
        """Send a request as it is."""
        pairs = dict(parse_qsl(query, keep_blank_values=True))
        request = HttpRequest(
            method=method,
            path=path,
            raw_query=query,
            headers={"x-mbx-apikey": key} if key else {},
            body=body.encode(),
            query=pairs,
        )
        answer = self.loop.run_until_complete(self.routes[method, path](request))
        return Answer(answer.status, json.loads(answer.body), dict(answer.headers))

    def signed(
        self,
        method: str,
        path: str,
        *,
        key: ApiKey = TEST_KEY,
        in_body: bool = False,
        **params: Any,
    ) -> Answer:
        """Send a signed request to /fapi + path."""
        params.setdefault("timestamp", self.world.now_ms())
        text = urlencode(params)
        signature = hmac.new(key.secret, text.encode(), hashlib.sha256).hexdigest()
        text += f"&signature={signature}"
        query, body = ("", text) if in_body else (text, "")
        return self.send(method, "/fapi" + path, query, body, key.key)

    def public(self, path: str, **params: Any) -> Any:
        """Return the row of a public GET."""
        answer = self.send("GET", "/fapi" + path, urlencode(params))
        assert answer.status == 200, answer.row
        return answer.row

    def get(self, path: str, **params: Any) -> Any:
        """Return the row of a signed GET."""
        answer = self.signed("GET", path, **params)
        assert answer.status == 200, answer.row
        return answer.row

    def order(self, side: str, quantity: str, price: str = "", **params: Any) -> Answer:
        """Place a market order, or a limit order at a price."""
        given = {"symbol": BTC, "side": side, "quantity": quantity, "newOrderRespType": "RESULT"}
        if price:
            given |= {"type": "LIMIT", "price": price, "timeInForce": "GTC"}
        else:
            given["type"] = "MARKET"
        return self.signed("POST", "/v1/order", **(given | params))

    def algo(self, kind: str, side: str, trigger: str, **params: Any) -> Answer:
        """Place a conditional order; closePosition unless it has a quantity."""
        given = {
            "symbol": BTC,
            "side": side,
            "type": kind,
            "triggerPrice": trigger,
            "algoType": "CONDITIONAL",
            "workingType": "MARK_PRICE",
        }
        if "quantity" not in params:
            given["closePosition"] = "true"
        return self.signed("POST", "/v1/algoOrder", **(given | params))

    def stream(self, path: str, **query: str) -> Stream:
        """Open a websocket."""
        return Stream(self.dialect, path, query)

    def listen(self) -> Stream:
        """Open the private stream of the test account."""
        key = self.send("POST", "/fapi/v1/listenKey", "", key=TEST_KEY.key).row["listenKey"]
        return self.stream("/private/ws", listenKey=key)

    def socket_ask(self, stream: Stream, method: str, **params: Any) -> Any:
        """Ask the websocket API, signed."""
        params |= {"apiKey": TEST_KEY.key, "timestamp": self.world.now_ms()}
        text = "&".join(f"{name}={params[name]}" for name in sorted(params))
        params["signature"] = hmac.new(TEST_KEY.secret, text.encode(), hashlib.sha256).hexdigest()
        return stream.ask(id="q1", method=method, params=params)

    def mark(self) -> Decimal:
        return self.world.exchange.mark(BTC)

    def move(self, to_price: str) -> None:
        """Move the whole market, and let it take effect."""
        self.world.move(BTC, to_price=Decimal(to_price))
        self.turn()
