"""A fuzz case: a line with the letter of a dialect, then frames, each behind a record separator.

u, s and b stand for Binance USDⓈ-M, Binance spot and Bybit; a saved case names the results it must
have behind the letter. Frames are what lies between the separators (RFC 7464 writes JSON texts so),
line ends included: they are white space to JSON.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tests.reference import binance_frames as binance
from tests.reference import bybit_frames as bybit
from tests.reference.binance_frames import encode
from tests.reference.twins import BinanceTwins, BybitTwins

CORPUS = Path(__file__).parent / "corpus"
SEPARATOR = b"\x1e"
FRAMES_MAX = 12
NESTING_MAX = 60
"""The codecs read at least this deep; past it the reference reads on and is not asked."""

BIDS = [("99.9", "1.000"), ("99.0", "2.500")]
ASKS = [("100.1", "3"), ("101.0", "0.004")]


def written(dialect: bytes, frames: Iterable[bytes]) -> bytes:
    """Write a case."""
    return dialect + b"\n" + b"".join(SEPARATOR + frame + b"\n" for frame in frames)


def nesting(payload: bytes) -> int:
    """Return at most how deep the brackets of a payload nest, those in strings included."""
    depth = deepest = 0
    for byte in payload:
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def replay(case: bytes) -> list[str]:
    """Feed a case's frames to the codec and its reference and return the results.

    Raises AssertionError where the two differ in anything they know.
    """
    letter, *frames = case.split(SEPARATOR)
    twins: BinanceTwins | BybitTwins
    if letter[:1] == b"b":
        twins = BybitTwins()
    else:
        twins = BinanceTwins("spot" if letter[:1] == b"s" else "usdm")
    results = []
    for payload in frames[:FRAMES_MAX]:
        if nesting(payload) > NESTING_MAX:
            twins.codec.decode(payload)  # must come back, whatever it says
            break
        results.append(twins.feed(payload))
    return results


def binance_seeds() -> dict[str, bytes]:
    diffs = [
        binance.diff(1001, 1010, 1000, [("99.9", "0.000"), ("99.5", "7.125")], [("100.1", "3")]),
        binance.diff(1011, 1020, 1010, [("98.0", "1e-3")], [("100.0", "10.5E-1")]),
    ]
    whole = binance.snapshot(1000, BIDS, ASKS)
    quote, trade = binance.quote(1011), binance.trade(5, "100.0", "0.006")
    mark = binance.mark("28147.27373413", "28159.75642857", "-0.00002754")
    late = binance.snapshot(1015, BIDS, ASKS) | {"symbol": "BTCUSDT"}
    aggregate = binance.trade(6, "99.9", "1", e="aggTrade", a=6, m=True)
    off_market = binance.trade(7, "5.0", "1", X="INSURANCE_FUND")
    reply = {"result": None, "id": 1}
    return {
        "usdm_raw": written(b"u", map(encode, (whole, *diffs, quote, trade, mark))),
        "usdm_wrapped": written(b"u", [encode(whole), *map(binance.wrap, (*diffs, quote, trade))]),
        "usdm_late_snapshot": written(b"u", map(encode, (*diffs, whole, late))),
        "usdm_gap": written(b"u", map(encode, (whole, diffs[1], diffs[0], late, diffs[1]))),
        "usdm_others": written(b"u", map(encode, (aggregate, off_market, reply, mark))),
    }


def spot_seeds() -> dict[str, bytes]:
    whole = binance.spot_snapshot(1000, BIDS, ASKS)
    diffs = [
        binance.spot_diff(995, 1010, [("99.9", "0.000")], [("100.1", "3")]),
        binance.spot_diff(1011, 1011, [("98.0", "1.5")]),
        binance.spot_diff(1013, 1020),
    ]
    return {
        "spot_raw": written(b"s", map(encode, (whole, *diffs[:2], binance.spot_quote(1012)))),
        "spot_wrapped": written(b"s", [encode(whole), *map(binance.wrap, diffs)]),
        "spot_late_snapshot": written(b"s", map(encode, (diffs[0], whole, diffs[1]))),
    }


def bybit_seeds() -> dict[str, bytes]:
    fills = [
        bybit.fill("20f43950-d8dd", "100.0", "0.006"),
        bybit.fill(7, "99", "1", "Sell"),
        bybit.fill("x", "99", "1", BT=True),
    ]
    deltas = [
        bybit.delta(101, [("99.9", "0"), ("99.5", "7.125")], [("100.1", "30e-1")]),
        bybit.delta(102, [("98.0", "1")]),
    ]
    marks = [
        bybit.ticker("snapshot", **bybit.MARKED),
        bybit.ticker("delta", indexPrice="99.5", nextFundingTime="1733068800000"),
    ]
    replies = [
        {"success": True, "ret_msg": "pong", "conn_id": "x", "req_id": "r1", "op": "ping"},
        {"req_id": "r2", "op": "pong", "args": ["1675418560633"], "conn_id": "x"},
    ]
    touches = [bybit.touch(7), bybit.touch(8, "99.9", "100.3", 1006)]
    restart = bybit.snapshot(1, [("99.9", "1")], [("100.1", "1")])
    return {
        "bybit_book": written(b"b", map(encode, (bybit.snapshot(), *deltas, restart))),
        "bybit_gap": written(b"b", map(encode, (bybit.snapshot(), deltas[1], deltas[0]))),
        "bybit_touch": written(b"b", map(encode, (touches[0], bybit.snapshot(), touches[1]))),
        "bybit_trades": written(b"b", map(encode, (bybit.trades(*fills), bybit.trades()))),
        "bybit_ticker": written(b"b", map(encode, (*marks, *replies))),
        "bybit_depths": written(b"b", [encode(bybit.snapshot(9, depth=d)) for d in (50, 200, 5)]),
    }


def seeds() -> dict[str, bytes]:
    """Return the cases the fuzzer starts from, by name; they reach every kind and most faults."""
    return {**binance_seeds(), **spot_seeds(), **bybit_seeds()}


def tokens() -> list[bytes]:
    """Return the words of the dialects, for a mutator to insert."""
    words = {
        part
        for case in seeds().values()
        for frame in case.split(SEPARATOR)[1:]
        for part in words_of(json.loads(frame))
    }
    marks = [b"\\u0061", b"\\/", b"e-1", b"E+2", b"null", b"true", b"[[", b"]]", b"{}", b"\xc3\xa9"]
    return [*(b'"%s"' % word.encode() for word in sorted(words)), *marks]


def words_of(frame: object) -> set[str]:
    """Return the keys and texts anywhere in a frame."""
    if isinstance(frame, dict):
        return set(frame).union(*(words_of(part) for part in frame.values()))
    if isinstance(frame, list):
        return set().union(*(words_of(part) for part in frame))
    return {frame} if isinstance(frame, str) else set()
