"""One call updates every layer as it would be alone; pairing; what each expects of the horizon."""

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from hfengine.actors.layering import layers_of
from hfengine.kernels import layers as kernel
from hfengine.kernels.calculus import Calculus
from hfengine.kernels.cross import Cross
from hfengine.kernels.drift import Drift
from hfengine.kernels.flow import Flow
from hfengine.kernels.fusion import Fusion
from hfengine.kernels.kalman import Kalman
from hfengine.kernels.layers import Layers
from hfengine.kernels.ou import OrnsteinUhlenbeck
from hfengine.settings import Protection, Signals

T0_NS = 1_723_075_200_000_000_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
# Short memories, so that every layer speaks within seconds.
QUICK = Signals(
    warmup=20,
    horizon_s=1.28,
    trend_s=0.5,
    ou_half_life_s=2.0,
    drift_half_life_s=20.0,
    drift_ridge=10.0,
    cross_step_ms=20.0,
    cross_half_life_s=5.0,
)


class Event(NamedTuple):
    symbol: str
    at_ns: int
    bid: float
    bid_quantity: float
    ask: float
    ask_quantity: float
    traded: float
    side: int


def market(count: int, seed: int = 4) -> Iterator[Event]:
    """Yield quotes of a leader and of followers that do the same 20 ms later, reverting."""
    rng = random.Random(seed)
    away, late = 0.0, [0.0, 0.0]
    for number in range(count):
        at_ns = T0_NS + number * 20_000_000
        away = 0.97 * away + 1e-4 * rng.gauss(0, 1)
        for place, symbol in enumerate(SYMBOLS):
            level = away if place == 0 else late[-1]
            bid = (60_000.0, 3_000.0, 150.0)[place] * math.exp(level)
            quantities = rng.uniform(0.1, 5.0), rng.uniform(0.1, 5.0)
            traded = rng.expovariate(1.0) if rng.random() < 0.4 else 0.0
            side = 1 if rng.random() < 0.5 else -1
            ask = bid * 1.00001
            yield Event(symbol, at_ns, bid, quantities[0], ask, quantities[1], traded, side)
        late.append(away)


def feed(layers: Layers, event: Event) -> bool:
    if event.traded:
        layers.update_trade(event.at_ns, event.bid, event.traded, event.side)
    return layers.update_book(
        event.at_ns, event.bid, event.bid_quantity, event.ask, event.ask_quantity
    )


def observed(layers: Layers) -> list[object]:
    of_each = [
        (layers.expectation(i), layers.confidence_of(i), layers.ready_of(i)) for i in range(7)
    ]
    whole = (layers.drift, layers.forecast, layers.half_life_s, layers.sigma, layers.atr)
    return [*of_each, *whole, layers.gate(), layers.drift_layer.coefficients]


def test_names_stand_at_their_numbers() -> None:
    for number, name in enumerate(kernel.NAMES):
        assert getattr(kernel, name.upper()) == number


