"""The compiled mailbox and its Python twin do the same, whatever is sent in whatever order."""

import msgspec
import pykka
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pykka._envelope import Envelope

from hfengine.kernels import mailbox as compiled
from hfengine.kernels.mailbox import MailboxOverflow, Policy
from tests.reference import mailbox as twin


class Keep(msgspec.Struct, frozen=True):
    symbol: str
    order: int
    relay: tuple = ()


class Newest(msgspec.Struct, frozen=True):
    symbol: str
    order: int
    relay: tuple = ()


class Lossy(msgspec.Struct, frozen=True):
    symbol: str
    order: int
    relay: tuple = ()


CLASSES = (Keep, Newest, Lossy)
POLICIES = {Newest: Policy.CONFLATE, Lossy: Policy.DROP_OLDEST}


class Failing(Exception):
    """Raised by a handler on purpose."""


class Loop:
    """A loop of which only the queue of callbacks is needed."""

    def __init__(self):
        self.soon = []

    def call_soon(self, callback, *args):
        self.soon.append((callback, args))

    def run(self):
        while self.soon:
            callback, args = self.soon.pop(0)
            callback(*args)


class Recorder(pykka.Actor):
    """Writes down what it handles and passes on what the message says to pass on."""

    def __init__(self, name, world):
        self.made_by = world.kernel
        self.world, self.name = world, name
        super().__init__()
        self.actor_urn = name
        box = self.actor_inbox

        class Flag:
            def set(flag):
                box.stopped = True

            def is_set(flag):
                return box.stopped

        self.actor_stopped = Flag()
        self._actor_ref = pykka.ActorRef(self)

    def _create_actor_inbox(self):
        return self.made_by.Mailbox(self.world.capacity, POLICIES)

    _create_future = staticmethod(pykka.ThreadingFuture)

    def _start_actor_loop(self):
        raise NotImplementedError

    def _handler_failed(self, error):
        self.world.log.append((self.name, "failed", type(error).__name__))
        self.actor_stopped.set()

    def _handle_failure(self, kind, error, traceback):
        self._handler_failed(error)

    def on_start(self):
        self.world.log.append((self.name, "started"))

    def on_stop(self):
        self.world.log.append((self.name, "stopped"))

    def on_receive(self, message):
        self.world.log.append((self.name, type(message).__name__, message.symbol, message.order))
        for step in message.relay:
            self.world.do(step)
        return message.order


class World:
    """Two actors on one host, made of one of the two implementations."""

    def __init__(self, kernel, capacity):
        self.kernel, self.capacity = kernel, capacity
        self.log, self.replies, self.sent = [], [], 0
        self.loop = Loop()
        self.host = kernel.Host(self.loop)
        self.actors = [Recorder(name, self) for name in "ab"]

    def do(self, step):
        kind, target, class_index, symbol, relay = step
        actor = self.actors[target]
        box = actor.actor_inbox
        self.sent += 1
        if kind == "begin":
            self.host.begin_batch()
        elif kind == "end":
            if self.host.depth:
                self.host.end_batch()
        elif kind == "start":
            box.bind(actor, self.host, {Keep: actor.on_receive})
            box.start()
        elif kind == "loop":
            self.loop.run()
        elif kind == "fail":
            if not box.stopped:
                box.tell(object())
        elif kind in ("ask", "stop"):
            message = CLASSES[class_index](symbol, self.sent, relay)
            if kind == "stop":
                message = pykka.messages._ActorStop()
            reply = pykka.ThreadingFuture()
            self.replies.append(reply)
            box.put(Envelope(message, reply))
        elif kind == "deliver" or not box.stopped:
            send = box.deliver if kind == "deliver" else box.tell
            send(CLASSES[class_index](symbol, self.sent, relay))
        else:
            with pytest.raises(pykka.ActorDeadError):
                box.tell(CLASSES[class_index](symbol, self.sent, relay))

    def finish(self):
        while self.host.depth:
            self.host.end_batch()
        self.loop.run()
        self.host.pump()

    def outcome(self):
        counters = ("received", "conflated", "dropped", "undelivered", "high_water", "capacity")
        return (
            self.log,
            [[getattr(a.actor_inbox, c) for c in counters] for a in self.actors],
            [len(a.actor_inbox) for a in self.actors],
            [self.reply(r) for r in self.replies],
        )

    def reply(self, future):
        try:
            return future.get(timeout=0)
        except (pykka.Timeout, pykka.ActorDeadError, AttributeError) as error:
            return type(error).__name__


