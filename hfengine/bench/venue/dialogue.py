"""What a measured client says in each dialect, and what it reads of the frames it gets.

Frames are searched, not decoded: the client must not be what is measured.
"""

import hashlib
import hmac
from typing import Final, NamedTuple, Protocol
from urllib.request import Request, urlopen

import msgspec

from hfengine.bench.venue.kinds import Dialect, Key

ANSWER_MAX_S: Final = 5.0
STAMP_DIGITS: Final = 13
AUTH_AHEAD_MS: Final = 60_000
_BYBIT_STAMP: Final = b'"ts":'
_BINANCE_STAMP: Final = b'"E":'


class Wanted(NamedTuple):
    """One order. No price: at the market; with one it rests until it is cancelled."""

    symbol: str
    side: int
    quantity: str
    price: str = ""


class Numbered(NamedTuple):
    """A frame's stream and numbers: it follows the frame that ended with `before`."""

    stream: bytes
    before: int
    number: int


class Dialogue(Protocol):
    """One dialect from the client's side."""

    order_path: str

    def market(self, symbols: list[str]) -> tuple[str, list[bytes]]:
        """Return the path of market data and the frames that subscribe to everything."""

    def account(self, http: str, key: Key, now_ms: int, /) -> tuple[str, list[bytes]]:
        """Return the path of a key's private stream and what to say there first."""

    def login(self, key: Key, now_ms: int, /) -> list[bytes]:
        """Return what to say first on the order socket."""

    def place(self, key: Key, order: Wanted, order_id: str, now_ms: int, /) -> bytes:
        """Return the frame that places an order."""

    def cancel(self, key: Key, symbol: str, order_id: str, now_ms: int, /) -> bytes:
        """Return the frame that cancels an order."""

    def is_accepted(self, answer: bytes) -> bool:
        """Tell whether an answer of the order socket is a success."""

    def stamp_ms(self, frame: bytes) -> int:
        """Return when the venue made a market frame, ms since the epoch; 0 for any other frame."""

    def numbered(self, frame: bytes) -> Numbered | None:
        """Return the numbers of a book frame, None for a frame that has none."""


def dialogue_of(dialect: Dialect) -> Dialogue:
    """Return the dialogue of a dialect."""
    return BybitDialogue() if dialect == "bybit" else BinanceDialogue()


class BybitDialogue:
    """Bybit V5."""

    order_path = "/v5/trade"

    def market(self, symbols: list[str]) -> tuple[str, list[bytes]]:
        """Hear the book at 10 ms (best) and at 20 ms (50 levels), and the trades."""
        kinds = ("orderbook.1", "orderbook.50", "publicTrade")
        topics = [f"{kind}.{symbol}" for symbol in symbols for kind in kinds]
        return "/v5/public/linear", [_json({"op": "subscribe", "args": topics})]

    def account(self, _http: str, key: Key, now_ms: int, /) -> tuple[str, list[bytes]]:
        """Hear orders, executions, positions and the wallet."""
        topics = ["order", "execution", "position", "wallet"]
        subscribe = _json({"op": "subscribe", "args": topics})
        return "/v5/private", [*self.login(key, now_ms), subscribe]

    def login(self, key: Key, now_ms: int, /) -> list[bytes]:
        """Sign in."""
        expires = str(now_ms + AUTH_AHEAD_MS)
        signed = _signature(key, f"GET/realtime{expires}")
        return [_json({"op": "auth", "args": [key.name, expires, signed]})]

    def place(self, _key: Key, order: Wanted, order_id: str, now_ms: int, /) -> bytes:
        """Place by order.create."""
        wanted = {
            "category": "linear",
            "symbol": order.symbol,
            "side": "Buy" if order.side > 0 else "Sell",
            "orderType": "Limit" if order.price else "Market",
            "qty": order.quantity,
            "orderLinkId": order_id,
        }
        if order.price:
            wanted |= {"price": order.price, "timeInForce": "PostOnly"}
        return self._request("order.create", wanted, order_id, now_ms)

    def cancel(self, _key: Key, symbol: str, order_id: str, now_ms: int, /) -> bytes:
        """Cancel by order.cancel."""
        wanted = {"category": "linear", "symbol": symbol, "orderLinkId": order_id}
        return self._request("order.cancel", wanted, order_id + "c", now_ms)

    def is_accepted(self, answer: bytes) -> bool:
        """Look for retCode 0."""
        return b'"retCode":0,' in answer

    def stamp_ms(self, frame: bytes) -> int:
        """Read `ts` of a topic's frame."""
        return _stamp(frame, _BYBIT_STAMP) if frame.startswith(b'{"topic"') else 0

    def numbered(self, frame: bytes) -> Numbered | None:
        """Read topic and `u`; a snapshot of 50 levels may follow anything."""
        if not frame.startswith(b'{"topic":"orderbook.'):
            return None
        number = _whole(frame, frame.rfind(b'"u":') + 4)
        topic = frame[10 : frame.index(b'"', 10)]
        # the best level comes in snapshots only, repeated with the same number when all is quiet
        follows_any = b'"type":"snapshot"' in frame and b"orderbook.1." not in topic
        return Numbered(topic, 0 if follows_any else number - 1, number)

    def _request(self, op: str, wanted: dict[str, str], request_id: str, now_ms: int) -> bytes:
        header = {"X-BAPI-TIMESTAMP": str(now_ms), "X-BAPI-RECV-WINDOW": "5000"}
        return _json({"reqId": request_id, "header": header, "op": op, "args": [wanted]})


