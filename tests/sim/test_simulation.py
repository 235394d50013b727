"""A hundred seeds of faults at a venue that attaches protection to positions, as Bybit does."""

import logging

import pytest

from tests.sim.hundred_seeds import CHUNK, hold, repeat


@pytest.fixture(autouse=True)
def quiet() -> None:
    # what is planted into the network is logged by those whom it strikes
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("first", range(1, 101, CHUNK))
def test_every_invariant_holds_through_faults_crashes_and_restarts(first: int) -> None:
    hold("bybit", first)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    repeat("bybit", seed)
