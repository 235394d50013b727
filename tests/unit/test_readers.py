"""Live loops acknowledge after they have acted, and poll without ever starving what else runs."""

import asyncio
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import Context, copy_context
from functools import partial
from typing import Any

import pytest

from hfengine.kernels.readers import LateReader, Spinner, late_reader
from hfengine.kernels.ticker import Ticker
from hfengine.runtime.loops import LiveLoop, SpinningLoop, new_live_loop, number_of

UNACKED_AT = 24
"""Offset of `tcpi_unacked` in Linux' struct tcp_info: eight bytes, then four u32 before it."""

ATTEMPTS = 20
SECOND_NS = 1_000_000_000
PATIENCE_S = 10.0
POLLED_MAX = 64
"""As the stub says."""

Pair = tuple[socket.socket, socket.socket]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="TCP_QUICKACK is Linux'")


def unacked(sender: socket.socket) -> int:
    """Return how many segments the other end has not acknowledged."""
    state = sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, UNACKED_AT + 4)
    return int(struct.unpack_from("=I", state, UNACKED_AT)[0])


def at_once(receiver: socket.socket) -> int:
    """Return 1 where a socket acknowledges as it is read, 0 where it puts that off."""
    return receiver.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)


@contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield the two ends of a TCP connection: what sends, what only receives."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = socket.create_connection(listening.getsockname())
        receiver, _ = listening.accept()
    with sender, receiver:
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        receiver.setblocking(False)
        yield sender, receiver


class Polled:
    """A spinner of real socket pairs and a loop's stand-in: notes readers and turns asked for."""

    def __init__(self, held: ExitStack, count: int, for_ns: int = 0) -> None:
        self.log: list[str] = []
        self.context = copy_context()
        self.spinner = Spinner(self.call_soon, self.context, for_ns)
        self.pairs = [socket.socketpair() for _ in range(count)]
        for near, far in self.pairs:
            near.setblocking(False)
            held.enter_context(near)
            held.enter_context(far)

    def call_soon(self, callback: Callable[[], object], *, context: Context) -> None:
        assert callback is self.spinner
        assert context is self.context
        self.log.append("turn")

    def fd(self, at: int) -> int:
        return self.pairs[at][0].fileno()

    def reader(self, at: int, name: str = "") -> Callable[[], None]:
        def read() -> None:
            self.pairs[at][0].recv(1)
            self.log.append(name or f"read {at}")

        return read

    def add(self, at: int, name: str = "") -> bool:
        return self.spinner.add(self.fd(at), self.reader(at, name))

    def send(self, at: int) -> None:
        self.pairs[at][1].send(b"x")

    def turn(self) -> list[str]:
        """Take one turn; return what happened, the request for the next turn included."""
        self.log.clear()
        self.spinner()
        return list(self.log)


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def pair(held: ExitStack) -> Pair:
    near, far = socket.socketpair()
    near.setblocking(False)
    held.enter_context(near)
    held.enter_context(far)
    return near, far


@pytest.fixture
def spinning() -> Iterator[SpinningLoop]:
    loop = SpinningLoop()
    yield loop
    loop.close()


