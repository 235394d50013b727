"""Ticks in, forecasts and entry wishes out: the seven layers, asked once a tick."""

from collections.abc import Mapping
from typing import Any, ClassVar

from hfengine.actors.layering import layers_of
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.kernels.histogram import now_ns
from hfengine.kernels.layers import ENTRY, NO_SIGNAL, Layers
from hfengine.messages import LONG, SHORT, BookTick, Entry, Forecast, Refusal, Report, TradeTick
from hfengine.oversight import MarketQuality
from hfengine.runtime.actor import Policy, handles

REARM_REFUSED_NS = 1_000_000_000
QUALITY_NS = 1_000_000_000
"""Least time between two words on one market's quality."""


class Seat:
    """One symbol's layers and when they may next forecast and raise a signal."""

    __slots__ = ("forecast_ns", "layers", "quality_ns", "rearm_ns", "update_book")

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.update_book = layers.update_book
        self.forecast_ns = 0
        self.quality_ns = 0
        self.rearm_ns = 0


class Signals(WiredActor):
    """Raises a signal when the fused drift is large enough; each becomes an Entry or a Refusal.

    After a signal the symbol rests: `cooldown_s` after an Entry, a second after a Refusal here.
    """

    policies: ClassVar[Mapping[type[Any], Policy]] = {BookTick: Policy.CONFLATE}
    """Of the books of one read batch only the newest counts; trades are all kept."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        signals = self.settings.signals
        layers = layers_of(signals, self.settings.protection, self.settings.symbols)
        self._seats = {symbol: Seat(one) for symbol, one in layers.items()}
        self._cooldown_ns = int(signals.cooldown_s * 1e9)
        self._forecast_ns = int(signals.forecast_every_ms * 1e6)
        self._record = wiring.stages.signals.record_since
        self._numbers = wiring.signals

    @handles(TradeTick)
    def on_trade(self, tick: TradeTick) -> None:
        """Feed one trade to the layers."""
        layers = self._seats[tick.symbol].layers
        layers.update_trade(tick.at_ns, tick.price, tick.quantity, tick.side)

    @handles(BookTick)
    def on_book(self, tick: BookTick) -> None:
        """Update the layers, tell the forecast when due, raise a signal when there is one."""
        started_ns = now_ns()
        seat = self._seats[tick.symbol]
        at_ns = tick.at_ns
        if seat.update_book(at_ns, tick.bid, tick.bid_quantity, tick.ask, tick.ask_quantity):
            if at_ns >= seat.forecast_ns:
                seat.forecast_ns = at_ns + self._forecast_ns
                self._tell_forecast(tick, seat.layers)
                if at_ns >= seat.quality_ns:
                    seat.quality_ns = at_ns + QUALITY_NS
                    self._tell_quality(tick, seat.layers)
            if at_ns >= seat.rearm_ns:
                verdict = seat.layers.gate()
                if verdict != NO_SIGNAL:
                    self._record(started_ns)
                    self._raise(tick, seat, entered=verdict == ENTRY)
                    return
        self._record(started_ns)

    def _tell_forecast(self, tick: BookTick, layers: Layers) -> None:
        self.publish(
            Forecast(
                tick.symbol,
                tick.at_ns,
                layers.mid,
                layers.forecast,
                layers.drift,
                layers.confidence,
                layers.half_life_s,
            )
        )

    def _tell_quality(self, tick: BookTick, layers: Layers) -> None:
        self.publish(
            MarketQuality(
                tick.symbol,
                tick.at_ns,
                (tick.ask - tick.bid) / layers.mid * 1e4,
                tick.at_ns / 1e6 - tick.exchange_ms,
                layers.sigma,
            )
        )

    def _raise(self, tick: BookTick, seat: Seat, *, entered: bool) -> None:
        number = self._numbers.draw()
        layers = seat.layers
        if not entered:
            seat.rearm_ns = tick.at_ns + REARM_REFUSED_NS
            self.publish(
                Refusal(
                    number,
                    tick.symbol,
                    tick.at_ns,
                    layers.refused_gate,
                    layers.refused_measured,
                    layers.refused_threshold,
                )
            )
            return
        seat.rearm_ns = tick.at_ns + self._cooldown_ns
        drift = layers.drift
        self.publish(
            Entry(
                number,
                tick.symbol,
                tick.at_ns,
                tick.exchange_ms * 1_000_000,
                LONG if drift > 0.0 else SHORT,
                tick.bid,
                tick.ask,
                layers.forecast,
                drift,
                layers.confidence,
                layers.half_life_s,
                layers.sigma,
                layers.atr,
            )
        )

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with the number of signals raised."""
        return {"signals": self._numbers.last}
