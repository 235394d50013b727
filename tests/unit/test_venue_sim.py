"""SimVenue: frames reach the exchange first and the engine a latency later, in order."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest

from hfengine.clock import VirtualClock
from hfengine.errors import VenueRejected, VenueUnavailable
from hfengine.exchange import Exchange
from hfengine.feeds.source import Damage, Recorded
from hfengine.instruments import load_catalogue
from hfengine.messages import FeedFault, Fill, Frame, PositionChanged
from hfengine.requests import OrderRequest
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.seeds import Seed
from hfengine.settings import Venue
from hfengine.venues.sim import SimVenue

T0_NS = 1_700_000_000_000_000_000
MS = 1_000_000
S_NS = 1_000_000_000
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

    def __init__(
        self,
        payloads: list[bytes | Damage],
        seed: int = 1,
        settings: Venue | None = None,
        speed: float | None = None,
    ) -> None:
        self.clock = VirtualClock(T0_NS)
        self.loop = VirtualLoop(self.clock, speed=speed)
        self.ended = self.loop.create_future()
        instrument = load_catalogue("binance").find("BTCUSDT")
        self.venue = SimVenue(
            exchange=Exchange([instrument]),
            feed=ListFeed(payloads),
            instruments={"BTCUSDT": instrument},
            settings=settings or Venue(),
            seed=Seed(seed),
            loop=self.loop,
            clock=self.clock,
        )
        self.market: list[tuple[int, Any]] = []
        self.account: list[tuple[int, Any]] = []
        self.venue.connect(
            lambda m: self.market.append((self.clock.now_ns(), m)),
            lambda m: self.account.append((self.clock.now_ns(), m)),
            self.ended.set_result,
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


MARKED = (
    b'{"e":"markPriceUpdate","E":9,"s":"BTCUSDT","p":"60001.5","i":"60002.5","r":"0.0003",'
    b'"T":1700006400000}'
)


def quote(update: int, bid: str, ask: str) -> bytes:
    return (
        f'{{"e":"bookTicker","u":{update},"s":"BTCUSDT","b":"{bid}","B":"0.5","a":"{ask}",'
        f'"A":"0.7","T":2,"E":2}}'
    ).encode()


def marks_of(bench: Bench) -> list[dict[str, Any]]:
    payloads = [m.payload for _, m in bench.market if isinstance(m, Frame)]
    return [orjson.loads(p) for p in payloads if b"markPriceUpdate" in p]


def test_a_derived_mark_tells_price_index_and_the_next_eight_hours(bench: Bench) -> None:
    bench.until_end()
    (told,) = marks_of(bench)
    assert (told["p"], told["i"], told["r"]) == ("60000.05", "60000.05", "0.0001")
    # 2023-11-14 22:13 UTC; funding is due at 00:00, 08:00 and 16:00
    assert told["T"] == 1_700_006_400_000


def test_recorded_marks_end_the_deriving() -> None:
    frames = [SNAPSHOT, DIFF, MARKED]
    quotes = [quote(20 + n, "60000.0", "60000.1") for n in range(1500)]
    bench = Bench([*frames, *quotes])
    bench.until_end()
    assert bench.venue.derived_marks == 1, "before the first recorded one"
    assert bench.venue.exchange.mark("BTCUSDT") == Decimal("60001.5")
    assert len(marks_of(bench)) == 2
    bench.loop.close()


def test_marks_are_derived_every_second() -> None:
    quotes = [quote(20 + n, "60000.0", "60000.1") for n in range(2500)]
    bench = Bench([SNAPSHOT, DIFF, *quotes])
    bench.until_end()
    assert bench.venue.derived_marks == 3
    bench.loop.close()


def test_damage_takes_the_feeds_latency_too() -> None:
    damage = Damage(T0_NS + 5 * MS, "BTCUSDT", "cut_line", "list", 2, "no end")
    bench = Bench([SNAPSHOT, damage])
    bench.until_end()
    (at_ns,) = [at for at, m in bench.market if isinstance(m, FeedFault)]
    assert at_ns >= T0_NS + 5 * MS + 500_000
    bench.loop.close()


def test_account_events_take_a_latency_of_their_own(bench: Bench) -> None:
    bench.until_end()
    begun_ns = bench.clock.now_ns()
    bench.call(bench.venue.place(order()))
    bench.call(bench.venue.balance())
    fill_ns = next(at for at, m in bench.account if isinstance(m, Fill))
    # 1.5 ms to the exchange at the least, and as much back
    assert fill_ns - begun_ns >= 3_000_000


def test_a_quote_that_crosses_a_resting_order_fills_it_and_a_trade_too() -> None:
    quotes = [quote(20 + n, "60000.0", "60000.1") for n in range(30)]
    bench = Bench([SNAPSHOT, DIFF, *quotes, quote(60, "59989.9", "59990.0")])
    resting = order(kind="limit", price=Decimal("59995.0"), client_id="rests")
    assert bench.call(bench.venue.place(resting)).state == "new"
    bench.until_end()
    bench.call(bench.venue.balance())
    (fill,) = [m for _, m in bench.account if isinstance(m, Fill)]
    assert (fill.client_id, fill.maker) == ("rests", True)
    bench.loop.close()


def test_the_pump_passes_no_timer() -> None:
    bench = Bench([SNAPSHOT, *[DIFF] * 40])
    seen: list[int] = []

    def look() -> None:
        seen.append(bench.clock.now_ns())
        if len(seen) < 60:
            bench.loop.call_at_ns(seen[-1] + 700_000, look)

    bench.loop.call_at_ns(T0_NS + 700_000, look)
    bench.until_end()
    assert seen == [T0_NS + n * 700_000 for n in range(1, len(seen) + 1)]
    assert len(seen) >= 55
    bench.loop.close()


def test_a_timer_set_while_pumping_is_kept_too() -> None:
    bench = Bench([SNAPSHOT, *[DIFF] * 20])
    due: list[int] = []
    fired: list[int] = []

    def remind(_message: Any) -> None:
        due.append(bench.clock.now_ns() + 200_000)
        bench.loop.call_at_ns(due[-1], lambda: fired.append(bench.clock.now_ns()))

    bench.venue._market = remind
    bench.until_end()
    assert len(due) >= 20
    assert fired == due[: len(fired)]
    assert len(fired) >= len(due) - 1
    bench.loop.close()


def test_a_frame_that_arrives_when_another_leaves_arrives_first() -> None:
    settings = Venue(feed_latency_us=1000, feed_jitter_us=0)
    bench = Bench([SNAPSHOT, DIFF, DIFF], settings=settings)
    frames: list[tuple[int, int]] = []

    def heard(message: Any) -> None:
        frames.append((message.line, bench.venue.frames))

    bench.venue._market = heard
    bench.until_end()
    assert [(line, seen) for line, seen in frames if line] == [(1, 1), (2, 2), (3, 3)]
    bench.loop.close()


def test_what_a_frame_makes_ready_runs_before_the_next_frame() -> None:
    bench = Bench([SNAPSHOT, *[DIFF] * 10])
    order_of: list[str] = []

    def heard(_message: Any) -> None:
        order_of.append("frame")
        bench.loop.call_soon(order_of.append, "ready")

    bench.venue._market = heard
    bench.until_end()
    assert order_of[:8] == ["frame", "ready"] * 4
    bench.loop.close()


def test_a_stopped_feed_tells_nothing_more_but_requests_are_answered(bench: Bench) -> None:
    bench.venue.stop()
    assert bench.call(bench.venue.balance()).wallet_usdt == 10_000
    assert bench.market == []
    assert not bench.ended.done()


def test_the_wallet_is_the_profiles() -> None:
    bench = Bench([SNAPSHOT], settings=Venue(wallet_usdt=250.5))
    assert bench.call(bench.venue.balance()).wallet_usdt == Decimal("250.5")
    bench.loop.close()


def test_a_timer_due_with_a_frame_fires_before_it() -> None:
    bench = Bench([SNAPSHOT, DIFF, DIFF])
    seen: list[int] = []
    bench.loop.call_at_ns(T0_NS + 2 * MS, lambda: seen.append(bench.venue.frames))
    bench.until_end()
    assert seen == [1]
    bench.loop.close()


def test_a_near_timer_is_seen_behind_a_far_one() -> None:
    bench = Bench([SNAPSHOT, *[DIFF] * 20])
    bench.loop.call_at_ns(T0_NS + S_NS, list)
    due: list[int] = []
    fired: list[int] = []

    def remind(_message: Any) -> None:
        due.append(bench.clock.now_ns() + 50_000)
        bench.loop.call_at_ns(due[-1], lambda: fired.append(bench.clock.now_ns()))

    bench.venue._market = remind
    bench.until_end()
    assert len(fired) >= 20
    assert fired == due[: len(fired)]
    bench.loop.close()


def test_a_paced_feed_waits_for_every_event() -> None:
    bench = Bench([SNAPSHOT, DIFF, DIFF], speed=1000.0)
    waits: list[int] = []
    original = bench.loop.call_at_ns

    def counted(due_ns: int, callback: Any, *arguments: Any, **named: Any) -> Any:
        waits.append(due_ns)
        return original(due_ns, callback, *arguments, **named)

    bench.loop.call_at_ns = counted  # type: ignore[method-assign]
    bench.until_end()
    assert {T0_NS + n * MS for n in (1, 2, 3)} <= set(waits)
    bench.loop.close()


def test_the_snapshots_number_is_the_books_not_a_newer_quotes() -> None:
    bench = Bench([SNAPSHOT, DIFF, quote(60, "60000.0", "60000.1")])
    bench.until_end()
    payload = bench.call(bench.venue.snapshot("BTCUSDT"))
    assert orjson.loads(payload)["lastUpdateId"] == 11
    bench.loop.close()


@pytest.mark.parametrize(("buyer_is_maker", "filled"), [("true", 1), ("false", 0)])
def test_only_sellers_fill_a_resting_bid(buyer_is_maker: str, filled: int) -> None:
    trade = (
        '{"e":"trade","E":9,"T":8,"s":"BTCUSDT","t":77,"p":"59990.0","q":"0.200","X":"MARKET",'
        f'"m":{buyer_is_maker}}}'
    ).encode()
    quotes = [quote(20 + n, "60000.0", "60000.1") for n in range(30)]
    bench = Bench([SNAPSHOT, DIFF, *quotes, trade])
    resting = order(kind="limit", price=Decimal("59995.0"), client_id="rests")
    assert bench.call(bench.venue.place(resting)).state == "new"
    bench.until_end()
    bench.call(bench.venue.balance())
    assert len([m for _, m in bench.account if isinstance(m, Fill)]) == filled
    bench.loop.close()
