"""A market that changes so many times a second and costs little: for measuring what serves it."""

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Final

from hfengine.clock import Clock, mono_ns
from hfengine.instruments import Instrument
from hfengine.kernels.book import Book
from hfengine.localvenue.source import Sink
from hfengine.localvenue.still import FUNDING_RATE, LEVEL_USDT, start_ticks

RATE_MAX: Final = 1000
"""Most updates a second and symbol."""

CHANGES: Final = 10
"""Levels that one update changes; the first of them is a best level."""

LEVELS: Final = 200
DISTANCE_MEAN: Final = 12.0
DISTANCE_MAX: Final = 60
GONE: Final = 0.2
"""Share of changes behind the best level that take the level away."""

SIZES: Final = 97
ROWS: Final = 1 << 10
"""Updates drawn beforehand; every symbol goes round them from a place of its own."""

UPDATES_A_MOVE: Final = 5
UPDATES_A_TRADE: Final = 10
WANDER_MAX_TICKS: Final = 300

TURN_NS: Final = 1_000_000
"""Longest stretch of one turn of the loop that the market takes while it is behind."""

LOOK_EVERY: Final = 16
"""Updates between two looks at the stopwatch."""

SECOND_NS: Final = 1_000_000_000

Change = tuple[int, int, int]
"""Side, distance from the middle in ticks, and size in parts of the symbol's unit; 0 is gone."""


class _Row:
    """One update as drawn: levels that change, where the price goes, and who trades."""

    __slots__ = ("changes", "direction", "side")

    def __init__(self, random: Random) -> None:
        self.changes = [_touch(random), *(_change(random) for _ in range(CHANGES - 1))]
        self.direction = random.choice((1, -1))
        self.side = random.choice((1, -1))


