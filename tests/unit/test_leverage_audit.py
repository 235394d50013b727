"""Rows, statuses and summaries of leverage, against the venues' published arithmetic."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from hfengine.instruments import load_catalogue
from hfengine.leverage_audit import (
    AuditRow,
    SetRow,
    audit_report,
    audit_row,
    change_of,
    liquidation_distance,
    max_notional_usdt,
    plain_number,
    scan_report,
    set_report,
    status_of,
)
from hfengine.requests import LeverageSetting
from hfengine.settings import Leverage

BTC = load_catalogue("binance").find("BTCUSDT")
ZRX = load_catalogue("bybit").find("ZRXUSDT")
BYBIT_BTC = load_catalogue("bybit").find("BTCUSDT")


def has(leverage: int, margin_mode: str = "isolated") -> LeverageSetting:
    return LeverageSetting(symbol="BTCUSDT", leverage=leverage, margin_mode=margin_mode)


@pytest.mark.parametrize(
    ("wanted", "top", "setting", "status"),
    [
        (50, 125, has(50), "ok"),
        (50, 125, has(20), "leverage"),
        (50, 125, has(50, "cross"), "margin_mode"),
        (50, 125, has(1, "cross"), "leverage_and_margin_mode"),
        (50, 25, has(25), "above_maximum"),
        (50, 50, has(50), "ok"),
        (50, 125, has(0), "leverage"),
        (50, 125, None, "unreadable"),
        (50, None, has(50), "unreadable"),
    ],
)
def test_status(wanted, top, setting, status):
    exact = None if top is None else Decimal(top)
    assert status_of("isolated", wanted, exact, setting) == status


def test_a_row_says_everything():
    """Binance BTCUSDT: 50x up to 12 000 000; a short at 50x with 0.4 %: 0.016 / 1.004 away."""
    row = audit_row("BTCUSDT", "binance", Leverage(), 50, BTC, has(20))
    assert row.liquidation_distance == pytest.approx(0.016 / 1.004, rel=1e-9)
    assert row == AuditRow(
        symbol="BTCUSDT",
        exchange="binance",
        wanted=50,
        actual=20,
        margin_mode="isolated",
        max_leverage=125,
        max_notional_usdt=12_000_000,
        liquidation_distance=row.liquidation_distance,
        status="leverage",
    )


def test_what_cannot_be_read_is_none():
    row = audit_row("NEWUSDT", "bybit", Leverage(), 50, None, None)
    assert (row.actual, row.margin_mode, row.max_leverage) == (None, None, None)
    assert (row.max_notional_usdt, row.liquidation_distance) == (None, None)
    assert row.status == "unreadable"
    half = audit_row("BTCUSDT", "binance", Leverage(), 50, BTC, None)
    assert (half.status, half.actual, half.max_leverage) == ("unreadable", None, 125)


@pytest.mark.parametrize(
    ("leverage", "notional_usdt"),
    [(125, 50_000), (101, 50_000), (100, 600_000), (76, 600_000), (75, 3_000_000), (126, 0)],
)
def test_the_largest_notional_is_the_cap_of_the_last_tier_that_allows_it(leverage, notional_usdt):
    assert max_notional_usdt(BTC, leverage) == notional_usdt


def test_liquidation_by_each_venues_formula():
    """Bybit isolated (2025-09): the margin left, 1/L - mmr, plus the fee kept to close."""
    assert liquidation_distance(BTC, "isolated", 20) == pytest.approx(0.046 / 1.004, rel=1e-9)
    bybit = liquidation_distance(BYBIT_BTC, "isolated", 20)
    assert bybit is not None
    assert 0.95 * 0.045 < bybit < 0.045
    assert bybit != pytest.approx(liquidation_distance(BTC, "isolated", 20), rel=1e-3)


def test_no_distance_where_it_depends_or_cannot_be():
    assert liquidation_distance(BTC, "cross", 20) is None
    assert liquidation_distance(ZRX, "isolated", 13) is None
    assert liquidation_distance(ZRX, "isolated", 12) is not None
    assert liquidation_distance(None, "isolated", 12) is None


def test_the_smallest_notional_of_none_does_not_hide_the_distance():
    free = replace(BTC, notional_min_usdt=Decimal(0))
    expected = liquidation_distance(BTC, "isolated", 20)
    assert liquidation_distance(free, "isolated", 20) == pytest.approx(expected)


def test_numbers_are_whole_where_they_are():
    assert (plain_number(Decimal("50.00")), plain_number(Decimal("57.14"))) == (50, 57.14)
    assert isinstance(plain_number(Decimal("50.00")), int)


def row(symbol: str, actual: int | None, status: str, exchange: str = "bybit") -> AuditRow:
    return AuditRow(
        symbol=symbol,
        exchange=exchange,
        wanted=50,
        actual=actual,
        margin_mode="isolated",
        max_leverage=100,
        max_notional_usdt=1,
        liquidation_distance=0.01,
        status=status,
    )


def test_the_report_counts_and_sums_up():
    report = audit_report(
        [
            row("C", 50, "ok"),
            row("A", 20, "leverage"),
            row("B", None, "unreadable"),
            row("A", 5, "above_maximum", "binance"),
        ]
    )
    assert [(one["exchange"], one["symbol"]) for one in report["rows"]] == [
        ("binance", "A"),
        ("bybit", "A"),
        ("bybit", "B"),
        ("bybit", "C"),
    ]
    assert report["mismatches"] == 3
    assert report["summary"] == {"min": 5, "max": 50, "average": 25.0}
    assert list(report["rows"][0]) == [
        "symbol",
        "exchange",
        "wanted",
        "actual",
        "margin_mode",
        "max_leverage",
        "max_notional_usdt",
        "liquidation_distance",
        "status",
    ]


def test_a_report_of_nothing_readable_has_no_summary():
    report = audit_report([row("B", None, "unreadable")])
    assert report["summary"] == {"min": None, "max": None, "average": None}
    assert audit_report([])["mismatches"] == 0


@pytest.mark.parametrize(
    ("before", "after", "options", "change"),
    [
        (has(50), has(50), {}, "unchanged"),
        (has(20), has(50), {}, "set"),
        (has(20), has(50), {"refused": True}, "set"),
        (has(20), has(20), {"refused": True}, "failed"),
        (has(20), has(20), {}, "not_kept"),
        (has(20), has(50, "cross"), {}, "not_kept"),
        (has(20), None, {}, "failed"),
        (None, None, {}, "failed"),
        (has(20), has(20), {"dry_run": True}, "would_set"),
        (has(50), has(50), {"dry_run": True}, "unchanged"),
        (None, None, {"dry_run": True}, "failed"),
    ],
)
def test_what_setting_did_is_what_was_read_back(before, after, options, change):
    given = {"dry_run": False} | options
    assert change_of("isolated", 50, BTC, before, after, **given) == change


def test_a_leverage_above_the_maximum_is_not_tried():
    assert change_of("isolated", 13, ZRX, has(5), has(5), dry_run=True) == "above_maximum"
    assert change_of("isolated", 12, None, has(5), has(12), dry_run=False) == "failed"


def test_the_report_of_setting():
    def done(symbol: str, status: str) -> SetRow:
        return SetRow(
            symbol=symbol,
            exchange="bybit",
            wanted=50,
            before=20,
            after=50,
            margin_mode="isolated",
            status=status,
        )

    rows = [done("C", "set"), done("A", "not_kept"), done("B", "set"), done("D", "unchanged")]
    report = set_report(rows, dry_run=False)
    assert [one["symbol"] for one in report["rows"]] == ["A", "B", "C", "D"]
    assert (report["failures"], report["dry_run"]) == (1, False)
    assert report["summary"] == {"not_kept": 1, "set": 2, "unchanged": 1}


def test_a_scan_lists_who_offers_it_the_largest_first():
    catalogue = load_catalogue("binance")
    found = {"binance": {one.symbol: one for one in catalogue.instruments}}
    report = scan_report(found, 75)
    assert [(one["symbol"], one["max_notional_usdt"]) for one in report["rows"]] == [
        ("BTCUSDT", 3_000_000),
        ("ETHUSDT", 3_000_000),
        ("SOLUSDT", 100_000),
        ("ADAUSDT", 10_000),
    ]
    assert report["summary"] == {"symbols": 5, "offering": 4}
