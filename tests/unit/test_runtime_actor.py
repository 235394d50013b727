"""Loop actors: dispatch, I/O whose outcome is a message, timers that are messages."""

import asyncio
import gc
import threading

import msgspec
import pykka
import pytest

from hfengine.clock import VirtualClock
from hfengine.limits import RUN_TASKS_MAX
from hfengine.runtime.actor import LoopActor, Outcome, Policy, TooManyTasks, handles
from hfengine.runtime.handlers import UnhandledMessage
from hfengine.runtime.hosts import ActorHost, current_host
from hfengine.runtime.loops import new_live_loop
from hfengine.runtime.virtual_loop import VirtualLoop

EPOCH_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


class Tick(msgspec.Struct, frozen=True):
    symbol: str
    number: int = 0


class Trade(msgspec.Struct, frozen=True):
    symbol: str
    number: int = 0


class Command(msgspec.Struct, frozen=True):
    """Makes an actor call a function with itself."""

    call: object


class Subject(LoopActor):
    policies = {Tick: Policy.CONFLATE}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.log = []

    @handles(Tick, Trade)
    def on_market(self, message):
        self.log.append((self.clock.now_ns() - EPOCH_NS, message))

    @handles(Outcome)
    def on_outcome(self, outcome):
        self.log.append((self.clock.now_ns() - EPOCH_NS, outcome))

    @handles(Command)
    def on_command(self, command):
        return command.call(self)


def simulate(scenario):
    """Run `scenario(host)` on a virtual loop; shut down and close whatever comes."""
    loop = VirtualLoop(VirtualClock(EPOCH_NS))

    async def whole():
        host = ActorHost(loop)
        try:
            return await scenario(host)
        finally:
            await host.shutdown()

    try:
        return loop.run_until_complete(whole())
    finally:
        loop.close()
        gc.collect()


def started(kind=Subject):
    """Return an actor that has had its first turn, and its reference."""
    ref = kind.start()
    current_host().pump()
    return ref._actor_weakref(), ref


def test_messages_go_to_the_handler_of_their_class():
    async def scenario(host):
        actor, ref = started()
        ref.tell(Tick("BTCUSDT"))
        ref.tell(Trade("BTCUSDT"))
        return [message for _, message in actor.log]

    assert simulate(scenario) == [Tick("BTCUSDT"), Trade("BTCUSDT")]


def test_a_told_message_without_a_handler_ends_the_actor():
    class Unknown(msgspec.Struct):
        pass

    async def scenario(host):
        _, ref = started()
        ref.tell(Unknown())
        assert not ref.is_alive()
        return host.supervisor.deaths[0].error

    error = simulate(scenario)
    assert isinstance(error, UnhandledMessage)
    assert "Subject-1 has no handler for Unknown" in str(error)


def test_handlers_are_inherited_and_overridden_by_name():
    class Heir(Subject):
        def on_market(self, message):
            self.log.append("heir")

        @handles(str)
        def on_text(self, message):
            self.log.append(message)

    async def scenario(host):
        actor, ref = started(Heir)
        ref.tell(Tick("BTCUSDT"))
        ref.tell("text")
        return actor.log

    assert simulate(scenario) == ["heir", "text"]


def test_one_class_body_has_one_handler_per_message_class():
    with pytest.raises(TypeError, match="both handle Tick"):

        class Twice(LoopActor):
            @handles(Tick)
            def one(self, message):
                pass

            @handles(Tick)
            def two(self, message):
                pass

    with pytest.raises(TypeError, match="at least one"):
        handles()


def test_an_overridden_on_receive_sees_every_message():
    class Sieve(Subject):
        def on_receive(self, message):
            self.log.append("first")
            return super().on_receive(message)

    async def scenario(host):
        actor, ref = started(Sieve)
        ref.tell(Tick("BTCUSDT"))
        ref.ask(Tick("BTCUSDT"))
        return len(actor.log), actor.log.count("first")

    assert simulate(scenario) == (4, 2)


def test_books_conflate_in_a_batch_and_trades_do_not():
    async def scenario(host):
        actor, ref = started()
        with host.batch():
            for number in range(5):
                ref.tell(Tick("BTCUSDT", number))
                ref.tell(Trade("BTCUSDT", number))
        return [message for _, message in actor.log]

    seen = simulate(scenario)
    assert seen == [Tick("BTCUSDT", 4), *(Trade("BTCUSDT", n) for n in range(5))]


