"""Every layer against its reference on the BTC and ETH perpetuals of 2024-08-08, to 1e-9.

The quantities are the exact estimates; where one is a difference of larger terms (a derivative of a
fit, a factor near its mean) it is held to 1e-9 of those terms. Log prices near 11 that move by 1e-5
leave ten digits, so nothing here may sum log prices themselves: kernels and references alike sum
differences from one of them, which are exact.
"""

import functools
import gzip
import re
from typing import NamedTuple

import numpy as np
import pytest

from hfengine.actors.layering import layers_of
from hfengine.kernels.layers import Layers
from hfengine.settings import Protection, Signals
from tests.reference.bars import TrueRange, Volatility
from tests.reference.calculus import Calculus
from tests.reference.drift_layer import Drift
from tests.reference.flow import Flow
from tests.reference.fusion import fused
from tests.reference.kalman import Kalman
from tests.reference.ou import OrnsteinUhlenbeck
from tests.shared import RECORDINGS, needs_shared

LINE = re.compile(
    rb'^(\d{19}) .*(?:"bookTicker".*"b":"([\d.]+)","B":"([\d.]+)","a":"([\d.]+)","A":"([\d.]+)"'
    rb'|"trade".*"p":"([\d.]+)","q":"([\d.]+)","X":"MARKET","m":(\w+))'
)
OWN = Signals(warmup=50, ou_half_life_s=30.0)
pytestmark = needs_shared
symbols = pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])


class Seen(NamedTuple):
    """A quote (bid, quantity, ask, quantity), or a trade (price, quantity, side)."""

    at_ns: int
    numbers: tuple[float, ...]


@functools.cache
def recorded(symbol: str) -> tuple[Seen, ...]:
    found = []
    with gzip.open(RECORDINGS / "binance-usdm" / f"{symbol}_20240808.gz") as lines:
        for line in lines:
            if not (match := LINE.match(line)):
                continue
            at_ns, quote, trade = int(match[1]), match.groups()[1:5], match.groups()[5:]
            if quote[0] is not None:
                found.append(Seen(at_ns, tuple(map(float, quote))))
            else:
                side = -1 if trade[2] == b"true" else 1
                found.append(Seen(at_ns, (float(trade[0]), float(trade[1]), side)))
    return tuple(found)


def feed(layers: Layers, seen: Seen) -> float:
    """Feed one event; return the mid of a quote, 0 for a trade."""
    if len(seen.numbers) == 3:
        price, quantity, side = seen.numbers
        layers.update_trade(seen.at_ns, price, quantity, int(side))
        return 0.0
    bid, bid_quantity, ask, ask_quantity = seen.numbers
    layers.update_book(seen.at_ns, bid, bid_quantity, ask, ask_quantity)
    return 0.5 * (bid + ask)


def alone(own: Signals = OWN) -> Layers:
    return layers_of(own, Protection(), ("BTCUSDT",))["BTCUSDT"]


@symbols
def test_calculus(symbol: str) -> None:
    layers, compared = alone(), 0
    reference = Calculus(OWN.calculus_window_s, OWN.calculus_samples, OWN.gap_max_s, OWN.warmup)
    for number, seen in enumerate(recorded(symbol)[:30_000]):
        mid = feed(layers, seen)
        if not mid:
            continue
        reference.update(seen.at_ns, mid, fit=False)
        if number % 199:
            continue
        reference.fit()
        calculus = layers.calculus
        assert (calculus.kept, calculus.degree) == (len(reference.kept), reference.degree)
        got = [calculus.level, calculus.velocity, calculus.acceleration, calculus.jerk]
        slack = 1e-9 * reference.reach * getattr(reference, "largest", 0.0)
        expected = reference.fitted
        assert np.all(np.abs(got - expected[:4]) <= 1e-9 * np.abs(expected[:4]) + slack[:4])
        assert calculus.sigma == pytest.approx(reference.sigma, rel=1e-9, abs=1e-18)
        assert calculus.confidence == pytest.approx(reference.confidence, abs=1e-9)
        compared += reference.degree == 4
    assert compared > 40


@symbols
def test_kalman(symbol: str) -> None:
    layers, compared = alone(), 0
    reference = Kalman(
        OWN.kalman_process_noise, OWN.kalman_measurement_noise, OWN.gap_max_s, OWN.warmup
    )
    for seen in recorded(symbol)[:20_000]:
        if not (mid := feed(layers, seen)):
            continue
        reference.update(seen.at_ns, mid)
        kalman, (level, slope, curvature) = layers.kalman, reference.x
        assert kalman.level == pytest.approx(level, rel=1e-12)
        # Rounding of log price, times the gain that made the slope of it.
        scale = np.sqrt(np.diag(reference.p))
        assert kalman.slope == pytest.approx(slope, rel=1e-9, abs=1e-9 * scale[1])
        assert kalman.curvature == pytest.approx(curvature, rel=1e-9, abs=1e-9 * scale[2])
        assert kalman.innovation_sigma == pytest.approx(reference.innovation_sigma, rel=1e-9)
        assert kalman.confidence == pytest.approx(reference.confidence, rel=1e-9, abs=1e-9)
        compared += kalman.ready
    assert compared > 2_000


