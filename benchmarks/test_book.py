"""What a Binance frame costs: compiled codec and book, and orjson with two dicts beside them.

Frames are made here, shaped like the recorded ones (20 levels near the touch), so that nothing but
the repository is needed. The ratio runs both sides in turn in one process, as the design demands.
"""

import itertools
import random
import time
from statistics import median

import orjson
import pytest

from hfengine.kernels.book import Book
from hfengine.kernels.codec import DEPTH, QUOTE, SNAPSHOT, TRADE, BinanceCodec

DIFFS = 2000
LEVELS_A_SIDE = 10
ROUNDS = 7


def level(rng: random.Random, side: int) -> list[str]:
    distance = 1 + int(rng.expovariate(0.02))
    ticks = 618_000 - side * distance
    steps = 0 if rng.random() < 0.3 else rng.randrange(1, 20_000)
    return [f"{ticks / 10:.2f}", f"{steps / 1000:.3f}"]


def wrapped(frame: dict[str, object], stream: str) -> bytes:
    return orjson.dumps({"stream": f"btcusdt@{stream}", "data": frame})


def snapshot() -> bytes:
    bids = [[f"{(618_000 - i) / 10:.2f}", "1.000"] for i in range(1, 1001)]
    asks = [[f"{(618_000 + i) / 10:.2f}", "1.000"] for i in range(1, 1001)]
    return orjson.dumps({"lastUpdateId": 0, "E": 1, "T": 1, "bids": bids, "asks": asks})


def diffs(seed: int = 1) -> list[bytes]:
    rng = random.Random(seed)
    frames = []
    for index in range(DIFFS):
        sides = {
            key: [level(rng, side) for _ in range(LEVELS_A_SIDE)]
            for key, side in (("b", 1), ("a", -1))
        }
        ids = {"U": index * 10, "u": index * 10 + 9, "pu": max(0, index * 10 - 1)}
        stamps = {"e": "depthUpdate", "E": 1723161256299, "T": 1723161256298, "s": "BTCUSDT"}
        frames.append(wrapped({**stamps, **ids, **sides}, "depth@0ms"))
    return frames


QUOTE_FRAME = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT",'
    b'"b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}'
)
TRADE_FRAME = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256322,'
    b'"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}'
)


def synced() -> BinanceCodec:
    codec = BinanceCodec("BTCUSDT", Book("0.10", "0.001"))
    assert codec.decode(snapshot()) == SNAPSHOT
    return codec


class DictBook:
    """The usual Python book: orjson, two dicts of floats, best price by max and min."""

    def __init__(self) -> None:
        frame = orjson.loads(snapshot())
        self.bids = {float(price): float(size) for price, size in frame["bids"]}
        self.asks = {float(price): float(size) for price, size in frame["asks"]}

    def decode(self, payload: bytes) -> tuple[float, float]:
        frame = orjson.loads(payload)["data"]
        for side, levels in ((self.bids, frame["b"]), (self.asks, frame["a"])):
            for price, size in levels:
                quantity = float(size)
                if quantity:
                    side[float(price)] = quantity
                else:
                    side.pop(float(price), None)
        return max(self.bids), min(self.asks)


def per_frame_us(decode, frames: list[bytes]) -> float:
    start = time.perf_counter_ns()
    for frame in frames:
        decode(frame)
    return (time.perf_counter_ns() - start) / len(frames) / 1000


def test_diff_of_twenty_levels(benchmark) -> None:
    frames = diffs()

    def run(codec: BinanceCodec) -> BinanceCodec:
        for frame in frames:
            codec.decode(frame)
        return codec

    codec = benchmark.pedantic(run, setup=lambda: ((synced(),), {}), rounds=ROUNDS)
    assert codec.counts["depth"] == DIFFS
    benchmark.extra_info["per_frame_us"] = benchmark.stats.stats.median / DIFFS * 1e6


@pytest.mark.parametrize(("frame", "kind"), [(QUOTE_FRAME, QUOTE), (TRADE_FRAME, TRADE)])
def test_quote_and_trade(benchmark, frame: bytes, kind: int) -> None:
    codec = synced()
    assert benchmark(codec.decode, frame) == kind


def test_snapshot_of_a_thousand_levels(benchmark) -> None:
    payload = snapshot()

    def run(codec: BinanceCodec) -> int:
        return codec.decode(payload)

    def setup() -> tuple[tuple[BinanceCodec], dict[str, object]]:
        return (BinanceCodec("BTCUSDT", Book("0.10", "0.001")),), {}

    assert benchmark.pedantic(run, setup=setup, rounds=50) == SNAPSHOT


def test_level_change_near_the_touch(benchmark) -> None:
    book = synced().book
    sizes = itertools.cycle((5, 0))

    def run() -> None:
        book.apply(1, 617_995, next(sizes))

    benchmark(run)
    assert book.depth(1) in (999, 1000)


def test_ratio_to_orjson_and_dicts(benchmark) -> None:
    frames = diffs()
    ratios = []

    def turn() -> None:
        codec, plain = synced(), DictBook()
        ours = per_frame_us(codec.decode, frames)
        theirs = per_frame_us(plain.decode, frames)
        assert (codec.book.bid, codec.book.ask) == plain.decode(frames[-1])
        assert codec.decode(frames[-1]) != DEPTH
        ratios.append((theirs / ours, ours, theirs))

    benchmark.pedantic(turn, rounds=ROUNDS)
    ratio, ours, theirs = (median(column) for column in zip(*ratios, strict=True))
    benchmark.extra_info.update(ratio=ratio, ours_us=ours, orjson_dict_us=theirs)
