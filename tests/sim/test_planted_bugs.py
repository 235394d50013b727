"""Each planted bug that is cheap to find is found, by an invariant that has to do with it."""

import logging

import pytest

from hfengine.simulation.hunting import hunt
from hfengine.simulation.planted import PLANTED
from hfengine.simulation.running import run_seed

CHEAP = {
    "funding_unheard": {"I5"},
    "fill_counted_twice": {"I3"},
    "late_fill_dropped": {"I3", "I5"},
    "open_position_ignored": {"I3"},
    "refusal_swallowed": {"I8"},
    "guardian_blind": {"I2", "I9"},
    "wrong_size_ignored": {"I2", "I9"},
    "stop_cancelled_first": {"I2"},
    "restart_sees_no_position": {"I3", "I2", "I4", "I9"},
    "halts_forgotten": {"I4"},
    "flatten_by_memory": {"I4"},
    "new_id_on_retry": {"I3"},
    "halt_ignored": {"I4"},
}


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("name", CHEAP)
def test_a_planted_bug_is_found(name: str) -> None:
    found = hunt(name, 1, 25)
    assert found.violation is not None, f"{name} was not found in {found.runs} runs"
    assert found.violation.invariant in CHEAP[name], found.violation


def test_a_plant_leaves_nothing_behind() -> None:
    before = run_seed(2, "bybit")
    for name in ("fill_counted_twice", "refusal_swallowed"):
        with PLANTED[name].planted():
            assert run_seed(2, "bybit").violations
    after = run_seed(2, "bybit")
    assert (after.trace, after.violations) == (before.trace, before.violations)


def test_there_are_at_least_twelve() -> None:
    assert len(PLANTED) >= 12
