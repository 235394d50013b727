"""The router against a full parse."""

import json

from hypothesis import given
from hypothesis import strategies as st

from hfengine.kernels.routing import Router
from tests.reference.routing import ROUTES, route

SYMBOLS = {
    "orderbook.50.BTCUSDT": "BTCUSDT",
    "publicTrade.ETHUSDT": "ETHUSDT",
    "btcusdt@depth@100ms": "BTCUSDT",
    "BTCUSDT": "BTCUSDT",
    "ETHUSDT": "ETHUSDT",
}
ROUTER = Router(SYMBOLS)
names = st.sampled_from(
    [*SYMBOLS, "XRPUSDT", "", "s", "topic", "orderbook.50.BTCUSD", "orderbook.50.BTCUSDTX"]
)
plain = (
    names
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
)
nested = st.lists(plain, max_size=3) | st.dictionaries(names, plain, max_size=3)
keys = st.sampled_from([*ROUTES, "e", "E", "type", "ts", "data", "topics", "S", "strean", "tópic"])
spaces = st.text(" \n\r\t", max_size=2)


@st.composite
def objects(draw, values=plain | nested):
    """Return an object as bytes: any order of members, repeated keys, any space."""

    def space() -> str:
        return draw(spaces)

    members = draw(st.lists(st.tuples(keys, values), max_size=9))
    texts = [
        f"{space()}{json.dumps(key, ensure_ascii=False)}{space()}:{space()}"
        f"{json.dumps(member, ensure_ascii=False)}{space()}"
        for key, member in members
    ]
    return f"{space()}{{{','.join(texts)}{'' if texts else space()}}}{space()}".encode()


@given(objects())
def test_the_answer_is_that_of_a_full_parse(payload):
    assert ROUTER.route(payload) == route(SYMBOLS, payload)


@given(objects(plain), st.data())
def test_the_front_of_a_frame_never_routes_elsewhere(payload, data):
    cut = payload[: data.draw(st.integers(0, len(payload)))]
    assert ROUTER.route(cut) in (None, route(SYMBOLS, payload))


@given(st.binary(max_size=60) | st.text('{"s:,}topic \\', max_size=40).map(str.encode))
def test_any_bytes_are_answered(payload):
    symbol = ROUTER.route(payload)
    if symbol is not None:
        assert symbol.encode() in payload
