"""What a spinning loop's look costs beside a whole turn, a late acknowledgement, and a timer file.

A look replaces a turn of the loop around every poll: the group "looks" shows the ratio.
"""

import socket
from collections.abc import Iterator
from contextvars import copy_context

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.kernels.readers import LateReader, Spinner, late_reader
from hfengine.kernels.ticker import Ticker

TURNS = 1_000
HOUR_NS = 3_600_000_000_000


@pytest.fixture
def quiet() -> Iterator[socket.socket]:
    """Yield the receiving end of a connection over which nothing comes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = socket.create_connection(listening.getsockname())
        receiver, _ = listening.accept()
    with sender, receiver:
        yield receiver


def ignore(*_given: object, **_named: object) -> None:
    """Take what is asked for and do nothing."""


@pytest.mark.benchmark(group="looks")
def test_a_look(benchmark: BenchmarkFixture, quiet: socket.socket) -> None:
    """As many as the turns below, so that the figures are of the same thing."""
    spinner = Spinner(ignore, copy_context(), 1)
    assert spinner.add(quiet.fileno(), ignore)

    def look() -> None:
        for _ in range(TURNS):
            spinner()

    benchmark(look)
    assert spinner.looks >= TURNS


@pytest.mark.benchmark(group="looks")
def test_a_turn(benchmark: BenchmarkFixture, quiet: socket.socket) -> None:
    """A uvloop that has one quiet socket and nothing to do but to ask for its next turn."""
    loop = uvloop.new_event_loop()
    loop.add_reader(quiet, ignore)
    left = 0

    def turn() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(turn)
        else:
            loop.stop()

    def run() -> None:
        nonlocal left
        left = TURNS
        loop.call_soon(turn)
        loop.run_forever()

    benchmark(run)
    assert left == 0
    loop.remove_reader(quiet)
    loop.close()


@pytest.mark.benchmark(group="late readers")
@pytest.mark.parametrize("late", [False, True], ids=["bare", "late"])
def test_a_reader(benchmark: BenchmarkFixture, quiet: socket.socket, late: bool) -> None:
    reader = late_reader(quiet.fileno(), ignore) if late else ignore
    assert isinstance(reader, LateReader) is late
    benchmark(reader)


@pytest.mark.benchmark(group="ticker")
def test_take(benchmark: BenchmarkFixture) -> None:
    ticker = Ticker(HOUR_NS)
    assert benchmark(ticker.take) == 0
    ticker.close()
