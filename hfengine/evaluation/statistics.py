"""Estimates from overlapping horizons, with intervals that know that they overlap.

A sample every 100 ms of a return over 5 s repeats each price move fifty times, so the usual
standard error is some seven times too small. Here the variance of a mean comes from B cosine
averages of the whole series, slow enough to see the overlap, and the statistic is compared with
Student's t of B degrees of freedom (Lazarus, Lewis, Stock and Watson, J. Business and Economic
Statistics 36(4), 2018: "equal-weighted cosine"). B is a third of the independent horizons.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from hfengine.evaluation.student import critical, two_sided_p

HORIZONS_MIN: Final = 12
"""Fewer independent horizons are too few for any statement: B would be below 4."""

HORIZONS_A_COSINE: Final = 3
"""Independent horizons per cosine: the overlap of one horizon then biases the variance by about
-3 % at most (the mean of sinc² up to a sixth of a cycle per horizon)."""

LEVEL: Final = 0.05
"""One minus the confidence of every interval, and the family's error rate."""

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


class Estimate(Struct, frozen=True, kw_only=True):
    """A mean, its standard error and the degrees of freedom of that."""

    mean: float
    error: float
    dof: int

    @property
    def reach(self) -> float:
        """Half the width of the 95 % interval."""
        return self.half_width(LEVEL)

    def half_width(self, level: float) -> float:
        """Return half the width of the interval of confidence 1 - `level`."""
        return critical(level, self.dof) * self.error

    def p_against(self, hypothesis: float) -> float:
        """Return the two-sided probability of an estimate this far from `hypothesis`."""
        far = self.mean - hypothesis
        if self.error == 0.0:
            return 1.0 if far == 0.0 else 0.0
        return two_sided_p(far / self.error, self.dof)


def independent_horizons(at_ns: Times, horizon_ns: int) -> int:
    """Count the samples that can be picked with a whole horizon between each and the next."""
    count = place = 0
    while place < len(at_ns):
        count += 1
        place = int(np.searchsorted(at_ns, at_ns[place] + horizon_ns))
    return count


def ratio(numerator: Floats, denominator: Floats, horizons: int) -> Estimate | None:
    """Return sum(numerator) / sum(denominator) over a series in time, linearised for its error.

    None when `horizons`, the independent ones, are fewer than HORIZONS_MIN, or the denominator is
    zero. A plain mean has a denominator of ones.
    """
    total = float(denominator.sum())
    if horizons < HORIZONS_MIN or total <= 0.0:
        return None
    dof = horizons // HORIZONS_A_COSINE
    mean = float(numerator.sum()) / total
    residuals = numerator - mean * denominator
    error = (len(residuals) * long_run_variance(residuals, dof)) ** 0.5 / total
    return Estimate(mean=mean, error=error, dof=dof)


def long_run_variance(series: Floats, cosines: int) -> float:
    """Return the mean square of the first `cosines` type-II cosine transforms of a series.

    Lambda_j = sqrt(2 / T) sum_t cos(pi j (t - 1/2) / T) x_t, by one Fourier transform; the mean of
    x drops out.
    """
    count = len(series)
    turn = np.exp(-0.5j * np.pi * np.arange(1, cosines + 1) / count)
    transforms = (turn * np.fft.rfft(series, 2 * count)[1 : cosines + 1]).real
    return 2.0 / count * float(transforms @ transforms) / cosines


def midranks(numbers: Floats) -> Floats:
    """Return ranks from 1; equal numbers share the mean of theirs."""
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle: Floats = (last - 0.5 * (counts - 1)).astype(np.float64)
    return middle[inverse]


def signed_ranks(numbers: Floats) -> Floats:
    """Return sign(x) rank(|x|): the ranks of sizes with the signs kept, 0 for 0."""
    return np.sign(numbers) * midranks(np.abs(numbers))


def ic_terms(forecasts: Floats, returns: Floats) -> Floats:
    """Return the terms whose mean is the information coefficient.

    It is the correlation about zero of signed ranks, a·b / sqrt(a·a b·b). About zero, because a
    forecast of zero and a move of zero mean something; centring on a short sample's own mean makes
    a pure random walk look mean-reverting (Kendall, Biometrika 41, 1954; Stambaugh, J. Financial
    Economics 54, 1999). All zero where either side is.
    """
    a, b = signed_ranks(forecasts), signed_ranks(returns)
    scale = float(a @ a) * float(b @ b)
    terms: Floats = a * b * (len(a) / scale**0.5 if scale > 0.0 else 0.0)
    return terms


def spearman(forecasts: Floats, returns: Floats) -> float | None:
    """Return the usual, centred rank correlation; None when either side is constant."""
    if len(forecasts) < 2:
        return None
    a, b = midranks(forecasts), midranks(returns)
    a, b = a - a.mean(), b - b.mean()
    scale = float(a @ a) * float(b @ b)
    return float(a @ b) / scale**0.5 if scale > 0.0 else None


def holm_levels(p: Sequence[float], family_level: float = LEVEL) -> list[float]:
    """Return the level at which Holm's procedure judges each of several tests, in their order.

    The k-th smallest p of m is judged at family_level / (m - k + 1) as long as all before it were
    rejected; from the first that is not, the level stays. An interval of confidence 1 - level
    leaves out the hypothesis exactly when the test is rejected. Holm, Scand. J. Statistics 6, 1979.
    """
    levels = [0.0] * len(p)
    level = 0.0
    open_ = True
    for rank, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        if open_:
            level = family_level / (len(p) - rank)
            open_ = p[place] < level
        levels[place] = level
    return levels
