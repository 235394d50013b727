"""The summary: money exact, without exponents, as JSON numbers; lines that do not flatter."""

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.summary import BookChecks, JournalSummary, Summary, plain

RUN = Summary(
    state="ended",
    flat=True,
    reason="the duration is over",
    session="abc",
    profile="paper",
    fee_gate="report",
    seed=1,
    frames=1_234,
    frames_per_s=617.0,
    engine_s=60.0,
    wall_s=2.0,
    book_checks=BookChecks(10, 1),
    ever_synced=True,
    feed_faults={"gap": 2, "malformed": 3},
    fault_lines=["a.gz:7: gap: lost", "a.gz:9: malformed: cut"],
    signals=6,
    entries=2,
    refusals={"spread_bps": 1, "confidence": 3},
    fee_warnings={"fee_edge": 2, "break_even_win_rate": 1},
    leverage_proofs=4,
    leverage={"ETHUSDT": 50, "BTCUSDT": 20},
    leverage_mismatches={"BTCUSDT": "20x isolated, wanted 50x isolated: no entries"},
    brackets=2,
    fills=5,
    fill_causes={"order": 2},
    orders_rejected=0,
    rebalances={"hold": 1, "drift_flip": 2},
    breakers={"drawdown": 1},
    repairs={},
    differences={"order": 2},
    uncovered_max_ms=1.25,
    gross_usdt=Decimal("3.5"),
    fees_usdt=Decimal("1.25"),
    funding_usdt=Decimal("-0.25"),
    net_usdt=Decimal("2.5"),
    wallet_usdt=Decimal("10002.5"),
    ledger_difference_usdt=Decimal(0),
    actor_deaths=0,
    rehearsals=0,
    waiting="",
    rehearsal_fault="",
    venues={},
    journal=JournalSummary("journals/abc", "5a4c", 1_000),
    latency_ns={"risk": {"p50": 1_000, "p99": 2_000, "p999": 3_000}},
)


def rows(summary: Summary = RUN) -> dict[str, str]:
    """Return the lines as {name: text}."""
    return {line[:20].rstrip(): line[20:] for line in summary.lines()}


def test_the_lines_say_what_the_fields_say() -> None:
    told = rows()
    assert told["state"] == "ended (the duration is over)"
    assert told["flat"] == "yes, read back from the venue"
    assert told["frames"] == "1,234 in 2.00 s: 617/s"
    assert told["book checks"] == "10 matched, 1 mismatched"
    assert told["feed faults"] == "5"
    assert told["leverage"] == "BTCUSDT 20x, ETHUSDT 50x, proved 4 times"
    assert told["LEVERAGE DIFFERS"] == "BTCUSDT 20x isolated, wanted 50x isolated: no entries"
    assert told["signals"] == "6: 2 brackets, refused: confidence 3, spread_bps 1"
    assert told["rebalancer"] == "drift_flip 2, hold 1"
    assert told["uncovered"] == "1.250 ms at worst"
    assert told["hash"] == "5a4c"
    assert told["risk ns"] == "p50 1,000  p99 2,000  p99.9 3,000"


def test_fees_are_a_minus_and_funding_received_a_plus() -> None:
    assert rows()["result"] == "3.5 gross, -1.25 fees, 0.25 funding: net 2.5 USDT"


def test_every_fault_has_its_line() -> None:
    assert [line[20:] for line in RUN.lines() if line.startswith("fault ")] == RUN.fault_lines


def test_not_flat_cannot_be_overlooked() -> None:
    assert rows(replace(RUN, flat=False, state="not_flat"))["flat"] == "NO"


def test_a_gate_that_only_reports_says_how_often_it_would_have_refused() -> None:
    assert rows()["fee gate"] == '"report": the strict gate would have refused 3 times'
    assert "fee gate" not in rows(replace(RUN, fee_gate="strict"))


def test_a_run_without_a_journal_names_none() -> None:
    assert not {"journal", "hash"} & set(rows(replace(RUN, journal=None)))


def test_json_is_one_line_with_money_as_numbers() -> None:
    text = RUN.json()
    assert "\n" not in text
    read: dict[str, Any] = json.loads(text, parse_float=Decimal)
    assert read["gross_usdt"] == Decimal("3.5")
    assert '"net_usdt":2.5' in text


@pytest.mark.parametrize(
    ("money", "text"),
    [("0E-8", "0"), ("-0.00", "0"), ("1E+2", "100"), ("10.8526000", "10.8526"), ("-3.50", "-3.5")],
)
def test_plain_keeps_the_sum_and_drops_the_dress(money: str, text: str) -> None:
    assert str(plain(Decimal(money))) == text
    assert plain(Decimal(money)) == Decimal(money)


def test_a_venues_line_holds_what_a_person_looks_for() -> None:
    health = {
        "clock_offset_ms": -1,
        "budgets": {"order/1s": "8/10"},
        "orders": {"rest": 4, "websocket": 0},
        "last_break": "",
        "rejected": {},
        "warnings": ["set time above 2 s", "one more"],
        "feed": [{"name": "bybit"}],
    }
    (line,) = (
        row for row in replace(RUN, venues={"bybit": health}).lines() if "venue bybit" in row
    )
    told = "clock offset ms -1, orders (rest 4, websocket 0), warnings set time above 2 s; one more"
    assert line.split(maxsplit=2)[2] == told


def test_fills_of_the_venues_own_orders_are_told_apart() -> None:
    assert ":" not in rows()["fills"]
    fired = replace(RUN, fill_causes={"target": 1, "order": 2})
    assert rows(fired)["fills"].endswith(": order 2, target 1")
