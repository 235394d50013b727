"""Pykka's registry with loop actors: look-up by class, name and urn, broadcast, stop all."""

import pykka
import pytest
from pykka import ActorRegistry

from hfengine.runtime.actor import LoopActor


class Heard(LoopActor):
    def __init__(self, log=None, name=None):
        super().__init__()
        self.log = log if log is not None else []
        self.label = name

    def on_stop(self):
        self.log.append(("stop", self.label))

    def on_receive(self, message):
        self.log.append(message)
        return list(self.log)


class HeardMore(Heard):
    pass


class Other(Heard):
    pass


@pytest.fixture
def refs(host):
    return [Heard.start(), HeardMore.start(), Other.start()]


def test_started_actors_are_registered_in_order_and_stopped_ones_are_not(refs):
    assert ActorRegistry.get_all() == refs
    refs[1].stop()
    assert ActorRegistry.get_all() == [refs[0], refs[2]]


def test_look_up_by_class_includes_subclasses(refs):
    assert ActorRegistry.get_by_class(HeardMore) == [refs[1]]
    assert ActorRegistry.get_by_class(Heard) == refs
    assert ActorRegistry.get_by_class_name("Other") == [refs[2]]
    assert ActorRegistry.get_by_class_name("Nobody") == []


def test_look_up_by_urn(refs):
    for ref in refs:
        assert ActorRegistry.get_by_urn(ref.actor_urn) is ref
    assert ActorRegistry.get_by_urn("urn:nobody") is None


@pytest.mark.parametrize(
    ("target", "hears"),
    [(None, [1, 1, 1]), (HeardMore, [0, 1, 0]), ("Other", [0, 0, 1]), (Heard, [1, 1, 1])],
)
def test_broadcast_reaches_the_named_class(refs, target, hears):
    ActorRegistry.broadcast("news", target_class=target)
    assert [ref.ask("?").count("news") for ref in refs] == hears


def test_stop_all_stops_in_reverse_order_of_start(host):
    log = []
    for name in "abc":
        Heard.start(log, name)
    assert ActorRegistry.stop_all() == [True, True, True]
    assert log == [("stop", "c"), ("stop", "b"), ("stop", "a")]
    assert ActorRegistry.get_all() == []


def test_stop_all_without_blocking_returns_futures(refs):
    futures = ActorRegistry.stop_all(block=False)
    assert pykka.get_all(futures, timeout=5) == [True, True, True]


def test_loop_and_threading_actors_share_the_registry_and_talk(host):
    class Threaded(pykka.ThreadingActor):
        def on_receive(self, message):
            return message.ask("from a thread", block=False)

    loop_ref = Heard.start()
    threaded = Threaded.start()
    try:
        assert ActorRegistry.get_all() == [loop_ref, threaded]
        answer = threaded.ask(loop_ref, timeout=5)
        if host.here():
            host.loop.run_until_complete(until(answer))
        assert answer.get(timeout=5) == ["from a thread"]
    finally:
        threaded.stop()


async def until(future):
    """Wait for a future on the loop that must produce it."""
    return await future
