"""Book topics: one difference per symbol and depth, encoded once for all its subscribers.

A snapshot, then deltas; `u` grows by one with every message, 1 is a restart of the service. Depth
1 has snapshots only and repeats the last one, same `u`, after three seconds of silence.
"""

from collections.abc import Callable, Iterable
from typing import Final

from hfengine.instruments import Instrument
from hfengine.kernels.ladder import changes
from hfengine.localvenue.bybit.figures import gridded
from hfengine.localvenue.ports import Socket
from hfengine.localvenue.timers import in_parts
from hfengine.localvenue.world import World

CADENCE_S: Final = {1: 0.01, 50: 0.02, 200: 0.1, 1000: 0.2}
"""Seconds between two looks at the book, by depth."""
REPEAT_MS: Final = 3000
RESTART_U: Final = 1
TEXTS_KEPT: Final = 1 << 16

Levels = list[tuple[int, int]]


class LevelTexts:
    """Prices and sizes of one instrument as quoted text, made once each."""

    __slots__ = ("_instrument", "_prices", "_sizes")

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._prices: dict[int, bytes] = {}
        self._sizes: dict[int, bytes] = {0: b'"0"]'}

    def rows(self, levels: Iterable[tuple[int, int]]) -> bytes:
        """Return levels as the inside of a JSON array."""
        prices, sizes = self._prices, self._sizes
        try:
            return b",".join([prices[ticks] + sizes[steps] for ticks, steps in levels])
        except KeyError:
            return b",".join([self._price(ticks) + self._size(steps) for ticks, steps in levels])

    def _price(self, ticks: int) -> bytes:
        text = self._prices.get(ticks)
        if text is None:
            if len(self._prices) > TEXTS_KEPT:
                self._prices.clear()
            tick = self._instrument.price_tick
            text = self._prices[ticks] = f'["{gridded(tick * ticks, tick)}",'.encode()
        return text

    def _size(self, steps: int) -> bytes:
        text = self._sizes.get(steps)
        if text is None:
            if len(self._sizes) > TEXTS_KEPT:
                self._sizes.clear()
                self._sizes[0] = b'"0"]'
            step = self._instrument.quantity_step
            text = self._sizes[steps] = f'"{gridded(step * steps, step)}"]'.encode()
        return text


class BookTopic:
    """One symbol at one depth: what was published last, and who hears it."""

    def __init__(self, world: World, symbol: str, depth: int, texts: LevelTexts) -> None:
        self._world = world
        self._symbol = symbol
        self._depth = depth
        self._texts = texts
        self._version = -1
        self._bids: Levels = []
        self._asks: Levels = []
        self._sent_ms = 0
        self._u = world.random.randrange(1 << 16, 1 << 22)
        self.topic = f"orderbook.{depth}.{symbol}"
        self._head = f'{{"topic":"{self.topic}","type":"'.encode()
        self._name = f'","ts":%d,"data":{{"s":"{symbol}","b":['.encode()
        self.listeners: list[Socket] = []

    def add(self, socket: Socket) -> None:
        """Let a socket hear the topic: the book as published last, then what changes."""
        if not self.listeners:
            self._refresh()
            self._u += 1
            self._sent_ms = self._world.now_ms()
        if socket not in self.listeners:
            self.listeners.append(socket)
        socket.send(self._frame(b"snapshot", self._bids, self._asks))

    def remove(self, socket: Socket) -> None:
        """Let a socket hear no more."""
        if socket in self.listeners:
            self.listeners.remove(socket)

    def look(self) -> None:
        """Tell what changed since the last look, if anything did."""
        if self._world.version(self._symbol) == self._version:
            if self._depth == 1 and self._world.now_ms() - self._sent_ms >= REPEAT_MS:
                self._send(self._frame(b"snapshot", self._bids, self._asks))
            return
        if self._world.faults.take("book_restart", symbol=self._symbol, topic=self.topic):
            self.restart()
            return
        old_bids, old_asks = self._bids, self._asks
        self._refresh()
        if self._depth == 1:
            if old_bids != self._bids or old_asks != self._asks:
                self._u += 1
                self._send(self._frame(b"snapshot", self._bids, self._asks))
            return
        bids = changes(old_bids, self._bids, 1)
        asks = changes(old_asks, self._asks, -1)
        if bids or asks:
            self._u += 1
            self._send(self._frame(b"delta", bids, asks))

    def restart(self) -> None:
        """Publish a snapshot with u = 1, as after a restart of Bybit's service."""
        self._refresh()
        self._u = RESTART_U
        self._send(self._frame(b"snapshot", self._bids, self._asks))

    def _refresh(self) -> None:
        world = self._world
        self._version = world.version(self._symbol)
        self._bids = world.levels(self._symbol, 1, self._depth)
        self._asks = world.levels(self._symbol, -1, self._depth)

    def _frame(self, kind: bytes, bids: Levels, asks: Levels) -> bytes:
        now_ms = self._world.now_ms()
        return b"".join(
            (
                self._head,
                kind,
                self._name % now_ms,
                self._texts.rows(bids),
                b'],"a":[',
                self._texts.rows(asks),
                b'],"u":%d,"seq":%d},"cts":%d}' % (self._u, self._version, now_ms),
            )
        )

    def _send(self, frame: bytes) -> None:
        self._sent_ms = self._world.now_ms()
        for socket in tuple(self.listeners):
            socket.send(frame)


class BookStream:
    """Every book topic that somebody hears."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._topics: dict[int, dict[str, BookTopic]] = {depth: {} for depth in CADENCE_S}
        self._texts: dict[str, LevelTexts] = {}
        self._timers: dict[int, Callable[[], None]] = {}

    def topic(self, symbol: str, depth: int) -> BookTopic:
        """Return a topic; its timer runs from now on."""
        found = self._topics[depth].get(symbol)
        if found is None:
            texts = self._texts.get(symbol)
            if texts is None:
                texts = self._texts[symbol] = LevelTexts(self._world.instruments[symbol])
            found = self._topics[depth][symbol] = BookTopic(self._world, symbol, depth, texts)
        if depth not in self._timers:
            topics = self._topics[depth]
            self._timers[depth] = self._world.every(CADENCE_S[depth], lambda: self._beat(topics))
        return found

    def restart(self, symbol: str) -> int:
        """Restart every heard topic of a symbol; return how many there were."""
        heard = [
            topics[symbol]
            for topics in self._topics.values()
            if symbol in topics and topics[symbol].listeners
        ]
        for topic in heard:
            topic.restart()
        return len(heard)

    def stop(self) -> None:
        """End the timers."""
        for cancel in self._timers.values():
            cancel()
        self._timers.clear()

    def _beat(self, topics: dict[str, BookTopic]) -> None:
        heard = [topic for topic in topics.values() if topic.listeners]
        in_parts(self._world.loop, heard, BookTopic.look)
