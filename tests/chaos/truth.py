"""What must be true after every kill: asked of the venue, and of the union of all journals."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from hfengine.journal.reader import NotAJournal, Scan, decode
from tests.chaos.processes import Venue

ENTRY_ID: Final = re.compile(r"(hf-[0-9a-f]+-\d+e)(\d+)")
"""A client id of ours: (session, intent and leg), attempt."""

MS_NS: Final = 1_000_000
NOTHING: Final = Decimal(0)
POSITIONS_MAX: Final = 2
"""As the chaos profiles have it."""

Row = Mapping[str, Any]


def uncovered(venue: Venue) -> list[str]:
    """Return the positions whose stops at the venue cover less than their quantity."""
    held = venue.held()
    if not held:
        return []
    stops: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    whole: set[tuple[str, int]] = set()
    for report in venue.open_orders():
        update = report["update"]
        key = update["symbol"], -int(update["side"])
        if update["kind"] != "stop_market":
            continue
        if report["close_position"] or (report["attached"] and not report["partial"]):
            whole.add(key)
        elif update["reduce_only"]:
            stops[key] += Decimal(update["quantity"]) - Decimal(update["filled"])
    found = []
    for one in held:
        key = one["symbol"], int(one["side"])
        if key not in whole and stops[key] < Decimal(one["quantity"]):
            found.append(f"{one['symbol']} {one['quantity']} covered {stops[key]}")
    return found


def journals(folder: Path) -> list[Path]:
    """Return the session logs of an engine's folder, oldest first."""
    found = [path for path in (folder / "journals").glob("*") if path.is_dir()]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


def rows_of(journal: Path) -> Iterator[dict[str, Any]]:
    """Yield the messages of a session log, up to where a kill tore it."""
    try:
        for frame in Scan(journal).frames():
            content = decode(frame.payload)
            # what a replay begins with is no message
            if isinstance(content, dict) and "type" in content:
                yield content
    except (NotAJournal, FileNotFoundError):
        # killed before its first page was written
        return


class Told:
    """The money messages of all sessions of a folder."""

    def __init__(self, folder: Path) -> None:
        self.fills: dict[str, Row] = {}
        self.repeated: list[str] = []
        funding: dict[tuple[Any, ...], Row] = {}
        for journal in journals(folder):
            for row in rows_of(journal):
                if row["type"] == "Fill":
                    if row["fill_id"] in self.fills:
                        self.repeated.append(f"{row['fill_id']} again in {journal.name}")
                    self.fills[row["fill_id"]] = row
                elif row["type"] == "FundingPaid":
                    funding[row["symbol"], row["at_ns"], row["funding_usdt"]] = row
        self.funding = list(funding.values())

    def earned_usdt(self) -> Decimal:
        """Return what the fills and fundings told come to."""
        fills = (Decimal(r["realised_usdt"]) - Decimal(r["fee_usdt"]) for r in self.fills.values())
        funding = (Decimal(row["funding_usdt"]) for row in self.funding)
        return sum(fills, NOTHING) - sum(funding, NOTHING)


def audit(venue: Venue, folder: Path) -> tuple[dict[str, int], list[str]]:
    """Compare the venue's books with the union of all journals: counts, and what is wrong."""
    fills, told = venue.fills(), Told(folder)
    wrong = [*lost_fills(fills, told.fills.values()), *second_entries(fills, venue.orders())]
    wrong += [f"fill counted twice: {one}" for one in told.repeated]
    changes = [one for one in venue.ledger() if one["kind"] != "deposit"]
    earned = sum((Decimal(one["change_usdt"]) for one in changes), NOTHING)
    if earned != told.earned_usdt():
        wrong.append(f"ledger: the venue's {earned} USDT, the journals' {told.earned_usdt()}")
    counts = {
        "fills": len(fills),
        "repeated_fills": len(told.repeated),
        "sessions": len(journals(folder)),
        "orders": len(venue.orders()),
    }
    return counts, wrong


def lost_fills(fills: Sequence[Row], told: Iterable[Row]) -> list[str]:
    """Return the venue's fills that no journal has."""
    heard = Counter(_key(row) for row in told)
    lost = []
    for report in fills:
        key = _key(report["fill"])
        if heard[key]:
            heard[key] -= 1
        else:
            fill = report["fill"]
            lost.append(
                f"fill in no journal: {fill['client_id'] or report['venue_id']} {fill['cause']} "
                f"{fill['side']} {fill['quantity']} {fill['symbol']} at {fill['at_ns'] // MS_NS}"
            )
    return lost


def _key(fill: Row) -> tuple[Any, ...]:
    figures = (Decimal(fill[name]) for name in ("quantity", "price", "fee_usdt"))
    return fill["symbol"], fill["at_ns"] // MS_NS, int(fill["side"]), *figures


def second_entries(fills: Sequence[Row], orders: Sequence[Row]) -> list[str]:
    """Return entries that were doubled: of one intent, or into a position that stood already."""
    wrong = []
    attempts: dict[str, set[str]] = defaultdict(set)
    for report in orders:
        update = report["update"]
        match = ENTRY_ID.fullmatch(update["client_id"])
        if match and Decimal(update["filled"]):
            attempts[match[1]].add(update["client_id"])
    wrong += [
        f"two entries of one intent: {sorted(ids)}" for ids in attempts.values() if len(ids) > 1
    ]
    held: dict[str, Decimal] = defaultdict(Decimal)
    opener: dict[str, str] = {}
    for report in fills:
        fill = report["fill"]
        symbol, before = fill["symbol"], held[fill["symbol"]]
        after = before + int(fill["side"]) * Decimal(fill["quantity"])
        if before and abs(after) > abs(before) and opener[symbol] != fill["client_id"]:
            wrong.append(f"second entry: {fill['client_id']} adds to {symbol} of {opener[symbol]}")
        if not before or (before > 0) != (after > 0):
            opener[symbol] = fill["client_id"]
        held[symbol] = after
        if sum(1 for quantity in held.values() if quantity) > POSITIONS_MAX:
            wrong.append(f"more than {POSITIONS_MAX} positions after {fill['client_id']}")
    return wrong


class Standing(NamedTuple):
    """What an engine's journal says of it so far."""

    synced_ns: int = 0
    """When it first traded with its account and books in sync; 0 when it has not."""
    active_ns: int = 0
    """Since when entries are taken without a break; 0 while they are not."""


def standing(folder: Path, began_ns: int) -> Standing:
    """Read how an engine started then does, by its journal, which is written once a second."""
    for journal in reversed(journals(folder)):
        if journal.stat().st_mtime_ns < began_ns:
            break
        rows = [row for row in rows_of(journal) if row["type"] in ("EngineState", "RiskState")]
        if not rows or rows[0]["at_ns"] < began_ns:
            continue
        return _standing(rows)
    return Standing()


def _standing(rows: Iterable[Row]) -> Standing:
    trades, risk, synced_ns, active_ns = False, "not_in_sync", 0, 0
    for row in rows:
        if row["type"] == "RiskState":
            risk = row["state"]
        else:
            trades = row["state"] == "trading"
        if trades and risk != "not_in_sync":
            synced_ns = synced_ns or row["at_ns"]
        active_ns = (active_ns or row["at_ns"]) if trades and risk == "active" else 0
    return Standing(synced_ns, active_ns)
