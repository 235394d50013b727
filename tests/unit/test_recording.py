"""What reaches actors from outside is noted before it is delivered, and comes back from there."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest

from hfengine.actors.proving import Proving
from hfengine.clock import VirtualClock
from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.heard import (
    ROWS_A_RECORD,
    Died,
    Ended,
    Fired,
    Published,
    Session,
    Told,
    Turn,
    Unreadable,
    error_of,
    join_rows,
    plain,
    plain_error,
    split_rows,
    thing_of,
)
from hfengine.journal.redact import RedactingEncoder
from hfengine.messages import BookSync, Halt, Start, Timer
from hfengine.requests import LeverageSetting
from hfengine.runtime.actor import LoopActor, Outcome, handles
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.recording import Recorder, raised_in
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.venues.port import PartlyRead
from tests.rig import T0_NS, balance, fill, order, position


class Log:
    """A journal that keeps what it is given."""

    def __init__(self) -> None:
        self.noted: list[Any] = []
        self.note = self.noted.append
        self.written: list[Any] = []

    def settle(self) -> None:
        self.written += self.noted
        self.noted.clear()


class Ticking:
    """A wall clock: another time at every reading."""

    def __init__(self) -> None:
        self.at_ns = T0_NS

    def now_ns(self) -> int:
        self.at_ns += 1
        return self.at_ns


class Busy(LoopActor):
    """Does one of everything, and keeps the times it read."""

    made: ClassVar[list["Busy"]] = []

    def __init__(self) -> None:
        super().__init__()
        self.made.append(self)
        self.times: list[int] = []
        self.heard: list[Any] = []

    def on_start(self) -> None:
        self.tell_after_ns(1_000, Timer("once"))
        self.tell_every_ns(3_000, Timer("often"))

    @handles(Start, Halt, Timer, BookSync, Outcome)
    def on_anything(self, message: Any) -> None:
        self.heard.append(message)
        self.times += [self.clock.now_ns(), self.clock.now_ns()]
        if isinstance(message, Start):
            self.run(_answered(), tag="answer")
        if isinstance(message, Halt) and message.source == "kill":
            raise ValueError(message.reason)


class MarketData(Busy):
    """An actor whose own inputs are not noted."""


async def _answered() -> LeverageSetting:
    return LeverageSetting("BTCUSDT", 50, "isolated")


class Bench:
    def __init__(self, *, wall: bool) -> None:
        clock = VirtualClock(T0_NS)
        self.loop = VirtualLoop(clock)
        self.host = ActorHost(self.loop, Ticking() if wall else clock)
        self.log = Log()
        self.host.recorder = self.recorder = Recorder(self.log, self.host)
        self.host.settled = self.recorder.settle

    def start(self, actor: type[Busy] = Busy) -> Any:
        ref = actor.start()
        self.pass_ns(0)
        self.log.written.clear()
        return ref

    def pass_ns(self, span_ns: int) -> None:
        async def wait() -> None:
            woken = self.loop.create_future()
            self.loop.call_at_ns(self.loop.clock.now_ns() + span_ns, woken.set_result, None)
            await woken

        self.loop.run_until_complete(wait())

    def written(self, kind: type) -> list[Any]:
        return [one for one in (*self.log.written, *self.log.noted) if type(one) is kind]


@pytest.fixture(params=[False, True], ids=["virtual", "wall"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(wall=request.param)
    yield made
    made.loop.run_until_complete(made.host.shutdown())
    made.loop.close()


@pytest.fixture
def wall() -> Iterator[Bench]:
    made = Bench(wall=True)
    yield made
    made.loop.run_until_complete(made.host.shutdown())
    made.loop.close()


def test_outcomes_and_timers_are_noted_by_number(bench: Bench) -> None:
    ref = bench.start()
    ref.tell(Start(1))
    bench.pass_ns(7_000)
    (ended,) = bench.written(Ended)
    assert (ended.actor, ended.number, ended.error) == ("Busy-1", 0, None)
    assert thing_of(ended.result) == LeverageSetting("BTCUSDT", 50, "isolated")
    fired = [(one.actor, one.number) for one in bench.written(Fired)]
    assert fired == [("Busy-1", 0), ("Busy-1", 1), ("Busy-1", 1)]


def test_what_market_data_hears_is_not_noted(bench: Bench) -> None:
    ref = bench.start(MarketData)
    ref.tell(Start(1))
    bench.pass_ns(7_000)
    assert bench.written(Ended) == bench.written(Fired) == []


def test_nothing_is_noted_without_a_recorder() -> None:
    made = Bench(wall=False)
    made.host.recorder = None
    ref = made.start()
    ref.tell(Start(1))
    made.pass_ns(7_000)
    assert made.log.written == made.log.noted == []
    made.loop.run_until_complete(made.host.shutdown())
    made.loop.close()


def test_a_turn_on_a_wall_clock_has_one_time_which_is_noted(wall: Bench) -> None:
    ref = wall.start()
    actor: Any = Busy.made[-1]
    wall.pass_ns(1_000)
    (fired,) = wall.written(Fired)
    assert actor.times == [fired.at_ns, fired.at_ns]
    wall.recorder.told("Busy-1", Halt(1, "a", "b"))
    ref.actor_inbox.deliver(Halt(1, "a", "b"))
    (told,) = wall.written(Told)
    assert actor.times[2:] == [told.at_ns, told.at_ns]
    assert told.at_ns > fired.at_ns


def test_market_data_on_a_wall_clock_brings_its_turns_time(wall: Bench) -> None:
    ref = wall.start()
    actor: Any = Busy.made[-1]
    wall.host.routes.wire(BookSync, ref)
    wall.host.routes.tap(wall.log.note)
    sync = BookSync("BTCUSDT", T0_NS, True, "")
    with wall.host.batch():
        wall.host.routes.publish(sync)
    (turn,) = wall.written(Turn)
    assert turn == Turn(actor.times[-1], 1)
    assert wall.log.written[-2:] == [turn, sync]
    with wall.host.batch():
        wall.host.routes.publish(sync)
        wall.host.routes.publish(sync)
    assert wall.written(Turn)[1].inputs == 2


def test_lone_market_data_at_its_own_time_brings_nothing() -> None:
    made = Bench(wall=False)
    ref = made.start()
    made.host.routes.wire(BookSync, ref)
    made.host.routes.tap(made.log.note)
    made.host.routes.publish(BookSync("BTCUSDT", T0_NS, True, ""))
    assert made.written(Turn) == []
    made.host.routes.publish(BookSync("BTCUSDT", T0_NS - 5, True, ""))
    assert made.written(Turn) == [Turn(T0_NS, 1)]
    made.loop.run_until_complete(made.host.shutdown())
    made.loop.close()


def test_the_clock_goes_on_between_turns(wall: Bench) -> None:
    ref = wall.start()
    actor: Any = Busy.made[-1]
    clock = wall.host.clock
    assert clock.now_ns() < clock.now_ns()
    # published for nobody: no turn begins, and its time must not be the next turn's
    wall.recorder.published(Halt(1, "a", "b"))
    wall.pass_ns(0)
    (published,) = wall.written(Published)
    ref.tell(BookSync("BTCUSDT", T0_NS, True, ""))
    assert actor.times[-1] > published.at_ns


def test_time_stands_still_until_the_actors_have_started() -> None:
    made = Bench(wall=True)
    session = Session(7, 1, "s", "v", "p", "h", "", {}, b"", 0, 0)
    made.recorder.begin(session, [])
    assert made.host.clock.now_ns() == made.host.clock.now_ns() == 7
    made.start()
    assert made.host.clock.now_ns() > 7
    made.loop.run_until_complete(made.host.shutdown())
    made.loop.close()


def test_where_something_was_told(bench: Bench) -> None:
    bench.start()
    halt = Halt(1, "a", "b")
    bench.recorder.told("execution", halt)
    bench.recorder.settle()
    with bench.host.batch():
        bench.recorder.told("execution", halt)
        bench.recorder.told("execution", halt)
    bench.recorder.settle()
    with bench.host.batch():
        bench.log.note(halt)
        bench.recorder.told("execution", halt)
    assert [one.how for one in bench.written(Told)] == ["alone", "batch", "batch", "handler"]
    assert {thing_of(one.message) for one in bench.written(Told)} == {halt}


def test_what_a_coroutine_tells_its_own_actor_is_noted(bench: Bench) -> None:
    bench.start()
    actor: Any = Busy.made[-1]
    actor.tell_self(Halt(1, "self", ""))
    (told,) = bench.written(Told)
    assert (told.actor, told.how) == ("Busy-1", "alone")
    assert actor.heard[-1] == Halt(1, "self", "")


def test_a_death_is_noted_with_the_message_it_came_at(bench: Bench) -> None:
    ref = bench.start()
    ref.tell(Halt(1, "a", "b"))
    ref.tell(Halt(1, "kill", "planted"))
    (died,) = bench.written(Died)
    assert (died.actor, died.handled, died.error) == ("Busy-1", 2, "ValueError('planted')")
    assert died.raised_in == __name__


@pytest.mark.parametrize(
    "thing",
    [
        None,
        True,
        7,
        0.1,
        "text",
        b"bytes",
        Decimal("1.500"),
        [1, [2]],
        (True, 3, "x"),
        {"a": Decimal(1), 2: (1,)},
        {3, 1},
        position(),
        balance(),
        [fill("c"), order("c")],
        ([fill("c")], [position()], balance()),
        LeverageSetting("BTCUSDT", 50, "cross"),
        Proving("BTCUSDT", 50, "isolated", may_set=True, asked_ns=5),
        float("inf"),
    ],
)
def test_an_outcome_comes_back_from_the_journal(thing: Any) -> None:
    payload = RedactingEncoder().encode(Ended("a", 0, 1, plain(thing), None))
    read = msgspec.msgpack.decode(payload, type=Ended)
    back = thing_of(read.result)
    assert back == thing
    assert type(back) is type(thing)


@pytest.mark.parametrize(
    "error",
    [
        VenueRejected("insufficient_margin", "110007"),
        VenueUnknown("timeout"),
        PartlyRead("one is away", [position()]),
        asyncio.CancelledError(),
        TimeoutError("slow"),
        OSError(28, "No space left on device"),
        KeyError("x"),
    ],
)
def test_an_error_comes_back_as_itself(error: BaseException) -> None:
    payload = RedactingEncoder().encode(Ended("a", 0, 1, None, plain_error(error)))
    back = error_of(msgspec.msgpack.decode(payload, type=Ended).error)
    assert type(back) is type(error)
    assert (repr(back), str(back)) == (repr(error), str(error))
    assert vars(back) == vars(error)


def test_a_foreign_error_comes_back_looking_the_same() -> None:
    class ExchangeNotAvailable(Exception):
        pass

    back = error_of(plain_error(ExchangeNotAvailable("503")))
    assert repr(back) == "ExchangeNotAvailable('503')"
    assert str(back) == "503"
    assert type(back).__name__ == "ExchangeNotAvailable"


@pytest.mark.parametrize(
    "tree",
    [
        {"%class": "os:system", "%items": ["true"]},
        {"%class": "hfengine.messages:Nothing", "%fields": {}},
        {"%class": "hfengine.messages:Fill", "%fields": {"type": "Fill"}},
        {"%unknown": "<object>"},
        {"a": 1},
    ],
)
def test_a_journal_makes_nothing_but_messages(tree: Any) -> None:
    with pytest.raises(Unreadable):
        thing_of(tree)


def test_no_class_outside_python_and_this_package_is_made_of_an_error() -> None:
    tree = plain_error(ValueError("x")) | {"class": "subprocess:CalledProcessError"}
    assert type(error_of(tree)).__module__ != "subprocess"


def test_long_lists_go_ahead_in_records_of_their_own() -> None:
    rows = [fill("c", n) for n in range(ROWS_A_RECORD * 2 + 1)]
    ahead, short = split_rows(plain((rows, [position()])))
    assert [len(more.rows) for more in ahead] == [ROWS_A_RECORD, ROWS_A_RECORD, 1]
    assert thing_of(join_rows(ahead, short)) == (rows, [position()])
    assert len(RedactingEncoder().encode(Ended("a", 0, 1, short, None))) < 2_000
    assert split_rows(plain([fill("c")])) == ([], plain([fill("c")]))


def test_where_an_error_was_raised() -> None:
    with pytest.raises(ArithmeticError) as caught:
        Decimal("x")
    assert raised_in(caught.value) == __name__
    assert raised_in(ValueError()) == ""
