"""The compiled fusion against exact fractions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels.fusion import Fusion
from tests.reference.fusion import fused

shares = st.floats(0.0, 1.0) | st.sampled_from([0.0, 1.0])
moves = st.floats(-0.1, 0.1) | st.sampled_from([0.0, 1e-4, -1e-4])


def six(one: st.SearchStrategy[float]) -> st.SearchStrategy[list[float]]:
    return st.lists(one, min_size=6, max_size=6)


@settings(deadline=None)
@given(six(shares), six(moves), six(shares))
def test_equals_exact_fractions(
    weights: list[float], expectations: list[float], confidences: list[float]
) -> None:
    fusion = Fusion(weights, 60.0, 0.0, 0.0, 1.0)
    fusion.update(expectations, confidences, 10.0, False)
    pooled, support, opposition = fused(weights, expectations, confidences)
    # A mean that all but cancels has the digits of what was summed, not its own.
    largest = max(abs(move) for move in expectations)
    assert fusion.value == pytest.approx(pooled, rel=1e-12, abs=1e-15 * largest)
    if abs(pooled) > 1e-14 * largest:
        assert fusion.support == pytest.approx(support, rel=1e-9, abs=1e-15)
        assert fusion.opposition == pytest.approx(opposition, rel=1e-9, abs=1e-15)
        assert fusion.confidence == pytest.approx(max(0.0, support - opposition), abs=1e-15)
    assert 0.0 <= fusion.confidence <= 1.0
