"""What a Binance template refuses and keeps to itself; and one frame word for word."""

import pickle

import pytest

from hfengine.kernels.binance_orders import BinanceOrders
from hfengine.kernels.signing import HmacSha256
from tests.reference.signing import sign_hex

KEY = "Key0" * 16
SECRET = b"a secret"
ORDERS = BinanceOrders("BTCUSDT", "0.10", "0.001", KEY, HmacSha256(SECRET))


def test_a_frame_word_for_word():
    query = (
        f"apiKey={KEY}&newClientOrderId=e0&newOrderRespType=RESULT&price=61234.50&quantity=0.007"
        "&recvWindow=5000&reduceOnly=true&side=SELL&symbol=BTCUSDT&timeInForce=IOC"
        "&timestamp=1723118400123&type=LIMIT"
    )
    assert ORDERS.limit(12, 1723118400123, "e0", -1, 7, 612345, 1, True).decode() == (
        f'{{"id":"12","method":"order.place","params":{{"apiKey":"{KEY}","newClientOrderId":"e0",'
        '"newOrderRespType":"RESULT","price":"61234.50","quantity":"0.007","recvWindow":5000,'
        '"reduceOnly":"true","side":"SELL","symbol":"BTCUSDT","timeInForce":"IOC",'
        '"timestamp":1723118400123,"type":"LIMIT",'
        f'"signature":"{sign_hex(SECRET, query.encode()).decode()}"}}}}'
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"symbol": "BTC&USDT"},
        {"symbol": ""},
        {"tick": "1e-3"},
        {"step": "0"},
        {"api_key": ""},
        {"api_key": 'key"'},
        {"api_key": "k" * 129},
        {"recv_window_ms": 0},
    ],
)
def test_a_bad_template_is_refused(changed):
    good = {"symbol": "BTCUSDT", "tick": "0.10", "step": "0.001", "api_key": KEY}
    with pytest.raises(ValueError, match=r"symbol|grid|key|recv window"):
        BinanceOrders(**(good | {"signer": HmacSha256(SECRET)} | changed))


def test_a_refused_key_is_not_shown():
    with pytest.raises(ValueError, match="API key") as refused:
        BinanceOrders("BTCUSDT", "0.10", "0.001", "my key!", HmacSha256(SECRET))
    assert "my key!" not in str(refused.value)


def test_a_template_needs_a_signer():
    with pytest.raises(TypeError):
        BinanceOrders("BTCUSDT", "0.10", "0.001", KEY, None)


def test_neither_key_nor_signer_leaves_by_copying_or_printing():
    with pytest.raises(TypeError):
        pickle.dumps(ORDERS)
    assert KEY not in repr(ORDERS)


@pytest.mark.parametrize("client_id", ["", "a" * 37, "a&b", "a=b", "a b", "é"])
def test_a_client_id_that_would_need_escaping_is_refused(client_id):
    for build in (
        lambda: ORDERS.limit(1, 2, client_id, 1, 7, 5),
        lambda: ORDERS.market(1, 2, client_id, 1, 7),
        lambda: ORDERS.conditional(1, 2, client_id, 1, False, 5),
        lambda: ORDERS.cancel_conditional(1, 2, client_id),
    ):
        with pytest.raises(ValueError, match="client id"):
            build()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("limit", (0, 2, "id", 1, 7, 5)),
        ("limit", (1, 0, "id", 1, 7, 5)),
        ("limit", (1, 2, "id", 0, 7, 5)),
        ("limit", (1, 2, "id", 1, 0, 5)),
        ("limit", (1, 2, "id", 1, 7, 0)),
        ("limit", (1, 2, "id", 1, 7, 10**17)),
        ("limit", (1, 2, "id", 1, 7, 5, 4)),
        ("market", (1, 2, "id", 2, 7)),
        ("market", (1, 2, "id", 1, 10**18)),
        ("market", (-1, 2, "id", 1, 7)),
        ("conditional", (1, 2, "id", 3, False, 5)),
        ("conditional", (1, 2, "id", 1, False, 0)),
        ("conditional", (1, 2, "id", 1, False, 5, -1)),
        ("conditional", (1, -2, "id", 1, False, 5)),
        ("cancel_conditional", (0, 2, "id")),
        ("cancel_conditional", (1, 0, "id")),
    ],
)
def test_a_bad_order_is_refused(method, arguments):
    with pytest.raises(ValueError, match=r"positive|side|units of the grid|time in force"):
        getattr(ORDERS, method)(*arguments)


def test_a_refused_order_leaves_the_next_one_whole():
    want = ORDERS.market(1, 2, "id", 1, 7)
    with pytest.raises(ValueError, match="client id"):
        ORDERS.limit(99, 2, "not an id", -1, 8, 5)
    assert ORDERS.market(1, 2, "id", 1, 7) == want
