"""Keep every stamp and sort: what the compiled histogram approximates."""

import math


class Histogram:
    def __init__(self) -> None:
        self.stamps: list[int] = []
        self.clamped = 0

    def record(self, ns: int) -> None:
        bounded = min(max(ns, 1), 60_000_000_000)
        self.clamped += bounded != ns
        self.stamps.append(bounded)

    def quantile(self, q: float) -> int:
        if not self.stamps:
            return 0
        ordered = sorted(self.stamps)
        return ordered[max(math.ceil(q * len(ordered)), 1) - 1]
