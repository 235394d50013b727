"""The compiled floor writes what plain Python writes, for any market."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.bench.wire.market import BybitMarket
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from hfengine.kernels.floor import FloorPath
from hfengine.seeds import Seed
from tests.reference.floor import Floor


@given(
    st.integers(0, 2**32),
    st.integers(101, 9_999_999),
    st.integers(1, 20),
    st.lists(st.sampled_from(("delta", "delta", "delta", "snapshot", "trade")), max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_floor_equals_its_reference(seed, mid, swing, kinds):
    market = BybitMarket("BTCUSDT", Seed(seed).stream("test"), mid=mid, swing=swing)
    path = FloorPath(BybitCodec("BTCUSDT", Book("0.1", "0.001")), "0.010")
    plain = Floor("BTCUSDT", "0.010")
    for kind in ["snapshot", *kinds]:
        payload = getattr(market, kind)(1_730_000_000_000)
        got = path.order(payload)
        if kind == "trade":
            assert got is None
            continue
        order = json.loads(got) if got else None
        stamp = order["header"]["X-BAPI-TIMESTAMP"] if order else ""
        assert order == plain.order(payload, stamp)
    assert path.orders == plain.orders
