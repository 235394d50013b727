"""The evaluation as a person reads it: what was tested, what has evidence, what pays."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from hfengine.evaluation.judging import (
    AGAINST,
    EVIDENCE,
    LOSES,
    NONE,
    PAYS,
    Costs,
    Row,
    judge,
)
from hfengine.evaluation.sampling import Collected, Grid
from hfengine.evaluation.statistics import HORIZONS_MIN, LEVEL


class Evaluation(Struct, frozen=True, kw_only=True):
    """Everything `hfengine signals eval` found; times are ns since the epoch."""

    profile: str
    recordings: tuple[str, ...]
    symbols: tuple[str, ...]
    from_ns: int
    until_ns: int
    frames: int
    faults: dict[str, int]
    grid_ms: float
    forecast_horizon_s: float
    confidence_min: float
    taker_fee_bps: dict[str, float]
    slippage_bps: float
    tests: int
    """Rows judged, over which Holm's correction runs."""
    family_level: float
    rows: list[Row]
    sentences: list[str]


class Asked(Struct, frozen=True, kw_only=True):
    """What is to be evaluated, and how."""

    profile: str
    recordings: tuple[str, ...]
    horizons_s: tuple[float, ...]
    forecast_horizon_s: float
    confidence_min: float
    costs: Costs


def evaluate(collected: Collected, asked: Asked, grid: Grid) -> Evaluation:
    """Judge every layer at every horizon and say what came out."""
    rows = judge(collected.samples, asked.horizons_s, asked.costs, asked.confidence_min)
    tests = sum(row.ic is not None for row in rows)
    return Evaluation(
        profile=asked.profile,
        recordings=asked.recordings,
        symbols=tuple(one.symbol for one in collected.samples),
        from_ns=collected.from_ns,
        until_ns=collected.until_ns,
        frames=collected.frames,
        faults=collected.faults,
        grid_ms=grid.step_ns / 1e6,
        forecast_horizon_s=asked.forecast_horizon_s,
        confidence_min=asked.confidence_min,
        taker_fee_bps={symbol: 1e4 * fee for symbol, fee in asked.costs.fee.items()},
        slippage_bps=1e4 * asked.costs.slippage,
        tests=tests,
        family_level=LEVEL,
        rows=rows,
        sentences=sentences(rows, (collected.until_ns - collected.from_ns) / 1e9),
    )


def sentences(rows: Sequence[Row], span_s: float) -> list[str]:
    """Return what the rows come to: evidence, none, too little data, and what fees leave."""
    tests = sum(row.ic is not None for row in rows)
    said = []
    found = [row for row in rows if row.verdict == EVIDENCE]
    against = [row for row in rows if row.verdict == AGAINST]
    family = f"{tests} tests, corrected so that a false find among them all is a 5 % chance"
    if found:
        said.append(f"Evidence of prediction ({family}): {_listed(found)}.")
    elif tests:
        said.append(f"No layer has evidence of prediction at any horizon tested ({family}).")
    if against:
        said.append(f"Evidence against: moves went the other way: {_listed(against)}.")
    empty = [row for row in rows if row.verdict == NONE and row.ic is not None]
    if empty:
        said.append(f"No evidence: {_listed(empty)}.")
    said += _untested(rows, span_s)
    said += _after_costs(rows)
    return said


def _untested(rows: Sequence[Row], span_s: float) -> list[str]:
    said = []
    silent = [row for row in rows if row.why.startswith("never")]
    for why in sorted({row.why for row in silent}):
        layers = dict.fromkeys(row.layer for row in silent if row.why == why)
        said.append(f"No evidence, {why} in these recordings: {', '.join(layers)}.")
    short = [row for row in rows if row.why and row not in silent]
    if short:
        horizon_s = max(row.horizon_s for row in short)
        said.append(
            f"No evidence, too little data (under {HORIZONS_MIN} independent horizons): "
            f"{_listed(short)}. These recordings span {span_s:.0f} s; {ahead(horizon_s)} ahead "
            f"needs over {(HORIZONS_MIN + 1) * horizon_s:.0f} s after warm-up."
        )
    return said


def _after_costs(rows: Sequence[Row]) -> list[str]:
    paid = [row for row in rows if row.net_bps is not None]
    if not paid:
        return ["After costs: no layer was followed over enough independent horizons to say."]
    pays = [row for row in paid if row.after_costs == PAYS]
    if pays:
        said = [f"Pays a taker's costs: {_listed(pays)}."]
    else:
        said = ["Nothing here pays a taker's fees, spread and slippage."]
        if any(row.verdict == EVIDENCE for row in rows):
            said = ["The evidence of prediction does not survive fees."]
    best = max(paid, key=lambda row: row.net_bps.mean if row.net_bps else 0.0)
    if best.gross_bps is not None and best.net_bps is not None and best.cost_bps is not None:
        said.append(
            f"Best after costs: {best.layer} at {ahead(best.horizon_s)} gains "
            f"{best.gross_bps.mean:+.2f} bps a round trip (95 % interval {best.gross_bps.low:+.2f} "
            f"to {best.gross_bps.high:+.2f}) where {best.cost_bps:.2f} bps break even."
        )
    loses = sum(row.after_costs == LOSES for row in paid)
    said.append(f"Followed as a taker, {loses} of {len(paid)} rows lose beyond chance.")
    return said


def ahead(horizon_s: float) -> str:
    """Return a horizon as text: 250ms, 15s."""
    return f"{horizon_s:g}s" if horizon_s >= 1.0 else f"{1e3 * horizon_s:g}ms"


def _listed(rows: Sequence[Row]) -> str:
    """Name rows by layer, each with its horizons."""
    layers: dict[str, list[str]] = {}
    for row in rows:
        layers.setdefault(row.layer, []).append(ahead(row.horizon_s))
    return "; ".join(f"{layer} at {', '.join(at)}" for layer, at in layers.items())


CAUTION: Final = (
    "One stretch of one market says little about another: record more, on other days, before "
    "believing any of it."
)
