"""The weighted AR(1) in closed form: every grid sample kept, one weighted regression in numpy.

In extended precision, on log prices less the first one: a difference of near doubles is exact,
while log price itself, near 11, spends six digits of every sum on what does not move.
"""

import math
from statistics import NormalDist

import numpy as np


class OrnsteinUhlenbeck:
    def __init__(self, half_life_s: float, gap_max_s: float, warmup: int) -> None:
        self.half_life_s = half_life_s
        self.gap_max_s = gap_max_s
        self.warmup = warmup
        self.step_ns = int(half_life_s * 1e9 / 100)
        self.prices: list[tuple[int, float]] = []

    def update(self, at_ns: int, price: float) -> None:
        if self.prices and abs(at_ns - self.prices[-1][0]) > self.gap_max_s * 1e9:
            self.prices = []
        if self.prices:
            at_ns = max(at_ns, self.prices[-1][0])
        self.prices.append((at_ns, math.log(price)))

    def samples(self) -> np.ndarray:
        """Return the last log price before the end of each closed step."""
        start_ns = self.prices[0][0]
        at = np.array([at_ns - start_ns for at_ns, _ in self.prices])
        first = self.prices[0][1]
        levels = np.array([level - first for _, level in self.prices], dtype=np.longdouble)
        ends = np.arange(1, at[-1] // self.step_ns + 1) * self.step_ns
        return levels[np.searchsorted(at, ends, side="left") - 1]

    def estimate(self) -> None:
        self.theta = self.mu = self.sigma = self.t_statistic = self.confidence = 0.0
        self.z_score = self.value = self.slope_sigma = 0.0
        samples = self.samples()
        self.pairs = max(0, samples.size - 1)
        if self.pairs < 3:
            return
        level, move = samples[:-1], np.diff(samples)
        step_s = self.step_ns * 1e-9
        ages = np.arange(self.pairs)[::-1] * np.longdouble(step_s) / self.half_life_s
        weights = np.longdouble(0.5) ** ages
        level_mean, move_mean = (
            np.average(level, weights=weights),
            np.average(move, weights=weights),
        )
        level_off, move_off = level - level_mean, move - move_mean
        variance = np.average(level_off**2, weights=weights)
        if variance <= 1e-24:
            return
        slope = np.average(level_off * move_off, weights=weights) / variance
        count = weights.sum() ** 2 / (weights**2).sum()
        if not -1.0 < slope < 0.0 or count <= 2:
            return
        half_life_s = np.log(np.longdouble(2)) / -np.log1p(slope) * step_s
        if half_life_s > self.half_life_s:
            return
        rest = move_off - slope * level_off
        noise = np.average(rest**2, weights=weights) * count / (count - 2)
        self.slope_sigma = float(np.sqrt(noise / (count * variance)))
        self.t_statistic = max(-1e9, float(slope) / self.slope_sigma) if self.slope_sigma else -1e9
        self.theta = float(np.log(np.longdouble(2)) / half_life_s)
        away = level_mean - move_mean / slope
        self.mu = float(self.prices[0][1] + away)
        self.sigma = float(np.sqrt(noise * 2 * self.theta / (1 - (1 + slope) ** 2)))
        newest = self.prices[-1][1] - self.prices[0][1]
        self.value = float(away - newest) / 2
        if self.sigma:
            self.z_score = -2 * self.value * math.sqrt(2 * self.theta) / self.sigma
        if self.pairs >= self.warmup:
            self.confidence = 1 - self.p_of(self.t_statistic)

    @staticmethod
    def p_of(t: float) -> float:
        """MacKinnon (1994), table 3 (small p) and 4 (large p), constant, N = 1."""
        if t < -18.83:
            return 0.0
        small, large = (2.1659, 1.4412, 0.038269), (1.7339, 0.93202, -0.12745, -0.010368)
        terms = small if t <= -1.61 else large
        return NormalDist().cdf(sum(term * t**power for power, term in enumerate(terms)))
