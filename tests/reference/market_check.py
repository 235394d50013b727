"""What a reader of the wire makes of a market: rebuilt books, answer key, rates, returns."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson

from hfengine.feeds.source import Recorded


class Reader:
    """One symbol, read as the venue's manual says: snapshot, buffered diffs, chain, best quotes."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.levels = 0
        self.zeros = 0
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.snapshot_after = 0
        self.snapshot_levels = (0, 0)
        self.held: list[dict[str, Any]] | None = []
        self.final = 0
        self.previous = 0
        self.best: dict[str, Any] = {}
        self.best_rows: list[tuple[int, float, float]] = []
        self.trades: list[dict[str, Any]] = []
        self.marks: list[dict[str, Any]] = []
        self.matched = 0
        self.mismatched = 0
        self.chain_gaps = 0
        self.crossed = 0

    def read(self, payload: bytes) -> None:
        frame = orjson.loads(payload)
        if "lastUpdateId" in frame:
            self._snapshot(frame)
            return
        frame = frame["data"]
        kind = frame["e"]
        self.counts[kind] += 1
        if kind == "bookTicker":
            self.best = frame
            bid, ask = float(frame["b"]), float(frame["a"])
            self.crossed += bid >= ask
            self.best_rows.append((frame["E"], bid, ask))
        elif kind == "trade":
            self.trades.append(frame)
        elif kind == "markPriceUpdate":
            self.marks.append(frame)
        else:
            self.levels += len(frame["b"]) + len(frame["a"])
            self.zeros += sum(float(q) == 0 for _, q in frame["b"] + frame["a"])
            self.chain_gaps += bool(self.previous) and frame["pu"] != self.previous
            self.previous = frame["u"]
            if self.held is not None:
                self.held.append(frame)
            else:
                self._apply(frame)

    def _snapshot(self, frame: dict[str, Any]) -> None:
        self.snapshot_after = self.counts["depthUpdate"]
        self.snapshot_levels = (len(frame["bids"]), len(frame["asks"]))
        self.bids = {float(p): float(q) for p, q in frame["bids"]}
        self.asks = {float(p): float(q) for p, q in frame["asks"]}
        held, self.held = self.held or [], None
        held = [diff for diff in held if diff["u"] >= frame["lastUpdateId"]]
        assert held[0]["U"] <= frame["lastUpdateId"] <= held[0]["u"]
        for diff in held:
            self._put(diff)

    def _put(self, diff: dict[str, Any]) -> None:
        for levels, side in ((diff["b"], self.bids), (diff["a"], self.asks)):
            for price, quantity in levels:
                if float(quantity):
                    side[float(price)] = float(quantity)
                else:
                    side.pop(float(price), None)

    def _apply(self, diff: dict[str, Any]) -> None:
        self._put(diff)
        bid, ask = max(self.bids), min(self.asks)
        book = (bid, self.bids[bid], ask, self.asks[ask])
        if self.best["u"] <= diff["u"] and book == tuple(float(self.best[k]) for k in "bBaA"):
            self.matched += 1
        else:
            self.mismatched += 1


def read_all(events: Iterable[Recorded]) -> dict[str, Reader]:
    """Return a reader for each symbol, having read everything."""
    readers: dict[str, Reader] = {}
    for event in events:
        readers.setdefault(event.symbol, Reader()).read(event.payload)
    return readers


def mids(reader: Reader, grid_ms: np.ndarray) -> np.ndarray:
    """Return the log mid at each time of the grid."""
    rows = np.array(reader.best_rows)
    at = np.searchsorted(rows[:, 0], grid_ms, side="right") - 1
    return np.log((rows[at, 1] + rows[at, 2]) / 2)


def spread_ticks(reader: Reader, tick: float) -> float:
    """Return the time-weighted spread."""
    rows = np.array(reader.best_rows)
    weights = np.diff(rows[:, 0])
    return float(np.average((rows[:-1, 2] - rows[:-1, 1]) / tick, weights=weights))