def test_every_layer_is_as_it_would_be_alone() -> None:
    together = layers_of(QUICK, Protection(), SYMBOLS)
    eth = together["ETHUSDT"]
    calculus = Calculus(QUICK.calculus_window_s, QUICK.calculus_samples, QUICK.gap_max_s, 20)
    kalman = Kalman(QUICK.kalman_process_noise, QUICK.kalman_measurement_noise, QUICK.gap_max_s, 20)
    ou = OrnsteinUhlenbeck(QUICK.ou_half_life_s, QUICK.gap_max_s, 20)
    flow = Flow(QUICK.flow_half_life_s, QUICK.gap_max_s, 20)
    drift = Drift(1.28, 20.0, 10.0, QUICK.gap_max_s, 20)
    cross = Cross(20.0, QUICK.cross_lags, 5.0, 20, QUICK.gap_max_s)
    spoke = set()
    for event in market(1_200):
        ready = feed(together[event.symbol], event)
        mid = 0.5 * (event.bid + event.ask)
        if event.symbol == "BTCUSDT":
            cross.update_a(event.at_ns, mid)
        if event.symbol != "ETHUSDT":
            continue
        cross.update_b(event.at_ns, mid)
        for layer in (calculus, kalman, ou):
            layer.update(event.at_ns, mid)
        if event.traded:
            flow.update_trade(event.at_ns, event.traded, event.side)
            drift.update_trade(event.at_ns, event.traded)
        flow.update_quote(event.at_ns, event.bid, event.bid_quantity, event.ask, event.ask_quantity)
        drift.update_price(event.at_ns, mid)
        follows = cross.lead_lag_ms > 0.0
        expected = [
            calculus.velocity * 0.5,
            kalman.slope * 0.5,
            2.0 * ou.value * (1.0 - math.exp(-ou.theta * 1.28)),
            flow.value * QUICK.flow_move_bps * 1e-4,
            drift.value,
            cross.value if follows else 0.0,
        ]
        sure = [one.confidence for one in (calculus, kalman, ou, flow, drift)]
        sure.append(cross.confidence if follows else 0.0)
        assert [eth.expectation(i) for i in range(6)] == pytest.approx(expected, rel=1e-12)
        assert [eth.confidence_of(i) for i in range(6)] == sure
        kernels = (calculus, kalman, ou, flow, drift, cross)
        assert [eth.ready_of(i) for i in range(6)] == [one.ready for one in kernels]
        assert ready == eth.ready == (kalman.ready and flow.ready)
        spoke |= {i for i in range(6) if sure[i] > 0.5 and expected[i] != 0.0}
        fusion = Fusion(eth.fusion.weights, 1.28, QUICK.drift_min, 0.6, 0.5)
        fusion.update(expected, sure, ou.half_life_s, follows and cross.leader != 0)
        assert (eth.drift, eth.confidence) == pytest.approx((fusion.drift, fusion.confidence))
        assert eth.gate() == fusion.gate()
        assert eth.half_life_s == pytest.approx(fusion.half_life_s)
        assert eth.refused_gate == fusion.refused_gate
        assert eth.expectation(kernel.FUSION) == eth.fusion.value
        assert eth.forecast == pytest.approx(mid * (1.0 + eth.drift), rel=1e-15)
    assert spoke >= {0, 1, 2, 3, 5}, "a layer that never spoke was not tested"


def test_layer_6_speaks_to_followers_alone_and_pairs_share_it() -> None:
    together = layers_of(QUICK, Protection(), SYMBOLS)
    spoken = dict.fromkeys(SYMBOLS, 0)
    for event in market(1_200):
        feed(together[event.symbol], event)
        spoken[event.symbol] += together[event.symbol].confidence_of(kernel.CROSS) > 0.95
    btc, eth, sol = together.values()
    assert btc.cross is eth.cross is not sol.cross
    assert eth.cross is not None
    assert (eth.cross.lead_lag_ms, eth.cross.leader) == (20.0, 1)
    assert spoken["BTCUSDT"] == 0
    assert min(spoken["ETHUSDT"], spoken["SOLUSDT"]) > 500


def test_the_common_symbol_may_be_named_and_the_lead_is_estimated() -> None:
    settings = Signals(warmup=20, cross_with="ETHUSDT", cross_step_ms=20.0, cross_half_life_s=5.0)
    together = layers_of(settings, Protection(), SYMBOLS[:2])
    for event in market(600):
        if event.symbol in together:
            feed(together[event.symbol], event)
    btc, eth = together.values()
    assert eth.cross is not None
    # now leg a is ETH, so its leader's lag is negative
    assert (eth.cross.lead_lag_ms, eth.cross.leader) == (-20.0, -1)
    assert eth.confidence_of(kernel.CROSS) > 0.95
    assert btc.confidence_of(kernel.CROSS) == 0.0


def test_one_symbol_alone_has_no_layer_6() -> None:
    alone = layers_of(QUICK, Protection(), SYMBOLS[:1])["BTCUSDT"]
    for event in market(100):
        if event.symbol == "BTCUSDT":
            feed(alone, event)
    assert alone.cross is None
    assert not alone.ready_of(kernel.CROSS)
    assert alone.expectation(kernel.CROSS) == alone.confidence_of(kernel.CROSS) == 0.0
    assert alone.ready


