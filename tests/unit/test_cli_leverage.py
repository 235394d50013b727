"""`hfengine leverage` against venues that keep, refuse and lose what they are told."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from hfengine.cli import leverage, leverage_desk
from hfengine.cli.leverage import leverage_app
from hfengine.errors import ConfigError, VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.instruments import Instrument, load_catalogue
from hfengine.requests import LeverageSetting

URL = "http://127.0.0.1:1"
PROFILE = """
extends = "base"
mode = "local"
symbols = ["BTCUSDT", "ETHUSDT", "ADAUSDT", "ZRXUSDT"]
[venue]
name = "bybit"
catalogue = "bybit"
[leverage]
wanted = 50
[protection]
stop_percent = 0.2
"""


class Account:
    """One venue's account: what it holds per symbol, and how it answers."""

    def __init__(self, name: str, count: int = 0) -> None:
        catalogue = load_catalogue(name)
        self.listed: dict[str, Instrument] = {one.symbol: one for one in catalogue.instruments}
        some = catalogue.instruments[0]
        for number in range(count):
            symbol = f"X{number:03d}USDT"
            self.listed[symbol] = replace(some, symbol=symbol)
        self.held = dict.fromkeys(self.listed, (50, "isolated"))
        self.keeps: set[str] = set()
        self.refuses: set[str] = set()
        self.loses_answers: set[str] = set()
        self.unreadable: set[str] = set()
        self.refusal: Exception | None = None
        self.options: Mapping[str, Any] = {}
        self.told: list[tuple[str, str, Any]] = []
        self.in_flight = self.in_flight_max = 0
        self.closed = False


class FakeVenue:
    """The part of a live venue that leverage is read and set by."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.instruments: dict[str, Instrument] = {}

    async def prepare(self) -> None:
        account = self._account
        if account.refusal:
            raise account.refusal
        wanted = account.options["symbols"]
        missing = [symbol for symbol in wanted if symbol not in account.listed]
        if missing:
            raise VenueRejected("unknown_symbol", f"does not list {missing[0]}")
        self.instruments = {symbol: account.listed[symbol] for symbol in wanted}

    async def all_instruments(self) -> dict[str, Instrument]:
        return dict(self._account.listed)

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        account = self._account
        account.in_flight += 1
        account.in_flight_max = max(account.in_flight_max, account.in_flight)
        await asyncio.sleep(0)
        account.in_flight -= 1
        if symbol in account.unreadable or symbol not in account.held:
            raise VenueUnavailable(f"no answer about {symbol}")
        held, mode = account.held[symbol]
        return LeverageSetting(symbol=symbol, leverage=held, margin_mode=mode)

    async def set_leverage(self, symbol: str, wanted: int) -> None:
        self._change("leverage", symbol, wanted)
        if symbol not in self._account.keeps:
            self._account.held[symbol] = (wanted, self._account.held[symbol][1])
        if symbol in self._account.loses_answers:
            raise VenueUnknown("the answer was lost")

    async def set_margin_mode(self, symbol: str, mode: str) -> None:
        self._change("margin_mode", symbol, mode)
        # as on Binance: another margin mode, another leverage
        self._account.held[symbol] = (20, mode)

    def _change(self, what: str, symbol: str, wanted: object) -> None:
        self._account.told.append((what, symbol, wanted))
        if symbol in self._account.refuses:
            raise VenueRejected("leverage_refused", "the position is too large")

    async def close(self) -> None:
        self._account.closed = True


@pytest.fixture
def accounts(tmp_path, monkeypatch):
    """Return the accounts by venue; `leverage` reaches them instead of real venues."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.toml").write_text(PROFILE)
    made = {name: Account(name) for name in ("bybit", "binance")}

    def opened(name: str, **options: Any) -> FakeVenue:
        made[name].options = options
        return FakeVenue(made[name])

    monkeypatch.setattr(leverage_desk, "opened", opened)
    return made


def run(*words: str, **environment: str):
    command = [words[0], "--profile", "x.toml", "--venue-url", URL, *words[1:]]
    return CliRunner().invoke(leverage_app, command, env=environment)


def json_of(*words: str, exit_code: int, **environment: str) -> dict[str, Any]:
    result = run(*words, "--json", **environment)
    assert result.exit_code == exit_code, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 1
    return json.loads(lines[0])