class BinanceDialogue:
    """Binance USDⓈ-M futures."""

    order_path = "/ws-fapi/v1"

    def market(self, symbols: list[str]) -> tuple[str, list[bytes]]:
        """Hear book diffs as fast as they come, and the trades."""
        kinds = ("depth@0ms", "trade")
        streams = [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in kinds]
        return "/public/stream", [_json({"method": "SUBSCRIBE", "params": streams, "id": 1})]

    def account(self, http: str, key: Key, _now_ms: int, /) -> tuple[str, list[bytes]]:
        """Ask for a listen key, whose stream needs nothing more."""
        request = Request(  # noqa: S310 - our own venue on the loopback
            f"{http}/fapi/v1/listenKey", method="POST", headers={"X-MBX-APIKEY": key.name}
        )
        with urlopen(request, timeout=ANSWER_MAX_S) as answer:  # noqa: S310 - as above
            listen_key = msgspec.json.decode(answer.read())["listenKey"]
        return f"/private/ws/{listen_key}", []

    def login(self, _key: Key, _now_ms: int, /) -> list[bytes]:
        """Say nothing: every request is signed."""
        return []

    def place(self, key: Key, order: Wanted, order_id: str, now_ms: int, /) -> bytes:
        """Place by order.place."""
        wanted = {
            "symbol": order.symbol,
            "side": "BUY" if order.side > 0 else "SELL",
            "type": "LIMIT" if order.price else "MARKET",
            "quantity": order.quantity,
            "newClientOrderId": order_id,
        }
        if order.price:
            wanted |= {"price": order.price, "timeInForce": "GTX"}
        return self._request("order.place", wanted, order_id, key, now_ms)

    def cancel(self, key: Key, symbol: str, order_id: str, now_ms: int, /) -> bytes:
        """Cancel by order.cancel."""
        wanted = {"symbol": symbol, "origClientOrderId": order_id}
        return self._request("order.cancel", wanted, order_id + "c", key, now_ms)

    def is_accepted(self, answer: bytes) -> bool:
        """Look for status 200."""
        return b'"status":200,' in answer

    def stamp_ms(self, frame: bytes) -> int:
        """Read `E` of an event."""
        return _stamp(frame, _BINANCE_STAMP)

    def numbered(self, frame: bytes) -> Numbered | None:
        """Read symbol, `pu` and `u` of a diff."""
        stream, mark, _ = frame.partition(b'","data":{"e":"depthUpdate"')
        if not mark:
            return None
        before, number = frame.index(b'"pu":') + 5, frame.index(b'"u":') + 4
        return Numbered(stream, _whole(frame, before), _whole(frame, number))

    def _request(
        self, method: str, wanted: dict[str, str], request_id: str, key: Key, now_ms: int
    ) -> bytes:
        params = {**wanted, "apiKey": key.name, "timestamp": str(now_ms)}
        signed = "&".join(f"{name}={text}" for name, text in sorted(params.items()))
        params["signature"] = _signature(key, signed)
        return _json({"id": request_id, "method": method, "params": params})


def _signature(key: Key, text: str) -> str:
    return hmac.new(key.secret, text.encode(), hashlib.sha256).hexdigest()


_json: Final = msgspec.json.Encoder().encode


def _stamp(frame: bytes, mark: bytes) -> int:
    at = frame.find(mark)
    if at < 0:
        return 0
    start = at + len(mark)
    return int(frame[start : start + STAMP_DIGITS])


def _whole(frame: bytes, start: int) -> int:
    """Return the whole number that stands at a place."""
    end = start
    while 48 <= frame[end] <= 57:
        end += 1
    return int(frame[start:end])
