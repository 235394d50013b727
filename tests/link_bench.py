"""A bench for links: a scripted server, a session that takes notes, links between them."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from msgspec.structs import replace

from hfengine.runtime.hosts import ActorHost
from hfengine.venues.link import Link, LinkSettings
from tests.scripted_server import ScriptedServer, until

QUICK = LinkSettings(
    connect_timeout_s=2.0,
    silence_max_s=30.0,
    ping_every_s=30.0,
    backoff_first_s=0.002,
    backoff_max_s=0.02,
    healthy_s=60.0,
)


class Notes:
    """A session that writes down what it learns."""

    def __init__(self, host: ActorHost) -> None:
        self.host = host
        self.opens = 0
        self.payloads: list[bytes] = []
        self.received_ns: list[int] = []
        self.depths: list[int] = []
        self.reasons: list[str] = []
        self.on_open: Callable[[Link], Any] = lambda _link: None
        self.on_payload: Callable[[bytes], Any] = lambda _payload: None

    def opened(self, link: Link) -> None:
        self.opens += 1
        self.on_open(link)

    def heard(self, payload: bytes, received_ns: int) -> None:
        self.payloads.append(payload)
        self.received_ns.append(received_ns)
        self.depths.append(self.host.depth)
        self.on_payload(payload)

    def closed(self, reason: str) -> None:
        self.reasons.append(reason)


class Bench:
    """A server, a session and a link between them."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.host = ActorHost(asyncio.get_running_loop(), system="test")
        self.notes = Notes(self.host)
        self.links: list[Link] = []

    def link(self, settings: LinkSettings = QUICK, url: str = "", **changes: Any) -> Link:
        made = Link(
            url or self.server.url + "/v5/public/linear",
            self.notes,
            host=self.host,
            random=random.Random(1),
            settings=replace(settings, **changes),
            name="test",
        )
        self.links.append(made)
        made.start()
        return made

    async def open_link(self, **changes: Any) -> Link:
        made = self.link(**changes)
        await until(lambda: made.is_open and self.server.peers)
        return made


Test = Callable[[Bench], Awaitable[None]]
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.SelectorEventLoop}


def runner_of(loop: str) -> Callable[[Test], None]:
    """Return what runs a coroutine against a fresh server and host; all is stopped afterwards."""

    async def whole(test: Test) -> None:
        async with ScriptedServer().serving() as server:
            bench = Bench(server)
            try:
                await test(bench)
            finally:
                for link in bench.links:
                    link.stop()
                await bench.host.shutdown()

    def go(test: Test) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(whole(test))

    return go
