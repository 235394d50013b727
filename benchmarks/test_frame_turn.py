"""The turn of a plain frame, decoded and told, in one compiled call."""

from typing import Any

from hfengine.actors.symbol_feed import symbol_feed
from hfengine.bench.pressing import SYMBOL, pressing_book
from hfengine.instruments import load_catalogue
from hfengine.kernels.frame_turn import TOLD, FrameTurn
from hfengine.messages import Frame
from hfengine.runtime.stages import Stages
from hfengine.seeds import Seed


def test_bybit_delta(benchmark: Any) -> None:
    stream = pressing_book(Seed(1), 50_000)
    feed = symbol_feed("bybit", SYMBOL, load_catalogue("bybit").find(SYMBOL))
    turn = FrameTurn({SYMBOL: feed}, {}, Stages(), lambda _tick: None, print)
    turn.take(Frame(SYMBOL, 1, stream.snapshot))
    feed.told_synced = True
    frames = iter([Frame(SYMBOL, 1, payload) for payload in stream.frames])
    rounds = len(stream.frames) // 100

    def hundred() -> int:
        told = 0
        for _ in range(100):
            told += turn.take(next(frames)) == TOLD
        return told

    assert benchmark.pedantic(hundred, rounds=rounds) == 100
