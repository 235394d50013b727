"""SimVenue: frames reach the exchange first and the engine a latency later, in order."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from hfengine.clock import VirtualClock
from hfengine.errors import VenueRejected, VenueUnavailable
from hfengine.exchange import Exchange
from hfengine.feeds.source import Damage, Recorded
from hfengine.instruments import load_catalogue
from hfengine.messages import FeedFault, Fill, Frame, OrderRequest, PositionChanged
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.seeds import Seed
from hfengine.settings import Venue
from hfengine.venues.sim import SimVenue

T0_NS = 1_700_000_000_000_000_000
MS = 1_000_000
SNAPSHOT = (
    b'{"lastUpdateId":10,"bids":[["60000.0","1.000"],["59999.0","5.000"]],'
    b'"asks":[["60000.1","1.000"],["60001.0","5.000"]]}'
)
DIFF = b'{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT","U":9,"u":11,"pu":8,"b":[],"a":[]}'


class ListFeed:
    """A feed of given frames, a millisecond apart."""

    symbols = ("BTCUSDT",)
    start_ns = T0_NS

    def __init__(self, payloads: list[bytes | Damage]) -> None:
        self.payloads = payloads

    def events(self) -> Iterator[Recorded | Damage]:
        for number, payload in enumerate(self.payloads, 1):
            at_ns = T0_NS + number * MS
            if isinstance(payload, bytes):
                yield Recorded(at_ns, "BTCUSDT", payload, "list", number)
            else:
                yield payload


class Bench:
    """A venue with its loop; `market` and `account` hold (time, message)."""

    def __init__(self, payloads: list[bytes | Damage], seed: int = 1) -> None:
        self.clock = VirtualClock(T0_NS)
        self.loop = VirtualLoop(self.clock)
        self.ended = self.loop.create_future()
        instrument = load_catalogue("binance").find("BTCUSDT")
        self.venue = SimVenue(
            exchange=Exchange([instrument]),
            feed=ListFeed(payloads),
            instruments={"BTCUSDT": instrument},
            settings=Venue(),
            seed=Seed(seed),
            loop=self.loop,
            clock=self.clock,
            on_end=lambda: self.ended.set_result(None),
        )
        self.market: list[tuple[int, Any]] = []
        self.account: list[tuple[int, Any]] = []
        self.venue.connect(
            lambda m: self.market.append((self.clock.now_ns(), m)),
            lambda m: self.account.append((self.clock.now_ns(), m)),
        )

    def until_end(self) -> None:
        self.loop.run_until_complete(self.ended)

    def call(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench([SNAPSHOT, DIFF, DIFF.replace(b'"U":9,"u":11,"pu":8', b'"U":12,"u":13,"pu":11')])
    yield made
    made.loop.close()


def order(side: int = 1, quantity: str = "0.010", **more: Any) -> OrderRequest:
    return OrderRequest(
        client_id=more.pop("client_id", "a"),
        symbol="BTCUSDT",
        side=side,
        kind=more.pop("kind", "market"),
        quantity=Decimal(quantity),
        **more,
    )


def test_frames_arrive_in_order_a_latency_after_they_were_recorded(bench: Bench) -> None:
    bench.until_end()
    frames = [(at, m) for at, m in bench.market if isinstance(m, Frame) and m.line]
    assert [m.line for _, m in frames] == [1, 2, 3]
    for at_ns, frame in frames:
        latency_ns = at_ns - (T0_NS + frame.line * MS)
        assert latency_ns >= 500_000
        assert frame.received_ns == at_ns


def test_a_recording_without_marks_gets_a_derived_one(bench: Bench) -> None:
    bench.until_end()
    assert bench.venue.derived_marks == 1
    assert bench.venue.frames == 3
    assert bench.venue.exchange.mark("BTCUSDT") == Decimal("60000.05")


def test_another_seed_takes_other_latencies() -> None:
    one, two = Bench([SNAPSHOT, DIFF]), Bench([SNAPSHOT, DIFF], seed=2)
    for bench in (one, two):
        bench.until_end()
        bench.loop.close()
    assert [at for at, _ in one.market] != [at for at, _ in two.market]


def test_damage_travels_like_a_frame() -> None:
    damage = Damage(T0_NS + 5 * MS, "BTCUSDT", "cut_line", "list", 2, "no end")
    bench = Bench([SNAPSHOT, damage])
    bench.until_end()
    (fault,) = [m for _, m in bench.market if isinstance(m, FeedFault)]
    assert (fault.fault, fault.origin, fault.line) == ("cut_line", "list", 2)
    bench.loop.close()


def test_a_request_takes_time_both_ways_and_its_events_come_on_their_own(bench: Bench) -> None:
    bench.until_end()
    bench.call(bench.venue.set_margin_mode("BTCUSDT", "isolated"))
    bench.call(bench.venue.set_leverage("BTCUSDT", 50))
    setting = bench.call(bench.venue.leverage_of("BTCUSDT"))
    assert (setting.leverage, setting.margin_mode) == (50, "isolated")
    before_ns = bench.clock.now_ns()
    answer = bench.call(bench.venue.place(order(stop=Decimal(59700), target=Decimal(60400))))
    assert bench.clock.now_ns() - before_ns >= 2 * 1_500_000
    assert (answer.state, answer.filled) == ("filled", Decimal("0.010"))
    bench.call(bench.venue.balance())
    heard = [m for _, m in bench.account]
    (fill,) = [m for m in heard if isinstance(m, Fill)]
    assert fill.price == Decimal("60000.1")
    position = [m for m in heard if isinstance(m, PositionChanged)][-1]
    assert (position.covered, position.stop) == (Decimal("0.010"), Decimal(59700))
    assert bench.call(bench.venue.order_by_id("BTCUSDT", "a")).state == "filled"
    assert bench.call(bench.venue.order_by_id("BTCUSDT", "unknown")) is None
    assert [p.quantity for p in bench.call(bench.venue.positions())] == [Decimal("0.010")]
    assert len(bench.call(bench.venue.fills())) == 1


def test_not_modified_is_a_success_and_a_refusal_is_raised(bench: Bench) -> None:
    bench.until_end()
    bench.call(bench.venue.set_margin_mode("BTCUSDT", "cross"))
    with pytest.raises(VenueRejected) as refused:
        bench.call(bench.venue.set_leverage("BTCUSDT", 126))
    assert refused.value.reason == "leverage_above_maximum"


def test_protection_is_amended_in_place(bench: Bench) -> None:
    bench.until_end()
    bench.call(bench.venue.place(order(stop=Decimal(59700), target=Decimal(60400))))
    moved = bench.call(bench.venue.protect("BTCUSDT", Decimal(59800), Decimal(60300)))
    assert (moved.stop, moved.target, moved.covered) == (
        Decimal(59800),
        Decimal(60300),
        Decimal("0.010"),
    )


def test_the_snapshot_is_the_exchanges_own_book(bench: Bench) -> None:
    bench.until_end()
    payload = bench.call(bench.venue.snapshot("BTCUSDT"))
    assert payload.startswith(b'{"lastUpdateId":13')
    assert b'"bids":[["60000.0","1.000"],["59999.0","5.000"]]' in payload


def test_there_is_no_snapshot_of_a_book_that_never_was_whole() -> None:
    bench = Bench([DIFF, DIFF])
    bench.until_end()
    with pytest.raises(VenueUnavailable, match="out of sync"):
        bench.call(bench.venue.snapshot("BTCUSDT"))
    bench.loop.close()
