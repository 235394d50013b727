"""`hfengine leverage` over real ccxt, against local venues with planted mismatches."""

import json
import subprocess
import sys
import urllib.request

import pytest

from hfengine.cli.local_process import local_venue

COMMAND = [sys.executable, "-m", "hfengine.cli.main", "leverage"]
SYMBOLS = "BTCUSDT,ETHUSDT,SOLUSDT,ADAUSDT,X001USDT,X003USDT"
"""X003USDT is invented with at most 25x."""
WANTED = {"HFENGINE_SYMBOLS": SYMBOLS, "HFENGINE_LEVERAGE__WANTED": "50"}


@pytest.fixture(params=["bybit", "binance", "bitget"])
def venue(request):
    """Run a local venue; return (dialect, address)."""
    options = ["--dialect", request.param, "--port", "0", "--feed", "still", "--listings", "3"]
    with local_venue([*options, "--json"]) as url:
        yield request.param, url


def do(url: str, name: str, **arguments: object) -> None:
    """Have the operator of the venue do something."""
    body = json.dumps({"do": name, **arguments}).encode()
    with urllib.request.urlopen(f"{url}/admin/do", data=body, timeout=5) as answer:
        assert answer.status == 200


def leverage(verb: str, dialect: str, url: str, *words: str):
    command = [*COMMAND, verb, "--profile", f"{dialect}-local", "--venue-url", url, *words]
    done = subprocess.run(
        [*command, "--json"], env=WANTED, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    return done.returncode, {row["symbol"]: row["status"] for row in report["rows"]}, report


def test_what_is_set_is_proved_and_what_somebody_changed_is_found(venue):
    dialect, url = venue
    code, done, _ = leverage("set", dialect, url)
    assert code == 1
    assert done.pop("X003USDT") == "above_maximum"
    assert set(done.values()) == {"set"}

    slot = "long" if dialect == "bitget" else "net"
    do(url, "leverage", symbol="BTCUSDT", leverage=20, slot=slot)
    do(url, "leverage", symbol="ETHUSDT", leverage=10, slot=slot)
    do(url, "leverage", symbol="SOLUSDT", leverage=1, slot=slot)
    expected = {
        "BTCUSDT": "leverage",
        "ETHUSDT": "leverage",
        "SOLUSDT": "leverage",
        "ADAUSDT": "ok",
        "X001USDT": "ok",
        "X003USDT": "above_maximum",
    }
    if dialect != "bybit":
        # a unified account of Bybit has one margin mode for all symbols
        do(url, "margin_mode", symbol="ADAUSDT", mode="cross")
        expected["ADAUSDT"] = "margin_mode"
    code, found, report = leverage("audit", dialect, url)
    assert code == 1
    assert found == expected
    assert report["mismatches"] == sum(status != "ok" for status in expected.values())
