"""The evaluation on the two 2024-08-08 perpetual recordings."""

import pytest

from hfengine.actors.layering import layers_of
from hfengine.evaluation.judging import LOSES, NONE, Costs
from hfengine.evaluation.report import Asked, evaluate
from hfengine.evaluation.sampling import LAYERS, Grid, collect
from hfengine.feeds.replay import Replay
from hfengine.instruments import load_catalogue
from hfengine.settings import Settings
from tests.shared import RECORDINGS, needs_shared

GRID = Grid(age_max_ns=1_000_000_000, gap_max_ns=10_000_000_000)
HORIZONS_S = (1.0, 5.0, 15.0, 60.0)
FILES = ("btcusdt_20240808.gz", "ethusdt_20240808.gz")
FRAMES = 93_954 + 74_655
"""As the catalogue of the recordings counts them."""

DIFF_AND_QUOTE_RATE = {"BTCUSDT": 192.0 + 19.0, "ETHUSDT": 157.0 + 19.1}
"""Best-quote changes and diffs a second, as the recordings' own description has them."""

PRICES = {"BTCUSDT": (61_590.0, 61_840.0), "ETHUSDT": (2_677.9, 2_684.6)}


@pytest.fixture(scope="module")
def collected():
    feed = Replay([RECORDINGS / "binance-usdm" / name for name in FILES])
    settings = Settings()
    layers = layers_of(settings.signals, settings.protection, feed.symbols)
    return collect(feed, layers, load_catalogue("binance"), GRID)


@pytest.fixture(scope="module")
def found(collected):
    costs = Costs(fee=dict.fromkeys(PRICES, 0.0005), slippage=2e-5)
    asked = Asked(
        profile="paper",
        recordings=FILES,
        horizons_s=HORIZONS_S,
        forecast_horizon_s=60.0,
        confidence_min=0.6,
        costs=costs,
    )
    return evaluate(collected, asked, GRID)


@needs_shared
def test_every_frame_is_read_and_sampled_without_a_fault(collected):
    assert collected.frames == FRAMES
    assert collected.faults == {}
    for taken in collected.samples:
        assert 3_400 < len(taken.at_ns) < 3_450
        low, high = PRICES[taken.symbol]
        assert low - 1 <= taken.mid.min() < taken.mid.max() <= high + 1
        rate = len(taken.path_ns) / 345.0
        assert rate == pytest.approx(DIFF_AND_QUOTE_RATE[taken.symbol], rel=0.25)
        assert set(taken.run) == {0}


@needs_shared
def test_each_layer_is_judged_at_each_horizon_and_60_s_is_too_far_for_345(found):
    assert [(row.layer, row.horizon_s) for row in found.rows] == [
        (layer, horizon_s) for layer in LAYERS for horizon_s in HORIZONS_S
    ]
    for row in found.rows:
        assert row.independent_horizons <= 345.0 / row.horizon_s + 1
        if row.horizon_s == 60.0:
            assert row.ic is None
            assert row.verdict == NONE
            assert row.why
    assert any("too little data" in text for text in found.sentences)
    judged = {row.layer for row in found.rows if row.ic is not None}
    assert {"kalman", "flow", "fusion"} <= judged


@needs_shared
def test_nothing_survives_a_taker_s_fees_and_it_is_said(found):
    paid = [row for row in found.rows if row.net_bps is not None]
    assert len(paid) > 5
    for row in paid:
        # two fees of 5 bps, two slippages of 0.2, and a spread of 0.02 to 0.04
        assert 10.41 < row.cost_bps < 10.5
        assert abs(row.gross_bps.mean) < 3.0
        assert row.after_costs == LOSES
    text = " ".join(found.sentences)
    assert "survive fees" in text or "Nothing here pays" in text


@needs_shared
def test_eth_follows_btc_within_a_second(found):
    # the recordings' own description: BTC's 100 ms return correlates 0.21 with ETH's next
    cross = next(row for row in found.rows if (row.layer, row.horizon_s) == ("cross", 1.0))
    assert cross.ic.low > 0.0
