"""`hfengine run` as a user meets it: summaries, exit codes, interrupts, damaged recordings."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hfengine.config import load
from hfengine.journal.reader import verify
from tests.invariants import check_all, records
from tests.recordings import is_diff, is_trade, lines, nth, write
from tests.shared import RECORDINGS, needs_shared

COMMAND = [sys.executable, "-W", "error", "-m", "hfengine.cli.main"]
KEYS = {
    "state",
    "flat",
    "frames",
    "frames_per_s",
    "book_checks",
    "signals",
    "entries",
    "refusals",
    "leverage_proofs",
    "brackets",
    "fills",
    "rebalances",
    "uncovered_max_ms",
    "gross_usdt",
    "fees_usdt",
    "funding_usdt",
    "net_usdt",
    "ledger_difference_usdt",
    "journal",
    "latency_ns",
}


def environment(folder: Path) -> dict[str, str]:
    root = Path(__file__).parents[2]
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(root),
        "HFENGINE_JOURNAL__DIRECTORY": str(folder / "journals"),
    }


def hfengine(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment(folder),
        cwd=folder,
        check=False,
    )


def summary_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1], parse_float=Decimal)
    return found


def replay(folder: Path, rows: list[bytes], *more: str) -> dict[str, Any]:
    path = write(folder / "btcusdt.gz", rows)
    return summary_of(
        hfengine(folder, "run", "--replay", str(path), "--speed", "max", "--json", *more)
    )


def test_the_summary_has_every_promised_key_and_adds_up(tmp_path: Path) -> None:
    done = hfengine(tmp_path, "run", "--speed", "max", "--duration", "60s", "--json")
    summary = summary_of(done)
    assert set(summary) >= KEYS
    assert len(done.stdout.splitlines()) == 1
    assert summary["flat"] is True
    assert summary["state"] == "ended"
    assert summary["ledger_difference_usdt"] == 0
    net = summary["gross_usdt"] - summary["fees_usdt"] - summary["funding_usdt"]
    assert summary["net_usdt"] == net
    assert set(summary["book_checks"]) == {"matched", "mismatched"}
    for quantiles in summary["latency_ns"].values():
        assert quantiles["p50"] <= quantiles["p99"] <= quantiles["p999"]
    verdict = verify(tmp_path / summary["journal"]["path"])
    assert verdict.code == 0
    assert verdict.hash == summary["journal"]["hash"]


def test_no_speed_changes_a_byte(tmp_path: Path) -> None:
    """The whole program, its control server included: what runs beside must cost no time."""
    hashes = {
        speed: summary_of(
            hfengine(tmp_path, "run", "--speed", speed, "--duration", "2s", "--json")
        )["journal"]["hash"]
        for speed in ("1x", "10x", "max")
    }
    assert len(set(hashes.values())) == 1, hashes


def test_plain_output_tells_decisions_and_the_reported_fee_gate(tmp_path: Path) -> None:
    done = hfengine(tmp_path, "run", "--speed", "max", "--duration", "60s")
    assert done.returncode == 0
    assert "leverage 50x isolated (set and read)" in done.stdout
    assert 'fee gate            "report"' in done.stdout
    assert "yes, read back from the venue" in done.stdout
    assert "\x1b[" not in done.stdout


def test_an_interrupt_ends_flat_with_exit_code_zero(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", "--speed", "1x", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
        cwd=tmp_path,
    )
    manifest = tmp_path / "journals"
    deadline = time.monotonic() + 60.0
    while not list(manifest.glob("*/manifest.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    summary = json.loads(out.splitlines()[-1])
    assert (summary["flat"], summary["reason"]) == (True, "interrupted")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--profile", "nowhere"], 2, "nowhere"),
        (["--duration", "soon"], 2, "500ms, 30s, 2m or 1h"),
        (["--speed", "fast"], 2, "use max, 1x or 10x"),
        (["--speed", "max"], 2, "needs --duration"),
        (["--replay", "missing.gz"], 5, "missing.gz"),
        (["--replay", "."], 5, "is a"),
    ],
)
def test_a_mistake_is_one_sentence_and_its_exit_code(
    tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    done = hfengine(tmp_path, "run", *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_interrupt_gives_up_and_says_so(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "async def never(*_):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    await __import__('asyncio').get_running_loop().create_future()\n"
        "sys.argv = ['hfengine', 'run', '--speed', 'max', '--duration', '5s', '--json']\n"
        "from hfengine import engine\n"
        "old = engine.Engine._drain\n"
        "async def drain(self, reason):\n"
        "    self._interrupt(signal.SIGINT)\n"
        "    return await old(self, reason)\n"
        "engine.Engine._drain = drain\n"
        "engine.Engine._flat = never\n"
        "from hfengine.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(tmp_path),
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.splitlines()[-1].startswith("hfengine: interrupted twice")
    assert "Traceback" not in done.stderr
    (journal,) = (tmp_path / "journals").iterdir()
    assert verify(journal).state == "crashed"


def test_an_output_that_takes_nothing_is_one_sentence(tmp_path: Path) -> None:
    command = " ".join([*COMMAND, "run", "--speed", "max", "--duration", "2s"])
    for redirect in (">/dev/full", ">&-"):
        done = subprocess.run(
            ["sh", "-c", f"{command} {redirect}"],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(tmp_path),
            cwd=tmp_path,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode in (0, 1)


def test_plain_lines_tell_the_end_too(tmp_path: Path) -> None:
    done = hfengine(tmp_path, "run", "--speed", "max", "--duration", "12s")
    assert "engine draining: the duration is over" in done.stdout
    assert "flatten: flat" in done.stdout


def test_recordings_of_nothing_that_is_traded_are_refused(tmp_path: Path) -> None:
    rows = [row.replace(b"BTCUSDT", b"XRPUSDT") for row in lines(seconds=2.0)]
    path = write(tmp_path / "xrp.gz", rows)
    done = hfengine(tmp_path, "run", "--replay", str(path))
    assert done.returncode == 5
    assert "the recordings hold XRPUSDT and the profile trades BTCUSDT, ETHUSDT" in done.stderr


def test_a_recording_that_never_makes_a_book_is_no_success(tmp_path: Path) -> None:
    rows = [row for row in lines(seconds=2.0) if b"lastUpdateId" not in row]
    path = write(tmp_path / "btcusdt.gz", rows)
    done = hfengine(tmp_path, "run", "--replay", str(path), "--json")
    assert done.returncode == 5
    assert json.loads(done.stdout.splitlines()[-1])["flat"] is True


def test_a_book_that_the_recorded_quotes_contradict_is_dropped(tmp_path: Path) -> None:
    rows = lines()
    at = nth(rows, is_diff, 100)
    head, tail = rows[at].split(b'"b":[', 1)
    bids, asks = tail.split(b'],"a":[', 1)
    wrong = re.sub(rb'","[^"]+"\]', b'","7.770"]', bids)
    rows[at] = head + b'"b":[' + wrong + b'],"a":[' + asks
    summary = replay(tmp_path, rows)
    assert summary["book_checks"]["mismatched"] >= 1
    assert summary["feed_faults"]["quote_mismatch"] >= 1
    assert summary["flat"] is True


def test_times_leaping_by_one_bit_do_not_hold_up_the_run(tmp_path: Path) -> None:
    rows = lines()
    for at in (nth(rows, is_trade, 100), nth(rows, is_trade, 101)):
        stamp, frame = rows[at].split(b" ", 1)
        rows[at] = b"%d %s" % (int(stamp) + (1 << 56), frame)
    summary = faults_with(tmp_path, rows)
    assert summary["feed_faults"]["bad_time"] == 2
    assert summary["engine_s"] < 60


def test_a_whole_recording_replays_without_a_fault(tmp_path: Path) -> None:
    rows = lines()
    summary = replay(tmp_path, rows)
    assert summary["frames"] == len(rows)
    assert summary["feed_faults"] == {}
    assert summary["book_checks"]["mismatched"] == 0
    assert summary["book_checks"]["matched"] > 300


def faults_with(tmp_path: Path, rows: list[bytes]) -> dict[str, Any]:
    summary = replay(tmp_path, rows)
    assert summary["flat"] is True
    assert summary["actor_deaths"] == 0
    assert summary["book_checks"]["mismatched"] == 0, "never a wrong book"
    return summary


def test_a_sequence_gap_blocks_entries_for_good_without_a_later_snapshot(tmp_path: Path) -> None:
    rows = lines()
    whole = replay(tmp_path, rows)["book_checks"]["matched"]
    at = nth(rows, is_diff, 100)
    summary = faults_with(tmp_path, rows[:at] + rows[at + 1 :])
    assert summary["feed_faults"]["gap"] >= 1
    assert any(line.startswith("btcusdt.gz:") and "gap" in line for line in summary["fault_lines"])
    assert summary["book_checks"]["matched"] < whole


def test_bad_json_in_a_trade_is_resolved_by_a_snapshot(tmp_path: Path) -> None:
    rows = lines()
    at = nth(rows, is_trade, 100)
    rows[at] = rows[at].replace(b'"p":', b'"p"', 1)
    summary = faults_with(tmp_path, rows)
    assert summary["feed_faults"] == {"malformed": 1}
    assert f"btcusdt.gz:{at + 1}: malformed" in summary["fault_lines"][0]
    assert summary["book_checks"]["matched"] > 300, "the book came back"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b'"q":"', b'"q":"-', "bad_number"),
        (b'"e":"trade"', b'"e":"orderbook.50"', "foreign"),
        (b'"s":"BTCUSDT"', b'"s":"XRPUSDT"', "wrong_symbol"),
    ],
)
def test_a_wrong_trade_frame_is_named_and_located(
    tmp_path: Path, old: bytes, new: bytes, fault: str
) -> None:
    rows = lines()
    at = nth(rows, is_trade, 100)
    rows[at] = rows[at].replace(old, new, 1)
    summary = faults_with(tmp_path, rows)
    assert summary["feed_faults"] == {fault: 1}
    assert f"btcusdt.gz:{at + 1}: {fault}" in summary["fault_lines"][0]


def test_a_negative_quantity_in_a_diff_never_reaches_the_book(tmp_path: Path) -> None:
    rows = lines()
    at = nth(rows, is_diff, 100)
    head, tail = rows[at].split(b'"b":[["', 1)
    price, rest = tail.split(b'","', 1)
    rows[at] = head + b'"b":[["' + price + b'","-' + rest
    summary = faults_with(tmp_path, rows)
    assert summary["feed_faults"]["bad_number"] == 1
    assert f"btcusdt.gz:{at + 1}: bad_number" in summary["fault_lines"][0]


def test_time_running_backwards_and_a_cut_line_are_located(tmp_path: Path) -> None:
    rows = lines()
    at = nth(rows, is_trade, 100)
    stamp, frame = rows[at].split(b" ", 1)
    rows[at] = b"%d %s" % (int(stamp) - 5_000_000_000, frame)
    cut = nth(rows, is_trade, 150)
    rows[cut] = rows[cut][:60]
    summary = faults_with(tmp_path, rows)
    assert summary["feed_faults"] == {"time_backwards": 1, "cut_line": 1}
    assert f"btcusdt.gz:{at + 1}: time_backwards" in summary["fault_lines"][0]
    assert f"btcusdt.gz:{cut + 1}: cut_line" in summary["fault_lines"][1]


def test_a_damaged_gzip_is_reported_and_the_run_ends_flat(tmp_path: Path) -> None:
    path = write(tmp_path / "btcusdt.gz", lines())
    packed = bytearray(path.read_bytes())
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)
    done = hfengine(tmp_path, "run", "--replay", str(path), "--speed", "max", "--json")
    summary = summary_of(done)
    assert summary["feed_faults"]["gzip_damaged"] == 1
    assert summary["flat"] is True
    assert summary["book_checks"]["mismatched"] == 0


@needs_shared
def test_the_real_recordings_open_and_close_proved_brackets_at_fifty_times(tmp_path: Path) -> None:
    usdm = RECORDINGS / "binance-usdm"
    files = [usdm / "btcusdt_20240808.gz", usdm / "ethusdt_20240808.gz"]
    arguments = ["run", "--profile", "paper", "--speed", "max", "--json"]
    for path in files:
        arguments += ["--replay", str(path)]
    first = summary_of(hfengine(tmp_path, *arguments))
    assert first["flat"] is True
    assert first["frames"] == 168_609
    assert first["book_checks"] == {"matched": 6545 + 6579, "mismatched": 0}
    assert first["brackets"] >= 1
    assert first["fills"] >= 2
    assert first["leverage"] == {"BTCUSDT": 50, "ETHUSDT": 50}
    assert first["leverage_proofs"] >= 2
    assert first["ledger_difference_usdt"] == 0
    profile = load("paper", environment={}, dotenv=None, overrides={})
    check_all(records(tmp_path / first["journal"]["path"]), profile.settings)
    again = summary_of(hfengine(tmp_path, *arguments))
    other = summary_of(hfengine(tmp_path, *arguments, "--seed", "2"))
    assert again["journal"]["hash"] == first["journal"]["hash"]
    assert other["journal"]["hash"] != first["journal"]["hash"]


@needs_shared
def test_each_book_alone_equals_its_recorded_quotes(tmp_path: Path) -> None:
    for name, matched in (("btcusdt", 6545), ("ethusdt", 6579)):
        path = RECORDINGS / "binance-usdm" / f"{name}_20240808.gz"
        done = hfengine(tmp_path, "run", "--replay", str(path), "--speed", "max", "--json")
        assert summary_of(done)["book_checks"] == {"matched": matched, "mismatched": 0}
