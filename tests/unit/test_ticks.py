"""Something is done at an interval on every kind of loop, and ends when it is told to."""

import asyncio
import os
import select
import sys
from collections.abc import Callable, Iterator

import pytest

from hfengine.clock import VirtualClock
from hfengine.kernels.ticker import Ticker
from hfengine.runtime import ticks as ticks_module
from hfengine.runtime.loops import LiveLoop, SpinningLoop
from hfengine.runtime.ticks import SPIN_SHARE, Ticks
from hfengine.runtime.virtual_loop import VirtualLoop

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="timer files are Linux'")

EVERY_S = 0.001
EVERY_NS = 1_000_000
PATIENCE_S = 10.0
PATIENCE_MS = 10_000
TURNS_MAX = 50_000
HOUR_NS = 3_600_000_000_000


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def readable(ticker: Ticker) -> bool:
    """Wait until a ticker can be read."""
    poll = select.poll()
    poll.register(ticker, select.POLLIN)
    return bool(poll.poll(PATIENCE_MS))


@pytest.fixture
def virtual() -> Iterator[VirtualLoop]:
    loop = VirtualLoop(VirtualClock(0))
    yield loop
    loop.close()


@pytest.fixture
def live() -> Iterator[LiveLoop]:
    loop = LiveLoop()
    yield loop
    loop.close()


@pytest.fixture
def spinning() -> Iterator[SpinningLoop]:
    loop = SpinningLoop()
    yield loop
    loop.close()


class Counted:
    """Counts ticks on a loop, and ends them after the last one if told which that is."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, every_s: float = EVERY_S, last: int = 0
    ) -> None:
        self.loop = loop
        self.count = 0
        self.last = last
        self.ended = loop.create_future()
        self.ticks = Ticks(loop, every_s, self.tick)

    def tick(self) -> None:
        self.count += 1
        if self.count == self.last:
            self.ticks.end()
            self.ended.set_result(None)

    def run_to_last(self) -> None:
        self.ticks.begin()
        self.loop.run_until_complete(asyncio.wait_for(self.ended, PATIENCE_S))


@linux_only
def test_intervals_add_up_until_taken() -> None:
    ticker = Ticker(1)
    assert readable(ticker)
    # asking whether it can be read took more than a nanosecond
    assert ticker.take() > 1
    ticker.close()


@linux_only
def test_what_is_taken_is_gone() -> None:
    """Taken twice within an interval; a machine that stalled for one has four more attempts."""
    ticker = Ticker(20 * EVERY_NS)
    taken = []
    for _ in range(5):
        assert readable(ticker)
        taken.append((ticker.take() >= 1, ticker.take()))
    assert (True, 0) in taken
    assert all(first for first, _ in taken)
    ticker.close()


@linux_only
@pytest.mark.parametrize("every_ns", [HOUR_NS, HOUR_NS + 1])
def test_nothing_is_taken_before_the_first_interval(every_ns: int) -> None:
    ticker = Ticker(every_ns)
    assert not select.select([ticker], [], [], 0)[0]
    assert ticker.take() == 0
    ticker.close()


@linux_only
def test_a_closed_ticker_says_so() -> None:
    before = open_files()
    ticker = Ticker(HOUR_NS)
    assert ticker.fileno() >= 0
    assert open_files() == before + 1
    for _ in range(2):
        ticker.close()
        assert ticker.fileno() == -1
        assert open_files() == before
    with pytest.raises(ValueError, match="closed"):
        ticker.take()


@linux_only
def test_closing_twice_leaves_a_new_file_of_that_number_alone() -> None:
    ticker = Ticker(HOUR_NS)
    number = ticker.fileno()
    ticker.close()
    other = os.dup(0)
    ticker.close()
    assert other == number
    os.fstat(other)
    os.close(other)


@linux_only
def test_a_forgotten_ticker_is_closed() -> None:
    before = open_files()
    ticker = Ticker(HOUR_NS)
    del ticker
    assert open_files() == before


@pytest.mark.parametrize("every_ns", [0, -1, -HOUR_NS])
def test_an_interval_is_at_least_a_nanosecond(every_ns: int) -> None:
    before = open_files()
    with pytest.raises(ValueError, match=f"at least 1 ns, not {every_ns}"):
        Ticker(every_ns)
    assert open_files() == before


@linux_only
def test_an_interval_of_seconds_and_nanoseconds() -> None:
    """The system's structure has both parts apart, and refuses a billion nanoseconds."""
    for every_ns in (1, 999_999_999, 1_000_000_000, 1_000_000_001):
        ticker = Ticker(every_ns)
        ticker.close()