def by_symbol(report: Mapping[str, Any], key: str = "status") -> dict[str, Any]:
    return {row["symbol"]: row[key] for row in report["rows"]}


def test_a_clean_account_is_exit_code_0(accounts):
    accounts["bybit"].held["ZRXUSDT"] = (12, "isolated")
    report = json_of("audit", exit_code=0, HFENGINE_LEVERAGE__OVERRIDES__ZRXUSDT="12")
    assert list(report) == ["rows", "mismatches", "summary"]
    assert report["mismatches"] == 0
    assert report["summary"] == {"min": 12, "max": 50, "average": (3 * 50 + 12) / 4}
    assert by_symbol(report, "liquidation_distance")["BTCUSDT"] == pytest.approx(0.0149, abs=1e-4)
    assert by_symbol(report, "max_notional_usdt")["BTCUSDT"] == 4_000_000
    assert accounts["bybit"].closed
    assert accounts["bybit"].told == []


def test_planted_mismatches_are_each_named(accounts):
    account = accounts["bybit"]
    account.held["BTCUSDT"] = (20, "isolated")
    account.held["ETHUSDT"] = (50, "cross")
    account.held["ADAUSDT"] = (1, "cross")
    report = json_of("audit", exit_code=1)
    assert by_symbol(report) == {
        "ADAUSDT": "leverage_and_margin_mode",
        "BTCUSDT": "leverage",
        "ETHUSDT": "margin_mode",
        "ZRXUSDT": "above_maximum",
    }
    assert by_symbol(report, "actual") == {
        "ADAUSDT": 1, "BTCUSDT": 20, "ETHUSDT": 50, "ZRXUSDT": 50
    }  # fmt: skip
    assert report["mismatches"] == 4
    assert account.told == []


def test_an_audit_changes_no_modes_and_asks_with_the_local_key(accounts):
    run("audit")
    options = accounts["bybit"].options
    assert options["settings"].set_modes is False
    assert (options["url"], options["mode"]) == (URL, "local")
    assert options["keys"].key == "k-test"
    assert options["symbols"] == ("BTCUSDT", "ETHUSDT", "ADAUSDT", "ZRXUSDT")
    assert options["margin_mode"] == "isolated"


def test_a_symbol_that_cannot_be_read_is_a_failure_with_its_reason(accounts):
    accounts["bybit"].unreadable.add("ETHUSDT")
    result = run("audit", "--json", HFENGINE_SYMBOLS="BTCUSDT,ETHUSDT")
    assert result.exit_code == 1
    assert by_symbol(json.loads(result.stdout)) == {"BTCUSDT": "ok", "ETHUSDT": "unreadable"}
    assert "warning: ETHUSDT on bybit: no answer about ETHUSDT" in result.stderr


def test_a_symbol_the_venue_does_not_list_spoils_only_itself(accounts):
    del accounts["bybit"].listed["ETHUSDT"], accounts["bybit"].held["ETHUSDT"]
    result = run("audit", "--json", HFENGINE_SYMBOLS="BTCUSDT,ETHUSDT")
    assert by_symbol(json.loads(result.stdout)) == {"BTCUSDT": "ok", "ETHUSDT": "unreadable"}
    assert "does not list ETHUSDT" in result.stderr


@pytest.mark.parametrize(
    "error", [VenueRejected("bad_key", "the key is wrong"), VenueUnavailable("nobody is there")]
)
def test_a_venue_that_cannot_be_asked_at_all_ends_the_command(accounts, error):
    accounts["bybit"].refusal = error
    result = run("audit")
    assert result.exception is error
    assert accounts["bybit"].closed


def test_all_symbols_are_those_of_the_venue_at_the_leverage_each_is_wanted_at(accounts):
    accounts["bybit"].held["SOLUSDT"] = (7, "isolated")
    given = {"HFENGINE_LEVERAGE__OVERRIDES__SOLUSDT": "7", "HFENGINE_SYMBOLS": "BTCUSDT"}
    report = json_of("audit", "--all-symbols", exit_code=1, **given)
    assert by_symbol(report) == {
        "ADAUSDT": "ok",
        "BTCUSDT": "ok",
        "ETHUSDT": "ok",
        "SOLUSDT": "ok",
        "ZRXUSDT": "above_maximum",
    }


