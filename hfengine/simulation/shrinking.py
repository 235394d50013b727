"""Cuts a failing plan down to the faults it needs (delta debugging)."""

from collections.abc import Callable, Sequence
from typing import Final

from hfengine.simulation.faults import Fault
from hfengine.simulation.running import run_seed
from hfengine.simulation.world import Style

RUNS_MAX: Final = 60

StillFails = Callable[[Sequence[Fault]], bool]


def shrunk(plan: Sequence[Fault], fails: StillFails, *, runs_max: int = RUNS_MAX) -> list[Fault]:
    """Return a part of a failing plan that still fails and from which nothing can be left out.

    After `runs_max` trials the smallest part found so far is returned.
    """
    kept, parts, runs = list(plan), 2, 0
    if not kept or fails([]):
        return []
    while len(kept) > 1 and runs < runs_max:
        size = -(-len(kept) // parts)
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            runs += 1
            if rest and fails(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(kept))
    return kept


def shrink_seed(seed: int, style: Style, plan: Sequence[Fault], invariant: str) -> list[Fault]:
    """Return the faults of a seed's plan without which an invariant would hold."""

    def fails(part: Sequence[Fault]) -> bool:
        found = run_seed(seed, style, part).violations
        return any(violation.invariant == invariant for violation in found)

    return shrunk(plan, fails)
