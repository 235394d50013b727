"""Pykka's futures: set, get, derive; and await on the loop that produces the result."""

import asyncio
import queue

import pykka
import pytest

from hfengine.runtime.actor import LoopActor
from hfengine.runtime.future import LoopFuture
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.loops import loop_thread
from tests.contract.pykka_runtimes import LOOPS


class Echo(LoopActor):
    def on_receive(self, message):
        if isinstance(message, Exception):
            raise message
        return message


class Late(LoopActor):
    """Answers a question only when the loop has gone on."""

    def on_receive(self, message):
        future = LoopFuture()
        self._host.loop.call_later(0.01, future.set, message)
        return future


@pytest.fixture(params=LOOPS)
def loop(request):
    made = LOOPS[request.param]()
    yield made
    made.close()


def run(loop, scenario):
    """Run a scenario as a coroutine on a loop with a host, and shut the host down."""

    async def whole():
        host = ActorHost(loop)
        try:
            return await scenario(host)
        finally:
            await host.shutdown()

    return loop.run_until_complete(whole())


def test_a_result_is_read_any_number_of_times():
    future = LoopFuture()
    future.set("result")
    assert [future.get(), future.get(timeout=0)] == ["result", "result"]


def test_an_exception_is_raised_by_every_get():
    future = LoopFuture()
    try:
        [].index("absent")
    except ValueError:
        future.set_exception()
    for _ in range(2):
        with pytest.raises(ValueError, match="not in list"):
            future.get()


def test_a_future_is_set_once():
    future = LoopFuture()
    future.set(None)
    assert future.get() is None
    with pytest.raises(queue.Full):
        future.set(1)
    with pytest.raises(queue.Full):
        future.set_exception((ValueError, ValueError(), None))
    with pytest.raises(queue.Full):
        future.set_get_hook(lambda timeout: 1)


def test_get_times_out_when_nobody_answers():
    with pytest.raises(pykka.Timeout):
        LoopFuture().get(timeout=0)


def test_a_get_hook_computes_once_with_the_timeout():
    calls = []
    future = LoopFuture()
    future.set_get_hook(lambda timeout: calls.append(timeout) or "made")
    assert [future.get(timeout=3), future.get(timeout=4)] == ["made", "made"]
    assert calls == [3]


def test_derived_futures():
    first, second = LoopFuture(), LoopFuture()
    joined = first.join(second)
    doubled = first.map(lambda numbers: numbers * 2)
    even = first.filter(lambda n: n % 2 == 0)
    total = first.reduce(lambda a, b: a + b)
    total_from = first.reduce(lambda a, b: a + b, 100)
    first.set([1, 2, 3, 4])
    second.set("two")
    assert joined.get() == [[1, 2, 3, 4], "two"]
    assert doubled.get() == [1, 2, 3, 4, 1, 2, 3, 4]
    assert even.get() == [2, 4]
    assert (total.get(), total_from.get()) == (10, 110)


def test_await_returns_and_raises_on_the_answering_loop(loop):
    async def scenario(host):
        ref = Echo.start()
        assert await ref.ask("hello", block=False) == "hello"
        with pytest.raises(LookupError, match="on purpose"):
            await ref.ask(LookupError("on purpose"), block=False)
        assert await ref.stop(block=False) is True
        with pytest.raises(pykka.ActorDeadError):
            await ref.ask("anyone?", block=False)

    run(loop, scenario)


def test_await_waits_for_a_result_that_comes_later(loop):
    async def scenario(host):
        ref = Late.start()
        future = ref.ask("later")
        assert await asyncio.gather(waited(future), waited(future)) == ["later", "later"]
        assert await future == "later"

    run(loop, scenario)


async def waited(future):
    return await future


def test_derived_futures_are_awaited_through_what_they_derive_from(loop):
    async def scenario(host):
        ref = Late.start()
        first, second = ref.ask(1), ref.ask(2)
        assert await first.join(second).map(sum) == 3

    run(loop, scenario)


def test_stop_is_awaited_before_the_actors_first_turn(loop):
    """Nothing has run when the stop is asked for: only the loop can bring the answer."""

    async def scenario(host):
        future = Echo.start().stop(block=False)
        assert await future is True

    run(loop, scenario)


def test_a_cancelled_wait_leaves_the_future_alone(loop):
    async def scenario(host):
        future = LoopFuture()
        waiting = asyncio.ensure_future(waited(future))
        await asyncio.wait([waiting], timeout=0.001)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        future.set("after all")
        assert await future == "after all"

    run(loop, scenario)


def test_await_on_one_loop_of_an_actor_on_another(loop):
    async def ask(ref):
        return await ref.ask("across", block=False)

    with loop_thread(asyncio.SelectorEventLoop) as other:
        ref = Echo.start()
        assert ref.actor_inbox.host is other
        assert loop.run_until_complete(ask(ref)) == "across"


def test_a_blocking_get_on_the_loops_thread_lets_waiting_actors_run_first(loop):
    async def scenario(host):
        ref = Echo.start()
        assert ref.ask("at once", timeout=1) == "at once"
        with host.batch():
            future = ref.ask("queued", block=False)
            assert future.get() == "queued"

    run(loop, scenario)


def test_a_get_that_would_block_its_own_loop_says_so(loop):
    class Impatient(LoopActor):
        def on_receive(self, message):
            if message != "outer":
                return message
            inner = self.actor_ref.ask("inner", block=False)
            with pytest.raises(pykka.Timeout):
                inner.get(timeout=0)
            return inner.get(timeout=60)

    async def scenario(host):
        ref = Impatient.start()
        with pytest.raises(RuntimeError, match=r"Impatient .* await the future"):
            ref.ask("outer")

    run(loop, scenario)
