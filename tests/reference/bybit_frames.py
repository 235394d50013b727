"""Bybit V5 linear frames written from numbers, and the codec as json, Decimal and two dicts."""

import json
import math
from collections.abc import Sequence
from typing import Any

from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from tests.reference.book import (
    Bare,
    Pairs,
    ReferenceBook,
    RefusedError,
    integer,
    number,
    refuse_constant,
    units,
)

Levels = Sequence[tuple[str, str]]
Trade = tuple[object, int, int, int, int]

TICK, STEP = "0.10", "0.001"
TS = 1733011200693
BIDS = [("100.0", "1.000"), ("99.9", "2.500"), ("99.0", "4")]
ASKS = [("100.1", "2.000"), ("100.4", "0.500")]
EMPTY = (False, 0, [], [])
"""The state of a codec that lost its book."""


def encode(frame: object) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


def levels_frame(
    form: str, update_id: int, bids: Levels, asks: Levels, depth: int, seq: int | None
) -> dict[str, Any]:
    return {
        "topic": f"orderbook.{depth}.BTCUSDT",
        "type": form,
        "ts": TS,
        "data": {
            "s": "BTCUSDT",
            "b": [list(level) for level in bids],
            "a": [list(level) for level in asks],
            "u": update_id,
            "seq": 10 * update_id if seq is None else seq,
        },
        "cts": TS - 2,
    }


def snapshot(
    update_id: int = 100,
    bids: Levels = BIDS,
    asks: Levels = ASKS,
    depth: int = 50,
    seq: int | None = None,
) -> dict[str, Any]:
    return levels_frame("snapshot", update_id, bids, asks, depth, seq)


def delta(
    update_id: int, bids: Levels = (), asks: Levels = (), depth: int = 50, seq: int | None = None
) -> dict[str, Any]:
    return levels_frame("delta", update_id, bids, asks, depth, seq)


def touch(update_id: int, bid: str = "100.0", ask: str = "100.1", seq: int = 1005) -> dict:
    return snapshot(update_id, [(bid, "3")], [(ask, "4")], 1, seq)


def fill(trade_id: object, price: str, quantity: str, side: str = "Buy", **others: object) -> dict:
    return {
        "T": TS - 5,
        "s": "BTCUSDT",
        "S": side,
        "v": quantity,
        "p": price,
        "L": "PlusTick",
        "i": trade_id,
        "BT": False,
        "seq": 2000,
    } | others


