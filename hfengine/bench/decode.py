"""Decode and apply: the compiled codecs beside ccxt.pro and beside orjson with two dicts."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from hfengine.bench.peers.ccxt_feed import CcxtFeed
from hfengine.bench.peers.frames import (
    STEP,
    SYMBOL,
    TICK,
    Stream,
    binance_book,
    binance_trades,
    bybit_book,
    bybit_trades,
)
from hfengine.bench.peers.plain import DictBook
from hfengine.bench.rounds import Spread, each_ns, paired
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from hfengine.kernels.codec import BinanceCodec
from hfengine.seeds import Seed

Codec = BybitCodec | BinanceCodec
Levels = list[tuple[float, float]]
T = TypeVar("T")
CODECS: dict[str, type[BybitCodec] | type[BinanceCodec]] = {
    "bybit": BybitCodec,
    "binanceusdm": BinanceCodec,
}


class PeerDisagrees(AssertionError):
    """Two sides of a comparison did not do the same work, so their times mean nothing."""


def decode_ratios(rounds: int, frames: int, seed: Seed) -> dict[str, Spread]:
    """Return peer time over codec time for each kind of frame, from payload bytes to the book.

    `decode_bybit_delta`, `decode_binance_diff`, `decode_trade` (Bybit) and `decode_binance_trade`
    are against ccxt.pro; `.._parsed` gives ccxt.pro its messages already parsed; `.._vs_orjson` is
    against orjson with two dicts. Raises PeerDisagrees when the books differ in the end.
    """
    return asyncio.run(_decode_ratios(rounds, frames, seed))


async def _decode_ratios(rounds: int, frames: int, seed: Seed) -> dict[str, Spread]:
    found: dict[str, Spread] = {}
    books = {"bybit": bybit_book(seed, frames), "binanceusdm": binance_book(seed, frames)}
    trades = {"bybit": bybit_trades(seed, frames), "binanceusdm": binance_trades(seed, frames)}
    names = {"bybit": "decode_bybit_delta", "binanceusdm": "decode_binance_diff"}
    for exchange, stream in books.items():
        name = names[exchange]
        ours, theirs = BookSide(exchange), CcxtFeed(exchange)
        plain = DictBook()
        check_books(stream, ours, theirs, plain)
        parsed = [theirs.exchange.parse_json(payload.decode()) for payload in stream.frames]

        def codec(ours: BookSide = ours, stream: Stream = stream) -> float:
            ours.restart(stream)
            return per_frame_ns(ours.codec.decode, stream.frames)

        def ccxt(theirs: CcxtFeed = theirs, stream: Stream = stream) -> float:
            theirs.restart(stream)
            return per_frame_ns(theirs.decode, stream.frames)

        def handled(
            theirs: CcxtFeed = theirs, stream: Stream = stream, parsed: list[object] = parsed
        ) -> float:
            theirs.restart(stream)
            return per_frame_ns(theirs.handle, parsed)

        def dicts(plain: DictBook = plain, stream: Stream = stream) -> float:
            plain.decode(stream.snapshot)
            return per_frame_ns(plain.decode, stream.frames)

        found[name] = paired(codec, ccxt, rounds)
        found[f"{name}_parsed"] = paired(codec, handled, rounds)
        found[f"{name}_vs_orjson"] = paired(codec, dicts, rounds)
    for exchange, name in (("bybit", "decode_trade"), ("binanceusdm", "decode_binance_trade")):
        found[name] = _trade_ratio(exchange, trades[exchange], rounds)
    return found


def _trade_ratio(exchange: str, frames: list[bytes], rounds: int) -> Spread:
    ours, theirs = BookSide(exchange), CcxtFeed(exchange)
    check_trades(frames, ours, theirs)
    return paired(
        lambda: per_frame_ns(ours.codec.decode, frames),
        lambda: per_frame_ns(theirs.decode, frames),
        rounds,
    )


class BookSide:
    """The engine's side: one codec and its book."""

    def __init__(self, exchange: str) -> None:
        self.book = Book(TICK, STEP)
        self.codec: Codec = CODECS[exchange](SYMBOL, self.book)

    def restart(self, stream: Stream) -> None:
        """Start the book anew from the stream's snapshot."""
        self.codec.resync()
        if self.codec.decode(stream.snapshot) < 0:
            raise PeerDisagrees(f"the snapshot was refused: {self.codec.fault_detail}")

    def levels(self) -> tuple[Levels, Levels]:
        """Return the bids and asks as (price, quantity), best first, as plain decimals read."""
        bids, asks = (
            [
                (round(ticks * self.book.tick, 2), round(steps * self.book.step, 3))
                for ticks, steps in self.book.levels(side, 1000)
            ]
            for side in (1, -1)
        )
        return bids, asks


def per_frame_ns(handle: Callable[[T], object], frames: list[T]) -> float:
    """Return what one frame takes in ns, all handled back to back."""

    def handle_all(chunk: Sequence[T]) -> None:
        for payload in chunk:
            handle(payload)

    return each_ns(handle_all, frames)


def check_books(stream: Stream, ours: BookSide, theirs: CcxtFeed, plain: DictBook) -> None:
    """Let all three take the whole stream; raise PeerDisagrees unless they hold one book."""
    for side in (ours, theirs):
        side.restart(stream)
    plain.decode(stream.snapshot)
    before = theirs.levels()
    for payload in stream.frames:
        if ours.codec.decode(payload) < 0:
            raise PeerDisagrees(f"a frame was refused: {ours.codec.fault_detail}")
        theirs.decode(payload)
        plain.decode(payload)
    if not ours.levels() == theirs.levels() == plain.levels():
        raise PeerDisagrees(f"{theirs.exchange.id}: the books differ after the same frames")
    if theirs.levels() == before:
        raise PeerDisagrees(f"{theirs.exchange.id}: its book never changed")


def check_trades(frames: list[bytes], ours: BookSide, theirs: CcxtFeed) -> None:
    """Let both take every trade; raise PeerDisagrees unless they read the same ones."""
    mine = []
    for payload in frames:
        if ours.codec.decode(payload) < 0:
            raise PeerDisagrees(f"a trade was refused: {ours.codec.fault_detail}")
        mine.append((ours.codec.trade_price, ours.codec.trade_quantity))
        theirs.decode(payload)
    kept = theirs.trades()
    if not kept or kept != mine[-len(kept) :]:
        raise PeerDisagrees(f"{theirs.exchange.id}: the trades differ from the same frames")
