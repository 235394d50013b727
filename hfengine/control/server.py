"""The control socket's server: an attachment on the engine's own loop, which it never blocks.

One request at a time a connection; a flood, a stranger or a silent client costs a bounded buffer.
Timers would move a virtual clock, so idleness is measured on the wall and judged when a next client
comes.
"""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Any, Final, cast

import msgspec

from hfengine.clock import mono_ns
from hfengine.control.commands import Commands, Controlled
from hfengine.control.place import bound, peer_of, socket_path
from hfengine.control.protocol import Answer, CommandRefused, line_of, read_request
from hfengine.errors import ExitCode, HfengineError
from hfengine.limits import (
    CONTROL_ANSWER_BYTES_MAX,
    CONTROL_CLIENTS_MAX,
    CONTROL_IDLE_MAX_NS,
    CONTROL_REQUEST_BYTES_MAX,
)
from hfengine.settings import Settings
from hfengine.state.lock import InstanceLock

ROOT: Final = 0
END_MAX_S: Final = 1.0
"""How long the end of a run waits for the answers under way."""


class ControlServer:
    """Serves operators at one path between `begin` and `end`."""

    def __init__(self, path: Path) -> None:
        """Take the place at once, so that a run that cannot be reached does not even begin.

        Raises ControlPlaceError where no socket can stand, or another one answers. Whoever makes
        one serves it (`begin`, `end`) or calls `discard`.
        """
        self.path = path
        self._listening: socket | None = bound(path)
        found = path.lstat()
        self._own = found.st_dev, found.st_ino
        self.clients: set[_Client] = set()
        self.refused = 0
        """Connections turned away: strangers, or more than there may be."""
        self._engine: Controlled | None = None
        self._commands: Commands | None = None
        self._server: asyncio.AbstractServer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: asyncio.Future[dict[str, Any]] | None = None

    async def begin(self, engine: Controlled) -> None:
        """Answer; whoever has come before this waits until now."""
        loop = asyncio.get_running_loop()
        self._engine = engine
        self._over = loop.create_future()
        self._commands = Commands(engine, self._wait_for_end)
        assert self._listening is not None
        listening, self._listening = self._listening, None
        self._server = await loop.create_unix_server(lambda: _Client(self), sock=listening)

    async def _wait_for_end(self) -> dict[str, Any]:
        assert self._over is not None
        # one client's going is not the end of the others' wait
        return await asyncio.shield(self._over)

    async def end(self) -> None:
        """Answer whoever waits for the end of the run, close, and take the socket away."""
        server, over = self._server, self._over
        if server is None or over is None or self._engine is None:
            return
        self._server = None
        server.close()
        last = await self._last_state(self._engine)
        over.set_result(last | {"unwritten": await self._engine.written()})
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=END_MAX_S)
            for task in late:
                task.cancel()
        await self._close_clients()
        self._unlink()

    async def _close_clients(self) -> None:
        """Let what was said be read, for a moment; then end every connection."""
        left = tuple(self.clients)
        for client in left:
            client.close()
        if left:
            await asyncio.wait([client.gone for client in left], timeout=END_MAX_S)
        for client in tuple(self.clients):
            client.abort()
        await asyncio.gather(*(client.gone for client in left))

    @staticmethod
    async def _last_state(engine: Controlled) -> dict[str, Any]:
        view = asyncio.ensure_future(engine.view())
        await asyncio.wait([view])
        if view.cancelled() or view.exception() is not None:
            # an actor is dead for good: nothing proves that it is flat
            return {"flat": False, "state": "unknown", "detail": "the engine's last state is lost"}
        state = view.result()["telemetry"]["state"]
        flat = state.state in ("flat", "ended")
        return {"flat": flat, "state": state.state, "detail": state.reason}

    def discard(self) -> None:
        """Give the place up if it was never served: nothing is left behind. Safe to call twice."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
            self._unlink()

    def _unlink(self) -> None:
        """Take the socket's file away unless it is already another engine's."""
        try:
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._own:
                self.path.unlink()
        except FileNotFoundError:
            return

    def admit(self, client: "_Client") -> str:
        """Return why a client may not stay, "" where it may; the idle make room."""
        now_ns = mono_ns()
        for other in tuple(self.clients):
            if not other.busy and now_ns - other.heard_ns > CONTROL_IDLE_MAX_NS:
                other.close()
                self.clients.discard(other)
        if client.user not in (os.getuid(), ROOT):
            return "this engine belongs to another user"
        if len(self.clients) >= CONTROL_CLIENTS_MAX:
            return f"there are {CONTROL_CLIENTS_MAX} operators already: try again"
        self.clients.add(client)
        return ""

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the answer to one request beside the actors."""
        task = asyncio.get_running_loop().create_task(work, name="control")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # a fault of the operator's door must be seen, but not end the run
            context = {"message": "a control command failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)

    async def answer(self, line: bytes, by: str) -> bytes:
        """Return the answer to one line."""
        assert self._commands is not None
        try:
            body = await self._commands.carry_out(read_request(line), by)
            said = line_of(Answer(ok=True, body=body))
        except CommandRefused as refused:
            return line_of(Answer(ok=False, error=str(refused), exit_code=refused.exit_code))
        except (HfengineError, TypeError, msgspec.EncodeError, KeyError) as error:
            # an actor that is down, or a report nobody has seen: told, and the run goes on
            sentence = f"the engine could not answer: {error!r}"
            return line_of(Answer(ok=False, error=sentence, exit_code=ExitCode.FAILURE))
        if len(said) > CONTROL_ANSWER_BYTES_MAX:
            sentence = f"the answer of {len(said)} bytes is too long to be sent"
            return line_of(Answer(ok=False, error=sentence, exit_code=ExitCode.FAILURE))
        return said


class _Client(asyncio.Protocol):
    """One connection: reads a line, waits for its answer, reads the next."""

    def __init__(self, server: ControlServer) -> None:
        self.busy = False
        self.heard_ns = mono_ns()
        self.user = -1
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._server = server
        self._by = ""
        self._waiting = b""
        self._transport: asyncio.Transport | None = None
        self._clogged = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let in whoever runs the engine, and root; tell others why not."""
        # uvloop's is one in all but its class
        self._transport = stream = cast("asyncio.Transport", transport)
        process = 0
        try:
            self.user, process = peer_of(stream.get_extra_info("socket").fileno())
        except OSError:
            # whoever it was is gone, or cannot be told: a stranger
            self.user = -1
        self._by = f"user {self.user} (process {process})"
        reason = self._server.admit(self)
        if reason:
            self._server.refused += 1
            self._say(line_of(Answer(ok=False, error=reason, exit_code=ExitCode.FAILURE)))
            stream.close()

    def data_received(self, piece: bytes) -> None:
        """Take a piece of a request; more than a request may be ends the connection."""
        self.heard_ns = mono_ns()
        self._waiting += piece
        self._next()
        self._judge()

    def _judge(self) -> None:
        """Stop reading what is more than a request, or end the connection it comes over."""
        if len(self._waiting) <= CONTROL_REQUEST_BYTES_MAX or self._transport is None:
            return
        if self.busy:
            self._transport.pause_reading()
            return
        sentence = f"a request is at most {CONTROL_REQUEST_BYTES_MAX} bytes and a line feed"
        self._say(line_of(Answer(ok=False, error=sentence, exit_code=ExitCode.USAGE)))
        self._waiting = b""
        self.close()

    def _next(self) -> None:
        if self.busy or self._clogged or self._transport is None or self._transport.is_closing():
            return
        line, feed, rest = self._waiting.partition(b"\n")
        if not feed or len(line) > CONTROL_REQUEST_BYTES_MAX:
            return
        self._waiting = rest
        self.busy = True
        self._server.start(self._answer(line))

    async def _answer(self, line: bytes) -> None:
        try:
            self._say(await self._server.answer(line, self._by))
        finally:
            self.busy = False
            self.heard_ns = mono_ns()
        transport = self._transport
        if transport is not None and not transport.is_closing():
            self._next()
            self._judge()
            if not transport.is_reading() and len(self._waiting) <= CONTROL_REQUEST_BYTES_MAX:
                transport.resume_reading()

    def _say(self, line: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(line)

    def pause_writing(self) -> None:
        """Take no further request until its answers are read."""
        self._clogged = True

    def resume_writing(self) -> None:
        """Go on with what waits."""
        self._clogged = False
        self._next()

    def close(self) -> None:
        """End the connection once what was said is sent, or at once if nobody reads it."""
        if self._clogged:
            self.abort()
        elif self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget it; a command under way goes on."""
        self._transport = None
        self._server.clients.discard(self)
        if not self.gone.done():
            self.gone.set_result(None)


@contextmanager
def control_server(path: Path) -> Iterator[ControlServer]:
    """Yield the server of a path, its place taken; what was never served is given up at the end."""
    server = ControlServer(path)
    try:
        yield server
    finally:
        server.discard()


@contextmanager
def serving(settings: Settings, lock: InstanceLock | None) -> Iterator[tuple[ControlServer, ...]]:
    """Yield what an engine is given as attachments, and tell the lock's file where it listens.

    Nothing without a lock, by which commands find the engine, or with control.enabled = false.
    """
    if lock is None or not settings.control.enabled:
        yield ()
        return
    path = socket_path(settings.state.directory, lock.account)
    with control_server(path) as server:
        lock.tell(socket=str(path))
        yield (server,)
