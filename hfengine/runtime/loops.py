"""Live loops, and when the garbage collector may run."""

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVarTuple

import uvloop

from hfengine.kernels.readers import Spinner, late_reader
from hfengine.runtime.hosts import ActorHost, serve_other_threads

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

LOOP_THREAD = "hfengine-actor-loop"

SPIN_NS: Final = 20_000
"""How long a spinning loop looks at its sockets alone: timers and other work come this late."""

Given = TypeVarTuple("Given")


def new_live_loop(*, spin: bool = False) -> asyncio.AbstractEventLoop:
    """Return a new loop in real time, with real sockets.

    A spinning loop polls its sockets without ever sleeping, which saves the wake-up (some 30 us
    on a virtual machine) and costs a whole core: with another runnable thread on that core it
    waits for whole time slices.
    """
    return SpinningLoop() if spin else LiveLoop()


class LiveLoop(uvloop.Loop):
    """A uvloop whose connections are acknowledged after what came over them was acted upon.

    That holds for what reads through `add_reader`, as the transports of our websockets do.
    """

    def add_reader(
        self, fd: "FileDescriptorLike", callback: Callable[[*Given], Any], *args: *Given
    ) -> None:
        """Call `callback` when the descriptor can be read, in the place of an earlier one."""
        read = partial(callback, *args) if args else callback
        self._read_by(fd, late_reader(number_of(fd), read))

    def _read_by(self, fd: "FileDescriptorLike", read: Callable[[], object]) -> None:
        super().add_reader(fd, read)


class SpinningLoop(LiveLoop):
    """A loop that never sleeps: it polls its readers, and does all else every `SPIN_NS`."""

    def __init__(self) -> None:
        super().__init__()
        self._spinner = Spinner(self.call_soon, copy_context(), SPIN_NS)
        self._spinner()

    def _read_by(self, fd: "FileDescriptorLike", read: Callable[[], object]) -> None:
        super()._read_by(fd, read)
        self._spinner.add(number_of(fd), read)

    def remove_reader(self, fd: "FileDescriptorLike") -> Any:
        """Forget a descriptor's reader, if it had one; return what uvloop does."""
        self._spinner.remove(number_of(fd))
        return super().remove_reader(fd)


def number_of(fd: "FileDescriptorLike") -> int:
    """Return a file descriptor's number, given it or what has one."""
    return fd if isinstance(fd, int) else fd.fileno()


def bind_to_core(cpu: int) -> None:
    """Bind the calling thread to one core; threads it starts later inherit that.

    Raises OSError for a core this machine or process does not have, or where the system cannot.
    """
    if not hasattr(os, "sched_setaffinity"):
        msg = "this system cannot bind a thread to a core: set runtime.cpu to -1"
        raise OSError(msg)
    os.sched_setaffinity(0, {cpu})


@contextmanager
def loop_thread(
    new_loop: Callable[[], asyncio.AbstractEventLoop] = new_live_loop, *, system: str = "background"
) -> Iterator[ActorHost]:
    """Run a loop on a thread of its own and let it serve actors started on other threads.

    For callers without a loop: Pykka-style scripts and tests. On exit every actor is stopped, its
    I/O awaited, and the loop closed.
    """
    made: list[ActorHost] = []
    ready = threading.Event()

    def serve() -> None:
        loop = new_loop()
        asyncio.set_event_loop(loop)
        made.append(ActorHost(loop, system=system))
        loop.call_soon(ready.set)
        try:
            loop.run_forever()
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    thread = threading.Thread(target=serve, name=LOOP_THREAD)
    thread.start()
    ready.wait()
    host = made[0]
    serve_other_threads(host)
    try:
        yield host
    finally:
        serve_other_threads(None)
        asyncio.run_coroutine_threadsafe(host.shutdown(), host.loop).result()
        host.loop.call_soon_threadsafe(host.loop.stop)
        thread.join()


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep the cyclic collector from pausing the hot path; what exists now is never scanned.

    Reference counting goes on; cycles wait for `collect_when_idle` or for the end of the context.
    """
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def collect_when_idle(idle: Callable[[], bool], generation: int = 2) -> int | None:
    """Collect cycles if `idle()` says that nothing waits; return how many objects went, or None."""
    return gc.collect(generation) if idle() else None
