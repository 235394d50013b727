"""The local polynomial by least squares on a Legendre basis, in extended precision."""

import math

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from tests.reference.least_squares import back_substituted, orthogonal

DEGREE_MAX = 4
RANK_MIN = 1e-10


def student_within(t: float, freedom: int) -> float:
    """P(|T| <= t) by Simpson's rule over the angle atan(x / sqrt(freedom))."""
    angle = np.linspace(0.0, math.atan(t / math.sqrt(freedom)), 20_001)
    density = np.cos(angle) ** (freedom - 1)
    whole = math.sqrt(math.pi) * math.gamma(freedom / 2) / math.gamma((freedom + 1) / 2)
    weights = np.ones(angle.size)
    weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
    return 2.0 * float(weights @ density) * float(angle[1]) / 3.0 / whole


class Calculus:
    def __init__(self, window_s: float, samples: int, gap_max_s: float, warmup: int) -> None:
        self.window_ns = int(window_s * 1e9)
        self.samples = samples
        self.gap_max_s = gap_max_s
        self.warmup = warmup
        self.kept: list[tuple[int, float]] = []
        self.updates = 0

    def update(self, at_ns: int, price: float, *, fit: bool = True) -> None:
        if self.kept and abs(at_ns - self.kept[-1][0]) > self.gap_max_s * 1e9:
            self.kept, self.updates = [], 0
        if self.kept:
            at_ns = max(at_ns, self.kept[-1][0])
            near = len(self.kept) > 1 and (
                self.kept[-1][0] - self.kept[-2][0] < self.window_ns // (self.samples - 1)
            )
            if near or at_ns == self.kept[-1][0]:
                self.kept.pop()
        self.kept.append((at_ns, math.log(price)))
        self.kept = [one for one in self.kept if at_ns - one[0] <= self.window_ns][-self.samples :]
        self.updates += 1
        if fit:
            self.fit()

    def fit(self) -> None:
        """Fit; `reach` is, for each derivative, the most a unit of log price can change it."""
        self.fitted = np.zeros(5)
        self.reach = np.ones(5)
        self.sigma = self.velocity_sigma = self.t_statistic = self.margin = 0.0
        self.degree, self.confidence = 0, 0.0
        count = len(self.kept)
        if count < 3:
            return
        newest_ns, newest = self.kept[-1]
        ages = np.array([at_ns - newest_ns for at_ns, _ in self.kept], dtype=np.longdouble)
        span_ns = -ages[0]
        x = ages / span_ns
        y = np.array([level - newest for _, level in self.kept], dtype=np.longdouble)
        powers = np.vander(x, min(DEGREE_MAX, count - 2) + 1, increasing=True)
        norms = self.norms(powers) / count
        self.degree = (
            int(np.argmax(norms <= RANK_MIN)) - 1 if np.any(norms <= RANK_MIN) else (norms.size - 1)
        )
        self.margin = float(np.min(np.abs(np.log(np.maximum(norms, 1e-300) / RANK_MIN))))
        basis = legendre.legvander(2 * x + 1, self.degree)
        q, r = orthogonal(basis)
        inverse = back_substituted(r, q.T)
        coefficients = inverse @ y
        rest = y - basis @ coefficients
        at_newest = self.at_newest(basis.shape[1], float(span_ns) * 1e-9)
        rows = at_newest @ inverse
        self.fitted = (at_newest @ coefficients).astype(np.float64)
        self.fitted[0] += newest
        self.reach = np.abs(rows).sum(axis=1).astype(np.float64)
        self.largest = float(np.abs(y).max())
        freedom = count - 1 - self.degree
        self.sigma = math.sqrt(float(rest @ rest) / freedom)
        self.velocity_sigma = self.sigma * math.sqrt(float(rows[1] @ rows[1]))
        if self.velocity_sigma > 0:
            self.t_statistic = min(abs(float(self.fitted[1])) / self.velocity_sigma, 1e9)
        if self.degree and self.updates >= self.warmup:
            self.confidence = student_within(self.t_statistic, freedom)

    @staticmethod
    def norms(powers: NDArray[np.longdouble]) -> NDArray[np.float64]:
        """Squared norm of what each power adds to the ones before; zero once nothing is added."""
        found = np.zeros(powers.shape[1])
        for k in range(powers.shape[1]):
            left = powers[:, k].copy()
            for _ in range(2 if k else 0):
                left -= orthogonal(powers[:, :k])[0] @ (orthogonal(powers[:, :k])[0].T @ left)
            found[k] = float(left @ left)
            if found[k] <= RANK_MIN * powers.shape[0]:
                break
        return found

    @staticmethod
    def at_newest(size: int, span_s: float) -> NDArray[np.float64]:
        """Derivative k at x = 0 of each Legendre polynomial of 2 x + 1, per second^k."""
        rows = np.zeros((5, size))
        for k in range(5):
            for column in range(size):
                unit = np.eye(size)[column]
                rows[k, column] = legendre.legval(1.0, legendre.legder(unit, k)) * (2 / span_s) ** k
        return rows
