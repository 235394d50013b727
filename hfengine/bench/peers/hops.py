"""What one hop between actors costs: tell to handler, on the loop and on Pykka's own threads.

The sender is an actor in both worlds and both receivers do the same: they note how long the message
took to reach them. `idle` is one message a millisecond with the process asleep in between; `busy`
is a sender that goes on computing for 50 µs after each tell and never sleeps, as an actor does that
has work. On the loop the receiver then waits for the sender's handler to end, on a thread it waits
for the interpreter's lock.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pykka
from msgspec import Struct

from hfengine.bench.rounds import Spread, paired
from hfengine.clock import mono_ns
from hfengine.kernels.histogram import Histogram
from hfengine.runtime.actor import LoopActor, handles
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.loops import new_live_loop

PACE_S = 0.001
COMPUTE_NS = 50_000


class Go(Struct, frozen=True, gc=False):
    """Asks the sender to tell once and to compute for `compute_ns` afterwards."""

    compute_ns: int


class Stamped(Struct, frozen=True, gc=False):
    """A message that knows when it was told."""

    sent_ns: int


class Stage(LoopActor):
    """Passes a stamp on to the next actor; the last one notes how old it is.

    A `Go` is told on with a fresh stamp, after which this actor goes on computing.
    """

    def __init__(self, onward: Callable[[Stamped], None] | None, hops: Histogram) -> None:
        super().__init__()
        self._onward = onward
        self._hops = hops

    @handles(Go)
    def on_go(self, message: Go) -> None:
        """Tell, then compute."""
        if self._onward is not None:
            self._onward(Stamped(mono_ns()))
        compute(message.compute_ns)

    @handles(Stamped)
    def on_stamped(self, message: Stamped) -> None:
        """Pass on, or note the age in ns."""
        if self._onward is not None:
            self._onward(message)
        else:
            self._hops.record(mono_ns() - message.sent_ns)


class ThreadStage(pykka.ThreadingActor):
    """The same on a thread of its own, as Pykka comes."""

    def __init__(self, hops: Histogram) -> None:
        super().__init__()
        self._hops = hops

    def on_receive(self, message: Stamped) -> None:
        """Note the age in ns."""
        self._hops.record(mono_ns() - message.sent_ns)


def compute(for_ns: int) -> None:
    """Keep the interpreter busy for so many ns."""
    until_ns = mono_ns() + for_ns
    while mono_ns() < until_ns:
        pass


def hop_ratios(rounds: int, messages: int) -> dict[str, Spread]:
    """Return how many times cheaper a hop on the loop is, p50 against p50 of each round.

    `hop_vs_thread_idle` and `hop_vs_thread_busy` are thread time over loop time;
    `chain_vs_direct_hop` is the time through three hops over the time of one.
    """
    return {
        "hop_vs_thread_idle": paired(
            lambda: loop_hop_ns(messages, 0),
            lambda: thread_hop_ns(messages, 0),
            rounds,
        ),
        "hop_vs_thread_busy": paired(
            lambda: loop_hop_ns(messages, COMPUTE_NS),
            lambda: thread_hop_ns(messages, COMPUTE_NS),
            rounds,
        ),
        "chain_vs_direct_hop": paired(
            lambda: loop_hop_ns(messages, 0),
            lambda: loop_hop_ns(messages, 0, hops=3),
            rounds,
        ),
    }


def loop_hop_ns(messages: int, compute_ns: int, hops: int = 1) -> float:
    """Return the median time in ns from a tell through `hops` loop actors to the last handler."""
    loop = new_live_loop()
    host = ActorHost(loop, system="bench")
    told = Histogram()
    try:
        ref = Stage.start(None, told)
        for _ in range(hops):
            ref = Stage.start(ref.tell, told)
        loop.run_until_complete(_send(loop, ref.tell, messages, compute_ns))
        median_ns = _median_ns(told, messages)
        loop.run_until_complete(host.shutdown())
    finally:
        loop.close()
    return median_ns


def thread_hop_ns(messages: int, compute_ns: int) -> float:
    """Return the median time in ns from a tell to the handler of a ThreadingActor."""
    loop = new_live_loop()
    host = ActorHost(loop, system="bench")
    told = Histogram()
    receiver = ThreadStage.start(told)
    try:
        sender = Stage.start(receiver.tell, told)
        loop.run_until_complete(_send(loop, sender.tell, messages, compute_ns))
        receiver.ask(Stamped(mono_ns()))  # answered after all that was told before it
        median_ns = _median_ns(told, messages + 1)
        loop.run_until_complete(host.shutdown())
    finally:
        receiver.stop()
        loop.close()
    return median_ns


async def _send(
    loop: asyncio.AbstractEventLoop, tell: Callable[[Any], None], messages: int, compute_ns: int
) -> None:
    """Let the sender tell so often: at the pace, or one after the other when it computes."""
    await _turn(loop, 0.0)
    go = Go(compute_ns)
    began_s = loop.time()
    for number in range(1, messages + 1):
        tell(go)
        if not compute_ns:
            await _turn(loop, began_s + number * PACE_S - loop.time())


def _turn(loop: asyncio.AbstractEventLoop, delay_s: float) -> asyncio.Future[None]:
    woken = loop.create_future()
    loop.call_later(max(delay_s, 0.0), woken.set_result, None)
    return woken


def _median_ns(histogram: Histogram, expected: int) -> float:
    if histogram.count != expected:
        raise AssertionError(f"{histogram.count} of {expected} messages arrived")
    return float(histogram.quantile(0.5))
