"""`hfengine venue` as a process: ready, looked at, killed, brought back, ended."""

import json
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from hfengine.cli.main import app
from hfengine.errors import HfengineError

VENUE = [sys.executable, "-m", "hfengine.cli.main", "venue"]
STILL = ["--dialect", "bybit", "--port", "0", "--feed", "still"]


def call(url, body=None, method=None):
    encoded = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=encoded, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())


@contextmanager
def running(*options):
    """Run a venue with --json; yield the process and its ready line."""
    with subprocess.Popen(
        [*VENUE, *STILL, "--json", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read().decode()
            yield process, json.loads(line)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_venue_is_ready_answers_and_ends_with_exit_code_0(number):
    options = ["--listings", "2", "--symbols", "BTCUSDT", "--account", "second:k2:s2"]
    with running(*options) as (process, ready):
        http = ready["http"]
        assert ready["ready"] is True
        assert ready["dialect"] == "bybit"
        assert ready["ws"] == http.replace("http://", "ws://")
        assert http.startswith("http://127.0.0.1:")
        assert ready["pid"] == process.pid
        assert ready["keys"] == [
            {"account": "main", "key": "k-test"},
            {"account": "second", "key": "k2"},
        ]
        assert ready["symbols"] == ["BTCUSDT", "X001USDT", "X002USDT"]
        assert "{http}" not in json.dumps(ready)
        status = call(f"{http}/admin/status")
        assert (status["dialect"], status["feed"]) == ("bybit", "still")
        rule = {"kind": "rate_limited", "count": None, "path": "/v5/order"}
        assert call(f"{http}/admin/faults", rule) == {"faults": [rule]}
        assert call(f"{http}/admin/faults", method="DELETE") == {"removed": 1}
        assert call(f"{http}/admin/do", {"do": "move", "symbol": "BTCUSDT", "ticks": 3})
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (0, b"", b"")


def test_accounts_survive_a_kill(tmp_path):
    state = str(tmp_path / "venue.db")
    new = {"account": "late", "key": "k9", "secret": "s9", "wallet_usdt": "77.5"}
    with running("--state", state) as (process, ready):
        call(f"{ready['http']}/admin/accounts", new)
        process.kill()
        process.wait()
    with running("--state", state, "--wallet-usdt", "5") as (_, ready):
        accounts = call(f"{ready['http']}/admin/accounts")
        wallets = {name: Decimal(one["balance"]["wallet_usdt"]) for name, one in accounts.items()}
        assert wallets == {"main": 10_000, "late": Decimal("77.5")}
        assert accounts["late"]["keys"] == ["k9"]


def test_the_ready_message_says_how_to_connect_and_no_secret():
    with subprocess.Popen(
        [*VENUE, *STILL, "--secret", "very-secret"], stdout=subprocess.PIPE
    ) as process:
        first = process.stdout.readline().decode()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().decode()
    assert process.returncode == 0
    assert first.startswith("A local bybit venue serves on http://127.0.0.1:")
    address = first.split("http://")[1].split()[0]
    assert "exchange = ccxt.bybit(" in rest
    assert f"'http://{address}'" in rest
    assert "very-secret" not in rest


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--dialect", "mtgox", "--port", "0"], 2, "'mtgox' is none of bybit, binance, bitget"),
        (["--dialect", "bybit", "--port", "70000"], 2, "--port 70000"),
        ([*STILL, "--feed", "dreams"], 2, "'dreams' is none of still, synthetic"),
        ([*STILL, "--symbols", "NOPEUSDT"], 2, "no NOPEUSDT in the bybit catalogue"),
        ([*STILL, "--speed", "max"], 2, "--speed max"),
        ([*STILL, "--speed", "fast"], 2, "--speed 'fast'"),
        ([*STILL, "--wallet-usdt", "lots"], 2, "--wallet-usdt 'lots'"),
        ([*STILL, "--account", "second:hush"], 2, "--account 'second'"),
        ([*STILL, "--account", "a:k-test:s"], 2, "key 'k-test'"),
        ([*STILL, "--listings", "1000"], 2, "not 1000"),
        ([*STILL, "--state", "/nowhere/at/all.db"], 2, "--state /nowhere/at/all.db"),
        ([*STILL, "--feed", "replay:/nowhere/at/all.gz"], 5, "/nowhere/at/all.gz"),
    ],
)
def test_wrong_options_end_in_one_sentence(options, code, words):
    ended = CliRunner().invoke(app, ["venue", *options])
    assert isinstance(ended.exception, HfengineError), ended.exception
    assert ended.exception.exit_code == code
    assert words in str(ended.exception)
    assert "hush" not in str(ended.exception)
    assert ended.output == ""


def test_an_error_of_a_process_is_one_line_and_its_exit_code():
    ended = subprocess.run(
        [*VENUE, *STILL, "--feed", "dreams"],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("hfengine: --feed: 'dreams'")
    assert ended.stderr.count("\n") == 1
