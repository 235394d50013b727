"""Budgets on virtual time: pacing, the reserve, what headers say, bans."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from hfengine.clock import VirtualClock
from hfengine.errors import VenueUnavailable
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.venues.quirks import Budget
from hfengine.venues.rate_limiter import TURN_MARGIN_S, RateLimiter

START_NS = 1_700_000_000_000_000_000
LOOPS: list[VirtualLoop] = []


@pytest.fixture(autouse=True)
def closed_loops() -> Iterator[None]:
    """Close the loops a test made."""
    yield
    while LOOPS:
        LOOPS.pop().close()


class Bench:
    def __init__(self, *budgets: Budget, reserve: float = 0.3) -> None:
        self.clock = VirtualClock(START_NS)
        self.loop = VirtualLoop(self.clock)
        LOOPS.append(self.loop)
        self.bans: list[tuple[str, float]] = []
        self.limiter = RateLimiter(
            budgets,
            reserve=reserve,
            loop=self.loop,
            clock=self.clock,
            banned=lambda reason, seconds: self.bans.append((reason, seconds)),
        )
        self.sent: list[tuple[str, float]] = []

    @property
    def now_s(self) -> float:
        return (self.clock.now_ns() - START_NS) / 1e9

    async def call(
        self,
        name: str = "",
        group: str = "order",
        weight: int = 1,
        *,
        urgent: bool = False,
        patience_s: float = 60.0,
        takes_s: float = 0.0,
    ) -> None:
        await self.limiter.take(group, weight, urgent=urgent, patience_s=patience_s)
        self.sent.append((name, round(self.now_s, 1)))
        if takes_s:
            await self.pause(takes_s)
        self.limiter.done(group, weight)

    async def pause(self, seconds: float) -> None:
        woken = self.loop.create_future()
        self.loop.call_later(seconds, woken.set_result, None)
        await woken

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    async def many(self, count: int, **how: Any) -> None:
        await asyncio.gather(*(self.call(f"{n}", **how) for n in range(count)))

    def at(self) -> list[float]:
        return [at_s for _, at_s in self.sent]


def test_no_second_sees_more_than_the_limit_and_nothing_is_lost() -> None:
    bench = Bench(Budget("order", 10, 1.0), reserve=0.0)
    bench.run(bench.many(25))
    assert bench.at() == [0.0] * 10 + [1.0] * 10 + [2.0] * 5
    assert bench.limiter.waits == 15


def test_a_call_counts_until_a_period_after_its_answer() -> None:
    bench = Bench(Budget("order", 2, 1.0), reserve=0.0)
    bench.run(bench.many(3, takes_s=0.5))
    assert bench.at() == [0.0, 0.0, 1.5]


def test_entries_leave_a_share_that_protection_may_use() -> None:
    bench = Bench(Budget("order", 10, 1.0))

    async def scenario() -> None:
        await bench.many(7)
        late = asyncio.ensure_future(bench.call("entry"))
        await asyncio.gather(*(bench.call(f"stop {n}", urgent=True) for n in range(3)))
        await late

    bench.run(scenario())
    assert bench.at()[7:10] == [0.0, 0.0, 0.0]
    assert bench.sent[10] == ("entry", 1.0)


def test_a_budget_that_reserves_nothing_may_be_used_up() -> None:
    bench = Bench(Budget("query", 10, 1.0, reserves=False))
    bench.run(bench.many(10, group="query"))
    assert bench.at() == [0.0] * 10


def test_of_two_that_wait_the_protective_one_goes_first() -> None:
    bench = Bench(Budget("order", 1, 1.0))

    async def scenario() -> None:
        await bench.call("first")
        entry = asyncio.ensure_future(bench.call("entry"))
        await bench.pause(0.1)
        stop = asyncio.ensure_future(bench.call("stop", urgent=True))
        await asyncio.gather(entry, stop)

    bench.run(scenario())
    assert [name for name, _ in bench.sent] == ["first", "stop", "entry"]


def test_several_windows_of_one_group_all_hold_and_every_call_counts_for_the_address() -> None:
    bench = Bench(
        Budget("order", 5, 1.0), Budget("order", 6, 10.0), Budget("*", 7, 20.0), reserve=0
    )
    bench.run(bench.many(8))
    assert bench.at() == [0.0] * 5 + [1.0, 10.0, 20.0]


def test_a_wait_beyond_patience_is_said_at_once() -> None:
    bench = Bench(Budget("order", 1, 60.0), reserve=0.0)

    async def scenario() -> None:
        await bench.call()
        with pytest.raises(VenueUnavailable, match="rate_limit"):
            await bench.call(patience_s=5.0)

    bench.run(scenario())
    assert bench.now_s == 0.0


def test_weights_count_as_what_they_weigh() -> None:
    bench = Bench(Budget("weight", 100, 60.0), reserve=0.0)
    bench.run(bench.many(3, group="weight", weight=40))
    assert bench.at() == [0.0, 0.0, 60.0]


def test_bybits_headers_correct_what_we_think_is_left() -> None:
    bench = Bench(Budget("order", 10, 1.0), reserve=0.0)
    told = {"X-Bapi-Limit": "20", "X-Bapi-Limit-Status": "2"}

    async def scenario() -> None:
        await bench.call()
        bench.limiter.heard("order", 200, told)
        await bench.many(3)

    bench.run(scenario())
    assert bench.at() == [0.0, 0.0, 0.0, 1.0]


def test_nothing_left_closes_the_group_until_the_time_the_venue_names() -> None:
    bench = Bench(Budget("order", 10, 1.0), reserve=0.0)
    reset_ms = START_NS // 1_000_000 + 700
    told = {
        "x-bapi-limit": "10",
        "x-bapi-limit-status": "0",
        "x-bapi-limit-reset-timestamp": str(reset_ms),
    }
    bench.limiter.heard("order", 200, told)
    bench.run(bench.call())
    # the ten it says are used run out after a second, later than the reset
    assert bench.at() == [1.0]


def test_binances_headers_belong_to_their_window() -> None:
    bench = Bench(
        Budget("weight", 2400, 60.0),
        Budget("order", 300, 10.0),
        Budget("order", 1200, 60.0),
        reserve=0,
    )
    told = {"X-MBX-USED-WEIGHT-1M": "2399", "X-MBX-ORDER-COUNT-10S": "300"}
    bench.limiter.heard("order", 200, told)
    assert bench.limiter.try_send("weight", urgent=False)
    assert not bench.limiter.try_send("weight", urgent=False)
    assert not bench.limiter.try_send("order", urgent=True)
    report = bench.limiter.report()
    assert (report["order/10s"], report["order/60s"]) == ("300/300", "0/1200")
    bench.run(bench.call())
    assert bench.at() == [10.0 + TURN_MARGIN_S]


@pytest.mark.parametrize("ahead_s", [0, 5])
def test_what_others_used_is_forgotten_when_the_venue_counts_anew(ahead_s: int) -> None:
    bench = Bench(Budget("weight", 2400, 60.0), reserve=0.0)
    bench.limiter.clock_offset_ms = ahead_s * 1000
    told = {"X-MBX-USED-WEIGHT-1M": "2399"}

    async def scenario() -> None:
        bench.limiter.heard("weight", 200, told)
        await bench.call(group="weight")
        # one of those is ours: it counts for a whole minute more, what others used does not
        await bench.many(3, group="weight")

    bench.run(scenario())
    turn_s = 60 - START_NS // 10**9 % 60 - ahead_s + TURN_MARGIN_S
    assert bench.at() == [0.0, *[turn_s] * 3]
    assert bench.limiter.report()["weight/60s"] == "4/2400"


def test_what_others_used_counts_again_when_the_venue_says_so_again() -> None:
    bench = Bench(Budget("weight", 2400, 60.0), reserve=0.0)

    async def scenario() -> None:
        for used in ("2400", "2300"):
            bench.limiter.heard("weight", 200, {"X-MBX-USED-WEIGHT-1M": used})
            await bench.call(group="weight")
        assert bench.limiter.report()["weight/60s"] == "2301/2400"

    bench.run(scenario())


def test_retry_after_is_honoured_by_everybody() -> None:
    bench = Bench(Budget("order", 10, 1.0))
    bench.limiter.heard("order", 429, {"Retry-After": "7"})
    bench.run(bench.call(group="anything", urgent=True))
    assert bench.at() == [7.0]
    assert bench.bans == []


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(403, {}, 600.0), (418, {"Retry-After": "120"}, 120.0), (418, {"retry-after": "x"}, 600.0)],
)
def test_a_ban_is_told_and_outlasts_patience(status, headers, seconds) -> None:
    bench = Bench(Budget("order", 10, 1.0))
    bench.limiter.heard("order", status, headers)
    assert [each[1] for each in bench.bans] == [seconds]

    async def scenario() -> None:
        with pytest.raises(VenueUnavailable):
            await bench.call(urgent=True, patience_s=10.0)

    bench.run(scenario())
    assert bench.limiter.report()["closed_s"] == seconds


def test_a_refusal_without_headers_closes_the_group_for_a_second() -> None:
    bench = Bench(Budget("order", 10, 1.0))
    bench.limiter.refused("order")
    bench.run(bench.call())
    bench.run(bench.call(group="query"))
    assert bench.at() == [1.0, 1.0]


def test_orders_past_the_limiter_count_and_stop_at_the_share_and_at_a_closed_group() -> None:
    bench = Bench(Budget("order", 10, 1.0), Budget("*", 12, 5.0))
    assert [bench.limiter.try_send("order", urgent=False) for _ in range(8)] == [True] * 7 + [False]
    assert [bench.limiter.try_send("order", urgent=True) for _ in range(4)] == [True] * 3 + [False]
    assert bench.limiter.report() == {"order/1s": "10/10", "*/5s": "10/12", "waits": 0}
    bench.run(bench.pause(1.05))
    assert not bench.limiter.try_send("order", urgent=True)
    bench.run(bench.pause(0.06))
    assert bench.limiter.try_send("order", urgent=True)
    bench.limiter.close("order", 1.0)
    assert not bench.limiter.try_send("order", urgent=True)
    bench.run(bench.pause(1.01))
    assert bench.limiter.try_send("order", urgent=True)
    assert not bench.limiter.try_send("order", urgent=True)


def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    bench = Bench(Budget("order", 1, 1.0))

    async def scenario() -> None:
        await bench.call()
        waiting = asyncio.ensure_future(bench.call(urgent=True))
        await bench.pause(0.2)
        waiting.cancel()
        await asyncio.wait({waiting})
        await bench.call("after")

    bench.run(scenario())
    assert bench.sent[-1] == ("after", 1.0)
