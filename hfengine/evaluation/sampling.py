"""Recordings driven through the layers once, sampled on a fixed grid of recorded time.

A sample at t holds what the layers said after all events up to and including t, and nothing
later. What came of it is read from the path of the book afterwards, by `forward`.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from hfengine.errors import FeedError
from hfengine.evaluation.statistics import Floats, Times
from hfengine.feeds.source import Damage, Feed, Recorded
from hfengine.instruments import Catalogue
from hfengine.kernels.book import Book
from hfengine.kernels.codec import DEPTH, FAULTS, QUOTE, TRADE, BinanceCodec
from hfengine.kernels.layers import NAMES

LAYERS: Final = NAMES
"""The layers in their order; the last is all of them fused."""

FACTORS: Final = 6
PROGRESS_EVERY_FRAMES: Final = 2_000


class DriftLayer(Protocol):
    """What is read of layer 5 besides its forecast."""

    @property
    def factors(self) -> Sequence[float]:
        """The six standardised factors of now."""


class LayerSource(Protocol):
    """The seven layers of one symbol; expectations are log returns over the profile's horizon."""

    def update_trade(self, at_ns: int, price: float, quantity: float, side: int) -> None:
        """Take one trade."""

    def update_book(
        self, at_ns: int, bid: float, bid_quantity: float, ask: float, ask_quantity: float
    ) -> bool:
        """Take one best quote."""

    def expectation(self, layer: int) -> float:
        """Return a layer's expected log return."""

    def confidence_of(self, layer: int) -> float:
        """Return a layer's confidence, 0..1."""

    def ready_of(self, layer: int) -> bool:
        """Tell whether a layer has seen enough."""

    @property
    def drift_layer(self) -> DriftLayer:
        """Layer 5."""


class Grid(Struct, frozen=True, kw_only=True):
    """When samples are taken and which are left out."""

    step_ns: int = 100_000_000
    age_max_ns: int
    """No sample is taken of a book older than this: the engine would not trade on it."""
    gap_max_ns: int
    """A longer silence of the book ends its path; no return is taken across it."""


class Samples(Struct, frozen=True, kw_only=True):
    """One symbol's samples, and the path of its book in update order."""

    symbol: str
    at_ns: Times
    place: Times
    """Where in the path each sample was taken: its newest update."""
    expectation: Floats
    """Shape (samples, layers), log returns; confidence and ready likewise."""
    confidence: Floats
    ready: NDArray[np.bool_]
    factors: Floats
    """Shape (samples, 6)."""
    path_ns: Times
    mid: Floats
    half_spread: Floats
    """In price units, like `mid`."""
    run: Times
    """The number of the unbroken stretch an update belongs to, never falling."""


class Collected(Struct, frozen=True, kw_only=True):
    """What one pass over the recordings found."""

    samples: tuple[Samples, ...]
    frames: int
    faults: dict[str, int]
    from_ns: int
    until_ns: int


class Forward(Struct, frozen=True, kw_only=True):
    """What came of the samples that have a whole, unbroken horizon ahead of them."""

    kept: NDArray[np.intp]
    """Their places among the samples; the other fields are in this order."""
    at_ns: Times
    log_return: Floats
    """Of the mid, over the horizon."""
    spread: Floats
    """Half the spread at either end as a fraction of the first mid: what crossing it costs."""


def forward(samples: Samples, horizon_ns: int) -> Forward:
    """Return the outcome of each sample: the mid of the last update not after t + horizon."""
    until_ns = samples.at_ns + horizon_ns
    run_last = np.searchsorted(samples.run, samples.run[samples.place], side="right") - 1
    kept = np.flatnonzero(samples.path_ns[run_last] >= until_ns)
    start = samples.place[kept]
    end = np.searchsorted(samples.path_ns, until_ns[kept], side="right") - 1
    mid = samples.mid[start]
    return Forward(
        kept=kept,
        at_ns=samples.at_ns[kept],
        log_return=np.log(samples.mid[end] / mid),
        spread=(samples.half_spread[start] + samples.half_spread[end]) / mid,
    )