async def returns(result, after_s=0.0):
    await asyncio.sleep(after_s)
    return result


async def raises(error):
    await asyncio.sleep(0)
    raise error


def test_io_comes_back_as_one_message_with_its_time():
    async def scenario(host):
        actor, ref = started()
        ref.tell(Command(lambda a: a.run(returns("answer", 1.5), tag="question")))
        await asyncio.sleep(3)
        return actor.log

    assert simulate(scenario) == [(1_500_000_000, Outcome("question", "answer"))]


def test_io_that_fails_or_is_cancelled_comes_back_with_its_error():
    failure = LookupError("on purpose")

    async def scenario(host):
        actor, ref = started()
        ref.tell(Command(lambda a: a.run(raises(failure), tag=1)))
        ref.tell(Command(lambda a: a.run(raises(asyncio.CancelledError()), tag=2)))
        await asyncio.sleep(1)
        assert ref.is_alive()
        assert not host.tasks
        return [outcome for _, outcome in actor.log]

    failed, cancelled = simulate(scenario)
    assert failed == Outcome(1, None, failure)
    assert not failed.cancelled
    assert cancelled.tag == 2
    assert cancelled.cancelled
    assert isinstance(cancelled.error, asyncio.CancelledError)


def test_io_of_a_stopped_actor_is_cancelled_and_reported_to_the_supervisor():
    cleaned = []

    async def tidy():
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append("up")

    async def scenario(host):
        actor, ref = started()
        ref.tell(Command(lambda a: a.run(tidy(), tag="tidy")))
        ref.tell(Command(lambda a: a.run(raises(LookupError("late")), tag="late")))
        await asyncio.sleep(0)
        ref.stop()
        assert len(host.tasks) == 2
        await host.shutdown()
        assert host.clock.now_ns() == EPOCH_NS
        return actor.log, host.supervisor

    log, supervisor = simulate(scenario)
    assert log == []
    assert cleaned == ["up"]
    orphans = {o.outcome.tag: o for o in supervisor.orphans}
    assert supervisor.orphaned_count == 2
    assert orphans["tidy"].outcome.cancelled
    assert orphans["tidy"].name == "Subject-1"


def test_too_much_io_at_once_is_refused_by_outcome():
    async def scenario(host):
        actor, ref = started()

        def flood(subject):
            for number in range(RUN_TASKS_MAX + 2):
                subject.run(returns(number), tag=number)

        ref.tell(Command(flood))
        await asyncio.sleep(1)
        return [outcome for _, outcome in actor.log]

    outcomes = simulate(scenario)
    assert sorted(o.tag for o in outcomes) == list(range(RUN_TASKS_MAX + 2))
    refused = [o.tag for o in outcomes if isinstance(o.error, TooManyTasks)]
    assert refused == [RUN_TASKS_MAX, RUN_TASKS_MAX + 1]


def test_a_stopped_actor_cannot_start_io():
    class Late(Subject):
        def on_stop(self):
            with pytest.raises(pykka.ActorDeadError, match="cannot start I/O"):
                self.run(returns(1), tag="late")
            self.log.append("refused")

    async def scenario(host):
        actor, ref = started(Late)
        ref.stop()
        return actor.log

    assert simulate(scenario) == ["refused"]


def test_io_and_timers_off_the_loops_thread_are_refused():
    async def scenario(host):
        actor, _ = started()
        errors = []

        def misuse():
            for call in (
                lambda: actor.run(returns(1), tag=1),
                lambda: actor.tell_after_ns(1, Tick("BTCUSDT")),
                lambda: actor.tell_every_ns(1, Tick("BTCUSDT")),
            ):
                with pytest.raises(RuntimeError, match="on_start or a handler") as raised:
                    call()
                errors.append(raised.value)

        thread = threading.Thread(target=misuse)
        thread.start()
        thread.join()
        return len(errors)

    assert simulate(scenario) == 3


def test_a_timer_is_a_message_at_its_exact_time():
    async def scenario(host):
        actor, _ = started()
        actor.tell_after_ns(333, Tick("BTCUSDT", 1))
        actor.tell_after_ns(7, Tick("BTCUSDT", 2)).cancel()
        await asyncio.sleep(1)
        assert len(actor._timers) == 1
        return actor.log

    assert simulate(scenario) == [(333, Tick("BTCUSDT", 1))]


