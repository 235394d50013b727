"""A client of the load measurement: `python -m hfengine.bench.venue.watcher WATCH`, WATCH as JSON.

It hears the market and its accounts, orders at a steady pace, and says how late frames were. It
prints `ready`, waits for a line, measures, and prints what it saw.
"""

import asyncio
import gc
import sys
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Final

import msgspec
from msgspec import Struct, field
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from hfengine.bench.rounds import Quantiles
from hfengine.bench.venue.dialogue import Dialogue, Wanted, dialogue_of
from hfengine.bench.venue.kinds import Dialect, Key, MeasureFailed, listed
from hfengine.bench.wire.pairs import quantiles
from hfengine.clock import WallClock, mono_ns
from hfengine.instruments import Instrument
from hfengine.localvenue.still import start_ticks
from hfengine.runtime.loops import new_live_loop

QUARTERS: Final = 4
ORDER_USDT: Final = Decimal(20)
FAR: Final = Decimal("0.97")
"""Where a resting order stands, of the price the market starts at; it wanders by 1.5 % at most."""

FILL_UP_S: Final = 0.5
"""Between the last subscription and `ready`: snapshots are sent meanwhile."""

LAST_ANSWERS_S: Final = 1.0
REFUSALS_KEPT: Final = 3


NOTHING: Final = Quantiles(0, 0, 0, 0, 0)


class Watch(Struct, frozen=True, kw_only=True):
    """What a client is to do."""

    dialect: Dialect
    name: str
    http: str
    ws: str
    symbols: int
    keys: list[Key]
    orders_per_s: float
    seconds: float


class Seen(Struct, kw_only=True):
    """What a client saw while it measured; lags and round trips in nanoseconds."""

    wall_s: float = 0.0
    frames: int = 0
    book_frames: int = 0
    bytes: int = 0
    account_frames: int = 0
    gaps: int = 0
    """Numbers of book frames that never came."""
    lag_ns: Quantiles = NOTHING
    """Receipt less the venue's stamp, which is in whole milliseconds."""
    quarters_ns: list[Quantiles] = field(default_factory=list)
    """The same by quarter of the run."""
    orders: int = 0
    answers: int = 0
    refused: int = 0
    refusals: list[str] = field(default_factory=list)
    took_ns: Quantiles = NOTHING
    """Round trips of the order requests."""


class _Market(WSListener):
    """The connection of market data."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._clock = WallClock()
        self._last: dict[bytes, int] = {}
        self._quarter_ns = self._start_ns = 0
        self.lags_ns = [array("q") for _ in range(QUARTERS)]
        self.frames = self.book_frames = self.bytes = self.gaps = 0
        self.is_open = False

    def begin(self, seconds: float) -> None:
        """Measure from now on."""
        self.frames = self.book_frames = self.bytes = self.gaps = 0
        self._quarter_ns = int(seconds * 1e9 / QUARTERS)
        self._start_ns = self._clock.now_ns()

    def on_ws_connected(self, _transport: WSTransport) -> None:
        """Know that it is there."""
        self.is_open = True

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """Know that it is gone."""
        self.is_open = False

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """Note lag and number of a frame."""
        now_ns = self._clock.now_ns()
        payload = frame.get_payload_as_bytes()
        self.frames += 1
        self.bytes += len(payload)
        numbered = self._dialogue.numbered(payload)
        if numbered is not None:
            self.book_frames += 1
            stream, before, number = numbered
            last = self._last.get(stream, 0)
            # the same number again is a repetition
            if last and before and last not in (before, number):
                self.gaps += 1
            self._last[stream] = number
        stamp_ms = self._dialogue.stamp_ms(payload)
        if stamp_ms and self._quarter_ns:
            quarter = (now_ns - self._start_ns) // self._quarter_ns
            if quarter < QUARTERS:
                self.lags_ns[quarter].append(now_ns - stamp_ms * 1_000_000)


class _Account(WSListener):
    """A private stream."""

    def __init__(self) -> None:
        self.frames = 0

    def on_ws_frame(self, _transport: WSTransport, _frame: WSFrame) -> None:
        """Count."""
        self.frames += 1


class _Orders(WSListener):
    """An order connection: answers come in the order of the requests."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._waiting: deque[int] = deque()
        self._transport: WSTransport | None = None
        self.took_ns = array("q")
        self.sent = self.refused = 0
        self.refusals: list[str] = []

    @property
    def owed(self) -> int:
        """Requests without an answer so far."""
        return len(self._waiting)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """Send nothing more."""
        self._transport = None

    def ask(self, frame: bytes) -> None:
        """Send a request; raises MeasureFailed when the connection is over."""
        if self._transport is None:
            raise MeasureFailed("the venue closed an order connection")
        self.sent += 1
        self._waiting.append(mono_ns())
        self._transport.send(WSMsgType.TEXT, frame)

    def begin(self) -> None:
        """Count from now on."""
        self.sent = 0
        self.took_ns = array("q")

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        """Take an answer."""
        now_ns = mono_ns()
        if self._waiting:
            self.took_ns.append(now_ns - self._waiting.popleft())
        answer = frame.get_payload_as_bytes()
        if not self._dialogue.is_accepted(answer):
            self.refused += 1
            if len(self.refusals) < REFUSALS_KEPT:
                self.refusals.append(answer.decode(errors="replace"))


