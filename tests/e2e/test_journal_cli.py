"""hfengine journal, as a user runs it: output, exit codes, and no traceback."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hfengine.cli.journal import journal_app
from hfengine.journal import Journal, manifest
from tests.reference.journal import Note, crashed, start, written
from tests.reference.segment import records, reframed

runner = CliRunner()
FIRST = manifest.segment_name(1)


@pytest.fixture
def ended(tmp_path: Path) -> Path:
    return written(tmp_path / "ended", 30)


def run(*arguments: object, code: int = 0) -> str:
    result = runner.invoke(journal_app, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def test_verify_intact(ended: Path) -> None:
    output = run("verify", ended)
    assert output.startswith("intact: 30 frames")
    assert str(manifest.load(ended).hash) in output
    assert "session ended" in output


def test_verify_json_is_one_object(ended: Path) -> None:
    verdict = json.loads(run("verify", ended, "--json"))
    assert (verdict["code"], verdict["status"], verdict["whole_frames"]) == (0, "intact", 30)


def test_verify_truncated(tmp_path: Path) -> None:
    left = crashed(tmp_path, 4)
    path = sorted(left.glob("*.journal"))[-1]
    path.write_bytes(path.read_bytes()[:-1])
    output = run("verify", left, code=10)
    assert output.startswith("truncated:")
    assert "whole frames before: 3" in output
    assert "session crashed" in output


def test_verify_damaged(ended: Path) -> None:
    path = ended / FIRST
    record = records(path)[6]
    content = bytearray(path.read_bytes())
    content[record.offset + len(record.payload)] ^= 1
    path.write_bytes(content)
    output = run("verify", ended, code=11)
    assert output.startswith(f"damaged: {FIRST}, byte {record.offset}, frame 7:")
    assert "[Order]" in output


def test_verify_edited(ended: Path) -> None:
    path = ended / FIRST
    record = records(path)[6]
    payload = record.payload.replace(b"BTC", b"ETH")
    path.write_bytes(reframed(path, 6, payload, mend_later=False))
    output = run("verify", ended, code=12)
    assert output.startswith(f"edited: {FIRST}, byte {record.offset}, frame 7:")
    assert "[Order]" in output


def test_verify_incomplete(ended: Path) -> None:
    (ended / FIRST).unlink()
    assert "segment 000001.journal is missing" in run("verify", ended, code=13)


@pytest.mark.parametrize("command", ["verify", "show"])
def test_wrong_path(tmp_path: Path, command: str) -> None:
    assert "missing" in run(command, tmp_path / "nowhere", code=2)
    assert "neither" in run(command, tmp_path, code=2)


def test_verify_a_journal_being_written(tmp_path: Path) -> None:
    journal = start(tmp_path)
    journal.append(Note(1, "so far"))
    assert journal.flush(5.0)
    output = run("verify", journal.path)
    assert "still being written" in output
    assert "session running" in output
    journal.close()


def test_show_lines(ended: Path) -> None:
    lines = run("show", ended).splitlines()
    assert len(lines) == 30
    assert lines[0].split() == ["1", "Order", "symbol=BTCUSDT", "side=-1", "quantity=0.000"]
    assert lines[1].split()[:3] == ["2", "Note", "at_ns=1700000000000000001"]
    assert 'text="note x"' in lines[1]


def test_show_filter_and_limit(ended: Path) -> None:
    lines = run("show", ended, "--type", "order", "--limit", 3).splitlines()
    assert [line.split()[:2] for line in lines] == [["1", "Order"], ["4", "Order"], ["7", "Order"]]
    both = run("show", ended, "--type", "Order", "--type", "Note").splitlines()
    assert len(both) == 30
    assert run("show", ended, "--type", "Nothing") == ""


def test_show_json_lines(ended: Path) -> None:
    lines = [json.loads(line) for line in run("show", ended, "--json").splitlines()]
    assert [line["sequence"] for line in lines] == list(range(1, 31))
    assert lines[3] == {
        "sequence": 4,
        "type": "Order",
        "fields": {"symbol": "BTCUSDT", "side": 1, "quantity": "0.003"},
    }


def test_show_prints_what_is_whole_then_says_what_is_not(ended: Path) -> None:
    path = ended / FIRST
    path.write_bytes(path.read_bytes()[: records(path)[4].offset + 2])
    lines = run("show", ended, code=10).splitlines()
    assert len(lines) == 5
    assert lines[4].startswith("truncated:")


def test_show_never_sends_a_terminal_what_a_message_says(tmp_path: Path) -> None:
    journal: Journal = start(tmp_path)
    journal.append(Note(1, "\x1b[2Jgone\nnext line \x9b1m"))
    journal.close()
    output = run("show", journal.path)
    assert output.count("\n") == 1
    assert "\x1b" not in output
    assert "\x9b" not in output
    assert "gone" in output


def test_help_gives_an_example() -> None:
    for command in ("show", "verify"):
        assert "Example: hfengine journal" in run(command, "--help")
