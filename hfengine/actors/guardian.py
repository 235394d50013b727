"""Compares every position with what must protect it: repairs, follows with the stop, or closes."""

from math import inf
from typing import Any, Final

from hfengine.actors.ageing import Ageing
from hfengine.actors.cover import CoverClock, CoverTimes
from hfengine.actors.guarded import KEY, Guarded, memory_of, remembered
from hfengine.actors.mending import Mending
from hfengine.actors.orphans import Orphans
from hfengine.actors.refused_exits import reason_of
from hfengine.actors.trailing import Trailing
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.exchange import rejects
from hfengine.kernels.liquidation import FORCE_CLOSE, distance_action, utilisation_action
from hfengine.limits import FLATTEN_PAUSE_S, FLATTEN_ROUNDS_MAX
from hfengine.messages import (
    BalanceChanged,
    Close,
    CoverGap,
    ExitReason,
    Fill,
    Flatten,
    FlattenDone,
    MarkTick,
    OpenBracket,
    OrderEnded,
    PositionChanged,
    PositionOpened,
    ProtectionRefused,
    Reduce,
    Report,
    Timer,
)
from hfengine.oversight import Adopted, Difference, Keep, OpenOrders
from hfengine.runtime.actor import handles
from hfengine.symbols import venue_of

KEEP_EVERY_NS: Final = 1_000_000_000
FLATTEN_NS: Final = int(FLATTEN_ROUNDS_MAX * FLATTEN_PAUSE_S * 1e9)
"""How long a flatten may take that nobody ends: until then stops that go are not put back."""

START_NS: Final = 1_000_000_000
"""How long after a start an entry sent before it may still be on its way."""

PASSED: Final = (rejects.WOULD_TRIGGER_IMMEDIATELY, rejects.TARGET_WRONG_SIDE)


