"""Binance frames, parsed and with their signature, against what a plain program would have sent."""

import json

from hypothesis import given
from hypothesis import strategies as st

from hfengine.kernels.binance_orders import BinanceOrders
from hfengine.kernels.signing import HmacSha256
from tests.reference.binance_orders import BinanceOrders as Reference

GRIDS = st.sampled_from(
    [("0.10", "0.001"), ("0.01", "1"), ("0.0000001", "100"), ("1", "0.00001"), ("0.05", "0.1")]
)
names = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=1, max_size=32)
keys = st.text("abcdefghijXYZ0123456789", min_size=1, max_size=128)
client_ids = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=1, max_size=36
)
stamps = st.integers(1, 2**63 - 1)
units = st.integers(1, 10**12)
sides = st.sampled_from([1, -1])

templates = st.tuples(
    names, GRIDS, keys, st.binary(min_size=1, max_size=80), st.integers(1, 60_000)
).map(
    lambda of: (
        BinanceOrders(of[0], *of[1], of[2], HmacSha256(of[3]), of[4]),
        Reference(of[0], *of[1], of[2], of[3], of[4]),
    )
)


def same(frame: bytes, want: object) -> None:
    assert json.loads(frame) == want
    assert len(frame) < 1024


@given(
    templates, stamps, stamps, client_ids, sides, units, st.none() | units, st.integers(0, 3),
    st.booleans(),
)  # fmt: skip
def test_an_order_equals_the_plain_request(
    template, request_id, now_ms, client_id, side, steps, ticks, tif, reduce_only
):
    orders, reference = template
    head = (request_id, now_ms, client_id, side, steps)
    if ticks is None:
        frame = orders.market(*head, reduce_only)
    else:
        frame = orders.limit(*head, ticks, tif, reduce_only)
    same(frame, reference.place(*head, ticks, tif, reduce_only))


@given(
    templates, stamps, stamps, client_ids, sides, st.booleans(), units, st.just(0) | units,
    st.booleans(),
)  # fmt: skip
def test_a_conditional_order_equals_the_plain_request(
    template, request_id, now_ms, client_id, side, target, trigger, steps, by_mark
):
    orders, reference = template
    arguments = (request_id, now_ms, client_id, side, target, trigger, steps, by_mark)
    same(orders.conditional(*arguments), reference.conditional(*arguments))


@given(templates, stamps, stamps, client_ids)
def test_a_cancellation_equals_the_plain_request(template, request_id, now_ms, client_id):
    orders, reference = template
    arguments = (request_id, now_ms, client_id)
    same(orders.cancel_conditional(*arguments), reference.cancel_conditional(*arguments))
