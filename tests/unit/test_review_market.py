"""Snapshots promised by a stream, one-sided books, conflation, and layers that overreach."""

import random
from math import sqrt
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.layering import layers_of
from hfengine.actors.market_data import STREAM_SNAPSHOT_NS, MarketData
from hfengine.actors.signals import Signals
from hfengine.actors.symbol_feed import BybitFeed
from hfengine.instruments import load_catalogue
from hfengine.kernels.fusion import Fusion
from hfengine.kernels.layers import CROSS, FUSION, Layers
from hfengine.messages import BookSync, BookTick, FeedFault, Frame, SnapshotFailed
from hfengine.settings import Settings
from hfengine.settings import Signals as SignalSettings
from hfengine.venues.feed_faults import DISCONNECTED
from tests.rig import T0_NS, Rig

SNAPSHOT = b'{"lastUpdateId":10,"bids":[["60000.0","1.0"]],"asks":[["60000.1","2.0"]]}'
PROMISE_S = STREAM_SNAPSHOT_NS / 1e9
STEP_NS = 100_000_000


def diff(first: int, last: int, previous: int, bid: str = "59999.9") -> bytes:
    return (
        f'{{"e":"depthUpdate","E":5,"T":4,"s":"BTCUSDT","U":{first},"u":{last},"pu":{previous},'
        f'"b":[["{bid}","3.0"]],"a":[]}}'
    ).encode()


def frame(payload: bytes) -> Frame:
    return Frame("BTCUSDT", T0_NS, payload, "test")


def gap() -> FeedFault:
    return FeedFault("BTCUSDT", T0_NS, "gap", "test", 0, "planted")


class Promising:
    """A venue whose stream brings the snapshots, or so it says."""

    def __init__(self, rig: Rig) -> None:
        self.asked_s: list[float] = []
        self._rig = rig
        rig.venue.snapshot = self.snapshot  # type: ignore[method-assign, assignment]

    async def snapshot(self, _symbol: str) -> None:
        self.asked_s.append((self._rig.clock.now_ns() - T0_NS) / 1e9)


def test_a_promised_snapshot_is_given_its_time(rig: Rig) -> None:
    ref, venue = rig.start(MarketData), Promising(rig)
    rig.tell(ref, gap())
    rig.run(PROMISE_S - 0.1)
    assert len(venue.asked_s) == 1
    assert not rig.all(SnapshotFailed)
    rig.run(0.2)
    assert len(venue.asked_s) == 2
    assert "brought none" in rig.one(SnapshotFailed).reason


def test_a_promise_that_was_kept_is_not_held_against_the_next_snapshot(rig: Rig) -> None:
    ref, venue = rig.start(MarketData), Promising(rig)
    rig.tell(ref, gap())
    rig.tell(ref, frame(SNAPSHOT), frame(diff(9, 11, 8)))
    assert [sync.synced for sync in rig.all(BookSync)] == [True]
    asked: list[Any] = []

    async def broken(symbol: str) -> bytes:
        asked.append(symbol)
        return b"{"

    rig.venue.snapshot = broken  # type: ignore[method-assign]
    rig.tell(ref, gap())
    rig.run(1.1)
    assert len(asked) == 2, "asked again after a second"
    assert not rig.all(SnapshotFailed), "nothing was promised this time"
    assert len(venue.asked_s) == 1


@pytest.mark.parametrize(("fault", "bridges"), [("gap", True), (DISCONNECTED, False)])
def test_diffs_of_an_old_connection_do_not_bridge_to_the_new_ones(
    rig: Rig, fault: str, bridges: bool
) -> None:
    ref = rig.start(MarketData)
    Promising(rig)
    rig.tell(ref, gap(), frame(diff(9, 11, 8)))
    rig.tell(ref, replace(gap(), fault=fault), frame(SNAPSHOT))
    rig.heard.clear()
    # the first diff of a new connection may begin before the snapshot, one in a chain may not
    rig.tell(ref, frame(diff(9, 12, 8, bid="59999.8")))
    assert bool(rig.all(FeedFault)) is bridges


