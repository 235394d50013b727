"""What a person sees: the live view's figures, plain lines told once, durations as typed."""

import io
from decimal import Decimal
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import typer
from rich.console import Console

from hfengine.cli import around
from hfengine.cli import run as run_command
from hfengine.cli.durations import parse_duration_s, parse_speed
from hfengine.cli.live import LiveView, PlainLines
from hfengine.config import load
from hfengine.errors import ConfigError
from hfengine.feeds.build import build_feed
from hfengine.feeds.replay import Replay
from hfengine.messages import EngineState, LeverageProof, MarkTick
from tests.recordings import lines, write
from tests.rig import T0_NS, balance, position

SOUND = {"ever_synced": True, "frames": 9, "ledger_difference_usdt": Decimal(0)}


def seen(**changes: Any) -> dict[str, Any]:
    telemetry = {
        "state": EngineState(T0_NS, "trading", ""),
        "halts": {},
        "balance": balance(),
        "gross_usdt": Decimal(5),
        "fees_usdt": Decimal(2),
        "funding_usdt": Decimal(1),
        "positions": {"BTCUSDT": position()},
        "proofs": {"BTCUSDT": LeverageProof("BTCUSDT", T0_NS, 50, 50, "isolated", "read")},
        "marks": {"BTCUSDT": MarkTick("BTCUSDT", T0_NS, 60001.5, 60000.0, 0.0001, T0_NS)},
        "synced": {"BTCUSDT": True, "ETHUSDT": False},
        "recent": [(n, T0_NS, f"decision {n}") for n in range(1, 31)],
    }
    return {
        "telemetry": telemetry | changes,
        "signals": {"signals": 3},
        "risk": {"entries": 2},
        "market_data": {"heard_ns": {"BTCUSDT": T0_NS, "ETHUSDT": T0_NS - 250_000_000}},
        "stages": {"decode": {"p50": 500, "p99": 9000}},
        "session": "abc",
        "now_ns": T0_NS,
    }


def screen(**changes: Any) -> str:
    profile = load("paper", environment={}, dotenv=None, overrides={})
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=False)
    console.print(LiveView(profile, console).screen(seen(**changes)))
    return out.getvalue()


def test_the_view_shows_position_protection_proof_and_data_age() -> None:
    text = screen()
    for shown in (
        "trading",
        "50x",
        "22:13:20.000",
        "long 0.010",
        "60001.5",
        "59760",
        "59040",
        "out of sync",
        "250 ms",
        "net +2.0000",
        "decision 30",
        'fee gate "report"',
        "decode 0.5/9.0",
    ):
        assert shown in text, shown
    assert "decision 20\n" not in text


def test_a_missing_stop_and_a_halt_cannot_be_overlooked() -> None:
    naked = position(stop=Decimal(0), covered="0")
    text = screen(positions={"BTCUSDT": naked}, halts={"journal": "disk full"})
    assert "NONE" in text
    assert "HALTED by journal: disk full" in text


def test_plain_lines_tell_each_decision_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = PlainLines(quiet=False)
    lines.show(seen(recent=[(1, T0_NS, "one"), (2, T0_NS, "two")]))
    lines.show(seen(recent=[(2, T0_NS, "two"), (3, T0_NS, "three")]))
    lines.show(seen(recent=[(7, T0_NS, "seven")]))
    out = capsys.readouterr().out
    assert [line.split()[-1] for line in out.splitlines()] == [
        "one",
        "two",
        "three",
        "more",
        "seven",
    ]
    assert "... 3 more" in out


def test_quiet_lines_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    PlainLines(quiet=True).show(seen())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30.0), ("2m", 120.0), ("1h", 3600.0), ("7", 7.0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


def test_speeds() -> None:
    assert parse_speed("max") is None
    assert parse_speed("1x") == 1.0
    assert parse_speed("0.5x") == 0.5


@pytest.mark.parametrize("text", ["", "0s", "-1s", "soon", "5 s", "1d"])
def test_wrong_durations_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="for example 500ms"):
        parse_duration_s(text)


@pytest.mark.parametrize("text", ["0x", "fast", "x", "10"])
def test_wrong_speeds_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="use max"):
        parse_speed(text)


def test_a_flat_position_shows_no_stale_figures_and_a_short_its_word() -> None:
    flat = screen(positions={"BTCUSDT": position(quantity="0")})
    assert "flat" in flat
    assert "59760" not in flat
    assert "short 0.010" in screen(positions={"BTCUSDT": position(side=-1)})


