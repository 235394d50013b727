"""Leverage that is not what was wanted, while an engine runs: who is refused, who trades, who says.

Two runs for each exchange. `planted`: the engine may only read, another client has set 20x, 10x,
1x and cross, one symbol offers 25x only, and one more is changed while the engine runs. `kept`:
the venue answers OK and keeps what it had, and the engine is told to trade at that and warn.
"""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.invariants import of, records
from tests.venue_processes import (
    COMMAND,
    VenueProcess,
    engine_process,
    environment,
    venue_process,
)

OTHERS = {"BTCUSDT": 20, "ETHUSDT": 10, "SOLUSDT": 1}
ONE_SIDE = "BTCUSDT"
"""In hedge mode only the leverage of its long side was changed: it has none then."""
CROSS = "ADAUSDT"
SMALL = "X003USDT"
"""Invented with at most 25x."""
GOOD = "X001USDT"
CHANGED = "X002USDT"
SYMBOLS = [*OTHERS, CROSS, GOOD, CHANGED, SMALL]
LIVELY = {
    "HFENGINE_SYMBOLS": ",".join(SYMBOLS),
    "HFENGINE_LEVERAGE__WANTED": "50",
    "HFENGINE_SIGNALS__WARMUP": "30",
    "HFENGINE_SIGNALS__CONFIDENCE_MIN": "0.2",
    "HFENGINE_SIGNALS__DISAGREEMENT_MAX": "0.9",
    "HFENGINE_SIGNALS__DRIFT_MIN": "0.00001",
    "HFENGINE_SIGNALS__COOLDOWN_S": "1",
    "HFENGINE_SIZING__POSITIONS_MAX": "10",
    "HFENGINE_SIZING__SHARE_OF_EQUITY_MAX": "0.02",
    "HFENGINE_RISK__SPREAD_MAX_BPS": "50",
}
READ_ONLY = {"HFENGINE_LEVERAGE__AUTO_SET": "false"}
WARN = {"HFENGINE_LEVERAGE__ON_FAILURE": "warn"}
NOTICED_S = 10.0


@dataclass
class Told:
    """What a run said, and the symbols the venue got an order of."""

    dialect: str
    code: int
    summary: dict[str, Any]
    rows: list[dict[str, Any]]
    ordered: set[str]


def slots(dialect: str) -> tuple[str, ...]:
    return ("long", "short") if dialect == "bitget" else ("net",)


def planted_of(dialect: str) -> set[str]:
    # a unified account of Bybit has one margin mode for all symbols
    return {*OTHERS, SMALL} | (set() if dialect == "bybit" else {CROSS})


def ordered(venue: VenueProcess) -> set[str]:
    return {one["update"]["symbol"] for one in venue.orders()}


def set_all(venue: VenueProcess, dialect: str, folder: Path) -> None:
    """Set modes and leverage of all symbols as the profile wants them."""
    words = ["leverage", "set", "--profile", f"{dialect}-local", "--venue-url", venue.http]
    done = subprocess.run(
        [*COMMAND, *words, "--json"],
        env=environment(folder, LIVELY),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    report = json.loads(done.stdout)
    assert {row["symbol"] for row in report["rows"] if row["status"] != "set"} == {SMALL}


def run_planted(dialect: str, folder: Path) -> Told:
    options = ["--listings", "3", "--symbols", ",".join([*OTHERS, CROSS])]
    with venue_process(dialect, *options) as venue:
        set_all(venue, dialect, folder)
        for symbol, leverage in OTHERS.items():
            for slot in slots(dialect)[: 1 if symbol == ONE_SIDE else None]:
                venue.do("leverage", symbol=symbol, leverage=leverage, slot=slot)
        if dialect != "bybit":
            venue.do("margin_mode", symbol=CROSS, mode="cross")
        words = ["--profile", f"{dialect}-local", "--venue-url", venue.http, "--duration", "90s"]
        with engine_process(folder, words, LIVELY | READ_ONLY) as engine:
            engine.until(lambda: GOOD in ordered(venue), "an order")
            for slot in slots(dialect):
                venue.do("leverage", symbol=CHANGED, leverage=7, slot=slot)
            engine.until(
                lambda: [row for row in of(engine.logged(), "LeverageProof") if row["got"] == 7],
                "the change to be noticed",
                NOTICED_S,
            )
            engine.until(
                lambda: refused(engine.logged()) >= planted_of(dialect),
                "refusals",
            )
            engine.interrupt()
            code, summary, errors = engine.ended()
            assert summary, errors
        rows = records(folder / summary["journal"]["path"])
        return Told(dialect, code, summary, rows, ordered(venue))


def run_kept(dialect: str, folder: Path) -> Told:
    with venue_process(dialect, "--symbols", ",".join([*OTHERS, CROSS])) as venue:
        for symbol in OTHERS:
            venue.fault("leverage_kept", symbol=symbol, count=None)
        words = ["--profile", f"{dialect}-local", "--venue-url", venue.http, "--duration", "90s"]
        settings = {"HFENGINE_SYMBOLS": ",".join([*OTHERS, CROSS])}
        with engine_process(folder, words, LIVELY | WARN | settings) as engine:
            engine.until(lambda: ordered(venue) >= {"BTCUSDT", CROSS}, "orders")
            engine.interrupt()
            code, summary, errors = engine.ended()
            assert summary, errors
        rows = records(folder / summary["journal"]["path"])
        return Told(dialect, code, summary, rows, ordered(venue))


def refused(rows: list[dict[str, Any]]) -> set[str]:
    """Return the symbols of which an entry was refused for its leverage."""
    return {row["symbol"] for row in of(rows, "Refusal") if row["gate"] == "leverage_proof"}


RUNS = {"planted": run_planted, "kept": run_kept}
DIALECTS = ("bybit", "binance", "bitget")


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[tuple[str, str], Future[Told]]]:
    """Run the dialects side by side."""
    with ThreadPoolExecutor(len(DIALECTS)) as threads:
        yield {
            (name, dialect): threads.submit(run, dialect, tmp_path_factory.mktemp(dialect))
            for name, run in RUNS.items()
            for dialect in DIALECTS
        }


