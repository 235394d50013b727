"""The same frames through codec, ccxt.pro, and orjson with two dicts: a group a kind of frame."""

import asyncio

import pytest

from hfengine.bench.decode import BookSide
from hfengine.bench.peers.ccxt_feed import CcxtFeed
from hfengine.bench.peers.frames import binance_book, binance_trades, bybit_book, bybit_trades
from hfengine.bench.peers.plain import DictBook
from hfengine.seeds import Seed

FRAMES = 500
SEED = Seed(1)
STREAMS = {
    "bybit": bybit_book(SEED, FRAMES),
    "binanceusdm": binance_book(SEED, FRAMES),
}
TRADES = {
    "bybit": bybit_trades(SEED, FRAMES),
    "binanceusdm": binance_trades(SEED, FRAMES),
}


def ccxt_feed(exchange):
    async def make():
        return CcxtFeed(exchange)

    return asyncio.run(make())


def handle_all(decode, frames):
    for payload in frames:
        decode(payload)


@pytest.mark.parametrize("side", ["codec", "ccxt_pro", "dicts"])
@pytest.mark.parametrize("exchange", STREAMS)
def test_book(benchmark, exchange, side):
    benchmark.group = f"{exchange} book, {FRAMES} frames"
    stream = STREAMS[exchange]
    if side == "dicts":
        plain = DictBook()
        decode, restart, levels = plain.decode, lambda: plain.decode(stream.snapshot), plain.levels
    else:
        made = BookSide(exchange) if side == "codec" else ccxt_feed(exchange)
        decode = made.codec.decode if side == "codec" else made.decode
        restart, levels = lambda: made.restart(stream), made.levels

    def setup():
        restart()
        return (decode, stream.frames), {}

    benchmark.pedantic(handle_all, setup=setup, rounds=7)
    expected = DictBook()
    handle_all(expected.decode, [stream.snapshot, *stream.frames])
    assert levels() == expected.levels()


@pytest.mark.parametrize("side", ["codec", "ccxt_pro"])
@pytest.mark.parametrize("exchange", TRADES)
def test_trades(benchmark, exchange, side):
    benchmark.group = f"{exchange} trades, {FRAMES} frames"
    made = BookSide(exchange) if side == "codec" else ccxt_feed(exchange)
    decode = made.codec.decode if side == "codec" else made.decode
    benchmark.pedantic(handle_all, args=(decode, TRADES[exchange]), rounds=7)
    assert made.codec.trade_price > 0 if side == "codec" else made.trades()
