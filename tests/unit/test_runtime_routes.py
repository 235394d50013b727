"""Routes: taps first, subscribers in table order, no class unnamed."""

import msgspec
import pytest

from hfengine.clock import VirtualClock
from hfengine.kernels.publisher import Publisher
from hfengine.runtime.actor import LoopActor, handles
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.routes import Routes, UnroutedMessage
from hfengine.runtime.virtual_loop import VirtualLoop


class Tick(msgspec.Struct, frozen=True):
    number: int


class Fill(msgspec.Struct, frozen=True):
    number: int


class Listener(LoopActor):
    def __init__(self, log):
        super().__init__()
        self.log = log

    @handles(Tick, Fill)
    def hear(self, message):
        self.log.append((self.name, message))
        if isinstance(message, Tick) and message.number == 13:
            raise LookupError("on purpose")


@pytest.fixture
def host():
    loop = VirtualLoop(VirtualClock(0))
    made = ActorHost(loop)
    yield made
    loop.run_until_complete(made.shutdown())
    loop.close()


@pytest.fixture
def log():
    return []


@pytest.fixture
def refs(host, log):
    made = [Listener.start(log) for _ in range(3)]
    host.pump()
    return made


def test_taps_hear_first_then_subscribers_in_table_order(refs, log):
    routes = Routes()
    routes.tap(lambda message: log.append(("journal", message)))
    routes.wire(Tick, refs[2], refs[0])
    routes.wire(Tick, refs[1])
    routes.tap(lambda message: log.append(("metrics", message)))
    routes.publish(Tick(1))
    assert [name for name, _ in log] == [
        "journal",
        "metrics",
        "Listener-3",
        "Listener-1",
        "Listener-2",
    ]


def test_a_class_that_is_not_wired_cannot_be_published(refs, log):
    routes = Routes()
    routes.tap(log.append)
    routes.wire(Tick, refs[0])
    with pytest.raises(UnroutedMessage, match=r"Fill .* not wired \(wired: Tick\)"):
        routes.publish(Fill(1))
    assert log == []


def test_a_class_may_be_declared_for_the_taps_alone(log):
    routes = Routes()
    routes.wire(Fill)
    routes.tap(log.append)
    routes.publish(Fill(1))
    assert log == [Fill(1)]


def test_describe_names_every_route(refs):
    routes = Routes()
    routes.wire(Tick, refs[1], refs[0])
    routes.wire(Fill)
    assert routes.describe() == {"Tick": ["Listener-2", "Listener-1"], "Fill": []}


def test_an_actor_is_wired_once_per_class(refs):
    routes = Routes()
    routes.wire(Tick, refs[0])
    with pytest.raises(ValueError, match="wired twice"):
        routes.wire(Tick, refs[1], refs[0])


def test_publishing_to_a_dead_subscriber_spares_the_publisher_and_is_counted(refs, log):
    routes = Routes()
    routes.wire(Tick, *refs)
    routes.publish(Tick(13))
    log.clear()
    for ref in refs:
        assert not ref.is_alive()
    routes.publish(Tick(2))
    assert log == []
    assert [ref.actor_inbox.undelivered for ref in refs] == [1, 1, 1]


def test_routes_lead_to_the_actor_that_replaces_a_dead_one(host, refs, log):
    routes = Routes()
    routes.wire(Tick, *refs)
    routes.wire(Fill, refs[1])
    routes.replace(refs[1], Listener.start(log))
    host.pump()
    routes.publish(Tick(1))
    routes.publish(Fill(2))
    assert [name for name, _ in log] == ["Listener-1", "Listener-4", "Listener-3", "Listener-4"]


def test_an_actor_publishes_on_its_hosts_routes(host, log):
    class Source(LoopActor):
        @handles(Tick)
        def relay(self, tick):
            self.publish(Fill(tick.number))

    listener = Listener.start(log)
    source = Source.start()
    host.routes.wire(Fill, listener)
    host.pump()
    source.tell(Tick(5))
    assert log == [("Listener-1", Fill(5))]


def test_a_plan_delivers_to_mailboxes_only() -> None:
    with pytest.raises(TypeError, match="not to list"):
        Publisher(LookupError).plan(str, (), ([],))  # type: ignore[arg-type]
