"""Layer 5 by its definitions: every step kept, one weighted ridge in extended precision."""

import math
from datetime import UTC, datetime

import numpy as np

from tests.reference.least_squares import Row, back_substituted, orthogonal

STEPS = 64
FACTOR_MAX = 4.0
SPREAD_MIN = 1e-13


def ridge(rows: Row, targets: Row, weights: Row, penalty: float, prior: Row) -> Row:
    """Minimise sum w (y - z c)^2 + penalty |c - prior|^2, by QR of the stacked system."""
    root = np.sqrt(weights)[:, None]
    size = prior.size
    stacked = np.vstack([rows * root, np.sqrt(np.longdouble(penalty)) * np.eye(size)])
    wanted = np.concatenate(
        [(targets - rows @ prior) * root[:, 0], np.zeros(size, dtype=np.longdouble)]
    )
    q, r = orthogonal(stacked.astype(np.longdouble))
    return prior + back_substituted(r, q.T @ wanted)


class Drift:
    def __init__(
        self,
        horizon_s: float,
        half_life_s: float,
        penalty: float,
        gap_max_s: float,
        warmup: int,
        prior: tuple[float, ...] = (0.0,) * 7,
    ) -> None:
        self.step_ns = int(horizon_s * 1e9 / STEPS)
        self.gap_ns = int(min(gap_max_s, horizon_s) * 1e9)
        self.step_s = self.step_ns * 1e-9
        self.half_life_s = half_life_s
        self.penalty = penalty
        self.warmup = warmup
        self.prior = np.array(prior, dtype=np.longdouble)
        self.coefficients = self.prior
        self.raws: list[list[float]] = []
        self.studied: list[tuple[Row, float]] = []
        self.judged: list[tuple[float, float]] = []
        self.restart()

    def restart(self) -> None:
        self.prices: list[tuple[int, float]] = []
        self.trades: list[tuple[int, float]] = []
        self.at_ns = 0
        self.rows: dict[int, Row] = {}
        self.predictions: dict[int, float] = {}
        self.steps = 0

    def heed(self, at_ns: int) -> None:
        """Restart after a silence, else close the steps that ended."""
        if self.prices and abs(at_ns - self.at_ns) > self.gap_ns:
            self.restart()
        elif self.prices:
            self.at_ns = max(self.at_ns, at_ns)
            closed = (self.at_ns - self.prices[0][0]) // self.step_ns
            for cell in range(self.steps + 2 if self.steps or closed else 1, closed + 1):
                self.close(cell)

    def update_price(self, at_ns: int, price: float) -> None:
        self.heed(at_ns)
        self.at_ns = max(self.at_ns, at_ns) if self.prices else at_ns
        self.prices.append((self.at_ns, math.log(price)))

    def update_trade(self, at_ns: int, quantity: float) -> None:
        self.heed(at_ns)
        if self.prices:
            self.trades.append((self.at_ns, quantity))

    def close(self, cell: int) -> None:
        """Redo everything of the step that ends cell steps after the first price."""
        self.steps = cell - 1
        start_ns = self.prices[0][0]
        ends = start_ns + np.arange(1, cell + 1) * self.step_ns
        at = np.array([at for at, _ in self.prices])
        levels = np.array([level - self.prices[0][1] for _, level in self.prices])
        self.levels = levels[np.searchsorted(at, ends, side="left") - 1].astype(np.longdouble)
        traded = np.zeros(cell, dtype=np.longdouble)
        for at_ns, quantity in self.trades:
            traded[min((at_ns - start_ns) // self.step_ns, cell - 1)] += quantity
        n = self.steps
        if n < STEPS:
            return
        past = n - STEPS
        if past >= STEPS:
            realised = self.levels[n] - self.levels[past]
            if past >= self.warmup:
                self.judged.append((self.predictions[past], float(realised)))
            self.studied.append((self.rows[past], realised))
            self.learn()
        self.raws.append(self.raw(np.diff(self.levels), traded[1:]))
        self.factors = self.standardised(int(ends[-1]))
        self.rows[n] = np.concatenate([[1.0], self.factors]).astype(np.longdouble)
        self.predictions[n] = float(self.rows[n] @ self.coefficients)

    def weights(self, count: int, half_life_steps: float) -> Row:
        return np.longdouble(0.5) ** (np.arange(count)[::-1] / np.longdouble(half_life_steps))

    def raw(self, moves: Row, traded: Row) -> list[float]:
        long_steps = self.half_life_s / self.step_s

        def contrast(series: Row, power: float) -> float:
            short, long = (
                float(np.average(series, weights=self.weights(series.size, steps))) ** power
                for steps in (STEPS, long_steps)
            )
            return (short - long) / (short + long) if short + long else 0.0

        mean = np.average(self.levels, weights=self.weights(self.levels.size, 4 * STEPS))
        return [
            self.levels[-1] - self.levels[-1 - STEPS],
            contrast(moves**2, 0.5),
            contrast(traded, 1.0),
            mean - self.levels[-1],
        ]

    def standardised(self, end_ns: int) -> list[float]:
        raws = np.array(self.raws, dtype=np.longdouble)
        weights = self.weights(len(raws), self.half_life_s / self.step_s)
        mean = np.average(raws, axis=0, weights=weights)
        spread = np.sqrt(np.average((raws - mean) ** 2, axis=0, weights=weights))
        z = [
            float(np.clip((x - m) / s, -FACTOR_MAX, FACTOR_MAX)) if s > SPREAD_MIN else 0.0
            for x, m, s in zip(raws[-1], mean, spread, strict=True)
        ]
        moment = datetime.fromtimestamp(end_ns // 1_000_000_000, UTC)
        day_s = (end_ns % 86_400_000_000_000) * 1e-9
        clock = math.sqrt(2) * math.sin(2 * math.pi * day_s / 86_400)
        week = math.sqrt(2) * math.sin(2 * math.pi * moment.weekday() / 7)
        return [*z[:3], clock, week, z[3]]

    def learn(self) -> None:
        rows = np.array([row for row, _ in self.studied])
        targets = np.array([realised for _, realised in self.studied], dtype=np.longdouble)
        weights = self.weights(len(rows), self.half_life_s / self.step_s)
        self.coefficients = ridge(rows, targets, weights, self.penalty, self.prior)

    @property
    def value(self) -> float:
        ready = self.steps >= max(STEPS, self.warmup)
        return self.predictions.get(self.steps, 0.0) if ready else 0.0

    @property
    def correlation(self) -> float:
        if not self.judged:
            return 0.0
        predicted, realised = np.array(self.judged, dtype=np.longdouble).T
        weights = self.weights(len(predicted), self.half_life_s / self.step_s)
        off = [x - np.average(x, weights=weights) for x in (predicted, realised)]
        spreads = [np.sqrt(np.average(x**2, weights=weights)) for x in off]
        if min(spreads) <= SPREAD_MIN:
            return 0.0
        return float(np.average(off[0] * off[1], weights=weights) / (spreads[0] * spreads[1]))

    @property
    def confidence(self) -> float:
        weights = self.weights(len(self.judged), self.half_life_s / self.step_s)
        if not self.judged or self.steps < max(STEPS, self.warmup):
            return 0.0
        count = float(weights.sum() ** 2 / (weights**2).sum()) / STEPS
        score = self.correlation
        if count <= 3 or score <= 0:
            return 0.0
        return math.erf(math.atanh(min(score, 1 - 1e-12)) * math.sqrt((count - 3) / 2))
