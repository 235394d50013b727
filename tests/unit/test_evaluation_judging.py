"""Verdicts: what is planted is found, noise is not, and fees are never forgotten."""

import numpy as np
import pytest
from msgspec.structs import replace

from hfengine.evaluation.judging import AGAINST, EVIDENCE, LOSES, NONE, PAYS, Costs, judge
from hfengine.evaluation.report import sentences
from hfengine.evaluation.sampling import LAYERS, forward
from tests.fake_layers import samples, walk

COSTS = Costs(fee={"BTCUSDT": 0.0005, "ETHUSDT": 0.0005}, slippage=0.00002)
FREE = Costs(fee={"BTCUSDT": 0.0, "ETHUSDT": 0.0}, slippage=0.0)


def next_second(log_price):
    """Return the log return of the second after each step: what no forecast can know."""
    ahead = np.zeros(len(log_price))
    ahead[:-10] = log_price[10:] - log_price[:-10]
    return ahead


def planted(rng, count=3_000, share=0.5, sigma=1e-4):
    """Return a walk and a forecast that correlates with its next second."""
    price = walk(rng, count, sigma)
    ahead = next_second(price)
    noise = np.std(ahead) * rng.standard_normal(count)
    return price, share * ahead + (1.0 - share) * noise


def test_a_planted_signal_is_found_and_of_the_planted_size():
    price, forecast = planted(np.random.default_rng(1))
    row = judge([samples(price, forecast, layers=1)], [1.0], FREE, 0.6)[0]
    assert row.layer == "calculus"
    assert row.verdict == EVIDENCE
    assert row.after_costs == PAYS
    # of bivariate normals with correlation sqrt(1/2)
    truth = np.corrcoef(forecast[:-10], next_second(price)[:-10])[0, 1]
    assert truth == pytest.approx(0.7071, abs=0.03)
    assert row.ic.low < truth < row.ic.high
    assert row.hit_rate.mean == pytest.approx(0.5 + np.arcsin(truth) / np.pi, abs=0.03)
    assert row.coverage.mean == 1.0


def test_a_signal_turned_round_is_evidence_against():
    price, forecast = planted(np.random.default_rng(1))
    row = judge([samples(price, -forecast, layers=1)], [1.0], FREE, 0.6)[0]
    assert (row.verdict, row.after_costs) == (AGAINST, LOSES)


def test_noise_is_no_evidence_in_all_but_one_of_twenty_families():
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(100 + seed)
        forecasts = rng.standard_normal((1_500, len(LAYERS)))
        rows = judge([samples(walk(rng, 1_500), forecasts)], [1.0, 5.0], FREE, 0.6)
        assert len(rows) == 14
        found += any(row.verdict != NONE for row in rows)
    # 5 % of 40 is 2; 7 or more has a probability of 0.3 %
    assert found <= 6


def test_a_forecast_of_the_past_is_worthless_and_the_same_a_horizon_earlier_is_perfect():
    rng = np.random.default_rng(4)
    price = walk(rng, 3_000)
    ahead = next_second(price)
    behind = np.concatenate([np.zeros(10), ahead[:-10]])
    leaking, honest = (
        judge([samples(price, forecast, layers=1)], [1.0], FREE, 0.6)[0]
        for forecast in (ahead, behind)
    )
    assert leaking.ic.mean > 0.999
    assert honest.verdict == NONE


def test_shuffling_the_forecasts_destroys_the_evidence():
    rng = np.random.default_rng(6)
    price, forecast = planted(rng)
    row = judge([samples(price, rng.permutation(forecast), layers=1)], [1.0], FREE, 0.6)[0]
    assert row.verdict == NONE


def test_costs_are_fees_twice_slippage_twice_and_the_spread():
    price, forecast = planted(np.random.default_rng(2))
    taken = samples(price, forecast, half_spread=3.0, layers=1)
    row = judge([taken], [1.0], COSTS, 0.6)[0]
    assert row.cost_bps == pytest.approx(10.0 + 0.4 + 2 * 3.0 / 60_000 * 1e4, rel=0.02)
    assert row.net_bps.mean == pytest.approx(row.gross_bps.mean - row.cost_bps)
    assert row.verdict == EVIDENCE
    assert row.after_costs == LOSES
    said = " ".join(sentences([row], 300.0))
    assert "Evidence of prediction" in said
    assert "does not survive fees" in said
    assert "calculus at 1s gains +" in said