class Flow:
    """Order requests one after another: bought, sold, rested, cancelled; then the next symbol."""

    def __init__(self, watch: Watch, dialogue: Dialogue, symbols: list[Instrument]) -> None:
        self._watch = watch
        self._dialogue = dialogue
        self._symbols = symbols
        self._clock = WallClock()
        self.count = 0

    def make(self) -> tuple[int, bytes]:
        """Return which key asks, and its next request."""
        turn, step = divmod(self.count, 4)
        self.count += 1
        number = turn % len(self._watch.keys)
        key = self._watch.keys[number]
        instrument = self._symbols[turn % len(self._symbols)]
        now_ms = self._clock.now_ns() // 1_000_000
        symbol, order_id = instrument.symbol, f"{self._watch.name}-{turn}"
        if step == 3:
            return number, self._dialogue.cancel(key, symbol, f"{order_id}-2", now_ms)
        wanted = wanted_order(instrument, step)
        return number, self._dialogue.place(key, wanted, f"{order_id}-{step}", now_ms)


def wanted_order(instrument: Instrument, step: int) -> Wanted:
    """Return the order of a step: 0 buys, 1 sells again, 2 rests far below the market."""
    price = instrument.price_tick * start_ticks(instrument)
    steps = (ORDER_USDT / (price * instrument.quantity_step)).to_integral_value(ROUND_CEILING)
    quantity = f"{instrument.quantity_step * steps:f}"
    if step < 2:
        return Wanted(instrument.symbol, -1 if step else 1, quantity)
    far = instrument.price_tick * int(start_ticks(instrument) * FAR)
    return Wanted(instrument.symbol, 1, quantity, f"{far:f}")


def quantiles_or_nothing(measured_ns: Sequence[int]) -> Quantiles:
    """Return the quantiles, all zero when nothing was measured."""
    return quantiles(list(measured_ns)) if measured_ns else NOTHING


