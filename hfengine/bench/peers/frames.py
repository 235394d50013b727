"""Frames shaped like the venues', made from a seed: both sides of a comparison get the same bytes.

Sizes follow the public documentation: a Bybit `orderbook.50` delta of 6 to 8 levels a side (440
bytes in the median), a Binance `depth` diff of 15 to 25 levels a side, one trade a frame. A fifth
of the levels in a delta are removals, which a later delta puts back, so the book keeps its depth;
the touch itself never empties.
"""

from random import Random

import msgspec
from msgspec import Struct

from hfengine.seeds import Seed

SYMBOL = "BTCUSDT"
TICK = "0.10"
STEP = "0.001"
DEPTH = 50
DIFF_DEPTH = 200
GONE_MAX = 8
REMOVED_SHARE = 0.2
BYBIT_LEVELS = (6, 8)
BINANCE_LEVELS = (15, 25)
BASE_MS = 1_730_000_000_000
MID_TICKS = 674_123
QUANTITIES_STEPS = (1, 2, 15, 120, 500, 1234, 3508, 12_045)

_encode = msgspec.json.encode


class Stream(Struct, frozen=True):
    """One dialect's frames: a snapshot and what follows it."""

    snapshot: bytes
    frames: list[bytes]


def bybit_book(seed: Seed, count: int) -> Stream:
    """Return an `orderbook.50` snapshot and `count` deltas of an unbroken chain."""
    rng = seed.stream("bench bybit book")
    bids = [_level(rng, -rank) for rank in range(DEPTH)]
    asks = [_level(rng, 1 + rank) for rank in range(DEPTH)]
    gone: tuple[set[int], set[int]] = (set(), set())
    deltas = []
    for number in range(1, count + 1):
        changed = [
            [_change(rng, sign, rank, missing) for rank in _ranks(rng, BYBIT_LEVELS, DEPTH)]
            for sign, missing in zip((-1, 1), gone, strict=True)
        ]
        deltas.append(_bybit_book("delta", number, *changed))
    return Stream(_bybit_book("snapshot", 0, bids, asks), deltas)


def bybit_trades(seed: Seed, count: int) -> list[bytes]:
    """Return `count` `publicTrade` frames of one trade each."""
    rng = seed.stream("bench bybit trades")
    return [
        _encode(
            {
                "topic": f"publicTrade.{SYMBOL}",
                "type": "snapshot",
                "ts": BASE_MS + number + 1,
                "data": [
                    {
                        "T": BASE_MS + number,
                        "s": SYMBOL,
                        "S": rng.choice(("Buy", "Sell")),
                        "v": _quantity(rng),
                        "p": _price(rng.randint(-3, 3)),
                        "L": rng.choice(("PlusTick", "MinusTick", "ZeroPlusTick")),
                        "i": f"{rng.getrandbits(32):08x}-d8dd-5b31-9112-{rng.getrandbits(48):012x}",
                        "BT": False,
                        "RPI": False,
                        "seq": 79_616_387_241 + 7 * number,
                    }
                ],
            }
        )
        for number in range(count)
    ]


def binance_book(seed: Seed, count: int) -> Stream:
    """Return a REST depth snapshot of 200 levels and `count` diffs; the first one spans it."""
    rng = seed.stream("bench binance book")
    last_id = 390_497_878
    bids = [_level(rng, -rank) for rank in range(DIFF_DEPTH)]
    asks = [_level(rng, 1 + rank) for rank in range(DIFF_DEPTH)]
    times = {"E": BASE_MS, "T": BASE_MS}
    snapshot = _encode({"lastUpdateId": last_id, **times, "bids": bids, "asks": asks})
    gone: tuple[set[int], set[int]] = (set(), set())
    diffs = []
    previous, first = last_id - 9, last_id - 5
    for number in range(1, count + 1):
        bids, asks = (
            [_change(rng, sign, rank, missing) for rank in _ranks(rng, BINANCE_LEVELS, DIFF_DEPTH)]
            for sign, missing in zip((-1, 1), gone, strict=True)
        )
        final = first + rng.randint(20, 60)
        event = {"e": "depthUpdate", "E": BASE_MS + number, "T": BASE_MS + number - 4, "s": SYMBOL}
        diffs.append(
            _encode({**event, "U": first, "u": final, "pu": previous, "b": bids, "a": asks})
        )
        previous, first = final, final + 1
    return Stream(snapshot, diffs)


def binance_trades(seed: Seed, count: int) -> list[bytes]:
    """Return `count` `trade` events, all on the market."""
    rng = seed.stream("bench binance trades")
    return [
        _encode(
            {
                "e": "trade",
                "E": BASE_MS + number,
                "T": BASE_MS + number - 1,
                "s": SYMBOL,
                "t": 5_933_014 + number,
                "p": _price(rng.randint(-3, 3)),
                "q": _quantity(rng),
                "X": "MARKET",
                "m": bool(rng.getrandbits(1)),
            }
        )
        for number in range(count)
    ]


def _price(distance_ticks: int) -> str:
    return f"{(MID_TICKS + distance_ticks) / 10:.2f}"


def _quantity(rng: Random) -> str:
    return f"{rng.choice(QUANTITIES_STEPS) * rng.randint(1, 9) / 1000:.3f}"


def _level(rng: Random, distance_ticks: int) -> list[str]:
    return [_price(distance_ticks), _quantity(rng)]


def _ranks(rng: Random, levels: tuple[int, int], depth: int) -> list[int]:
    return sorted(rng.sample(range(1, depth), rng.randint(*levels)))


def _change(rng: Random, sign: int, rank: int, gone: set[int]) -> list[str]:
    """Return one changed level, `rank` levels from the touch of its side."""
    distance_ticks = -rank if sign < 0 else 1 + rank
    if rank in gone:
        gone.discard(rank)
    elif rng.random() < REMOVED_SHARE and len(gone) < GONE_MAX:
        gone.add(rank)
        return [_price(distance_ticks), "0"]
    return _level(rng, distance_ticks)


def _bybit_book(form: str, number: int, bids: list[list[str]], asks: list[list[str]]) -> bytes:
    update = {"s": SYMBOL, "b": bids, "a": asks, "u": 18_521_288 + number}
    return _encode(
        {
            "topic": f"orderbook.{DEPTH}.{SYMBOL}",
            "type": form,
            "ts": BASE_MS + number,
            "data": {**update, "seq": 79_616_387_240 + 7 * number},
            "cts": BASE_MS + number - 3,
        }
    )
