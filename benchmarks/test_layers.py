"""Cost of all seven layers a book update from Python, at three paces, and of a trade."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from hfengine.actors.layering import layers_of
from hfengine.kernels.layers import Layers
from hfengine.settings import Protection, Signals

T0_NS = 1_723_075_200_000_000_000
Quote = tuple[int, float, float, float, float]


def quotes(step_ms: int) -> Iterator[Quote]:
    """Return a long walk of best quotes, built beforehand, so that only the layers are timed."""
    rng, bid, built = random.Random(1), 60_000.0, []
    for number in range(200_000):
        bid += rng.choice((-0.1, 0.0, 0.0, 0.1))
        at_ns = T0_NS + number * step_ms * 1_000_000
        built.append((at_ns, bid, rng.uniform(0.1, 5.0), bid + 0.1, rng.uniform(0.1, 5.0)))
    return itertools.cycle(built)


def warmed(step_ms: int) -> tuple[Layers, Iterator[Quote]]:
    """Return one of two paired symbols after 3,000 quotes of both, and the quotes to come."""
    btc, eth = layers_of(Signals(), Protection(), ("BTCUSDT", "ETHUSDT")).values()
    coming = quotes(step_ms)
    for at_ns, bid, bid_quantity, ask, ask_quantity in itertools.islice(coming, 3_000):
        eth.update_book(at_ns, bid / 20, bid_quantity, ask / 20, ask_quantity)
        btc.update_book(at_ns, bid, bid_quantity, ask, ask_quantity)
    return btc, coming


@pytest.mark.parametrize("step_ms", [1, 10, 100])
def test_all_seven_a_book_update(benchmark: Any, step_ms: int) -> None:
    layers, coming = warmed(step_ms)
    batch = list(itertools.islice(coming, 1_000))
    times = itertools.count(batch[0][0], step_ms * 1_000_000)

    def run() -> None:
        update = layers.update_book
        for _, bid, bid_quantity, ask, ask_quantity in batch:
            update(next(times), bid, bid_quantity, ask, ask_quantity)

    benchmark.extra_info["updates_per_round"] = len(batch)
    benchmark(run)
    assert layers.ready


def test_a_trade(benchmark: Any) -> None:
    layers, coming = warmed(10)
    times = itertools.count(next(coming)[0], 10_000_000)
    benchmark(lambda: layers.update_trade(next(times), 60_000.0, 0.1, 1))
    assert layers.ready
