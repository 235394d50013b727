"""The router on the frames that venues send."""

import pytest

from hfengine.kernels.routing import Router

ROUTER = Router(
    {
        "orderbook.50.BTCUSDT": "BTCUSDT",
        "btcusdt@depth@100ms": "BTCUSDT",
        "BTCUSDT": "BTCUSDT",
        "1000PEPEUSDT": "1000PEPEUSDT",
    }
)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1,"data":{"s":"ETHUSDT"}}',
        b'{"type":"delta","ts":1,"topic":"orderbook.50.BTCUSDT","data":{}}',
        b' {\n "topic" : "orderbook.50.BTCUSDT" }',
        b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","s":"BTCUSDT"}}',
        b'{"e":"depthUpdate","E":17,"T":16,"s":"BTCUSDT","U":1,"u":2,"pu":0,"b":[],"a":[]}',
        b'{"e":"x","x":-1.5e+3,"y":null,"z":true,"s":"BTCUSDT"',
        b'{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":0,"k":1,"s":"BTCUSDT"}',
    ],
)
def test_a_frame_is_led_to_its_symbol(payload):
    assert ROUTER.route(payload) == "BTCUSDT"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"{}",
        b"pong",
        b"[1]",
        b'{"success":true,"ret_msg":"","op":"subscribe"}',
        b'{"result":null,"id":1}',
        b'{"topic":"orderbook.50.ETHUSDT"}',
        b'{"topic":17}',
        b'{"topic"',
        b'{"topic":"orderbook.50.BTCUSDT',
        b'{"data":{},"stream":"btcusdt@depth@100ms"}',
        b'{"data":[],"s":"BTCUSDT"}',
        b'{"x":"\\"","s":"BTCUSDT"}',
        b'{"\\u0073":"ETHUSDT","s":"BTCUSDT"}',
        b'{"s":"\\u0042TCUSDT"}',
        b'{"s" "BTCUSDT"}',
        b'{"e":,"s":"BTCUSDT"}',
        b'{"e":1 "s":"BTCUSDT"}',
        b'{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":0,"k":1,"l":2,"s":"BTCUSDT"}',
    ],
)
def test_what_is_not_plain_or_not_known_is_left_to_a_full_parser(payload):
    assert ROUTER.route(payload) is None


def test_the_same_object_comes_back_and_only_bytes_are_taken():
    symbol = "1000PEPEUSDT" + ""
    router = Router({"x": symbol})
    assert router.route(b'{"s":"x"}') is symbol
    with pytest.raises(TypeError):
        router.route("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        router.route(None)  # type: ignore[arg-type]