class Guardian(WiredActor):
    """Watches cover (I2), stops and targets, age, orphans, liquidation and margin (DESIGN 7)."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        protection = self.settings.protection
        self._positions: dict[str, PositionChanged] = {}
        self._guarded: dict[str, Guarded] = {}
        """The positions that are not flat."""
        self._clocks = {symbol: CoverClock() for symbol in wiring.instruments}
        self._times = CoverTimes()
        self._seen_ns: dict[str, int] = {}
        """When a position was first heard of, by our clock."""
        self._closing_ns: dict[str, int] = {}
        self._entering: dict[str, int] = {}
        """Symbol -> the intent of the entry on its way."""
        self._brackets: dict[str, OpenBracket] = {}
        self._opened_ns: dict[str, int] = {}
        self._adopted: dict[str, Adopted] = {}
        self._stop_refused: set[str] = set()
        """Symbols whose stop was refused since they were last flat or covered."""
        self._target_passed: set[str] = set()
        """Symbols whose target was refused because the price is beyond it, until they are flat."""
        self._marks: dict[str, MarkTick] = {}
        self._flatten_ns = self._started_ns = 0
        self._cover_max_ns = int(protection.cover_max_ms * 1e6)
        self._mark_age_max_ns = int(self.settings.risk.mark_age_max_s * 1e9)
        self._mending = Mending(protection, self.publish)
        self._trailing = Trailing(protection)
        self._ageing = Ageing(protection)
        self._orphans = Orphans(self.settings.recovery.foreign_orders, self.publish)

    def on_start(self) -> None:
        """Start looking; say so where a memory cannot be read."""
        self._started_ns = self.clock.now_ns()
        self.tell_every_ns(int(self.settings.protection.check_ms * 1e6), Timer("look"))
        for symbol in self.settings.symbols:
            try:
                memory_of(self._body(symbol))
            except ValueError as error:
                found = f"memory of its protection unreadable: {error}"
                at_ns = self.clock.now_ns()
                told = Difference(at_ns, symbol, "position", found, "", "taken as not remembered")
                self.publish(told)

    # cover

    @handles(Fill)
    def on_fill(self, fill: Fill) -> None:
        """An entry fill is uncovered from the moment it happened until a stop covers it."""
        position = self._positions.get(fill.symbol)
        is_exit = position is not None and fill.side == -position.side
        if fill.cause == "order" and not fill.realised_usdt and not is_exit:
            self._clock(fill.symbol).fill(fill, position, self.clock.now_ns())

    def _clock(self, symbol: str) -> CoverClock:
        return self._clocks.setdefault(symbol, CoverClock())

    @handles(PositionChanged)
    def on_position(self, position: PositionChanged) -> None:
        """Compare cover with quantity, and protection with what is expected."""
        symbol, now_ns = position.symbol, self.clock.now_ns()
        if symbol not in self.wiring.instruments:
            # not traded here: somebody else's
            return
        self._positions[symbol] = position
        self._measure(position, now_ns)
        if not position.quantity:
            self._forget(symbol, now_ns)
            return
        guarded = self._guarded.get(symbol)
        if guarded is None or guarded.side != position.side:
            guarded = self._guarded[symbol] = self._begin(position)
            self._seen_ns[symbol] = now_ns
        guarded.position = position
        if position.covered >= position.quantity:
            self._stop_refused.discard(symbol)
        elif symbol in self._stop_refused:
            self._close(position, "uncovered")
        if symbol in self._target_passed:
            self._close(position, "target_passed")
        self._trailing.stands(guarded, self.wiring.instruments[symbol])
        self._look(guarded, now_ns)
        self._keep(guarded, now_ns)

    def _measure(self, position: PositionChanged, now_ns: int) -> None:
        """Publish the longest wait among the quantities that are covered, or gone, by now."""
        waits_ns = self._clock(position.symbol).hear(position, now_ns)
        for wait_ns in waits_ns:
            self._times.ended(wait_ns)
        longest_ns = max(waits_ns, default=0)
        if longest_ns > 0:
            self.publish(CoverGap(position.symbol, now_ns, longest_ns / 1e6))

    def _begin(self, position: PositionChanged) -> Guarded:
        """Take a position up: of our bracket, remembered, or found."""
        symbol = position.symbol
        opened_ns = self._opened_ns.pop(symbol, position.at_ns)
        bracket = self._brackets.get(symbol)
        if symbol not in self._entering:
            # an entry that rests may bring another position after this one
            self._brackets.pop(symbol, None)
        if bracket is not None and bracket.side == position.side:
            return Guarded(position, opened_ns, stop=bracket.stop, target=bracket.target)
        found = remembered(self._memory(symbol), position)
        found = found or Guarded(position, opened_ns, adopted=True)
        adopted = self._adopted.get(symbol)
        if adopted is not None and adopted.side == position.side:
            _set_age(found, adopted)
        return found

    def _forget(self, symbol: str, now_ns: int) -> None:
        for known in (self._closing_ns, self._seen_ns, self._adopted, self._opened_ns):
            known.pop(symbol, None)
        self._stop_refused.discard(symbol)
        self._target_passed.discard(symbol)
        if symbol not in self._entering:
            self._brackets.pop(symbol, None)
        if self._guarded.pop(symbol, None) is not None or self._body(symbol):
            self.publish(Keep(f"{KEY}{symbol}", now_ns, b""))

    # memory

    def _body(self, symbol: str) -> bytes:
        return self.wiring.recalled.get(f"{KEY}{symbol}", b"")

    def _memory(self, symbol: str) -> Any:
        try:
            return memory_of(self._body(symbol))
        except ValueError:
            # told at the start
            return None

    def _keep(self, guarded: Guarded, now_ns: int) -> None:
        """Keep what has changed, at most once a second."""
        if guarded.kept_ns and now_ns - guarded.kept_ns < KEEP_EVERY_NS:
            return
        body = guarded.body()
        if body != guarded.kept:
            guarded.kept, guarded.kept_ns = body, now_ns
            self.publish(Keep(f"{KEY}{guarded.position.symbol}", now_ns, body))

    # entries and adopted positions

    @handles(OpenBracket)
    def on_bracket(self, bracket: OpenBracket) -> None:
        """Note that an entry is on its way: what is refused from now on is its."""
        self._entering[bracket.symbol] = bracket.intent
        self._brackets[bracket.symbol] = bracket

    @handles(OrderEnded)
    def on_order_ended(self, ended: OrderEnded) -> None:
        """Forget what was refused of an entry that came to nothing."""
        symbol = ended.symbol
        if self._entering.get(symbol) == ended.intent:
            del self._entering[symbol]
            if not ended.filled:
                self._target_passed.discard(symbol)
            if not ended.filled or symbol in self._guarded:
                self._brackets.pop(symbol, None)
        if not ended.filled:
            self._stop_refused.discard(symbol)

    @handles(PositionOpened)
    def on_opened(self, opened: PositionOpened) -> None:
        """Take the time from which a position's age counts."""
        guarded = self._guarded.get(opened.symbol)
        if guarded is not None and guarded.side == opened.side:
            guarded.opened_ns = opened.at_ns
        else:
            self._opened_ns[opened.symbol] = opened.at_ns

    @handles(Adopted)
    def on_adopted(self, adopted: Adopted) -> None:
        """Take over the age of a position found; close it where the policy says so."""
        self._adopted[adopted.symbol] = adopted
        guarded = self._guarded.get(adopted.symbol)
        if guarded is not None and guarded.side == adopted.side:
            _set_age(guarded, adopted)
            self._look(guarded, self.clock.now_ns())

    @handles(OpenOrders)
    def on_open_orders(self, read: OpenOrders) -> None:
        """Find protection that protects nothing, and orders of somebody else."""
        self._orphans.judge(read, self._positions, self._entering.__contains__, self.clock.now_ns())

    @handles(Flatten)
    def on_flatten(self, _message: Flatten) -> None:
        """Put no stop back while everything is being cancelled and closed."""
        self._flatten_ns = self.clock.now_ns() + FLATTEN_NS

    @handles(FlattenDone)
    def on_flattened(self, _message: FlattenDone) -> None:
        """Protect again what is left."""
        self._flatten_ns = 0

    # refusals

    @handles(ProtectionRefused)
    def on_protection_refused(self, refused: ProtectionRefused) -> None:
        """Close what has no stop, or is beyond its target: now, or as soon as it is heard of."""
        symbol, reason = refused.symbol, reason_of(refused.reason)
        position, guarded = self._positions.get(symbol), self._guarded.get(symbol)
        is_open = position is not None and bool(position.quantity)
        if not is_open and symbol not in self._entering:
            # of an entry that is over and left nothing: the next one has a stop of its own
            return
        is_target = refused.leg == "target" or reason == rejects.TARGET_WRONG_SIDE
        if guarded is not None and guarded.move is not None:
            if reason == rejects.NO_POSITION:
                # gone, which its own change tells; if it is not, the amendment counts as lost
                return
            now_ns = self.clock.now_ns()
            verdict = self._mending.refused(guarded, refused.reason, now_ns, of_target=is_target)
            if verdict:
                self._close(guarded.position, verdict)
        if is_target:
            if reason in PASSED:
                self._target_passed.add(symbol)
                if position is not None and is_open:
                    self._close(position, "target_passed")
            return
        if position is None or not is_open or position.covered < position.quantity:
            self._stop_refused.add(symbol)
            if position is not None and is_open:
                self._close(position, "uncovered")

    # looks

    @handles(Timer)
    def on_timer(self, _timer: Timer) -> None:
        """Close what has been uncovered for too long; look at age, stop and target of the rest."""
        now_ns = self.clock.now_ns()
        for symbol, guarded in list(self._guarded.items()):
            since_ns = self._clock(symbol).noticed_ns
            if since_ns is not None:
                self._times.lasts(now_ns - since_ns)
                if now_ns - since_ns > self._cover_max_ns:
                    self._close(guarded.position, "uncovered")
            self._look(guarded, now_ns)
            mark = self._mark(symbol, now_ns)
            if mark > 0.0 and self._trailing.is_on:
                # what had to wait for the amendment before it
                self._follow(guarded, mark)
            self._keep(guarded, now_ns)

    def _look(self, guarded: Guarded, now_ns: int) -> None:
        """Mend what protects a position, unless it is covered and being closed."""
        symbol, position = guarded.position.symbol, guarded.position
        adopted = self._adopted.get(symbol)
        if adopted is not None and adopted.policy == "flatten" and adopted.side == position.side:
            self._close(position, "unknown_position")
        is_covered = position.covered >= position.quantity
        if now_ns < self._flatten_ns or (is_covered and self._is_closing(symbol, now_ns)):
            return
        instrument, mark = self.wiring.instruments[symbol], self._mark(symbol, now_ns)
        verdict = self._mending.look(
            guarded, instrument, mark, now_ns, fresh=self._is_fresh(symbol, now_ns)
        )
        if verdict:
            self._close(position, verdict)
        elif self._ageing.is_on:
            self._age(guarded, now_ns)

    def _is_fresh(self, symbol: str, now_ns: int) -> bool:
        """Tell whether the stop of what is uncovered may still be on its way with its entry."""
        since_ns, grace_ns = self._clock(symbol).noticed_ns, self._mending.grace_ns
        # just started, nothing is known of entries on their way
        knows = now_ns - self._started_ns > START_NS
        is_new = now_ns - self._seen_ns.get(symbol, 0) < grace_ns
        is_new = is_new and not (knows and self._guarded[symbol].adopted)
        is_new = is_new or symbol in self._entering
        return is_new and since_ns is not None and now_ns - since_ns < grace_ns

    def _mark(self, symbol: str, now_ns: int) -> float:
        mark = self._marks.get(symbol)
        is_new = mark is not None and now_ns - mark.at_ns <= self._mark_age_max_ns
        return mark.mark if mark is not None and is_new else 0.0

    def _age(self, guarded: Guarded, now_ns: int) -> None:
        position = guarded.position
        step = self._ageing.look(guarded, self.wiring.instruments[position.symbol], now_ns)
        if step is None:
            return
        if step.action == "close":
            self._close(position, "aged")
        elif step.action == "reduce":
            self.publish(Reduce(position.symbol, now_ns, position.side, step.quantity, "aged"))
        elif position.stop:
            # one that cannot go out now is repaired later: the expected target has moved already
            self._mending.move(guarded, position.stop, step.price, "aged: target relaxed", now_ns)

    @handles(MarkTick)
    def on_mark(self, mark: MarkTick) -> None:
        """Let the stop follow; close a position too near its liquidation."""
        symbol = mark.symbol
        if not 0.0 < mark.mark < inf:
            return
        self._marks[symbol] = mark
        guarded = self._guarded.get(symbol)
        if guarded is None:
            return
        position = guarded.position
        if symbol in self._target_passed:
            self._close(position, "target_passed")
        if self._trailing.is_on:
            self._follow(guarded, mark.mark)
        liquidation, entry = float(position.liquidation), float(position.entry)
        way = abs(entry - liquidation)
        if liquidation <= 0.0 or way == 0.0:
            return
        left = position.side * (mark.mark - liquidation) / way
        if distance_action(left, self.settings.risk.liquidation_left_close) == FORCE_CLOSE:
            self._close(position, "near_liquidation")

    def _follow(self, guarded: Guarded, mark: float) -> None:
        position, now_ns = guarded.position, self.clock.now_ns()
        better = self._trailing.look(guarded, mark, self.wiring.instruments[position.symbol])
        if better is None or not position.stop or self._is_closing(position.symbol, now_ns):
            return
        self._mending.settle(guarded, now_ns)
        if self._mending.move(guarded, better.stop, position.target, better.reason, now_ns):
            guarded.stop = better.stop

    @handles(BalanceChanged)
    def on_balance(self, balance: BalanceChanged) -> None:
        """Close the largest position when margin is nearly used up."""
        equity = float(balance.equity_usdt)
        open_positions = [
            guarded.position
            for symbol, guarded in self._guarded.items()
            if venue_of(symbol) == balance.venue
        ]
        if not open_positions or equity <= 0.0:
            return
        used = 1.0 - float(balance.free_margin_usdt) / equity
        risk = self.settings.risk
        if utilisation_action(used, risk.utilisation_warn, risk.utilisation_close) == FORCE_CLOSE:
            self._close(max(open_positions, key=lambda p: p.quantity * p.entry), "margin")

    def _is_closing(self, symbol: str, now_ns: int) -> bool:
        since_ns = self._closing_ns.get(symbol)
        return since_ns is not None and now_ns - since_ns < self._cover_max_ns

    def _close(self, position: PositionChanged, reason: ExitReason) -> None:
        now_ns = self.clock.now_ns()
        if not self._is_closing(position.symbol, now_ns):
            self._closing_ns[position.symbol] = now_ns
            self.publish(Close(position.symbol, now_ns, position.side, position.quantity, reason))

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with the worst uncovered time and its distribution."""
        return self._times.report()


def _set_age(guarded: Guarded, adopted: Adopted) -> None:
    """Take the age recovery knows; of an unknown position the oldest that was ever seen."""
    opened_ns = adopted.opened_ns
    guarded.opened_ns = opened_ns if adopted.ours else min(guarded.opened_ns, opened_ns)
