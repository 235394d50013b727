"""The recordings: books equal to the recorded best quotes, and to another library's book."""

import gzip
import json
from pathlib import Path

import pytest

from hfengine.kernels import codec as kinds
from hfengine.kernels.book import Book
from hfengine.kernels.codec import BinanceCodec
from tests.shared import RECORDINGS, needs_shared

pytestmark = needs_shared

USDM = RECORDINGS / "binance-usdm"
GOLDEN = RECORDINGS / "binance-usdm-golden"


def frames(path: Path) -> list[bytes]:
    """Return the payloads of a recording, without the local time before each."""
    lines = gzip.decompress(path.read_bytes()).splitlines()
    return [line.split(b" ", 1)[1] for line in lines]


@pytest.mark.parametrize(
    ("name", "symbol", "tick", "expected"),
    [
        # counted from the files with json, independently of the codec
        (
            "btcusdt_20240808.gz",
            "BTCUSDT",
            "0.10",
            {"buffered": 6, "depth": 6545, "quote": 66089, "trade": 21313, "snapshot": 1},
        ),
        (
            "ethusdt_20240808.gz",
            "ETHUSDT",
            "0.01",
            {"buffered": 7, "depth": 6579, "quote": 53992, "trade": 14076, "snapshot": 1},
        ),
        (
            "btcusdt_20230404.dat.gz",
            "BTCUSDT",
            "0.10",
            {"depth": 4322, "quote": 6765, "trade": 2197, "mark": 99, "snapshot": 1},
        ),
    ],
)
def test_the_book_equals_the_recorded_quotes_after_every_diff(
    name: str, symbol: str, tick: str, expected: dict[str, int]
) -> None:
    codec = BinanceCodec(symbol, Book(tick, "0.001"))
    for payload in frames(USDM / name):
        assert codec.decode(payload) >= 0, codec.fault_detail
    codec.finish_checks()
    assert (codec.checks_matched, codec.checks_mismatched) == (expected["depth"], 0)
    counts = codec.counts
    counts.pop("replayed")
    assert {kind: count for kind, count in counts.items() if count} == expected
    assert codec.synced
    assert codec.book.dropped == 0


def test_the_books_hold_what_json_and_two_dicts_hold() -> None:
    codec = BinanceCodec("BTCUSDT", Book("0.10", "0.001"))
    sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    started = False
    for payload in frames(USDM / "btcusdt_20230404.dat.gz"):
        codec.decode(payload)
        frame = json.loads(payload)
        if "lastUpdateId" in frame:
            sides = {"b": dict(frame["bids"]), "a": dict(frame["asks"])}
            started = True
        elif started and frame["data"]["e"] == "depthUpdate":
            for side, levels in sides.items():
                levels.update(frame["data"][side])
    for side, key in ((1, "b"), (-1, "a")):
        wanted = {
            round(float(price) * 10): round(float(quantity) * 1000)
            for price, quantity in sides[key].items()
            if float(quantity) > 0
        }
        assert dict(codec.book.levels(side, 10_000)) == wanted


def test_the_mark_stream_is_read() -> None:
    codec = BinanceCodec("BTCUSDT", Book("0.10", "0.001"))
    seen = 0
    for payload in frames(USDM / "btcusdt_20230404.dat.gz"):
        if codec.decode(payload) == kinds.MARK:
            frame = json.loads(payload)["data"]
            assert codec.mark_price == float(frame["p"])
            assert codec.index_price == float(frame["i"])
            assert codec.funding_rate == float(frame["r"])
            assert codec.next_funding_ms == frame["T"]
            seen += 1
    assert seen == 99


def test_the_golden_book_of_another_library_is_reproduced() -> None:
    """Check its best 92 asks and 97 bids: the rest lie beyond the snapshot's 100 levels."""
    codec = BinanceCodec("ETHUSDT", Book("0.01", "0.001"))
    assert codec.decode((GOLDEN / "ethusdt_20231230_snapshot.json").read_bytes()) == kinds.SNAPSHOT
    results = [
        codec.decode(line)
        for line in (GOLDEN / "ethusdt_20231230_diffs.jsonl").read_bytes().splitlines()
    ]
    assert results == [kinds.STALE] + [kinds.DEPTH] * 49  # the snapshot lies in the second diff
    expected: dict[str, list[tuple[int, int]]] = {"ask": [], "bid": []}
    text = (GOLDEN / "ethusdt_20231230_expected_books.log").read_text()
    for line in text.splitlines():
        if line.startswith(("ask", "bid")):
            side, price, turnover = line.replace(":", "").split()
            steps = round(float(turnover) / float(price) * 1000)
            expected[side].append((round(float(price) * 100), steps))
    assert codec.book.levels(-1, 92) == expected["ask"][:92]
    assert codec.book.levels(1, 97) == expected["bid"][:97]


@pytest.mark.parametrize("folder", ["binance-spot", "binance-coinm"])
def test_recordings_of_other_dialects_never_make_a_book(folder: str) -> None:
    path = next(iter(sorted((RECORDINGS / folder).glob("btc*"))))
    codec = BinanceCodec("BTCUSDT", Book("0.01", "0.00001"))
    for payload in frames(path)[:20_000]:
        if not payload.startswith(b'{"lastUpdateId"'):
            assert codec.decode(payload) not in (kinds.DEPTH, kinds.BUFFERED, kinds.QUOTE)
    assert not codec.synced
    assert codec.book.is_empty
