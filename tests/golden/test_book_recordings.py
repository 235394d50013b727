"""The Binance recordings: books equal to the recorded best quotes and to json and two dicts."""

import json
from pathlib import Path

import pytest

from hfengine.kernels import codec as kinds
from hfengine.kernels.book import Book
from hfengine.kernels.codec import BinanceCodec
from tests.reference.recorded import DictBook, capture, frames, snapshots
from tests.shared import RECORDINGS, needs_shared

pytestmark = needs_shared

GOLDEN = RECORDINGS / "binance-usdm-golden"
EVERY = 50
"""Diffs between two comparisons of whole books; the touch is compared after every diff."""


class Recording:
    """A recording's files, its grid, and what json, not the codec, counted in it.

    Spot's quantities are finer than the step of the day: orders older than the step still rest.
    """

    def __init__(self, market: str, names: str, symbol: str, grid: str, counts: str) -> None:
        self.market, self.symbol = market, symbol
        self.names = names.split()
        self.tick, self.step = grid.split()
        pairs = (pair.split("=") for pair in counts.split())
        self.counts = {kind: int(count) for kind, count in pairs}

    def paths(self) -> list[Path]:
        return [RECORDINGS / f"binance-{self.market}" / name for name in self.names]

    def codec(self) -> BinanceCodec:
        return BinanceCodec(self.symbol, Book(self.tick, self.step), self.market)

    def dicts(self) -> DictBook:
        return DictBook(round(1 / float(self.tick)), round(1 / float(self.step)))

    def __repr__(self) -> str:
        return f"{self.market}-{self.names[0]}"


USDM = [
    Recording(
        "usdm",
        "btcusdt_20240808.gz",
        "BTCUSDT",
        "0.10 0.001",
        "buffered=6 replayed=2 depth=6545 quote=66089 trade=21313 snapshot=1 mismatched=0",
    ),
    Recording(
        "usdm",
        "ethusdt_20240808.gz",
        "ETHUSDT",
        "0.01 0.001",
        "buffered=7 replayed=2 depth=6579 quote=53992 trade=14076 snapshot=1 mismatched=0",
    ),
    Recording(
        "usdm",
        "btcusdt_20230404.dat.gz",
        "BTCUSDT",
        "0.10 0.001",
        "depth=4322 quote=6765 trade=2197 mark=99 snapshot=1 mismatched=0",
    ),
]
SPOT = [
    Recording(
        "spot",
        "btcusdt_20240808.gz btcusdt_20240809.gz",
        "BTCUSDT",
        "0.01 0.000001",
        "buffered=3 replayed=1 depth=6492 quote=73174 trade=19904 snapshot=1 mismatched=2",
    ),
    Recording(
        "spot",
        "ethusdt_20240808.gz ethusdt_20240809.gz",
        "ETHUSDT",
        "0.01 0.00001",
        "buffered=2 depth=6468 quote=58758 trade=14515 snapshot=1 mismatched=0",
    ),
]
COINM = [
    Recording(
        "coinm",
        "btcusd_perp_20240808.gz btcusd_perp_20240809.gz",
        "BTCUSD_PERP",
        "0.1 1",
        "buffered=25 replayed=2 depth=44770 quote=48355 trade=5235 snapshot=1 mismatched=0",
    ),
    Recording(
        "coinm",
        "ethusd_perp_20240808.gz ethusd_perp_20240809.gz",
        "ETHUSD_PERP",
        "0.01 1",
        "buffered=24 replayed=2 depth=39131 quote=35563 trade=3595 snapshot=1 mismatched=0",
    ),
]


@pytest.mark.parametrize("recording", [*USDM, *SPOT, *COINM], ids=repr)
def test_the_book_equals_the_recorded_quotes_after_every_diff(recording: Recording) -> None:
    """The two mismatches of spot BTC are the recording's own: README of the recordings."""
    codec = recording.codec()
    for payload in frames(*recording.paths()):
        assert codec.decode(payload) >= 0, codec.fault_detail
    codec.finish_checks()
    counts = {kind: count for kind, count in codec.counts.items() if count}
    wanted = dict(recording.counts)
    mismatched = wanted.pop("mismatched")
    assert counts == wanted
    checks = codec.checks_matched, codec.checks_mismatched
    assert checks == (wanted["depth"] - mismatched, mismatched)
    assert codec.synced
    assert codec.book.dropped == 0


