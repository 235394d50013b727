"""Compares every position with what must protect it: moves the stop after it, or closes."""

from typing import Any

from hfengine.actors.refused_exits import reason_of
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.exchange import rejects
from hfengine.kernels.liquidation import FORCE_CLOSE, distance_action, utilisation_action
from hfengine.messages import (
    BalanceChanged,
    Close,
    CoverGap,
    ExitReason,
    Fill,
    MarkTick,
    MoveProtection,
    OpenBracket,
    OrderEnded,
    PositionChanged,
    ProtectionRefused,
    Report,
    Timer,
)
from hfengine.runtime.actor import handles
from hfengine.symbols import venue_of


class Guardian(WiredActor):
    """Watches cover (I2), the distance to liquidation and margin utilisation (DESIGN 7.4)."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        self._positions: dict[str, PositionChanged] = {}
        self._uncovered_since_ns: dict[str, int] = {}
        """By the venue's clock: the length of a gap is measured between two of its times."""
        self._noticed_ns: dict[str, int] = {}
        """When that was heard, by our clock: patience is, for the venue's may be wrong."""
        self._uncovered_max_ms = 0.0
        self._closing_ns: dict[str, int] = {}
        self._best: dict[str, float] = {}
        self._entering: dict[str, int] = {}
        """Symbol -> the intent of the entry on its way."""
        self._stop_refused: set[str] = set()
        """Symbols whose stop was refused since they were last flat or covered."""
        self._target_passed: set[str] = set()
        """Symbols whose target was refused because the price is beyond it, until they are flat."""
        self._activation = self.settings.protection.trailing_activation_percent / 100.0
        self._callback = self.settings.protection.trailing_callback_percent / 100.0
        self._cover_max_ns = int(self.settings.protection.cover_max_ms * 1e6)

    def on_start(self) -> None:
        """Start looking."""
        self.tell_every_ns(int(self.settings.protection.check_ms * 1e6), Timer("look"))

    @handles(Fill)
    def on_fill(self, fill: Fill) -> None:
        """An entry fill is uncovered from the moment it happened until a stop covers it."""
        if fill.cause == "order" and not fill.realised_usdt:
            self._uncovered(fill.symbol, fill.at_ns)

    def _uncovered(self, symbol: str, at_ns: int) -> None:
        self._uncovered_since_ns.setdefault(symbol, at_ns)
        self._noticed_ns.setdefault(symbol, self.clock.now_ns())

    @handles(PositionChanged)
    def on_position(self, position: PositionChanged) -> None:
        """Compare cover with quantity."""
        symbol = position.symbol
        self._positions[symbol] = position
        if not position.quantity:
            self._best.pop(symbol, None)
            self._stop_refused.discard(symbol)
            self._target_passed.discard(symbol)
        if position.covered >= position.quantity:
            since_ns = self._uncovered_since_ns.pop(symbol, None)
            self._noticed_ns.pop(symbol, None)
            self._closing_ns.pop(symbol, None)
            self._stop_refused.discard(symbol)
            if since_ns is not None:
                self._record(position.symbol, position.at_ns - since_ns)
        else:
            self._uncovered(symbol, position.at_ns)
            if symbol in self._stop_refused:
                self._close(position, "uncovered")
        if symbol in self._target_passed:
            self._close(position, "target_passed")

    @handles(ProtectionRefused)
    def on_protection_refused(self, refused: ProtectionRefused) -> None:
        """Close what has no stop, or is beyond its target: now, or as soon as it is heard of."""
        is_passed = reason_of(refused.reason) == rejects.WOULD_TRIGGER_IMMEDIATELY
        if refused.leg != "stop" and not is_passed:
            return
        symbol = refused.symbol
        position = self._positions.get(symbol)
        if symbol not in self._entering and (position is None or not position.quantity):
            # of an entry that is over and left nothing: the next one has a stop of its own
            return
        if refused.leg == "target":
            self._target_passed.add(symbol)
            if position is not None and position.quantity:
                self._close(position, "target_passed")
            return
        self._stop_refused.add(symbol)
        if position is not None and position.covered < position.quantity:
            self._close(position, "uncovered")

    @handles(OpenBracket)
    def on_bracket(self, bracket: OpenBracket) -> None:
        """Note that an entry is on its way: what is refused from now on is its."""
        self._entering[bracket.symbol] = bracket.intent

    @handles(OrderEnded)
    def on_order_ended(self, ended: OrderEnded) -> None:
        """Forget what was refused of an entry that came to nothing."""
        if self._entering.get(ended.symbol) == ended.intent:
            del self._entering[ended.symbol]
            if not ended.filled:
                self._target_passed.discard(ended.symbol)
        if not ended.filled:
            self._stop_refused.discard(ended.symbol)

    def _record(self, symbol: str, uncovered_ns: int) -> None:
        uncovered_ms = uncovered_ns / 1e6
        self._uncovered_max_ms = max(self._uncovered_max_ms, uncovered_ms)
        if uncovered_ns > 0:
            self.publish(CoverGap(symbol, self.clock.now_ns(), uncovered_ms))

    @handles(Timer)
    def on_timer(self, _timer: Timer) -> None:
        """Close what has been uncovered for too long; again every cover_max_ms until it is."""
        now_ns = self.clock.now_ns()
        for symbol, since_ns in list(self._noticed_ns.items()):
            position = self._positions.get(symbol)
            if position is not None and position.quantity:
                self._uncovered_max_ms = max(self._uncovered_max_ms, (now_ns - since_ns) / 1e6)
                if now_ns - since_ns > self._cover_max_ns:
                    self._close(position, "uncovered")

    @handles(MarkTick)
    def on_mark(self, mark: MarkTick) -> None:
        """Let the stop follow; close a position too near its liquidation."""
        position = self._positions.get(mark.symbol)
        if position is None or not position.quantity:
            return
        if mark.symbol in self._target_passed:
            self._close(position, "target_passed")
        if self._activation > 0.0:
            self._follow(position, mark.mark)
        liquidation, entry = float(position.liquidation), float(position.entry)
        way = abs(entry - liquidation)
        if liquidation <= 0.0 or way == 0.0:
            return
        left = position.side * (mark.mark - liquidation) / way
        if distance_action(left, self.settings.risk.liquidation_left_close) == FORCE_CLOSE:
            self._close(position, "near_liquidation")

    def _follow(self, position: PositionChanged, mark: float) -> None:
        """Move the stop to a fixed distance behind the best mark, never back (DESIGN 7.11)."""
        symbol, side, entry = position.symbol, position.side, float(position.entry)
        best = self._best.get(symbol, entry)
        best = self._best[symbol] = max(best, mark) if side > 0 else min(best, mark)
        if side * (best - entry) < self._activation * entry:
            return
        trail = best * (1.0 - side * self._callback)
        instrument = self.wiring.instruments[symbol]
        stop = instrument.price_up(trail) if side > 0 else instrument.price_down(trail)
        is_better = not position.stop or side * (stop - position.stop) > 0
        if is_better and side * (mark - float(stop)) > 0.0:
            at_ns = self.clock.now_ns()
            self.publish(MoveProtection(symbol, at_ns, stop, position.target, "trailing"))

    @handles(BalanceChanged)
    def on_balance(self, balance: BalanceChanged) -> None:
        """Close the largest position when margin is nearly used up."""
        equity = float(balance.equity_usdt)
        open_positions = [
            position
            for position in self._positions.values()
            if position.quantity and venue_of(position.symbol) == balance.venue
        ]
        if not open_positions or equity <= 0.0:
            return
        used = 1.0 - float(balance.free_margin_usdt) / equity
        risk = self.settings.risk
        if utilisation_action(used, risk.utilisation_warn, risk.utilisation_close) == FORCE_CLOSE:
            self._close(max(open_positions, key=lambda p: p.quantity * p.entry), "margin")

    def _close(self, position: PositionChanged, reason: ExitReason) -> None:
        now_ns = self.clock.now_ns()
        if now_ns - self._closing_ns.get(position.symbol, 0) < self._cover_max_ns:
            return
        self._closing_ns[position.symbol] = now_ns
        self.publish(Close(position.symbol, now_ns, position.side, position.quantity, reason))

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with the worst uncovered time."""
        return {"uncovered_max_ms": self._uncovered_max_ms}
