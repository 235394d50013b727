"""The host of a system of actors: one loop's thread with its clock, names, routes, supervisor."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hfengine.clock import Clock, WallClock
from hfengine.kernels.mailbox import Host
from hfengine.runtime.ids import ActorIds
from hfengine.runtime.routes import Routes
from hfengine.runtime.supervisor import Supervisor
from hfengine.runtime.virtual_loop import VirtualLoop

if TYPE_CHECKING:
    from types import TracebackType

    from hfengine.runtime.actor import LoopActor
    from hfengine.runtime.recording import Player, Recorder

_here = threading.local()


class ActorHost(Host):
    """Everything the actors of one loop share, none of it state of theirs.

    Making one makes it the current host of the calling thread, which must be the one that runs, or
    will run, the loop. `system` is the first part of every actor's name and should differ between
    hosts of one process.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock | None = None,
        *,
        system: str = "hfengine",
    ) -> None:
        super().__init__(loop)
        self.clock: Clock = clock if clock is not None else clock_of(loop)
        self.ids = ActorIds(system)
        self.routes = Routes()
        self.supervisor = Supervisor(self.clock, self.ids)
        self.supervisor.on_restart(self.routes.replace)
        self.actors: dict[str, LoopActor] = {}
        self.tasks: set[asyncio.Future[Any]] = set()
        self.recorder: Recorder | None = None
        """Notes what reaches the actors from outside; None where nothing is recorded."""
        self.player: Player | None = None
        """Stands in for the world while a session is run again."""
        _here.host = self

    def batch(self) -> "Batch":
        """Return a context in which tells only queue: updates of one symbol conflate."""
        return Batch(self)

    async def shutdown(self) -> None:
        """Stop every actor, last started first, and wait until all their I/O has ended.

        Nothing is restarted any more. Raises RuntimeError inside a handler or an open batch.
        """
        if self.depth:
            msg = "shutdown() inside a handler or an open batch: the actors could not stop"
            raise RuntimeError(msg)
        self.supervisor.restarts = False
        self.pump()
        while self.actors:
            for actor in reversed(list(self.actors.values())):
                if actor.actor_ref.is_alive():
                    actor.actor_ref.stop(block=False)
                else:
                    actor._actor_loop_teardown()
            self.pump()
        while waiting := self.tasks - {asyncio.current_task()}:
            await asyncio.wait(waiting)


class Batch:
    """Holds tells back on entry, runs the actors to completion on exit."""

    __slots__ = ("_host",)

    def __init__(self, host: ActorHost) -> None:
        self._host = host

    def __enter__(self) -> None:
        self._host.begin_batch()

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: "TracebackType | None",
    ) -> None:
        self._host.end_batch()


def clock_of(loop: asyncio.AbstractEventLoop) -> Clock:
    """Return the virtual clock of a virtual loop, wall time for any other."""
    return loop.clock if isinstance(loop, VirtualLoop) else WallClock()


@contextmanager
def another_host(
    loop: asyncio.AbstractEventLoop, clock: Clock, *, system: str
) -> Iterator[ActorHost]:
    """Make a second system of actors on a loop that has one; those made inside belong to it."""
    first: ActorHost | None = getattr(_here, "host", None)
    try:
        yield ActorHost(loop, clock, system=system)
    finally:
        _here.host = first


class _Elsewhere:
    """The host that serves actors started on threads without a loop."""

    host: ActorHost | None = None


def serve_other_threads(host: ActorHost | None) -> None:
    """Let actors started on threads without a loop live on this host; None ends that."""
    _Elsewhere.host = host


def current_host() -> ActorHost:
    """Return the host of this thread's running loop, made when there is none yet.

    Without a running loop: the host made on this thread for a loop that is not closed, else the
    one that serves other threads. Raises RuntimeError when there is none.
    """
    host: ActorHost | None = getattr(_here, "host", None)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        if host is not None and not host.loop.is_closed():
            return host
        if _Elsewhere.host is not None:
            return _Elsewhere.host
        msg = (
            "no event loop serves this thread: start the actor on a loop's thread, make an"
            " ActorHost here, or name one with serve_other_threads()"
        )
        raise RuntimeError(msg) from None
    if host is None or host.loop is not loop:
        host = ActorHost(loop)
    return host
