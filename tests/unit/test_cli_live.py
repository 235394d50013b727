"""What a person sees: the live view's figures, plain lines told once, durations as typed."""

import io
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from hfengine.cli.durations import parse_duration_s, parse_speed
from hfengine.cli.live import LiveView, PlainLines
from hfengine.config import load
from hfengine.errors import ConfigError
from hfengine.messages import EngineState, LeverageProof, MarkTick
from tests.rig import T0_NS, balance, position


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
        "50x 22:13:20.000",
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
