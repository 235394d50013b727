"""A position that nobody here opened is found at the start and dealt with by policy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recovery_desk import NO_ENTRIES, Desk, buy, covered
from tests.venue_processes import VenueProcess, venue_process


@pytest.fixture
def venue() -> Iterator[VenueProcess]:
    with venue_process("bybit", "--symbols", "BTCUSDT,ETHUSDT", "--feed", "synthetic") as running:
        yield running


@pytest.mark.parametrize("policy", ["adopt", "flatten", "halt"])
def test_another_clients_position_is_dealt_with_by_policy(
    tmp_path: Path, venue: VenueProcess, policy: str
) -> None:
    desk = Desk(tmp_path, venue)
    buy(venue, "BTCUSDT", "0.01", "by-hand")
    with desk.engine({**NO_ENTRIES, "HFENGINE_RECOVERY__UNKNOWN_POSITION": policy}) as engine:
        if policy == "flatten":
            engine.until(lambda: not venue.held(), "a flat account")
            engine.until(lambda: desk.said("Adopted"), "what was found")
        else:
            position = engine.until(lambda: covered(desk, "BTCUSDT"), "cover")
            assert position["quantity"] == "0.010"
            engine.until(lambda: desk.said("Adopted"), "what was found")
        (adopted,) = desk.said("Adopted")
        assert (adopted["ours"], adopted["policy"]) == (False, policy)
        halts = desk.status()["halts"]
        assert list(halts) == (["unknown_position"] if policy == "halt" else [])
        engine.interrupt()
        code, summary, err = engine.ended()
        assert (code, summary["flat"]) == (4 if policy == "halt" else 0, True), err
