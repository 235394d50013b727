"""The evaluation's statistics equal their definitions in plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hfengine.evaluation.sampling import forward
from hfengine.evaluation.statistics import (
    LEVEL,
    Estimate,
    holm_levels,
    ic_terms,
    long_run_variance,
)
from tests.fake_layers import START_NS, samples
from tests.reference import evaluation as plain

numbers = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=40)


@given(st.lists(st.floats(-1e3, 1e3), min_size=8, max_size=60), st.integers(1, 7))
def test_the_long_run_variance_is_the_mean_square_of_cosine_sums(series, cosines):
    found = long_run_variance(np.array(series), cosines)
    scale = max(map(abs, series)) ** 2 + 1e-30
    assert abs(found - plain.long_run_variance(series, cosines)) <= 1e-9 * scale * len(series)


@given(st.data())
def test_the_information_coefficient_is_that_of_signed_ranks(data):
    x = data.draw(numbers)
    y = data.draw(st.lists(st.integers(-5, 5).map(float), min_size=len(x), max_size=len(x)))
    found = float(np.mean(ic_terms(np.array(x), np.array(y))))
    assert abs(found - plain.information_coefficient(x, y)) < 1e-12
    assert -1.0 - 1e-12 <= found <= 1.0 + 1e-12


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=12),
    st.integers(1, 40),
)
def test_a_corrected_interval_leaves_zero_out_exactly_when_holm_rejects(ts, dof):
    estimates = [Estimate(mean=t, error=1.0, dof=dof) for t in ts]
    p = [estimate.p_against(0.0) for estimate in estimates]
    rejected = plain.holm(p, LEVEL)
    for place, level in enumerate(holm_levels(p)):
        width = estimates[place].half_width(level)
        if abs(width - abs(ts[place])) > 1e-6:
            assert (abs(ts[place]) > width) == (place in rejected)


@given(
    st.lists(st.integers(1, 400), min_size=3, max_size=30),
    st.integers(1, 900),
)
def test_a_forward_return_is_read_from_the_last_updates(gaps_ms, horizon_ms):
    path_ns = START_NS + np.cumsum(np.array(gaps_ms, dtype=np.int64)) * 1_000_000
    count = len(path_ns)
    base = samples(np.linspace(0.0, 0.01, count), np.zeros(count))
    at_ns = np.arange(path_ns[0], path_ns[-1], 37_000_000, dtype=np.int64)
    place = np.searchsorted(path_ns, at_ns, side="right") - 1
    taken = replace(base, path_ns=path_ns, at_ns=at_ns, place=place)
    found = forward(taken, horizon_ms * 1_000_000)
    path = list(zip(path_ns.tolist(), base.mid.tolist(), strict=True))
    expected = {
        place: ratio
        for place, ns in enumerate(at_ns.tolist())
        if (ratio := plain.forward_return(path, ns, horizon_ms * 1_000_000)) is not None
    }
    assert found.kept.tolist() == list(expected)
    assert np.allclose(np.exp(found.log_return), list(expected.values()), rtol=1e-12)
