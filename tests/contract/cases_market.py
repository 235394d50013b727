"""Case 8: books, trades and marks, and a gap that heals."""

import asyncio

from hfengine.actors.symbol_feed import symbol_feed
from hfengine.kernels.codec import FAULTS, MARK, TRADE
from hfengine.messages import BookTick, FeedFault, Frame, MarkTick, Message, TradeTick
from tests.contract.cases_registry import Opening, Wire, bare
from tests.live_desk import SYMBOL, LiveDesk


class Reader:
    """Reads a venue's market messages as the market data actor does; asks for lost books."""

    def __init__(self, desk: LiveDesk) -> None:
        self.feed = symbol_feed(desk.venue.dialect, SYMBOL, desk.venue.instruments[SYMBOL])
        self.top: BookTick | None = None
        self.trades: list[TradeTick] = []
        self.marks: list[MarkTick] = []
        self.faults: list[str] = []
        self._desk = desk
        self._asking: asyncio.Task[None] | None = None

    @property
    def synced(self) -> bool:
        return bool(self.feed.codec.synced)

    def take(self, message: Message) -> None:
        if isinstance(message, Frame):
            self._decode(message.payload, message.received_ns)
        elif isinstance(message, FeedFault):
            self.faults.append(message.fault)
            self.feed.codec.desync()
        elif isinstance(message, BookTick | TradeTick | MarkTick):
            self._ticks(message)
        if not self.synced and (self._asking is None or self._asking.done()):
            self._asking = asyncio.ensure_future(self._ask())

    def _decode(self, payload: bytes, at_ns: int) -> None:
        kind = self.feed.decode(payload)
        if kind < 0:
            self.faults.append(FAULTS[kind])
        elif kind in self.feed.ticks_on:
            self.top = self.feed.top(at_ns) or self.top
        elif kind == TRADE:
            self.trades += self.feed.trades(at_ns)
        elif kind == MARK and (mark := self.feed.mark(at_ns)) is not None:
            self.marks.append(mark)

    def _ticks(self, tick: BookTick | TradeTick | MarkTick) -> None:
        refused = self.feed.refusal(tick)
        if refused is not None:
            self.faults.append(refused[0])
        elif isinstance(tick, BookTick):
            self.top = tick
        elif isinstance(tick, TradeTick):
            self.trades.append(tick)
        else:
            self.marks.append(tick)

    async def _ask(self) -> None:
        """Ask for a book once; where the stream is to bring it, wait until it did."""
        payload = await self._desk.venue.snapshot(SYMBOL)
        if payload is not None:
            self._decode(payload, 0)
        else:
            await self._desk.until(lambda: self.synced)


@bare(8)
async def the_book_follows_and_a_gap_heals(opening: Opening) -> None:
    async with opening.desk(connected=False) as desk:
        await desk.venue.prepare()
        reader = Reader(desk)
        desk.venue.connect(reader.take, desk.events.append, lambda reason: None)
        reader.take(FeedFault(SYMBOL, 0, "start", "", 0, ""))
        await desk.until(lambda: reader.synced)
        change(desk, 99)
        await desk.until(lambda: shows_the_touch(desk, reader))
        desk.world.move(SYMBOL, 25)
        await desk.until(lambda: shows_the_touch(desk, reader))
        await desk.until(lambda: reader.trades and reader.marks)
        assert reader.faults == ["start"]
        await desk.until(lambda: reader.marks[-1].mark == float(desk.world.ticker(SYMBOL).mark))
        assert reader.trades[-1].price == float(desk.world.ticker(SYMBOL).last)
        await a_gap_heals(desk, opening.wire, reader)


async def a_gap_heals(desk: LiveDesk, wire: Wire, reader: Reader) -> None:
    """Lose a change behind the best level: nothing but the sequence or the checksum shows it."""
    desk.fault("drop_frame", topic=wire.book_topic)
    change(desk, 555, level=2)
    await desk.until(lambda: desk.world.faults.done.get("drop_frame") == 1)
    for steps in range(100, 300):
        if len(reader.faults) > 1:
            break
        change(desk, steps)
        await asyncio.sleep(0.02)
    assert len(reader.faults) > 1, "the gap was not noticed"
    for steps in range(700, 720):
        # an exchange whose books are read through ccxt shows a new one with the next change
        change(desk, steps)
        await asyncio.sleep(0.2)
        if reader.synced and shows_the_touch(desk, reader):
            return
    raise AssertionError("the gap did not heal")


def change(desk: LiveDesk, steps: int, level: int = 0) -> None:
    """Change what lies at a level of both sides."""
    for side in (1, -1):
        ticks, _ = desk.world.levels(SYMBOL, side, level + 1)[level]
        desk.world.set_level(SYMBOL, side, ticks, steps)


def shows_the_touch(desk: LiveDesk, reader: Reader) -> bool:
    """Tell whether the top read is the venue's own."""
    instrument = desk.world.instruments[SYMBOL]
    expected: list[float] = []
    for side in (1, -1):
        ticks, steps = desk.world.levels(SYMBOL, side, 1)[0]
        expected += [ticks * instrument.tick_usdt, steps * instrument.step_quantity]
    top = reader.top
    if top is None:
        return False
    shown = (top.bid, top.bid_quantity, top.ask, top.ask_quantity)
    return all(abs(a - b) <= 1e-9 * b for a, b in zip(shown, expected, strict=True))
