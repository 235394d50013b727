"""A local venue on one port: REST, websockets and the admin API, with faults of transport."""

import asyncio
import re
from functools import partial
from typing import Any, Final

from hfengine.errors import ConfigError
from hfengine.localvenue.admin import PREFIX, AdminApi
from hfengine.localvenue.faults import FaultKind, Rule
from hfengine.localvenue.http import HttpConnection
from hfengine.localvenue.ports import Dialect, HttpAnswer, HttpRequest
from hfengine.localvenue.sockets import ServedSocket, upgrade
from hfengine.localvenue.world import World

BACKLOG: Final = 512
UNAVAILABLE: Final = 503
_SYMBOL: Final = re.compile(r"symbol\W{1,5}([A-Z0-9]+)")


class VenueServer:
    """Serves one dialect over one world until it is closed."""

    def __init__(self, world: World, dialect: Dialect) -> None:
        self._world = world
        self._dialect = dialect
        self._routes = dialect.routes()
        self._connections: set[HttpConnection] = set()
        self._sockets: set[ServedSocket] = set()
        self._server: asyncio.Server | None = None
        world.on_failure(self._cut)
        self.admin = AdminApi(world, dialect, self._socket_rows, self._to_sockets)
        self.port = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, on any free port for 0; return the port. Raises ConfigError when it is taken."""
        loop = self._world.loop

        def connection() -> HttpConnection:
            return HttpConnection(loop, self._serve, self._upgrade, self._connections)

        try:
            self._server = await loop.create_server(connection, host, port, backlog=BACKLOG)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            problem = f"cannot listen on {host} port {port} ({reason}): choose another --port"
            raise ConfigError([problem]) from None
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def close(self) -> None:
        """End every connection, the dialect and the world."""
        self._world.deliver()
        self._dialect.stop()
        self._cut()
        self._world.settle()
        self._world.close()
        if self._server is not None:
            await self._server.wait_closed()

    def _cut(self) -> None:
        """Take no more connections and cut those there are, without a word."""
        if self._server is not None:
            self._server.close()
        for socket in tuple(self._sockets):
            socket.drop()
        for connection in tuple(self._connections):
            connection.end()

    # REST

    async def _serve(self, request: HttpRequest) -> HttpAnswer | None:
        if request.path.startswith(PREFIX):
            answer = self.admin.answer(request)
            return answer if self._world.settle() else None
        if not self._world.faults.any_armed:
            answer = await self._handle(request)
            return answer if self._world.settle() else None
        return await self._serve_at_risk(request)

    async def _handle(self, request: HttpRequest) -> HttpAnswer:
        handler = self._routes.get((request.method, request.path))
        return self._dialect.not_found(request) if handler is None else await handler(request)

    async def _serve_at_risk(self, request: HttpRequest) -> HttpAnswer | None:
        """Answer while faults are armed, in the order they would strike on the way."""
        take = partial(self._take, request)
        if take("cut_before"):
            return None
        if rule := take("http_status"):
            return HttpAnswer(
                body=rule.message.encode(),
                status=rule.status or UNAVAILABLE,
                content_type="text/html",
            )
        if rule := take("error_before"):
            return self._failure(rule)
        answer = await self._handle(request)
        if not self._world.settle() or take("cut_after"):
            return None
        if rule := take("error_after"):
            answer = self._failure(rule)
        if rule := take("delay_answer"):
            await self._pause(rule.delay_ms / 1000)
        return answer

    def _take(self, request: HttpRequest, kind: FaultKind) -> Rule | None:
        text = f"{request.method} {request.raw_query} {request.body.decode(errors='replace')}"
        symbol = _SYMBOL.search(text)
        return self._world.faults.take(
            kind, path=request.path, topic=text, symbol=symbol[1] if symbol else ""
        )

    def _failure(self, rule: Rule) -> HttpAnswer:
        return self._dialect.failure(rule.code, rule.message, rule.status or 200)

    async def _pause(self, delay_s: float) -> None:
        over: asyncio.Future[None] = self._world.loop.create_future()
        cancel = self._world.later(delay_s, partial(over.set_result, None))
        try:
            await over
        finally:
            cancel()

    # Websockets

    def _upgrade(self, request: HttpRequest, transport: asyncio.Transport, received: bytes) -> None:
        socket = ServedSocket(self._world, request, self._sockets)
        upgrade(socket, self._dialect.session, transport, received)

    def _socket_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "path": one.path,
                "sent_frames": one.sent_frames,
                "heard_frames": one.heard_frames,
                "unsent_bytes": one.unsent_bytes,
            }
            for one in self._sockets
        ]

    def _to_sockets(self, deed: str, path: str, code: int) -> int:
        chosen = [one for one in self._sockets if path in one.path]
        for one in chosen:
            if deed == "drop":
                one.drop()
            elif deed == "stall":
                one.stall()
            else:
                one.close(code)
        return len(chosen)
