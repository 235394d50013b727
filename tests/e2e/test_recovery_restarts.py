"""An engine that was killed comes back: what it decided and held is known, and counted once."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.recovery_desk import NO_ENTRIES, Desk, Row, no_sockets
from tests.venue_processes import VenueProcess, until, venue_process

VENUE = ("--symbols", "BTCUSDT,ETHUSDT", "--feed", "synthetic", "--seed", "3")
JUDGING = {
    "HFENGINE_REBALANCE__INTERVAL_S": "2",
    # drift that does not turn at once
    "HFENGINE_SIGNALS__DRIFT_MIN": "0.0002",
    "HFENGINE_SIGNALS__CONFIDENCE_MIN": "0.6",
}


@pytest.fixture
def venue() -> Iterator[VenueProcess]:
    with venue_process("bybit", *VENUE) as running:
        yield running


def judged(desk: Desk, symbol: str) -> Row | None:
    """Return the first judgement of the rebalancer in the newest session."""
    rows = [row for row in desk.said("Rebalanced") if row["symbol"] == symbol]
    return rows[0] if rows else None


def held(desk: Desk) -> Row | None:
    """Return the rebalancer's newest word, if it was to hold."""
    rows = desk.said("Rebalanced")
    return rows[-1] if rows and rows[-1]["action"] == "hold" else None


def test_a_halt_and_a_position_survive_a_kill(tmp_path: Path, venue: VenueProcess) -> None:
    desk = Desk(tmp_path, venue)
    with desk.engine(JUDGING) as engine:
        before = engine.until(lambda: held(desk), "a position that the rebalancer lets stand")
        symbol = before["symbol"]
        assert desk.typed("halt", "--reason", "news").code == 0
        # what is said to hold is on the disk some milliseconds later
        engine.until(lambda: desk.said("Halt"), "the halt in the journal")
    told = desk.typed("status")
    assert told.code == 6
    assert "ended without going flat" in told.err

    with desk.engine(JUDGING) as engine:
        engine.until(lambda: desk.said("Adopted"), "what was found")
        assert "news" in desk.status()["halts"]["operator"]
        found = [row for row in desk.said("PositionChanged") if row["symbol"] == symbol]
        # by the journal: the rebalancer may close it the next moment
        assert found[0]["quantity"] == found[0]["covered"]
        (adopted,) = [row for row in desk.said("Adopted") if row["symbol"] == symbol]
        assert adopted["ours"]
        assert adopted["policy"] == "adopt"
        opened = [row for row in desk.said("PositionOpened", 0) if row["symbol"] == symbol][-1]
        for name in ("entry_drift", "entry_confidence"):
            assert adopted[name] == opened[name]
        after = engine.until(lambda: judged(desk, symbol), "the rebalancer")
        for name in ("baseline_drift", "baseline_confidence", "half_life_s", "reduces"):
            assert after[name] == before[name]
        assert after["age_s"] > before["age_s"]
        assert desk.said("OpenBracket") == [], "halted"

        wrong = desk.typed("resume", "oprator")
        assert wrong.code == 2
        assert "nothing is halted by 'oprator': in force is operator" in wrong.err
        resumed = desk.typed("resume")
        assert (resumed.code, "cleared: operator" in resumed.out) == (0, True)
        engine.interrupt()
        code, summary, err = engine.ended()
        assert (code, summary["flat"]) == (0, True), err
    desk.check_books()
    # of the engines nothing is left that is for the living only
    assert no_sockets(tmp_path)
    assert [path.stat().st_size for path in (tmp_path / "state").glob("*.lock")] == [0]


def test_what_happens_while_no_engine_runs_is_told_once(
    tmp_path: Path, venue: VenueProcess
) -> None:
    desk = Desk(tmp_path, venue)
    with desk.engine() as engine:
        engine.until(lambda: desk.said("PositionOpened"), "a position in the journal")
    (position, *_) = venue.held()
    symbol = position["changed"]["symbol"]
    count = len(venue.fills())
    stop = Decimal(position["changed"]["stop"])
    beyond = stop * (1 - position["changed"]["side"] * Decimal("0.002"))
    venue.do("mark", symbol=symbol, mark=str(beyond.quantize(stop)))
    until(lambda: len(venue.fills()) > count, "the stop")
    venue.do("funding", symbol="ETHUSDT", rate="0.0001")

    with desk.engine(NO_ENTRIES) as engine:
        engine.until(lambda: desk.said("Fill"), "the stop's fill")
        engine.interrupt()
        code, summary, err = engine.ended()
        assert (code, summary["flat"]) == (0, True), err
        assert summary["ledger_difference_usdt"] == 0
    assert "liquidation" not in {row["cause"] for row in desk.said("Fill")}
    desk.check_books()