def collect(
    feed: Feed,
    layers: Mapping[str, LayerSource],
    catalogue: Catalogue,
    grid: Grid,
    on_progress: Callable[[int], None] | None = None,
) -> Collected:
    """Drive a feed through the layers and sample them.

    Books are kept as the engine keeps them: what cannot be trusted is not shown to the layers.
    `on_progress` hears the number of frames so far. Raises FeedError for a symbol that the
    catalogue lacks or when no book was ever whole.
    """
    tracks = {symbol: _Track(symbol, source, catalogue) for symbol, source in layers.items()}
    faults: Counter[str] = Counter()
    frames = 0
    next_ns = -(-feed.start_ns // grid.step_ns) * grid.step_ns
    at_ns = feed.start_ns
    for event in feed.events():
        at_ns = event.at_ns
        while next_ns < at_ns:
            taken = [track.sample(next_ns, grid.age_max_ns) for track in tracks.values()]
            next_ns += grid.step_ns
            if not any(taken):
                # nothing more happens before this event: skip the silence
                next_ns = max(next_ns, -(-at_ns // grid.step_ns) * grid.step_ns)
        track = tracks.get(event.symbol)
        fault = _take(track, event, grid.gap_max_ns) if track else "unknown_symbol"
        if fault:
            faults[fault] += 1
        frames += isinstance(event, Recorded)
        if on_progress is not None and frames % PROGRESS_EVERY_FRAMES == 0:
            on_progress(frames)
    if not any(len(track.path_ns) for track in tracks.values()):
        seen = ", ".join(f"{name} {count}" for name, count in sorted(faults.items()))
        raise FeedError(
            "no book was ever whole in these recordings"
            + (f" (faults: {seen})" if seen else "")
            + ": give Binance USD-M recordings that hold a depth snapshot"
        )
    return Collected(
        samples=tuple(track.samples() for track in tracks.values()),
        frames=frames,
        faults=dict(sorted(faults.items())),
        from_ns=feed.start_ns,
        until_ns=at_ns,
    )


def _take(track: "_Track", event: Recorded | Damage, gap_max_ns: int) -> str:
    """Show one event to a symbol's book and layers; return the fault it is, or ''."""
    if isinstance(event, Damage):
        track.codec.desync()
        track.broken = True
        return event.fault
    return track.decode(event.at_ns, event.payload, gap_max_ns)


class _Track:
    """One symbol on its way through the recordings: book, layers, path and samples."""

    def __init__(self, symbol: str, source: LayerSource, catalogue: Catalogue) -> None:
        try:
            instrument = catalogue.find(symbol)
        except KeyError as error:
            raise FeedError(f"the recordings cannot be read: {error.args[0]}") from None
        self._symbol = symbol
        self._source = source
        book = Book(str(instrument.price_tick), str(instrument.quantity_step))
        self.codec = BinanceCodec(symbol, book)
        self.broken = False
        self._seen_id = 0
        self._mismatched = 0
        self._run = 0
        self.path_ns = array("q")
        self._mid = array("d")
        self._half_spread = array("d")
        self._runs = array("q")
        self._at_ns = array("q")
        self._place = array("q")
        self._expectation = array("d")
        self._confidence = array("d")
        self._ready = array("b")
        self._factors = array("d")

    def decode(self, at_ns: int, payload: bytes, gap_max_ns: int) -> str:
        """Take one frame as the engine's MarketData does; return the fault it is, or ''."""
        codec = self.codec
        kind = codec.decode(payload)
        if kind in (QUOTE, DEPTH):
            if codec.checks_mismatched > self._mismatched:
                self._mismatched = codec.checks_mismatched
                codec.desync()
                self.broken = True
                return "quote_mismatch"
            if codec.top_update_id > self._seen_id and codec.synced and codec.top_valid:
                self._seen_id = codec.top_update_id
                self._update(at_ns, gap_max_ns)
        elif kind == TRADE:
            self._source.update_trade(
                at_ns, codec.trade_price, codec.trade_quantity, codec.trade_side
            )
        elif kind < 0:
            self.broken |= not codec.synced
            return FAULTS[kind]
        return ""

    def _update(self, at_ns: int, gap_max_ns: int) -> None:
        codec = self.codec
        bid, ask = codec.top_bid, codec.top_ask
        silent = bool(self.path_ns) and at_ns - self.path_ns[-1] > gap_max_ns
        self._run += self.broken or silent
        self.broken = False
        self._source.update_book(at_ns, bid, codec.top_bid_quantity, ask, codec.top_ask_quantity)
        self.path_ns.append(at_ns)
        self._mid.append(0.5 * (bid + ask))
        self._half_spread.append(0.5 * (ask - bid))
        self._runs.append(self._run)

    def sample(self, at_ns: int, age_max_ns: int) -> bool:
        """Take a sample unless the book is broken or old; tell whether it was taken."""
        if self.broken or not self.path_ns or at_ns - self.path_ns[-1] > age_max_ns:
            return False
        source = self._source
        self._at_ns.append(at_ns)
        self._place.append(len(self.path_ns) - 1)
        for layer in range(len(LAYERS)):
            self._expectation.append(source.expectation(layer))
            self._confidence.append(source.confidence_of(layer))
            self._ready.append(source.ready_of(layer))
        self._factors.extend(source.drift_layer.factors)
        return True

    def samples(self) -> Samples:
        """Return everything as arrays."""
        width = len(LAYERS)
        return Samples(
            symbol=self._symbol,
            at_ns=np.array(self._at_ns, dtype=np.int64),
            place=np.array(self._place, dtype=np.int64),
            expectation=np.array(self._expectation).reshape(-1, width),
            confidence=np.array(self._confidence).reshape(-1, width),
            ready=np.array(self._ready, dtype=np.bool_).reshape(-1, width),
            factors=np.array(self._factors).reshape(-1, FACTORS),
            path_ns=np.array(self.path_ns, dtype=np.int64),
            mid=np.array(self._mid),
            half_spread=np.array(self._half_spread),
            run=np.array(self._runs, dtype=np.int64),
        )
