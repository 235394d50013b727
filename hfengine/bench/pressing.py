"""Frames in which buyers press: every one of them moves the touch, so that each raises a signal."""

import msgspec

from hfengine.bench.peers.frames import SYMBOL, Stream, bybit_book
from hfengine.seeds import Seed

__all__ = ["SYMBOL", "pressing_book"]

STEPS_PER_UNIT = 1000


def pressing_book(seed: Seed, count: int) -> Stream:
    """Return a Bybit `orderbook.50` snapshot and `count` deltas that each add to the best bid.

    The quantity of the best bid grows by one step a frame in the place of one deeper level, so the
    frames keep their size; order-flow imbalance is then positive at every one.
    """
    stream = bybit_book(seed, count)
    snapshot = msgspec.json.decode(stream.snapshot)
    best = snapshot["data"]["b"][0][0]
    frames = []
    for number, payload in enumerate(stream.frames, 1):
        frame = msgspec.json.decode(payload)
        frame["data"]["b"][0] = [best, f"{20 + number / STEPS_PER_UNIT:.3f}"]
        frames.append(msgspec.json.encode(frame))
    return Stream(stream.snapshot, frames)
