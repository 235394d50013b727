"""What must hold of many seeds of faults, whatever the style of the venue."""

from hfengine.simulation.report import Tally
from hfengine.simulation.running import run_seed
from hfengine.simulation.world import Style

CHUNK = 20


def hold(style: Style, first: int) -> None:
    """Assert every invariant over CHUNK seeds, and that they traded under faults."""
    tally = Tally()
    for seed in range(first, first + CHUNK):
        outcome = run_seed(seed, style)
        tally.add(outcome)
        if outcome.violations:
            tally.fail(outcome, outcome.plan)
    assert not tally.failures, "\n".join(tally.lines())
    assert tally.entries > 2 * CHUNK
    assert sum(tally.counts.values()) > CHUNK


def repeat(style: Style, seed: int) -> None:
    """Assert that a seed gives its own trace, and always the same."""
    assert run_seed(seed, style).trace == run_seed(seed, style).trace
    assert run_seed(seed, style).trace != run_seed(seed + 1, style).trace