def steps(kinds, relay):
    return st.tuples(
        st.sampled_from(kinds),
        st.integers(0, 1),
        st.integers(0, 2),
        st.sampled_from(("BTCUSDT", "ETHUSDT")),
        relay,
    )


SENDS = ("tell", "tell", "tell", "deliver", "ask", "stop")
RELAYED = st.lists(steps(SENDS, st.just(())), max_size=6).map(tuple)
SCRIPT = st.lists(
    steps((*SENDS, "tell", "tell", "begin", "begin", "end", "loop", "fail"), RELAYED), max_size=60
)
START = [("start", 0, 0, "", ()), ("start", 1, 0, "", ()), ("loop", 0, 0, "", ())]


@settings(max_examples=400, deadline=None)
@given(SCRIPT, st.integers(1, 9), st.integers(0, 3))
def test_compiled_mailbox_equals_its_twin(script, capacity, started_after):
    """Same handled messages in the same order, same counters, same replies."""
    outcomes = []
    for kernel in (compiled, twin):
        world = World(kernel, capacity)
        for step in [*script[:started_after], *START, *script[started_after:]]:
            world.do(step)
        world.finish()
        outcomes.append(world.outcome())
    assert outcomes[0] == outcomes[1]


@settings(max_examples=200, deadline=None)
@given(SCRIPT, st.integers(1, 9))
def test_every_message_is_accounted_for(script, capacity):
    """received = handled + waiting + conflated + dropped + undelivered + answered unhandled."""
    world = World(compiled, capacity)
    for step in [*START, *script]:
        world.do(step)
    world.finish()
    dead_asks = sum(world.reply(r) == "ActorDeadError" for r in world.replies)
    stops = sum(world.reply(r) is None for r in world.replies)
    handled = sum(entry[1] in ("Keep", "Newest", "Lossy") for entry in world.log)
    # A plain object() has no handler that likes it: it is received, then fails its actor.
    failed = sum(entry[1:] == ("failed", "AttributeError") for entry in world.log)
    boxes = [a.actor_inbox for a in world.actors]
    received = sum(b.received for b in boxes)
    lost = sum(b.conflated + b.dropped + b.undelivered for b in boxes)
    assert received == handled + failed + dead_asks + stops + lost + sum(map(len, boxes))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xyz"), st.booleans()), max_size=80))
def test_conflation_keeps_the_newest_of_each_symbol_and_every_trade(updates):
    """After a batch an actor has seen all kept messages and the last update of each symbol."""
    world = World(compiled, 1000)
    for step in START:
        world.do(step)
    world.host.begin_batch()
    first = world.sent + 1
    for symbol, keep in updates:
        world.do(("tell", 0, 0 if keep else 1, symbol, ()))
    world.host.end_batch()
    kept = [(s, n) for n, (s, keep) in enumerate(updates, first) if keep]
    newest = {s: n for n, (s, keep) in enumerate(updates, first) if not keep}
    seen = [entry for entry in world.log if entry[1] != "started"]
    assert [(s, n) for _, kind, s, n in seen if kind == "Keep"] == kept
    assert {s: n for _, kind, s, n in seen if kind == "Newest"} == newest
    assert len(seen) == len(newest) + len(kept)


def test_overflow_names_the_error_for_twin_and_kernel():
    """Guard: the error both implementations raise is the kernel's own."""
    for kernel in (compiled, twin):
        world = World(kernel, 1)
        for step in [*START, ("begin", 0, 0, "", ())]:
            world.do(step)
        for _ in range(2):
            world.do(("tell", 0, 0, "BTCUSDT", ()))
        world.finish()
        assert ("a", "failed", MailboxOverflow.__name__) in world.log