def test_same_events_same_numbers_and_reset_is_exact() -> None:
    first, second = (layers_of(QUICK, Protection(), SYMBOLS) for _ in range(2))
    for event in market(300, seed=9):
        feed(second[event.symbol], event)
    for layers in second.values():
        layers.reset()
    assert observed(second["ETHUSDT"]) == observed(
        layers_of(QUICK, Protection(), SYMBOLS)["ETHUSDT"]
    )
    for event in market(300):
        feed(first[event.symbol], event)
        feed(second[event.symbol], event)
        assert observed(first[event.symbol]) == observed(second[event.symbol])


def test_a_jump_expects_no_more_than_a_tenth() -> None:
    layers = layers_of(QUICK, Protection(), SYMBOLS[:1])["BTCUSDT"]
    largest = 0.0
    for number in range(60):
        bid = 60_000.0 if number < 50 else 90_000.0
        layers.update_book(T0_NS + number * 200_000_000, bid, 1.0, bid + 0.1, 1.0)
        assert all(abs(layers.expectation(i)) <= 0.1 for i in range(7))
        largest = max(largest, layers.calculus.velocity * layers.trend_s)
    assert largest > 0.1


@pytest.mark.parametrize("gap_s", [0.0, 1e-9, 240.0, 8 * 3600.0])
@pytest.mark.parametrize("jump", [1.0, 0.3, 3.0])
def test_stays_finite_through_gaps_jumps_and_standstill(gap_s: float, jump: float) -> None:
    layers = layers_of(QUICK, Protection(), SYMBOLS[:1])["BTCUSDT"]
    at_ns, bid = T0_NS, 60_000.0
    for number in range(400):
        if number == 200:
            at_ns, bid = at_ns + int(gap_s * 1e9), bid * jump
        at_ns += 20_000_000 if number % 3 else 0
        layers.update_book(at_ns, bid + 0.1 * (number % 2), 1.0, bid + 0.2, 0.0)
        if number == 230:
            layers.update_trade(at_ns, 0.5 * bid, 1e6, -1)
        for i in range(7):
            assert math.isfinite(layers.expectation(i))
            assert 0.0 <= layers.confidence_of(i) <= 1.0
    assert math.isfinite(layers.drift)
    assert layers.half_life_s > 0.0


@pytest.mark.parametrize(
    "quote",
    [(0.0, 1.0, 1.0, 1.0), (1.0, -1.0, 2.0, 1.0), (1.0, 1.0, math.inf, 1.0), (math.nan, 1, 2, 1)],
)
def test_a_quote_that_is_none_is_refused_and_changes_nothing(
    quote: tuple[float, float, float, float],
) -> None:
    layers, untouched = (layers_of(QUICK, Protection(), SYMBOLS) for _ in range(2))
    for event in market(50):
        feed(layers[event.symbol], event)
        feed(untouched[event.symbol], event)
    with pytest.raises(ValueError, match="prices must be positive"):
        layers["BTCUSDT"].update_book(T0_NS + 10**10, *quote)
    for trade in ((0.0, 1.0, 1), (1.0, 0.0, 1), (1.0, 1.0, 0), (math.nan, 1.0, 1)):
        with pytest.raises(ValueError, match="trade of"):
            layers["BTCUSDT"].update_trade(T0_NS + 10**10, *trade)
    assert observed(layers["BTCUSDT"]) == observed(untouched["BTCUSDT"])


def test_layer_numbers_and_legs_are_checked() -> None:
    layers = layers_of(QUICK, Protection(), SYMBOLS)["BTCUSDT"]
    for layer in (-1, 7):
        for ask in (layers.expectation, layers.confidence_of, layers.ready_of):
            with pytest.raises(ValueError, match="layer"):
                ask(layer)
    with pytest.raises(ValueError, match="leg 0"):
        layers.pair(Cross(20.0, 3, 5.0, 1), 0, True)
