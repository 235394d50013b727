"""A connection with ourselves takes in what it sends, and what breaks it is told, never raised."""

import asyncio
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

import pytest

from hfengine.actors.tally import DayResult, Tally
from hfengine.actors.wiring import Wiring
from hfengine.clock import VirtualClock
from hfengine.instruments import load_catalogue
from hfengine.rehearsal import Rehearsal
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.seeds import Numbers, OrderIds
from hfengine.settings import Settings
from hfengine.settings import Venue as VenueSettings
from hfengine.venues.loopback import READ_MAX, Loopback
from hfengine.venues.rehearsed import (
    Sink,
    rehearsed_bybit,
    rehearsed_over_loopback,
)
from tests.rig import T0_NS

PLANTED = "planted"


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def fail(*_given: object, **_named: object) -> NoReturn:
    raise OSError(errno.EMFILE, PLANTED)


def ends(loopback: Loopback) -> tuple[socket.socket, socket.socket]:
    """Return what sends and what takes in."""
    assert loopback._ends is not None
    return loopback._ends


def waiting_bytes(end: socket.socket) -> bytes:
    """Return what has come in and was not taken."""
    try:
        return end.recv(64, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    made = Loopback()
    yield made
    made.close()


@pytest.mark.parametrize("size", [1, 400, READ_MAX])
def test_what_is_carried_comes_in_and_is_taken(loopback: Loopback, size: int) -> None:
    payload = bytes(range(1, 251)) * (size // 250 + 1)
    for at in range(5):
        sent = payload[at : at + size]
        loopback.carry(sent)
        assert bytes(loopback._room[: len(sent)]) == sent
        assert waiting_bytes(ends(loopback)[1]) == b""
    assert loopback.fault == ""


def test_more_than_the_buffers_hold_is_carried(loopback: Loopback) -> None:
    to, end = ends(loopback)
    held_bytes = sum(
        one.getsockopt(socket.SOL_SOCKET, which)
        for one, which in ((to, socket.SO_SNDBUF), (end, socket.SO_RCVBUF))
    )
    payload = bytes(1 << 14)
    for _ in range(10 * held_bytes // len(payload)):
        loopback.carry(payload)
    assert loopback.fault == ""
    assert waiting_bytes(end) == b""


def test_both_ends_are_quick_and_never_wait(loopback: Loopback) -> None:
    to, end = ends(loopback)
    for one in (to, end):
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert not one.getblocking()
    assert to.getpeername() == end.getsockname()
    assert end.getpeername() == to.getsockname()
    assert to.getpeername()[0] == "127.0.0.1"


def test_closing_leaves_no_file_and_what_comes_after_goes_nowhere() -> None:
    before = open_files()
    loopback = Loopback()
    # nobody else can connect: the listening socket is gone
    assert open_files() == before + 2
    loopback.carry(b"frame")
    for _ in range(2):
        loopback.close()
        assert open_files() == before
        loopback.carry(b"frame")
    assert loopback.fault == ""


@pytest.mark.parametrize("step", ["create_server", "create_connection"])
def test_no_connection_is_a_fault(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_files()
    monkeypatch.setattr(socket, step, fail)
    loopback = Loopback()
    assert loopback.fault == f"no connection with ourselves: {PLANTED}"
    assert open_files() == before
    loopback.carry(b"frame")
    loopback.close()
    assert loopback.fault == f"no connection with ourselves: {PLANTED}"


def test_a_connection_that_does_not_come_through_is_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = open_files()

    def time_out(_listening: socket.socket) -> NoReturn:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket.socket, "accept", time_out)
    loopback = Loopback()
    assert loopback.fault == "no connection with ourselves: timed out"
    assert open_files() == before


def test_nobody_else_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process connects between our listening and our own connection."""
    before = open_files()
    strangers: list[socket.socket] = []
    real = socket.create_connection

    def too_late(address: tuple[str, int], timeout_s: float) -> socket.socket:
        strangers.append(real(address, timeout_s))
        return real(address, timeout_s)

    monkeypatch.setattr(socket, "create_connection", too_late)
    loopback = Loopback()
    assert loopback.fault == "no connection with ourselves: another process connected first"
    [stranger] = strangers
    loopback.carry(b"frame")
    stranger.settimeout(10)
    try:
        heard = stranger.recv(64)
    except ConnectionResetError:
        heard = b""
    stranger.close()
    assert heard == b""
    assert open_files() == before


def test_a_broken_end_is_a_fault_for_good() -> None:
    before = open_files()
    loopback = Loopback()
    loopback.carry(b"frame")
    ends(loopback)[0].shutdown(socket.SHUT_RDWR)
    loopback.carry(b"frame")
    told = f"the connection with ourselves broke: {os.strerror(errno.EPIPE)}"
    assert loopback.fault == told
    assert open_files() == before
    loopback.carry(b"frame")
    loopback.close()
    assert loopback.fault == told


def test_a_full_connection_is_a_fault(loopback: Loopback) -> None:
    """Whatever filled it: it is told instead of waited for."""
    to, _end = ends(loopback)
    with suppress(BlockingIOError):
        while True:
            to.send(bytes(1 << 20))
    loopback.carry(bytes(1 << 20))
    told = f"the connection with ourselves broke: {os.strerror(errno.EAGAIN)}"
    assert loopback.fault == told


def test_a_sink_carries_what_it_takes(loopback: Loopback) -> None:
    sink = Sink(loopback)
    sink.send(b"first")
    sink.send(b"second")
    assert (sink.frames, sink.last_frame) == (2, b"second")
    assert bytes(loopback._room[:6]) == b"second"
    sink.close()
    assert loopback._ends is None
    plain = Sink()
    plain.send(b"frame")
    plain.close()
    assert (plain.frames, plain.last_frame, plain.loopback) == (1, b"frame", None)


class Stage:
    """A host with nothing on it, and a rehearsal beside it whose orders go over a loopback."""

    def __init__(self) -> None:
        self.clock = VirtualClock(T0_NS)
        self.loop = VirtualLoop(self.clock)
        asyncio.set_event_loop(self.loop)
        host = ActorHost(self.loop, self.clock)
        instruments = {"BTCUSDT": load_catalogue("bybit").find("BTCUSDT")}
        real = rehearsed_bybit(instruments, self.clock, self.loop)
        wiring = Wiring(
            settings=Settings(symbols=("BTCUSDT",), venue=VenueSettings(catalogue="bybit")),
            instruments=instruments,
            venue=real,
            stages=Stages(),
            intents=Numbers(),
            signals=Numbers(),
            order_ids=OrderIds("real"),
            journal_ok=lambda: True,
            pause=self.pause,
            tally=Tally(),
            day=DayResult(),
            heard_fills=set(),
        )
        wiring.stages.frame_at_ns = 0
        self.venue = rehearsed_over_loopback(instruments, self.clock, self.loop)
        self.rehearsal = Rehearsal(wiring, host, lambda: self.venue)

    @property
    def loopback(self) -> Loopback:
        assert self.venue.sink.loopback is not None
        return self.venue.sink.loopback

    async def pause(self, seconds: float) -> None:
        woken = self.loop.create_future()
        self.loop.call_later(seconds, woken.set_result, None)
        await woken

    def run(self, seconds: float) -> None:
        self.loop.run_until_complete(self.pause(seconds))

    def end(self) -> None:
        self.loop.run_until_complete(self.rehearsal.end())


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.venue.stop()
    asyncio.set_event_loop(None)
    made.loop.close()


def carried(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Note from now on what a loopback carries."""
    noted: list[bytes] = []
    real = loopback.carry

    def carry(payload: bytes) -> None:
        noted.append(payload)
        real(payload)

    monkeypatch.setattr(loopback, "carry", carry)
    return noted


def test_a_rehearsals_orders_go_over_the_loopback(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = carried(stage.loopback, monkeypatch)
    stage.rehearsal.begin()
    stage.run(0.05)
    assert stage.rehearsal.fault == ""
    assert len(frames) == stage.rehearsal.walks > 0
    assert frames[-1] == stage.venue.sink.last_frame
    assert b"order.create" in frames[-1]
    assert bytes(stage.loopback._room).startswith(frames[-1])
    assert waiting_bytes(ends(stage.loopback)[1]) == b""
    stage.end()


def test_a_loopback_that_breaks_shows_while_walks_go_on(stage: Stage) -> None:
    stage.rehearsal.begin()
    stage.run(0.02)
    walked = stage.rehearsal.walks
    assert stage.rehearsal.fault == ""
    ends(stage.loopback)[0].shutdown(socket.SHUT_RDWR)
    stage.run(0.02)
    assert stage.rehearsal.fault == stage.loopback.fault
    assert "broke" in stage.rehearsal.fault
    assert stage.rehearsal.walks >= walked + 15
    stage.end()


def test_a_death_is_told_before_a_broken_loopback(stage: Stage) -> None:
    ends(stage.loopback)[0].shutdown(socket.SHUT_RDWR)
    stage.loopback.carry(b"frame")
    stage.rehearsal._died("risk", ArithmeticError(PLANTED), T0_NS)
    assert stage.rehearsal.fault == f"risk died: ArithmeticError({PLANTED!r})"
    stage.end()


def test_the_end_of_a_rehearsal_closes_its_loopback(stage: Stage) -> None:
    stage.rehearsal.begin()
    stage.run(0.01)
    before = open_files()
    stage.end()
    assert stage.loopback._ends is None
    assert open_files() == before - 2
    assert stage.rehearsal.fault == ""
