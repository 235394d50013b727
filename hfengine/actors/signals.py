"""Ticks in, forecasts and entry wishes out: the seven layers, asked once a tick."""

from collections.abc import Mapping
from typing import Any, ClassVar

from hfengine.actors.layering import layers_of
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.kernels.layers import Layers
from hfengine.kernels.signal_turn import ENTERED, FORECAST_DUE, REFUSED, Seat, SignalTurn
from hfengine.messages import BookTick, Entry, Forecast, Refusal, Report, TradeTick
from hfengine.oversight import MarketQuality
from hfengine.runtime.actor import Policy, compiled, handles

REARM_REFUSED_NS = 1_000_000_000
QUALITY_NS = 1_000_000_000
"""Least time between two words on one market's quality."""


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
        self._forecast_ns = int(signals.forecast_every_ms * 1e6)
        self._record = wiring.stages.signals.record_since
        self._turn = SignalTurn(
            self._seats,
            wiring.stages.signals,
            entry_class=Entry,
            numbers=wiring.signals,
            cooldown_ns=int(signals.cooldown_s * 1e9),
            publish=self.publish,
            tell=self._tell,
        )
        self.handle_by(BookTick, self._turn.handle)
        self._numbers = wiring.signals

    @handles(TradeTick)
    def on_trade(self, tick: TradeTick) -> None:
        """Feed one trade to the layers."""
        layers = self._seats[tick.symbol].layers
        layers.update_trade(tick.at_ns, tick.price, tick.quantity, tick.side)

    @compiled
    @handles(BookTick)
    def on_book(self, tick: BookTick) -> None:
        """Update the layers, tell the forecast when due, raise a signal when there is one."""
        self._turn.handle(tick)

    def _tell(self, tick: BookTick, due: int) -> None:
        seat = self._seats[tick.symbol]
        at_ns = tick.at_ns
        # risk hears of a bad market before it hears of a wish to enter it
        if due & FORECAST_DUE and at_ns >= seat.quality_ns:
            seat.quality_ns = at_ns + QUALITY_NS
            self._tell_quality(tick, seat.layers)
        if due & ENTERED:
            self._turn.enter(tick)
        elif due & REFUSED:
            self._refuse(tick, seat)
        # no order waits for it
        if due & FORECAST_DUE:
            seat.forecast_ns = at_ns + self._forecast_ns
            self._tell_forecast(tick, seat.layers)
            self._record(self._turn.started_ns)

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

    def _refuse(self, tick: BookTick, seat: Seat) -> None:
        layers = seat.layers
        seat.rearm_ns = tick.at_ns + REARM_REFUSED_NS
        self.publish(
            Refusal(
                self._numbers.draw(),
                tick.symbol,
                tick.at_ns,
                layers.refused_gate,
                layers.refused_measured,
                layers.refused_threshold,
            )
        )

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with the number of signals raised."""
        return {"signals": self._numbers.last}