def test_many_symbols_are_read_side_by_side_but_not_all_at_once(accounts):
    accounts["bybit"] = Account("bybit", count=250)
    report = json_of("audit", "--all-symbols", exit_code=1)
    assert len(report["rows"]) == 255
    assert accounts["bybit"].in_flight_max == leverage_desk.IN_FLIGHT_MAX == 16


def test_several_venues_are_audited_together(accounts, tmp_path):
    text = PROFILE.replace('catalogue = "bybit"', 'catalogue = "bybit"\nalso = ["binance"]')
    (tmp_path / "x.toml").write_text(text)
    accounts["binance"].held["BTCUSDT"] = (20, "isolated")
    command = ["audit", "--profile", "x.toml", "--json", "--venue-url"]
    environment = {
        "HFENGINE_SYMBOLS": "BTCUSDT@bybit,BTCUSDT@binance",
        "HFENGINE_LEVERAGE__WANTED": "50",
    }
    urls = "bybit=http://h:1,binance=http://h:2"
    result = CliRunner().invoke(leverage_app, [*command, urls], env=environment)
    rows = json.loads(result.stdout)["rows"]
    assert [(row["exchange"], row["symbol"], row["status"]) for row in rows] == [
        ("binance", "BTCUSDT", "leverage"),
        ("bybit", "BTCUSDT", "ok"),
    ]
    assert accounts["binance"].options["url"] == "http://h:2"


def test_the_table_names_what_is_wrong(accounts):
    accounts["bybit"].held["BTCUSDT"] = (20, "cross")
    result = run("audit")
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if "BTCUSDT" in line]
    for part in ("50x", "20x", "cross", "100x", "4,000,000", "1.493%", "leverage and margin mode"):
        assert part in line
    assert "4 symbols, 2 mismatches; leverage 20x to 50x, average 42.5x" in result.stdout


@pytest.mark.parametrize("verb", ["audit", "set"])
def test_paper_has_no_leverage_to_audit_or_set(accounts, verb):
    del accounts
    result = CliRunner().invoke(leverage_app, [verb, "--profile", "paper"])
    assert isinstance(result.exception, ConfigError)
    assert result.exception.exit_code == 2
    assert f"there is no leverage to {verb} in profile paper" in str(result.exception)


# set


def test_set_changes_what_differs_and_reads_it_back(accounts):
    account = accounts["bybit"]
    account.held["BTCUSDT"] = (20, "isolated")
    account.held["ETHUSDT"] = (50, "cross")
    report = json_of("set", exit_code=0, HFENGINE_SYMBOLS="BTCUSDT,ETHUSDT,ADAUSDT")
    assert by_symbol(report) == {"ADAUSDT": "unchanged", "BTCUSDT": "set", "ETHUSDT": "set"}
    assert by_symbol(report, "before") == {"ADAUSDT": 50, "BTCUSDT": 20, "ETHUSDT": 50}
    assert by_symbol(report, "after") == {"ADAUSDT": 50, "BTCUSDT": 50, "ETHUSDT": 50}
    assert sorted(account.told) == [
        ("leverage", "BTCUSDT", 50),
        ("leverage", "ETHUSDT", 50),
        ("margin_mode", "ETHUSDT", "isolated"),
    ]
    assert account.options["settings"].set_modes is True


def test_set_is_judged_by_what_is_read_back_not_by_answers(accounts):
    account = accounts["bybit"]
    for symbol in ("BTCUSDT", "ETHUSDT", "ADAUSDT"):
        account.held[symbol] = (20, "isolated")
    account.keeps.add("BTCUSDT")
    account.loses_answers.add("ETHUSDT")
    account.refuses.add("ADAUSDT")
    report = json_of("set", exit_code=1)
    assert by_symbol(report) == {
        "ADAUSDT": "failed",
        "BTCUSDT": "not_kept",
        "ETHUSDT": "set",
        "ZRXUSDT": "above_maximum",
    }
    assert "the position is too large" in by_symbol(report, "reason")["ADAUSDT"]
    assert report["failures"] == 3
    assert all(symbol != "ZRXUSDT" for _, symbol, _ in account.told)