def test_gain_is_that_of_the_side_followed():
    price = 1e-4 * np.arange(1_000.0)
    row = judge([samples(price, -np.ones(1_000), layers=1)], [1.0], FREE, 0.6)[0]
    assert row.gross_bps.mean == pytest.approx(-1e4 * np.expm1(1e-3))
    assert row.hit_rate.mean == 0.0
    assert 0.0 < row.hit_rate.high < 0.1


def test_only_confident_samples_are_followed():
    price, forecast = planted(np.random.default_rng(3))
    taken = samples(price, forecast, layers=1)
    taken.confidence[::4, :] = 0.59999
    row = judge([taken], [1.0], FREE, 0.6)[0]
    assert row.coverage.mean == pytest.approx(0.75, abs=0.001)
    assert row.followed == pytest.approx(0.75 * row.samples, abs=1)
    assert row.ready == row.samples


def test_a_layer_that_is_never_ready_or_silent_is_told_apart():
    rng = np.random.default_rng(8)
    taken = samples(walk(rng, 1_000), np.zeros((1_000, 2)))
    taken.expectation[:, 0] = rng.standard_normal(1_000)
    rows = judge([taken], [1.0], FREE, 0.6)
    assert [row.why for row in rows[:3]] == ["", "never gave a forecast", "never ready"]
    assert rows[1].ic is None
    said = sentences(rows, 100.0)
    assert "No evidence, never gave a forecast in these recordings: kalman." in said
    assert any(text.startswith("No evidence, never ready") and "fusion" in text for text in said)


def test_too_few_horizons_are_no_evidence_even_of_a_perfect_forecast():
    price = walk(np.random.default_rng(9), 1_200)
    ahead = np.zeros(1_200)
    ahead[:-100] = price[100:] - price[:-100]
    row = judge([samples(price, ahead, layers=1)], [10.0], FREE, 0.6)[0]
    assert row.independent_horizons == 11
    assert row.verdict == NONE
    assert row.why == "11 independent horizons, 12 needed"
    assert row.ic is None
    assert row.net_bps is None
    assert "11" not in sentences([row], 120.0)[0]
    assert "too little data" in sentences([row], 120.0)[0]


def test_two_symbols_that_move_as_one_count_as_one():
    price, forecast = planted(np.random.default_rng(5), share=0.2)
    one = samples(price, forecast, layers=1)
    twin = replace(one, symbol="ETHUSDT")
    alone = judge([one], [1.0], FREE, 0.6)[0]
    both = judge([one, twin], [1.0], FREE, 0.6)[0]
    assert both.samples == 2 * alone.samples
    assert both.independent_horizons == alone.independent_horizons
    assert both.ic.mean == pytest.approx(alone.ic.mean)
    assert both.ic.reach == pytest.approx(alone.ic.reach)


def test_two_symbols_of_their_own_tell_more_than_one():
    rng = np.random.default_rng(5)
    pair = [
        samples(*planted(rng, share=0.2), symbol=symbol, layers=1)
        for symbol in ("BTCUSDT", "ETHUSDT")
    ]
    alone = judge(pair[:1], [1.0], FREE, 0.6)[0]
    both = judge(pair, [1.0], FREE, 0.6)[0]
    assert both.ic.reach / alone.ic.reach == pytest.approx(0.5**0.5, abs=0.15)


def test_the_corrected_interval_is_wider_and_decides():
    rng = np.random.default_rng(12)
    price, forecast = planted(rng, share=0.08)
    columns = np.column_stack([forecast, *rng.standard_normal((6, len(price)))])
    rows = judge([samples(price, columns)], [1.0], FREE, 0.6)
    for row in rows:
        assert row.ic_corrected.high - row.ic_corrected.low > 2 * row.ic.reach
        holds_zero = row.ic_corrected.low <= 0.0 <= row.ic_corrected.high
        assert (row.verdict == NONE) == holds_zero


def test_no_return_is_taken_across_a_break_of_the_book():
    taken = samples(walk(np.random.default_rng(1), 100), np.ones(100))
    taken.run[40:] = 1
    kept = forward(taken, 1_000_000_000).kept.tolist()
    assert kept == [*range(30), *range(40, 90)]
