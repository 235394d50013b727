"""The ccxt.pro exchange object of an account: ours to hook, ours to keep alive.

Hooks see every private message before ccxt's caches do, which coalesce and mutate (VENUES 1.4), and
every REST answer's status and headers. ccxt is imported here only when an account is opened.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from importlib import import_module
from random import Random
from typing import Any, Final

from hfengine.venues.ccxt_market import open_exchange
from hfengine.venues.quirks import PrivateStream

BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 30.0
HEALTHY_S: Final = 30.0
DOUBLINGS_MAX: Final = 20

Hear = Callable[[Mapping[str, Any]], bool]
"""Takes a raw private message; True keeps it from ccxt."""


class Reply:
    """What came back of one REST call besides its body."""

    __slots__ = ("headers", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}


REPLY: ContextVar[Reply | None] = ContextVar("REPLY", default=None)
"""Where the call under way in this context wants its status and headers."""


class Paced:
    """How long the calls of one context waited for their budgets, in seconds."""

    __slots__ = ("waited_s",)

    def __init__(self) -> None:
        self.waited_s = 0.0


PACED: ContextVar[Paced | None] = ContextVar("PACED", default=None)
"""Where the calls of this context add up what they waited."""


def drop_idle(exchange: Any) -> int:
    """Close the kept connections that no call uses; return how many.

    When one died silently so did its fellows, and each would cost a call its whole time-out.
    """
    connector = getattr(getattr(exchange, "session", None), "connector", None)
    # aiohttp has no public way to let go of idle connections alone
    kept = [proto for idle in getattr(connector, "_conns", {}).values() for proto, _ in idle]
    for proto in kept:
        proto.close()
    return len(kept)


class Hooks:
    """What is put in front of a ccxt.pro class."""

    hear: Hear
    behind: Any
    """The class of ccxt's own."""
    clock_offset_ms: int = 0

    def milliseconds(self) -> int:
        """Return the venue's time: what requests and log-ins are signed with."""
        return int(self.behind.milliseconds()) + self.clock_offset_ms

    def handle_message(self, client: Any, message: Any) -> None:
        """Hand a message on at once, then let ccxt have it."""
        taken = isinstance(message, Mapping) and self.hear(message)
        if not taken:
            self.behind.handle_message(self, client, message)
        # any message proves the connection, and by the clock its watchdog goes by: ours
        client.lastPong = self.behind.milliseconds()

    def on_rest_response(
        self,
        code: int,
        reason: str,
        url: str,
        method: str,
        response_headers: Mapping[str, str],
        response_body: str,
        request_headers: Any,
        request_body: Any,
    ) -> Any:
        """Note status and headers for the call that waits."""
        reply = REPLY.get()
        if reply is not None:
            reply.status = int(code)
            reply.headers = dict(response_headers)
        return self.behind.on_rest_response(
            self,
            code,
            reason,
            url,
            method,
            response_headers,
            response_body,
            request_headers,
            request_body,
        )


def make_exchange(ccxt_id: str, configuration: Mapping[str, Any], hear: Hear) -> Any:
    """Return a hooked ccxt.pro exchange; the caller closes it. Raises ConfigError if unknown."""
    behind = type(open_exchange(ccxt_id))
    hooked = type(ccxt_id, (Hooks, behind), {"hear": staticmethod(hear), "behind": behind})
    return hooked(
        {
            # ours follows the headers; ccxt's own adds up to 250 ms to every order
            "enableRateLimit": False,
            "enableLastHttpResponse": False,
            "enableLastJsonResponse": False,
            "enableLastResponseHeaders": False,
            "newUpdates": True,
            **configuration,
        }
    )


def network_errors() -> tuple[type[Exception], ...]:
    """Return the classes that mean: the connection, not the request."""
    errors = import_module("ccxt.base.errors")
    return (errors.NetworkError, errors.ExchangeClosedByUser, ConnectionError)


class StreamKeeper:
    """Keeps the private streams of one exchange object alive until `stop`.

    A watch that ends in an error is called again after a growing, jittered pause. ccxt cancels its
    waiters when a client closes: that ends nothing here but by `stop`.
    """

    def __init__(
        self,
        exchange: Any,
        *,
        loop: asyncio.AbstractEventLoop,
        random: Random,
        start: Callable[[Coroutine[Any, Any, None], str], None],
        broken: Callable[[str, str], None],
    ) -> None:
        """`start` runs a coroutine under a name; `broken` hears which stream broke, and why."""
        self.reconnects = 0
        self.last_reason = ""
        self._exchange = exchange
        self._loop = loop
        self._random = random
        self._start = start
        self._broken = broken
        self._stop_asked = asyncio.Event()

    def keep(self, stream: PrivateStream) -> None:
        """Begin to watch."""
        self._start(self._watch(stream.name, stream.watch), f"stream {stream.name}")

    @property
    def stopping(self) -> bool:
        """Tell whether `stop` was called."""
        return self._stop_asked.is_set()

    def stop(self) -> None:
        """Let every loop end; the connections are closed with the exchange object."""
        self._stop_asked.set()

    async def cut(self, why: str) -> None:
        """Close the connections; the loops make new ones."""
        error = network_errors()[0](why)
        clients = list(self._exchange.clients.items())
        for url, client in clients:
            self._exchange.clients.pop(url, None)
            client.reset(error)
        for _, client in clients:
            await client.close()

    async def _watch(self, name: str, watch: Callable[[], Awaitable[Any]]) -> None:
        failures = 0
        network = network_errors()
        while not self._stop_asked.is_set():
            began_s = self._loop.time()
            try:
                await watch()
                continue
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._stop_asked.is_set() or (task is not None and task.cancelling()):
                    raise
                reason = "the exchange's client was closed"
            except network as error:
                reason = f"{type(error).__name__}: {error}"
            except Exception as error:  # noqa: BLE001 - any bug of an exchange class
                # a refusal: it will not pass at once
                reason = f"{type(error).__name__}: {error}"
                failures = max(failures, 3)
            if self._stop_asked.is_set():
                return
            failures = 1 if self._loop.time() - began_s >= HEALTHY_S else failures + 1
            self.reconnects += 1
            self.last_reason = reason
            self._broken(name, reason)
            await self._pause(failures)

    async def _pause(self, failures: int) -> None:
        doublings = min(failures - 1, DOUBLINGS_MAX)
        longest_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**doublings)
        try:
            async with asyncio.timeout(longest_s * self._random.uniform(0.5, 1.0)):
                await self._stop_asked.wait()
        except TimeoutError:
            return