def test_a_book_nobody_vouched_for_is_out_of_sync() -> None:
    assert screen(synced={}).count("out of sync") == 2


def test_looks_keep_their_pace_at_every_speed() -> None:
    lines = PlainLines(quiet=False)
    assert [lines.every_s(pace) for pace in (None, 1.0, 10.0)] == [10.0, 1.0, 10.0]
    profile = load("paper", environment={}, dotenv=None, overrides={})
    view = LiveView(profile)
    assert [view.every_s(pace) for pace in (1.0, 10.0)] == [0.5, 5.0]


@pytest.mark.parametrize(
    ("flat", "state", "code"),
    [(True, "ended", 0), (False, "not_flat", 3), (True, "halted", 4), (False, "halted", 3)],
)
def test_exit_codes_tell_flat_halted_and_not_flat(flat: bool, state: str, code: int) -> None:
    summary = SimpleNamespace(flat=flat, state=state, **SOUND)
    assert run_command._exit_code(summary) == code  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"ever_synced": False}, 5, "no book was ever whole"),
        ({"ledger_difference_usdt": Decimal("0.01")}, 1, "ledger differs"),
    ],
)
def test_a_run_without_market_data_or_with_wrong_sums_is_no_success(
    changes: dict[str, Any], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = SimpleNamespace(**{"flat": True, "state": "ended", **SOUND, **changes})
    assert run_command._exit_code(summary) == code  # type: ignore[arg-type]
    assert words in capsys.readouterr().err


class Recorder:
    """Stands in for the engine: keeps what the command asked of it."""

    asked: ClassVar[dict[str, Any]] = {}

    def __init__(self, profile: Any, surroundings: Any, **asked: Any) -> None:
        Recorder.asked = asked | surroundings | {"profile": profile}

    def run(self) -> Any:
        return SimpleNamespace(
            flat=True, state="ended", lines=lambda: ["a line"], json=lambda: "{}", **SOUND
        )


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that runs `hfengine run` with a recorder for its engine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_command, "Engine", Recorder)

    def recorded(_profile: Any, feed: Any, *, speed: float | None) -> dict[str, Any]:
        return {"feed": feed, "speed": speed}

    monkeypatch.setattr(around, "paper", recorded)

    def go(**options: Any) -> dict[str, Any]:
        with pytest.raises(typer.Exit) as ended:
            run_command.run(**options)
        assert ended.value.exit_code == 0
        return Recorder.asked

    return go


def test_the_synthetic_market_runs_in_real_time_unless_told(command: Any) -> None:
    asked = command()
    assert (asked["speed"], asked["duration_s"]) == (1.0, None)
    asked = command(speed="max", duration="2m")
    assert (asked["speed"], asked["duration_s"]) == (None, 120.0)


def test_a_recording_runs_at_full_speed_unless_told(command: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "btcusdt.gz", lines())
    asked = command(replay=[path])
    assert asked["speed"] is None
    assert asked["profile"].settings.venue.feed == "replay"
    assert isinstance(asked["feed"], Replay)
    assert command(replay=[path], speed="10x")["speed"] == 10.0


def test_a_seed_is_the_profiles_and_the_markets(command: Any) -> None:
    assert command(seed=0)["profile"].settings.seed == 0
    assert command()["profile"].settings.seed == 1
    first = [e.payload for e in islice(command(seed=3)["feed"].events(), 50)]
    again = [e.payload for e in islice(command(seed=3)["feed"].events(), 50)]
    other = [e.payload for e in islice(command(seed=4)["feed"].events(), 50)]
    assert first == again
    assert first != other


def test_json_prints_one_object_and_observes_nothing(
    command: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAILING_CALLBACK_PERCENT", "1")
    assert command(json_=True)["observer"] is None
    told = capsys.readouterr()
    assert told.out == "{}\n"
    assert "warning: " in told.err
    assert command()["observer"] is not None
    assert capsys.readouterr().out == "a line\n"


def test_a_replay_without_a_recording_is_refused() -> None:
    profile = load("paper", environment={}, dotenv=None, overrides={"venue.feed": "replay"})
    with pytest.raises(ConfigError, match="add --replay FILE"):
        build_feed(profile.settings, [])


def test_a_duration_beyond_a_year_is_refused() -> None:
    assert parse_duration_s("8784h") == 366 * 86_400.0
    with pytest.raises(ConfigError, match="longer than a year"):
        parse_duration_s("99999999999999h")
