"""A handful of kill -9 of a real engine: nothing is lost. The times are `make chaos`'s to judge."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.kinds import engine_kills
from tests.chaos.story import Story, Tally, told

KILLS = 2
WAIT_MAX_S = 1.0
SEEDS = {"bybit": 11, "binance": 12}
BY_TIME = "after the restart"
"""How a violation reads that is only about how long something took."""

MONEY = ("fill in no journal", "fill counted twice", "ledger")
"""How the violations of the books read."""


def lived(folder: Path, dialect: str) -> Tally:
    place = folder / dialect
    place.mkdir()
    kills = partial(engine_kills, kills=KILLS, wait_max_s=WAIT_MAX_S, is_spaced=False)
    return told(place, kills, Story(place, dialect, SEEDS[dialect]))


@pytest.fixture(scope="module")
def tallies(tmp_path_factory: pytest.TempPathFactory) -> list[Tally]:
    """Let both engines live and be killed, side by side."""
    with ThreadPoolExecutor(len(SEEDS)) as side_by_side:
        return list(side_by_side.map(partial(lived, tmp_path_factory.mktemp("kills")), SEEDS))


def of_money(wrong: str) -> bool:
    return any(name in wrong for name in MONEY)


def test_a_killed_engine_comes_back_protects_what_is_open_and_ends_flat(
    tallies: list[Tally],
) -> None:
    for tally in tallies:
        assert [w for w in tally.wrong if BY_TIME not in w and not of_money(w)] == []
        assert tally.counts["kills"] >= KILLS
        assert tally.counts["fills"] > 0


def test_no_fill_is_lost_and_the_ledgers_agree(tallies: list[Tally]) -> None:
    for tally in tallies:
        assert [w for w in tally.wrong if of_money(w)] == []
