"""Signals: the fusion by its formula, forecasts at their pace, signals entered or refused."""

from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from hfengine.actors.bars import Volatility
from hfengine.actors.signals import Layers, Signals
from hfengine.kernels.flow import Flow
from hfengine.kernels.kalman import Kalman
from hfengine.messages import BookTick, Entry, Forecast, Refusal, TradeTick
from hfengine.settings import Protection, Settings
from hfengine.settings import Signals as SignalSettings
from tests.rig import T0_NS, Rig

MS = 1_000_000
STEP_NS = 100 * MS


def profile(**changes: Any) -> Settings:
    """Return quick layers that raise a signal at any drift, sure or not."""
    quick: dict[str, Any] = {"warmup": 3, "drift_min": 1e-9, "confidence_min": 0.0}
    return Settings(
        signals=SignalSettings(**(quick | changes)),
        protection=Protection(atr_bar_s=1.0, atr_bars=2),
    )


def book(number: int, bid: float, symbol: str = "BTCUSDT") -> BookTick:
    """Return the number-th quote, 100 ms apart; the venue's own time lies 3 ms earlier."""
    at_ns = T0_NS + number * STEP_NS
    exchange_ms = at_ns // MS - 3
    return BookTick(symbol, at_ns, exchange_ms, number, bid, 2.0, bid + 1.0, 1.0 + number % 3, 0.0)


