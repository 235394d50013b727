"""The drift layer's coefficients by ridge regression, scored on what came after."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from msgspec import Struct

from hfengine.drift_model import COEFFICIENTS, VERSION, DriftModel, OutOfSample, TrainedOn
from hfengine.errors import FeedError
from hfengine.evaluation.judging import EVIDENCE, NONE
from hfengine.evaluation.sampling import LAYERS, Collected, forward
from hfengine.evaluation.statistics import (
    HORIZONS_MIN,
    Estimate,
    Floats,
    Times,
    ic_terms,
    independent_horizons,
    ratio,
)

TRAIN_SHARE: Final = 0.7
"""Of the usable span less a horizon: fitted on the first part, scored on the last."""

FOLDS: Final = 4
"""Stretches of the first part by which the ridge is chosen."""

RIDGES: Final = (0.01, 0.1, 1.0, 10.0, 100.0)
DRIFT: Final = LAYERS.index("drift")


class Design(Struct, frozen=True, kw_only=True):
    """Samples of all symbols in order of time: ones and factors, and the return that followed."""

    at_ns: Times
    symbol: Times
    """Which symbol each sample is of, counted from 0."""
    regressors: Floats
    returns: Floats

    def __len__(self) -> int:
        return len(self.at_ns)

    def between(self, from_ns: int, until_ns: int) -> "Design":
        """Return the samples with from_ns <= t < until_ns."""
        start, end = np.searchsorted(self.at_ns, [from_ns, until_ns])
        return self._only(np.arange(start, end))

    def without(self, from_ns: int, until_ns: int) -> "Design":
        """Return the others."""
        outside = (self.at_ns < from_ns) | (self.at_ns >= until_ns)
        return self._only(np.flatnonzero(outside))

    def _only(self, kept: Times) -> "Design":
        return Design(
            at_ns=self.at_ns[kept],
            symbol=self.symbol[kept],
            regressors=self.regressors[kept],
            returns=self.returns[kept],
        )


def design(collected: Collected, horizon_s: float) -> Design:
    """Return what can be fitted: samples with the drift layer ready and the horizon ahead."""
    at_ns, symbol, regressors, returns = [], [], [], []
    for number, samples in enumerate(collected.samples):
        outcome = forward(samples, round(horizon_s * 1e9))
        ready = samples.ready[outcome.kept, DRIFT]
        factors = samples.factors[outcome.kept][ready]
        at_ns.append(outcome.at_ns[ready])
        symbol.append(np.full(len(factors), number, dtype=np.int64))
        regressors.append(np.column_stack([np.ones(len(factors)), factors]))
        returns.append(outcome.log_return[ready])
    order = np.argsort(np.concatenate(at_ns), kind="stable")
    return Design(
        at_ns=np.concatenate(at_ns)[order],
        symbol=np.concatenate(symbol)[order],
        regressors=np.concatenate(regressors)[order],
        returns=np.concatenate(returns)[order],
    )


def ridge_fit(regressors: Floats, returns: Floats, ridge: float) -> Floats:
    """Return the b that minimises |y - X b|² / n + ridge |b|².

    The intercept is drawn to zero like the rest: a short sample's own trend is no forecast.
    Hoerl and Kennard, Technometrics 12(1), 1970.
    """
    count, width = regressors.shape
    gram = regressors.T @ regressors / count + ridge * np.eye(width)
    fitted: Floats = np.linalg.solve(gram, regressors.T @ returns / count)
    return fitted


def train(
    collected: Collected,
    horizon_s: float,
    recordings: Sequence[str],
    ridges: Sequence[float] = RIDGES,
) -> DriftModel:
    """Fit on the first part, score on the last; a whole horizon between them is left out.

    The ridge is the one of `ridges` with the least squared error over FOLDS stretches of the first
    part, each forecast by a fit on the others with a horizon cut off around it; of equals the
    larger. Raises FeedError when the recordings are too short to do both.
    """
    horizon_ns = round(horizon_s * 1e9)
    whole = design(collected, horizon_s)
    if not len(whole):
        raise _too_short(collected, horizon_s)
    first_ns, last_ns = int(whole.at_ns[0]), int(whole.at_ns[-1])
    cut_ns = first_ns + int((last_ns - first_ns - horizon_ns) * TRAIN_SHARE)
    fitting = whole.between(first_ns, cut_ns)
    # returns of the fit end before the first sample scored
    scoring = whole.between(cut_ns + horizon_ns, last_ns + 1)
    if len(fitting) <= COEFFICIENTS or not len(scoring):
        raise _too_short(collected, horizon_s)
    ridge = _chosen(fitting, horizon_ns, ridges)
    coefficients = ridge_fit(fitting.regressors, fitting.returns, ridge)
    return DriftModel(
        version=VERSION,
        symbols=tuple(one.symbol for one in collected.samples),
        horizon_s=horizon_s,
        ridge=ridge,
        coefficients=tuple(map(float, coefficients)),
        trained_on=TrainedOn(
            recordings=tuple(recordings),
            from_ns=first_ns,
            until_ns=int(fitting.at_ns[-1]) + horizon_ns,
            samples=len(fitting),
            independent_horizons=independent_horizons(fitting.at_ns, horizon_ns),
        ),
        out_of_sample=_scored(scoring, coefficients, horizon_ns),
    )


def _chosen(fitting: Design, horizon_ns: int, ridges: Sequence[float]) -> float:
    first_ns, end_ns = int(fitting.at_ns[0]), int(fitting.at_ns[-1]) + 1
    edges = [first_ns + (end_ns - first_ns) * fold // FOLDS for fold in range(FOLDS + 1)]
    errors = dict.fromkeys(ridges, 0.0)
    for start_ns, stop_ns in pairwise(edges):
        held_out = fitting.between(start_ns, stop_ns)
        others = fitting.without(start_ns - horizon_ns, stop_ns + horizon_ns)
        if not len(held_out) or len(others) <= COEFFICIENTS:
            continue
        for ridge in ridges:
            fitted = ridge_fit(others.regressors, others.returns, ridge)
            miss = held_out.returns - held_out.regressors @ fitted
            errors[ridge] += float(miss @ miss)
    return min(sorted(ridges, reverse=True), key=lambda ridge: errors[ridge])


def _scored(scoring: Design, coefficients: Floats, horizon_ns: int) -> OutOfSample:
    forecasts = scoring.regressors @ coefficients
    squares = float(scoring.returns @ scoring.returns)
    miss = scoring.returns - forecasts
    estimate, horizons = _ic(scoring, forecasts, horizon_ns)
    sure = estimate is not None and estimate.mean > estimate.reach
    return OutOfSample(
        from_ns=int(scoring.at_ns[0]),
        until_ns=int(scoring.at_ns[-1]) + horizon_ns,
        samples=len(scoring),
        independent_horizons=horizons,
        r2=1.0 - float(miss @ miss) / squares if squares > 0.0 else None,
        ic=None if estimate is None else estimate.mean,
        ic_low=None if estimate is None else max(estimate.mean - estimate.reach, -1.0),
        ic_high=None if estimate is None else min(estimate.mean + estimate.reach, 1.0),
        verdict=EVIDENCE if sure else NONE,
    )


def _ic(scoring: Design, forecasts: Floats, horizon_ns: int) -> tuple[Estimate | None, int]:
    """Return the information coefficient, ranked within each symbol, summed at each instant."""
    terms = np.zeros(len(scoring))
    for number in np.unique(scoring.symbol):
        own = scoring.symbol == number
        terms[own] = ic_terms(forecasts[own], scoring.returns[own])
    at_ns, place = np.unique(scoring.at_ns, return_inverse=True)
    summed = np.bincount(place, terms, len(at_ns)).astype(np.float64)
    counts = np.bincount(place, minlength=len(at_ns)).astype(np.float64)
    horizons = independent_horizons(at_ns, horizon_ns)
    return ratio(summed, counts, horizons), horizons


def _too_short(collected: Collected, horizon_s: float) -> FeedError:
    span_s = (collected.until_ns - collected.from_ns) / 1e9
    return FeedError(
        f"{span_s:.0f} s of recordings do not suffice to fit and score the drift layer at a "
        f"horizon of {horizon_s:g} s: it warms up, needs a stretch to fit, leaves out a horizon, "
        "and needs another to score; give longer recordings or a shorter --horizon"
    )


def sentences(model: DriftModel) -> list[str]:
    """Return what the fit came to, for a person."""
    scored = model.out_of_sample
    r2 = "unknown" if scored.r2 is None else f"{scored.r2:+.4f}"
    said = []
    if model.trained_on.independent_horizons < HORIZONS_MIN:
        said.append(
            f"Fitted on {model.trained_on.independent_horizons} independent horizon(s): far too "
            "few to mean anything."
        )
    said += [
        f"Out of sample ({scored.samples} samples, {scored.independent_horizons} independent "
        f"horizon(s)): R2 against no forecast {r2}."
    ]
    if scored.ic is None:
        said.append(
            f"No evidence of prediction: fewer than {HORIZONS_MIN} independent horizons were left "
            "to score. Record longer."
        )
    else:
        word = "Evidence" if scored.verdict == EVIDENCE else "No evidence"
        said.append(
            f"{word} of prediction: information coefficient {scored.ic:+.3f}, 95 % interval "
            f"{scored.ic_low:+.3f} to {scored.ic_high:+.3f}."
        )
    if scored.r2 is not None and scored.r2 <= 0.0:
        said.append("It forecast no better than saying that price will not move.")
    return said
