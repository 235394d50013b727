"""A local venue that does not answer: ended after a while, not at the first silence."""

import asyncio

import pytest

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.venues.absence import GONE_MAX_S, Absence

SECOND_NS = 1_000_000_000


class SetClock:
    def __init__(self, at_ns: int) -> None:
        self.at_ns = at_ns

    def now_ns(self) -> int:
        return self.at_ns


class Bench:
    def __init__(self) -> None:
        self.clock = SetClock(SECOND_NS)
        self.answer: Exception | None = None
        self.ends: list[str] = []
        self.reads = 0
        self.absence = Absence(self._read, self.clock, self.ends.append)

    async def _read(self) -> int:
        self.reads += 1
        if self.answer is not None:
            raise self.answer
        return 1

    def look(self, answer: Exception | None, after_s: float) -> list[str]:
        self.clock.at_ns += round(after_s * SECOND_NS)
        self.answer = answer
        asyncio.run(self.absence.look())
        return self.ends


@pytest.mark.parametrize("silence", [VenueUnavailable("refused"), VenueUnknown("cut")])
def test_a_silence_ends_the_run_only_when_it_lasts(silence: Exception) -> None:
    bench = Bench()
    assert bench.look(silence, 1.0) == []
    assert bench.look(silence, GONE_MAX_S - 0.1) == []
    (reason,) = bench.look(silence, 0.1)
    assert reason == f"the local venue has not answered for {GONE_MAX_S:g} s: {silence}"


@pytest.mark.parametrize("answer", [None, VenueRejected("rate_limit")])
def test_any_answer_begins_anew(answer: Exception | None) -> None:
    bench = Bench()
    gone = VenueUnavailable("refused")
    bench.look(gone, 1.0)
    bench.look(answer, 1.0)
    assert bench.look(gone, GONE_MAX_S) == []
    assert len(bench.look(gone, GONE_MAX_S)) == 1


def test_a_look_under_way_is_not_joined() -> None:
    bench = Bench()

    async def twice() -> None:
        await asyncio.gather(bench.absence.look(), bench.absence.look())

    async def slow() -> int:
        bench.reads += 1
        await asyncio.sleep(0.001)
        return 1

    bench.absence = Absence(slow, bench.clock, bench.ends.append)
    asyncio.run(twice())
    assert bench.reads == 1