@pytest.fixture(params=DIALECTS)
def planted(request: pytest.FixtureRequest, runs: dict[tuple[str, str], Future[Told]]) -> Told:
    return runs["planted", request.param].result()


@pytest.fixture(params=DIALECTS)
def kept(request: pytest.FixtureRequest, runs: dict[tuple[str, str], Future[Told]]) -> Told:
    return runs["kept", request.param].result()


def test_entries_are_refused_on_exactly_the_symbols_with_another_leverage(planted: Told) -> None:
    expected = planted_of(planted.dialect)
    assert planted.code == 0
    assert refused(planted.rows) - {CHANGED} == expected
    assert not planted.ordered & expected
    assert GOOD in planted.ordered
    one_side = {ONE_SIDE: 0} if planted.dialect == "bitget" else {}
    read = planted.summary["leverage"]
    small = {SMALL: read[SMALL]}
    assert read == dict.fromkeys(SYMBOLS, 50) | OTHERS | {CHANGED: 7} | one_side | small
    assert read[SMALL] <= 25


def test_the_summary_names_each_of_them(planted: Told) -> None:
    mismatches = planted.summary["leverage_mismatches"]
    assert set(mismatches) == planted_of(planted.dialect) | {CHANGED}
    for mismatch in mismatches.values():
        assert mismatch.endswith("wanted 50x isolated: no entries")


def test_what_another_client_changes_is_refused_from_then_on(planted: Told) -> None:
    numbers = [
        number
        for number, row in enumerate(planted.rows)
        if row["type"] == "LeverageProof" and row["symbol"] == CHANGED and row["got"] == 7
    ]
    later = [row for row in planted.rows[numbers[0] :] if row.get("symbol") == CHANGED]
    assert not of(later, "OpenBracket")


def test_with_warn_it_trades_at_the_venue_s_own_leverage_and_says_so(kept: Told) -> None:
    assert kept.code == 0
    assert kept.summary["flat"] is True
    assert set(kept.summary["leverage_mismatches"]) == set(OTHERS)
    for mismatch in kept.summary["leverage_mismatches"].values():
        assert mismatch == "20x isolated, wanted 50x isolated: TRADED AT THAT"
    brackets = {(row["symbol"], row["leverage"]) for row in of(kept.rows, "OpenBracket")}
    assert {("BTCUSDT", 20), (CROSS, 50)} <= brackets
    assert not refused(kept.rows)


def test_an_ok_that_was_none_is_caught_by_reading_back(kept: Told) -> None:
    proofs = of(kept.rows, "LeverageProof")
    # a change told while it was being set makes the reading after the setting one of its own
    read_back = {(row["symbol"], row["got"]) for row in proofs if row["source"] == "set and read"}
    assert {(symbol, 20) for symbol in OTHERS} <= read_back
    last = {row["symbol"]: row["got"] for row in proofs}
    assert last == {**dict.fromkeys(OTHERS, 20), CROSS: 50}
    record = kept.summary["venues"][kept.dialect]["leverage"]
    assert record["mismatches"] == record["sets"] - 1 == len(OTHERS)
    assert kept.summary["venues"][kept.dialect]["warnings"]