@pytest.mark.parametrize("recording", [*USDM, *SPOT, *COINM], ids=repr)
def test_the_books_hold_what_json_and_two_dicts_hold(recording: Recording) -> None:
    """Whole books every EVERY diffs and at the end, every diff between them applied."""
    codec, dicts = recording.codec(), recording.dicts()
    waiting, diffs, started = [], 0, False
    for payload in frames(*recording.paths()):
        kind = codec.decode(payload)
        if b'"depthUpdate"' in payload:
            diff = json.loads(payload)["data"]
            if not started:
                waiting.append(diff)
                continue
            assert kind == kinds.DEPTH
            dicts.apply(diff)
            diffs += 1
            if diffs % EVERY:
                continue
        elif kind == kinds.SNAPSHOT:
            whole = json.loads(payload)
            dicts.load(whole["bids"], whole["asks"])
            for diff in waiting:
                if diff["u"] > whole["lastUpdateId"] - (recording.market != "spot"):
                    dicts.apply(diff)
            started = True
        else:
            continue
        for side in (1, -1):
            assert dict(codec.book.levels(side, 10_000)) == dicts.levels(side)
    assert diffs == recording.counts["depth"]
    for side in (1, -1):
        assert dict(codec.book.levels(side, 10_000)) == dicts.levels(side)


def test_the_mark_stream_is_read() -> None:
    codec = USDM[2].codec()
    seen = 0
    for payload in frames(*USDM[2].paths()):
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


@pytest.mark.parametrize(
    ("recording", "market"), [(SPOT[0], "usdm"), (USDM[2], "spot"), (COINM[0], "spot")], ids=repr
)
def test_recordings_of_another_market_never_make_a_book(recording: Recording, market: str) -> None:
    codec = BinanceCodec(recording.symbol, Book(recording.tick, recording.step), market)
    for payload in frames(recording.paths()[0])[:10_000]:
        if b'"lastUpdateId"' not in payload:
            assert codec.decode(payload) in (kinds.FOREIGN, kinds.TRADE)
    assert not codec.synced
    assert codec.book.is_empty
    assert codec.counts["foreign"] > 1000


def test_frames_of_another_exchange_are_foreign() -> None:
    """Hyperliquid's; tardis' tables are no frames at all: CSV rows of another recorder."""
    payloads = frames(RECORDINGS / "hyperliquid" / "btcusd_20250126.gz")
    for market in kinds.MARKETS:
        codec = BinanceCodec("BTC", Book("1", "0.00001"), market)
        assert {codec.decode(payload) for payload in payloads} == {kinds.FOREIGN}
    assert len(payloads) == 55
    for path in sorted((RECORDINGS / "tardis-csv").glob("*.csv")):
        codec = BinanceCodec("BTC", Book("1", "0.00001"))
        rows = path.read_bytes().splitlines()
        assert {codec.decode(row) for row in rows} == {kinds.MALFORMED}
        assert len(rows) >= 10


COINS = {"SUSHIUSDT": "0.001", "AKROUSDT": "0.00001", "KEEPUSDT": "0.0001", "CTKUSDT": "0.00001"}
"""The finest prices in the books; CTK's tick is coarser, but some of its orders are older."""


@pytest.mark.parametrize("symbol", COINS)
def test_a_capture_of_four_symbols_makes_the_book_of_each(symbol: str) -> None:
    """Its REST snapshots came after the first diffs, beside the socket."""
    mine = [
        payload
        for payload in capture("BINANCE_FUTURES.ws.1.0.gz")
        if b'"s":"%s"' % symbol.encode() in payload and b'"e":"kline"' not in payload
    ]
    whole = snapshots("BINANCE_FUTURES.http.0.0.gz")[symbol]
    codec = BinanceCodec(symbol, Book(COINS[symbol], "1"))
    dicts = DictBook(round(1 / float(COINS[symbol])), 1)
    last = json.loads(whole)["lastUpdateId"]
    dicts.load(json.loads(whole)["bids"], json.loads(whole)["asks"])
    for payload in mine:
        frame = json.loads(payload)["data"]
        if frame["e"] == "depthUpdate" and frame["u"] >= last:
            dicts.apply(frame)
    diffs = [payload for payload in mine if b"depthUpdate" in payload]
    before = sum(json.loads(payload)["data"]["U"] <= last for payload in diffs)
    for payload in diffs[: before + 1]:
        assert codec.decode(payload) == kinds.BUFFERED
    assert codec.decode(whole) == kinds.SNAPSHOT, codec.fault_detail
    done = set(diffs[: before + 1])
    for payload in mine:
        if payload not in done:
            assert codec.decode(payload) in (kinds.DEPTH, kinds.QUOTE, kinds.TRADE)
    for side in (1, -1):
        assert dict(codec.book.levels(side, 10_000)) == dicts.levels(side)
    codec.finish_checks()
    assert codec.checks_mismatched == 0
    assert codec.checks_matched > 20


def test_a_frame_of_another_symbol_or_event_is_refused_by_name() -> None:
    codec = BinanceCodec("SUSHIUSDT", Book("0.0010", "1"))
    for payload in capture("BINANCE_FUTURES.ws.1.0.gz"):
        code = codec.decode(payload)
        if b'"e":"kline"' in payload:
            assert code == kinds.FOREIGN
        elif b'"s":"SUSHIUSDT"' not in payload:
            assert code == kinds.WRONG_SYMBOL
        else:
            assert code in (kinds.BUFFERED, kinds.QUOTE, kinds.TRADE)
    assert codec.counts["wrong_symbol"] > 100
    assert codec.counts["foreign"] > 10
