"""The compiled Bybit codec against json, Decimal and two dicts: same verdicts, same books."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.reference.bybit_frames import (
    EMPTY,
    MARKED,
    delta,
    encode,
    fill,
    snapshot,
    ticker,
    touch,
    trades,
)
from tests.reference.twins import BybitTwins as Twins

BAD = ("-1", "0.00001", "x", "", "1e18", "1e300", "00", "9" * 30, "0.0")


@st.composite
def texts(draw: st.DrawFn, low: int, high: int, decimals: int) -> str:
    """Draw a decimal on the grid in one of several notations, rarely one that is refused."""
    count = draw(st.integers(low, high))
    plain = f"{count / 10**decimals:.{decimals}f}"
    form = draw(st.integers(0, 399))
    if form == 399:
        return draw(st.sampled_from(BAD))
    others = [plain + "00", f"{count}e-{decimals}", f"{count}0E-{decimals + 1}"]
    return others[form % 3] if form > 300 else plain


quantities = texts(0, 5000, 3) | st.just("0")
bid_levels = st.lists(st.tuples(texts(900, 999, 1), quantities), max_size=5)
ask_levels = st.lists(st.tuples(texts(999, 1100, 1), quantities), max_size=5)
depths = st.sampled_from((50,) * 20 + (1, 200, 500, 1000))
fills = st.builds(
    fill,
    st.text(min_size=1, max_size=9) | st.integers(0, 10**17) | st.sampled_from(("", None, 1.5)),
    texts(900, 1100, 1),
    texts(1, 5000, 3),
    st.sampled_from(("Buy", "Sell") * 9 + ("buy",)),
    BT=st.sampled_from((False,) * 20 + (True, True, None)),
)


def spoiled(draw: st.DrawFn, part: dict[str, Any]) -> dict[str, Any]:
    """Reorder keys, add unknown ones, drop or spoil one now and then."""
    part = dict(draw(st.permutations(list(part.items()))))
    spoil = draw(st.integers(0, 60))
    key = draw(st.sampled_from(sorted(part)))
    if spoil == 0:
        del part[key]
    elif spoil == 1:
        part[key] = draw(
            st.sampled_from((None, True, -1, 1.5, "1", [], {}, [["1", "1"]], [[]], 10**20))
        )
    elif spoil < 6:
        part[draw(st.sampled_from(("zz", "n", "RPI", "id")))] = draw(
            st.sampled_from((None, {"b": [1, {"u": "\n\u00e9\U0001f600"}]}, [[], {}], -1.5e-9, ""))
        )
    return part


def written(draw: st.DrawFn, frame: dict[str, Any]) -> bytes:
    """Write a frame in some style, escapes in its words now and then."""
    frame = spoiled(draw, frame)
    inner = frame.get("data")
    if isinstance(inner, dict) and inner:
        frame["data"] = spoiled(draw, inner)
    indent, separators = draw(st.sampled_from(((None, (",", ":")), (None, None), (1, None))))
    ascii_only = draw(st.booleans())
    try:
        text = json.dumps(frame, indent=indent, separators=separators, ensure_ascii=ascii_only)
        payload = text.encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8
        payload = json.dumps(frame, indent=indent, separators=separators).encode()
    if draw(st.integers(0, 9)) == 0:
        word = draw(
            st.sampled_from((b"order", b"BTC", b"delta", b"topic", b"seq", b"Buy", b"mark"))
        )
        payload = payload.replace(word, b"\\u%04x" % word[0] + word[1:])
    return payload


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Draw a stream of frames whose deltas mostly follow each other."""
    frames, last = [encode(snapshot(100, draw(bid_levels), draw(ask_levels)))], 100
    for _ in range(draw(st.integers(3, 12))):
        kind = draw(st.integers(0, 19))
        if kind < 12:
            last += {0: 2, 1: 0, 2: -1}.get(draw(st.integers(0, 39)), 1)
            frame = delta(last, draw(bid_levels), draw(ask_levels), draw(depths))
        elif kind < 13:
            last = draw(st.sampled_from((1, 50, last, last + 9)))
            make = draw(st.sampled_from((snapshot, delta)))
            frame = make(last, draw(bid_levels), draw(ask_levels), draw(depths))
        elif kind < 15:
            seq = 10 * last + draw(st.integers(-20, 20))
            bids, asks = draw(bid_levels)[:1], draw(ask_levels)[:1]
            frame = snapshot(draw(st.integers(1, 4)), bids, asks, 1, max(0, seq))
        elif kind < 18:
            frame = trades(*draw(st.lists(fills, max_size=4)))
        else:
            kept = draw(st.sets(st.sampled_from(sorted(MARKED))))
            frame = ticker("delta", **{key: MARKED[key] for key in sorted(kept)})
            if kind == 19:
                frame = ticker("snapshot", **MARKED | {"markPrice": draw(texts(1, 999, 2))})
        frames.append(written(draw, frame))
    return frames


