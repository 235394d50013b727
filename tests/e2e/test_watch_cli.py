"""`hfengine watch` against scripted venues, and without any venue."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from hfengine.cli.main import app
from tests.scripted_server import Peer, ScriptedServer
from tests.scripted_venues import BinanceVenue, BybitVenue

WATCH = [sys.executable, "-m", "hfengine.cli.main", "watch"]


async def watched(*options: str) -> tuple[int, str, str]:
    """Run the command beside a server on this loop; return exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        *WATCH, *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


def last_json(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output)
    return found


def test_bybit_books_are_shown() -> None:
    async def test() -> None:
        venue = BybitVenue()
        answer = venue.hear

        def hear(peer: Peer, payload: bytes) -> None:
            answer(peer, payload)
            peer.send(*(venue.delta("BTCUSDT", bid="60000.0") for _ in range(20)))

        venue.hear = hear
        async with venue.serving():
            options = ["--symbol", "BTCUSDT", "--symbol", "ETHUSDT", "--url", venue.url]
            code, output, errors = await watched(*options, "--duration", "1s", "--json")
        assert (code, errors) == (0, "")
        seen = last_json(output)
        assert seen["exchange"] == "bybit"
        row = seen["symbols"]["BTCUSDT"]
        assert (row["synced"], row["bid"], row["ask"], row["updates"]) == (
            True,
            60000.0,
            60000.1,
            21,
        )
        assert seen["symbols"]["ETHUSDT"]["synced"]
        assert row["faults"] == {}
        assert row["latency_ms"]["p50"] > 0
        assert seen["links"][0]["reconnects"] == 0
        assert seen["decode_ns"]["count"] == 22
        assert "offset between the two clocks" in seen["latency_note"]

    asyncio.run(test())


def test_binance_books_are_shown_line_by_line() -> None:
    async def test() -> None:
        venue = BinanceVenue()
        async with venue.serving(), venue.serving_rest():
            rest = f"http://127.0.0.1:{venue.rest_port}"
            options = ["--exchange", "binance", "--url", venue.url, "--rest-url", rest]
            code, output, errors = await watched(*options, "--duration", "1.5s")
        assert (code, errors) == (0, "")
        assert output.count("BTCUSDT      synced") >= 2
        assert "binance/public/stream#1: 1 frames, 0 reconnects" in output

    asyncio.run(test())


def test_a_symbol_without_a_book_is_an_exit_code_and_a_reason() -> None:
    async def test() -> None:
        server = ScriptedServer()
        server.refuses = True
        async with server.serving():
            code, output, errors = await watched(
                "--url", server.url, "--duration", "300ms", "--json"
            )
        assert code == 5
        assert not last_json(output)["symbols"]["BTCUSDT"]["synced"]
        assert errors.startswith("hfengine: no whole book of BTCUSDT: disconnected: no connection")

    asyncio.run(test())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--url", "http://127.0.0.1:1"], "is no socket address"),
        (["--url", "ws://127.0.0.1:1", "--exchange", "okx"], "works with binance and bybit only"),
        (["--url", "ws://127.0.0.1:99999"], "--url 'ws://127.0.0.1:99999' is no socket address"),
        (["--url", "ws://[::1"], "--url 'ws://[::1' is no socket address: Invalid IPv6"),
        (["--duration", "soon"], "is no duration"),
        (["--symbol", "NOUSDT", "--url", "ws://127.0.0.1:9"], "not in the bybit catalogue of"),
    ],
)
def test_options_that_cannot_be_are_refused(options: list[str], problem: str) -> None:
    done = CliRunner().invoke(app, ["watch", *options])
    assert done.exit_code != 0
    assert problem in str(done.exception)


def broken_pipe() -> int:
    ours, theirs = os.pipe()
    os.close(ours)
    return theirs


def full_device() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize(
    ("output", "errors"),
    [(broken_pipe, ""), (full_device, "hfengine: No space left on device\n")],
)
def test_an_output_that_cannot_be_written_ends_it_at_once(
    output: Callable[[], int], errors: str
) -> None:
    async def test() -> None:
        venue = BybitVenue()
        async with venue.serving():
            stdout = output()
            process = await asyncio.create_subprocess_exec(
                *(*WATCH, "--url", venue.url, "--duration", "1h"),
                stdout=stdout,
                stderr=asyncio.subprocess.PIPE,
            )
            os.close(stdout)
            _, said = await asyncio.wait_for(process.communicate(), 30)
        assert (process.returncode, said.decode()) == (1, errors)

    asyncio.run(test())


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_not_hurt(closed: str) -> None:
    async def test() -> None:
        venue = BybitVenue()
        async with venue.serving():
            process = await asyncio.create_subprocess_shell(
                f"{' '.join(WATCH)} --url {venue.url} --duration 300ms {closed}",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            output, errors = await asyncio.wait_for(process.communicate(), 30)
        assert (process.returncode, errors) == (0, b"")
        assert (output == b"") == (" >&-" in f" {closed}")

    asyncio.run(test())
