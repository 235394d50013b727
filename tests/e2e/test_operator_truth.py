"""What an operator is answered is true: what still is wrong halts on, what halts is on disk."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.recovery_desk import NO_ENTRIES, Desk, buy
from tests.venue_processes import VenueProcess, venue_process

VENUE = ("--symbols", "BTCUSDT,ETHUSDT,SOLUSDT", "--feed", "synthetic", "--seed", "3")
TICKS = {"HFENGINE_JOURNAL__MARKET_DATA": "ticks"}


@pytest.fixture
def venue() -> Iterator[VenueProcess]:
    with venue_process("bybit", *VENUE) as running:
        yield running


def test_resume_all_leaves_halted_what_the_venue_still_holds_and_a_replay_agrees(
    tmp_path: Path, venue: VenueProcess
) -> None:
    desk = Desk(tmp_path, venue)
    with desk.engine({**NO_ENTRIES, **TICKS}) as engine:
        engine.until(lambda: desk.status().get("state") == "trading", "a begun engine")
        venue.fault("drop_socket", path="/v5/private", count=None)
        venue.do("drop_sockets", path="/v5/private")
        engine.until(lambda: desk.status()["halts"], "the halt of the private stream")
        assert desk.typed("halt", "--reason", "look").code == 0
        told = desk.typed("resume")
        assert told.code == 4, told
        assert "cleared: operator" in told.out
        assert "holds: private_stream" in told.out
        assert list(desk.status()["halts"]) == ["private_stream"]
        assert desk.typed("resume", "private_stream").code == 4
        engine.interrupt()
        engine.ended()
    halts = [row["source"] for row in desk.said("Halt")]
    assert halts[:4] == ["private_stream", "operator", "private_stream", "private_stream"]
    replayed = desk.typed("replay", str(desk.sessions()[-1]), "--verify")
    assert replayed.code == 0, replayed


@pytest.mark.parametrize("number", range(3))
def test_an_answered_halt_outlives_a_kill_at_once_and_the_loss_of_the_store(
    tmp_path: Path, venue: VenueProcess, number: int
) -> None:
    desk = Desk(tmp_path, venue)
    with desk.engine(NO_ENTRIES) as engine:
        engine.until(lambda: desk.status().get("state") == "trading", "a begun engine")
        halted = desk.typed("halt", "--reason", f"news {number}")
        engine.process.kill()
        assert halted.code == 0
        assert halted.err == ""
    for part in (tmp_path / "state").glob("*.db*"):
        part.unlink()
    with desk.engine(NO_ENTRIES) as engine:
        engine.until(lambda: desk.status().get("state") == "trading", "what was found")
        assert f"news {number}" in desk.status()["halts"]["operator"]


def test_where_nothing_is_journaled_a_halt_is_said_to_be_in_force_but_not_on_disk(
    tmp_path: Path, venue: VenueProcess
) -> None:
    desk = Desk(tmp_path, venue)
    with desk.engine({**NO_ENTRIES, "HFENGINE_JOURNAL__ENABLED": "false"}) as engine:
        engine.until(lambda: desk.status().get("state") == "trading", "a begun engine")
        for words in (("halt",), ("resume",), ("flatten",)):
            told = desk.typed(*words)
            assert told.code == 0
            assert told.err.endswith("not yet on disk: the journal is switched off\n")
        assert "unwritten" in desk.typed("halt", "--json").out


def test_a_trade_of_somebody_else_while_no_engine_ran_is_told_by_the_wallet(
    tmp_path: Path, venue: VenueProcess
) -> None:
    desk = Desk(tmp_path, venue)
    with desk.engine(NO_ENTRIES) as engine:
        engine.until(lambda: desk.status().get("state") == "trading", "a begun engine")
        engine.until(lambda: wallets(desk), "the wallet in the journal")
    # of no symbol of the profile: no fill of it is told
    buy(venue, "SOLUSDT", "10", "somebody", set_mode=False)
    assert len(venue.fills()) == 1
    fee_usdt = -venue.earned_usdt()
    assert fee_usdt > Decimal("0.01")
    with desk.engine(NO_ENTRIES) as engine:
        engine.until(lambda: desk.said("Difference"), "the difference")
        (difference,) = desk.said("Difference")
    assert difference["subject"] == "balance"
    ours, found = (Decimal(difference[side].split()[1]) for side in ("ours", "venues"))
    assert abs(ours - found - fee_usdt) <= Decimal("0.01")


def wallets(desk: Desk) -> object:
    """Return the wallets that risk remembered last."""
    kept = [row["body"] for row in desk.said("Keep") if row["key"] == "bot:risk:memory"]
    return msgspec.json.decode(kept[-1])["wallets"] if kept else None
