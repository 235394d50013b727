"""Ticks in, forecasts and entry wishes out: layers 2 and 4 and a simple fusion."""

from math import inf
from typing import Any

from hfengine.actors.bars import TrueRange, Volatility
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.kernels.flow import Flow
from hfengine.kernels.histogram import now_ns
from hfengine.kernels.kalman import Kalman
from hfengine.messages import LONG, SHORT, BookTick, Entry, Forecast, Refusal, Report, TradeTick
from hfengine.runtime.actor import handles
from hfengine.settings import Signals as SignalSettings

REARM_REFUSED_NS = 1_000_000_000


class Layers:
    """The layers of one symbol and their fusion: expected log return over the horizon."""

    __slots__ = (
        "_flow_move",
        "_flow_weight",
        "_trend_s",
        "confidence",
        "drift",
        "flow",
        "forecast_ns",
        "kalman",
        "range",
        "rearm_ns",
        "volatility",
    )

    def __init__(self, settings: SignalSettings, bar_s: float, bars: int) -> None:
        self.kalman = Kalman(
            settings.kalman_process_noise,
            settings.kalman_measurement_noise,
            settings.gap_max_s,
            settings.warmup,
        )
        self.flow = Flow(settings.flow_half_life_s, settings.gap_max_s, settings.warmup)
        self.range = TrueRange(bar_s, bars)
        self.volatility = Volatility()
        self._flow_weight = settings.flow_weight
        self._flow_move = settings.flow_move_bps * 1e-4
        self._trend_s = settings.trend_s
        self.drift = 0.0
        self.confidence = 0.0
        self.forecast_ns = 0
        self.rearm_ns = 0

    @property
    def ready(self) -> bool:
        """Tell whether both layers have seen enough."""
        return self.kalman.ready and self.flow.ready

    def fuse(self) -> None:
        """Combine the layers.

        drift = (1 - w) slope trend_s + w flow move. Confidence of layers that agree adds up like
        independent evidence, 1 - (1 - a)(1 - b); of layers that disagree it is their difference.
        """
        trend = self.kalman.slope * self._trend_s
        push = self.flow.value * self._flow_move
        self.drift = (1.0 - self._flow_weight) * trend + self._flow_weight * push
        sure, surer = self.kalman.confidence, self.flow.confidence
        if trend * push > 0.0:
            self.confidence = 1.0 - (1.0 - sure) * (1.0 - surer)
        else:
            self.confidence = abs(sure - surer)


class Signals(WiredActor):
    """Raises a signal when the fused drift is large enough; each becomes an Entry or a Refusal.

    After a signal the symbol rests: `cooldown_s` after an Entry, a second after a Refusal here.
    """

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        signals, protection = self.settings.signals, self.settings.protection
        self._layers = {
            symbol: Layers(signals, protection.atr_bar_s, protection.atr_bars)
            for symbol in self.settings.symbols
        }
        self._drift_min = signals.drift_min
        self._confidence_min = signals.confidence_min
        self._half_life_s = signals.horizon_s
        self._cooldown_ns = int(signals.cooldown_s * 1e9)
        self._forecast_ns = int(signals.forecast_every_ms * 1e6)
        self._stages = wiring.stages
        self._numbers = wiring.signals

    @handles(TradeTick)
    def on_trade(self, tick: TradeTick) -> None:
        """Feed one trade to the flow layer and the bars."""
        layers = self._layers[tick.symbol]
        layers.flow.update_trade(tick.at_ns, tick.quantity, tick.side)
        layers.range.update(tick.at_ns, tick.price)

    @handles(BookTick)
    def on_book(self, tick: BookTick) -> None:
        """Update the layers, tell the forecast when due, raise a signal when there is one."""
        started_ns = now_ns()
        at_ns = tick.at_ns
        bid, ask = tick.bid, tick.ask
        mid = 0.5 * (bid + ask)
        layers = self._layers[tick.symbol]
        layers.kalman.update(at_ns, mid)
        layers.flow.update_quote(at_ns, bid, tick.bid_quantity, ask, tick.ask_quantity)
        layers.volatility.update(at_ns, mid)
        if layers.ready:
            layers.fuse()
            if at_ns >= layers.forecast_ns:
                layers.forecast_ns = at_ns + self._forecast_ns
                self._tell_forecast(tick, layers, mid)
            if at_ns >= layers.rearm_ns and abs(layers.drift) >= self._drift_min:
                self._stages.signals.record(now_ns() - started_ns)
                self._raise(tick, layers, mid)
                return
        self._stages.signals.record(now_ns() - started_ns)

    def _tell_forecast(self, tick: BookTick, layers: Layers, mid: float) -> None:
        drift = layers.drift
        self.publish(
            Forecast(
                tick.symbol,
                tick.at_ns,
                mid,
                mid * (1.0 + drift),
                drift,
                layers.confidence,
                self._half_life_s,
            )
        )

    def _raise(self, tick: BookTick, layers: Layers, mid: float) -> None:
        number = self._numbers.draw()
        drift, confidence = layers.drift, layers.confidence
        if confidence < self._confidence_min:
            layers.rearm_ns = tick.at_ns + REARM_REFUSED_NS
            self.publish(
                Refusal(
                    number,
                    tick.symbol,
                    tick.at_ns,
                    "confidence",
                    confidence,
                    self._confidence_min,
                )
            )
            return
        layers.rearm_ns = tick.at_ns + self._cooldown_ns
        self.publish(
            Entry(
                number,
                tick.symbol,
                tick.at_ns,
                tick.exchange_ms * 1_000_000,
                LONG if drift > 0.0 else SHORT,
                tick.bid,
                tick.ask,
                mid * (1.0 + drift),
                drift,
                confidence,
                self._half_life_s,
                layers.volatility.sigma,
                layers.range.atr if layers.range.ready else inf,
            )
        )

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with the number of signals raised."""
        return {"signals": self._numbers.last}
