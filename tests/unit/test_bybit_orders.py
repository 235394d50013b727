"""What a Bybit template refuses; and one frame word for word."""

import pytest

from hfengine.kernels.bybit_orders import BybitOrders

ORDERS = BybitOrders("BTCUSDT", "0.10", "0.001")
GOOD = (1, 2, "id", 1, 7, 612345)


def test_a_frame_word_for_word():
    frame = ORDERS.limit(
        12, 1723118400123, "hf-0123456789-000001e0", 1, 7, 612345, 1, False, 611111, 613333
    )
    assert frame == (
        b'{"op":"order.create","reqId":"12","header":{"X-BAPI-TIMESTAMP":"1723118400123",'
        b'"X-BAPI-RECV-WINDOW":"5000"},"args":[{"category":"linear","symbol":"BTCUSDT",'
        b'"side":"Buy","orderType":"Limit","qty":"0.007","price":"61234.50","timeInForce":"IOC",'
        b'"orderLinkId":"hf-0123456789-000001e0","reduceOnly":false,"positionIdx":0,'
        b'"takeProfit":"61333.30","tpTriggerBy":"MarkPrice","stopLoss":"61111.10",'
        b'"slTriggerBy":"MarkPrice","tpslMode":"Full"}]}'
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("BTC USDT", "0.10", "0.001"),
        ('BTC"', "0.10", "0.001"),
        ("", "0.10", "0.001"),
        ("B" * 33, "0.10", "0.001"),
        ("BTCUSDT", "x", "0.001"),
        ("BTCUSDT", "0.10", "0"),
        ("BTCUSDT", "0.10", "0.001", 0),
        ("BTCUSDT", "0.10", "0.001", 60_001),
    ],
)
def test_a_bad_template_is_refused(arguments):
    with pytest.raises(ValueError, match=r"symbol|grid|recv window"):
        BybitOrders(*arguments)


@pytest.mark.parametrize("client_id", ["", "a" * 37, 'a"', "a b", "é", "a\\", "a.b", "a\0"])
def test_a_client_id_that_would_need_escaping_is_refused(client_id):
    with pytest.raises(ValueError, match="client id"):
        ORDERS.limit(1, 2, client_id, 1, 7, 612345)
    with pytest.raises(ValueError, match="client id"):
        ORDERS.market(1, 2, client_id, 1, 7)


@pytest.mark.parametrize(
    ("place", "wrong", "says"),
    [
        (0, 0, "must be positive"),
        (1, -1, "must be positive"),
        (3, 0, "side"),
        (3, 2, "side"),
        (4, 0, "units of the grid"),
        (4, -1, "units of the grid"),
        (4, 10**18, "units of the grid"),
        (5, 0, "units of the grid"),
        (5, 10**17, "units of the grid"),
    ],
)
def test_a_bad_order_is_refused(place, wrong, says):
    arguments = list(GOOD)
    arguments[place] = wrong
    with pytest.raises(ValueError, match=says):
        ORDERS.limit(*arguments)
    if place < 5:
        with pytest.raises(ValueError, match=says):
            ORDERS.market(*arguments[:5])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"tif": 4}, "time in force"),
        ({"tif": -1}, "time in force"),
        ({"stop_ticks": -1}, "units of the grid"),
        ({"target_ticks": 10**17}, "units of the grid"),
        ({"reduce_only": True, "stop_ticks": 5}, "reduce-only"),
        ({"reduce_only": True, "target_ticks": 5}, "reduce-only"),
    ],
)
def test_bad_terms_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        ORDERS.limit(*GOOD, **wrong)


def test_a_refused_order_leaves_the_next_one_whole():
    want = ORDERS.limit(*GOOD)
    with pytest.raises(ValueError, match="client id"):
        ORDERS.limit(99, 2, "not an id", -1, 8, 5)
    assert ORDERS.limit(*GOOD) == want
    assert ORDERS.price.text(612345) == "61234.50"
    assert ORDERS.quantity.text(7) == "0.007"
