"""Student's t distribution: two-sided probabilities and critical points."""

from functools import lru_cache
from math import exp, inf, lgamma, log, log1p
from typing import Final

_TINY: Final = 1e-300
_STEPS_MAX: Final = 300
_PRECISION: Final = 1e-15


def two_sided_p(t: float, dof: int) -> float:
    """Return P(|T| >= |t|) for `dof` >= 1 degrees of freedom: I_x(dof/2, 1/2), x = dof/(dof+t²).

    Abramowitz and Stegun (1964), 26.7.1 and 26.5.27.
    """
    if dof < 1:
        msg = f"degrees of freedom must be 1 or more, not {dof}"
        raise ValueError(msg)
    if abs(t) == inf:
        return 0.0
    return _incomplete_beta(0.5 * dof, 0.5, dof / (dof + t * t))


@lru_cache(maxsize=4096)
def critical(alpha: float, dof: int) -> float:
    """Return the t that |T| exceeds with probability `alpha` (above 0, below 1), to 1e-10."""
    if not 0.0 < alpha < 1.0:
        msg = f"alpha must lie between 0 and 1, not {alpha}"
        raise ValueError(msg)
    low, high = 0.0, 1.0
    while two_sided_p(high, dof) > alpha:
        high *= 2.0
    while high - low > 1e-11 * high:
        middle = 0.5 * (low + high)
        if two_sided_p(middle, dof) > alpha:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    # the fraction converges fast only below the mean; beyond it the complement is taken
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, 1.0 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction 26.5.8 by Lentz's method."""
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    fraction = d
    for m in range(1, _STEPS_MAX):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        d = 1.0 / _away(1.0 + even * d)
        c = _away(1.0 + even / c)
        fraction *= c * d
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        d = 1.0 / _away(1.0 + odd * d)
        c = _away(1.0 + odd / c)
        fraction *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return fraction


def _away(divisor: float) -> float:
    """Keep a divisor from zero."""
    return divisor if abs(divisor) > _TINY else _TINY