def trade(number: int, price: float, side: int = 1) -> TradeTick:
    at_ns = T0_NS + number * STEP_NS
    return TradeTick("BTCUSDT", at_ns, at_ns // MS, number, price, 0.5, side)


def climb(count: int, step: float = 5.0) -> list[BookTick]:
    """Return a run of quotes, each `step` above the one before."""
    return [book(number, 60000.0 + number * step) for number in range(1, count + 1)]


def listen(settings: Settings, *ticks: Any) -> Rig:
    rig = Rig(settings)
    ref = rig.start(Signals)
    rig.tell(ref, *ticks)
    return rig


def fused(slope: float, sure: float, flow: float, surer: float) -> tuple[float, float]:
    layers = Layers(SignalSettings(flow_weight=0.25, flow_move_bps=8.0, trend_s=5.0), 1.0, 2)
    layers.kalman = SimpleNamespace(slope=slope, confidence=sure)  # type: ignore[assignment]
    layers.flow = SimpleNamespace(value=flow, confidence=surer)  # type: ignore[assignment]
    layers.fuse()
    return layers.drift, layers.confidence


def test_layers_that_agree_add_up_like_independent_evidence() -> None:
    # trend 2e-5 x 5 s = 1e-4, push 0.5 x 8 bp = 4e-4: 0.75 x 1e-4 + 0.25 x 4e-4
    drift, confidence = fused(2e-5, 0.6, 0.5, 0.7)
    assert drift == pytest.approx(1.75e-4)
    assert confidence == pytest.approx(1.0 - 0.4 * 0.3)
    down = fused(-2e-5, 0.6, -0.5, 0.7)
    assert down == pytest.approx((-1.75e-4, 0.88))


@pytest.mark.parametrize(("sure", "surer"), [(0.9, 0.2), (0.2, 0.9)])
def test_layers_that_disagree_leave_their_difference(sure: float, surer: float) -> None:
    drift, confidence = fused(2e-5, sure, -0.5, surer)
    assert drift == pytest.approx(0.75 * 1e-4 - 0.25 * 4e-4)
    assert confidence == pytest.approx(0.7)


def test_both_layers_must_be_ready() -> None:
    layers = Layers(SignalSettings(warmup=2), 1.0, 2)
    for number in range(1, 4):
        layers.kalman.update(T0_NS + number * STEP_NS, 60000.0)
    assert layers.kalman.ready
    assert not layers.ready
    for number in range(1, 4):
        layers.flow.update_trade(T0_NS + number * STEP_NS, 1.0, 1)
    assert layers.ready


def test_a_forecast_is_what_the_kernels_give_and_the_formula_makes_of_it() -> None:
    settings = profile(drift_min=1.0)
    own = settings.signals
    zigzag = (60000.0, 60005.0, 60002.0, 60002.0, 60009.0, 60030.0)
    ticks = [book(number, bid) for number, bid in enumerate(zigzag, 1)]
    trades = [trade(number, 60000.0, -1) for number in (1, 3)]
    rig = listen(settings, *trades, *ticks)
    kalman = Kalman(own.kalman_process_noise, own.kalman_measurement_noise, own.gap_max_s, 3)
    flow = Flow(own.flow_half_life_s, own.gap_max_s, 3)
    for sold in trades:
        flow.update_trade(sold.at_ns, sold.quantity, sold.side)
    for tick in ticks:
        kalman.update(tick.at_ns, tick.bid + 0.5)
        flow.update_quote(tick.at_ns, tick.bid, tick.bid_quantity, tick.ask, tick.ask_quantity)
    told = rig.all(Forecast)[-1]
    drift = 0.5 * kalman.slope * own.trend_s + 0.5 * flow.value * own.flow_move_bps * 1e-4
    assert told.at_ns == ticks[5].at_ns
    assert told.price == 60030.5
    assert told.drift == pytest.approx(drift, rel=1e-12)
    assert told.forecast == pytest.approx(60030.5 * (1.0 + drift), rel=1e-15)
    assert told.half_life_s == own.horizon_s
    assert 0.0 < told.confidence <= 1.0
    assert not rig.all(Entry)
    assert not rig.all(Refusal)
    rig.close()


def test_forecasts_keep_their_pace_and_their_symbol() -> None:
    ticks = climb(23)
    others = [book(number, 3000.0, "ETHUSDT") for number in range(1, 3)]
    rig = listen(profile(drift_min=1.0, forecast_every_ms=500.0), *others, *ticks)
    told = rig.all(Forecast)
    assert {forecast.symbol for forecast in told} == {"BTCUSDT"}, "the other is not ready yet"
    # ready at the third quote, then every fifth
    assert [(f.at_ns - T0_NS) // STEP_NS for f in told] == [3, 8, 13, 18, 23]
    rig.close()


def test_a_signal_carries_what_it_saw() -> None:
    rig = listen(profile(), *climb(3))
    entry, forecast = rig.one(Entry), rig.one(Forecast)
    assert (entry.signal_id, entry.symbol, entry.side) == (1, "BTCUSDT", 1)
    assert (entry.bid, entry.ask) == (60015.0, 60016.0)
    assert entry.at_ns == T0_NS + 3 * STEP_NS
    assert entry.tick_ns == entry.at_ns - 3 * MS
    assert (entry.drift, entry.confidence, entry.half_life_s) == (
        forecast.drift,
        forecast.confidence,
        60.0,
    )
    assert entry.forecast == pytest.approx(60015.5 * (1.0 + entry.drift), rel=1e-15)
    assert entry.atr == inf, "no full window of bars yet"
    rig.close()


def test_a_fall_is_a_short() -> None:
    rig = listen(profile(), *climb(3, step=-5.0))
    entry = rig.one(Entry)
    assert entry.side == -1
    assert entry.drift < 0.0
    assert entry.forecast < 59985.5
    rig.close()


def test_volatility_and_range_go_with_the_signal() -> None:
    prices = [60000.0, 60010.0, 60004.0]
    trades = [trade(10 * number, price) for number, price in enumerate(prices, 1)]
    ticks = climb(40)
    rig = listen(profile(cooldown_s=3.5), *ticks[:5], *trades, *ticks[5:])
    entry = rig.all(Entry)[-1]
    assert entry.at_ns == T0_NS + 38 * STEP_NS
    # two bars closed: the first of one trade, the second up by ten
    assert entry.atr == pytest.approx((0.0 + 10.0) / 2)
    sampled = Volatility()
    for tick in ticks[:38]:
        sampled.update(tick.at_ns, tick.bid + 0.5)
    assert entry.volatility == sampled.sigma > 0.0
    rig.close()


def test_after_an_entry_the_symbol_rests_for_the_cooldown() -> None:
    rig = listen(profile(cooldown_s=2.0), *climb(45))
    assert [(e.at_ns - T0_NS) // STEP_NS for e in rig.all(Entry)] == [3, 23, 43]
    assert [e.signal_id for e in rig.all(Entry)] == [1, 2, 3]
    rig.close()


def test_a_signal_not_sure_enough_is_refused_and_rests_a_second() -> None:
    rig = Rig(profile(confidence_min=2.0, cooldown_s=20.0))
    ref = rig.start(Signals)
    rig.tell(ref, *climb(25))
    refusals = rig.all(Refusal)
    assert not rig.all(Entry)
    assert [(r.at_ns - T0_NS) // STEP_NS for r in refusals] == [3, 13, 23]
    assert [r.signal_id for r in refusals] == [1, 2, 3]
    assert {(r.gate, r.threshold, r.symbol) for r in refusals} == {("confidence", 2.0, "BTCUSDT")}
    assert refusals[0].measured == rig.all(Forecast)[0].confidence
    assert rig.report(ref) == {"signals": 3}
    rig.close()


def test_a_drift_below_the_minimum_is_no_signal() -> None:
    rig = listen(profile(drift_min=0.5), *climb(30))
    assert rig.all(Forecast)
    assert not rig.all(Entry)
    assert not rig.all(Refusal)
    rig.close()


def test_one_symbols_rest_does_not_silence_another() -> None:
    eths = [book(number, 3000.0 + number, "ETHUSDT") for number in range(1, 5)]
    rig = listen(profile(), *climb(4), *eths)
    assert [e.symbol for e in rig.all(Entry)] == ["BTCUSDT", "ETHUSDT"]
    rig.close()


def test_signals_time_themselves() -> None:
    rig = listen(profile(), *climb(4))
    assert rig.wiring.stages.signals.count == 4
    rig.close()
