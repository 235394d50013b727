"""State in a Redis shared by several machines, spoken to on the engine's own loop.

Bodies are strings under documented keys; a series is a sorted set by time in ms. What cannot be
written waits, newest body a key; a server that comes back, even an empty one, is written whole.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from hfengine.limits import SERIES_ROWS_MAX, STORE_RETRY_MAX_S
from hfengine.state.keys import SESSION, is_memory, of_account, shown, without_account
from hfengine.state.port import Series
from hfengine.state.redis_lock import RedisLock
from hfengine.state.waiting import Batch, Row, Waiting

CONNECT_MAX_S: Final = 1.0
ANSWER_MAX_S: Final = 2.0
RETRY_FIRST_S: Final = 0.1
BREATH_S: Final = 0.05
LOOK_EVERY_S: Final = 2.0
"""How often a store with nothing to write is looked at."""

NS_A_MS: Final = 1_000_000
FAILURES: Final = (RedisError, OSError, asyncio.TimeoutError)


def series_key(account: str, series: Series) -> str:
    """Return the sorted set a series is in."""
    return f"bot:series:{account}:{series}"


def blocking_client(url: str) -> "redis.Redis":
    """Return a client for what is read before the loop runs."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_MAX_S,
        socket_timeout=ANSWER_MAX_S,
        retry=Retry(NoBackoff(), 0),
    )


def read_state(client: "redis.Redis", account: str) -> dict[str, bytes]:
    """Return every key of an account, by the names actors know, and its body. Raise RedisError."""
    found: dict[str, bytes] = {}
    keys = [bytes(key) for key in client.scan_iter(match=f"bot:*:{account}*", count=500)]
    named = {key: without_account(key.decode(), account) for key in keys}
    wanted = [key for key, name in named.items() if name and not _is_apart(name)]
    bodies: Any = client.mget(wanted) if wanted else []
    for key, body in zip(wanted, bodies, strict=True):
        if body is not None:
            found[named[key]] = bytes(body)
    return found


def forget_current(client: "redis.Redis", account: str, known: dict[str, bytes]) -> None:
    """Remove what an earlier run left as current; memory and history stay. Raise RedisError."""
    stale = [of_account(key, account) for key in known if not is_memory(key)]
    if stale:
        client.delete(*stale)


