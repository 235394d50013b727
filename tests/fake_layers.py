"""Layers whose forecasts a test plants, and market paths to plant them on."""

import numpy as np

from hfengine.evaluation.sampling import LAYERS, Samples

STEP_NS = 100_000_000
START_NS = 1_723_161_255_000_000_000


class Factors:
    def __init__(self):
        self.factors = (0.0,) * 6


class FakeLayers:
    """Six silent layers; `forecast` is asked for the fused expectation at each sample."""

    def __init__(self, forecast=lambda layers: layers.mid):
        self.forecast = forecast
        self.mid = 0.0
        self.at_ns = 0
        self.books = []
        self.trades = []
        self.drift_layer = Factors()

    def update_trade(self, at_ns, price, quantity, side):
        self.trades.append((at_ns, price, quantity, side))

    def update_book(self, at_ns, bid, bid_quantity, ask, ask_quantity):
        self.at_ns = at_ns
        self.mid = 0.5 * (bid + ask)
        self.books.append((at_ns, bid, ask))
        self.drift_layer.factors = (self.mid, 1.0, 2.0, 3.0, 4.0, 5.0)
        return True

    def expectation(self, layer):
        return self.forecast(self) if layer == len(LAYERS) - 1 else 0.0

    def confidence_of(self, layer):
        return 1.0 if layer == len(LAYERS) - 1 else 0.0

    def ready_of(self, layer):
        return layer == len(LAYERS) - 1


def walk(rng, count, sigma=1e-4):
    """Return a random walk of log price with a step every 100 ms."""
    return np.cumsum(sigma * rng.standard_normal(count))


def samples(log_price, forecasts, *, symbol="BTCUSDT", confidence=1.0, half_spread=0.05, layers=7):
    """Return samples of a path with a book update and a sample every step.

    `forecasts` has one column a layer, or is one series for all of the first `layers`.
    """
    count = len(log_price)
    at_ns = START_NS + STEP_NS * np.arange(count, dtype=np.int64)
    width = len(LAYERS)
    expectation = np.zeros((count, width))
    ready = np.zeros((count, width), dtype=bool)
    columns = forecasts if forecasts.ndim == 2 else np.repeat(forecasts[:, None], layers, axis=1)
    expectation[:, : columns.shape[1]] = columns
    ready[:, : columns.shape[1]] = True
    return Samples(
        symbol=symbol,
        at_ns=at_ns,
        place=np.arange(count, dtype=np.int64),
        expectation=expectation,
        confidence=np.full((count, width), confidence),
        ready=ready,
        factors=np.zeros((count, 6)),
        path_ns=at_ns,
        mid=60_000.0 * np.exp(log_price),
        half_spread=np.full(count, half_spread),
        run=np.zeros(count, dtype=np.int64),
    )