@pytest.fixture(params=[False, True], ids=["asleep", "spinning"])
def live(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    loop = new_live_loop(spin=request.param)
    assert type(loop) is (SpinningLoop if request.param else LiveLoop)
    yield loop
    loop.close()


def nothing() -> None:
    """Read nothing."""


def fail() -> None:
    raise ArithmeticError("planted")


@linux_only
@pytest.mark.parametrize("error", [False, True])
def test_an_acknowledgement_waits_for_the_reader(error: bool) -> None:
    """An attempt counts less where a stalled machine lets the kernel's own timer (40 ms) in."""
    late = 0
    inside: list[int] = []
    with connection() as (sender, receiver):

        def read() -> None:
            receiver.recv(64)
            inside.append(unacked(sender))
            if error:
                fail()

        reader = late_reader(receiver.fileno(), read)
        assert isinstance(reader, LateReader)
        assert (reader.fd, at_once(receiver)) == (receiver.fileno(), 0)
        for _ in range(ATTEMPTS):
            sender.send(b"frame")
            with pytest.raises(ArithmeticError, match="planted") if error else nullcontext():
                reader()
            late += inside.pop() == 1 and unacked(sender) == 0
            assert at_once(receiver) == 0
    assert late > ATTEMPTS // 2


@linux_only
def test_what_is_no_connection_keeps_its_reader(held: ExitStack) -> None:
    in_end, out_end = os.pipe()
    held.callback(os.close, in_end)
    held.callback(os.close, out_end)
    unix, other = socket.socketpair()
    udp = socket.socket(type=socket.SOCK_DGRAM)
    listening = socket.create_server(("127.0.0.1", 0))
    timer = Ticker(1_000_000_000)
    for one in (unix, other, udp, listening):
        held.enter_context(one)
    closed = os.dup(in_end)
    os.close(closed)
    numbers = [one.fileno() for one in (unix, udp, listening)]
    for fd in (in_end, out_end, closed, -1, timer.fileno(), *numbers):
        assert late_reader(fd, nothing) is nothing
    timer.close()


def test_a_turn_first_asks_for_the_next_even_if_the_reader_raises(held: ExitStack) -> None:
    polled = Polled(held, 1)
    assert polled.add(0)
    polled.send(0)
    assert polled.turn() == ["turn", "read 0"]
    polled.spinner.add(polled.fd(0), fail)
    polled.send(0)
    polled.log.clear()
    with pytest.raises(ArithmeticError, match="planted"):
        polled.spinner()
    assert polled.log == ["turn"]


@pytest.mark.parametrize("at", range(3))
def test_the_reader_of_what_can_be_read_is_called(held: ExitStack, at: int) -> None:
    polled = Polled(held, 3)
    for one in range(3):
        assert polled.add(one)
    polled.send(at)
    assert polled.turn() == ["turn", f"read {at}"]
    assert polled.turn() == ["turn"]


def test_a_turn_reads_one_socket(held: ExitStack) -> None:
    polled = Polled(held, 2)
    for one in range(2):
        polled.add(one)
        polled.send(one)
    heard = [polled.turn()[1:], polled.turn()[1:]]
    assert sorted(heard) == [["read 0"], ["read 1"]]
    assert polled.turn() == ["turn"]


def test_a_reader_takes_the_place_of_an_earlier_one(held: ExitStack) -> None:
    polled = Polled(held, 2)
    for at, name in ((0, "first"), (1, ""), (0, "second")):
        assert polled.add(at, name)
    polled.send(0)
    assert polled.turn() == ["turn", "second"]
    polled.spinner.remove(polled.fd(0))
    polled.send(0)
    assert polled.turn() == ["turn"]


def test_an_unknown_descriptor_is_removed_in_peace(held: ExitStack) -> None:
    polled = Polled(held, 2)
    polled.spinner.remove(polled.fd(0))
    polled.add(0)
    polled.spinner.remove(polled.fd(1))
    polled.spinner.remove(-1)
    polled.send(0)
    assert polled.turn() == ["turn", "read 0"]


def test_more_than_it_can_look_at_is_refused(held: ExitStack) -> None:
    polled = Polled(held, POLLED_MAX + 1)
    assert all(polled.add(at) for at in range(POLLED_MAX))
    assert polled.add(POLLED_MAX) is False
    polled.send(POLLED_MAX)
    assert polled.turn() == ["turn"]
    # one it has already has its place
    assert polled.add(POLLED_MAX - 1, "again")
    polled.send(POLLED_MAX - 1)
    assert polled.turn() == ["turn", "again"]
    polled.spinner.remove(polled.fd(0))
    assert polled.add(POLLED_MAX)
    assert polled.turn() == ["turn", f"read {POLLED_MAX}"]


def test_a_reader_may_remove_itself_and_others_and_add_more(held: ExitStack) -> None:
    polled = Polled(held, 4)

    def change() -> None:
        polled.reader(0)()
        for at in (0, 1):
            polled.spinner.remove(polled.fd(at))
        polled.add(3)

    polled.spinner.add(polled.fd(0), change)
    for at in (1, 2):
        polled.add(at)
    polled.send(0)
    assert polled.turn() == ["turn", "read 0"]
    for at in range(4):
        polled.send(at)
    heard = [polled.turn()[1:] for _ in range(3)]
    assert sorted(heard) == [[], ["read 2"], ["read 3"]]


def test_without_sockets_it_does_not_look(held: ExitStack) -> None:
    polled = Polled(held, 1, SECOND_NS)
    assert polled.turn() == ["turn"]
    polled.add(0)
    polled.spinner.remove(polled.fd(0))
    assert polled.turn() == ["turn"]
    assert polled.spinner.looks == 0


@pytest.mark.parametrize(("for_ns", "more"), [(0, False), (20_000_000, True)])
def test_it_goes_on_looking_for_its_time(held: ExitStack, for_ns: int, more: bool) -> None:
    polled = Polled(held, 1, for_ns)
    polled.add(0)
    assert polled.turn() == ["turn"]
    assert polled.spinner.looks >= 1
    assert (polled.spinner.looks > 1) is more


def test_it_looks_no_longer_than_until_one_can_be_read(held: ExitStack) -> None:
    polled = Polled(held, 1, SECOND_NS)
    polled.add(0)
    polled.send(0)
    assert polled.turn() == ["turn", "read 0"]
    assert polled.spinner.looks == 1


def test_other_threads_run_while_it_looks(held: ExitStack) -> None:
    polled = Polled(held, 1, for_ns=round(PATIENCE_S * 1e9))
    polled.add(0)

    def send_while_it_looks() -> None:
        while polled.spinner.looks == 0:
            time.sleep(0.001)
        polled.send(0)

    thread = threading.Thread(target=send_while_it_looks)
    thread.start()
    heard = polled.turn()
    thread.join()
    assert heard == ["turn", "read 0"]


@pytest.mark.parametrize("as_number", [True, False])
def test_a_loops_reader_is_added_replaced_and_removed(
    live: asyncio.AbstractEventLoop, pair: Pair, as_number: bool
) -> None:
    near, far = pair
    fd = near.fileno() if as_number else near
    assert number_of(fd) == near.fileno()
    heard: list[tuple[str, bytes]] = []

    def read_all(letters: bytes, *args: object) -> list[tuple[str, bytes]]:
        """Send letters and read them with a new reader that is given the arguments."""
        done = live.create_future()
        heard.clear()

        def read(*given: Any) -> None:
            name, size = given or ("bare", 9)
            try:
                heard.append((name, near.recv(size)))
            except BlockingIOError:
                return
            if b"".join(got for _, got in heard) == letters:
                done.set_result(list(heard))

        live.add_reader(fd, read, *args)
        far.send(letters)
        return live.run_until_complete(asyncio.wait_for(done, PATIENCE_S))

    assert read_all(b"abcd", "first", 2) == [("first", b"ab"), ("first", b"cd")]
    assert read_all(b"abcdef", "second", 3) == [("second", b"abc"), ("second", b"def")]
    assert read_all(b"abc") == [("bare", b"abc")]
    for _ in range(2):
        live.remove_reader(fd)
        far.send(b"x")
        live.run_until_complete(asyncio.sleep(0.005))
        assert near.recv(1) == b"x"


@linux_only
def test_a_loop_acknowledges_after_its_reader(live: asyncio.AbstractEventLoop) -> None:
    late = 0
    with connection() as (sender, receiver):
        inside: list[int] = []

        def read() -> None:
            try:
                receiver.recv(64)
            except BlockingIOError:
                return
            inside.append(unacked(sender))
            live.stop()

        live.add_reader(receiver, read)
        for _ in range(ATTEMPTS):
            sender.send(b"frame")
            live.run_forever()
            late += inside.pop() == 1 and unacked(sender) == 0
        live.remove_reader(receiver)
    assert late > ATTEMPTS // 2


def test_an_error_of_a_reader_goes_to_the_handler_and_reading_goes_on(
    live: asyncio.AbstractEventLoop, pair: Pair
) -> None:
    near, far = pair
    told: list[str] = []

    def note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        told.append(repr(context.get("exception")))
        if len(told) == 2:
            live.stop()

    def read() -> None:
        near.recv(1)
        fail()

    live.set_exception_handler(note)
    live.add_reader(near, read)
    far.send(b"xy")
    live.run_forever()
    live.remove_reader(near)
    assert told == ["ArithmeticError('planted')"] * 2


def test_a_spinning_loop_looks_from_run_to_run(spinning: SpinningLoop, pair: Pair) -> None:
    spinning.add_reader(pair[0], nothing)
    for _ in range(3):
        before = spinning._spinner.looks
        spinning.run_until_complete(asyncio.sleep(0))
        assert spinning._spinner.looks > before


def test_a_spinning_loop_reads_what_it_polls(spinning: SpinningLoop, pair: Pair) -> None:
    """The loop's own way to the reader is cut off: what is heard was polled."""
    near, far = pair
    spinning.add_reader(near, near.recv_into, heard := bytearray(3))
    LiveLoop.remove_reader(spinning, near)
    far.send(b"abc")
    spinning.run_until_complete(asyncio.sleep(0.005))
    spinning.remove_reader(near)
    assert heard == b"abc"


def test_a_spinning_loop_serves_more_than_it_can_look_at(
    spinning: SpinningLoop, held: ExitStack
) -> None:
    pairs = [socket.socketpair() for _ in range(POLLED_MAX + 2)]
    heard: set[int] = set()

    def read(at: int) -> None:
        pairs[at][0].recv(1)
        heard.add(at)
        if len(heard) == len(pairs):
            spinning.stop()

    for at, (near, far) in enumerate(pairs):
        held.enter_context(near)
        held.enter_context(far)
        spinning.add_reader(near, read, at)
        far.send(b"x")
    spinning.call_later(PATIENCE_S, spinning.stop)
    spinning.run_forever()
    assert heard == set(range(len(pairs)))
    for near, _far in pairs:
        spinning.remove_reader(near)


FLOOD_MAX = 500_000
"""So many reads end a test whose other work starves."""


class Flood:
    """A socket that can always be read: its reader takes a byte and sends the next."""

    def __init__(self, loop: SpinningLoop, pair: Pair) -> None:
        self.loop = loop
        self.near, self.far = pair
        self.reads = 0
        loop.add_reader(self.near, self.read)
        self.far.send(b"x")

    def read(self) -> None:
        self.far.send(self.near.recv(1))
        self.reads += 1
        if self.reads == FLOOD_MAX:
            self.loop.stop()


def test_a_flood_starves_nothing(spinning: SpinningLoop, held: ExitStack, pair: Pair) -> None:
    """A timer, a call of another thread, a second socket and a transport all come through."""
    flood = Flood(spinning, pair)
    pairs = [held.enter_context(one) for _ in range(2) for one in socket.socketpair()]
    second, called_in = spinning.create_future(), spinning.create_future()

    def read() -> None:
        second.set_result(pairs[0].recv(1))
        spinning.remove_reader(pairs[0])

    async def everything() -> list[object]:
        await asyncio.sleep(0.001)
        spinning.add_reader(pairs[0], read)
        pairs[1].send(b"y")
        call = partial(spinning.call_soon_threadsafe, called_in.set_result, "called")
        thread = threading.Thread(target=call)
        thread.start()
        reader, writer = await asyncio.open_connection(sock=pairs[2])
        pairs[3].send(b"line\n")
        heard = [await second, await called_in, await reader.readline()]
        writer.close()
        await writer.wait_closed()
        thread.join()
        return heard

    assert spinning.run_until_complete(everything()) == [b"y", "called", b"line\n"]
    assert 0 < flood.reads < FLOOD_MAX
    spinning.remove_reader(flood.near)


def test_a_spinning_loop_stops_and_closes_in_a_flood(pair: Pair) -> None:
    loop = SpinningLoop()
    flood = Flood(loop, pair)
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert 0 < flood.reads < FLOOD_MAX
    loop.close()
    assert loop.is_closed()