def test_a_periodic_timer_does_not_drift_and_stops_with_its_actor():
    async def scenario(host):
        actor, ref = started()
        actor.tell_every_ns(30 * SECOND_NS, Tick("BTCUSDT"))
        await asyncio.sleep(100)
        ref.stop()
        assert host.loop.next_timer_ns() is None
        return [at for at, _ in actor.log]

    assert simulate(scenario) == [30 * SECOND_NS, 60 * SECOND_NS, 90 * SECOND_NS]


def test_late_periods_coalesce_and_keep_their_grid():
    """Virtual time is pushed over four periods at once: one message, next on the grid."""

    async def scenario(host):
        actor, _ = started()
        actor.tell_every_ns(10, Tick("BTCUSDT"))
        host.clock.advance_to(EPOCH_NS + 47)
        await asyncio.sleep(20e-9)
        return [at for at, _ in actor.log]

    assert simulate(scenario) == [47, 50, 60]


def test_a_periodic_timer_can_be_cancelled_by_its_own_message():
    class Once(LoopActor):
        def on_start(self):
            self.count = 0
            self.timer = self.tell_every_ns(SECOND_NS, Tick("BTCUSDT"))

        @handles(Tick)
        def on_tick(self, tick):
            self.count += 1
            self.timer.cancel()

    async def scenario(host):
        actor, _ = started(Once)
        await asyncio.sleep(10)
        return actor.count

    assert simulate(scenario) == 1


def test_a_timer_whose_handler_raises_ends_with_the_actor():
    class Fragile(LoopActor):
        def on_start(self):
            self.tell_every_ns(SECOND_NS, Tick("BTCUSDT"))

        @handles(Tick)
        def on_tick(self, tick):
            raise LookupError("on purpose")

    async def scenario(host):
        started(Fragile)
        await asyncio.sleep(10)
        return host.supervisor.died_count

    assert simulate(scenario) == 1


def test_impossible_timers_are_refused():
    async def scenario(host):
        actor, _ = started()
        with pytest.raises(ValueError, match="in the past"):
            actor.tell_after_ns(-1, Tick("BTCUSDT"))
        with pytest.raises(ValueError, match="must be positive"):
            actor.tell_every_ns(0, Tick("BTCUSDT"))

    simulate(scenario)


@pytest.mark.parametrize("new_loop", [asyncio.SelectorEventLoop, new_live_loop])
def test_timers_and_io_work_on_live_loops(new_loop):
    """Three periods of 2 ms and a read of the next one, on real time."""

    async def scenario():
        host = ActorHost(asyncio.get_running_loop())
        actor, _ = started()
        enough = host.loop.create_future()

        def count(subject):
            if len(subject.log) >= 3 and not enough.done():
                enough.set_result(None)

        timer = actor.tell_every_ns(2_000_000, Command(count))
        actor.tell_every_ns(2_000_000, Trade("BTCUSDT"))
        actor.run(returns("answer", 0.001), tag="io")
        await enough
        timer.cancel()
        await host.shutdown()
        return [m for _, m in actor.log]

    loop = new_loop()
    log = loop.run_until_complete(scenario())
    loop.close()
    assert log.count(Outcome("io", "answer")) == 1
    assert log.count(Trade("BTCUSDT")) >= 2


def test_names_are_the_same_in_every_run():
    async def scenario(host):
        return [started()[0].name, started()[0].name, started()[1].actor_urn]

    assert simulate(scenario) == ["Subject-1", "Subject-2", "urn:hfengine:Subject-3"]
    assert simulate(scenario) == ["Subject-1", "Subject-2", "urn:hfengine:Subject-3"]


def test_starting_an_actor_without_any_loop_says_what_to_do():
    """On a fresh thread: this one may have a host."""
    errors = []

    def start():
        with pytest.raises(RuntimeError, match="serve_other_threads") as raised:
            Subject.start()
        errors.append(raised.value)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert len(errors) == 1


def test_shutdown_stops_last_started_first_and_leaves_nothing():
    order = []

    class Ending(Subject):
        def on_stop(self):
            order.append(self.name)

    async def scenario(host):
        for _ in range(3):
            Ending.start()
        await host.shutdown()
        assert not host.actors
        with host.batch(), pytest.raises(RuntimeError, match="open batch"):
            await host.shutdown()

    simulate(scenario)
    assert order == ["Ending-3", "Ending-2", "Ending-1"]
