"""What an exchange holds for each symbol against what the profile wants: rows, statuses, summary.

Nothing here talks to an exchange; `cli/leverage.py` does and hands over what it read.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from msgspec import Struct, to_builtins

from hfengine.actors.brackets import LIQUIDATION_RULES
from hfengine.checks import ENTRY_USDT, liquidation_price
from hfengine.instruments import Instrument
from hfengine.messages import LONG, SHORT
from hfengine.requests import LeverageSetting
from hfengine.settings import Leverage

Status = Literal[
    "ok", "leverage", "margin_mode", "leverage_and_margin_mode", "above_maximum", "unreadable"
]
Change = Literal["unchanged", "set", "would_set", "above_maximum", "not_kept", "failed"]
GOOD_CHANGES: Final = frozenset({"unchanged", "set", "would_set"})
Number = int | float


class AuditRow(Struct, frozen=True, kw_only=True):
    """One symbol of an audit; None stands where it cannot be known."""

    symbol: str
    exchange: str
    wanted: int
    actual: int | None
    margin_mode: str | None
    """As the exchange has it now."""
    max_leverage: Number | None
    """Of the symbol's first, most generous tier."""
    max_notional_usdt: Number | None
    """Largest notional at the leverage wanted; 0 where it is above the maximum."""
    liquidation_distance: float | None
    """Fraction from entry to liquidation of an isolated position in the first tier at the
    leverage wanted, the shorter of long and short; None under cross margin."""
    status: Status


class SetRow(Struct, frozen=True, kw_only=True):
    """What became of setting one symbol."""

    symbol: str
    exchange: str
    wanted: int
    before: int | None
    after: int | None
    """Read back, never assumed."""
    margin_mode: str | None
    status: Change
    reason: str = ""


class ScanRow(Struct, frozen=True, kw_only=True):
    """One symbol that offers at least the leverage asked for."""

    symbol: str
    exchange: str
    max_leverage: Number
    max_notional_usdt: Number
    """Largest notional at the leverage asked for."""


def audit_row(
    symbol: str,
    exchange: str,
    leverage: Leverage,
    wanted: int,
    instrument: Instrument | None,
    setting: LeverageSetting | None,
) -> AuditRow:
    """Return the row of a symbol from its instrument and its setting; None where unreadable."""
    top = instrument.max_leverage if instrument else None
    return AuditRow(
        symbol=symbol,
        exchange=exchange,
        wanted=wanted,
        actual=setting.leverage if setting else None,
        margin_mode=setting.margin_mode if setting else None,
        max_leverage=None if top is None else plain_number(top),
        max_notional_usdt=max_notional_usdt(instrument, wanted) if instrument else None,
        liquidation_distance=liquidation_distance(instrument, leverage.margin_mode, wanted),
        status=status_of(leverage.margin_mode, wanted, top, setting),
    )


def status_of(
    margin_mode: str, wanted: int, top: Decimal | None, setting: LeverageSetting | None
) -> Status:
    """Judge one symbol; a leverage the symbol does not offer at all goes before a mismatch."""
    if setting is None or top is None:
        return "unreadable"
    if wanted > top:
        return "above_maximum"
    leverage_differs = setting.leverage != wanted
    mode_differs = setting.margin_mode != margin_mode
    if leverage_differs and mode_differs:
        return "leverage_and_margin_mode"
    if leverage_differs:
        return "leverage"
    return "margin_mode" if mode_differs else "ok"


def change_of(
    margin_mode: str,
    wanted: int,
    instrument: Instrument | None,
    before: LeverageSetting | None,
    after: LeverageSetting | None,
    *,
    dry_run: bool,
    refused: bool = False,
) -> Change:
    """Judge what setting one symbol did by what was read before and after it.

    A refused request whose setting is there all the same counts as set; one that was answered
    with success while the venue kept its own is "not_kept".
    """
    if instrument is None or before is None:
        return "failed"
    top = instrument.max_leverage
    judged = status_of(margin_mode, wanted, top, before)
    if judged in ("ok", "above_maximum"):
        return "unchanged" if judged == "ok" else "above_maximum"
    if dry_run:
        return "would_set"
    if after is None:
        return "failed"
    if status_of(margin_mode, wanted, top, after) == "ok":
        return "set"
    return "failed" if refused else "not_kept"


def max_notional_usdt(instrument: Instrument, leverage: float) -> Number:
    """Return the largest notional the tiers allow at a leverage, 0 for none."""
    caps = [tier.notional_cap_usdt for tier in instrument.tiers if tier.max_leverage >= leverage]
    return plain_number(max(caps, default=Decimal(0)))


def liquidation_distance(
    instrument: Instrument | None, margin_mode: str, leverage: int
) -> float | None:
    """Return the shorter distance from entry to liquidation in the first tier, as a fraction.

    By the formula of the instrument's venue (DESIGN 7.2); None under cross margin, where it
    depends on the account, above the maximum, and for a venue whose formula is not known.
    """
    if instrument is None or margin_mode != "isolated" or leverage > instrument.max_leverage:
        return None
    if instrument.venue not in LIQUIDATION_RULES:
        return None
    prices = (liquidation_price(instrument, side, leverage) for side in (LONG, SHORT))
    return min(abs(price / ENTRY_USDT - 1.0) for price in prices)


def plain_number(exact: Decimal) -> Number:
    """Return a decimal as JSON shows it best: whole where it is whole."""
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def audit_report(rows: Iterable[AuditRow]) -> dict[str, Any]:
    """Return an audit as plain structures: rows, count of mismatches, summary.

    A row counts as a mismatch unless its status is "ok". The summary is over the leverage that
    could be read.
    """
    table = sorted(rows, key=lambda row: (row.exchange, row.symbol))
    actual = [row.actual for row in table if row.actual is not None]
    return {
        "rows": [to_builtins(row) for row in table],
        "mismatches": sum(row.status != "ok" for row in table),
        "summary": {
            "min": min(actual, default=None),
            "max": max(actual, default=None),
            "average": sum(actual) / len(actual) if actual else None,
        },
    }


def set_report(rows: Iterable[SetRow], *, dry_run: bool) -> dict[str, Any]:
    """Return what setting did as plain structures: rows, count of failures, counts by status."""
    table = sorted(rows, key=lambda row: (row.exchange, row.symbol))
    counts: dict[str, int] = {}
    for row in table:
        counts[row.status] = counts.get(row.status, 0) + 1
    return {
        "dry_run": dry_run,
        "rows": [to_builtins(row) for row in table],
        "failures": sum(row.status not in GOOD_CHANGES for row in table),
        "summary": counts,
    }


def scan_report(found: Mapping[str, Mapping[str, Instrument]], leverage: int) -> dict[str, Any]:
    """Return which symbols of which exchange offer a leverage, the largest notional first."""
    rows = [
        ScanRow(
            symbol=symbol,
            exchange=exchange,
            max_leverage=plain_number(instrument.max_leverage),
            max_notional_usdt=max_notional_usdt(instrument, leverage),
        )
        for exchange, instruments in found.items()
        for symbol, instrument in instruments.items()
        if instrument.max_leverage >= leverage
    ]
    rows.sort(key=lambda row: (row.exchange, -row.max_notional_usdt, row.symbol))
    return {
        "min": leverage,
        "rows": [to_builtins(row) for row in rows],
        "summary": {"symbols": sum(map(len, found.values())), "offering": len(rows)},
    }
