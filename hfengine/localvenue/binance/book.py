"""The public book as Binance numbers and writes it: snapshots, diffs and best quotes.

A change of the book moves its version by one and Binance's ids by STRIDE: a diff up to version n
ends with u = STRIDE * n, the next begins with U = u + 1, and a snapshot of version n has the id
between. So a client that drops diffs with u < lastUpdateId and wants U <= lastUpdateId <= u for
the first one always finds it, also in a quiet market. `st` and `ps` (stream type and pair) are
what the newest samples have.
"""

from typing import Final

from hfengine.kernels.ladder import changes
from hfengine.localvenue.binance.wire import Grid
from hfengine.localvenue.world import World

STRIDE: Final = 8
DEPTH: Final = 200
"""Levels a side that diffs and snapshots cover."""

Levels = list[tuple[int, int]]


def update_id(version: int) -> int:
    """Return the id that a diff up to a version ends with."""
    return STRIDE * version


def snapshot_id(version: int) -> int:
    """Return the id of a snapshot of a version."""
    return STRIDE * version + 1


def levels_text(levels: Levels, grid: Grid) -> str:
    """Return levels as JSON text."""
    ticks, steps = grid.ticks, grid.steps
    return ",".join([f'["{ticks(price)}","{steps(quantity)}"]' for price, quantity in levels])


class _Side:
    """One side of a book as last told."""

    __slots__ = ("_levels", "_shown", "_side")

    def __init__(self, levels: Levels, side: int) -> None:
        self._levels = levels
        self._side = side
        self._shown: list[Levels] = []

    def show(self, levels: Levels) -> None:
        """Note what a snapshot showed meanwhile: a level may have come and gone since."""
        self._shown.append(levels)

    def move_to(self, levels: Levels) -> Levels:
        """Take new levels; return what changes by price, 0 steps for levels that went."""
        found = changes(self._levels, levels, self._side)
        self._levels = levels
        if self._shown:
            merged = dict(found)
            for shown in self._shown:
                merged.update(changes(shown, levels, self._side))
            self._shown.clear()
            return sorted(merged.items())
        if self._side > 0:
            found.reverse()
        return found


class Diffs:
    """What one diff stream has told of a symbol's book."""

    __slots__ = ("_asks", "_bids", "_grid", "_symbol", "_version", "_world")

    def __init__(self, world: World, grid: Grid) -> None:
        self._world = world
        self._grid = grid
        self._symbol = grid.instrument.symbol
        self._version = world.version(self._symbol)
        self._bids = _Side(world.levels(self._symbol, 1, DEPTH), 1)
        self._asks = _Side(world.levels(self._symbol, -1, DEPTH), -1)

    def show(self, bids: Levels, asks: Levels) -> None:
        """Note a snapshot: the next diff must lead from there, too."""
        self._bids.show(bids)
        self._asks.show(asks)

    def frame(self) -> bytes | None:
        """Return the diff since the last one, None when nothing changed."""
        world, symbol = self._world, self._symbol
        version = world.version(symbol)
        if version == self._version:
            return None
        bids = self._bids.move_to(world.levels(symbol, 1, DEPTH))
        asks = self._asks.move_to(world.levels(symbol, -1, DEPTH))
        if not bids and not asks:
            return None
        before, self._version = update_id(self._version), version
        now_ms = world.now_ms()
        return (
            f'{{"e":"depthUpdate","E":{now_ms},"T":{now_ms},"s":"{symbol}",'
            f'"ps":"{symbol}","st":1,"U":{before + 1},"u":{update_id(version)},"pu":{before},'
            f'"b":[{levels_text(bids, self._grid)}],"a":[{levels_text(asks, self._grid)}]}}'
        ).encode()


class Partial:
    """A stream of the best levels, whole every time."""

    __slots__ = ("_count", "_grid", "_symbol", "_version", "_world")

    def __init__(self, world: World, grid: Grid, count: int) -> None:
        self._world = world
        self._grid = grid
        self._symbol = grid.instrument.symbol
        self._version = world.version(self._symbol)
        self._count = count

    def frame(self) -> bytes | None:
        """Return the best levels, None when the book has not changed since the last frame."""
        world, symbol, grid = self._world, self._symbol, self._grid
        version = world.version(symbol)
        if version == self._version:
            return None
        before, self._version = update_id(self._version), version
        now_ms = world.now_ms()
        return (
            f'{{"e":"depthUpdate","E":{now_ms},"T":{now_ms},"s":"{symbol}",'
            f'"ps":"{symbol}","st":1,"U":{before + 1},"u":{update_id(version)},"pu":{before},'
            f'"b":[{levels_text(world.levels(symbol, 1, self._count), grid)}],'
            f'"a":[{levels_text(world.levels(symbol, -1, self._count), grid)}]}}'
        ).encode()


class Best:
    """A stream of best bid and ask."""

    __slots__ = ("_best", "_grid", "_symbol", "_version", "_world")

    def __init__(self, world: World, grid: Grid) -> None:
        self._world = world
        self._grid = grid
        self._symbol = grid.instrument.symbol
        self._version = world.version(self._symbol)
        self._best = self._look()

    def frame(self) -> bytes | None:
        """Return best bid and ask, None when they have not changed since the last frame."""
        version = self._world.version(self._symbol)
        if version == self._version:
            return None
        self._version = version
        best = self._look()
        # a side without orders has no best: the quote waits for one
        if best == self._best or not (best[0][0] and best[1][0]):
            return None
        self._best = best
        return self.text()

    def text(self) -> bytes:
        """Return best bid and ask as last looked at."""
        grid, now_ms = self._grid, self._world.now_ms()
        (bid, bid_steps), (ask, ask_steps) = self._best
        return (
            f'{{"e":"bookTicker","u":{update_id(self._version)},"s":"{self._symbol}",'
            f'"b":"{grid.ticks(bid)}","B":"{grid.steps(bid_steps)}",'
            f'"a":"{grid.ticks(ask)}","A":"{grid.steps(ask_steps)}",'
            f'"T":{now_ms},"E":{now_ms},"st":1,"ps":"{self._symbol}"}}'
        ).encode()

    def _look(self) -> tuple[tuple[int, int], tuple[int, int]]:
        bids = self._world.levels(self._symbol, 1, 1)
        asks = self._world.levels(self._symbol, -1, 1)
        return bids[0] if bids else (0, 0), asks[0] if asks else (0, 0)
