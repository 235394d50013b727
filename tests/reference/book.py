"""The book as two dicts, the Binance codec as json and Decimal: slow, short, strict."""

import json
import math
import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, DecimalException
from typing import Any

EXACT = Context(prec=5000, Emax=MAX_EMAX, Emin=MIN_EMIN)
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
LISTED = ("pu", "id", "bids", "asks", "symbol", "result", "lastUpdateId")
STAMPED = ("e", "E", "T", "s")
REQUIRED = {
    "depth": (*STAMPED, "U", "u", "pu", "b", "a"),
    "quote": (*STAMPED, "u", "b", "B", "a", "A"),
    "trade": (*STAMPED, "p", "q", "m"),
    "mark": (*STAMPED, "p", "i", "r"),
    "snapshot": ("lastUpdateId", "bids", "asks"),
}
SPOT_REQUIRED = REQUIRED | {
    "depth": ("e", "E", "s", "U", "u", "b", "a"),
    "quote": ("s", "u", "b", "B", "a", "A"),
}
EVENTS = {
    "depthUpdate": "depth",
    "bookTicker": "quote",
    "trade": "trade",
    "aggTrade": "trade",
    "markPriceUpdate": "mark",
}
SPOT_EVENTS = {"depthUpdate": "depth", "trade": "trade", "aggTrade": "trade"}


class ReferenceBook:
    """Two dicts of ticks to steps, sorted when asked."""

    def __init__(self, tick: str, step: str, depth_max: int = 8192) -> None:
        self.tick, self.step = Decimal(tick), Decimal(step)
        self.depth_max = depth_max
        self.sides: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self.dropped = 0
        self.update_id = 0

    def apply(self, side: int, ticks: int, steps: int) -> None:
        levels = self.sides[side]
        if steps == 0:
            levels.pop(ticks, None)
            return
        levels[ticks] = steps
        if len(levels) > self.depth_max:
            del levels[min(levels, key=lambda price: side * price)]
            self.dropped += 1

    def levels(self, side: int, count: int = 10**9) -> list[tuple[int, int]]:
        return sorted(self.sides[side].items(), key=lambda level: -side * level[0])[:count]

    def clear(self) -> None:
        self.sides = {1: {}, -1: {}}
        self.update_id = 0

    def touch(self) -> tuple[int, int, int, int]:
        """Return bid ticks and steps, ask ticks and steps, 0 where there is none."""
        bid = self.levels(1, 1) or [(0, 0)]
        ask = self.levels(-1, 1) or [(0, 0)]
        return (*bid[0], *ask[0])

    def crossed(self) -> bool:
        bid, _, ask, _ = self.touch()
        return bool(bid and ask and bid >= ask)

    def mid(self) -> float:
        bid, _, ask, _ = self.touch()
        return float((bid + ask) * self.tick / 2) if bid and ask else math.nan

    def microprice(self) -> float:
        bid, bid_steps, ask, ask_steps = self.touch()
        if not bid or not ask:
            return math.nan
        weighted = (bid * ask_steps + ask * bid_steps) * self.tick
        return float(weighted / (bid_steps + ask_steps))

    def spread_bps(self) -> float:
        bid, _, ask, _ = self.touch()
        return float(Decimal(ask - bid) / (ask + bid) * 20000) if bid and ask else math.nan

    def imbalance(self, count: int) -> float:
        bids = sum(steps for _, steps in self.levels(1, count))
        asks = sum(steps for _, steps in self.levels(-1, count))
        return (bids - asks) / (bids + asks) if bids and asks else 0.0


class RefusedError(Exception):
    """A frame is refused; the argument is the fault's name."""


