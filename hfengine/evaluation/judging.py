"""Each layer at each horizon: what its forecasts were worth, and whether that is evidence."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from hfengine.evaluation.sampling import LAYERS, Forward, Samples, forward
from hfengine.evaluation.statistics import (
    HORIZONS_MIN,
    LEVEL,
    Estimate,
    Floats,
    Times,
    holm_levels,
    ic_terms,
    independent_horizons,
    ratio,
    spearman,
)

EVIDENCE: Final = "evidence"
AGAINST: Final = "evidence against"
"""The layer's forecasts go with moves the other way."""

NONE: Final = "no evidence"

PAYS: Final = "pays"
LOSES: Final = "loses"
"""What following a layer does after a taker's costs, where the corrected interval says so."""

BPS: Final = 1e4


class Interval(Struct, frozen=True, kw_only=True):
    """An estimate with its 95 % interval; `low` and `high` are kept within what is possible."""

    mean: float
    low: float
    high: float

    @property
    def reach(self) -> float:
        """The farther end's distance from the mean."""
        return max(self.mean - self.low, self.high - self.mean)


class Row(Struct, frozen=True, kw_only=True):
    """One layer at one horizon.

    `ic`, `hit_rate`: over samples with the layer ready; the hit rate where forecast and return are
    not zero. `coverage`: the share of samples with it ready and confidence at the profile's least;
    `gross_bps`, `cost_bps`, `net_bps`: mean of those when followed, mid to mid, and what a taker
    pays for a round trip. `*_corrected` is the interval at the level of Holm's procedure over all
    rows judged, which the verdicts go by. None where independent horizons do not suffice.
    """

    layer: str
    horizon_s: float
    samples: int
    ready: int
    independent_horizons: int
    ic: Interval | None
    ic_corrected: Interval | None
    spearman: float | None
    hit_rate: Interval | None
    coverage: Interval | None
    followed: int
    followed_horizons: int
    gross_bps: Interval | None
    cost_bps: float | None
    net_bps: Interval | None
    net_corrected: Interval | None
    verdict: str
    after_costs: str
    why: str
    """What keeps a row from being judged, '' when it was."""


class Costs(Struct, frozen=True, kw_only=True):
    """What a taker pays for a round trip besides the spread, as fractions of notional."""

    fee: dict[str, float]
    """Symbol -> taker fee of one order."""
    slippage: float
    """Expected of one market order."""

    def round_trip(self, symbol: str) -> float:
        """Return fees and slippage of entry and exit."""
        return 2.0 * (self.fee[symbol] + self.slippage)


class _Series(Struct, kw_only=True):
    """Terms of one ratio, summed over symbols at each instant."""

    at_ns: list[Times]
    numerator: list[Floats]
    denominator: list[Floats]

    def add(self, at_ns: Times, numerator: Floats, denominator: Floats) -> None:
        """Take one symbol's terms."""
        self.at_ns.append(at_ns)
        self.numerator.append(numerator)
        self.denominator.append(denominator)

    def estimate(self, horizon_ns: int) -> tuple[Estimate | None, int]:
        """Return the ratio over the instants that have any term, and its independent horizons."""
        at_ns, place = np.unique(np.concatenate(self.at_ns), return_inverse=True)
        horizons = independent_horizons(at_ns, horizon_ns)
        summed = [
            np.bincount(place, np.concatenate(terms), len(at_ns)).astype(np.float64)
            for terms in (self.numerator, self.denominator)
        ]
        return ratio(summed[0], summed[1], horizons), horizons

    def share(self, horizon_ns: int) -> Interval | None:
        """Return the interval of a share, 0..1.

        One that was always all or nothing shows no variance to go by: then Clopper and Pearson's
        (Biometrika 26, 1934) for as many independent trials as horizons.
        """
        estimate, horizons = self.estimate(horizon_ns)
        if estimate is not None and estimate.mean in (0.0, 1.0):
            reach = 1.0 - (0.5 * LEVEL) ** (1.0 / horizons)
            low, high = max(estimate.mean - reach, 0.0), min(estimate.mean + reach, 1.0)
            return Interval(mean=estimate.mean, low=low, high=high)
        return interval(estimate, LEVEL, 0.0, 1.0)


def _series() -> _Series:
    return _Series(at_ns=[], numerator=[], denominator=[])


class _Judged(Struct, kw_only=True):
    """A row before the correction, with the estimates it will be judged by."""

    row: Row
    ic: Estimate | None
    net: Estimate | None


def judge(
    samples: Sequence[Samples],
    horizons_s: Sequence[float],
    costs: Costs,
    confidence_min: float,
) -> list[Row]:
    """Return a row for each layer and horizon, symbols pooled, layer by layer.

    Symbols move together, so their samples of one instant count as one observation.
    """
    judged = []
    outcomes = {
        horizon_s: [forward(one, round(horizon_s * 1e9)) for one in samples]
        for horizon_s in horizons_s
    }
    for layer in range(len(LAYERS)):
        for horizon_s in horizons_s:
            pairs = list(zip(samples, outcomes[horizon_s], strict=True))
            judged.append(_row(layer, horizon_s, pairs, costs, confidence_min))
    _decide(judged)
    return [one.row for one in judged]


