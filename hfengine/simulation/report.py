"""What many simulated runs came to: one summary, as text or as plain data."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from hfengine.simulation.faults import KINDS, Fault
from hfengine.simulation.running import Outcome
from hfengine.simulation.world import STYLES

BIG_RUN: Final = 400
"""Runs from which on every kind of fault must have been exercised."""

EDGES_MS: Final = (1, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)


class Failure(Struct, frozen=True):
    """One seed that broke an invariant, and how to see it again."""

    seed: int
    style: str
    invariant: str
    at_ms: int
    detail: str
    repro: str
    needed: list[Fault]
    """The faults that were needed for it."""


class Tally(Struct):
    """Sums over all runs."""

    runs: int = 0
    engines: int = 0
    entries: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    ours_ms: dict[str, list[float]] = field(default_factory=dict)
    others_ms: dict[str, list[float]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one run; what it violated is added by `fail`."""
        self.runs += 1
        self.engines += outcome.engines
        self.entries += outcome.entries
        self.counts.update(outcome.counts)
        self.refusals.update(outcome.refusals)
        self.ours_ms.setdefault(outcome.style, []).extend(outcome.ours_ms)
        self.others_ms.setdefault(outcome.style, []).extend(outcome.others_ms)

    def fail(self, outcome: Outcome, needed: Sequence[Fault]) -> None:
        """Note the first violation of a run."""
        first = outcome.violations[0]
        self.failures.append(
            Failure(
                outcome.seed,
                outcome.style,
                first.invariant,
                first.at_ms,
                first.detail,
                outcome.repro,
                list(needed),
            )
        )

    def needs(self, number: int, faults: Sequence[Fault]) -> None:
        """Say which faults a failure needs, now that its plan has been cut down."""
        self.failures[number] = replace(self.failures[number], needed=list(faults))

    @property
    def unexercised(self) -> list[str]:
        """The kinds of fault that never took effect."""
        return [kind for kind in KINDS if not self.counts[kind]]

    @property
    def is_good(self) -> bool:
        """Tell whether nothing failed and, in a big run, every fault was exercised."""
        return not self.failures and (self.runs < BIG_RUN or not self.unexercised)

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        gaps = {
            style: {
                "ours": spread(self.ours_ms.get(style, [])),
                "others": spread(self.others_ms.get(style, [])),
            }
            for style in STYLES
        }
        return {
            "runs": self.runs,
            "engines": self.engines,
            "entries": self.entries,
            "faults": {kind: self.counts[kind] for kind in (*KINDS, "reordered")},
            "unexercised": self.unexercised,
            "refusals": dict(self.refusals),
            "uncovered_ms": gaps,
            "failures": msgspec.to_builtins(self.failures),
            "good": self.is_good,
        }

    def lines(self) -> list[str]:
        """Return everything as lines to read."""
        told = [f"{self.runs} runs, {self.engines} engines, {self.entries} entries"]
        told.append("faults that took effect:")
        named = sorted(
            ((k, self.counts[k]) for k in (*KINDS, "reordered")), key=lambda one: -one[1]
        )
        told += [f"  {kind:24} {count:8}" for kind, count in named]
        for style in STYLES:
            for whose, lengths in (("own", self.ours_ms), ("others'", self.others_ms)):
                told += histogram(f"uncovered, {style}, {whose} doing", lengths.get(style, []))
        if self.runs >= BIG_RUN and self.unexercised:
            told.append(f"never exercised: {', '.join(self.unexercised)}")
        for failure in self.failures:
            told.append(f"{failure.invariant} at {failure.at_ms} ms: {failure.detail}")
            told.append(f"  {failure.repro}")
            told += [f"  needs {describe(fault)}" for fault in failure.needed]
        return told


def describe(fault: Fault) -> str:
    """Return a fault on one line."""
    lasts = f"{fault.at_ms} ms {fault.kind} {fault.symbol} for {fault.lasts_ms} ms"
    return f"{lasts}, size {fault.size:g}"


def spread(lengths_ms: Sequence[float]) -> dict[str, float]:
    """Return count, median, 99th percentile and maximum, ms."""
    if not lengths_ms:
        return {"count": 0, "p50": 0.0, "p99": 0.0, "max": 0.0}
    ordered = sorted(lengths_ms)
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "p50": round(ordered[last // 2], 3),
        "p99": round(ordered[int(last * 0.99)], 3),
        "max": round(ordered[last], 3),
    }


def histogram(title: str, lengths_ms: Sequence[float]) -> list[str]:
    """Return how often gaps of which length occurred, as lines."""
    found = spread(lengths_ms)
    if not found["count"]:
        return [f"{title}: none"]
    told = [
        f"{title}: {found['count']} gaps, p50 {found['p50']:g}, p99 {found['p99']:g}, "
        f"max {found['max']:g} ms"
    ]
    below = 0
    for edge in EDGES_MS:
        count = sum(1 for length in lengths_ms if length <= edge)
        if count > below:
            told.append(f"  up to {edge:5} ms {count - below:7}")
        below = count
    if below < len(lengths_ms):
        told.append(f"  beyond {EDGES_MS[-1]:4} ms {len(lengths_ms) - below:7}")
    return told
