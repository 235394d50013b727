"""Binance frames written from numbers, of the futures and of spot, and codecs fed with them."""

import json
from collections.abc import Sequence
from typing import Any

from hfengine.kernels.book import Book
from hfengine.kernels.codec import BinanceCodec

Levels = Sequence[tuple[str, str]]


def encode(frame: object) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


def wrap(frame: dict[str, Any], stream: str = "btcusdt@depth@0ms") -> bytes:
    return encode({"stream": stream, "data": frame})


def diff(first: int, last: int, previous: int, bids: Levels = (), asks: Levels = ()) -> dict:
    return {
        "e": "depthUpdate",
        "E": 1723161256352,
        "T": 1723161256351,
        "s": "BTCUSDT",
        "U": first,
        "u": last,
        "pu": previous,
        "b": [list(level) for level in bids],
        "a": [list(level) for level in asks],
    }


def spot_diff(first: int, last: int, bids: Levels = (), asks: Levels = ()) -> dict:
    frame = diff(first, last, 0, bids, asks)
    del frame["T"], frame["pu"]
    return frame


def spot_quote(
    update_id: int, bid: str = "100.0", bid_qty: str = "1", ask: str = "100.1", ask_qty: str = "2"
) -> dict:
    return {"u": update_id, "s": "BTCUSDT", "b": bid, "B": bid_qty, "a": ask, "A": ask_qty}


def spot_snapshot(last: int, bids: Levels = (), asks: Levels = ()) -> dict:
    frame = snapshot(last, bids, asks)
    del frame["E"], frame["T"]
    return frame


def snapshot(last: int, bids: Levels = (), asks: Levels = ()) -> dict:
    return {
        "lastUpdateId": last,
        "E": 1723161256501,
        "T": 1723161256493,
        "bids": [list(level) for level in bids],
        "asks": [list(level) for level in asks],
    }


def quote(
    update_id: int, bid: str = "100.0", bid_qty: str = "1", ask: str = "100.1", ask_qty: str = "2"
) -> dict:
    return {
        "e": "bookTicker",
        "u": update_id,
        "s": "BTCUSDT",
        "b": bid,
        "B": bid_qty,
        "a": ask,
        "A": ask_qty,
        "T": 1723161256313,
        "E": 1723161256314,
    }


def trade(trade_id: int, price: str, quantity: str, **others: object) -> dict:
    return {
        "e": "trade",
        "E": 1723161256322,
        "T": 1723161256321,
        "s": "BTCUSDT",
        "t": trade_id,
        "p": price,
        "q": quantity,
        "X": "MARKET",
        "m": False,
    } | others


def mark(price: str, index: str, rate: str) -> dict:
    return {
        "e": "markPriceUpdate",
        "E": 1680652701000,
        "s": "BTCUSDT",
        "p": price,
        "P": "1",
        "i": index,
        "r": rate,
        "T": 1680652800000,
    }


BIDS = [("100.0", "1.000"), ("99.9", "2.500"), ("99.0", "4")]
ASKS = [("100.1", "2.000"), ("100.4", "0.500")]
SNAPSHOT = encode(snapshot(1000, BIDS, ASKS))
EMPTY = (False, 0, [], [])
"""The state of a codec that lost its book."""


def fresh(market: str = "usdm") -> BinanceCodec:
    return BinanceCodec("BTCUSDT", Book("0.10", "0.001"), market)


def synced() -> BinanceCodec:
    """Return a codec in sync at update 1010, its bids 100.0 and 99.0, its asks 100.1 and 100.4."""
    codec = fresh()
    codec.decode(SNAPSHOT)
    codec.decode(wrap(diff(995, 1010, 990, [("99.9", "0")])))
    return codec


def state(codec: BinanceCodec) -> tuple[object, ...]:
    """Return whether the codec is in sync, the book's update id and all its levels."""
    book = codec.book
    return codec.synced, book.update_id, book.levels(1, 9999), book.levels(-1, 9999)
