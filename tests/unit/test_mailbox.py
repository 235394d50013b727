"""The compiled mailbox: order, policies at the bound, batches, and threads."""

import asyncio
import gc
import threading
import weakref

import msgspec
import pykka
import pytest
from pykka._envelope import Envelope

from hfengine.kernels.mailbox import Drained, Host, Mailbox, MailboxOverflow, Policy


class Trade(msgspec.Struct, frozen=True):
    symbol: str
    number: int


class Book(msgspec.Struct, frozen=True):
    symbol: str
    number: int


class Sample(msgspec.Struct, frozen=True):
    number: int


POLICIES = {Book: Policy.CONFLATE, Sample: Policy.DROP_OLDEST}


class Served(pykka.Actor):
    """The least actor a mailbox can serve."""

    capacity = 100

    def __init__(self):
        super().__init__()
        self.handled = []
        self.failures = []
        self.during = lambda message: None

    @classmethod
    def _create_actor_inbox(cls):
        return Mailbox(cls.capacity, POLICIES)

    _create_future = staticmethod(pykka.ThreadingFuture)

    def _start_actor_loop(self):
        raise NotImplementedError

    def _handler_failed(self, error):
        self.failures.append(error)
        self.actor_stopped.set()
        self.actor_inbox.stopped = True

    def on_receive(self, message):
        self.handled.append(message)
        self.during(message)
        return "reply"


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def host(loop):
    return Host(loop)


def serve(host, capacity=100):
    """Return a started actor and its mailbox."""
    kind = type("Bounded", (Served,), {"capacity": capacity})
    actor = kind()
    box = actor.actor_inbox
    box.bind(actor, host, {Trade: actor.on_receive})
    box.start()
    host.pump()
    return actor, box


def test_a_tell_to_an_idle_actor_runs_before_it_returns(host):
    actor, box = serve(host)
    box.tell(Trade("BTCUSDT", 1))
    assert actor.handled == [Trade("BTCUSDT", 1)]
    assert box.received == 1
    assert box.high_water == 0


def test_a_tell_inside_a_handler_waits_until_the_handler_is_done(host):
    first, first_box = serve(host)
    second, second_box = serve(host)
    order = []

    def relay(message):
        order.append("first begins")
        second_box.tell(message)
        order.append("first ends")

    first.during = relay
    second.during = lambda message: order.append("second")
    first_box.tell(Trade("BTCUSDT", 1))
    assert order == ["first begins", "first ends", "second"]


def test_actors_take_turns_in_the_order_their_mail_came(host):
    """What a handler sends to its own actor comes after what others were sent before."""
    first, first_box = serve(host)
    second, second_box = serve(host)
    order = []

    def relay(message):
        order.append(("first", message.number))
        if message.number < 3:
            second_box.tell(Trade("BTCUSDT", message.number))
            first_box.tell(Trade("BTCUSDT", message.number + 1))

    first.during = relay
    second.during = lambda message: order.append(("second", message.number))
    host.begin_batch()
    first_box.tell(Trade("BTCUSDT", 1))
    host.end_batch()
    assert order == [("first", 1), ("second", 1), ("first", 2), ("second", 2), ("first", 3)]


def test_a_batch_conflates_books_in_place_and_keeps_trades(host):
    actor, box = serve(host)
    host.begin_batch()
    for message in (
        Book("BTCUSDT", 1),
        Trade("BTCUSDT", 2),
        Book("ETHUSDT", 3),
        Book("BTCUSDT", 4),
        Trade("BTCUSDT", 5),
        Book("BTCUSDT", 6),
    ):
        box.tell(message)
    assert actor.handled == []
    host.end_batch()
    assert [m.number for m in actor.handled] == [6, 2, 3, 5]
    assert (box.received, box.conflated, box.high_water) == (6, 2, 4)


def test_what_was_handled_is_not_conflated_with_what_comes_later(host):
    actor, box = serve(host)
    for number in (1, 2):
        host.begin_batch()
        box.tell(Trade("BTCUSDT", 0))
        box.tell(Book("BTCUSDT", number))
        host.end_batch()
    assert [m.number for m in actor.handled if type(m) is Book] == [1, 2]
    assert box.conflated == 0


def test_a_droppable_message_gives_way_and_is_counted(host):
    actor, box = serve(host, capacity=3)
    host.begin_batch()
    for message in (Trade("B", 1), Sample(2), Book("B", 3), Trade("B", 4), Sample(5), Book("B", 6)):
        box.tell(message)
    host.end_batch()
    assert [m.number for m in actor.handled] == [1, 6, 4]
    assert (box.dropped, box.conflated, box.undelivered) == (2, 1, 0)
    assert not actor.failures


