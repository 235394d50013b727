"""Plants a bug and runs seeds until an invariant finds it."""

from msgspec import Struct

from hfengine.simulation.faults import Fault
from hfengine.simulation.invariants import Violation
from hfengine.simulation.planted import PLANTED
from hfengine.simulation.running import run_seed
from hfengine.simulation.shrinking import shrink_seed
from hfengine.simulation.world import STYLES


class Hunted(Struct, frozen=True):
    """How a hunt went: `seeds` tried until the bug was found, each in every style."""

    name: str
    seeds: int
    runs: int
    violation: Violation | None
    needed: list[Fault]


def hunt(name: str, first_seed: int, seeds_max: int, *, shrinks: bool = False) -> Hunted:
    """Run with one planted bug until it is found, or `seeds_max` seeds were tried.

    What a seed violates without the bug too is not a find.
    """
    plant, runs = PLANTED[name], 0
    for seed in range(first_seed, first_seed + seeds_max):
        for style in STYLES:
            runs += 1
            with plant.planted():
                outcome = run_seed(seed, style)
            if not outcome.violations or run_seed(seed, style).violations:
                continue
            first, needed = outcome.violations[0], []
            if shrinks:
                with plant.planted():
                    needed = shrink_seed(seed, style, outcome.plan, first.invariant)
            return Hunted(name, seed - first_seed + 1, runs, first, needed)
    return Hunted(name, seeds_max, runs, None, [])
