"""hfengine replay, as a user runs it: output, exit codes, one sentence instead of a traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hfengine.cli.main import app
from hfengine.errors import ExitCode, HfengineError
from tests.reference.segment import records
from tests.replay_desk import recorded

SECONDS = 10.0
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("journals"), duration_s=SECONDS)[0]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


def test_an_identical_session(session: Path) -> None:
    result = run("newest", "--verify", "--journals", session.parent)
    assert result.exit_code == ExitCode.OK, result.output
    assert result.output.startswith(f"session {session.name}: identical: ")
    assert "OpenBracket" in result.output


def test_identical_in_another_process_with_another_hash_seed(session: Path) -> None:
    for seed in ("1", "2"):
        ended = subprocess.run(
            [sys.executable, "-m", "hfengine.cli.main", "replay", str(session), "--verify"],
            env={"PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "identical" in ended.stdout


def test_a_difference_is_shown_side_by_side(session: Path) -> None:
    result = run(session, "--verify", "--set", "risk.spread_max_bps=0.00001")
    assert result.exit_code == ExitCode.FAILURE
    rows = result.output.splitlines()
    assert "differs at record" in rows[0]
    assert any("recorded" in row and "replayed" in row for row in rows)
    assert any(row.split()[:4] == ["*", "type", "OpenBracket", "Refusal"] for row in rows)
    looked_at = run(session, "--set", "risk.spread_max_bps=0.00001")
    assert looked_at.exit_code == ExitCode.OK


def test_a_difference_as_json(session: Path) -> None:
    result = run(session, "--verify", "--json", "--set", "signals.drift_min=0.9")
    assert result.exit_code == ExitCode.FAILURE
    found = json.loads(result.output)
    assert found["identical"] is False
    assert found["difference"]["sequence"] > 1


def test_a_flipped_byte(session: Path, tmp_path: Path) -> None:
    place = tmp_path / "flipped"
    place.mkdir()
    for file in session.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    segment = place / "000001.journal"
    record = records(segment)[99]
    content = bytearray(segment.read_bytes())
    content[record.offset + len(record.payload)] ^= 1
    segment.write_bytes(content)
    result = run(place, "--verify")
    assert result.exit_code == ExitCode.FAILURE
    assert "record 100" in result.output
    assert "damaged" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nosuch", "--verify"], "there is no session 'nosuch'"),
        (["newest", "--set", "risk.spread_max_bps"], "KEY=VALUE"),
        (["newest", "--set", "risk.unheard=1"], "no such setting"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    session: Path, arguments: list[str], says: str
) -> None:
    result = run(*arguments, "--journals", session.parent)
    assert isinstance(result.exception, HfengineError)
    assert result.exception.exit_code == ExitCode.USAGE
    assert says in str(result.exception)


@pytest.mark.parametrize(
    ("profile", "more"), [("paper", ["--speed", "max"]), ("bybit-local", []), ("binance-local", [])]
)
def test_a_run_of_the_command_is_identical(tmp_path: Path, profile: str, more: list[str]) -> None:
    def hfengine(*arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "hfengine.cli.main", *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    hfengine("run", "--profile", profile, "--duration", "4s", "--json", *more)
    assert ": identical: " in hfengine("replay", "newest", "--verify")


def test_a_session_without_ticks(tmp_path: Path) -> None:
    path, _ = recorded(tmp_path, duration_s=1.0, overrides={"journal.market_data": "none"})
    result = run(path, "--verify")
    assert isinstance(result.exception, HfengineError)
    assert result.exception.exit_code == ExitCode.USAGE
    assert 'journal.market_data = "none"' in str(result.exception)
