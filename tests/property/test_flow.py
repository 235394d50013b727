"""The compiled layer against the definition over every event kept."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels.flow import Flow
from tests.reference.flow import Flow as Reference

PARAMETERS = (2.0, 20.0, 4)

steps_ns = st.sampled_from([0, 1, 20_000_000_000, 20_000_000_001]) | (
    st.integers(-1_000_000, 3_000_000_000)
)
prices = st.integers(1000, 1005).map(lambda ticks: ticks / 10)
quantities = st.integers(0, 50).map(lambda lots: lots / 8)
quotes = st.tuples(prices, quantities, prices, quantities)
trades = st.tuples(quantities.filter(bool), st.sampled_from([1, -1]))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(steps_ns, quotes | trades), min_size=1, max_size=80))
def test_equals_definition(events: list[tuple[int, tuple[float, ...]]]) -> None:
    flow, reference = Flow(*PARAMETERS), Reference(*PARAMETERS)
    at_ns = 1_723_075_200_000_000_000
    gross = 0.0
    for step_ns, event in events:
        at_ns += step_ns
        for one in (flow, reference):
            if len(event) == 4:
                one.update_quote(at_ns, *event)
            else:
                one.update_trade(at_ns, event[0], int(event[1]))
        gross += sum(event)
        tolerance = 1e-13 * gross
        assert flow.ofi == pytest.approx(reference.ofi, rel=1e-9, abs=tolerance)
        assert flow.ofi_normalised == pytest.approx(reference.ofi_normalised, abs=1e-9)
        assert flow.trade_imbalance == pytest.approx(reference.trade_imbalance, abs=1e-9)
        assert flow.value == pytest.approx(reference.value, abs=1e-9)
        assert flow.confidence == pytest.approx(reference.confidence, abs=1e-9)
        assert flow.ready == (reference.updates >= 4)
        assert flow.updates == reference.updates


@given(
    st.lists(
        st.tuples(
            st.integers(-(10**13), 10**13), st.floats(1e-9, 1e12), st.floats(0, 1e18), st.booleans()
        ),
        min_size=1,
        max_size=60,
    )
)
def test_stays_in_range_whatever_comes(events: list[tuple[int, float, float, bool]]) -> None:
    flow = Flow(1e-6, 60.0, 1)
    at_ns = 0
    for step_ns, price, quantity, is_trade in events:
        at_ns += step_ns
        if is_trade and quantity > 0:
            flow.update_trade(at_ns, quantity, 1 if price > 1 else -1)
        else:
            flow.update_quote(at_ns, price, quantity, price * 2, quantity / 2)
        assert math.isfinite(flow.ofi)
        assert -1 <= flow.ofi_normalised <= 1
        assert -1 <= flow.trade_imbalance <= 1
        assert -1 <= flow.value <= 1
        assert 0 <= flow.confidence <= 1