@linux_only
def test_no_ticker_is_had_without_a_file_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # the lowest number that is free is what a new file would get
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            Ticker(HOUR_NS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_virtual_ticks_are_exact(virtual: VirtualLoop) -> None:
    at_s: list[float] = []
    ticks = Ticks(virtual, 0.25, lambda: at_s.append(virtual.time()))
    virtual.run_until_complete(asyncio.sleep(1))
    assert at_s == []
    ticks.begin()
    virtual.run_until_complete(asyncio.sleep(1.1))
    ticks.end()
    assert at_s == [1.25, 1.5, 1.75, 2.0]
    virtual.run_until_complete(asyncio.sleep(1))
    assert len(at_s) == 4


def test_virtual_ticks_end_inside_a_tick_and_twice(virtual: VirtualLoop) -> None:
    counted = Counted(virtual, last=3)
    counted.ticks.begin()
    virtual.run_until_complete(asyncio.sleep(1))
    counted.ticks.end()
    counted.ticks.end()
    assert counted.count == 3


def test_ticks_that_never_began_end_in_peace(virtual: VirtualLoop) -> None:
    Counted(virtual).ticks.end()


def test_ticks_begin_again_after_their_end(virtual: VirtualLoop) -> None:
    counted = Counted(virtual, 0.1)
    for count in (4, 8):
        counted.ticks.begin()
        virtual.run_until_complete(asyncio.sleep(0.45))
        counted.ticks.end()
        assert counted.count == count


class Scripted(Ticker):
    """A ticker of which a test says what is taken; notes how each was made."""

    made: list[tuple[int, Ticker]] = []  # noqa: RUF012
    takes: list[int] = []  # noqa: RUF012

    def __init__(self, every_ns: int) -> None:
        self.made.append((every_ns, self))

    def take(self) -> int:
        super().take()
        return self.takes.pop(0) if self.takes else 1


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    monkeypatch.setattr(ticks_module, "Ticker", Scripted)
    monkeypatch.setattr(Scripted, "made", [])
    monkeypatch.setattr(Scripted, "takes", [])
    return Scripted


@linux_only
def test_a_sleeping_loop_ticks_by_a_file_until_the_end(
    live: LiveLoop, scripted: type[Scripted]
) -> None:
    before = open_files()
    counted = Counted(live, last=3)
    counted.ticks.begin()
    assert open_files() == before + 1
    live.run_until_complete(asyncio.wait_for(counted.ended, PATIENCE_S))
    [(every_ns, ticker)] = scripted.made
    assert (every_ns, ticker.fileno()) == (EVERY_NS, -1)
    assert open_files() == before
    live.run_until_complete(asyncio.sleep(5 * EVERY_S))
    counted.ticks.end()
    assert counted.count == 3
    assert open_files() == before


def test_a_sleeping_loop_ticks_again_by_a_new_file(live: LiveLoop) -> None:
    """The second file has the number of the first, which the loop must have forgotten."""
    for _ in range(2):
        Counted(live, last=2).run_to_last()


@linux_only
def test_ticks_missed_are_not_made_up_for(live: LiveLoop, scripted: type[Scripted]) -> None:
    """Nothing taken is no tick, and nine intervals at once are one."""
    scripted.takes.extend([0, 9, 0, 9, 0])
    counted = Counted(live, last=2)
    counted.run_to_last()
    assert (counted.count, scripted.takes) == (2, [0])


def test_a_sleeping_loop_without_files_ticks_by_its_timer(
    live: LiveLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_every_ns: int) -> Ticker:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(ticks_module, "Ticker", refuse)
    before = open_files()
    counted = Counted(live, last=3)
    counted.ticks.begin()
    assert open_files() == before
    live.run_until_complete(asyncio.wait_for(counted.ended, PATIENCE_S))
    live.run_until_complete(asyncio.sleep(5 * EVERY_S))
    counted.ticks.end()
    assert counted.count == 3


def test_an_interval_that_rounds_to_nothing_ticks(live: LiveLoop) -> None:
    counted = Counted(live, every_s=1e-12, last=2)
    counted.run_to_last()
    assert counted.count == 2


class Time:
    """A time that passes when a test says so; counts how often it was looked at."""

    def __init__(self) -> None:
        self.at_ns = 10**18
        self.looks = 0

    def now_ns(self) -> int:
        self.looks += 1
        return self.at_ns


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(ticks_module, "now_ns", made.now_ns)
    return made


def turns(loop: asyncio.AbstractEventLoop, enough: Callable[[], bool]) -> None:
    """Run a loop turn by turn until it is enough, or out of patience."""
    for _ in range(TURNS_MAX):
        if enough():
            return
        loop.run_until_complete(asyncio.sleep(0))
    pytest.fail("the loop took its turns in vain")


def more_looks(loop: asyncio.AbstractEventLoop, time: Time) -> None:
    """Let a loop look at the time a few times more."""
    until = time.looks + 3
    turns(loop, lambda: time.looks >= until)


def test_a_spinning_loop_looks_at_the_time_and_ticks_as_often(
    spinning: SpinningLoop, told: Time
) -> None:
    counted = Counted(spinning)
    counted.ticks.begin()
    more_looks(spinning, told)
    assert counted.count == 0
    share_ns = EVERY_NS // SPIN_SHARE
    for count in range(1, 4):
        told.at_ns += share_ns - 1
        more_looks(spinning, told)
        assert counted.count == count - 1
        told.at_ns += 1
        more_looks(spinning, told)
        assert counted.count == count
    # ten intervals missed are one tick, and the next is due one interval from there
    told.at_ns += 10 * share_ns + 7
    more_looks(spinning, told)
    assert counted.count == 4
    told.at_ns += share_ns - 1
    more_looks(spinning, told)
    assert counted.count == 4
    told.at_ns += 1
    more_looks(spinning, told)
    assert counted.count == 5
    counted.ticks.end()


def test_spinning_ticks_begun_again_are_as_frequent(spinning: SpinningLoop, told: Time) -> None:
    counted = Counted(spinning)
    for begun in range(1, 4):
        counted.ticks.begin()
        more_looks(spinning, told)
        told.at_ns += EVERY_NS // SPIN_SHARE - 1
        more_looks(spinning, told)
        assert counted.count == begun - 1
        told.at_ns += 1
        more_looks(spinning, told)
        assert counted.count == begun
        counted.ticks.end()


def test_a_spinning_loop_looks_once_a_turn(spinning: SpinningLoop, told: Time) -> None:
    counted = Counted(spinning)
    counted.ticks.begin()
    more_looks(spinning, told)
    looks: list[int] = []

    async def note() -> None:
        for _ in range(10):
            looks.append(told.looks)
            await asyncio.sleep(0)

    spinning.run_until_complete(note())
    counted.ticks.end()
    assert looks == list(range(looks[0], looks[0] + 10))


def test_spinning_ticks_end_inside_a_tick_and_twice(spinning: SpinningLoop, told: Time) -> None:
    counted = Counted(spinning, last=1)
    counted.ticks.begin()
    told.at_ns += EVERY_NS
    turns(spinning, counted.ended.done)
    looks = told.looks
    told.at_ns += EVERY_NS
    spinning.run_until_complete(asyncio.sleep(EVERY_S))
    counted.ticks.end()
    assert (counted.count, told.looks) == (1, looks)


def test_spinning_ticks_that_fail_go_on(spinning: SpinningLoop, told: Time) -> None:
    failures: list[object] = []
    spinning.set_exception_handler(lambda _loop, context: failures.append(context["exception"]))

    def fail() -> None:
        raise ArithmeticError("planted")

    ticks = Ticks(spinning, EVERY_S, fail)
    ticks.begin()
    for count in (1, 2):
        told.at_ns += EVERY_NS
        more_looks(spinning, told)
        assert len(failures) == count
    ticks.end()