def test_one_kept_message_too_many_stops_the_actor(host):
    actor, box = serve(host, capacity=2)
    host.begin_batch()
    for number in range(4):
        box.tell(Trade("BTCUSDT", number))
    host.end_batch()
    assert [type(e) for e in actor.failures] == [MailboxOverflow]
    assert "2 messages waiting" in str(actor.failures[0])
    assert actor.handled == []
    assert box.undelivered == 4
    with pytest.raises(pykka.ActorDeadError):
        box.tell(Trade("BTCUSDT", 9))


def test_an_ask_beyond_the_bound_is_answered_with_the_actors_death(host):
    _, box = serve(host, capacity=1)
    reply = pykka.ThreadingFuture()
    host.begin_batch()
    box.tell(Trade("BTCUSDT", 1))
    box.put(Envelope(Trade("BTCUSDT", 2), reply))
    host.end_batch()
    with pytest.raises(pykka.ActorDeadError):
        reply.get(timeout=0)


def test_the_ring_grows_without_losing_order(host):
    actor, box = serve(host, capacity=1000)
    for count in (5, 700):
        host.begin_batch()
        for number in range(count):
            box.tell(Trade("BTCUSDT", number))
        host.end_batch()
    assert [m.number for m in actor.handled] == [*range(5), *range(700)]
    assert box.high_water == 700
    assert len(box) == 0


def test_deliver_counts_what_a_stopped_actor_does_not_get(host):
    actor, box = serve(host)
    box.put(Envelope(pykka.messages._ActorStop()))
    box.stopped = True
    box.deliver(Trade("BTCUSDT", 1))
    assert actor.handled == []
    assert box.undelivered == 1


def test_get_outside_a_turn_takes_messages_and_then_says_drained(host):
    kind = Served()
    box = kind.actor_inbox
    box.tell(Trade("BTCUSDT", 1))
    assert box.get().message == Trade("BTCUSDT", 1)
    assert box.empty()
    with pytest.raises(Drained):
        box.get()


def test_run_one_leaves_an_actor_inside_its_handler_alone(host):
    """A nested wait may run others, never the waiting actor itself."""
    first, first_box = serve(host)
    second, second_box = serve(host)

    def wait(message):
        if message.number == 1:
            first_box.tell(Trade("BTCUSDT", 2))
            second_box.tell(Trade("BTCUSDT", 3))
            assert host.run_one()
            assert second.handled
            assert not host.run_one()
            assert len(first.handled) == 1

    first.during = wait
    first_box.tell(Trade("BTCUSDT", 1))
    assert not first.failures
    assert [m.number for m in first.handled] == [1, 2]


def test_messages_from_another_thread_run_on_the_loops_thread(loop, host):
    actor, box = serve(host, capacity=1000)
    threads = []
    actor.during = lambda message: threads.append(threading.current_thread())

    def send():
        for number in range(500):
            box.tell(Trade("BTCUSDT", number))
        loop.call_soon_threadsafe(loop.stop)

    sender = threading.Thread(target=send)
    loop.call_soon(sender.start)
    loop.run_forever()
    sender.join()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert [m.number for m in actor.handled] == list(range(500))
    assert set(threads) == {threading.current_thread()}


def test_a_closed_loop_answers_other_threads_with_the_actors_death(loop, host):
    _, box = serve(host)
    loop.close()
    reply = pykka.ThreadingFuture()
    sender = threading.Thread(target=box.put, args=(Envelope(Trade("BTCUSDT", 1), reply),))
    sender.start()
    sender.join()
    with pytest.raises(pykka.ActorDeadError):
        reply.get(timeout=1)


def test_the_mailbox_and_what_it_holds_can_be_collected(host):
    actor, box = serve(host)
    box.stopped = True
    gone = weakref.ref(actor)
    del actor, box
    gc.collect()
    assert gone() is None


def test_end_of_a_batch_that_never_began_is_an_error(host):
    with pytest.raises(RuntimeError, match="begin_batch"):
        host.end_batch()
    assert host.idle()


def test_capacity_and_policies_are_checked():
    with pytest.raises(ValueError, match="at least 1"):
        Mailbox(0)
    with pytest.raises(TypeError, match="no field `symbol`"):
        Mailbox(1, {Sample: Policy.CONFLATE})
    with pytest.raises(ValueError, match="7"):
        Mailbox(1, {Sample: 7})
