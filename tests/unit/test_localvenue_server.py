"""The local venue's one port: REST and websockets by real clients, and faults of transport."""

import asyncio

import aiohttp
import pytest

from hfengine.errors import ConfigError
from hfengine.localvenue.faults import Rule
from tests.localvenue_desk import decoded, run_live, serving


async def receive(socket, timeout_s=2.0):
    return await asyncio.wait_for(socket.receive(), timeout_s)


async def text_of(socket):
    message = await receive(socket)
    assert message.type == aiohttp.WSMsgType.TEXT, message
    return message.data


def test_a_request_arrives_byte_for_byte():
    async def scenario():
        async with serving() as venue, aiohttp.ClientSession() as client:
            url = f"{venue.http}/echo?b=2&a=%20x&a=y+z&signature=abc"
            async with client.post(
                aiohttp.client.URL(url, encoded=True),
                data=b'{"raw":  1}',
                headers={"X-Agent": "bot"},
            ) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"] == "application/json"
                assert await answer.json() == {
                    "method": "POST",
                    "raw_query": "b=2&a=%20x&a=y+z&signature=abc",
                    "query": {"b": "2", "a": "y z", "signature": "abc"},
                    "body": '{"raw":  1}',
                    "agent": "bot",
                    "remote": "127.0.0.1",
                }

    run_live(scenario)


def test_unknown_paths_and_failing_handlers_are_answered(caplog):
    async def scenario():
        problems = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: problems.append(context)
        )
        async with serving() as venue, aiohttp.ClientSession() as client:
            async with client.get(f"{venue.http}/nothing") as answer:
                assert (answer.status, await answer.json()) == (404, {"no": "/nothing"})
            async with client.get(f"{venue.http}/fail") as answer:
                assert answer.status == 500
            assert [str(context["exception"]) for context in problems] == ["planted"]
            async with client.get(f"{venue.http}/echo") as answer:
                assert answer.status == 200

    run_live(scenario)


def test_requests_on_one_connection_are_answered_in_order():
    async def scenario():
        async with serving() as venue:
            reader, writer = await asyncio.open_connection("127.0.0.1", venue.server.port)
            for path in ("/slow?n=1", "/slow?n=2", "/echo"):
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                await asyncio.sleep(0.005)
            bodies = []
            for _ in range(3):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.partition("Content-Length: ")[2].partition("\r")[0])
                bodies.append(decoded(await reader.readexactly(length)))
            assert [body.get("slow", "echo") for body in bodies] == ["1", "2", "echo"]
            writer.close()

    run_live(scenario)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_ends(sent, status):
    async def scenario():
        async with serving() as venue:
            reader, writer = await asyncio.open_connection("127.0.0.1", venue.server.port)
            writer.write(sent)
            assert (await reader.read()).startswith(f"HTTP/1.1 {status} ".encode())
            writer.close()

    run_live(scenario)


