"""The compiled codec against json, Decimal and two dicts: same verdicts, same books."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.reference.binance_frames import EMPTY, diff, encode, mark, quote, snapshot, trade, wrap
from tests.reference.twins import BinanceTwins as Twins

BAD = ("-1", "0.00001", "x", "", "1e18", "1e300", "00", "9" * 30, "0.0")


@st.composite
def texts(draw: st.DrawFn, low: int, high: int, decimals: int) -> str:
    """Draw a decimal on the grid in one of several notations, rarely one that is refused."""
    units = draw(st.integers(low, high))
    plain = f"{units / 10**decimals:.{decimals}f}"
    form = draw(st.integers(0, 399))
    if form == 399:
        return draw(st.sampled_from(BAD))
    others = [plain + "00", f"{units}e-{decimals}", f"{units}0E-{decimals + 1}"]
    return others[form % 3] if form > 300 else plain


prices = texts(900, 1100, 1)
quantities = texts(0, 5000, 3) | st.just("0.000")
bid_levels = st.lists(st.tuples(texts(900, 999, 1), quantities), max_size=5)
ask_levels = st.lists(st.tuples(texts(999, 1100, 1), quantities), max_size=5)


@st.composite
def shuffled(draw: st.DrawFn, frame: dict[str, Any]) -> bytes:
    """Reorder keys, add unknown ones, drop or spoil one now and then; write it in some style."""
    frame = dict(draw(st.permutations(list(frame.items()))))
    spoil = draw(st.integers(0, 60))
    key = draw(st.sampled_from(sorted(frame)))
    if spoil == 0:
        del frame[key]
    elif spoil == 1:
        frame[key] = draw(
            st.sampled_from((None, True, -1, 1.5, "1", [], {}, [["1", "1"]], [[]], 10**20))
        )
    elif spoil < 6:
        frame[draw(st.sampled_from(("zz", "n", "st", "ps")))] = draw(
            st.sampled_from((None, {"b": [1, {"e": "\n\u00e9\U0001f600"}]}, [[], {}], -1.5e-9, ""))
        )
    if draw(st.booleans()):
        frame = {"stream": "x", "data": frame}
    indent, separators = draw(st.sampled_from(((None, (",", ":")), (None, None), (1, None))))
    ascii_only = draw(st.booleans())
    return json.dumps(frame, indent=indent, separators=separators, ensure_ascii=ascii_only).encode()


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Draw a stream of frames whose diffs mostly follow each other."""
    frames, last = [encode(snapshot(100, draw(bid_levels), draw(ask_levels)))], 100
    for _ in range(draw(st.integers(3, 12))):
        kind = draw(st.integers(0, 19))
        if kind < 15:
            jump = draw(st.integers(0, 39))
            first = last + {0: -3, 1: 2}.get(jump, 0 if last == 100 else 1)
            previous = last + {2: -1, 3: 1}.get(jump, 0)
            last += {4: 0, 5: -5}.get(jump, 5)
            frame = diff(first, last, previous, draw(bid_levels), draw(ask_levels))
        elif kind < 16:
            at = last + draw(st.integers(-8, 8))
            frame = snapshot(at, draw(bid_levels), draw(ask_levels))
        elif kind < 18:
            frame = quote(
                last + draw(st.integers(-3, 3)),
                draw(prices),
                draw(quantities),
                draw(prices),
                draw(quantities),
            )
        else:
            frame = trade(last, draw(prices), draw(quantities), m=draw(st.booleans()))
        frames.append(draw(shuffled(frame)))
    return frames


@settings(max_examples=100, deadline=None)
@given(streams())
def test_streams_give_the_same_results_and_books(frames: list[bytes]) -> None:
    twins = Twins()
    for payload in frames:
        twins.feed(payload)


BIDS = [("99.9", "1.000"), ("99.0", "2.500")]
ASKS = [("100.1", "3"), ("101.0", "0.004")]
SYNC = [encode(snapshot(1000, BIDS, ASKS)), wrap(diff(995, 1010, 990, [("98.0", "1.0")]))]
SAMPLES = [
    wrap(diff(1011, 1020, 1010, [("99.9", "0.000"), ("99.5", "7.125")], [("100.1", "30e-1")])),
    encode(diff(1011, 1020, 1010, [("99.9", "0.000")])),
    encode(snapshot(1030, BIDS[:1], ASKS)),
    wrap(quote(1011)),
    wrap(trade(5, "100.0", "0.006")),
    encode(mark("28147.27373413", "28159.75642857", "-0.00002754")),
    b'{"result":null,"id":1}',
]


@settings(max_examples=700, deadline=None)
@given(
    st.sampled_from(SAMPLES),
    st.integers(0, 10**6),
    st.one_of(st.integers(0, 255), st.sampled_from(list(b'"\\{}[],:.-+eE019ubaUET \t\xc3'))),
    st.sampled_from(("replace", "insert", "delete", "truncate", "double")),
)
@example(SAMPLES[1], SAMPLES[1].index(b'"pu"') + 2, ord("b"), "replace")
@example(SAMPLES[1], SAMPLES[1].index(b"1020"), ord("-"), "insert")
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


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_judged_alike(payload: bytes) -> None:
    twins = Twins()
    twins.feed(SYNC[0])
    twins.feed(payload)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(("e", "b", "a", "u", "data", "x", "id", "é")) | st.text(max_size=3),
            inner,
            max_size=5,
        )
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
