"""What one hop costs: a tell to a LoopActor, and the same to Pykka's ThreadingActor beside it.

The ratio runs both sides in turn in one process at the same pace, median of the rounds, as the
design demands; hot (back to back) and paced (one message a millisecond, the process asleep in
between) are different figures and are never mixed.
"""

import time
from statistics import median

import msgspec
import pykka
import pytest

from hfengine.clock import VirtualClock
from hfengine.kernels.mailbox import Policy
from hfengine.runtime.actor import LoopActor, handles
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.virtual_loop import VirtualLoop

ROUNDS = 5
HOT_TELLS = 2_000
PACED_TELLS = 40
PACE_S = 0.001


class Tick(msgspec.Struct, frozen=True, gc=False):
    symbol: str
    sent_ns: int


class Served(LoopActor):
    """Notes how long each message took to reach it."""

    policies = {Tick: Policy.CONFLATE}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.hops_ns = []

    @handles(Tick)
    def on_tick(self, tick):
        self.hops_ns.append(time.perf_counter_ns() - tick.sent_ns)


class Threaded(pykka.ThreadingActor):
    def __init__(self):
        super().__init__()
        self.hops_ns = []

    def on_receive(self, tick):
        self.hops_ns.append(time.perf_counter_ns() - tick.sent_ns)


class Relay(LoopActor):
    """Passes every message on through the routes."""

    @handles(str)
    def on_text(self, text):
        self.publish(text)


class Sink(LoopActor):
    @handles(str)
    def on_text(self, text):
        pass


@pytest.fixture
def host():
    loop = VirtualLoop(VirtualClock(0))
    made = ActorHost(loop)
    yield made
    loop.run_until_complete(made.shutdown())
    loop.close()


def paced_hop_ns(ref):
    """Send one message a millisecond; return the median time from tell to handler in ns."""
    hops_ns = ref.proxy().hops_ns.get()
    hops_ns.clear()
    for _ in range(PACED_TELLS):
        time.sleep(PACE_S)
        ref.tell(Tick("BTCUSDT", time.perf_counter_ns()))
    assert len(ref.proxy().hops_ns.get()) == PACED_TELLS
    return median(hops_ns)


def hot_message_ns(ref):
    """Send back to back; return the time until all are handled, in ns per message."""
    before = len(ref.proxy().hops_ns.get())
    began_ns = time.perf_counter_ns()
    for _ in range(HOT_TELLS):
        ref.tell(Tick("BTCUSDT", began_ns))
    handled = len(ref.proxy().hops_ns.get())
    assert handled - before == HOT_TELLS
    return (time.perf_counter_ns() - began_ns) / HOT_TELLS


@pytest.mark.parametrize("measure", [hot_message_ns, paced_hop_ns])
def test_hop_against_threading_actor(benchmark, host, measure):
    loop_ref, threaded = Served.start(), Threaded.start()
    host.pump()

    def both():
        return measure(loop_ref), measure(threaded)

    rounds = [both() for _ in range(ROUNDS - 1)]
    rounds.append(benchmark.pedantic(both, rounds=1))
    threaded.stop()
    benchmark.extra_info["loop_ns"] = median(ours for ours, _ in rounds)
    benchmark.extra_info["threading_ns"] = median(theirs for _, theirs in rounds)
    benchmark.extra_info["ratio"] = median(theirs / ours for ours, theirs in rounds)
    assert loop_ref.is_alive()


def test_tell(benchmark, host):
    """One tell to an idle actor: the whole hop, handler call included."""
    ref = Sink.start()
    host.pump()
    benchmark(ref.tell, "text")
    assert ref.actor_inbox.received > 0
    assert ref.actor_inbox.received > 0
    assert ref.is_alive()


def test_publish_from_a_handler(benchmark, host):
    """A tell whose handler publishes to one subscriber: two hops and the route between."""
    relay, sink = Relay.start(), Sink.start()
    host.routes.wire(str, sink)
    host.pump()
    benchmark(relay.tell, "text")
    assert sink.actor_inbox.received == relay.actor_inbox.received > 0


def test_a_batch_of_100_conflated_updates(benchmark, host):
    """A read batch: 100 updates of one symbol become one."""
    ref = Served.start()
    host.pump()
    tick = Tick("BTCUSDT", 0)

    def batch():
        host.begin_batch()
        for _ in range(100):
            ref.tell(tick)
        host.end_batch()

    benchmark(batch)
    assert ref.actor_inbox.conflated * 100 == ref.actor_inbox.received * 99