@settings(max_examples=120, deadline=None)
@given(streams())
def test_streams_give_the_same_results_and_books(frames: list[bytes]) -> None:
    twins = Twins()
    for payload in frames:
        twins.feed(payload)


SYNC = [encode(snapshot()), encode(delta(101, [("98.0", "1.0")])), encode(touch(7))]
SAMPLES = [
    encode(delta(102, [("99.9", "0"), ("99.5", "7.125")], [("100.1", "30e-1")])),
    encode(snapshot(1, [("99.9", "1")], [("100.1", "1")])),
    encode(touch(8, seq=1006)),
    encode(trades(fill("20f43950-d8dd", "100.0", "0.006"), fill("b", "99", "1", "Sell", BT=True))),
    encode(ticker("snapshot", **MARKED)),
    encode(ticker("delta", indexPrice="99.5")),
    b'{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"r1","op":"ping"}',
    b'{"req_id":"r2","op":"pong","args":["1675418560633"],"conn_id":"x-1"}',
]


@settings(max_examples=900, deadline=None)
@given(
    st.sampled_from(SAMPLES),
    st.integers(0, 10**6),
    st.one_of(st.integers(0, 255), st.sampled_from(list(b'"\\{}[],:.-+eE019usbTS \t\xc3'))),
    st.sampled_from(("replace", "insert", "delete", "truncate", "double")),
)
@example(SAMPLES[0], SAMPLES[0].index(b'"u"') + 1, ord("b"), "replace")
@example(SAMPLES[0], SAMPLES[0].index(b"102"), ord("-"), "insert")
def test_a_damaged_frame_is_judged_as_the_strict_reference_judges(
    sample: bytes, place: int, byte: int, damage: str
) -> None:
    place %= len(sample)
    new = bytes([byte])
    payload = {
        "replace": sample[:place] + new + sample[place + 1 :],
        "insert": sample[:place] + new + sample[place:],
        "delete": sample[:place] + sample[place + 1 :],
        "truncate": sample[:place],
        "double": sample[:place] + sample[place : place + 9] + sample[place:],
    }[damage]
    twins = Twins()
    for frame in SYNC:
        twins.feed(frame)
    before = twins.state()
    result = twins.feed(payload)
    if result not in ("depth", "snapshot"):
        assert twins.state() in (before, EMPTY)


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_truncation_is_malformed_and_applies_nothing(sample: bytes) -> None:
    for length in range(len(sample)):
        twins = Twins()
        for frame in SYNC:
            twins.feed(frame)
        assert twins.feed(sample[:length]) == "malformed"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_judged_alike(payload: bytes) -> None:
    twins = Twins()
    twins.feed(SYNC[0])
    twins.feed(payload)


keys = st.sampled_from(("topic", "type", "data", "op", "success", "b", "u", "x", "é"))
words = st.sampled_from(("orderbook.50.BTCUSDT", "tickers.BTCUSDT", "delta", "pong", "1"))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | words,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(values, st.booleans())
def test_any_conforming_json_is_never_malformed(value: object, ascii_only: bool) -> None:
    try:
        payload = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8
        payload = json.dumps(value).encode()
    twins = Twins()
    twins.feed(SYNC[0])
    assert twins.feed(payload) != "malformed"
