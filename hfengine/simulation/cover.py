"""I2 by the exchange's truth: how long any quantity stood without a stop."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hfengine.messages import Fill, PositionChanged
from hfengine.simulation.happenings import FOREIGN
from hfengine.simulation.line import Line
from hfengine.simulation.world import NS_A_MS, World

LIMIT_NS: Final = 500 * NS_A_MS
REPAIR_NS: Final = 2_000 * NS_A_MS
"""Where another client opened the position, enlarged it or took its stop away, the gap has to be
found first."""

RECOVERY_NS: Final = 5_000 * NS_A_MS
"""An engine that came up anew has so long until everything is protected (I7)."""

CLOSING_NS: Final = 1_000 * NS_A_MS
"""A position counts as being closed so long after its closing order was answered."""

Fail = Callable[[str, str], None]


class _Gap:
    __slots__ = ("able_ns", "allowed_ns", "began_ns", "by_others", "seen_ns")

    def __init__(self, now_ns: int, *, by_others: bool) -> None:
        self.began_ns = self.seen_ns = now_ns
        self.able_ns = 0
        """How much of it there was an engine that could see and act."""
        self.allowed_ns = 0
        self.by_others = by_others


class CoverWatch:
    """Follows every gap from its first moment to its last."""

    def __init__(self, world: World, fail: Fail) -> None:
        self._world = world
        self._fail = fail
        self._gaps: dict[str, _Gap] = {}
        self._foreign: set[str] = set()
        """Symbols whose position another client had a hand in."""
        self._held: dict[str, PositionChanged] = {}
        self._stops: dict[str, Decimal] = {}
        """Symbol -> where its stop stood when it covered everything."""
        self.ours_ms: list[float] = []
        """Lengths of gaps in what this engine opened, while it was able to act."""
        self.others_ms: list[float] = []
        self.raw_ms: list[float] = []
        """Lengths of all gaps, whatever was down."""

    def is_ours(self, symbol: str) -> bool:
        """Tell whether no other client had a hand in a symbol's position."""
        return symbol not in self._foreign

    def fill(self, fill: Fill) -> None:
        """Note who trades."""
        if fill.client_id.startswith(FOREIGN):
            self._foreign.add(fill.symbol)

    def position(
        self, position: PositionChanged, now_ns: int, line: Line | None, *, is_ending: bool
    ) -> None:
        """Take how a position stands at the exchange."""
        symbol = position.symbol
        before = self._held.get(symbol)
        self._held[symbol] = position
        if position.covered >= position.quantity:
            self._stops[symbol] = position.stop
        if not position.quantity:
            self._foreign.discard(symbol)
            self._world.forced.discard(symbol)
        if position.covered >= position.quantity:
            gap = self._gaps.pop(symbol, None)
            if gap is not None:
                self._advance(gap, now_ns, line)
                self._ended(gap, now_ns)
        elif symbol not in self._gaps:
            removed = before is not None and before.covered > position.covered
            by_others = removed or symbol in self._foreign
            self._gaps[symbol] = _Gap(now_ns, by_others=by_others)
            same = before is not None and before.quantity == position.quantity
            if removed and same and not is_ending and not self._world.by_hand:
                self._check_removal(position, now_ns, line)

    def _check_removal(self, position: PositionChanged, now_ns: int, line: Line | None) -> None:
        """A stop that is taken away must have fired, or its position be on its way out.

        Of what another client opened nothing is said: a leg left from our last position, and being
        cleared since, may have covered it for a moment.
        """
        symbol = position.symbol
        if not self.is_ours(symbol):
            return
        mark = self._world.exchange.mark(symbol)
        is_closing = line is not None and (
            bool(line.closing.get(symbol)) or now_ns - line.closed_ns.get(symbol, 0) < CLOSING_NS
        )
        before = self._stops.get(symbol)
        has_fired = before is not None and position.side * (mark - before) <= 0
        if not is_closing and not has_fired and symbol not in self._world.forced:
            self._fail("I2", f"{symbol}: its stop was taken away before another one stood")

    def _ended(self, gap: _Gap, now_ns: int) -> None:
        self.raw_ms.append((now_ns - gap.began_ns) / NS_A_MS)
        lengths = self.others_ms if gap.by_others else self.ours_ms
        lengths.append(gap.able_ns / NS_A_MS)

    def _advance(self, gap: _Gap, now_ns: int, line: Line | None) -> None:
        passed_ns, gap.seen_ns = now_ns - gap.seen_ns, now_ns
        if line is not None and not line.dead and line.is_able():
            gap.able_ns += passed_ns
        slow = self._world.slow_ns
        allowed_ns = 2 * slow["orders"] + slow["private"]
        if self._world.style == "binance" and line is not None:
            allowed_ns += max(line.trip_max_ns, 10 * NS_A_MS)
        gap.allowed_ns = max(gap.allowed_ns, allowed_ns)

    def step(self, now_ns: int, line: Line | None) -> None:
        """Let time pass; fail where a gap has lasted too long and nobody closes it."""
        for symbol, gap in self._gaps.items():
            self._advance(gap, now_ns, line)
            if line is None or line.dead or now_ns - line.began_ns < RECOVERY_NS:
                continue
            limit_ns = (REPAIR_NS if gap.by_others else LIMIT_NS) + gap.allowed_ns
            if gap.able_ns <= limit_ns or not line.is_able():
                continue
            if now_ns - line.closed_ns.get(symbol, 0) < CLOSING_NS or line.closing.get(symbol):
                continue
            held = self._held[symbol]
            self._fail(
                "I2",
                f"{symbol}: {held.quantity - held.covered} of {held.side * held.quantity} has been "
                f"without a stop for {gap.able_ns / NS_A_MS:.0f} ms (allowed "
                f"{limit_ns / NS_A_MS:.0f}), and nothing closes it",
            )
