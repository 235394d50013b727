"""What a Bybit frame costs: compiled codec and book, and orjson with two dicts beside them.

Frames are made here, shaped like the venue's (a delta of 3 to 8 levels a side in a book of 50), so
that nothing but the repository is needed. The ratio runs both sides in turn in one process, as the
design demands.
"""

import random
import time
from statistics import median

import orjson
import pytest

from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import MARK, SNAPSHOT, TRADE, BybitCodec

DELTAS = 2000
DEPTH = 50
ROUNDS = 7
TS = 1_730_000_000_000


def frame(form: str, update_id: int, bids: list[list[str]], asks: list[list[str]]) -> bytes:
    return orjson.dumps(
        {
            "topic": "orderbook.50.BTCUSDT",
            "type": form,
            "ts": TS + update_id,
            "data": {
                "s": "BTCUSDT",
                "b": bids,
                "a": asks,
                "u": 18_521_288 + update_id,
                "seq": 79_616_387_240 + 7 * update_id,
            },
            "cts": TS + update_id - 3,
        }
    )


def level(rng: random.Random, side: int, distance: int) -> list[str]:
    ticks = 674_123 - side * distance
    steps = 0 if rng.random() < 0.2 else rng.randrange(1, 20_000)
    return [f"{ticks / 10:.2f}", f"{steps / 1000:.3f}" if steps else "0"]


def snapshot() -> bytes:
    bids = [[f"{(674_123 - i) / 10:.2f}", "1.000"] for i in range(1, DEPTH + 1)]
    asks = [[f"{(674_123 + i) / 10:.2f}", "1.000"] for i in range(1, DEPTH + 1)]
    return frame("snapshot", 0, bids, asks)


def deltas(a_side: tuple[int, int] = (3, 8), seed: int = 2) -> list[bytes]:
    rng = random.Random(seed)
    frames = []
    for update_id in range(1, DELTAS + 1):
        bids, asks = (
            [level(rng, side, i) for i in rng.sample(range(1, DEPTH + 1), rng.randint(*a_side))]
            for side in (1, -1)
        )
        frames.append(frame("delta", update_id, bids, asks))
    return frames


def trades(count: int) -> bytes:
    struck = {"T": TS, "s": "BTCUSDT", "S": "Buy", "v": "0.045", "p": "67412.30", "L": "PlusTick"}
    struck |= {"i": "20f43950-d8dd-5b31-9112-a178eb6023af", "BT": False, "seq": 79_616_387_240}
    topic = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": TS + 1}
    return orjson.dumps({**topic, "data": [struck] * count})


TICKER_DELTA = (
    b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","markPrice":"67412.75",'
    b'"indexPrice":"67427.36","bid1Price":"67412.20","bid1Size":"3.543"},"cs":176530004279,'
    b'"ts":1730000000063}'
)


def synced() -> BybitCodec:
    codec = BybitCodec("BTCUSDT", Book("0.10", "0.001"))
    assert codec.decode(snapshot()) == SNAPSHOT
    return codec


class DictBook:
    """The usual Python book: orjson, two dicts of floats, best price by max and min."""

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.decode(snapshot())

    def decode(self, payload: bytes) -> tuple[float, float]:
        levels_of = orjson.loads(payload)["data"]
        for side, levels in ((self.bids, levels_of["b"]), (self.asks, levels_of["a"])):
            for price, size in levels:
                quantity = float(size)
                if quantity:
                    side[float(price)] = quantity
                else:
                    side.pop(float(price), None)
        return max(self.bids), min(self.asks)


def per_frame_us(decode, frames: list[bytes]) -> float:
    start = time.perf_counter_ns()
    for payload in frames:
        decode(payload)
    return (time.perf_counter_ns() - start) / len(frames) / 1000


@pytest.mark.parametrize(
    "a_side", [(3, 8), (7, 7)], ids=["six_to_sixteen_levels", "fourteen_levels"]
)
def test_delta(benchmark, a_side: tuple[int, int]) -> None:
    frames = deltas(a_side)

    def run(codec: BybitCodec) -> BybitCodec:
        for payload in frames:
            codec.decode(payload)
        return codec

    codec = benchmark.pedantic(run, setup=lambda: ((synced(),), {}), rounds=ROUNDS)
    assert codec.counts["depth"] == DELTAS
    benchmark.extra_info["per_frame_us"] = benchmark.stats.stats.median / DELTAS * 1e6
    benchmark.extra_info["median_bytes"] = median(map(len, frames))


@pytest.mark.parametrize(
    ("payload", "kind"),
    [(trades(1), TRADE), (trades(5), TRADE), (TICKER_DELTA, MARK)],
    ids=["one_trade", "five_trades", "ticker_delta"],
)
def test_trades_and_ticker(benchmark, payload: bytes, kind: int) -> None:
    codec = synced()
    assert benchmark(codec.decode, payload) == kind


def test_snapshot(benchmark) -> None:
    codec = synced()
    assert benchmark(codec.decode, snapshot()) == SNAPSHOT


@pytest.mark.parametrize(
    "a_side", [(3, 8), (7, 7)], ids=["six_to_sixteen_levels", "fourteen_levels"]
)
def test_ratio_to_orjson_and_dicts(benchmark, a_side: tuple[int, int]) -> None:
    frames = deltas(a_side)
    ratios = []

    def turn() -> None:
        codec, plain = synced(), DictBook()
        ours = per_frame_us(codec.decode, frames)
        theirs = per_frame_us(plain.decode, frames)
        assert (codec.book.bid, codec.book.ask) == (max(plain.bids), min(plain.asks))
        ratios.append((theirs / ours, ours, theirs))

    benchmark.pedantic(turn, rounds=ROUNDS)
    ratio, ours, theirs = (median(column) for column in zip(*ratios, strict=True))
    benchmark.extra_info.update(ratio=ratio, ours_us=ours, orjson_dict_us=theirs)
    benchmark.extra_info["median_bytes"] = median(map(len, frames))
