"""Pykka's proxies on loop actors: attributes, methods, traversables, callables."""

import pykka
import pytest

from hfengine.runtime.actor import LoopActor

FAILED = []


class Engine:
    """A traversable part of an actor."""

    pykka_traversable = True

    def __init__(self):
        self.speed = 3

    def double(self):
        return 2 * self.speed


class Machine(LoopActor):
    kind = "machine"

    def __init__(self):
        super().__init__()
        self.count = 7
        self.engine = Engine()
        self.table = {"key": "entry"}
        self._secret = "hidden"
        self.failures = 0

    @property
    def guarded(self):
        return self.count

    @guarded.setter
    def guarded(self, count):
        if count < 0:
            raise ValueError("below zero")
        self.count = count

    def add(self, by, *, times=1):
        self.count += by * times
        return self.count

    def fail(self):
        raise LookupError("on purpose")

    def itself(self):
        return self.actor_ref.proxy()

    def call_later(self, by):
        self.actor_ref.proxy().add(by)
        return self.count

    def on_failure(self, exception_type, exception_value, traceback):
        FAILED.append(exception_type)


@pytest.fixture
def proxy(host):
    return Machine.start().proxy()


def test_attributes_are_read_as_futures(proxy):
    assert proxy.count.get() == 7
    assert proxy.kind.get() == "machine"
    assert proxy.table.get() == {"key": "entry"}


def test_attributes_are_set_when_the_assignment_returns(proxy):
    proxy.count = 8
    assert proxy.count.get() == 8


def test_properties_work_both_ways_and_raise_at_the_caller(proxy):
    proxy.guarded = 4
    assert proxy.guarded.get() == 4
    with pytest.raises(ValueError, match="below zero"):
        proxy.guarded = -1
    assert proxy.count.get() == 4


def test_methods_take_arguments_and_answer_with_futures(proxy):
    assert proxy.add(2, times=3).get() == 13
    future = proxy.add(1)
    assert isinstance(future, pykka.Future)
    assert future.get(timeout=5) == 14


def test_a_raising_method_raises_at_get_and_the_actor_lives_on(proxy):
    future = proxy.fail()
    with pytest.raises(LookupError, match="on purpose"):
        future.get()
    assert proxy.actor_ref.is_alive()


def test_a_deferred_method_answers_nobody(proxy, host):
    assert proxy.add.defer(5) is None
    assert proxy.count.get() == 12


def test_a_deferred_method_that_raises_ends_the_actor(proxy, host):
    FAILED.clear()
    assert proxy.count.get() == 7
    proxy.fail.defer()
    assert proxy.actor_ref.actor_stopped.wait(5)
    host_is_done(host)
    assert [LookupError] == FAILED


def host_is_done(host):
    """Wait until the host has handled all that was sent to it so far."""
    assert Machine.start().ask(pykka.messages.ProxyGetAttr(attr_path=("kind",))) == "machine"


def test_a_method_attribute_is_a_callable_proxy(proxy):
    assert isinstance(proxy.add, pykka.CallableProxy)
    assert proxy.add is proxy.add


def test_traversable_attributes_are_proxied_in_turn(proxy):
    assert proxy.engine.speed.get() == 3
    assert proxy.engine.double().get() == 6
    proxy.engine.speed = 5
    assert proxy.engine.double().get() == 10


def test_unknown_and_private_attributes_do_not_exist(proxy):
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = proxy.absent
    with pytest.raises(AttributeError):
        _ = proxy._secret


def test_dir_lists_public_attributes(proxy):
    names = dir(proxy)
    assert {"count", "engine", "add", "guarded", "actor_urn"} <= set(names)
    assert "_secret" not in names


def test_an_actor_may_hand_out_and_call_its_own_proxy(proxy):
    assert proxy.itself().get().count.get() == 7
    assert proxy.call_later(10).get() == 7
    assert proxy.count.get() == 17


def test_a_proxy_of_a_dead_actor_raises(proxy):
    proxy.actor_ref.stop()
    with pytest.raises(pykka.ActorDeadError):
        proxy.count.get()
    with pytest.raises(pykka.ActorDeadError):
        proxy.add(1).get()
    with pytest.raises(pykka.ActorDeadError):
        pykka.ActorProxy(actor_ref=proxy.actor_ref)


def test_proxies_of_one_actor_are_equal(proxy):
    other = proxy.actor_ref.proxy()
    assert other == proxy
    assert hash(other) == hash(proxy)
    assert Machine.start().proxy() != proxy
    assert "Machine" in repr(proxy)