def test_a_book_with_one_side_has_no_top() -> None:
    feed = BybitFeed(load_catalogue("bybit").find("BTCUSDT"))
    kind = feed.decode(
        b'{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":5,"data":{"s":"BTCUSDT",'
        b'"b":[["60000.0","1"]],"a":[],"u":7,"seq":9}}'
    )
    assert kind in feed.ticks_on
    assert feed.codec.synced
    assert feed.top(T0_NS) is None


def test_of_the_books_of_one_batch_signals_takes_the_newest(rig: Rig) -> None:
    ref = rig.start(Signals)
    with rig.host.batch():
        for number in range(1, 4):
            for symbol in ("BTCUSDT", "ETHUSDT"):
                ref.tell(BookTick(symbol, T0_NS + number, 1, number, 9.0, 1.0, 10.0, 1.0, 0.0))
    assert ref.actor_inbox.conflated == 4


# layers


def test_a_layer_without_weight_vetoes_nothing() -> None:
    fusion = Fusion((0.5, 1.0, 1.0, 1.0, 1.0, 0.0), 60.0, 1e-5, 0.5, 0.4)
    fusion.update([0.0, 1e-4, 0.0, 0.0, 0.0, -1e-4], [0.0, 0.9, 0.0, 0.0, 0.0, 0.99], 60.0, True)
    assert fusion.gate() == 1


def settings(**changes: Any) -> Settings:
    quick: dict[str, Any] = {"warmup": 3, "confidence_min": 0.0, "drift_min": 0.0}
    return Settings(signals=SignalSettings(**(quick | changes)))


def layers_with(symbols: tuple[str, ...] = ("BTCUSDT",), **changes: Any) -> dict[str, Layers]:
    made = settings(**changes)
    return layers_of(made.signals, made.protection, symbols)


def test_a_trend_is_not_drawn_out_beyond_the_horizon() -> None:
    near, far = (layers_with(horizon_s=5.0, trend_s=trend_s)["BTCUSDT"] for trend_s in (5.0, 500.0))
    for layers in (near, far):
        for number in range(60):
            price = 60000.0 + number
            layers.update_book(T0_NS + number * STEP_NS, price, 1.0, price + 0.1, 1.0)
    assert near.expectation(1) > 0.0
    for layer in range(FUSION + 1):
        assert far.expectation(layer) == near.expectation(layer)


@pytest.mark.parametrize("factor", [4.0, 0.25])
def test_after_a_jump_no_layer_expects_more_than_a_tenth(factor: float) -> None:
    layers = layers_with(trend_s=60.0)["BTCUSDT"]
    beyond = 0
    for number in range(80):
        price = 60000.0 * (factor if number >= 60 else 1.0)
        layers.update_book(T0_NS + number * STEP_NS, price, 1.0, price + 0.1, 1.0)
        for layer in range(FUSION + 1):
            assert abs(layers.expectation(layer)) <= 0.1
        beyond += abs(layers.kalman.slope * 60.0) > 0.1
    assert beyond, "the jump did not try the bound"


def test_a_leader_that_is_only_guessed_refuses_nothing() -> None:
    """Two independent walks: whichever lag looks best, no lead is claimed and none vetoes."""
    both = layers_with(("BTCUSDT", "ETHUSDT"), cross_step_ms=100.0, disagreement_max=1.0)
    draws = random.Random(5)
    price = dict.fromkeys(both, 60000.0)
    guesses = 0
    for number in range(3000):
        for symbol, layers in both.items():
            price[symbol] *= 1.0 + draws.gauss(0.0, 1e-4 / sqrt(2.0))
            mid = price[symbol]
            layers.update_book(T0_NS + number * STEP_NS, mid - 0.05, 1.0, mid + 0.05, 1.0)
            if layers.cross.leader == 0 and layers.expectation(CROSS) * layers.drift < 0.0:
                guesses += 1
                layers.gate()
                assert layers.refused_gate != "cross"
    assert guesses > 50
