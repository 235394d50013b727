"""The venue's clock against ours, on virtual time."""

import asyncio
from collections.abc import Iterator

import pytest

from hfengine.clock import VirtualClock
from hfengine.errors import VenueUnavailable
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.venues.clock_offset import READINGS, ClockOffset

START_NS = 1_700_000_000_000_000_000
LOOPS: list[VirtualLoop] = []


@pytest.fixture(autouse=True)
def closed_loops() -> Iterator[None]:
    """Close the loops a test made."""
    yield
    while LOOPS:
        LOOPS.pop().close()


class Bench:
    """A venue whose clock is off and whose answers take their time."""

    def __init__(self, skew_ms: int, ways_ms: list[tuple[int, int]]) -> None:
        self.clock = VirtualClock(START_NS)
        self.loop = VirtualLoop(self.clock)
        LOOPS.append(self.loop)
        self.skew_ms = skew_ms
        self.ways_ms = ways_ms
        self.reads = 0
        self.failing = False
        self.told: list[tuple[str, str]] = []
        self.offsets: list[int] = []
        self.offset = ClockOffset(
            self.read,
            clock=self.clock,
            offset_max_ms=500.0,
            changed=self.offsets.append,
            halt=lambda source, reason: self.told.append((source, reason)),
            resume=lambda source: self.told.append((source, "")),
        )

    async def read(self) -> int:
        there_ms, back_ms = self.ways_ms[self.reads % len(self.ways_ms)]
        self.reads += 1
        await self.pause(there_ms)
        if self.failing:
            raise VenueUnavailable("away")
        venue_ms = self.clock.now_ns() // 1_000_000 + self.skew_ms
        await self.pause(back_ms)
        return venue_ms

    async def pause(self, milliseconds: int) -> None:
        woken = self.loop.create_future()
        self.loop.call_later(milliseconds / 1e3, woken.set_result, None)
        await woken

    def refresh(self) -> None:
        self.loop.run_until_complete(self.offset.refresh())


@pytest.mark.parametrize("skew_ms", [0, 40, -40, 30_000])
def test_even_ways_give_the_exact_offset(skew_ms: int) -> None:
    bench = Bench(skew_ms, [(20, 20)])
    bench.refresh()
    assert bench.offset.offset_ms == skew_ms
    assert bench.offsets == [skew_ms]
    assert bench.reads == READINGS


def test_the_quickest_reading_counts() -> None:
    bench = Bench(100, [(300, 10), (8, 4), (10, 500), (200, 1)])
    bench.refresh()
    assert abs(bench.offset.offset_ms - 100) <= 6
    assert bench.offset.round_trip_ms == pytest.approx(12.0)


def test_too_far_stops_entries_until_it_is_near_again() -> None:
    bench = Bench(-501, [(5, 5)])
    bench.refresh()
    assert [source for source, _ in bench.told] == ["clock"]
    assert "-501 ms" in bench.told[0][1]
    bench.skew_ms = -500
    bench.refresh()
    assert bench.told[1:] == [("clock", "")]


def test_a_venue_that_cannot_be_read_keeps_the_old_offset() -> None:
    bench = Bench(70, [(5, 5)])
    bench.refresh()
    bench.failing = True
    with pytest.raises(VenueUnavailable, match="away"):
        bench.refresh()
    assert bench.offset.offset_ms == 70
    bench.failing = False
    bench.refresh()
    assert bench.offset.readings == 2


def test_all_who_ask_at_once_share_one_measurement_and_one_may_give_up() -> None:
    bench = Bench(10, [(5, 5)])

    async def scenario() -> None:
        first = asyncio.ensure_future(bench.offset.refresh())
        second = asyncio.ensure_future(bench.offset.refresh())
        await bench.pause(7)
        first.cancel()
        await second

    bench.loop.run_until_complete(scenario())
    assert bench.reads == READINGS
    assert bench.offsets == [10]