def read_series(
    url: str, account: str, series: Series, *, since_ns: int = 0, last: int = 0
) -> list[tuple[int, bytes]]:
    """Return (at_ns, row) of a series from a time on, the oldest first. Raise RedisError.

    Times are whole milliseconds.
    """
    client = blocking_client(url)
    try:
        found: Any = client.zrange(
            series_key(account, series),
            "+inf",
            str(since_ns // NS_A_MS),
            desc=True,
            byscore=True,
            withscores=True,
            offset=0,
            num=last or -1,
        )
    finally:
        client.close()
    return [(int(score) * NS_A_MS, bytes(row)) for row, score in reversed(found)]


def _is_apart(name: str) -> bool:
    return name.startswith(("bot:series", "bot:lock"))


class RedisStore:
    """Keeps state and series of one account; begins and ends on the engine's loop."""

    def __init__(
        self,
        url: str,
        account: str,
        *,
        fault: str = "",
        lock: RedisLock | None = None,
        rows_max: int = SERIES_ROWS_MAX,
    ) -> None:
        self.account = account
        self._url = url
        self._lock = lock
        self._rows_max = rows_max
        self._waiting = Waiting()
        self._reason = fault
        self._woken: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending = False

    def put(self, key: str, body: bytes) -> None:
        """Keep a body under a key, in place of the one before; an empty one removes the key."""
        if self._waiting.put(key, body) and self._woken is not None:
            self._woken.set()

    def add(self, series: Series, at_ns: int, row: bytes) -> None:
        """Append one row, JSON, to a series."""
        if self._waiting.add(Row(series, at_ns, row)) and self._woken is not None:
            self._woken.set()

    @property
    def fault(self) -> str:
        """Return what is wrong with the store, "" while it keeps what it is given."""
        return self._reason

    @property
    def dropped(self) -> int:
        """Return how much was given up while the store was away."""
        return self._waiting.dropped

    async def begin(self, on_lock_lost: Callable[[str], None] | None = None) -> None:
        """Start writing; `on_lock_lost` is told, once, who else holds the account."""
        self._woken = asyncio.Event()
        self._woken.set()
        self._task = asyncio.get_running_loop().create_task(self._write_all(on_lock_lost))

    async def end(self) -> None:
        """Write what waits, once, and disconnect; safe to call twice, or without begin()."""
        task, self._task = self._task, None
        if task is None or self._woken is None:
            return
        self._ending = True
        self._woken.set()
        await task

    async def _write_all(self, on_lock_lost: Callable[[str], None] | None) -> None:
        client = redis.asyncio.Redis.from_url(
            self._url,
            socket_connect_timeout=CONNECT_MAX_S,
            socket_timeout=ANSWER_MAX_S,
            retry=AsyncRetry(NoBackoff(), 0),
        )
        retry_s = RETRY_FIRST_S
        try:
            while True:
                ending = self._ending
                if await self._try(client, on_lock_lost):
                    retry_s = RETRY_FIRST_S
                    wait_s = LOOK_EVERY_S
                else:
                    wait_s, retry_s = retry_s, min(retry_s * 2, STORE_RETRY_MAX_S)
                if ending:
                    return
                await self._wait(wait_s, also_for_news=not self._reason)
        finally:
            await self._disconnect(client)

    async def _try(
        self, client: "redis.asyncio.Redis", on_lock_lost: Callable[[str], None] | None
    ) -> bool:
        batch = Batch({}, ())
        was_away = bool(self._reason)
        try:
            is_empty = not await client.exists(of_account(SESSION, self.account))
            if was_away or is_empty:
                # it may be another server, or the same one without what it had
                self._waiting.renew()
            if self._woken is not None:
                self._woken.clear()
            batch = self._waiting.take()
            if batch.bodies or batch.rows:
                await self._write(client, batch)
            if self._lock is not None and on_lock_lost is not None:
                await self._lock.renew(client, on_lock_lost)
        except FAILURES as error:
            self._waiting.give_back(batch)
            self._reason = f"{shown(self._url)}: {error or type(error).__name__}"
            return False
        self._reason = ""
        return True

    async def _write(self, client: "redis.asyncio.Redis", batch: Batch) -> None:
        # whole or not at all: the marker among the bodies says what they stand for
        pipe = client.pipeline(transaction=True)
        for key, body in batch.bodies.items():
            if body:
                pipe.set(of_account(key, self.account), body)
            else:
                pipe.delete(of_account(key, self.account))
        for row in batch.rows:
            pipe.zadd(series_key(self.account, row.series), {row.row: row.at_ns // NS_A_MS})
        for series in {row.series for row in batch.rows} - {"trades"}:
            pipe.zremrangebyrank(series_key(self.account, series), 0, -self._rows_max - 1)
        await pipe.execute()

    async def _wait(self, seconds: float, *, also_for_news: bool) -> None:
        """Wait; news end it while the server is there, the end of the run always."""
        if self._woken is None:
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if not also_for_news:
            self._woken.clear()
        while not self._ending:
            timer = loop.call_at(until, self._woken.set)
            try:
                await self._woken.wait()
            finally:
                timer.cancel()
            if also_for_news:
                # what comes in one go is written in one go
                also_for_news, until = False, loop.time() + BREATH_S
            if loop.time() >= until:
                return
            self._woken.clear()

    async def _disconnect(self, client: "redis.asyncio.Redis") -> None:
        try:
            if self._lock is not None:
                await self._lock.release(client)
            await client.aclose()
        except FAILURES as error:
            self._reason = f"{shown(self._url)}: {error or type(error).__name__}"
