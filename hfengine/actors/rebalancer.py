"""Every 30 seconds, and on four rules: is what a position was entered for still there?"""

from math import isfinite
from typing import Any, Final

from hfengine.actors.held import KEY, Baseline, Halving, Held, held_of, is_same_entry, memory_of
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.instruments import Instrument
from hfengine.kernels.drift import CLOSE, HOLD, REASONS, REDUCE, RebalanceRules, drift_of
from hfengine.messages import (
    Close,
    Forecast,
    PositionChanged,
    PositionOpened,
    Rebalanced,
    Reduce,
    Report,
    Timer,
)
from hfengine.oversight import Adopted, Difference, Keep
from hfengine.runtime.actor import handles

FORECAST_AGE_MAX_NS: Final = 10_000_000_000
"""An older forecast decides nothing: the feed is silent, and the stop stands at the exchange."""

NAMES: Final[dict[int, Any]] = {HOLD: "hold", REDUCE: "reduce", CLOSE: "close"}


class Rebalancer(WiredActor):
    """Compares each position with its newest forecast; sends Reduce and Close through risk."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        rules = self.settings.rebalance
        self._rules = RebalanceRules(
            rules.decay_threshold,
            rules.confidence_drop_relative,
            rules.max_hold_half_lives,
            rules.reduce_to,
        )
        self._interval_ns = int(rules.interval_s * 1e9)
        self._pause_ns = int(rules.reduce_pause_s * 1e9)
        self._held: dict[str, Held] = {}
        self._forecasts: dict[str, Forecast] = {}
        self._bad_forecasts = 0
        self._reasons: dict[str, int] = {}

    def on_start(self) -> None:
        """Start the interval; say so where a memory cannot be read."""
        self.tell_every_ns(self._interval_ns, Timer("rebalance"))
        for symbol in self.settings.symbols:
            try:
                memory_of(self._body(symbol))
            except ValueError as error:
                found = f"memory of the position unreadable: {error}"
                at_ns = self.clock.now_ns()
                told = Difference(at_ns, symbol, "position", found, "", "taken as not remembered")
                self.publish(told)

    def _body(self, symbol: str) -> bytes:
        return self.wiring.recalled.get(f"{KEY}{symbol}", b"")

    @handles(Forecast)
    def on_forecast(self, forecast: Forecast) -> None:
        """Keep the newest forecast of a symbol that the rules can measure."""
        if not _is_usable(forecast):
            self._bad_forecasts += 1
            return
        known = self._forecasts.get(forecast.symbol)
        if known is None or forecast.at_ns >= known.at_ns:
            self._forecasts[forecast.symbol] = forecast

    # whose position, since when, entered for what

    @handles(PositionOpened)
    def on_opened(self, opened: PositionOpened) -> None:
        """Remember what the position was entered for."""
        before = self._held.get(opened.symbol)
        held = self._held[opened.symbol] = Held(opened.side, opened.at_ns)
        if before is not None and before.side == opened.side:
            held.position = before.position
        entered = Baseline(opened.entry_drift, opened.entry_confidence, opened.half_life_s)
        if entered.is_usable:
            held.opening = held.baseline = entered
        self._keep(opened.symbol, held)

    @handles(Adopted)
    def on_adopted(self, adopted: Adopted) -> None:
        """Take a position over: one of ours with what is remembered of its entry."""
        symbol = adopted.symbol
        held = self._remembered(adopted)
        if held is None:
            held = Held(adopted.side, adopted.opened_ns)
            entered = Baseline(adopted.entry_drift, adopted.entry_confidence, adopted.half_life_s)
            if adopted.ours and entered.is_usable:
                held.opening = held.baseline = entered
        before = self._held.get(symbol)
        if before is not None and before.side == adopted.side:
            held.position = before.position
        self._held[symbol] = held
        self._keep(symbol, held)

    def _remembered(self, adopted: Adopted) -> Held | None:
        """Return what is kept of this very position, and of no other."""
        kept = self._recalled(adopted.symbol, adopted.side)
        if kept is None:
            return None
        held, entry = kept
        if adopted.ours:
            return held if held.opened_ns == adopted.opened_ns else None
        # a position that nobody's fills tell the age of is known by its price
        return held if held.opening is None and is_same_entry(entry, adopted.entry) else None

    def _recalled(self, symbol: str, side: int) -> tuple[Held, Any] | None:
        try:
            memory = memory_of(self._body(symbol))
        except ValueError:
            # told at the start
            return None
        if memory is None or memory.side != side:
            return None
        return held_of(memory), memory.entry

    @handles(PositionChanged)
    def on_position(self, position: PositionChanged) -> None:
        """Follow the position; take over one whose entry was not seen; forget it when flat."""
        symbol, held = position.symbol, self._held.get(position.symbol)
        if not position.quantity:
            if held is not None and held.position is not None:
                del self._held[symbol]
                self._forget(symbol)
            elif held is None and self._body(symbol):
                self._forget(symbol)
            return
        if held is None or held.side != position.side:
            held = self._held[symbol] = self._found(position)
            held.hear(position)
            self._keep(symbol, held)
            return
        known = held.position
        if held.hear(position) or known is None or known.entry != position.entry:
            self._keep(symbol, held)

    def _found(self, position: PositionChanged) -> Held:
        kept = self._recalled(position.symbol, position.side)
        if kept is not None and is_same_entry(kept[1], position.entry):
            return kept[0]
        return Held(position.side, position.at_ns)

    def _keep(self, symbol: str, held: Held) -> None:
        self.publish(Keep(f"{KEY}{symbol}", self.clock.now_ns(), held.body()))

    def _forget(self, symbol: str) -> None:
        self.publish(Keep(f"{KEY}{symbol}", self.clock.now_ns(), b""))

    # the rules

    @handles(Timer)
    def on_timer(self, _timer: Timer) -> None:
        """Look at every position."""
        now_ns = self.clock.now_ns()
        for symbol, held in list(self._held.items()):
            forecast = self._forecasts.get(symbol)
            if held.position is None or forecast is None:
                continue
            if now_ns - forecast.at_ns <= FORECAST_AGE_MAX_NS:
                self._look(held, held.position, forecast, now_ns)

    def _look(self, held: Held, position: PositionChanged, forecast: Forecast, now_ns: int) -> None:
        instrument: Instrument = self.wiring.instruments[position.symbol]
        now = Baseline(
            drift_of(forecast.forecast, forecast.price), forecast.confidence, forecast.half_life_s
        )
        if held.baseline is None:
            # adopted: measured against what is expected of it now
            held.baseline = now
            self._keep(position.symbol, held)
        baseline = held.baseline
        # the venue's clock, which opened it, may be ahead of ours
        age_s = max(0.0, (now_ns - held.opened_ns) / 1e9)
        action = self._rules.decide(
            position.side,
            baseline.drift,
            now.drift,
            baseline.confidence,
            now.confidence,
            age_s,
            baseline.half_life_s,
            int(position.quantity / instrument.quantity_step),
            int(instrument.quantity_min / instrument.quantity_step),
        )
        reason: Any = REASONS[self._rules.reason]
        quantity = instrument.quantity_of(self._rules.close_steps)
        if action == REDUCE and held.reduces >= self.settings.rebalance.reduces_max:
            action, quantity = CLOSE, position.quantity
        elif action == REDUCE and self._is_too_soon(held, reason, now_ns):
            action = HOLD
        self.publish(
            Rebalanced(
                position.symbol,
                now_ns,
                NAMES[action],
                reason,
                baseline.drift,
                now.drift,
                now.confidence,
                age_s,
                forecast.forecast,
                forecast.price,
                baseline.confidence,
                baseline.half_life_s,
                position.quantity,
                held.reduces,
            )
        )
        key = "hold" if action == HOLD else reason
        self._reasons[key] = self._reasons.get(key, 0) + 1
        self._act(action, held, position, quantity, reason, now, now_ns)

    def _act(
        self,
        action: int,
        held: Held,
        position: PositionChanged,
        quantity: Any,
        reason: Any,
        now: Baseline,
        now_ns: int,
    ) -> None:
        symbol, side = position.symbol, position.side
        if action == CLOSE:
            self.publish(Close(symbol, now_ns, side, quantity, reason))
        elif action == REDUCE:
            # until it has come true the old baseline stands, and the next look asks again
            half_life_s = held.baseline.half_life_s if held.baseline else now.half_life_s
            fresh = Baseline(now.drift, now.confidence, half_life_s)
            held.halving = Halving(position.quantity, fresh, reason, now_ns)
            self.publish(Reduce(symbol, now_ns, side, quantity, reason))

    def _is_too_soon(self, held: Held, reason: str, now_ns: int) -> bool:
        last_ns = held.reduced_ns.get(reason)
        return last_ns is not None and now_ns - last_ns < self._pause_ns

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with how often each rule decided, and with forecasts that were no numbers."""
        return {"rebalances": dict(self._reasons), "bad_forecasts": self._bad_forecasts}


def _is_usable(forecast: Forecast) -> bool:
    return (
        isfinite(forecast.forecast)
        and isfinite(forecast.price)
        and forecast.price > 0.0
        and isfinite(forecast.confidence)
        and forecast.confidence >= 0.0
        and forecast.half_life_s > 0.0
    )
