"""Supervision: deaths are told, actors are restarted within limits, nothing is silent."""

import asyncio

import msgspec
import pykka
import pytest

from hfengine.clock import VirtualClock
from hfengine.kernels.mailbox import MailboxOverflow
from hfengine.runtime.actor import LoopActor, handles
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.virtual_loop import VirtualLoop

EPOCH_NS = 1_700_000_000_000_000_000
MINUTE_NS = 60_000_000_000


class Order(msgspec.Struct, frozen=True):
    text: str


class Fragile(LoopActor):
    mailbox_max = 3

    def __init__(self, life=1):
        super().__init__()
        self.life = life
        self.handled = []

    def on_start(self):
        if self.life < 0:
            raise ValueError("stillborn")

    @handles(Order)
    def on_order(self, order):
        if order.text == "die":
            raise LookupError("on purpose")
        if order.text == "interrupt":
            raise KeyboardInterrupt
        self.handled.append(order.text)
        return self.life

    def on_stop(self):
        if self.life == 13:
            raise ValueError("bad end")


@pytest.fixture
def loop():
    made = VirtualLoop(VirtualClock(EPOCH_NS))
    yield made
    made.close()


@pytest.fixture
def host(loop):
    made = ActorHost(loop)
    yield made
    loop.run_until_complete(made.shutdown())


@pytest.fixture
def told(host):
    """What on_death listeners hear."""
    heard = []
    host.supervisor.on_death(lambda name, error, at_ns: heard.append((name, repr(error), at_ns)))
    return heard


@pytest.fixture
def ref(host):
    made = Fragile.start()
    host.pump()
    return made


def test_a_raising_handler_is_told_with_name_error_and_time(host, told, ref, loop):
    loop.run_until_complete(asyncio.sleep(5))
    ref.tell(Order("die"))
    assert told == [("Fragile-1", "LookupError('on purpose')", EPOCH_NS + 5_000_000_000)]
    assert host.supervisor.died_count == 1


@pytest.mark.parametrize(("life", "error"), [(-1, "stillborn"), (13, "bad end")])
def test_a_raising_hook_is_a_death_too(host, told, life, error):
    ref = Fragile.start(life)
    host.pump()
    if ref.is_alive():
        ref.stop()
    assert [text for _, text, _ in told] == [f"ValueError('{error}')"]


def test_an_overflow_is_a_death_and_counts_what_was_lost(host, told, ref):
    with host.batch():
        for number in range(5):
            ref.tell(Order(str(number)))
    assert isinstance(host.supervisor.deaths[0].error, MailboxOverflow)
    assert host.supervisor.deaths[0].backlog == 3
    assert len(told) == 1


@pytest.mark.parametrize("send", ["tell", "ask"])
def test_a_base_exception_is_a_death_of_the_actor_it_came_from(host, told, ref, send):
    other = Fragile.start()
    if send == "tell":
        ref.tell(Order("interrupt"))
    else:
        ref.ask(Order("interrupt"), block=False)
    host.pump()
    assert told == [("Fragile-1", "KeyboardInterrupt()", EPOCH_NS)]
    assert not other.is_alive()


def test_an_orderly_stop_is_no_death(host, told, ref):
    assert ref.stop()
    assert told == []


def test_an_error_returned_to_an_asker_is_no_death(host, told, ref):
    with pytest.raises(LookupError):
        ref.ask(Order("die"))
    assert told == []
    assert ref.is_alive()


def test_a_failing_on_failure_is_noted_on_the_death(host, told):
    class Clumsy(Fragile):
        def on_failure(self, exception_type, exception_value, traceback):
            raise ValueError("hook")

    ref = Clumsy.start()
    host.pump()
    ref.tell(Order("die"))
    death = host.supervisor.deaths[0]
    assert isinstance(death.error, LookupError)
    assert death.error.__notes__ == ["then, while Clumsy-1 ended: ValueError('hook')"]
    assert len(told) == 1


def test_a_failing_listener_is_recorded_and_the_others_still_hear(host):
    def careless(name, error, at_ns):
        raise ValueError("listener")

    heard = []
    host.supervisor.on_death(careless)
    host.supervisor.on_death(lambda *death: heard.append(death))
    ref = Fragile.start()
    host.pump()
    ref.tell(Order("die"))
    assert len(heard) == 1
    assert [str(e) for e in host.supervisor.listener_errors] == ["listener"]


def test_a_restarted_actor_keeps_its_name_and_its_routes(host, told, ref):
    host.routes.wire(Order, ref)
    host.supervisor.restart_with(ref, lambda: Fragile.start(life=2))
    host.routes.publish(Order("die"))
    host.routes.publish(Order("after"))
    alive = pykka.ActorRegistry.get_by_urn(ref.actor_urn)
    assert alive is not ref
    assert alive.proxy().handled.get() == ["after"]
    assert alive.proxy().life.get() == 2
    assert host.routes.describe() == {"Order": ["Fragile-1"]}
    assert [name for name, _, _ in told] == ["Fragile-1"]
    assert Fragile.start().actor_urn.endswith("-2")


def test_what_was_queued_for_the_dead_is_not_handled_by_its_successor(host, ref):
    host.routes.wire(Order, ref)
    host.supervisor.restart_with(ref, Fragile.start)
    with host.batch():
        host.routes.publish(Order("die"))
        host.routes.publish(Order("lost"))
    host.routes.publish(Order("next"))
    alive = pykka.ActorRegistry.get_by_urn(ref.actor_urn)
    assert alive.proxy().handled.get() == ["next"]
    assert host.supervisor.deaths[0].backlog == 1


def restarts_until_limit(host, loop, gap_s, deaths):
    """Kill the actor again and again, `gap_s` apart; return how many lives it had."""
    made = []

    def restart():
        made.append(Fragile.start())
        return made[-1]

    first = Fragile.start()
    host.pump()
    host.routes.wire(Order, first)
    host.supervisor.restart_with(first, restart, restarts_max=2, window_ns=MINUTE_NS)
    for _ in range(deaths):
        host.routes.publish(Order("die"))
        loop.run_until_complete(asyncio.sleep(gap_s))
    return 1 + len(made)


def test_restarts_end_at_the_limit_within_the_window(host, loop, told):
    assert restarts_until_limit(host, loop, 1, 6) == 3
    assert len(told) == 3


def test_restarts_go_on_when_they_are_far_apart(host, loop, told):
    assert restarts_until_limit(host, loop, 40, 6) == 7
    assert len(told) == 6


def test_a_failing_restart_is_itself_a_death_and_the_last(host, told, ref):
    def restart():
        raise OSError("venue gone")

    host.supervisor.restart_with(ref, restart)
    ref.tell(Order("die"))
    assert [text for _, text, _ in told] == ["LookupError('on purpose')", "OSError('venue gone')"]
    assert {name for name, _, _ in told} == {"Fragile-1"}


def test_shutdown_restarts_nobody(host, told, loop):
    ref = Fragile.start(13)
    host.pump()
    host.supervisor.restart_with(ref, Fragile.start)
    loop.run_until_complete(host.shutdown())
    assert len(told) == 1
    assert host.actors == {}
