"""The book channels: one diff per symbol shared by all who watch it, with Bitget's checksum."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final
from zlib import crc32

from hfengine.kernels.ladder import changes
from hfengine.localvenue.bitget.figures import GridText, grid_text
from hfengine.localvenue.bitget.parameters import PRODUCT
from hfengine.localvenue.world import World

Level = tuple[int, int]

BOOKS_DEPTH: Final = 200
"""Levels a side of `books`; what falls out of them is deleted, as recorded."""

CHECKSUM_DEPTH: Final = 25
DEPTHS: Final = {"books": BOOKS_DEPTH, "books1": 1, "books5": 5, "books15": 15}
CACHED_MAX: Final = 20_000


def checksum(bids: Sequence[Sequence[str]], asks: Sequence[Sequence[str]]) -> int:
    """Return the signed CRC-32 of the best 25 levels, bids and asks in turn, as text.

    `bid1price:bid1size:ask1price:ask1size:bid2price:…`; a missing level is left out.
    """
    parts: list[str] = []
    for bid, ask in zip_longest(bids[:CHECKSUM_DEPTH], asks[:CHECKSUM_DEPTH]):
        if bid is not None:
            parts += bid
        if ask is not None:
            parts += ask
    return signed_crc(":".join(parts))


def signed_crc(text: str) -> int:
    """Return the CRC-32 of a text as a signed 32-bit number."""
    code = crc32(text.encode())
    return code - 0x1_0000_0000 if code & 0x8000_0000 else code


class BookFeed:
    """One symbol's book at one depth; `books` by diffs, the others whole each time."""

    def __init__(self, world: World, symbol: str, channel: str) -> None:
        instrument = world.instruments[symbol]
        self.symbol = symbol
        self.channel = channel
        self._world = world
        self._depth = DEPTHS[channel]
        self._is_diff = channel == "books"
        self._price: GridText = grid_text(instrument.price_tick)
        self._size: GridText = grid_text(instrument.quantity_step)
        self._texts: dict[Level, str] = {}
        self._bids: list[Level] = []
        self._asks: list[Level] = []
        self._seen = -1
        self._sequence = 0
        self._arg = f'"instType":"{PRODUCT}","channel":"{channel}","instId":"{symbol}"'
        self.spoil_checksum = False
        """Let the next diff carry a wrong checksum."""

    def snapshot(self) -> bytes:
        """Return the book as last published, for one who begins to watch it."""
        self._refresh()
        return self._frame("snapshot", self._asks, self._bids, 0)

    def beat(self) -> bytes | None:
        """Return the frame for everybody, None while nothing changed."""
        bids, asks = self._bids, self._asks
        if not self._refresh():
            return None
        if not self._is_diff:
            return self._frame("snapshot", self._asks, self._bids, 0)
        more_asks, more_bids = changes(asks, self._asks, -1), changes(bids, self._bids, 1)
        if not more_asks and not more_bids:
            return None
        before = self._sequence
        self._sequence += 1
        if self._world.faults.take("book_restart", symbol=self.symbol, topic=self.channel):
            return self._frame("snapshot", self._asks, self._bids, 0)
        return self._frame("update", more_asks, more_bids, before)

    def _refresh(self) -> bool:
        """Read the public book if it changed; tell whether it did."""
        version = self._world.version(self.symbol)
        if version == self._seen:
            return False
        self._seen = version
        self._bids = self._world.levels(self.symbol, 1, self._depth)
        self._asks = self._world.levels(self.symbol, -1, self._depth)
        return True

    def _frame(
        self, action: str, asks: Sequence[Level], bids: Sequence[Level], before: int
    ) -> bytes:
        now_ms = self._world.now_ms()
        if self._is_diff:
            code = self._checksum()
            if self.spoil_checksum and action == "update":
                self.spoil_checksum = False
                code ^= 1
        else:
            code = 0
        return (
            f'{{"action":"{action}","arg":{{{self._arg}}},"data":[{{'
            f'"asks":[{self._list(asks)}],"bids":[{self._list(bids)}],'
            f'"checksum":{code},"seq":{self._sequence},"pseq":{before},"ts":"{now_ms}"}}],'
            f'"ts":{now_ms}}}'
        ).encode()

    def _list(self, levels: Sequence[Level]) -> str:
        return ",".join([f'["{self._text(level).replace(":", _BETWEEN)}"]' for level in levels])

    def _checksum(self) -> int:
        text = self._text
        parts = []
        for bid, ask in zip_longest(self._bids[:CHECKSUM_DEPTH], self._asks[:CHECKSUM_DEPTH]):
            if bid is not None:
                parts.append(text(bid))
            if ask is not None:
                parts.append(text(ask))
        return signed_crc(":".join(parts))

    def _text(self, level: Level) -> str:
        """Return `price:size` of a level; a size of 0 is just "0"."""
        found = self._texts.get(level)
        if found is None:
            if len(self._texts) >= CACHED_MAX:
                self._texts.clear()
            ticks, steps = level
            found = f"{self._price(ticks)}:{self._size(steps) if steps else '0'}"
            self._texts[level] = found
        return found


_BETWEEN: Final = '","'
