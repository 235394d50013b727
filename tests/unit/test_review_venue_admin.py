"""Regressions of a review of the operator's door and the sockets: figures that are none, floods."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp.http import WSMsgType
from aiohttp.http_websocket import WebSocketWriter

from tests.localvenue_desk import SYMBOL, run_live, serving

WRONG = [
    {"do": "mark", "symbol": SYMBOL, "mark": "NaN"},
    {"do": "mark", "symbol": SYMBOL, "mark": "-Infinity"},
    {"do": "mark", "symbol": SYMBOL, "mark": "0"},
    {"do": "mark", "symbol": SYMBOL, "mark": "100", "index": "-1"},
    {"do": "mark", "symbol": SYMBOL, "mark": "100", "index": "sNaN"},
    {"do": "funding", "symbol": SYMBOL, "rate": "NaN"},
    {"do": "funding", "symbol": SYMBOL, "rate": "Infinity"},
    {"do": "move", "symbol": SYMBOL, "to_price": "Infinity"},
    {"do": "clock_skew", "ms": "inf"},
    {"do": "adl", "symbol": SYMBOL, "quantity": "NaN"},
    {"do": "close_sockets", "code": [1]},
    {"do": "close_sockets", "code": 99},
    {"do": "close_sockets", "path": "/ws", "coed": 1000},
]


@pytest.mark.parametrize("wrong", WRONG, ids=json.dumps)
def test_a_figure_that_is_none_is_refused_and_leaves_the_market_as_it_was(wrong):
    async def scenario():
        async with serving() as venue, aiohttp.ClientSession() as client:
            venue.dialect.buy("a")
            await asyncio.sleep(0.01)
            before = venue.world.ticker(SYMBOL)
            url = f"{venue.http}/admin/do"
            async with client.post(url, data=json.dumps(wrong)) as answer:
                assert answer.status == 400, await answer.text()
                assert "error" in await answer.json()
            assert venue.world.ticker(SYMBOL) == before
            venue.world.move(SYMBOL, 10)
            assert venue.dialect.buy("b") == "filled"

    run_live(scenario)


@pytest.mark.parametrize("wallet", ["NaN", "Infinity", "-1", "1e-30"])
def test_a_deposit_that_is_none_opens_no_account(wallet):
    async def scenario():
        async with serving() as venue, aiohttp.ClientSession() as client:
            new = {"account": "x", "key": "kx", "secret": "sx", "wallet_usdt": wallet}
            async with client.post(f"{venue.http}/admin/accounts", json=new) as answer:
                assert answer.status == 400
                assert "sx" not in await answer.text()
            assert venue.world.exchange.accounts == ("main",)
            assert "kx" not in venue.world.keys

    run_live(scenario)


def test_a_message_in_endless_fragments_is_cut_off():
    async def scenario():
        async with serving() as venue, aiohttp.ClientSession() as client:
            async with client.ws_connect(f"{venue.http}/ws") as socket:
                await socket.receive()
                writer: WebSocketWriter = socket._writer
                piece = b"x" * 100_000
                transport = writer.transport
                # a text frame that never ends: FIN is not set, the mask is nothing
                head = bytes([WSMsgType.TEXT]) + bytes([0x80 | 127]) + len(piece).to_bytes(8, "big")
                more = bytes([0x80 | 127]) + len(piece).to_bytes(8, "big") + bytes(4) + piece
                transport.write(head + bytes(4) + piece)
                for _ in range(12):
                    transport.write(b"\x00" + more)
                    await asyncio.sleep(0)
                ended = await asyncio.wait_for(socket.receive(), 5)
                assert ended.type in {WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.ERROR}
            for _ in range(50):
                if not venue.dialect.sessions:
                    break
                await asyncio.sleep(0.01)
            assert venue.dialect.sessions == []

    run_live(scenario)


HALF_A_HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: abc\r\n\r\n",
)


@pytest.mark.parametrize("request_bytes", HALF_A_HANDSHAKE)
def test_a_handshake_that_fails_leaves_no_session_behind(request_bytes):
    async def scenario():
        async with serving() as venue:
            reader, writer = await asyncio.open_connection("127.0.0.1", venue.server.port)
            writer.write(request_bytes)
            assert (await reader.read()).startswith(b"HTTP/1.1 400")
            writer.close()
            await writer.wait_closed()
            assert venue.dialect.sessions == []

    run_live(scenario)
