"""The Binance venue's websocket API: signed requests, ids, limits and errors."""

import hashlib
import hmac

import pytest

from hfengine.localvenue.faults import Rule
from tests.binance_desk import BTC, Desk


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.close()


@pytest.fixture
def socket(desk):
    return desk.stream("/ws-fapi/v1")


LIMIT = {
    "symbol": BTC,
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.01",
    "price": "61000",
    "timeInForce": "GTC",
}


def test_an_order_goes_its_whole_way(desk, socket):
    placed = desk.socket_ask(socket, "order.place", **LIMIT, newClientOrderId="w")
    assert (placed["id"], placed["status"], placed["result"]["status"]) == ("q1", 200, "NEW")
    number = placed["result"]["orderId"]
    terms = {"symbol": BTC, "orderId": number}
    changed = desk.socket_ask(
        socket, "order.modify", **terms, side="BUY", quantity="0.02", price="61010"
    )
    assert changed["result"]["price"] == "61010.00"
    assert desk.socket_ask(socket, "order.status", **terms)["result"]["clientOrderId"] == "w"
    assert desk.socket_ask(socket, "order.cancel", **terms)["result"]["status"] == "CANCELED"
    gone = desk.socket_ask(socket, "order.cancel", **terms)
    assert (gone["status"], gone["error"]["code"]) == (400, -2011)


def test_orders_of_both_doors_are_counted_together(desk, socket):
    desk.order("BUY", "0.01", "61000")
    rows = desk.socket_ask(socket, "order.place", **LIMIT)["rateLimits"]
    counted = {(row["rateLimitType"], row["interval"]): row["count"] for row in rows}
    assert counted["ORDERS", "SECOND"] == counted["ORDERS", "MINUTE"] == 2
    silent = desk.socket_ask(socket, "order.place", **LIMIT, returnRateLimits="false")
    assert "rateLimits" not in silent


def test_numbers_are_signed_as_they_are_written(desk, socket):
    # a client may send JSON numbers: 0.010 was signed as "0.010"
    signed = LIMIT | {"apiKey": "k-test", "timestamp": desk.world.now_ms(), "quantity": "0.010"}
    text = "&".join(f"{name}={given}" for name, given in sorted(signed.items()))
    sealed = hmac.new(b"s-test", text.encode(), hashlib.sha256).hexdigest()
    frame = (
        '{"id":5,"method":"order.place","params":{"apiKey":"k-test","quantity":0.010,'
        f'"price":"61000","side":"BUY","symbol":"BTCUSDT","timeInForce":"GTC","type":"LIMIT",'
        f'"timestamp":{signed["timestamp"]},"signature":"{sealed}"}}}}'
    )
    socket.session.heard(frame.encode())
    (answer,) = socket.take()
    assert (answer["id"], answer["status"]) == (5, 200), answer


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({}, 401, -2014),
        ({"apiKey": "nobody"}, 401, -2015),
        ({"apiKey": "k-test"}, 400, -1102),
        ({"apiKey": "k-test", "timestamp": 1, "signature": "0"}, 400, -1021),
    ],
)
def test_who_may_not_ask(desk, socket, params, status, code):
    got = socket.ask(id=3, method="order.place", params=params)
    assert (got["id"], got["status"], got["error"]["code"]) == (3, status, code)


def test_a_false_signature(desk, socket):
    params = {"apiKey": "k-test", "timestamp": desk.world.now_ms(), "signature": "00"}
    got = socket.ask(id=1, method="v2/account.balance", params=params)
    assert (got["status"], got["error"]["code"]) == (400, -1022)


def test_frames_that_are_no_requests(desk, socket):
    for frame in (b"{", b"[]", b'{"id":1,"method":"ping","params":[1]}'):
        socket.session.heard(frame)
        assert socket.take()[0]["status"] == 400
    got = socket.ask(id="u", method="order.sing")
    assert (got["id"], got["status"], got["error"]["code"]) == ("u", 400, -1020)
    assert socket.ask(id=None, method="time")["result"] == {"serverTime": desk.world.now_ms()}


def test_conditional_orders_and_errors_have_the_rest_codes(desk, socket):
    algo = {"algoType": "CONDITIONAL", "symbol": BTC, "side": "SELL", "type": "STOP_MARKET"}
    got = desk.socket_ask(socket, "algoOrder.place", **algo, triggerPrice="60000", quantity="0.01")
    number = got["result"]["algoId"]
    got = desk.socket_ask(socket, "algoOrder.place", **algo, triggerPrice="62000", quantity="0.01")
    assert got["error"]["code"] == -2021
    got = desk.socket_ask(socket, "algoOrder.cancel", algoId=number)
    assert got["result"]["algoStatus"] == "CANCELED"
    got = desk.socket_ask(socket, "order.place", **(LIMIT | {"type": "STOP_MARKET"}))
    assert got["error"]["code"] == -4120


def test_a_listen_key_opens_the_same_stream(desk, socket):
    key = socket.ask(id=1, method="userDataStream.start", params={"apiKey": "k-test"})["result"]
    assert key == desk.send("POST", "/fapi/v1/listenKey", "", key="k-test").row
    pinged = socket.ask(id=2, method="userDataStream.ping", params={"apiKey": "k-test"})
    assert pinged["status"] == 200
    socket.ask(id=3, method="userDataStream.stop", params={"apiKey": "k-test"})
    pinged = socket.ask(id=4, method="userDataStream.ping", params={"apiKey": "k-test"})
    assert pinged["error"]["code"] == -1125


def test_faults_and_limits(desk, socket):
    desk.world.faults.add(Rule(kind="order_refused", path="order.place"))
    assert desk.socket_ask(socket, "order.place", **LIMIT)["error"]["code"] == -2019
    desk.world.faults.add(Rule(kind="rate_limited", path="order.place"))
    got = desk.socket_ask(socket, "order.place", **LIMIT)
    assert (got["status"], got["error"]["code"]) == (429, -1003)
    retry_ms = got["error"]["data"]["retryAfter"] - got["error"]["data"]["serverTime"]
    assert retry_ms == 30_000
