"""REST connections that died silently: the next calls do not wait for each of them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import ccxt.async_support as ccxt
import pytest

from hfengine.errors import VenueUnavailable
from hfengine.venues import venue_desk
from hfengine.venues.ccxt_client import drop_idle
from tests.live_desk import live
from tests.localvenue_desk import run_live

CALLS = 4
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"


class Silent:
    """A server whose connections answer until they are told to die silently."""

    def __init__(self) -> None:
        self.connections = 0
        self.dead = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        while (await reader.readuntil(b"\r\n\r\n")) != b"":
            if number > self.dead:
                await asyncio.sleep(0.02)
                writer.write(ANSWER)


def test_idle_connections_are_let_go_and_a_fresh_one_is_made() -> None:
    async def go() -> None:
        silent = Silent()
        server = await asyncio.start_server(silent.accept, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with aiohttp.ClientSession() as session:

            async def call(wait_s: float = 5.0) -> str:
                timeout = aiohttp.ClientTimeout(total=wait_s)
                async with session.get(url, timeout=timeout) as answer:
                    return await answer.text()

            assert await asyncio.gather(*(call() for _ in range(CALLS))) == ["ok"] * CALLS
            silent.dead = silent.connections
            with pytest.raises(TimeoutError):
                await call(0.1)
            exchange = SimpleNamespace(session=session)
            assert drop_idle(exchange) == CALLS - 1
            assert await call() == "ok"
            assert silent.connections == CALLS + 1
        server.close()

    run_live(go, 5.0)


def test_an_exchange_without_a_session_has_nothing_to_let_go() -> None:
    assert drop_idle(SimpleNamespace(session=None)) == 0
    assert drop_idle(SimpleNamespace()) == 0


@pytest.mark.parametrize(("answered", "times"), [(False, 1), (True, 0)])
def test_a_call_without_any_answer_lets_the_others_go(
    monkeypatch: pytest.MonkeyPatch, answered: bool, times: int
) -> None:
    dropped: list[Any] = []
    monkeypatch.setattr(venue_desk, "drop_idle", dropped.append)

    async def go() -> None:
        async with live("bybit") as desk:
            inner = desk.venue._desk

            async def fails(_method: str, _params: Any) -> Any:
                reply = venue_desk.REPLY.get()
                assert reply is not None
                reply.status = 500 if answered else 0
                raise ccxt.RequestTimeout("bybit GET timed out")

            inner._send = fails  # type: ignore[method-assign]
            dropped.clear()
            with pytest.raises(VenueUnavailable):
                await inner.call("publicGetV5MarketTime", {}, group="public")
            assert len(dropped) == times

    run_live(go, 5.0)


@pytest.mark.parametrize("dialect", ["bybit", "binance", "bitget"])
def test_calls_that_no_connection_could_be_made_for_cost_no_budget(dialect: str) -> None:
    async def go() -> None:
        mode = "hedge" if dialect == "bitget" else "one_way"
        async with live(dialect, position_mode=mode) as desk:
            # the streams would go on reading the account
            desk.venue.stop()
            await desk.server.close()
            drop_idle(desk.venue._desk.exchange)
            limiter = desk.venue._desk.limiter
            before = limiter.report()
            for _ in range(5):
                with pytest.raises(VenueUnavailable):
                    await desk.venue.balance()
            assert limiter.report() == before

    run_live(go, 5.0)
