"""A venue with a small made-up dialect, served over real loopback sockets, for tests."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from hfengine.clock import WallClock
from hfengine.errors import VenueRejected
from hfengine.localvenue.ports import HttpAnswer, HttpRequest, Session, Socket
from hfengine.localvenue.server import VenueServer
from hfengine.localvenue.world import World, make_world
from hfengine.requests import OrderRequest
from hfengine.runtime.loops import new_live_loop

SYMBOL = "BTCUSDT"


def json_answer(content: Any, status: int = 200) -> HttpAnswer:
    return HttpAnswer(body=msgspec.json.encode(content), status=status)


class PlainSession:
    """Says back what it hears; `orders` subscribes to the reports of the account."""

    def __init__(self, dialect: "PlainDialect", socket: Socket) -> None:
        self.dialect = dialect
        self.socket = socket
        self.heard_frames: list[bytes] = []
        self.ended = 0
        self.wants_orders = False
        socket.send(b"welcome " + socket.query.get("name", "").encode())

    def heard(self, payload: bytes) -> None:
        self.heard_frames.append(payload)
        if payload == b"orders":
            self.wants_orders = True
        elif payload.startswith(b"buy "):
            self.dialect.buy(payload[4:].decode())
        elif payload.startswith(b"close "):
            self.socket.close(int(payload[6:]))
            return
        self.socket.send(b"heard " + payload)

    def closed(self) -> None:
        self.ended += 1
        self.dialect.sessions.remove(self)


class PlainDialect:
    """Three REST calls and one socket; no signatures."""

    name = "plain"

    def __init__(self, world: World) -> None:
        self.world = world
        self.sessions: list[PlainSession] = []
        self.requests: list[HttpRequest] = []
        self.stopped = False
        world.on_account(self._report)

    def routes(self) -> Mapping[tuple[str, str], Any]:
        return {
            ("GET", "/echo"): self._echo,
            ("POST", "/echo"): self._echo,
            ("POST", "/buy"): self._buy,
            ("GET", "/fail"): self._fail,
            ("GET", "/slow"): self._slow,
        }

    def session(self, socket: Socket) -> Session | None:
        if socket.path != "/ws":
            return None
        made = PlainSession(self, socket)
        self.sessions.append(made)
        return made

    def buy(self, client_id: str) -> str:
        request = OrderRequest(client_id, SYMBOL, 1, "market", Decimal("0.01"))
        try:
            update = self.world.act(
                lambda now_ns: self.world.exchange.place("main", request, now_ns)
            )
        except VenueRejected as rejected:
            return rejected.reason
        return update.state

    def failure(self, code: int, message: str, status: int = 200) -> HttpAnswer:
        return json_answer({"code": code, "message": message}, status)

    def not_found(self, request: HttpRequest) -> HttpAnswer:
        return json_answer({"no": request.path}, 404)

    def stop(self) -> None:
        self.stopped = True

    def describe(self) -> Mapping[str, Any]:
        return {"id": "plain"}

    def command(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if name != "sing":
            raise KeyError(f"command {name!r}")
        return {"sung": dict(arguments)}

    async def _echo(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        return json_answer(
            {
                "method": request.method,
                "raw_query": request.raw_query,
                "query": dict(request.query),
                "body": request.body.decode(),
                "agent": request.headers.get("x-agent", ""),
                "remote": request.remote,
            }
        )

    async def _buy(self, request: HttpRequest) -> HttpAnswer:
        return json_answer({"state": self.buy(request.query["id"])})

    async def _fail(self, request: HttpRequest) -> HttpAnswer:
        raise RuntimeError("planted")

    async def _slow(self, request: HttpRequest) -> HttpAnswer:
        await asyncio.sleep(0.05)
        return json_answer({"slow": request.query.get("n")})

    def _report(self, account: str, report: Any) -> None:
        for session in self.sessions:
            if session.wants_orders:
                kind = type(report).__name__
                session.socket.send(f"report {account} {kind}".encode())


class Served:
    """A running venue and where it is."""

    def __init__(self, world: World, dialect: PlainDialect, server: VenueServer) -> None:
        self.world = world
        self.dialect = dialect
        self.server = server
        self.http = f"http://127.0.0.1:{server.port}"

    def orders(self) -> list[str]:
        return [report.update.client_id for report in self.world.exchange.order_reports("main")]


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Served]:
    """Serve the plain dialect on a free port."""
    loop = asyncio.get_running_loop()
    world = make_world("bybit", loop=loop, clock=WallClock(), **{"symbols": [SYMBOL], **options})
    dialect = PlainDialect(world)
    server = VenueServer(world, dialect)
    await server.start()
    try:
        yield Served(world, dialect, server)
    finally:
        await server.close()


def run_live(scenario: Any, timeout_s: float = 10.0) -> None:
    """Run a coroutine function on a live loop of its own."""
    with asyncio.Runner(loop_factory=new_live_loop) as runner:
        runner.run(asyncio.wait_for(scenario(), timeout_s))


def serve_forever(state: Path) -> None:
    """Serve with a state file until killed; the port is the first line said."""

    async def scenario() -> None:
        async with serving(state=state) as venue:
            sys.stdout.write(f"{venue.server.port}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=new_live_loop) as runner:
        runner.run(scenario())


@contextmanager
def child_venue(state: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run `serve_forever` in a process of its own; yield it and its address."""
    command = [sys.executable, "-m", __name__, str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            yield child, f"http://127.0.0.1:{int(child.stdout.readline())}"
        finally:
            child.kill()


def decoded(text: str | bytes) -> Any:
    return json.loads(text)


if __name__ == "__main__":
    serve_forever(Path(sys.argv[1]))
