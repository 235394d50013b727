"""The loops and threads on which Pykka's public behaviour must hold.

Every contract test runs on each loop twice: called from another thread than the loop's, as Pykka
users do, and from plain (not async) code on the loop's own thread, where nothing can be waited for.
"""

import asyncio
from contextlib import contextmanager

import pykka

from hfengine.clock import VirtualClock
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.loops import loop_thread, new_live_loop
from hfengine.runtime.virtual_loop import VirtualLoop


def new_virtual_loop():
    """Return a virtual loop that waits for other threads to call in."""
    return VirtualLoop(VirtualClock(1_700_000_000_000_000_000), idle_wait_s=30.0)


LOOPS = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": new_live_loop,
    "virtual": new_virtual_loop,
}


@contextmanager
def same_thread(new_loop):
    """Make this thread the loop's own; the loop itself stands still."""
    loop = new_loop()
    host = ActorHost(loop)
    try:
        yield host
    finally:
        loop.run_until_complete(host.shutdown())
        loop.close()


@contextmanager
def runtime(name):
    """Open the runtime a parameter names: `LOOP-other` or `LOOP-own`."""
    loop, where = name.split("-")
    opened = loop_thread(LOOPS[loop]) if where == "other" else same_thread(LOOPS[loop])
    with opened as host:
        yield host
    assert pykka.ActorRegistry.get_all() == []


RUNTIMES = [f"{loop}-{where}" for loop in LOOPS for where in ("other", "own")]