@symbols
def test_ornstein_uhlenbeck(symbol: str) -> None:
    layers, reverting = alone(), 0
    reference = OrnsteinUhlenbeck(OWN.ou_half_life_s, OWN.gap_max_s, OWN.warmup)
    for number, seen in enumerate(recorded(symbol)):
        if not (mid := feed(layers, seen)):
            continue
        reference.update(seen.at_ns, mid)
        if number % 1_999:
            continue
        reference.estimate()
        ou = layers.ou
        assert ou.pairs == reference.pairs
        assert ou.theta == pytest.approx(reference.theta, rel=1e-9)
        assert ou.mu == pytest.approx(reference.mu, rel=1e-9)
        assert ou.sigma == pytest.approx(reference.sigma, rel=1e-9)
        assert ou.t_statistic == pytest.approx(reference.t_statistic, rel=1e-9)
        assert ou.value == pytest.approx(reference.value, rel=1e-9)
        assert ou.z_score == pytest.approx(reference.z_score, rel=1e-9)
        assert ou.confidence == pytest.approx(reference.confidence, rel=1e-9)
        reverting += reference.theta > 0.0
    assert reverting > 3


@symbols
def test_flow_and_bars(symbol: str) -> None:
    layers, compared = alone(), 0
    flow = Flow(OWN.flow_half_life_s, OWN.gap_max_s, OWN.warmup)
    bars, sampled = TrueRange(Protection().atr_bar_s, Protection().atr_bars), Volatility()
    for number, seen in enumerate(recorded(symbol)):
        if mid := feed(layers, seen):
            flow.update_quote(seen.at_ns, *seen.numbers)
            sampled.update(seen.at_ns, mid)
        else:
            flow.update_trade(seen.at_ns, seen.numbers[1], int(seen.numbers[2]))
            bars.update(seen.at_ns, seen.numbers[0])
        assert layers.sigma == sampled.sigma
        if number % 4_999:
            continue
        # Of the last sixty seconds no older event has a weight above 1e-18.
        for events in (flow.quote_events, flow.trade_events):
            events[:] = [event for event in events if event[0] > seen.at_ns - 60 * 10**9]
        assert layers.flow.value == pytest.approx(flow.value, rel=1e-9, abs=1e-12)
        assert layers.flow.confidence == pytest.approx(flow.confidence, rel=1e-9, abs=1e-9)
        compared += layers.flow.ready
    assert compared > 3
    assert bars.ready
    assert layers.atr == bars.atr


@symbols
def test_drift(symbol: str) -> None:
    own = Signals(warmup=1, horizon_s=20.0, drift_half_life_s=60.0)
    layers = alone(own)
    reference = Drift(own.horizon_s, own.drift_half_life_s, own.drift_ridge, own.gap_max_s, 1)
    compared = 0
    first_ns = recorded(symbol)[0].at_ns
    for seen in recorded(symbol):
        if seen.at_ns > first_ns + 70 * 10**9:
            break
        before = reference.steps
        if mid := feed(layers, seen):
            reference.update_price(seen.at_ns, mid)
        else:
            reference.update_trade(seen.at_ns, seen.numbers[1])
        drift = layers.drift_layer
        assert drift.steps == reference.steps
        if reference.steps == before or reference.steps < 64:
            continue
        learned = [float(c) for c in reference.coefficients]
        largest = max(map(abs, learned))
        assert drift.factors == pytest.approx(reference.factors, rel=1e-9, abs=1e-9)
        assert drift.coefficients == pytest.approx(learned, rel=1e-9, abs=1e-9 * largest)
        assert drift.value == pytest.approx(reference.value, rel=1e-9, abs=1e-9 * largest)
        assert drift.confidence == pytest.approx(reference.confidence, rel=1e-9, abs=1e-9)
        compared += largest > 0.0
    assert compared > 60


@symbols
def test_fusion(symbol: str) -> None:
    layers, told = alone(), 0
    for number, seen in enumerate(recorded(symbol)):
        if not feed(layers, seen) or number % 97:
            continue
        moves = [layers.expectation(i) for i in range(6)]
        sure = [layers.confidence_of(i) for i in range(6)]
        pooled, support, opposition = fused(layers.fusion.weights, moves, sure)
        assert layers.fusion.value == pytest.approx(pooled, rel=1e-9, abs=1e-18)
        assert layers.fusion.support == pytest.approx(support, rel=1e-9, abs=1e-15)
        assert layers.fusion.opposition == pytest.approx(opposition, rel=1e-9, abs=1e-15)
        told += layers.confidence > 0.0
    assert told > 100
