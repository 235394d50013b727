"""`hfengine doctor` over real ccxt, against local venues with planted troubles."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hfengine.cli import main as command_line
from hfengine.config import load
from hfengine.credentials import LOCAL_KEYS
from hfengine.doctor import account
from hfengine.recovery import account_id
from hfengine.state.lock import Facts, InstanceLock
from tests.venue_processes import VenueProcess, venue_process

SECRET = "s-test"
Examined = Callable[..., tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Examined:
    """Return what runs the doctor: exit code, and findings by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(account, "STREAM_MAX_S", 3.0)

    def run(*words: str) -> tuple[int, dict[str, dict[str, str]]]:
        monkeypatch.setattr(sys, "argv", ["hfengine", "doctor", *words, "--json"])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert SECRET not in out + err
        told: dict[str, Any] = json.loads(out) if out else {"findings": []}
        return int(ended.value.code or 0), {one["name"]: one for one in told["findings"]}

    return run


@pytest.fixture(scope="module")
def bybit() -> Iterator[VenueProcess]:
    with venue_process("bybit", "--feed", "still") as venue:
        yield venue


def failed(findings: dict[str, dict[str, str]]) -> set[str]:
    return {name for name, one in findings.items() if one["status"] == "fail"}


def test_a_local_bybit_passes_every_check_by_name(bybit: VenueProcess, examined: Examined) -> None:
    code, found = examined("--profile", "bybit-local", "--venue-url", bybit.http)
    assert code == 0
    assert failed(found) == set()
    for name in (
        "python",
        "build",
        "journal disk",
        "state disk",
        "state store",
        "instance lock",
        "venue bybit",
        "clock bybit",
        "keys bybit",
        "symbols bybit",
        "withdrawal",
        "trading right",
        "modes bybit",
        "account stream bybit",
        "market stream bybit",
        *(f"{what} {s}" for what in ("tiers", "minimum") for s in ("BTCUSDT", "ETHUSDT")),
    ):
        assert found[name]["status"] == "ok", found[name]
    # nothing was set: a doctor looks
    assert found["leverage BTCUSDT"]["status"] == "warn"
    assert "20x cross, wanted 50x isolated" in found["leverage BTCUSDT"]["found"]
    assert not (Path("state")).exists()


def test_leverage_that_is_not_to_be_set_by_a_run_fails(
    bybit: VenueProcess, examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFENGINE_LEVERAGE__AUTO_SET", "false")
    code, found = examined("--profile", "bybit-local", "--venue-url", bybit.http)
    assert code == 1
    assert failed(found) == {"leverage BTCUSDT", "leverage ETHUSDT"}
    assert "hfengine leverage set" in found["leverage BTCUSDT"]["advice"]


def test_a_clock_that_is_wrong_is_found(bybit: VenueProcess, examined: Examined) -> None:
    bybit.do("clock_skew", ms=-700)
    try:
        code, found = examined("--profile", "bybit-local", "--venue-url", bybit.http)
    finally:
        bybit.do("clock_skew", ms=0)
    assert code == 1
    assert failed(found) == {"clock bybit"}
    assert found["clock bybit"]["found"].startswith(("-69", "-70"))


def test_a_key_the_venue_does_not_know_is_found_and_not_shown(
    bybit: VenueProcess, examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BYBIT_LOCAL_API_KEY", "k-wrong")
    monkeypatch.setenv("BYBIT_LOCAL_API_SECRET", SECRET)
    code, found = examined("--profile", "bybit-local", "--venue-url", bybit.http)
    assert code == 1
    assert failed(found) == {"keys bybit"}
    assert "bad_key" in found["keys bybit"]["found"]


def test_a_symbol_the_venue_does_not_list_is_found(
    bybit: VenueProcess, examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFENGINE_SYMBOLS", "BTCUSDT,NOSUCHUSDT")
    code, found = examined("--profile", "bybit-local", "--venue-url", bybit.http)
    assert code == 1
    assert "symbols bybit" in failed(found)
    assert "NOSUCHUSDT" in found["symbols bybit"]["found"]
    assert found["tiers BTCUSDT"]["status"] == "ok"


def test_an_engine_that_holds_the_account_is_named(
    bybit: VenueProcess, examined: Examined, tmp_path: Path
) -> None:
    profile = load("bybit-local", environment={}, overrides={"venue.url": bybit.http})
    name = account_id(profile.settings, {"bybit": LOCAL_KEYS})
    facts = Facts(pid=os.getpid(), profile="bybit-local", session="0123456789")
    lock = InstanceLock.take(tmp_path / "state", name, facts)
    try:
        code, found = examined("--profile", "bybit-local", "--venue-url", bybit.http)
    finally:
        lock.release()
    assert code == 0
    assert found["instance lock"]["status"] == "warn"
    assert f"process {os.getpid()}" in found["instance lock"]["found"]


@pytest.mark.parametrize("dialect", ["binance", "bitget"])
def test_other_dialects_are_examined_whole(dialect: str, examined: Examined) -> None:
    with venue_process(dialect, "--feed", "still") as venue:
        code, found = examined("--profile", f"{dialect}-local", "--venue-url", venue.http)
    assert code == 0
    assert failed(found) == set()
    assert found["withdrawal"]["status"] == "warn"
    assert "must be off" in found["withdrawal"]["advice"]
    for name in ("venue", "clock", "keys", "symbols", "account stream", "market stream"):
        assert found[f"{name} {dialect}"]["status"] == "ok", found


def test_a_venue_that_is_away_ends_the_examination_in_order(examined: Examined) -> None:
    code, found = examined("--profile", "bybit-local", "--venue-url", "http://127.0.0.1:9")
    assert code == 1
    assert failed(found) == {"venue bybit"}
    assert "clock bybit" not in found


def test_missing_keys_name_their_variables(examined: Examined) -> None:
    code, found = examined("--profile", "bybit-testnet")
    assert code == 1
    assert failed(found) == {"keys"}
    assert "BYBIT_TESTNET_API_KEY" in found["keys"]["found"]


def test_paper_needs_no_venue(examined: Examined) -> None:
    code, found = examined("--profile", "paper")
    assert code == 0
    assert found["venue"]["status"] == "ok"
    assert found["tiers BTCUSDT"]["status"] == "ok"


def test_a_profile_nobody_has_ends_with_two(examined: Examined) -> None:
    assert examined("--profile", "bybit-lokal")[0] == 2
