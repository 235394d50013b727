"""What a run was: one object, printed by `hfengine run` and as its last line with --json."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct

UNSHOWN: Final = frozenset({"budgets", "feed", "newest_notes"})
"""What of a venue's health is too long for a line."""


def plain(money: Decimal) -> Decimal:
    """Return the same sum without trailing zeros or an exponent: 0E-8 is 0, 1E+2 is 100."""
    return Decimal(f"{money.normalize():f}") if money else Decimal(0)


class BookChecks(Struct, frozen=True):
    """Books compared with the recorded best quotes, once per diff."""

    matched: int
    mismatched: int


class JournalSummary(Struct, frozen=True):
    """Where the session log is and the hash that ends its chain."""

    path: str
    hash: str
    records: int


class Summary(Struct, frozen=True, kw_only=True):
    """The run in figures. `latency_ns` is real time; everything else is the engine's own time."""

    state: str
    flat: bool
    reason: str
    session: str
    profile: str
    fee_gate: str
    seed: int
    frames: int
    frames_per_s: float
    engine_s: float
    wall_s: float
    book_checks: BookChecks
    ever_synced: bool
    """Whether any book was whole at any time; without one there was no market data."""
    feed_faults: dict[str, int]
    fault_lines: list[str]
    signals: int
    entries: int
    refusals: dict[str, int]
    fee_warnings: dict[str, int]
    leverage_proofs: int
    leverage: dict[str, int]
    leverage_mismatches: dict[str, str]
    """Symbol -> what the venue has at the end instead of what is wanted, and what that means."""
    brackets: int
    fills: int
    fill_causes: dict[str, int]
    """Fills by what sent them: order, stop or target at the venue, liquidation, adl."""
    orders_rejected: int
    rebalances: dict[str, int]
    breakers: dict[str, int]
    """How often each circuit breaker tripped."""
    repairs: dict[str, int]
    """What was wrong with the protection of a position or with an order, by kind."""
    differences: dict[str, int]
    """What the venue told otherwise than believed, by subject."""
    uncovered_max_ms: float
    gross_usdt: Decimal
    fees_usdt: Decimal
    funding_usdt: Decimal
    net_usdt: Decimal
    wallet_usdt: Decimal
    ledger_difference_usdt: Decimal
    actor_deaths: int
    waiting: str
    """How the loop waited between frames, in words; nothing where time is virtual."""
    rehearsals: int
    """Orders rehearsed to keep the hot path warm; 0 where time is virtual."""
    rehearsal_fault: str
    venues: dict[str, Any]
    """Each real venue's connections, clock offset, rate budget and leverage calls, by name."""
    journal: JournalSummary | None
    latency_ns: dict[str, dict[str, int]]

    def lines(self) -> list[str]:
        """Return the summary as lines for a person."""
        refused, looks = _counted(self.refusals), _counted(self.rebalances)
        proofs = ", ".join(f"{symbol} {got}x" for symbol, got in sorted(self.leverage.items()))
        checks = self.book_checks
        rows: list[tuple[str, Any]] = [
            ("state", f"{self.state} ({self.reason})"),
            ("flat", "yes, read back from the venue" if self.flat else "NO"),
            ("frames", f"{self.frames:,} in {self.wall_s:.2f} s: {self.frames_per_s:,.0f}/s"),
            ("engine time", f"{self.engine_s:.1f} s"),
            ("book checks", f"{checks.matched} matched, {checks.mismatched} mismatched"),
            ("feed faults", sum(self.feed_faults.values())),
            ("leverage", f"{proofs or 'none'}, proved {self.leverage_proofs} times"),
            ("signals", f"{self.signals}: {self.brackets} brackets, refused: {refused}"),
            ("fills", f"{self.fills}{self._causes()}"),
            ("rebalancer", looks),
            ("breakers", _counted(self.breakers)),
            ("repairs", _counted(self.repairs)),
            ("differences", _counted(self.differences)),
            ("uncovered", f"{self.uncovered_max_ms:.3f} ms at worst"),
            ("result", self._money()),
            ("ledger", f"engine minus venue: {self.ledger_difference_usdt} USDT"),
        ]
        rows += [
            ("LEVERAGE DIFFERS", f"{symbol} {mismatch}")
            for symbol, mismatch in sorted(self.leverage_mismatches.items())
        ]
        if self.waiting:
            rows.append(("waiting", self.waiting))
        rows += [(f"venue {name}", _shown(health)) for name, health in self.venues.items()]
        if self.fee_gate == "report":
            would = sum(self.fee_warnings.values())
            rows.append(("fee gate", f'"report": the strict gate would have refused {would} times'))
        if self.journal is not None:
            rows.append(("journal", f"{self.journal.path} ({self.journal.records:,} records)"))
            rows.append(("hash", self.journal.hash))
        rows += [
            (f"{stage} ns", f"p50 {q['p50']:,}  p99 {q['p99']:,}  p99.9 {q['p999']:,}")
            for stage, q in self.latency_ns.items()
        ]
        lines = [f"{name:<20}{text}" for name, text in rows]
        return lines + [f"{'fault':<20}{line}" for line in self.fault_lines]

    def json(self) -> str:
        """Return the summary as one line of JSON; money as exact decimal numbers."""
        return msgspec.json.Encoder(decimal_format="number").encode(self).decode()

    def _causes(self) -> str:
        """Return what sent the fills, where it was not the engine's orders alone."""
        if not self.fill_causes.keys() - {"order"}:
            return ""
        return ": " + ", ".join(f"{cause} {n}" for cause, n in sorted(self.fill_causes.items()))

    def _money(self) -> str:
        return (
            f"{self.gross_usdt} gross, {-self.fees_usdt} fees, {-self.funding_usdt} funding"
            f": net {self.net_usdt} USDT"
        )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items())) or "none"


def _shown(health: Mapping[str, Any]) -> str:
    """Return what of a venue's health a person looks for first; the JSON has all of it."""
    parts = []
    for name, measured in health.items():
        if name in UNSHOWN or measured in ("", {}, []):
            continue
        shown = measured
        if isinstance(measured, Mapping):
            shown = "(" + ", ".join(f"{key} {one}" for key, one in measured.items()) + ")"
        elif isinstance(measured, list | tuple):
            shown = "; ".join(map(str, measured))
        parts.append(f"{name.replace('_', ' ')} {shown}")
    return ", ".join(parts)
