"""Every 30 seconds, and on four rules: is what a position was entered for still there?"""

from dataclasses import dataclass
from typing import Any

from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.instruments import Instrument
from hfengine.kernels.drift import CLOSE, HOLD, REASONS, RebalanceRules, drift_of
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
from hfengine.runtime.actor import handles

FORECAST_AGE_MAX_NS = 10_000_000_000
"""An older forecast decides nothing: the feed is silent, and the stop stands at the exchange."""


@dataclass(slots=True)
class Baseline:
    """What was expected of a position when it was entered or last halved."""

    drift: float
    confidence: float
    half_life_s: float


@dataclass(slots=True)
class Held:
    """A position since when, and its baseline; none yet where its entry was not seen."""

    position: PositionChanged | None
    opened_ns: int
    baseline: Baseline | None


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
        self._held: dict[str, Held] = {}
        self._forecasts: dict[str, Forecast] = {}
        self._reasons: dict[str, int] = {}

    def on_start(self) -> None:
        """Start the interval."""
        self.tell_every_ns(self._interval_ns, Timer("rebalance"))

    @handles(Forecast)
    def on_forecast(self, forecast: Forecast) -> None:
        """Keep the newest forecast of a symbol."""
        self._forecasts[forecast.symbol] = forecast

    @handles(PositionOpened)
    def on_opened(self, opened: PositionOpened) -> None:
        """Remember what the position was entered for."""
        self._held[opened.symbol] = Held(
            None,
            opened.at_ns,
            Baseline(opened.entry_drift, opened.entry_confidence, opened.half_life_s),
        )

    @handles(PositionChanged)
    def on_position(self, position: PositionChanged) -> None:
        """Follow the position; adopt one whose entry was not seen; forget it when flat."""
        held = self._held.get(position.symbol)
        if held is None:
            if position.quantity:
                self._held[position.symbol] = Held(position, position.at_ns, None)
        elif position.quantity:
            held.position = position
        elif held.position is not None:
            del self._held[position.symbol]

    @handles(Timer)
    def on_timer(self, _timer: Timer) -> None:
        """Look at every position."""
        for symbol, held in list(self._held.items()):
            forecast = self._forecasts.get(symbol)
            if held.position is None or forecast is None:
                continue
            if self.clock.now_ns() - forecast.at_ns <= FORECAST_AGE_MAX_NS:
                self._look(held, held.position, forecast)

    def _look(self, held: Held, position: PositionChanged, forecast: Forecast) -> None:
        at_ns = self.clock.now_ns()
        instrument: Instrument = self.wiring.instruments[position.symbol]
        drift = drift_of(forecast.forecast, forecast.price)
        baseline = held.baseline
        if baseline is None:
            # adopted: measured against what is expected of it now
            baseline = held.baseline = Baseline(drift, forecast.confidence, forecast.half_life_s)
        age_s = (at_ns - held.opened_ns) / 1e9
        steps = int(position.quantity / instrument.quantity_step)
        action = self._rules.decide(
            position.side,
            baseline.drift,
            drift,
            baseline.confidence,
            forecast.confidence,
            age_s,
            baseline.half_life_s,
            steps,
            int(instrument.quantity_min / instrument.quantity_step),
        )
        reason: Any = REASONS[self._rules.reason]
        closes = action == CLOSE
        self.publish(
            Rebalanced(
                position.symbol,
                at_ns,
                "hold" if action == HOLD else "close" if closes else "reduce",
                reason,
                baseline.drift,
                drift,
                forecast.confidence,
                age_s,
            )
        )
        key = "hold" if action == HOLD else reason
        self._reasons[key] = self._reasons.get(key, 0) + 1
        if action == HOLD:
            return
        quantity = instrument.quantity_of(self._rules.close_steps)
        if closes:
            self.publish(Close(position.symbol, at_ns, position.side, quantity, reason))
        else:
            baseline.drift = drift
            baseline.confidence = forecast.confidence
            self.publish(Reduce(position.symbol, at_ns, position.side, quantity, reason))

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with how often each rule decided."""
        return {"rebalances": dict(self._reasons)}
