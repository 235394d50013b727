"""What the rebalancer knows of one position, and how that survives a restart.

Kept as JSON under `bot:held:{symbol}`. The entry figures stand there only for a position that an
order of ours opened: recovery takes a body with them for the proof that the position is ours.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from typing import Final

import msgspec
from msgspec import Struct

from hfengine.messages import PositionChanged

KEY: Final = "bot:held:"
ENTRY_TOLERANCE: Final = Decimal("1e-6")
"""Relative; venues round a position's average differently on the stream and by request."""


class HeldMemory(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One position as kept; `entry` is its average price, 0 where it was not told yet."""

    side: int
    opened_ns: int
    entry: Decimal = Decimal(0)
    entry_drift: float | None = None
    entry_confidence: float | None = None
    half_life_s: float | None = None
    baseline_drift: float | None = None
    baseline_confidence: float | None = None
    baseline_half_life_s: float | None = None
    reduces: int = 0
    reduced_ns: dict[str, int] = {}


@dataclass(slots=True)
class Baseline:
    """What was expected of a position when it was entered or last halved."""

    drift: float
    confidence: float
    half_life_s: float

    @property
    def is_usable(self) -> bool:
        """Tell whether the rules can measure against it."""
        return (
            isfinite(self.drift)
            and isfinite(self.confidence)
            and self.confidence >= 0.0
            and self.half_life_s > 0.0
        )


@dataclass(slots=True)
class Halving:
    """A halving that was asked for: the baseline it brings once the quantity has fallen."""

    quantity: Decimal
    baseline: Baseline
    reason: str
    at_ns: int


@dataclass(slots=True)
class Held:
    """A position since when, and its baseline; none yet where its entry was not seen."""

    side: int
    opened_ns: int
    position: PositionChanged | None = None
    opening: Baseline | None = None
    """As of the entry, where an order of ours opened it."""
    baseline: Baseline | None = None
    reduces: int = 0
    reduced_ns: dict[str, int] = field(default_factory=dict)
    """Reason -> when it last halved the position."""
    halving: Halving | None = None

    def hear(self, position: PositionChanged) -> bool:
        """Take the newest position; return whether a halving has come true with it."""
        self.position, halving = position, self.halving
        if halving is None or position.quantity >= halving.quantity:
            return False
        self.baseline, self.halving = halving.baseline, None
        self.reduces += 1
        self.reduced_ns[halving.reason] = halving.at_ns
        return True

    def body(self) -> bytes:
        """Return what is kept of it."""
        opening, baseline = self.opening, self.baseline
        memory = HeldMemory(
            side=self.side,
            opened_ns=self.opened_ns,
            entry=Decimal(0) if self.position is None else self.position.entry,
            entry_drift=None if opening is None else opening.drift,
            entry_confidence=None if opening is None else opening.confidence,
            half_life_s=None if opening is None else opening.half_life_s,
            baseline_drift=None if baseline is None else baseline.drift,
            baseline_confidence=None if baseline is None else baseline.confidence,
            baseline_half_life_s=None if baseline is None else baseline.half_life_s,
            reduces=self.reduces,
            reduced_ns=self.reduced_ns,
        )
        return msgspec.json.encode(memory)


def memory_of(body: bytes) -> HeldMemory | None:
    """Return what a body holds, None for an empty one; raises ValueError for an unreadable one."""
    return msgspec.json.decode(body, type=HeldMemory) if body else None


def held_of(memory: HeldMemory) -> Held:
    """Return the position that was kept; a baseline that measures nothing is left out."""
    return Held(
        memory.side,
        memory.opened_ns,
        opening=_baseline(memory.entry_drift, memory.entry_confidence, memory.half_life_s),
        baseline=_baseline(
            memory.baseline_drift, memory.baseline_confidence, memory.baseline_half_life_s
        ),
        reduces=memory.reduces,
        reduced_ns=dict(memory.reduced_ns),
    )


def _baseline(
    drift: float | None, confidence: float | None, half_life_s: float | None
) -> Baseline | None:
    if drift is None or confidence is None or half_life_s is None:
        return None
    found = Baseline(drift, confidence, half_life_s)
    return found if found.is_usable else None


def is_same_entry(kept: Decimal, found: Decimal) -> bool:
    """Tell whether two average entry prices are of one position."""
    return bool(kept) and abs(kept - found) <= ENTRY_TOLERANCE * found
