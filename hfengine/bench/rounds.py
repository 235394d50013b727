"""Fair comparisons: both sides in turn in one run, the ratio a round, its median and spread."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import TypeVar

from msgspec import Struct

from hfengine.clock import mono_ns
from hfengine.kernels.histogram import Histogram

ROUNDS_MIN = 5
"""Fewer rounds than these make no claim: these machines slow down 2.2 times for seconds."""

CHUNK = 50
"""Pieces of work timed together: long against reading the clock, short against a time slice."""

T = TypeVar("T")


class Spread(Struct, frozen=True):
    """What repeated rounds of one comparison gave: a median and how far the rounds lie apart."""

    median: float
    min: float
    max: float


class Quantiles(Struct, frozen=True):
    """How long one thing took: nanoseconds of real time, and how many times it was measured."""

    p50: int
    p99: int
    p999: int
    max: int
    count: int


Ratio = Spread | dict[str, Spread]


class PeerReport(Struct, kw_only=True):
    """Ratios over 1 mean the engine is faster; those against a floor say how much slower it is."""

    rounds: int
    enough_rounds: bool
    ratios: dict[str, Ratio]
    quantiles_ns: dict[str, Quantiles]
    """What single sides took, in ns: of the last round, or of all rounds over sockets."""
    rates_per_s: dict[str, Spread]
    notes: list[str]


def spread_of(measured: Sequence[float]) -> Spread:
    """Return the median, the least and the greatest; raises ValueError for no figures."""
    if not measured:
        raise ValueError("a spread needs at least one round")
    return Spread(median(measured), min(measured), max(measured))


def quantiles_of(histogram: Histogram) -> Quantiles:
    """Return the quantiles of a histogram in nanoseconds; all zero when it is empty."""
    return Quantiles(
        p50=histogram.quantile(0.5),
        p99=histogram.quantile(0.99),
        p999=histogram.quantile(0.999),
        max=histogram.max_ns,
        count=histogram.count,
    )


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep the cycle collector from running inside; collect once before."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def paired(left: Callable[[], float], right: Callable[[], float], rounds: int = 7) -> Spread:
    """Measure both sides in turn and return right over left: how many times left is faster.

    Each side returns a time per unit of the same work (any unit, over 0). Which side goes first
    alternates from round to round, so that a machine that slows down or warms up favours neither.
    """
    return spread_of(
        [right_took / left_took for left_took, right_took in turns(left, right, rounds)]
    )


def turns(
    left: Callable[[], float], right: Callable[[], float], rounds: int
) -> list[tuple[float, float]]:
    """Measure both sides in turn `rounds` times; return what each took, (left, right) a round."""
    measured = []
    with collector_off():
        for number in range(rounds):
            if number % 2:
                right_took = right()
                left_took = left()
            else:
                left_took = left()
                right_took = right()
            measured.append((left_took, right_took))
    return measured


def each_ns(handle_all: Callable[[Sequence[T]], object], work: Sequence[T]) -> float:
    """Return what one piece of work takes in ns, handled back to back.

    The median of chunks of CHUNK pieces: a mean would charge a slow side, whose pass outlasts the
    scheduler's slice, for whatever else the machine does, and spare a fast one.
    """
    took_ns = []
    for start in range(0, len(work), CHUNK):
        chunk = work[start : start + CHUNK]
        started_ns = mono_ns()
        handle_all(chunk)
        took_ns.append((mono_ns() - started_ns) / len(chunk))
    return median(took_ns)