def test_a_body_that_comes_late_is_waited_for():
    async def scenario():
        async with serving() as venue:
            reader, writer = await asyncio.open_connection("127.0.0.1", venue.server.port)
            writer.write(b"POST /echo HTTP/1.1\r\nContent-Le")
            await asyncio.sleep(0.01)
            writer.write(b"ngth: 4\r\nExpect: 100-continue\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"ab")
            await asyncio.sleep(0.01)
            writer.write(b"cdGET /echo HTTP/1.0\r\n\r\n")
            received = (await reader.read()).decode()
            assert '"body":"abcd"' in received
            assert received.count("HTTP/1.1 200 OK") == 2
            assert "Connection: close" in received
            writer.close()

    run_live(scenario)


def test_a_websocket_may_follow_rest_calls_on_their_connection():
    async def scenario():
        connector = aiohttp.TCPConnector(limit=1)
        async with serving() as venue, aiohttp.ClientSession(connector=connector) as client:
            async with client.get(f"{venue.http}/echo") as answer:
                await answer.read()
            async with client.ws_connect(f"{venue.http}/ws?name=bot") as socket:
                assert await text_of(socket) == "welcome bot"
                await socket.send_str("hello")
                assert await text_of(socket) == "heard hello"
                await socket.send_str("x" * 200_000)
                assert len(await text_of(socket)) == 200_006
                await socket.ping()
                session = venue.dialect.sessions[0]
            await asyncio.sleep(0.05)
            assert session.ended == 1
            assert venue.dialect.sessions == []

    run_live(scenario)


def test_a_path_without_a_socket_is_404_and_a_close_code_arrives():
    async def scenario():
        async with serving() as venue, aiohttp.ClientSession() as client:
            with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
                await client.ws_connect(f"{venue.http}/nowhere")
            for code in (1000, 1008, 4001):
                async with client.ws_connect(f"{venue.http}/ws") as socket:
                    await text_of(socket)
                    await socket.send_str(f"close {code}")
                    assert (await receive(socket)).type == aiohttp.WSMsgType.CLOSE
                    assert socket.close_code == code

    run_live(scenario)


def test_the_answer_comes_before_the_reports_of_what_it_did():
    async def scenario():
        async with (
            serving() as venue,
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{venue.http}/ws") as socket,
        ):
            await text_of(socket)
            await socket.send_str("orders")
            assert await text_of(socket) == "heard orders"
            await socket.send_str("buy a1")
            heard = [await text_of(socket) for _ in range(4)]
            assert heard[0] == "heard buy a1"
            assert heard[1] == "report main OrderReport"
            assert "report main FillReport" in heard

    run_live(scenario)


def test_cut_before_does_nothing_and_cut_after_does_it():
    async def scenario():
        async with serving() as venue, aiohttp.ClientSession() as client:
            faults = venue.world.faults
            faults.add(Rule(kind="cut_before", path="/buy"))
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await client.post(f"{venue.http}/buy?id=a1")
            assert venue.orders() == []
            faults.add(Rule(kind="cut_after", path="/buy"))
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await client.post(f"{venue.http}/buy?id=a2")
            assert venue.orders() == ["a2"]
            async with client.post(f"{venue.http}/buy?id=a3") as answer:
                assert await answer.json() == {"state": "filled"}

    run_live(scenario)


def test_errors_statuses_and_delays_in_place_of_answers():
    async def scenario():
        async with serving() as venue, aiohttp.ClientSession() as client:
            faults = venue.world.faults
            faults.add(Rule(kind="error_before", path="/buy", code=7, message="no", status=400))
            faults.add(Rule(kind="error_after", path="/buy", code=8, message="late"))
            faults.add(Rule(kind="http_status", path="/echo", status=502, message="<html>"))
            faults.add(Rule(kind="delay_answer", path="/echo", delay_ms=80))

            async def post(client_id):
                async with client.post(f"{venue.http}/buy?id={client_id}") as answer:
                    return answer.status, await answer.json()

            assert await post("a1") == (400, {"code": 7, "message": "no"})
            assert venue.orders() == []
            assert await post("a2") == (200, {"code": 8, "message": "late"})
            assert venue.orders() == ["a2"]
            async with client.get(f"{venue.http}/echo") as answer:
                assert (answer.status, await answer.text()) == (502, "<html>")
            loop = asyncio.get_running_loop()
            before_s = loop.time()
            async with client.get(f"{venue.http}/echo") as answer:
                assert answer.status == 200
            assert loop.time() - before_s >= 0.078

    run_live(scenario)


def test_frames_are_dropped_doubled_swapped_and_delayed():
    async def scenario():
        async with (
            serving() as venue,
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{venue.http}/ws") as socket,
        ):
            await text_of(socket)
            faults = venue.world.faults
            faults.add(Rule(kind="drop_frame", topic="one"))
            faults.add(Rule(kind="duplicate_frame", topic="two"))
            faults.add(Rule(kind="reorder_frame", topic="three"))
            faults.add(Rule(kind="delay_frame", topic="five", delay_ms=30))
            for text in ("one", "two", "three", "four", "five", "six"):
                await socket.send_str(text)
            heard = [(await text_of(socket)).removeprefix("heard ") for _ in range(6)]
            assert heard == ["two", "two", "four", "three", "six", "five"]

    run_live(scenario)


def test_a_socket_is_dropped_closed_or_stalled():
    async def scenario():
        async with serving() as venue, aiohttp.ClientSession() as client:
            faults = venue.world.faults
            for kind in ("drop_socket", "close_socket", "stall_socket"):
                async with client.ws_connect(f"{venue.http}/ws") as socket:
                    await text_of(socket)
                    faults.add(Rule(kind=kind, path="/ws", code=1012))
                    await socket.send_str("hello")
                    if kind == "stall_socket":
                        await socket.send_str("anybody there?")
                        with pytest.raises(TimeoutError):
                            await receive(socket, 0.1)
                        assert venue.dialect.sessions[0].heard_frames == [b"hello"]
                    else:
                        assert (await receive(socket)).type in (
                            aiohttp.WSMsgType.CLOSE,
                            aiohttp.WSMsgType.CLOSED,
                        )
                        assert socket.close_code == (1006 if kind == "drop_socket" else 1012)

    run_live(scenario)


def test_an_order_over_a_socket_is_cut_before_or_after_it_is_done():
    async def scenario():
        async with serving() as venue, aiohttp.ClientSession() as client:
            for kind, done in (("cut_before", []), ("cut_after", ["cut_after"])):
                async with client.ws_connect(f"{venue.http}/ws") as socket:
                    await text_of(socket)
                    venue.world.faults.add(Rule(kind=kind, topic="buy"))
                    await socket.send_str(f"buy {kind}")
                    assert (await receive(socket)).type == aiohttp.WSMsgType.CLOSED
                    assert venue.orders() == done

    run_live(scenario)


def test_many_frames_of_one_turn_reach_a_slow_reader_whole_and_in_order():
    async def scenario():
        async with (
            serving() as venue,
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{venue.http}/ws", max_msg_size=0) as socket,
        ):
            await text_of(socket)
            session = venue.dialect.sessions[0]
            transport = socket._response.connection.transport
            transport.pause_reading()
            sent = []
            for turn in range(3):
                for number in range(150):
                    size = (7, 130, 1_000, 5_000, 9_000, 70_000)[number % 6]
                    sent.append(f"{turn} {number} ".ljust(size, "x"))
                    session.socket.send(sent[-1].encode())
                await asyncio.sleep(0.01)
            transport.resume_reading()
            for text in sent:
                assert await text_of(socket) == text

    run_live(scenario)


def test_a_client_that_does_not_read_is_dropped(monkeypatch):
    monkeypatch.setattr("hfengine.localvenue.sockets.UNSENT_BYTES_MAX", 1_000_000)

    async def scenario():
        async with (
            serving() as venue,
            aiohttp.ClientSession() as client,
            client.ws_connect(f"{venue.http}/ws") as socket,
        ):
            await text_of(socket)
            session = venue.dialect.sessions[0]
            transport = socket._response.connection.transport
            transport.pause_reading()
            for _ in range(200):
                session.socket.send(b"x" * 100_000)
                await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0.01)
                if session.ended:
                    break
            assert session.ended == 1
            transport.resume_reading()

    run_live(scenario)


def test_a_taken_port_is_named():
    async def scenario():
        async with serving() as venue, serving() as other:
            with pytest.raises(ConfigError, match=f"port {venue.server.port} .*--port"):
                await other.server.start("127.0.0.1", venue.server.port)

    run_live(scenario)


def test_after_close_nothing_listens_and_clients_are_gone():
    async def scenario():
        async with aiohttp.ClientSession() as client:
            async with serving() as venue:
                socket = await client.ws_connect(f"{venue.http}/ws")
                await text_of(socket)
                http = venue.http
            assert venue.dialect.stopped
            assert (await receive(socket)).type == aiohttp.WSMsgType.CLOSED
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.get(f"{http}/echo")

    run_live(scenario)