def _row(
    layer: int,
    horizon_s: float,
    pairs: Sequence[tuple[Samples, Forward]],
    costs: Costs,
    confidence_min: float,
) -> _Judged:
    ic, hit, covered, gross, net = (_series() for _ in range(5))
    centred: list[tuple[int, float]] = []
    cost_sum = 0.0
    for samples, outcome in pairs:
        ready = samples.ready[outcome.kept, layer]
        forecast = samples.expectation[outcome.kept, layer]
        follow = ready & (samples.confidence[outcome.kept, layer] >= confidence_min)
        ones = np.ones(len(ready))
        covered.add(outcome.at_ns, follow.astype(np.float64), ones)
        at_ns, x, y = outcome.at_ns[ready], forecast[ready], outcome.log_return[ready]
        if x.any():
            ic.add(at_ns, ic_terms(x, y), np.ones(len(x)))
            rank = spearman(x, y)
            centred += [] if rank is None else [(len(x), rank)]
        moved = (x != 0.0) & (y != 0.0)
        hit.add(at_ns[moved], (x[moved] * y[moved] > 0.0).astype(np.float64), np.ones(moved.sum()))
        follow &= forecast != 0.0
        at_ns, side = outcome.at_ns[follow], np.sign(forecast[follow])
        earned = side * np.expm1(outcome.log_return[follow])
        cost = outcome.spread[follow] + costs.round_trip(samples.symbol)
        cost_sum += float(cost.sum())
        gross.add(at_ns, earned, np.ones(len(earned)))
        net.add(at_ns, earned - cost, np.ones(len(earned)))
    horizon_ns = round(horizon_s * 1e9)
    ic_found, horizons = ic.estimate(horizon_ns) if ic.at_ns else (None, 0)
    gross_found, followed_horizons = gross.estimate(horizon_ns)
    net_found, _ = net.estimate(horizon_ns)
    followed = sum(map(len, gross.at_ns))
    ready_count = sum(int(one.ready[out.kept, layer].sum()) for one, out in pairs)
    row = Row(
        layer=LAYERS[layer],
        horizon_s=horizon_s,
        samples=sum(len(out.kept) for _, out in pairs),
        ready=ready_count,
        independent_horizons=horizons,
        ic=interval(ic_found, LEVEL, -1.0, 1.0),
        ic_corrected=None,
        spearman=sum(n * rank for n, rank in centred) / sum(n for n, _ in centred)
        if centred
        else None,
        hit_rate=hit.share(horizon_ns),
        coverage=covered.share(horizon_ns),
        followed=followed,
        followed_horizons=followed_horizons,
        gross_bps=interval(gross_found, LEVEL, scale=BPS),
        cost_bps=cost_sum / followed * BPS if followed else None,
        net_bps=interval(net_found, LEVEL, scale=BPS),
        net_corrected=None,
        verdict=NONE,
        after_costs=NONE,
        why=_why(ready_count, bool(ic.at_ns), horizons),
    )
    return _Judged(row=row, ic=ic_found, net=net_found)


def _why(ready: int, speaks: bool, horizons: int) -> str:
    if not ready:
        return "never ready"
    if not speaks:
        return "never gave a forecast"
    if horizons < HORIZONS_MIN:
        return f"{horizons} independent horizons, {HORIZONS_MIN} needed"
    return ""


def interval(
    estimate: Estimate | None,
    level: float,
    least: float = -np.inf,
    most: float = np.inf,
    *,
    scale: float = 1.0,
) -> Interval | None:
    """Return an estimate's interval of confidence 1 - `level`, scaled and cut to what can be."""
    if estimate is None:
        return None
    mean, reach = estimate.mean * scale, estimate.half_width(level) * scale
    return Interval(mean=mean, low=max(mean - reach, least), high=min(mean + reach, most))


def _decide(judged: Sequence[_Judged]) -> None:
    """Set the corrected intervals and verdicts, each family over all rows that can be judged."""
    told = [one for one in judged if one.ic is not None]
    levels = holm_levels([one.ic.p_against(0.0) for one in told if one.ic is not None])
    for one, level in zip(told, levels, strict=True):
        corrected = interval(one.ic, level, -1.0, 1.0)
        one.row = replace(
            one.row, ic_corrected=corrected, verdict=_verdict(corrected, EVIDENCE, AGAINST)
        )
    paid = [one for one in judged if one.net is not None]
    levels = holm_levels([one.net.p_against(0.0) for one in paid if one.net is not None])
    for one, level in zip(paid, levels, strict=True):
        corrected = interval(one.net, level, scale=BPS)
        one.row = replace(
            one.row, net_corrected=corrected, after_costs=_verdict(corrected, PAYS, LOSES)
        )


def _verdict(corrected: Interval | None, above: str, below: str) -> str:
    if corrected is None or corrected.low <= 0.0 <= corrected.high:
        return NONE
    return above if corrected.low > 0.0 else below
