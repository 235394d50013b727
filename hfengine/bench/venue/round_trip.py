"""An order's round trip over the venue's websocket, beside the same frame's over a bare echo."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

from msgspec import Struct
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from hfengine.bench.rounds import Quantiles, Spread, collector_off, spread_of
from hfengine.bench.venue.dialogue import Dialogue, Wanted, dialogue_of
from hfengine.bench.venue.kinds import LIFT, Dialect, Key, MeasureFailed, make_keys
from hfengine.bench.venue.processes import CLIENT_CPU, SERVER_CPU, Venue, child, venue
from hfengine.bench.wire.kinds import Waiting
from hfengine.bench.wire.pairs import quantiles
from hfengine.clock import WallClock, mono_ns
from hfengine.runtime.loops import new_live_loop

SAMPLES: Final = 200
PAUSE_S: Final = 0.002
"""Between an answer and the next request: what the venue does after its answer is over by then."""

WARM_UP: Final = 50
ANSWER_MAX_S: Final = 5.0
SYMBOL: Final = "BTCUSDT"
QUANTITY: Final = str(Decimal("0.002"))


class RoundTrip(Struct, frozen=True, kw_only=True):
    """Market orders that fill, one at a time; times in nanoseconds."""

    ratio: Spread
    """Venue over echo, p50 over p50 of a round."""
    venue_ns: Quantiles
    echo_ns: Quantiles
    rounds: int
    samples: int
    """Requests a turn; each round has a turn of either side."""


class Line(WSListener):
    """One connection on which a request waits for its answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: WSTransport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._answered_ns = 0

    @classmethod
    async def open(cls, url: str) -> "Line":
        """Connect."""
        loop = asyncio.get_running_loop()
        _, line = await ws_connect(lambda: cls(loop), url)
        assert isinstance(line, Line)
        return line

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """Take the answer and the time."""
        self._answered_ns = mono_ns()
        answer = self._answer
        if answer is not None and not answer.done():
            answer.set_result(frame.get_payload_as_bytes())

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """Fail what waits for an answer."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(MeasureFailed("the server closed the connection"))

    async def ask(self, frame: bytes) -> tuple[int, bytes]:
        """Send a frame; return the nanoseconds until its answer, and the answer.

        Raises MeasureFailed when none comes.
        """
        if self._transport is None:
            raise MeasureFailed("the server closed the connection")
        self._answer = answer = self._loop.create_future()
        sent_ns = mono_ns()
        self._transport.send(WSMsgType.TEXT, frame)
        try:
            said = await asyncio.wait_for(answer, ANSWER_MAX_S)
        except TimeoutError:
            raise MeasureFailed(f"no answer within {ANSWER_MAX_S:.0f} s") from None
        return self._answered_ns - sent_ns, said

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.disconnect()


class Orders:
    """Orders to measure: market orders, bought and sold in turn, that leave the account flat."""

    def __init__(self, dialogue: Dialogue, key: Key) -> None:
        self._dialogue = dialogue
        self._key = key
        self._clock = WallClock()
        self._count = 0

    def make(self) -> bytes:
        """Return the next order's frame, signed now."""
        side = -1 if self._count % 2 else 1
        self._count += 1
        return self._dialogue.place(
            self._key,
            Wanted(SYMBOL, side, QUANTITY),
            f"rt{self._count}",
            self._clock.now_ns() // 1_000_000,
        )


def options_of(dialect: Dialect, key: Key) -> list[str]:
    """Return the options of the venue: one symbol whose book stands still."""
    market = ["--feed", "still", "--symbols", SYMBOL]
    return ["--dialect", dialect, *market, "--account", key.option]


def measure_round_trip(
    dialect: Dialect, waiting: Waiting, rounds: int, samples: int = SAMPLES
) -> RoundTrip:
    """Measure `rounds` rounds of `samples` orders and as many echoes of equal frames.

    Client and server have a core each where there are two; both servers sleep between frames,
    the client sleeps or polls. Raises MeasureFailed when an order is refused.
    """
    (key,) = make_keys("rt", 1)
    loop = new_live_loop(spin=waiting == "spin")
    try:
        with (
            venue(options_of(dialect, key)) as served,
            child("hfengine.bench.venue.echo_process") as echo,
            _on_core(CLIENT_CPU),
            collector_off(),
        ):
            served.do(LIFT[dialect])
            echo_port = int(echo.line())
            for server in (served.child, echo):
                server.pin(SERVER_CPU)
            turns = _turns(dialect, served, echo_port, key, rounds, samples)
            return loop.run_until_complete(turns)
    finally:
        loop.close()


async def _turns(
    dialect: Dialect, served: Venue, echo_port: int, key: Key, rounds: int, samples: int
) -> RoundTrip:
    dialogue = dialogue_of(dialect)
    orders = Orders(dialogue, key)
    order_line = await Line.open(served.ws + dialogue.order_path)
    echo_line = await Line.open(f"ws://127.0.0.1:{echo_port}/")
    for hello in dialogue.login(key, WallClock().now_ns() // 1_000_000):
        _, said = await order_line.ask(hello)
        if not dialogue.is_accepted(said):
            raise MeasureFailed(f"{dialect}: {said.decode()}")
    took_ns: dict[str, list[int]] = {"venue": [], "echo": []}
    ratios = []

    def accept(answer: bytes) -> None:
        if not dialogue.is_accepted(answer):
            raise MeasureFailed(f"{dialect}: {answer.decode()}")

    for number in range(-1, rounds):
        count = samples if number >= 0 else min(samples, WARM_UP)
        sides = [("venue", order_line, accept), ("echo", echo_line, _anything)]
        p50: dict[str, int] = {}
        for name, line, check in sides[:: -1 if number % 2 else 1]:
            took = await _turn(line, orders.make, count, check)
            p50[name] = quantiles(took).p50
            if number >= 0:
                took_ns[name].extend(took)
        if number >= 0:
            ratios.append(p50["venue"] / p50["echo"])
    order_line.close()
    echo_line.close()
    return RoundTrip(
        ratio=spread_of(ratios),
        venue_ns=quantiles(took_ns["venue"]),
        echo_ns=quantiles(took_ns["echo"]),
        rounds=rounds,
        samples=samples,
    )


async def _turn(
    line: Line, make: Callable[[], bytes], count: int, check: Callable[[bytes], None]
) -> list[int]:
    """Ask `count` times with a pause before each; return what each took."""
    loop = asyncio.get_running_loop()
    took = []
    for _ in range(count):
        over: asyncio.Future[None] = loop.create_future()
        loop.call_later(PAUSE_S, over.set_result, None)
        await over
        took_ns, answer = await line.ask(make())
        check(answer)
        took.append(took_ns)
    return took


def _anything(_answer: bytes) -> None:
    """Accept an echo."""


@contextmanager
def _on_core(cpu: int) -> Iterator[None]:
    """Keep this thread on one core meanwhile, where there are two."""
    if (os.cpu_count() or 1) < 2 or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
