"""Bybit frames, parsed, against the dict a plain program would have sent."""

import json

from hypothesis import given
from hypothesis import strategies as st

from hfengine.kernels.bybit_orders import BybitOrders
from tests.reference.bybit_orders import order_create

GRIDS = st.sampled_from(
    [("0.10", "0.001"), ("0.01", "1"), ("0.0000001", "100"), ("1", "0.00001"), ("0.05", "0.1")]
)
symbols = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", min_size=1, max_size=32)
client_ids = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=1, max_size=36
)
stamps = st.integers(1, 2**63 - 1)
units = st.integers(1, 10**12)
triggers = st.just(0) | units
sides = st.sampled_from([1, -1])


@given(
    GRIDS,
    symbols,
    st.integers(1, 60_000),
    stamps,
    stamps,
    client_ids,
    sides,
    units,
    st.none() | units,
    st.integers(0, 3),
    st.booleans(),
    triggers,
    triggers,
    st.booleans(),
)
def test_equals_the_plain_request(
    grid, symbol, window, request_id, now_ms, client_id, side, steps, ticks, tif, reduce_only,
    stop, target, by_mark,
):  # fmt: skip
    if reduce_only:
        stop = target = 0
    orders = BybitOrders(symbol, *grid, window)
    rest = (reduce_only, stop, target, by_mark)
    if ticks is None:
        frame = orders.market(request_id, now_ms, client_id, side, steps, *rest)
    else:
        frame = orders.limit(request_id, now_ms, client_id, side, steps, ticks, tif, *rest)
    want = order_create(
        symbol, *grid, window, request_id, now_ms, client_id, side, steps, ticks, tif, *rest
    )
    assert json.loads(frame) == want
    assert len(frame) < 1024
    assert b" " not in frame
