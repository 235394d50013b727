"""Signals: what the layers say is told at its pace; signals are entered or refused."""

from itertools import pairwise
from math import inf
from typing import Any

import pytest

from hfengine.actors.layering import layers_of
from hfengine.actors.signals import Signals
from hfengine.messages import BookTick, Entry, Forecast, Refusal, TradeTick
from hfengine.oversight import MarketQuality
from hfengine.settings import Protection, Settings
from hfengine.settings import Signals as SignalSettings
from tests.reference.bars import Volatility
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


def test_a_forecast_is_what_the_layers_give() -> None:
    settings = profile(drift_min=1.0)
    zigzag = (60000.0, 60005.0, 60002.0, 60002.0, 60009.0, 60030.0)
    ticks = [book(number, bid) for number, bid in enumerate(zigzag, 1)]
    trades = [trade(number, 60000.0, -1) for number in (1, 3)]
    rig = listen(settings, *trades, *ticks)
    layers = layers_of(settings.signals, settings.protection, settings.symbols)["BTCUSDT"]
    for sold in trades:
        layers.update_trade(sold.at_ns, sold.price, sold.quantity, sold.side)
    for tick in ticks:
        layers.update_book(tick.at_ns, tick.bid, tick.bid_quantity, tick.ask, tick.ask_quantity)
    told = rig.all(Forecast)[-1]
    assert told.at_ns == ticks[5].at_ns
    assert told.price == 60030.5
    assert told.drift == layers.drift != 0.0
    assert told.forecast == pytest.approx(60030.5 * (1.0 + told.drift), rel=1e-15)
    assert told.half_life_s == settings.signals.horizon_s
    assert told.confidence == layers.confidence
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


def test_a_market_is_judged_before_it_is_entered_and_nothing_else_is_told_first() -> None:
    rig = listen(profile(), *climb(3))
    order = [type(message) for message in rig.heard]
    assert order[-3:] == [MarketQuality, Entry, Forecast]
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


def test_market_quality_is_told_at_most_once_a_second() -> None:
    ticks = [book(number, 60000.0) for number in range(1, 31)]
    rig = listen(profile(drift_min=1.0), *ticks)
    told = rig.all(MarketQuality)
    assert len(told) == 3, "three seconds of ten quotes each"
    first = told[0]
    assert first.symbol == "BTCUSDT"
    assert first.spread_bps == pytest.approx(1.0 / 60000.5 * 1e4)
    assert first.age_ms == pytest.approx(3.0, abs=0.01)
    assert all(later.at_ns - one.at_ns >= 1000 * MS for one, later in pairwise(told))
    rig.close()
