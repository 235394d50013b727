"""Everything the local Binance says in the course of a varied day, by a name of what it is."""

from decimal import Decimal
from typing import Any

from hfengine.localvenue.faults import Rule
from tests.binance_desk import BTC, TEST_KEY, Desk, Stream

Spoken = dict[str, Any]
TRADED = {"symbol": BTC}

PUBLIC = {
    "/v1/ping": {},
    "/v1/time": {},
    "/v1/exchangeInfo": {},
    "/v1/depth": TRADED,
    "/v1/trades": TRADED,
    "/v1/aggTrades": TRADED,
    "/v1/klines": TRADED | {"interval": "1m"},
    "/v1/premiumIndex": TRADED,
    "/v1/ticker/24hr": TRADED,
    "/v1/ticker/bookTicker": TRADED,
    "/v1/ticker/price": TRADED,
    "/v2/ticker/price": TRADED,
    "/v1/openInterest": TRADED,
    "/v1/fundingInfo": {},
    "/v1/fundingRate": TRADED,
}
PRIVATE = {
    "/v1/positionSide/dual": {},
    "/v1/multiAssetsMargin": {},
    "/v1/symbolConfig": {},
    "/v1/accountConfig": {},
    "/v1/leverageBracket": {},
    "/v1/commissionRate": TRADED,
    "/v1/rateLimit/order": {},
    "/v1/adlQuantile": {},
    "/v1/feeBurn": {},
    "/v2/account": {},
    "/v3/account": {},
    "/v2/balance": {},
    "/v3/balance": {},
    "/v2/positionRisk": {},
    "/v3/positionRisk": {},
    "/v1/openOrders": {},
    "/v1/allOrders": TRADED,
    "/v1/userTrades": TRADED,
    "/v1/openAlgoOrders": {},
    "/v1/allAlgoOrders": TRADED,
    "/v1/income": {},
}
STREAMS = (
    "@aggTrade",
    "@trade",
    "@bookTicker",
    "@depth@100ms",
    "@depth5@100ms",
    "@kline_1m",
    "@markPrice@1s",
    "@miniTicker",
    "@ticker",
    "@forceOrder",
)
SOCKET = {
    "ping": {},
    "time": {},
    "exchangeInfo": {},
    "depth": TRADED,
    "ticker.price": TRADED,
    "ticker.book": TRADED,
    "account.status": {},
    "account.balance": {},
    "account.position": {},
    "v2/account.status": {},
    "v2/account.balance": {},
    "v2/account.position": {},
    "userDataStream.start": {},
    "userDataStream.ping": {},
}


def everything() -> Spoken:
    """Return all answers and pushes of a day at a new venue."""
    desk = Desk()
    try:
        spoken: Spoken = {}
        _listen_keys(desk, spoken)
        user = _User(desk.listen(), spoken)
        combined = desk.stream("/stream", streams=user.stream.socket.query["listenKey"])
        market = {name: desk.stream("/stream", streams=f"btcusdt{name}") for name in STREAMS}
        _settings(desk, spoken)
        user.hear(desk, "settings")
        _position(desk, spoken, user)
        _orders(desk, spoken, user)
        _reads(desk, spoken)
        _socket(desk, spoken)
        _ends(desk, spoken, user)
        _streams(desk, spoken, market)
        for frame in combined.take():
            spoken[f"combined user {frame['data']['e']}"] = frame
        return spoken
    finally:
        desk.close()


class _User:
    """The user's stream, whose events are kept by what they are about."""

    def __init__(self, stream: Stream, spoken: Spoken) -> None:
        self.stream = stream
        self.spoken = spoken

    def hear(self, desk: Desk, name: str) -> None:
        desk.turn()
        for event in self.stream.take():
            kind = f"user {event['e']}"
            about = event.get("o", {}).get("x") or event.get("o", {}).get("X") or ""
            reason = event.get("a", {}).get("m", "")
            self.spoken[f"{kind} {about}{reason}".strip()] = event
            self.spoken[f"{kind} {about}{reason} {name}"] = event


def _listen_keys(desk: Desk, spoken: Spoken) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = desk.send(method, "/fapi/v1/listenKey", "", key=TEST_KEY.key)
        assert answer.status == 200, answer.row
        spoken[f"{method} /fapi/v1/listenKey"] = answer.row


