"""Lead and lag of a pair in numpy: every price kept, returns on the grid, sums at every lag.

Returns are differences of near doubles and exact; their sums are taken in extended precision.
"""

import math

import numpy as np


class Cross:
    def __init__(
        self, step_ms: float, lags: int, half_life_s: float, warmup: int, gap_max_s: float = 10.0
    ) -> None:
        self.step_ns = int(step_ms * 1e6)
        self.lags = lags
        self.half_life_s = half_life_s
        self.warmup = warmup
        self.gap_ns = gap_max_s * 1e9
        self.legs: dict[str, list[tuple[int, float]]] = {"a": [], "b": []}
        self.at_ns = 0

    def update_a(self, at_ns: int, price: float) -> None:
        self.update("a", at_ns, price)

    def update_b(self, at_ns: int, price: float) -> None:
        self.update("b", at_ns, price)

    def update(self, name: str, at_ns: int, price: float) -> None:
        silent = any(leg and at_ns - leg[-1][0] > self.gap_ns for leg in self.legs.values())
        empty = not any(self.legs.values())
        if empty or silent or abs(at_ns - self.at_ns) > self.gap_ns:
            self.legs = {"a": [], "b": []}
            self.at_ns = at_ns
        self.at_ns = max(self.at_ns, at_ns)
        self.legs[name].append((self.at_ns, math.log(price)))

    def estimate(self) -> None:
        self.steps, self.lag = 0, 0
        self.correlation = self.beta = self.divergence = self.value = self.confidence = 0.0
        if not all(self.legs.values()):
            return
        start_ns = max(leg[0][0] for leg in self.legs.values())
        cells = (self.at_ns - start_ns) // self.step_ns
        if cells < 2:
            return
        ends = start_ns + np.arange(1, cells + 1) * self.step_ns
        samples = {}
        for name, leg in self.legs.items():
            at, levels = (
                np.array([at for at, _ in leg]),
                np.array([level for _, level in leg], dtype=np.longdouble),
            )
            samples[name] = levels[np.searchsorted(at, ends, side="left") - 1]
        moves = {name: np.diff(one) for name, one in samples.items()}
        self.steps = int(cells - 1)
        keep = np.longdouble(0.5) ** (np.longdouble(self.step_ns) / 10**9 / self.half_life_s)
        weights = keep ** np.arange(self.steps)[::-1]
        self.products, self.scores = {}, {}
        for lag in range(-self.lags, self.lags + 1):
            product = self.late(moves["a"], max(lag, 0)) * self.late(moves["b"], max(-lag, 0))
            self.products[lag] = weights @ product
            square = float(weights**2 @ product**2)
            self.scores[lag] = (
                float(self.products[lag]) / math.sqrt(square) if square > 1e-280 else 0.0
            )
        squares = {name: weights @ one**2 for name, one in moves.items()}
        self.norm = float(np.sqrt(squares["a"] * squares["b"]))
        order = sorted((lag for lag in self.products if lag), key=lambda lag: (abs(lag), -lag))
        self.lag = max(order, key=lambda lag: abs(self.products[lag]))
        best = sorted((abs(self.products[lag]) for lag in order), reverse=True)
        self.clear_lead = best[0] - best[1] > 1e-9 * best[0]
        if not self.products[self.lag]:
            self.lag = 0
            return
        leader, follower = ("a", "b") if self.lag > 0 else ("b", "a")
        size = abs(self.lag)
        self.correlation = float(np.clip(self.products[self.lag] / self.norm, -1, 1))
        self.beta = float(self.products[self.lag] / squares[leader])
        past = self.late(moves[leader], size)
        past_weights = weights
        own, told = weights @ moves[follower], self.beta * (past_weights @ past)
        self.divergence = float(own - told)
        share = (self.at_ns - start_ns - cells * self.step_ns) / self.step_ns
        recent = np.concatenate([np.zeros(size), moves[leader]])[-size:]
        open_move = self.legs[leader][-1][1] - samples[leader][-1]
        self.value = self.beta * float(open_move + recent[1:].sum() + (1 - share) * recent[0])
        if self.steps >= self.warmup:
            tail = math.erfc(abs(self.scores[self.lag]) / math.sqrt(2))
            self.confidence = (1 - tail) ** (2 * self.lags)

    @staticmethod
    def late(moves: np.ndarray, lag: int) -> np.ndarray:
        """Return what was lag steps ago, 0 before the start."""
        return np.concatenate([np.zeros(lag), moves])[: moves.size]
