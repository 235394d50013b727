"""The synthetic market under any seed, grid and start: the rules of the wire always hold."""

import json
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.feeds.ladder import Side, Texts
from hfengine.feeds.synthetic import Synthetic
from tests.reference.market_check import read_all
from tests.unit.test_synthetic import made_up

SECOND = 1_000_000_000
TICKS = ["0.1", "0.01", "0.5", "0.0001", "0.0000001", "5", "0.25"]
STEPS = ["0.001", "0.1", "1", "10"]


@settings(max_examples=12, deadline=None)
@given(
    st.integers(-(2**40), 2**40),
    st.integers(1_600_000_000, 1_900_000_000),
    st.dictionaries(
        st.sampled_from(["BTCUSDT", "ETHUSDT", "SOLUSDT", "AUSDT"]),
        st.tuples(st.sampled_from(TICKS), st.sampled_from(STEPS)),
        min_size=1,
        max_size=2,
    ),
)
def test_the_rules_of_the_wire_hold(
    seed: int, start_s: int, grids: dict[str, tuple[str, str]]
) -> None:
    # the recorded symbols have their own prices: a grid far from theirs makes no book
    for known, grid in (("BTCUSDT", ("0.1", "0.001")), ("ETHUSDT", ("0.01", "0.001"))):
        if known in grids:
            grids[known] = grid
    if "SOLUSDT" in grids:
        grids["SOLUSDT"] = ("0.01", grids["SOLUSDT"][1])
    instruments = {symbol: made_up(symbol, *grid) for symbol, grid in grids.items()}
    feed = Synthetic(seed, start_s * SECOND, tuple(grids), 2 * SECOND, instruments)
    events = list(feed.events())
    assert all(a.at_ns <= b.at_ns for a, b in pairwise(events))
    assert events[0].at_ns >= feed.start_ns
    for symbol, reader in read_all(events).items():
        tick, step = (Decimal(text) for text in grids[symbol])
        assert reader.mismatched == reader.chain_gaps == reader.crossed == 0
        assert reader.matched > 20
        for event in events:
            frame = json.loads(event.payload).get("data", {})
            if frame.get("s") == symbol and frame["e"] == "depthUpdate":
                for price, quantity in frame["b"] + frame["a"]:
                    assert Decimal(price) > 0
                    assert Decimal(price) % tick == 0
                    assert Decimal(quantity) >= 0
                    assert Decimal(quantity) % step == 0


@given(st.integers(0, 10**12), st.sampled_from([1, 5, 25]), st.integers(0, 9))
def test_texts_are_exact(count: int, unit: int, decimals: int) -> None:
    text = Texts(unit, decimals, b"<", b">")[count]
    exact = Decimal(count * unit).scaleb(-decimals)
    assert text == f"<{exact:.{decimals}f}>".encode()


@given(
    st.sampled_from([1, -1]),
    st.dictionaries(st.integers(0, 60), st.integers(1, 9), min_size=1),
    st.integers(1, 40),
)
def test_retreating_leaves_nothing_better(sign: int, behind: dict[int, int], steps: int) -> None:
    side = Side(sign, 1000)
    before = {1000 - sign * distance: quantity for distance, quantity in behind.items()}
    side.levels = dict(before)
    best = 1000 - sign * steps
    gone = side.retreat(best, 7)
    better = {price: q for price, q in before.items() if (price - best) * sign > 0}
    assert dict(gone) == better
    assert side.levels == {p: q for p, q in before.items() if p not in better} | {best: 7}
    assert side.changed == dict.fromkeys(better, 0) | {best: 7}
    assert side.best == best