def trades(*fills: object) -> dict[str, Any]:
    return {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": TS, "data": list(fills)}


def ticker(form: str, **fields: object) -> dict[str, Any]:
    return {
        "topic": "tickers.BTCUSDT",
        "type": form,
        "data": {"symbol": "BTCUSDT", "lastPrice": "100.0", **fields},
        "cs": 24987956059,
        "ts": TS,
    }


MARKED = {
    "markPrice": "100.03",
    "indexPrice": "100.07",
    "fundingRate": "-0.000012",
    "nextFundingTime": "1733040000000",
}


def fresh() -> BybitCodec:
    return BybitCodec("BTCUSDT", Book(TICK, STEP))


def synced() -> BybitCodec:
    """Return a codec in sync at update 101, its bids 100.0 and 99.0, its asks 100.1 and 100.4."""
    codec = fresh()
    codec.decode(encode(snapshot()))
    codec.decode(encode(delta(101, [("99.9", "0")])))
    return codec


def state(codec: BybitCodec) -> tuple[object, ...]:
    """Return whether the codec is in sync, the book's update id and all its levels."""
    book = codec.book
    return codec.synced, book.update_id, book.levels(1, 9999), book.levels(-1, 9999)


OUTER = {"topic", "type", "ts", "data", "cts", "op", "success", "req_id", "ret_msg"}
INNER = {"a", "b", "s", "u", "seq", "T", "S", "v", "p", "i", "BT", "symbol", *MARKED}
TRADE_KEYS = ("T", "s", "S", "v", "p", "i")


def parse(payload: bytes) -> Any:
    """Read one conforming JSON value; a known key twice in a frame is no conforming frame."""
    try:
        frame = json.loads(
            payload.decode("utf-8"),
            object_pairs_hook=Pairs,
            parse_int=Bare,
            parse_float=Bare,
            parse_constant=refuse_constant,
        )
    except (ValueError, RecursionError):
        raise RefusedError("malformed") from None
    if isinstance(frame, Pairs):
        inner = frame.get("data")
        parts = inner if isinstance(inner, list) else [inner]
        twice = frame.twice & OUTER
        for part in parts:
            twice |= part.twice & INNER if isinstance(part, Pairs) else set()
        if twice:
            raise RefusedError("malformed")
    return frame


def is_text(text: object) -> bool:
    return isinstance(text, str) and not isinstance(text, Bare)


def need(frame: dict[str, Any], *keys: str) -> None:
    if any(key not in frame for key in keys):
        raise RefusedError("foreign")


class ReferenceBybit:
    """The same rules as the compiled codec, and the same names of results."""

    def __init__(self, symbol: str, book: ReferenceBook) -> None:
        self.symbol, self.book = symbol, book
        self.synced, self.depth, self.seq = False, 0, 0
        self.quote: tuple[int, int, tuple[int, ...]] = (0, 0, (0, 0, 0, 0))
        self.trades: list[Trade] = []
        self.marks: list[float] = [math.nan, math.nan, math.nan, 0]
        self.off_market = 0
        self.control: tuple[object, ...] = (False, "", "", "")

    def decode(self, payload: bytes) -> str:
        self.loses = True
        try:
            return self.judge(parse(payload))
        except RefusedError as refused:
            if self.loses:
                self.lose()
            return str(refused)

    def lose(self) -> None:
        self.synced, self.seq = False, 0
        self.book.clear()

    def top(self) -> tuple[int, ...]:
        if self.synced and self.seq >= self.quote[0]:
            return self.book.touch()
        return self.quote[2]

    def judge(self, frame: Any) -> str:
        self.loses = False
        if not isinstance(frame, dict) or ("topic" not in frame and "op" not in frame):
            raise RefusedError("foreign")
        if "topic" not in frame:
            return self.control_frame(frame)
        kind, _, rest = (frame["topic"] if is_text(frame["topic"]) else "").partition(".")
        depth, _, market = rest.partition(".") if kind == "orderbook" else ("", "", rest)
        is_book = kind == "orderbook" and depth in ("1", "50", "200", "500", "1000")
        is_book = is_book and rest != depth
        if "op" in frame or "success" in frame:
            self.loses = is_book
            raise RefusedError("foreign")
        if is_book:
            self.loses = self.depth in (0, int(depth))
            return self.book_frame(frame, int(depth), market)
        if kind == "publicTrade" and market:
            return self.trade_frame(frame, market)
        if kind == "tickers" and market:
            return self.mark_frame(frame, market)
        raise RefusedError("foreign")

    def inner(self, frame: dict[str, Any], market: str, name: str, *keys: str) -> dict[str, Any]:
        need(frame, "type", "ts", "data")
        if market != self.symbol:
            raise RefusedError("wrong_symbol")
        inner = frame["data"]
        if not isinstance(inner, dict):
            raise RefusedError("foreign")
        need(inner, name, *keys)
        self.same(inner[name])
        if not is_text(frame["type"]) or frame["type"] not in ("snapshot", "delta"):
            raise RefusedError("foreign")
        return inner

    def same(self, symbol: object) -> None:
        if not is_text(symbol) or symbol != self.symbol:
            raise RefusedError("wrong_symbol")

    def book_frame(self, frame: dict[str, Any], depth: int, market: str) -> str:
        inner = self.inner(frame, market, "s", "b", "a", "u", "seq")
        is_delta = frame["type"] == "delta"
        if is_delta and (depth == 1 or self.depth not in (0, depth)):
            raise RefusedError("foreign")
        for levels in (inner["b"], inner["a"]):
            if not isinstance(levels, list) or not all(
                isinstance(level, list) and len(level) >= 2 for level in levels
            ):
                raise RefusedError("foreign")
        sides = {1: [self.level(x) for x in inner["b"]], -1: [self.level(x) for x in inner["a"]]}
        update_id, seq = integer(inner["u"]), integer(inner["seq"])
        for stamp in ("ts", "cts"):
            if stamp in frame:
                integer(frame[stamp])
        if depth == 1:
            return self.touch_frame(update_id, seq, sides)
        if not is_delta or update_id == 1:
            return self.load(update_id, seq, sides, depth)
        if not self.synced:
            return "unsynced"
        if update_id <= self.book.update_id:
            return "stale"
        if update_id > self.book.update_id + 1:
            raise RefusedError("gap")
        self.apply(update_id, seq, sides)
        return "depth"

    def level(self, level: list[Any]) -> tuple[int, int]:
        faults = []
        for text, unit in zip(level, (self.book.tick, self.book.step), strict=False):
            try:
                units(text, unit)
            except RefusedError as refused:
                faults.append(refused)
        if faults:
            raise faults[0]
        if units(level[0], self.book.tick) == 0:
            raise RefusedError("bad_number")
        return units(level[0], self.book.tick), units(level[1], self.book.step)

    def apply(self, update_id: int, seq: int, sides: dict[int, list[tuple[int, int]]]) -> None:
        for side, levels in sides.items():
            for ticks, steps in levels:
                self.book.apply(side, ticks, steps)
        if self.book.crossed():
            self.loses = True
            raise RefusedError("crossed")
        self.book.update_id, self.seq = update_id, seq

    def load(self, update_id: int, seq: int, sides: dict[int, Any], depth: int) -> str:
        self.lose()
        self.apply(update_id, seq, sides)
        if update_id == 1 and depth > 1:
            self.quote = (0, 0, (0, 0, 0, 0))
        self.synced, self.depth = True, depth
        return "snapshot"

    def touch_frame(self, update_id: int, seq: int, sides: dict[int, Any]) -> str:
        if any(len(levels) > 1 for levels in sides.values()):
            raise RefusedError("foreign")
        best = {side: levels[0] if levels else (0, 0) for side, levels in sides.items()}
        best = {side: level if level[1] else (0, 0) for side, level in best.items()}
        if best[-1][0] and best[1][0] >= best[-1][0]:
            raise RefusedError("crossed")
        if (self.synced or self.depth > 1) and self.quote[:2] == (seq, update_id):
            return "stale"
        self.quote = (seq, update_id, (*best[1], *best[-1]))
        return "quote" if self.depth > 1 else self.load(update_id, seq, sides, 1)

    def trade_frame(self, frame: dict[str, Any], market: str) -> str:
        need(frame, "ts", "data")
        if market != self.symbol:
            raise RefusedError("wrong_symbol")
        if not isinstance(frame["data"], list):
            raise RefusedError("foreign")
        every = [self.fill(part) for part in frame["data"]]
        struck = [trade for trade in every if trade is not None]
        if len(struck) > 1024:
            raise RefusedError("overflow")
        integer(frame["ts"])
        self.off_market += len(every) - len(struck)
        self.trades = struck or self.trades
        return "trade" if struck else "ignored"

    def fill(self, part: object) -> Trade | None:
        if not isinstance(part, dict):
            raise RefusedError("foreign")
        need(part, *TRADE_KEYS)
        self.same(part["s"])
        block = part.get("BT", False)
        if not isinstance(block, bool):
            raise RefusedError("foreign")
        if block:
            return None
        if not is_text(part["S"]) or part["S"] not in ("Buy", "Sell"):
            raise RefusedError("foreign")
        trade_id = part["i"]
        if isinstance(trade_id, Bare):
            trade_id = integer(trade_id)
        elif not trade_id or not is_text(trade_id):
            raise RefusedError("foreign")
        ticks, steps = units(part["p"], self.book.tick), units(part["v"], self.book.step)
        match_ms = integer(part["T"])
        integer(part.get("seq", Bare("0")))
        if not ticks or not steps:
            raise RefusedError("bad_number")
        return trade_id, 1 if part["S"] == "Buy" else -1, match_ms, ticks, steps

    def mark_frame(self, frame: dict[str, Any], market: str) -> str:
        inner = self.inner(frame, market, "symbol")
        if frame["type"] == "snapshot":
            need(inner, *MARKED)
        integer(frame["ts"])
        marks = list(self.marks)
        for index, key in enumerate(MARKED):
            if key in inner:
                read = integer(inner[key]) if index == 3 else number(inner[key])
                if index < 2 and number(inner[key]).is_signed():
                    raise RefusedError("bad_number")
                marks[index] = float(read)
        if any(math.isinf(mark) for mark in marks) or marks[0] == 0:
            raise RefusedError("bad_number")
        if not set(MARKED) & set(inner):
            return "ignored"
        self.marks = marks
        return "mark"

    def control_frame(self, frame: dict[str, Any]) -> str:
        success = frame.get("success", frame["op"] == "pong")
        if not is_text(frame["op"]) or not isinstance(success, bool):
            raise RefusedError("foreign")
        if "success" not in frame and not success:
            raise RefusedError("foreign")
        texts = [frame.get(key) for key in ("req_id", "ret_msg")]
        texts = [str(text) if isinstance(text, str) else "" for text in texts]
        self.control = (success, frame["op"], *texts)
        return "ignored"