class _Wandering:
    """One symbol: its book, 200 levels either side of a middle that wanders by single ticks."""

    __slots__ = ("_middle_ticks", "_start_ticks", "_unit_steps", "_wander_ticks", "book", "symbol")

    def __init__(self, symbol: str, instrument: Instrument) -> None:
        self.symbol = symbol
        self.book = Book(str(instrument.price_tick), str(instrument.quantity_step))
        self._start_ticks = self._middle_ticks = max(start_ticks(instrument), 2 * LEVELS)
        self._wander_ticks = min(WANDER_MAX_TICKS, self._start_ticks // 10)
        price = self._start_ticks * instrument.tick_usdt
        steps = round(LEVEL_USDT / price / instrument.step_quantity / SIZES)
        self._unit_steps = max(1, steps)
        for distance in range(1, LEVELS + 1):
            self._set(1, distance, 1 + distance % SIZES)
            self._set(-1, distance, 1 + distance % SIZES)

    @property
    def middle_ticks(self) -> int:
        """The price between best bid and best ask, where nothing rests."""
        return self._middle_ticks

    def change(self, changes: list[Change]) -> None:
        """Set levels by their distance from the middle."""
        apply, middle, unit = self.book.apply, self._middle_ticks, self._unit_steps
        for side, distance, parts in changes:
            apply(side, middle - side * distance, parts * unit)

    def move(self, direction: int, parts: int) -> None:
        """Go one tick up (+1) or down, or back when it has wandered far enough."""
        if (self._middle_ticks - self._start_ticks) * direction >= self._wander_ticks:
            direction = -direction
        # the best level ahead goes, the middle becomes the best level behind
        self._set(-direction, 1, 0)
        self._middle_ticks += direction
        self._set(direction, 1, parts)
        # ahead the next level may have been taken away
        self._set(-direction, 1, parts)
        self._set(direction, LEVELS + 1, 0)
        self._set(-direction, LEVELS, parts)

    def touch_ticks(self, side: int) -> int:
        """Return the best price for a taker of a side."""
        return self._middle_ticks + side

    def touch_steps(self, side: int) -> int:
        """Return what is offered there."""
        return self.book.quantity_at(-side, self._middle_ticks + side)

    def _set(self, side: int, distance: int, parts: int) -> None:
        ticks = self._middle_ticks - side * distance
        if ticks > 0:
            self.book.apply(side, ticks, parts * self._unit_steps)


class Load:
    """Updates every symbol `rate` times a second, evenly one after another.

    An update sets ten levels; every tenth prints a trade; every symbol has a new mark once a
    second. Nothing is left out: a market that is behind takes what is due as fast as it can.
    """

    def __init__(
        self,
        rate: int,
        instruments: Mapping[str, Instrument],
        random: Random,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
    ) -> None:
        """Make a market of 1 to 1000 updates a second; raises ValueError for another rate."""
        if not 1 <= rate <= RATE_MAX:
            msg = f"a load is 1 to {RATE_MAX} updates a second and symbol, not {rate}"
            raise ValueError(msg)
        self.name = f"load:{rate}"
        self.frames = 0
        """Updates made."""
        self._rate = rate
        self._instruments = instruments
        self._rows = [_Row(random) for _ in range(ROWS)]
        self._symbols: list[_Wandering] = []
        self._loop = loop
        self._clock = clock
        self._sink: Sink | None = None
        self._handle: asyncio.Handle | None = None
        self._start_ns = 0
        self._late_ns = self._late_before_ns = 0
        self._second = 0

    @property
    def late_ms(self) -> float:
        """How far an update was behind its schedule at most, in this second and the last one."""
        return max(self._late_ns, self._late_before_ns) / 1e6

    def start(self, sink: Sink) -> None:
        """Attach the books, print a trade and tell the mark of each, then begin."""
        self._sink = sink
        for symbol, instrument in self._instruments.items():
            one = _Wandering(symbol, instrument)
            self._symbols.append(one)
            sink.attach(symbol, one.book)
            sink.on_book(symbol)
            sink.on_trade(symbol, one.middle_ticks + 1, 1, 1)
            self._tell_mark(sink, one)
        self._start_ns = self._clock.now_ns()
        self._handle = self._loop.call_soon(self._pump)

    def stop(self) -> None:
        """Change nothing any more."""
        self._sink = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _pump(self) -> None:
        """Make what is due, at most about a millisecond of it, and come again for the rest."""
        started_ns = mono_ns()
        sink = self._sink
        if sink is None:
            return
        per_s = self._rate * len(self._symbols)
        passed_ns = self._clock.now_ns() - self._start_ns
        due = passed_ns * per_s // SECOND_NS
        self._note_late(passed_ns, passed_ns - self.frames * SECOND_NS // per_s)
        while self.frames < due:
            self._update(sink, self.frames)
            self.frames += 1
            if self.frames % LOOK_EVERY == 0 and mono_ns() - started_ns > TURN_NS:
                self._handle = self._loop.call_soon(self._pump)
                return
        self._handle = self._loop.call_later(max(1 / per_s, 0.001), self._pump)

    def _note_late(self, passed_ns: int, late_ns: int) -> None:
        second = passed_ns // SECOND_NS
        if second != self._second:
            self._second = second
            self._late_before_ns, self._late_ns = self._late_ns, 0
        self._late_ns = max(self._late_ns, late_ns)

    def _update(self, sink: Sink, number: int) -> None:
        beat, place = divmod(number, len(self._symbols))
        one = self._symbols[place]
        row = self._rows[(beat + 61 * place) % ROWS]
        # symbols take turns at what does not happen with every update
        turn = beat + place
        if turn % UPDATES_A_MOVE == 0:
            one.move(row.direction, row.changes[0][2])
        one.change(row.changes)
        sink.on_book(one.symbol)
        if turn % UPDATES_A_TRADE == 0:
            side = row.side
            sink.on_trade(one.symbol, one.touch_ticks(side), one.touch_steps(side) // 4 + 1, side)
        if turn % self._rate == 0:
            self._tell_mark(sink, one)

    def _tell_mark(self, sink: Sink, one: _Wandering) -> None:
        mark = self._instruments[one.symbol].price_tick * one.middle_ticks
        sink.on_mark(one.symbol, mark, mark, FUNDING_RATE)


def _touch(random: Random) -> Change:
    return random.choice((1, -1)), 1, random.randint(1, SIZES)


def _change(random: Random) -> Change:
    distance = min(2 + int(random.expovariate(1 / DISTANCE_MEAN)), DISTANCE_MAX)
    parts = 0 if random.random() < GONE else random.randint(1, SIZES)
    return random.choice((1, -1)), distance, parts
