"""The peers do the same work on the same frames: books, trades, filters and orders agree.

Nothing here looks at a time: few frames, two rounds.
"""

import asyncio
import json
from math import isfinite

import pytest

from hfengine.bench import decode
from hfengine.bench.decode import (
    BookSide,
    PeerDisagrees,
    check_books,
    check_trades,
    decode_ratios,
)
from hfengine.bench.peers import hops, layers
from hfengine.bench.peers.ccxt_feed import CcxtFeed
from hfengine.bench.peers.ccxt_order import CcxtBot
from hfengine.bench.peers.compare import QUICK, Effort, compare
from hfengine.bench.peers.frames import (
    Stream,
    binance_book,
    binance_trades,
    bybit_book,
    bybit_trades,
)
from hfengine.bench.peers.layers import LayersDisagree, check_layers, parameters_of, quotes
from hfengine.bench.peers.nautilus import installed
from hfengine.bench.peers.numpy_layers import NumpyLayers
from hfengine.bench.peers.plain import DictBook
from hfengine.bench.rounds import ROUNDS_MIN, Spread
from hfengine.config import load
from hfengine.seeds import Seed

SEED = Seed(7)
STREAMS = {"bybit": bybit_book, "binanceusdm": binance_book}
TRADES = {"bybit": bybit_trades, "binanceusdm": binance_trades}
EXCHANGES = list(STREAMS)


@pytest.fixture(scope="module")
def paper():
    return load("paper", environment={}, dotenv=None, overrides={})


def sane(spread):
    return isinstance(spread, Spread) and 0.0 < spread.min <= spread.median <= spread.max


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_frames_are_made_from_the_seed(exchange):
    made = STREAMS[exchange]
    assert made(SEED, 20) == made(SEED, 20)
    assert made(SEED, 20) != made(Seed(8), 20)
    assert TRADES[exchange](SEED, 20) == TRADES[exchange](SEED, 20)


def test_bybit_deltas_have_the_size_the_reference_has():
    sizes = sorted(map(len, bybit_book(SEED, 500).frames))
    assert 420 <= sizes[250] <= 460


def test_binance_diffs_have_some_twenty_levels_a_side():
    sides = [
        len(json.loads(payload)[side])
        for payload in binance_book(SEED, 200).frames
        for side in "ba"
    ]
    assert (min(sides), max(sides)) == (15, 25)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_three_books_agree_after_the_same_frames(exchange):
    stream = STREAMS[exchange](SEED, 300)

    async def run():
        ours, theirs, plain = BookSide(exchange), CcxtFeed(exchange), DictBook()
        check_books(stream, ours, theirs, plain)
        return ours.levels(), theirs.levels(), plain.levels()

    ours, theirs, plain = asyncio.run(run())
    assert ours == theirs == plain
    assert min(len(side) for side in ours) > 30


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_side_that_misses_a_frame_is_found(exchange):
    stream = STREAMS[exchange](SEED, 50)

    async def run():
        ours, theirs, plain = BookSide(exchange), CcxtFeed(exchange), DictBook()
        decode_all = plain.decode
        missed = stream.frames[-1]
        plain.decode = lambda payload: None if payload == missed else decode_all(payload)
        check_books(stream, ours, theirs, plain)

    with pytest.raises(PeerDisagrees, match="differ"):
        asyncio.run(run())


def test_a_peer_whose_book_never_changes_is_found():
    stream = bybit_book(SEED, 3)

    async def run():
        check_books(Stream(stream.snapshot, []), BookSide("bybit"), CcxtFeed("bybit"), DictBook())

    with pytest.raises(PeerDisagrees, match="never changed"):
        asyncio.run(run())


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_trades_agree_and_a_missing_one_is_found(exchange):
    frames = TRADES[exchange](SEED, 50)

    async def run():
        check_trades(frames, BookSide(exchange), CcxtFeed(exchange))
        theirs = CcxtFeed(exchange)
        theirs.decode(frames[9])
        with pytest.raises(PeerDisagrees, match="trades differ"):
            check_trades(frames, BookSide(exchange), theirs)
        return True

    assert asyncio.run(run())