class Pairs(dict[str, Any]):
    """An object that remembers which keys it had twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        keys = [key for key, _ in pairs]
        self.twice = {key for key in keys if keys.count(key) > 1}


def is_listed(key: str, *, outer: bool) -> bool:
    letter = len(key) == 1 and key.isascii() and key.isalpha()
    return letter or key in LISTED or (outer and key == "data")


class Bare(str):
    """A number written without quotes, as it was written."""

    __slots__ = ()


def refuse_constant(text: str) -> None:
    raise ValueError(text)


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
        twice = {key for key in frame.twice if is_listed(key, outer=True)}
        if isinstance(inner, Pairs):
            twice |= {key for key in inner.twice if is_listed(key, outer=False)}
        if twice:
            raise RefusedError("malformed")
    return frame


def number(text: object) -> Decimal:
    if not isinstance(text, str) or not NUMBER.fullmatch(text):
        raise RefusedError("bad_number")
    try:
        return EXACT.create_decimal(text)
    except DecimalException:
        raise RefusedError("bad_number") from None


def units(text: object, unit: Decimal) -> int:
    """Count the units in a number; refuse it below zero, too large, or between two units."""
    read = number(text)
    last_decimal = EXACT.power(10, min(0, unit.normalize().as_tuple().exponent))
    if read.is_signed() or EXACT.divide(read, last_decimal) >= 10**18:
        raise RefusedError("bad_number")
    if EXACT.remainder(read, unit) != 0:
        raise RefusedError("off_grid")
    return int(EXACT.divide(read, unit))


def integer(text: object) -> int:
    try:
        return units(text, Decimal(1))
    except RefusedError:
        raise RefusedError("bad_number") from None


class ReferenceCodec:
    """The same rules as the compiled codec, and the same names of results."""

    def __init__(self, symbol: str, book: ReferenceBook, market: str = "usdm") -> None:
        self.symbol, self.book, self.spot = symbol, book, market == "spot"
        self.required = SPOT_REQUIRED if self.spot else REQUIRED
        self.events = SPOT_EVENTS if self.spot else EVENTS
        self.synced = self.chained = False
        self.kept: list[dict[str, Any]] = []
        self.quote: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
        self.trade: tuple[int, int, int, int] = (0, 0, 0, 0)
        self.marks: tuple[float, ...] = (math.nan, math.nan, math.nan, 0)

    def decode(self, payload: bytes) -> str:
        self.kind = ""
        try:
            return self.judge(parse(payload))
        except RefusedError as refused:
            fault = str(refused)
            if self.kind not in ("quote", "trade", "mark", "other"):
                self.lose()
            return fault

    def lose(self) -> None:
        self.synced = self.chained = False
        self.book.clear()

    def judge(self, frame: Any) -> str:
        self.kind = "other"
        if not isinstance(frame, dict):
            raise RefusedError("foreign")
        if isinstance(frame.get("data"), dict):
            own = {"e", "b", "a", *REQUIRED["snapshot"]} & set(frame)
            frame = frame["data"]
            self.kind = self.kind_of(frame)
            if own:
                self.kind = self.kind if self.kind in ("depth", "snapshot") else "other"
                raise RefusedError("foreign")
        self.kind = self.kind_of(frame)
        if self.kind == "ignored":
            return "ignored"
        if self.kind == "other" or any(key not in frame for key in self.required[self.kind]):
            raise RefusedError("foreign")
        if self.kind == "trade" and ("t" if frame["e"] == "trade" else "a") not in frame:
            raise RefusedError("foreign")
        named = [frame[key] for key in ("s", "symbol") if key in frame]
        if self.kind != "snapshot":
            named = [frame["s"]]
        if any(isinstance(name, Bare) or name != self.symbol for name in named):
            raise RefusedError("wrong_symbol")
        result: str = getattr(self, f"{self.kind}_frame")(frame)
        return result

    def kind_of(self, frame: dict[str, Any]) -> str:
        if "e" in frame:
            event = frame["e"]
            known = isinstance(event, str) and not isinstance(event, Bare)
            return self.events.get(event, "other") if known else "other"
        if "lastUpdateId" in frame:
            return "snapshot"
        if "result" in frame and "id" in frame:
            return "ignored"
        bare_quote = self.spot and all(key in frame for key in self.required["quote"])
        return "quote" if bare_quote else "other"

    def sides(self, frame: dict[str, Any], bids: str, asks: str) -> dict[int, list[Any]]:
        if {"b", "bids"} <= set(frame) or {"a", "asks"} <= set(frame):
            raise RefusedError("foreign")
        for levels in (frame[bids], frame[asks]):
            if not isinstance(levels, list) or not all(
                isinstance(level, list) and len(level) >= 2 for level in levels
            ):
                raise RefusedError("foreign")
        return {1: [self.level(x) for x in frame[bids]], -1: [self.level(x) for x in frame[asks]]}

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

    def depth_frame(self, frame: dict[str, Any]) -> str:
        sides = self.sides(frame, "b", "a")
        if self.spot:
            ids = [integer(frame[key]) for key in ("U", "u", "E")]
            if "pu" in frame:
                raise RefusedError("foreign")
            ids.insert(2, ids[0] - 1)
        else:
            ids = [integer(frame[key]) for key in ("U", "u", "pu", "E", "T")]
        if ids[0] > ids[1] or ids[2] > ids[1]:
            raise RefusedError("bad_number")
        diff = {"ids": ids[:3], "sides": sides}
        if not self.synced:
            return self.keep(diff)
        try:
            return self.follow(diff)
        except RefusedError:
            self.lose()
            self.keep(diff)
            raise

    def keep(self, diff: dict[str, Any]) -> str:
        self.kept.append(diff)
        if len(self.kept) <= 1024:
            return "buffered"
        del self.kept[0]
        raise RefusedError("overflow")

    def follow(self, diff: dict[str, Any]) -> str:
        first, last, previous = diff["ids"]
        known = self.book.update_id
        if last < known or (last == known and (self.chained or self.spot)):
            return "stale"
        spans = first <= known <= last
        if previous != known and (self.chained or not spans):
            raise RefusedError("gap")
        for side, levels in diff["sides"].items():
            for ticks, steps in levels:
                self.book.apply(side, ticks, steps)
        if self.book.crossed():
            raise RefusedError("crossed")
        self.chained = True
        self.book.update_id = last
        return "depth"

    def snapshot_frame(self, frame: dict[str, Any]) -> str:
        sides = self.sides(frame, "bids", "asks")
        last, *_ = [integer(frame[key]) for key in ("lastUpdateId", "E", "T") if key in frame]
        if self.synced and last <= self.book.update_id:
            return "stale"
        self.lose()
        for side, levels in sides.items():
            for ticks, steps in levels:
                self.book.apply(side, ticks, steps)
        if self.book.crossed():
            raise RefusedError("crossed")
        self.book.update_id = last
        self.synced = True
        for diff in self.kept:
            self.follow(diff)
        self.kept.clear()
        return "snapshot"

    def quote_frame(self, frame: dict[str, Any]) -> str:
        update_id = integer(frame["u"])
        bid = units(frame["b"], self.book.tick)
        bid_steps = units(frame["B"], self.book.step)
        ask = units(frame["a"], self.book.tick)
        ask_steps = units(frame["A"], self.book.step)
        if not self.spot:
            integer(frame["E"])
            integer(frame["T"])
        if (not bid and bid_steps) or (not ask and ask_steps):
            raise RefusedError("bad_number")
        if ask and bid >= ask:
            raise RefusedError("crossed")
        if update_id < self.quote[0]:
            return "stale"
        self.quote = (update_id, bid, bid_steps, ask, ask_steps)
        return "quote"

    def trade_frame(self, frame: dict[str, Any]) -> str:
        market = frame.get("X", "")
        if isinstance(market, Bare) or market not in ("MARKET", ""):
            return "ignored"
        if not isinstance(frame["m"], bool):
            raise RefusedError("foreign")
        trade_id = integer(frame["t" if frame["e"] == "trade" else "a"])
        ticks, steps = units(frame["p"], self.book.tick), units(frame["q"], self.book.step)
        integer(frame["E"])
        integer(frame["T"])
        if not ticks or not steps:
            raise RefusedError("bad_number")
        self.trade = (trade_id, ticks, steps, -1 if frame["m"] else 1)
        return "trade"

    def mark_frame(self, frame: dict[str, Any]) -> str:
        mark, index, rate = (number(frame[key]) for key in ("p", "i", "r"))
        if any(math.isinf(float(price)) for price in (mark, index, rate)):
            raise RefusedError("bad_number")
        integer(frame["E"])
        next_ms = integer(frame["T"])
        if float(mark) <= 0 or mark.is_signed() or index.is_signed():
            raise RefusedError("bad_number")
        self.marks = (float(mark), float(index), float(rate), next_ms)
        return "mark"