def _say(desk: Desk, spoken: Spoken, method: str, path: str, **params: Any) -> Any:
    answer = desk.signed(method, path, **params)
    assert answer.status == 200, (path, answer.row)
    spoken[f"{method} /fapi{path}"] = answer.row
    return answer.row


def _settings(desk: Desk, spoken: Spoken) -> None:
    _say(desk, spoken, "POST", "/v1/leverage", symbol=BTC, leverage=21)
    _say(desk, spoken, "POST", "/v1/marginType", symbol=BTC, marginType="ISOLATED")
    _say(desk, spoken, "POST", "/v1/positionSide/dual", dualSidePosition="true")
    desk.signed("POST", "/v1/positionSide/dual", dualSidePosition="false")
    refused = desk.signed("POST", "/v1/positionSide/dual", dualSidePosition="false")
    spoken["refused"] = refused.row
    same = desk.signed("POST", "/v1/multiAssetsMargin", multiAssetsMargin="false")
    spoken["POST /fapi/v1/multiAssetsMargin refused"] = same.row


def _position(desk: Desk, spoken: Spoken, user: _User) -> None:
    """Open with a stop; one target fires, another waits."""
    desk.order("BUY", "0.03", newClientOrderId="entry")
    user.hear(desk, "entry")
    spoken["POST /fapi/v1/algoOrder"] = desk.algo(
        "STOP_MARKET", "SELL", "60000.0", clientAlgoId="stop"
    ).row
    user.hear(desk, "stop placed")
    desk.algo("TAKE_PROFIT", "SELL", "62000.0", clientAlgoId="t1", quantity="0.01", price="62000")
    desk.move("62100.0")
    user.hear(desk, "target")
    desk.algo("TAKE_PROFIT", "SELL", "64000.0", clientAlgoId="t2", quantity="0.01", price="64000")
    desk.algo("STOP_MARKET", "SELL", "59000.0", clientAlgoId="gone", quantity="0.01")
    user.hear(desk, "more")
    _say(desk, spoken, "GET", "/v1/algoOrder", clientAlgoId="t1")
    _say(desk, spoken, "DELETE", "/v1/algoOrder", clientAlgoId="gone")
    user.hear(desk, "cancelled")
    desk.world.pay_funding(BTC, Decimal("0.0001"))
    user.hear(desk, "funding")


def _orders(desk: Desk, spoken: Spoken, user: _User) -> None:
    spoken["POST /fapi/v1/order"] = desk.order("BUY", "0.01", "61000.0", newClientOrderId="a").row
    _say(
        desk,
        spoken,
        "PUT",
        "/v1/order",
        symbol=BTC,
        origClientOrderId="a",
        side="BUY",
        quantity="0.02",
        price="61010.0",
    )
    user.hear(desk, "amended")
    _say(desk, spoken, "DELETE", "/v1/order", symbol=BTC, origClientOrderId="a")
    user.hear(desk, "cancelled")
    _batches(desk, spoken)
    _say(desk, spoken, "POST", "/v1/countdownCancelAll", symbol=BTC, countdownTime=100000)
    _say(desk, spoken, "DELETE", "/v1/allOpenOrders", symbol=BTC)
    desk.world.faults.add(Rule(kind="partial_fill"))
    desk.order("BUY", "0.02", newClientOrderId="part")
    user.hear(desk, "part")
    desk.order("BUY", "0.01", "61000.0", newClientOrderId="rest")
    user.hear(desk, "rest")


def _batches(desk: Desk, spoken: Spoken) -> None:
    row = '{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC",'
    row += '"quantity":"0.01","price":"61000.0","newClientOrderId":"%s"}'
    bad = '{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"0.00001"}'
    change = '{"symbol":"BTCUSDT","side":"BUY","quantity":"0.02","price":"61001.0",'
    change += '"origClientOrderId":"b1"}'
    _say(desk, spoken, "POST", "/v1/batchOrders", batchOrders=f"[{row % 'b1'},{bad}]")
    _say(desk, spoken, "PUT", "/v1/batchOrders", batchOrders=f"[{change}]")
    ids = '["b1","nobody"]'
    _say(desk, spoken, "DELETE", "/v1/batchOrders", symbol=BTC, origClientOrderIdList=ids)


