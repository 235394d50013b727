"""The seven layers as a person writes them with numpy, one update at a time.

The same mathematics as the kernels at the level of its textbook form: a least-squares polynomial
over the kept samples, the filter in 3 x 3 matrices, regressions over arrays, decayed sums. Grid
estimates (mean reversion, lead and lag) are made anew only when a step of their grid has closed.
"""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

FACTORS = 7
PRIOR_FACTOR = 100.0
POLYNOMIAL_DEGREE = 4

Vector = NDArray[np.float64]


class LayerParameters(Struct, frozen=True):
    """What both sides are set to."""

    process_noise: float
    measurement_noise: float
    gap_max_s: float
    flow_half_life_s: float
    trend_s: float
    horizon_s: float
    flow_move: float
    window_s: float = 5.0
    samples: int = 64
    grid_s: float = 0.1
    grid_samples: int = 300
    lags: int = 10
    ridge: float = 1.0
    forgetting: float = 0.999


class NumpyLayers:
    """One symbol's layers and their fusion; `update_book` as in hfengine.kernels.layers."""

    def __init__(self, parameters: LayerParameters) -> None:
        self._p = parameters
        self._at_ns = 0
        self._quote: tuple[float, float, float, float] | None = None
        self._times = np.zeros(0)
        self._levels = np.zeros(0)
        self._state = np.zeros(3)
        self._covariance = np.zeros((3, 3))
        self._flow_net = self._flow_gross = 0.0
        self._grid_at_ns = 0
        self._grid = np.zeros(0)
        self._ou_move = self._cross_move = 0.0
        self._normal = parameters.ridge * np.eye(FACTORS)
        self._targets = np.zeros(FACTORS)
        self.drift = 0.0
        self.confidence = 0.0

    @property
    def level(self) -> float:
        """Return the filtered log price."""
        return float(self._state[0])

    @property
    def slope(self) -> float:
        """Return the velocity of the filtered log price, per second."""
        return float(self._state[1])

    @property
    def imbalance(self) -> float:
        """Return the decayed order-flow imbalance over its gross, -1..1."""
        return self._flow_net / self._flow_gross if self._flow_gross else 0.0

    def update_book(
        self, at_ns: int, bid: float, bid_quantity: float, ask: float, ask_quantity: float
    ) -> bool:
        """Take in the best quote, update every layer and the fusion."""
        mid = math.log(0.5 * (bid + ask))
        dt_s = (at_ns - self._at_ns) * 1e-9 if self._at_ns else 0.0
        self._at_ns = at_ns
        velocity = self._polynomial(at_ns, mid)
        self._kalman(dt_s, mid)
        self._flow(dt_s, (bid, bid_quantity, ask, ask_quantity))
        self._close_grid(at_ns, mid)
        learned = self._ridge(at_ns, mid)
        p = self._p
        moves = np.array(
            [
                velocity * p.trend_s,
                float(self._state[1]) * p.trend_s,
                self._ou_move,
                self.imbalance * p.flow_move,
                learned,
                self._cross_move,
            ]
        )
        weights = np.full(moves.size, 1.0 / moves.size)
        self.drift = float(weights @ moves)
        self.confidence = abs(float(np.mean(np.sign(moves))))
        return True

    def _polynomial(self, at_ns: int, mid: float) -> float:
        """Fit the last samples by least squares; return the velocity at the newest, per second."""
        p = self._p
        self._times = np.append(self._times, at_ns * 1e-9)[-p.samples :]
        self._levels = np.append(self._levels, mid)[-p.samples :]
        ages = self._times - self._times[-1]
        kept = ages >= -p.window_s
        if np.count_nonzero(kept) < POLYNOMIAL_DEGREE + 2:
            return 0.0
        design = np.vander(ages[kept], POLYNOMIAL_DEGREE + 1, increasing=True)
        fitted = np.linalg.lstsq(design, self._levels[kept] - mid, rcond=None)[0]
        return float(fitted[1])

    def _kalman(self, dt_s: float, mid: float) -> None:
        p = self._p
        if not self._covariance.any() or dt_s > p.gap_max_s:
            scale_s = (p.measurement_noise / p.process_noise) ** 0.2
            self._state = np.array([mid, 0.0, 0.0])
            self._covariance = p.measurement_noise * np.diag(
                [1.0, PRIOR_FACTOR / scale_s**2, PRIOR_FACTOR / scale_s**4]
            )
            return
        step = np.array([[1.0, dt_s, dt_s**2 / 2], [0.0, 1.0, dt_s], [0.0, 0.0, 1.0]])
        noise = p.process_noise * np.array(
            [
                [dt_s**5 / 20, dt_s**4 / 8, dt_s**3 / 6],
                [dt_s**4 / 8, dt_s**3 / 3, dt_s**2 / 2],
                [dt_s**3 / 6, dt_s**2 / 2, dt_s],
            ]
        )
        state = step @ self._state
        covariance = step @ self._covariance @ step.T + noise
        gain = covariance[:, 0] / (covariance[0, 0] + p.measurement_noise)
        self._state = state + gain * (mid - state[0])
        self._covariance = covariance - np.outer(gain, covariance[0])

    def _flow(self, dt_s: float, quote: tuple[float, float, float, float]) -> None:
        decay = 0.5 ** (dt_s / self._p.flow_half_life_s)
        before = self._quote
        self._quote = quote
        event = 0.0
        if before is not None:
            bid, bid_quantity, ask, ask_quantity = quote
            event = (
                (bid >= before[0]) * bid_quantity
                - (bid <= before[0]) * before[1]
                - (ask <= before[2]) * ask_quantity
                + (ask >= before[2]) * before[3]
            )
        self._flow_net = self._flow_net * decay + event
        self._flow_gross = self._flow_gross * decay + abs(event)

    def _close_grid(self, at_ns: int, mid: float) -> None:
        """Sample the grid; estimate mean reversion, and lead and lag, when a step has closed."""
        p = self._p
        if at_ns - self._grid_at_ns < p.grid_s * 1e9:
            return
        self._grid_at_ns = at_ns
        self._grid = np.append(self._grid, mid)[-p.grid_samples :]
        if self._grid.size < 2 * p.lags:
            return
        level, move = self._grid[:-1], np.diff(self._grid)
        slope = float(np.cov(level, move)[0, 1] / (np.var(level, ddof=1) + 1e-18))
        mean = float(level.mean() - move.mean() / slope) if slope else mid
        reverting = -1.0 < slope < 0.0
        left = (1.0 + slope) ** (p.horizon_s / p.grid_s) if reverting else 1.0
        self._ou_move = (mean - mid) * (1.0 - left)
        products = [float(move[lag:] @ move[: move.size - lag]) for lag in range(1, p.lags + 1)]
        best = int(np.argmax(np.abs(products)))
        beta = products[best] / (float(move @ move) + 1e-18)
        self._cross_move = beta * float(move[-1 - best :].sum())

    def _ridge(self, at_ns: int, mid: float) -> float:
        """Learn the next log return from six factors by recursive ridge; return the forecast."""
        p = self._p
        moves = np.diff(self._levels) if self._levels.size > 1 else np.zeros(1)
        hours = at_ns / 3.6e12
        factors = np.array(
            [
                1.0,
                moves.sum(),
                moves.std(),
                self._flow_gross,
                math.sin(2.0 * math.pi * hours / 24.0),
                math.sin(2.0 * math.pi * hours / 168.0),
                float(self._levels.mean()) - mid,
            ]
        )
        self._normal = p.forgetting * self._normal + np.outer(factors, factors)
        self._targets = p.forgetting * self._targets + factors * moves[-1]
        return float(np.linalg.solve(self._normal, self._targets) @ factors)
