"""The compiled codec in its spot rules against the reference in its own."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.binance_frames import (
    EMPTY,
    encode,
    spot_diff,
    spot_quote,
    spot_snapshot,
    trade,
    wrap,
)
from tests.reference.twins import BinanceTwins

bids = st.lists(
    st.tuples(st.sampled_from(("99.9", "99.0", "98.5")), st.sampled_from(("0", "1.5", "2"))),
    max_size=3,
)
asks = st.lists(
    st.tuples(st.sampled_from(("100.0", "101.0", "99.9")), st.sampled_from(("0", "0.001", "7"))),
    max_size=3,
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Draw a stream of spot frames whose diffs mostly follow each other."""
    last = 100
    frames: list[dict[str, Any]] = [spot_snapshot(last, draw(bids), [("101.0", "1")])]
    for _ in range(draw(st.integers(3, 12))):
        kind = draw(st.integers(0, 9))
        if kind < 6:
            first = last + 1 + draw(st.sampled_from((0,) * 12 + (-1, 1, -3)))
            last = max(first, last) + draw(st.integers(0, 3))
            frames.append(spot_diff(first, last, draw(bids), draw(asks)))
        elif kind < 7:
            at = last + draw(st.integers(-4, 4))
            frames.append(spot_snapshot(at, draw(bids), [("101.0", "1")]))
        elif kind < 9:
            frames.append(spot_quote(last + draw(st.integers(-3, 3)), draw(st.sampled_from("15"))))
        else:
            frames.append(trade(last, "100.0", "1", M=True))
        if draw(st.integers(0, 30)) == 0:
            frames[-1].pop(draw(st.sampled_from(sorted(frames[-1]))))
        if draw(st.integers(0, 30)) == 0:
            frames[-1][draw(st.sampled_from(("pu", "e", "T", "zz")))] = draw(st.integers(0, 99))
    return [draw(st.sampled_from((encode, wrap)))(frame) for frame in frames]


@settings(max_examples=150, deadline=None)
@given(streams())
def test_streams_give_the_same_results_and_books(frames: list[bytes]) -> None:
    twins = BinanceTwins("spot")
    for payload in frames:
        twins.feed(payload)


SYNC = [
    encode(spot_snapshot(1000, [("99.9", "1.000")], [("100.1", "3")])),
    wrap(spot_diff(1001, 1010, [("98.0", "1.0")])),
]
SAMPLES = [
    wrap(spot_diff(1011, 1020, [("99.9", "0.000"), ("99.5", "7.125")], [("100.1", "30e-1")])),
    encode(spot_snapshot(1030, [("99.9", "1")], [("100.1", "2")])),
    wrap(spot_quote(1011)),
    encode(spot_quote(1012)),
]


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(SAMPLES),
    st.integers(0, 10**6),
    st.one_of(st.integers(0, 255), st.sampled_from(list(b'"\\{}[],:.-+eE019uUbBsT \t\xc3'))),
    st.sampled_from(("replace", "insert", "delete", "truncate", "double")),
)
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
    twins = BinanceTwins("spot")
    for frame in SYNC:
        twins.feed(frame)
    before = twins.state()
    if twins.feed(payload) not in ("depth", "snapshot"):
        assert twins.state() in (before, EMPTY)
