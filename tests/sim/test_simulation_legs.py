"""A hundred seeds of faults at a venue that has stops as orders of their own, as Binance does."""

import logging

import pytest

from hfengine.simulation.report import Tally
from hfengine.simulation.running import run_seed

FIRST, COUNT, CHUNK = 101, 100, 20


@pytest.fixture(autouse=True)
def quiet() -> None:
    # what is planted into the network is logged by those whom it strikes
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("first", range(FIRST, FIRST + COUNT, CHUNK))
def test_every_invariant_holds_through_faults_crashes_and_restarts(first: int) -> None:
    tally = Tally()
    for seed in range(first, first + CHUNK):
        outcome = run_seed(seed, "binance")
        tally.add(outcome)
        if outcome.violations:
            tally.fail(outcome, outcome.plan)
    assert not tally.failures, "\n".join(tally.lines())
    assert tally.entries > 2 * CHUNK
    assert sum(tally.counts.values()) > CHUNK


@pytest.mark.parametrize("seed", [3, 4])
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    assert run_seed(seed, "binance").trace == run_seed(seed, "binance").trace
    assert run_seed(seed, "binance").trace != run_seed(seed + 1, "binance").trace
