"""The pooled forecast by its formulas, in exact fractions where they are rational."""

import math
from collections.abc import Sequence
from fractions import Fraction


def fused(
    weights: Sequence[float], expectations: Sequence[float], confidences: Sequence[float]
) -> tuple[float, float, float]:
    """Return the pooled log return, the support and the opposition."""
    sure = [Fraction(w) * Fraction(c) for w, c in zip(weights, confidences, strict=True)]
    moves = [Fraction(move) for move in expectations]
    total = sum(sure)
    pooled = sum(s * m for s, m in zip(sure, moves, strict=True)) / total if total else Fraction(0)

    def joined(side: int) -> Fraction:
        return 1 - math.prod(
            (1 - s for s, m in zip(sure, moves, strict=True) if side * m > 0), start=Fraction(1)
        )

    side = (pooled > 0) - (pooled < 0)
    if not side:
        return 0.0, 0.0, 0.0
    return float(pooled), float(joined(side)), float(joined(-side))
