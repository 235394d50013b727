"""Ridge regression of the drift layer, its score on what came after, and its file."""

import json

import numpy as np
import pytest
from msgspec.structs import replace

from hfengine.drift_model import encode_drift_model, load_drift_model
from hfengine.errors import ConfigError, FeedError
from hfengine.evaluation.sampling import Collected
from hfengine.evaluation.training import DRIFT, design, ridge_fit, sentences, train
from tests.fake_layers import START_NS, STEP_NS, samples, walk

TRUTH = np.array([0.0, 2e-4, 0.0, 0.0, -1e-4, 0.0, 0.0])


def collected(seed=1, count=6_000, planted=True, symbol="BTCUSDT"):
    """Return samples whose six factors move the price of the next second as TRUTH says."""
    rng = np.random.default_rng(seed)
    factors = np.repeat(rng.standard_normal((count // 10, 6)), 10, axis=0)
    steps = 2e-5 * rng.standard_normal(count)
    if planted:
        # a factor of step t moves the ten steps after t
        steps[1:] += factors[:-1] @ TRUTH[1:] / 10
    one = replace(samples(np.cumsum(steps), np.zeros(count), symbol=symbol), factors=factors)
    return gathered(one)


def gathered(*of):
    return Collected(
        samples=of,
        frames=0,
        faults={},
        from_ns=START_NS,
        until_ns=START_NS + STEP_NS * len(of[0].at_ns),
    )


def test_ridge_equals_least_squares_on_augmented_rows():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((50, 7)), rng.standard_normal(50)
    ridge = 0.3
    rows = np.vstack([x, np.sqrt(50 * ridge) * np.eye(7)])
    expected = np.linalg.lstsq(rows, np.concatenate([y, np.zeros(7)]), rcond=None)[0]
    assert ridge_fit(x, y, ridge) == pytest.approx(expected, rel=1e-9)


def test_planted_coefficients_are_found_and_their_score_is_evidence():
    model = train(collected(), 1.0, ["a.gz"])
    assert model.ridge == 0.01
    # samples within a block of ten see ever less of their own factor ahead: half on average
    assert model.coefficients[1] > 5e-5
    assert model.coefficients[4] < -2e-5
    assert model.coefficients[1] == pytest.approx(-2 * model.coefficients[4], rel=0.3)
    assert max(abs(model.coefficients[place]) for place in (0, 2, 3, 5, 6)) < 2e-5
    scored = model.out_of_sample
    assert scored.verdict == "evidence"
    assert scored.r2 > 0.2
    assert 0.0 < scored.ic_low < scored.ic < scored.ic_high
    assert any(text.startswith("Evidence of prediction") for text in sentences(model))


def test_noise_takes_the_largest_ridge_and_is_no_evidence():
    verdicts = []
    for seed in range(5):
        model = train(collected(seed, planted=False), 1.0, ["a.gz"])
        verdicts.append(model.out_of_sample.verdict)
        assert model.out_of_sample.r2 < 0.02
    assert verdicts.count("no evidence") >= 4


def test_the_score_is_of_what_came_after_with_a_horizon_left_out():
    horizon_ns = 5 * 1_000_000_000
    model = train(collected(), 5.0, ["a.gz"])
    fitted_until = model.trained_on.until_ns
    assert model.out_of_sample.from_ns >= fitted_until
    assert model.out_of_sample.from_ns - fitted_until <= STEP_NS
    span = model.out_of_sample.until_ns - model.trained_on.from_ns
    assert fitted_until - horizon_ns - model.trained_on.from_ns == pytest.approx(
        0.7 * (span - 2 * horizon_ns), abs=STEP_NS
    )


def test_what_comes_after_the_fit_does_not_change_the_coefficients():
    whole = collected()
    changed = replace(whole.samples[0], factors=whole.samples[0].factors.copy())
    changed.factors[4_500:] = 9.0
    assert train(gathered(changed), 1.0, []).coefficients == train(whole, 1.0, []).coefficients


def test_two_symbols_are_put_in_order_of_time():
    both = gathered(collected().samples[0], collected(2, symbol="ETHUSDT").samples[0])
    found = design(both, 1.0)
    assert np.all(np.diff(found.at_ns) >= 0)
    assert len(found) == 2 * len(design(collected(), 1.0))
    model = train(both, 1.0, ["a.gz", "b.gz"])
    assert model.symbols == ("BTCUSDT", "ETHUSDT")
    assert model.out_of_sample.verdict == "evidence"


def test_samples_before_the_drift_layer_is_ready_are_left_out():
    whole = collected()
    whole.samples[0].ready[:1_000, DRIFT] = False
    assert len(design(whole, 1.0)) == 6_000 - 1_000 - 10


@pytest.mark.parametrize(("count", "horizon_s"), [(300, 60.0), (300, 20.0), (20, 1.5)])
def test_too_short_a_recording_is_said(count, horizon_s):
    with pytest.raises(FeedError, match="do not suffice to fit and score"):
        train(collected(count=count), horizon_s, [])


def test_few_horizons_to_score_are_no_evidence():
    model = train(collected(count=600), 2.0, [])
    assert model.out_of_sample.ic is None
    assert model.out_of_sample.verdict == "no evidence"
    assert any("fewer than 12 independent horizons" in text for text in sentences(model))


def test_the_same_recordings_give_the_same_bytes_and_the_file_reads_back(tmp_path):
    first, again = (encode_drift_model(train(collected(), 1.0, ["a.gz"])) for _ in range(2))
    assert first == again
    path = tmp_path / "drift.json"
    path.write_bytes(first)
    assert load_drift_model(path) == train(collected(), 1.0, ["a.gz"])
    assert load_drift_model(path, 1.0).horizon_s == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "is of version 2, this hfengine reads 1"),
        ({"coefficients": [0.0] * 6}, "holds 6 coefficients, it must be 7, intercept first"),
        ({"horizon_s": 0.0}, "horizon_s = 0 must be above 0"),
        ({"coefficients": [0.0] * 6 + ["x"]}, "is no drift model"),
        ({"coefficients": None}, "is no drift model"),
        ({"extra": 1}, "is no drift model"),
    ],
)
def test_a_wrong_model_is_refused_with_a_sentence(tmp_path, change, message):
    path = tmp_path / "drift.json"
    fields = json.loads(encode_drift_model(train(collected(), 1.0, ["a.gz"])))
    path.write_text(json.dumps(fields | change))
    with pytest.raises(ConfigError, match=message) as caught:
        load_drift_model(path)
    assert str(path) in str(caught.value)
    assert "train-drift" in str(caught.value)


def test_numbers_that_are_not_finite_cannot_be_read(tmp_path):
    path = tmp_path / "drift.json"
    text = encode_drift_model(train(collected(), 1.0, ["a.gz"])).decode()
    fields = json.loads(text)
    for written in ("NaN", "1e999"):
        coefficients = ", ".join(["0.0"] * 6 + [written])
        whole = json.dumps(fields | {"coefficients": "HERE"})
        path.write_text(whole.replace('"HERE"', f"[{coefficients}]"))
        with pytest.raises(ConfigError):
            load_drift_model(path)


def test_a_model_of_another_horizon_and_a_missing_file_are_refused(tmp_path):
    path = tmp_path / "drift.json"
    path.write_bytes(encode_drift_model(train(collected(), 1.0, ["a.gz"])))
    with pytest.raises(ConfigError, match="trained for a horizon of 1 s and the profile's"):
        load_drift_model(path, 60.0)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_drift_model(tmp_path / "none.json")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no drift model"):
        load_drift_model(path)


def test_a_walk_is_not_trained_on_before_its_time():
    flat = gathered(samples(walk(np.random.default_rng(1), 50), np.zeros(50), layers=0))
    with pytest.raises(FeedError):
        train(flat, 1.0, [])
