"""The measuring venue's market is a sound Bybit stream."""

from collections import Counter

from hfengine.bench.wire.market import BybitMarket
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import DEPTH, MARK, SNAPSHOT, TRADE, BybitCodec
from hfengine.seeds import Seed

AT_MS = 1_730_000_000_000


def market(seed=1, swing=0):
    return BybitMarket("BTCUSDT", Seed(seed).stream("test"), swing=swing)


def codec():
    return BybitCodec("BTCUSDT", Book("0.1", "0.001"))


def test_the_codec_takes_every_frame():
    stream, reader = market(), codec()
    assert reader.decode(stream.snapshot(AT_MS)) == SNAPSHOT
    assert reader.decode(stream.ticker(AT_MS, whole=True)) == MARK
    kinds = Counter(reader.decode(stream.mixed(AT_MS)) for _ in range(2_000))
    assert set(kinds) == {DEPTH, TRADE, MARK}
    assert kinds[DEPTH] > 1_400 > 400 > kinds[TRADE] > kinds[MARK] > 120
    assert reader.synced
    assert reader.event_ms == AT_MS
    assert reader.funding_rate == 0.0001


def test_the_best_bid_grows_with_every_delta():
    stream, reader = market(), codec()
    reader.decode(stream.snapshot(AT_MS))
    touches = []
    for _ in range(32):
        assert reader.decode(stream.delta(AT_MS)) == DEPTH
        book = reader.book
        touches.append((book.bid_steps, book.ask_steps))
        assert (book.bid_ticks, book.ask_ticks) == (674_123, 674_124)
    assert touches == [(20_000 + n, 1_500) for n in range(1, 33)]


def test_the_heavier_side_swings_when_asked_to():
    stream, reader = market(swing=8), codec()
    reader.decode(stream.snapshot(AT_MS))
    heavier = []
    for _ in range(32):
        reader.decode(stream.delta(AT_MS))
        heavier.append(reader.book.bid_steps > reader.book.ask_steps)
    assert heavier == [True] * 7 + [False] * 8 + [True] * 8 + [False] * 8 + [True]


def test_a_delta_has_the_size_of_a_real_one():
    stream = market()
    sizes = sorted(len(stream.delta(AT_MS)) for _ in range(500))
    # Bybit's orderbook.50 deltas: median 438 bytes (DESIGN 5)
    assert 380 < sizes[250] < 480


def test_the_same_seed_gives_the_same_stream():
    one, other, different = market(), market(), market(2)
    frames = [(m.snapshot(AT_MS), *(m.mixed(AT_MS) for _ in range(50))) for m in (one, other)]
    assert frames[0] == frames[1]
    assert different.snapshot(AT_MS) != frames[0][0]
