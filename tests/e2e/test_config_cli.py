"""`hfengine config show|check` as a user types it."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hfengine.cli.config import config_app

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(monkeypatch):
    """Run a command in the repository, with an environment of its own."""
    monkeypatch.chdir(REPOSITORY)

    def run_it(*words: str, **environment: str):
        for name, text in environment.items():
            monkeypatch.setenv(name, text)
        return CliRunner().invoke(config_app, list(words))

    return run_it


def test_show_prints_every_setting_with_its_origin(run):
    result = run("show", "--profile", "paper")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any(line.startswith("leverage.wanted = 50  # configs/paper.toml:") for line in lines)
    assert any(line.startswith('leverage.on_failure = "block"  # configs/base') for line in lines)
    assert "sizing.capital_usdt = inf  # default" in lines
    assert "journal.enabled = true  # default" in lines
    assert any(line.startswith('symbols = ["BTCUSDT", "ETHUSDT"]  # configs/') for line in lines)


@pytest.mark.parametrize("command", ["show", "check"])
def test_both_print_break_even_and_liquidation_per_symbol(run, command):
    result = run(command, "--profile", "paper")
    assert (
        "BTCUSDT at 50x: breaks even at 50.0% wins, (stop 0.400% + taker fees 0.100%) / "
        "(target 0.600% + stop 0.400%); liquidation 1.606% below a long's entry, "
        "1.594% above a short's\n"
    ) in result.stdout
    assert "ETHUSDT at 50x: " in result.stdout
    assert "warning: fees.gate (configs/paper.toml:" in result.stderr


def test_figures_that_depend_on_the_market_are_not_made_up(run):
    result = run(
        "check", HFENGINE_PROTECTION__DISTANCE="atr", HFENGINE_LEVERAGE__MARGIN_MODE="cross"
    )
    assert "BTCUSDT at 50x: the break-even win rate depends on the market" in result.stdout
    assert "liquidation depends on the account (cross margin)" in result.stdout


def test_show_lists_overrides_one_by_one(run):
    result = run("show", HFENGINE_LEVERAGE__OVERRIDES__ETHUSDT="25")
    assert (
        "leverage.overrides.ETHUSDT = 25  # environment HFENGINE_LEVERAGE__OVERRIDES__ETHUSDT\n"
    ) in result.stdout
    assert "ETHUSDT at 25x" in result.stdout


def test_check_lists_all_problems_on_stderr_and_exits_2(run):
    result = run("check", LEVERAGE="1000", MAX_POSITIONS="0", HFENGINE_WHAT="1")
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert "warning: environment HFENGINE_WHAT is not used: no setting has that name" in lines
    assert [line for line in lines if not line.startswith("warning: ")] == [
        'problem: leverage.wanted (environment LEVERAGE) = "1000": '
        "must be a whole number, 1 to 125",
        'problem: sizing.positions_max (environment MAX_POSITIONS) = "0": '
        "must be a whole number, 1 or more",
        "profile paper cannot be run: 2 problems",
    ]


def test_a_profile_that_does_not_exist_is_a_usage_error_without_a_traceback(run):
    result = run("show", "--profile", "nope")
    assert result.exit_code == 2
    assert 'problem: --profile: there is no profile "nope"; there are base, ' in result.stderr
    assert "Traceback" not in result.output


def test_show_as_json(run):
    report = json.loads(run("show", "--json").stdout)
    assert report["profile"] == "paper"
    assert report["settings"]["seed"] == {"setting": 1, "origin": "default"}
    assert report["settings"]["sizing.capital_usdt"]["setting"] == "inf"
    assert report["symbols"][0]["symbol"] == "BTCUSDT"
    assert report["symbols"][0]["liquidation_long"] == pytest.approx(0.016 / 0.996)
    assert report["symbols"][0]["liquidation_short"] == pytest.approx(0.016 / 1.004)
    assert len(report["config_hash"]) == 64


def test_check_as_json_both_ways(run):
    good = json.loads(run("check", "--json").stdout)
    assert good["problems"] == []
    result = run("check", "--json", LEVERAGE="1000")
    assert result.exit_code == 2
    assert len(json.loads(result.stdout)["problems"]) == 1


@pytest.mark.parametrize("command", ["show", "check"])
def test_help_has_an_example(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: hfengine config {command} --profile paper" in result.stdout


def test_a_terminal_gets_a_table():
    ours, theirs = pty.openpty()
    command = "from hfengine.cli.config import config_app; config_app(['show'])"
    with subprocess.Popen(
        [sys.executable, "-c", command],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65_536):
                shown += chunk
        except OSError:
            # Linux reports the end of a terminal whose other side closed as an error
            pass
        os.close(ours)
    assert process.returncode == 0
    text = shown.decode()
    assert "profile paper" in text
    row = next(line for line in text.splitlines() if "leverage.wanted" in line)
    assert "configs/paper.toml:" in row
    assert "│" in row