def test_a_refused_frame_is_found():
    stream = bybit_book(SEED, 3)
    broken = Stream(stream.snapshot, [stream.frames[0], stream.frames[2]])

    async def run():
        check_books(broken, BookSide("bybit"), CcxtFeed("bybit"), DictBook())

    with pytest.raises(PeerDisagrees, match="refused"):
        asyncio.run(run())


def test_decode_ratios_have_every_name_of_the_contract():
    found = decode_ratios(2, 100, SEED)
    assert {"decode_bybit_delta", "decode_binance_diff", "decode_trade"} <= set(found)
    assert all(sane(spread) for spread in found.values())


def test_timing_hands_every_frame_over_once():
    handed = []
    assert decode.per_frame_ns(handed.append, [b"a", b"b", b"c"]) > 0.0
    assert handed == [b"a", b"b", b"c"]


def test_every_hop_is_measured_and_named():
    found = hops.hop_ratios(2, 20)
    assert set(found) == {"hop_vs_thread_idle", "hop_vs_thread_busy", "chain_vs_direct_hop"}
    assert all(sane(spread) for spread in found.values())


@pytest.mark.parametrize("count", [1, 3])
def test_a_chain_has_a_stage_for_each_hop_and_one_that_begins(monkeypatch, count):
    begun = []

    class Counted(hops.Stage):
        def on_start(self):
            begun.append(self._onward)

    monkeypatch.setattr(hops, "Stage", Counted)
    assert hops.loop_hop_ns(5, 0, hops=count) > 0.0
    assert len(begun) == count + 1
    assert begun[0] is None
    assert None not in begun[1:]


def test_a_lost_message_fails_the_hop():
    told = hops.Histogram()
    for _ in range(3):
        told.record(700)
    assert hops._median_ns(told, 3) == 700.0
    with pytest.raises(AssertionError, match="3 of 4 messages arrived"):
        hops._median_ns(told, 4)


def test_the_ccxt_bot_signs_an_order_for_every_frame():
    stream = bybit_book(SEED, 30)
    plain, bracket = CcxtBot(stream), CcxtBot(stream, bracket=True)
    assert plain.hot(40).count == bracket.hot(40).count == plain.sent == 40
    order = json.loads(plain.last_request["body"])
    assert (order["orderType"], order["orderLinkId"]) == ("Market", "b-39")
    assert len(plain.last_request["headers"]["X-BAPI-SIGN"]) == 64
    order = json.loads(bracket.last_request["body"])
    assert {"stopLoss", "takeProfit", "price"} <= set(order)
    assert order["timeInForce"] == "IOC"


def test_the_paced_ccxt_bot_returns_from_watch_for_every_frame():
    assert CcxtBot(bybit_book(SEED, 30)).paced(25, 1000.0).count == 25


def test_numpy_and_kernels_filter_alike(paper):
    assert sane(layers.layers_ratio(paper, 2, 200, SEED))


def test_filters_that_differ_are_found(paper):
    fed = quotes(SEED, 100)

    class Elsewhere:
        class kalman:
            level = 11.0
            slope = 0.0

        def update_book(self, *quote):
            return True

    with pytest.raises(LayersDisagree):
        check_layers(fed, Elsewhere(), NumpyLayers(parameters_of(paper)))


def test_compare_reports_all_ratios_without_sockets(paper):
    effort = Effort(rounds=2, frames=60, hops=10, updates=80, paced_frames=10, sockets=False)
    begun = []
    report = compare(paper, effort, begun.append)
    assert {
        "decode_bybit_delta",
        "decode_binance_diff",
        "decode_trade",
        "tick_to_order_vs_ccxt_hot",
        "tick_to_order_vs_ccxt_paced",
        "hop_vs_thread_idle",
        "hop_vs_thread_busy",
        "chain_vs_direct_hop",
        "layers_vs_numpy",
    } <= set(report.ratios)
    assert all(sane(ratio) for ratio in report.ratios.values())
    assert all(isfinite(took.p50) and took.count for took in report.quantiles_ns.values())
    assert len(begun) == 4 + installed()
    assert not report.enough_rounds


def test_a_full_comparison_has_enough_rounds_for_a_claim():
    assert Effort().rounds >= ROUNDS_MIN > QUICK.rounds
