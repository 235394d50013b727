"""Latency: never below the base, seeded, and never out of order on one connection."""

import pytest

from hfengine.exchange import FifoDelay, Latency
from hfengine.seeds import Seed


class Draws:
    """A stream that gives what it is told."""

    def __init__(self, *draws: float) -> None:
        self._draws = list(draws)

    def random(self) -> float:
        return self._draws.pop(0)


def test_base_and_jitter() -> None:
    latency = Latency(Draws(0.0, 1 - 2.718281828459045**-1, 1 - 1e-16), 100, 50)
    assert latency.next_ns() == 100_000
    assert abs(latency.next_ns() - 150_000) <= 1
    assert latency.next_ns() == 100_000 + 10 * 50_000, "cut at ten means"


def test_no_jitter_is_the_base() -> None:
    latency = Latency(Seed(1).stream("order"), 250, 0)
    assert {latency.next_ns() for _ in range(50)} == {250_000}


def test_same_seed_same_delays() -> None:
    def delays(seed: int) -> list[int]:
        latency = Latency(Seed(seed).stream("order"), 100, 50)
        return [latency.next_ns() for _ in range(50)]

    assert delays(1) == delays(1)
    assert delays(1) != delays(2)
    assert min(delays(1)) >= 100_000


def test_one_connection_never_reorders() -> None:
    fifo = FifoDelay(Latency(Draws(0.9, 0.0, 0.0), 100, 50))
    late = fifo.due_ns(0)
    assert late > 200_000
    assert fifo.due_ns(10) == late
    assert fifo.due_ns(1_000_000) == 1_100_000


@pytest.mark.parametrize(("base_us", "jitter_us"), [(-1, 0), (0, -1)])
def test_negative_latency_is_refused(base_us: int, jitter_us: int) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        Latency(Draws(), base_us, jitter_us)