def test_a_dry_run_tells_and_changes_nothing(accounts):
    account = accounts["bybit"]
    account.held["BTCUSDT"] = (20, "cross")
    report = json_of("set", "--dry-run", "--symbol", "BTCUSDT", exit_code=0)
    assert report["dry_run"] is True
    assert by_symbol(report) == {"BTCUSDT": "would_set"}
    assert account.told == []
    assert account.options["settings"].set_modes is False


def test_only_the_symbols_asked_for_are_set_and_strangers_refused(accounts):
    account = accounts["bybit"]
    account.held = dict.fromkeys(account.held, (20, "isolated"))
    json_of("set", "--symbol", "ETHUSDT", "--symbol", "ETHUSDT", exit_code=0)
    assert account.told == [("leverage", "ETHUSDT", 50)]
    result = run("set", "--symbol", "DOGEUSDT")
    assert isinstance(result.exception, ConfigError)
    assert "--symbol DOGEUSDT: profile x trades BTCUSDT, ETHUSDT" in str(result.exception)


def test_real_money_above_5x_is_set_only_when_confirmed(accounts, tmp_path):
    (tmp_path / "x.toml").write_text(PROFILE.replace('"local"', '"live"'))
    accounts["bybit"].held["BTCUSDT"] = (20, "isolated")
    keys = {"BYBIT_API_KEY": "abcd1234", "BYBIT_API_SECRET": "hunter2"}
    command = ["set", "--profile", "x.toml", "--symbol", "BTCUSDT"]

    def invoke(*words: str):
        return CliRunner().invoke(leverage_app, [*command, *words], env=keys)

    refused = invoke()
    assert isinstance(refused.exception, ConfigError)
    assert str(refused.exception).endswith('add --confirm "bybit:1234 50x 500USDT"')
    assert accounts["bybit"].told == []
    assert invoke("--dry-run").exit_code == 0
    assert accounts["bybit"].told == []
    done = invoke("--confirm", "bybit:1234 50x 500USDT")
    assert done.exit_code == 0
    assert accounts["bybit"].told == [("leverage", "BTCUSDT", 50)]
    assert "hunter2" not in done.output + str(refused.exception)
    assert accounts["bybit"].options["keys"].secret == "hunter2"


def test_missing_keys_are_a_usage_error_before_anything_is_opened(accounts, tmp_path):
    (tmp_path / "x.toml").write_text(PROFILE.replace('"local"', '"demo"'))
    result = CliRunner().invoke(leverage_app, ["audit", "--profile", "x.toml"])
    assert isinstance(result.exception, ConfigError)
    assert "BYBIT_DEMO_API_KEY and BYBIT_DEMO_API_SECRET not set" in str(result.exception)
    assert accounts["bybit"].options == {}


# scan


def test_scan_reads_the_venues_own_tables(accounts):
    accounts["bybit"].listed.pop("ETHUSDT")
    report = json_of("scan", "--min", "75", exit_code=0)
    assert [(row["symbol"], row["max_notional_usdt"]) for row in report["rows"]] == [
        ("BTCUSDT", 2_000_000),
        ("ADAUSDT", 200_000),
        ("SOLUSDT", 200_000),
    ]
    assert report["summary"] == {"symbols": 4, "offering": 3}


def test_scan_on_paper_reads_the_catalogue_and_says_so(accounts):
    del accounts
    result = CliRunner().invoke(leverage_app, ["scan", "--min", "100"])
    assert result.exit_code == 0
    assert "3 of 5 symbols offer 100x" in result.stdout
    assert "note: from the catalogue of 2024-10-24" in result.stderr


# progress


class Terminal:
    """A standard error that is a terminal and keeps what is written."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.written = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.written += text
        return len(text)

    def flush(self) -> None:
        pass


def test_a_terminal_sees_a_bar_that_counts(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(leverage.sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with leverage._progress("reading leverage") as progress:
        progress.total(3)
        progress.advance()
        progress.advance()
        progress.trouble("bybit", "BTCUSDT", "no answer")
    assert "2/3" in terminal.written
    assert "warning: BTCUSDT on bybit: no answer" in terminal.written
