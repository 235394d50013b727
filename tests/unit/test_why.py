"""`why`: what a journal says of a symbol, and the paragraph that answers."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from hfengine.cli.main import app
from hfengine.cli.why import parse_time_ns
from hfengine.errors import ConfigError
from hfengine.journal import Journal
from hfengine.messages import (
    Entry,
    Fill,
    Forecast,
    Halt,
    LeverageProof,
    Message,
    OpenBracket,
    OrderEnded,
    OrderUnknown,
    Rebalanced,
    ReducePosition,
    Refusal,
    Resume,
)
from hfengine.oversight import BreakerChanged, OrderMoved, RiskState
from hfengine.replay.why import Story, UnknownSymbol, tell
from tests.rig import bracket, fill, position

T0_NS = 1_767_268_800_000_000_000
"""2026-01-01 12:00:00 UTC."""
S = 1_000_000_000
SYMBOL = "BTCUSDT"


def at(seconds: float) -> int:
    return T0_NS + int(seconds * S)


def entry(number: int, seconds: float, symbol: str = SYMBOL) -> Entry:
    return Entry(
        number, symbol, at(seconds), 0, 1, 60_000.0, 60_001.0, 60_100.0, 0.001, 0.9, 60.0, 1e-4, 5.0
    )


def refusal(
    number: int, seconds: float, gate: str, measured: float, threshold: float, symbol: str = SYMBOL
) -> Refusal:
    return Refusal(number, symbol, at(seconds), gate, measured, threshold)


def opened(number: int, seconds: float) -> OpenBracket:
    return replace(bracket(number), signal_id=number, at_ns=at(seconds))


def journal(place: Path, *messages: Message, name: str = "s1", ends: bool = True) -> Path:
    made = Journal.create(
        place, session=name, config_hash="", version="0", started_ns=T0_NS, on_fault=print
    )
    for message in messages:
        made.append(message)
    if ends:
        made.close()
    else:
        made.flush(5.0)
        made.close("crashed")
    return made.path


def told(place: Path, *messages: Message, last_s: float | None = None) -> Story:
    return tell(journal(place, *messages), SYMBOL, last_s=last_s)


DAY = (
    LeverageProof(SYMBOL, at(0), 50, 50, "isolated", "read"),
    refusal(1, 1, "spread_bps", 7.2, 5.0),
    refusal(2, 2, "spread_bps", 6.0, 5.0),
    refusal(3, 3, "confidence", 0.5, 0.6),
    entry(4, 4),
    refusal(4, 4, "position_open", 0.01, 0.0),
    entry(5, 5),
    opened(5, 5),
    refusal(6, 6, "spread_bps", 9.0, 5.0, symbol="ETHUSDT"),
    Halt(at(7), "operator", "lunch"),
)


def test_signals_are_entries_and_named_refusals(tmp_path: Path) -> None:
    story = told(tmp_path, *DAY)
    counts = story.counts
    assert (counts.signals, counts.entries, counts.refused, counts.undecided) == (5, 1, 4, 0)
    assert counts.signals == counts.entries + counts.refused + counts.undecided
    assert {name: gate.times for name, gate in counts.gates.items()} == {
        "spread_bps": 2,
        "confidence": 1,
        "position_open": 1,
    }
    assert (counts.gates["spread_bps"].measured, counts.gates["spread_bps"].threshold) == (7.2, 5.0)
    assert "5 signals = 1 entry + 4 refused: spread_bps 2 (worst 7.2 against 5)" in story.answer
    assert "halted by operator since 2026-01-01 12:00:07.000 (lunch)" in story.answer


def test_a_signal_without_an_end_is_said_to_be_undecided(tmp_path: Path) -> None:
    story = told(tmp_path, entry(1, 1), entry(2, 2), opened(2, 2))
    assert story.counts.undecided == 1
    assert "2 signals = 1 entry + 0 refused + 1 not decided yet" in story.answer


def test_only_the_last_seconds_are_counted_but_the_state_is_from_the_beginning(
    tmp_path: Path,
) -> None:
    story = told(
        tmp_path,
        Halt(at(0), "drawdown", "fell"),
        refusal(1, 1, "spread_bps", 7.0, 5.0),
        refusal(2, 100, "halted", 1.0, 0.0),
        last_s=10.0,
    )
    assert story.counts.signals == 1
    assert list(story.counts.gates) == ["halted"]
    assert "halted by drawdown since 2026-01-01 12:00:00.000 (fell)" in story.answer


def test_a_time_in_the_middle_is_told_as_it_was_then(tmp_path: Path) -> None:
    path = journal(
        tmp_path,
        Halt(at(1), "operator", "lunch"),
        refusal(1, 2, "halted", 1.0, 0.0),
        Resume(at(3), "operator"),
        refusal(2, 4, "spread_bps", 6.0, 5.0),
    )
    then = tell(path, SYMBOL, at_ns=at(2.5))
    assert then.now.halts == {"operator": (at(1), "lunch")}
    assert list(then.counts.gates) == ["halted"]
    after = tell(path, SYMBOL)
    assert after.now.halts == {}
    assert after.counts.refused == 2


def test_a_resume_of_all_clears_every_halt_that_can_be_cleared(tmp_path: Path) -> None:
    sources = ("operator", "total_loss", "lock")
    halts = [Halt(at(n), source, "x") for n, source in enumerate(sources)]
    story = told(tmp_path, *halts, refusal(1, 3, "halted", 1.0, 0.0), Resume(at(4), "all"))
    assert story.now.halts == {"lock": (at(2), "x")}


def test_refusals_of_one_gate_in_a_row_are_one_line(tmp_path: Path) -> None:
    story = told(
        tmp_path,
        *(refusal(n, n, "spread_bps", 6.0, 5.0) for n in range(1, 8)),
        refusal(8, 8, "confidence", 0.1, 0.6),
    )
    assert [(line.kind, line.times) for line in story.lines] == [("Refusal", 7), ("Refusal", 1)]
    assert story.counts.refused == 8


def test_a_repeated_risk_state_is_one_line(tmp_path: Path) -> None:
    def state(seconds: float, *reasons: str) -> RiskState:
        return RiskState(at(seconds), "halted" if reasons else "active", reasons, seconds, ())

    story = told(
        tmp_path,
        refusal(1, 0, "spread_bps", 6.0, 5.0),
        state(1),
        state(2),
        state(3, "operator: x"),
        state(4, "operator: x"),
        state(5),
    )
    assert [line.at_ns for line in story.lines if line.kind == "RiskState"] == [at(1), at(3), at(5)]
    assert "risk active" in story.answer


def test_the_way_of_an_order_and_its_money(tmp_path: Path) -> None:
    gain = Fill(
        "f2",
        "hf-s-1x",
        SYMBOL,
        at(4),
        -1,
        Decimal("0.010"),
        Decimal(60_500),
        Decimal("0.3"),
        Decimal("5.0"),
        maker=False,
        cause="target",
    )
    story = told(
        tmp_path,
        entry(1, 1),
        opened(1, 1),
        OrderMoved(1, "hf-s-1e", SYMBOL, at(1), "sent", "acknowledged", "open"),
        fill("hf-s-1e", at_ns=at(2)),
        position(at_ns=at(2)),
        Rebalanced(SYMBOL, at(3), "hold", "", 0.001, 0.001, 0.9, 30.0),
        gain,
        position(quantity="0", side=0, at_ns=at(4)),
        OrderEnded(1, "hf-s-1e", SYMBOL, at(5), "filled", Decimal("0.010"), ""),
    )
    kinds = [line.kind for line in story.lines]
    assert kinds == [
        "Entry",
        "OpenBracket",
        "OrderMoved",
        "Fill",
        "PositionChanged",
        "Rebalanced",
        "Fill",
        "PositionChanged",
        "OrderEnded",
    ]
    assert story.lines[2].text == "order hf-s-1e: sent -> open (acknowledged)"
    assert "2 fills, realised 5 USDT before 0.6 USDT of fees." in story.answer
    assert "Exits: target 1." in story.answer
    assert "The rebalancer looked: hold 1." in story.answer
    assert "flat" in story.answer


def test_what_stands_at_the_end_is_said(tmp_path: Path) -> None:
    story = told(
        tmp_path,
        LeverageProof(SYMBOL, at(0), 50, 20, "isolated", "read"),
        position(at_ns=at(1)),
        OrderUnknown(9, "hf-s-9e", SYMBOL, at(2), "timeout"),
        BreakerChanged("losing_streak", "", at(3), "tripped", 3.0, 3.0, 0),
        ReducePosition(10, SYMBOL, at(4), 1, Decimal("0.005"), "drift_decay"),
    )
    for part in (
        "leverage 20x instead of 50x",
        "intent 9 unknown: timeout",
        "breaker losing_streak tripped: 3 against 3",
        "long 0.010 at 60000, stop 59760",
        "Exits: drift_decay 1.",
    ):
        assert part in story.answer
    cleared = BreakerChanged("losing_streak", "", at(5), "cleared", 0.0, 3.0, 0)
    ended = OrderEnded(9, "hf-s-9e", SYMBOL, at(6), "not_placed", Decimal(0), "")
    calm = tell(
        journal(tmp_path, OrderUnknown(9, "c", SYMBOL, at(2), "x"), cleared, ended, name="s2"),
        SYMBOL,
    )
    assert "unknown" not in calm.answer
    assert "breaker" not in calm.answer


def test_silence_is_explained_by_the_forecasts(tmp_path: Path) -> None:
    quiet = [Forecast(SYMBOL, at(n), 1.0, 1.0, -0.00001 * n, 0.1 * n, 60.0) for n in range(1, 4)]
    story = told(tmp_path, *quiet)
    assert "No signal was raised: of 3 forecasts the largest drift was 0.000030" in story.answer
    assert "largest confidence 0.30" in story.answer
    none = tell(
        journal(tmp_path, Halt(at(1), "x", "y"), *quiet[:1], name="s3"), SYMBOL, at_ns=at(0)
    )
    assert "There was no forecast at all" in none.answer


def test_an_unknown_symbol_gets_a_sentence_with_near_names(tmp_path: Path) -> None:
    path = journal(tmp_path, *DAY)
    with pytest.raises(UnknownSymbol, match=r"'BTCUST': did you mean BTCUSDT"):
        tell(path, "BTCUST")
    result = CliRunner().invoke(app, ["why", "XRPUSDT", "--session", str(path)])
    assert isinstance(result.exception, UnknownSymbol)
    assert "it trades BTCUSDT, ETHUSDT" in str(result.exception)


def test_a_session_that_did_not_end_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    story = tell(journal(tmp_path, *DAY, ends=False), SYMBOL)
    assert story.counts.signals == 5


def test_the_command_prints_lines_and_the_answer(tmp_path: Path) -> None:
    journal(tmp_path, *DAY)
    result = CliRunner().invoke(
        app, ["why", SYMBOL, "--journals", str(tmp_path), "--at", "12:00:06", "--limit", "2"]
    )
    assert result.exit_code == 0, result.output
    rows = result.output.splitlines()
    assert rows[0] == "session s1"
    assert "lines before these" in rows[1]
    assert "becomes intent 5" in rows[-3]
    assert rows[-1].startswith("BTCUSDT, 2026-01-01 12:00:00.000 to 2026-01-01 12:00:06.000 UTC")
    assert "halted" not in rows[-1]
    as_json = CliRunner().invoke(app, ["why", SYMBOL, "--journals", str(tmp_path), "--json"])
    assert json.loads(as_json.output)["counts"]["signals"] == 5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12:00:05", 5), ("12:01", 60), ("2026-01-01T12:00:05", 5), ("2026-01-01T13:00:05+01:00", 5)],
)
def test_times_are_read_as_utc(text: str, seconds: int) -> None:
    assert parse_time_ns(text, at(3600)) == at(seconds)


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no time"):
        parse_time_ns("yesterday", T0_NS)