class Watcher:
    """All connections of one client."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._dialogue = dialogue_of(watch.dialect)
        symbols = listed(watch.dialect, watch.symbols)
        self._names = [one.symbol for one in symbols]
        self._flow = Flow(watch, self._dialogue, symbols)
        self._market = _Market(self._dialogue)
        self._accounts: list[_Account] = []
        self._orders: list[_Orders] = []
        self._loop = asyncio.get_running_loop()

    async def connect(self) -> None:
        """Open everything and subscribe; raises MeasureFailed when a login is refused."""
        watch, dialogue = self._watch, self._dialogue
        now_ms = WallClock().now_ns() // 1_000_000
        for key in watch.keys:
            path, said = dialogue.account(watch.http, key, now_ms)
            account = _Account()
            await self._open(path, lambda one=account: one, said)  # type: ignore[misc]
            self._accounts.append(account)
            orders = _Orders(dialogue)
            transport = await self._open(dialogue.order_path, lambda one=orders: one, [])  # type: ignore[misc]
            assert transport is not None
            for hello in dialogue.login(key, now_ms):
                orders.ask(hello)
            self._orders.append(orders)
        path, said = dialogue.market(self._names)
        await self._open(path, lambda: self._market, said)
        await self._pause(FILL_UP_S)
        self._check()

    async def measure(self) -> Seen:
        """Order and watch for the time asked for, then wait for the last answers."""
        watch, seen = self._watch, Seen()
        frames_before = sum(one.frames for one in self._accounts)
        for one in self._orders:
            one.begin()
        self._market.begin(watch.seconds)
        started_ns = mono_ns()
        failed = self._loop.create_future()
        self._pump(started_ns, failed)
        await asyncio.wait([failed], timeout=watch.seconds)
        market = self._market
        seen.wall_s = (mono_ns() - started_ns) / 1e9
        seen.frames, seen.book_frames = market.frames, market.book_frames
        seen.bytes, seen.gaps = market.bytes, market.gaps
        if failed.done():
            await failed
        failed.cancel()
        await self._pause(LAST_ANSWERS_S)
        self._check()
        seen.quarters_ns = [quantiles_or_nothing(quarter) for quarter in market.lags_ns]
        seen.lag_ns = quantiles_or_nothing([lag for one in market.lags_ns for lag in one])
        seen.account_frames = sum(one.frames for one in self._accounts) - frames_before
        seen.orders = sum(one.sent for one in self._orders)
        seen.took_ns = quantiles_or_nothing([ns for one in self._orders for ns in one.took_ns])
        seen.answers = seen.took_ns.count
        seen.refused = sum(one.refused for one in self._orders)
        seen.refusals = [text for one in self._orders for text in one.refusals][:REFUSALS_KEPT]
        return seen

    def _pump(self, started_ns: int, failed: "asyncio.Future[None]") -> None:
        """Send the requests that are due, and come again for the next one."""
        if failed.done():
            return
        per_s = self._watch.orders_per_s
        due = int((mono_ns() - started_ns) / 1e9 * per_s)
        try:
            while self._flow.count < due:
                number, frame = self._flow.make()
                self._orders[number].ask(frame)
        except MeasureFailed as error:
            failed.set_exception(error)
            return
        if per_s > 0:
            self._loop.call_later(1 / per_s, self._pump, started_ns, failed)

    async def _open(
        self, path: str, listener: Callable[[], WSListener], said: list[bytes]
    ) -> WSTransport:
        transport, _ = await ws_connect(listener, self._watch.ws + path)
        for payload in said:
            transport.send(WSMsgType.TEXT, payload)
        return transport

    async def _pause(self, seconds: float) -> None:
        over: asyncio.Future[None] = self._loop.create_future()
        self._loop.call_later(seconds, over.set_result, None)
        await over

    def _check(self) -> None:
        if not self._market.is_open:
            raise MeasureFailed("the venue closed the market connection")


async def run(watch: Watch) -> Seen:
    """Connect, say so, wait for a line, and measure."""
    loop = asyncio.get_running_loop()
    watcher = Watcher(watch)
    await watcher.connect()
    gc.collect()
    gc.freeze()
    told = asyncio.Event()
    loop.add_reader(sys.stdin, told.set)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await told.wait()
    loop.remove_reader(sys.stdin)
    return await watcher.measure()


def main() -> None:
    """Be one client."""
    watch = msgspec.json.decode(sys.argv[1], type=Watch)
    loop = new_live_loop()
    asyncio.set_event_loop(loop)
    try:
        seen = loop.run_until_complete(run(watch))
    except MeasureFailed as error:
        sys.exit(str(error))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    sys.stdout.write(msgspec.json.encode(seen).decode() + "\n")


if __name__ == "__main__":
    main()