def _reads(desk: Desk, spoken: Spoken) -> None:
    for path, params in PUBLIC.items():
        spoken[f"GET /fapi{path}"] = desk.public(path, **params)
    for path, params in PRIVATE.items():
        spoken[f"GET /fapi{path}"] = desk.get(path, **params)
    mine = TRADED | {"origClientOrderId": "rest"}
    spoken["GET /fapi/v1/order"] = desk.get("/v1/order", **mine)
    spoken["GET /fapi/v1/openOrder"] = desk.get("/v1/openOrder", **mine)
    fired = desk.get("/v1/algoOrder", clientAlgoId="t1")["algoId"]
    spoken["GET /fapi/v1/allAlgoOrders fired"] = desk.get(
        "/v1/allAlgoOrders", **TRADED, algoId=fired, limit=1
    )
    spoken["GET /fapi/v1/ticker/bookTicker all"] = desk.public("/v1/ticker/bookTicker")
    spoken["GET /fapi/v1/premiumIndex all"] = desk.public("/v1/premiumIndex")


def _socket(desk: Desk, spoken: Spoken) -> None:
    stream = desk.stream("/ws-fapi/v1")
    for method, params in SOCKET.items():
        spoken[f"ws {method}"] = desk.socket_ask(stream, method, **params)
    spoken["ws ticker.price all"] = desk.socket_ask(stream, "ticker.price")
    spoken["ws ticker.book all"] = desk.socket_ask(stream, "ticker.book")
    order = TRADED | {"side": "BUY", "quantity": "0.01", "price": "61000"}
    algo = TRADED | {"side": "SELL", "triggerPrice": "59900", "quantity": "0.01"}
    algo |= {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "clientAlgoId": "s"}
    new = {"type": "LIMIT", "timeInForce": "GTC", "newClientOrderId": "w"}
    for method, params in (
        ("order.place", order | new),
        ("order.modify", order | {"price": "61010", "origClientOrderId": "w"}),
        ("order.status", TRADED | {"origClientOrderId": "w"}),
        ("order.cancel", TRADED | {"origClientOrderId": "w"}),
        ("algoOrder.place", algo),
        ("algoOrder.cancel", {"clientAlgoId": "s"}),
    ):
        spoken[f"ws {method}"] = desk.socket_ask(stream, method, **params)
        assert spoken[f"ws {method}"]["status"] == 200, spoken[f"ws {method}"]
    spoken["ws refused"] = desk.socket_ask(stream, "order.cancel", **TRADED, origClientOrderId="w")


def _ends(desk: Desk, spoken: Spoken, user: _User) -> None:
    """Reduce, by others' deleveraging and by liquidation; then the key expires."""
    user.hear(desk, "socket")
    exchange = desk.world.exchange
    desk.order("SELL", "0.005", reduceOnly="true")
    user.hear(desk, "reduce")
    half = Decimal("0.005")
    desk.world.act(lambda now: exchange.force_adl("main", BTC, half, now, "net"))
    user.hear(desk, "adl")
    desk.signed("DELETE", "/v1/algoOrder", clientAlgoId="stop")
    desk.signed("DELETE", "/v1/allOpenOrders", symbol=BTC)
    edge = exchange.positions("main")[0].liquidation
    desk.move(str((edge * Decimal("1.0005")).quantize(Decimal("0.1"))))
    desk.run(1.1)
    user.hear(desk, "margin call")
    desk.world.act(lambda now: exchange.force_liquidation("main", BTC, now, "net"))
    user.hear(desk, "liquidation")
    _say(desk, spoken, "DELETE", "/v1/algoOpenOrders", symbol=BTC)
    user.hear(desk, "all cancelled")
    desk.dialect.command("expire_listen_key", {"account": "main"})
    user.hear(desk, "expired")
    stream = desk.stream("/ws-fapi/v1")
    desk.socket_ask(stream, "userDataStream.start")
    spoken["ws userDataStream.stop"] = desk.socket_ask(stream, "userDataStream.stop")


def _streams(desk: Desk, spoken: Spoken, market: dict[str, Stream]) -> None:
    asked = desk.stream("/ws")
    spoken["stream subscribed"] = asked.ask(method="SUBSCRIBE", params=["btcusdt@trade"], id=1)
    desk.order("BUY", "0.01")
    desk.move("62200.0")
    desk.run(2.5)
    for name, stream in market.items():
        frames = stream.take()
        if frames:
            spoken[f"combined {name}"] = frames[-1]
            spoken[name] = frames[-1]["data"]
