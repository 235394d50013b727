"""The cases of the definition one by one, decay, restarts and refusals."""

import math

import pytest

from hfengine.kernels.flow import Flow

SECOND = 1_000_000_000


def observables(flow: Flow) -> tuple[object, ...]:
    return (
        flow.ofi,
        flow.ofi_normalised,
        flow.trade_imbalance,
        flow.value,
        flow.confidence,
        flow.ready,
        flow.updates,
    )


def busy(flow: Flow) -> Flow:
    for i in range(30):
        flow.update_quote(i * SECOND // 7, 100.0 + i % 3, 2.0 + i % 5, 103.0 + i % 2, 1.0 + i % 4)
        flow.update_trade(i * SECOND // 7, 0.5 + i % 3, 1 if i % 4 else -1)
    return flow


@pytest.mark.parametrize(
    ("bid", "bid_quantity", "ask", "ask_quantity", "event"),
    [
        (100.0, 5.0, 101.0, 7.0, 0.0),  # nothing changed
        (100.0, 8.0, 101.0, 7.0, 3.0),  # bid queue grew
        (100.0, 1.0, 101.0, 7.0, -4.0),  # bid queue shrank
        (100.5, 2.0, 101.0, 7.0, 2.0),  # bid improved
        (99.5, 9.0, 101.0, 7.0, -5.0),  # bid fell back: its whole queue is gone
        (100.0, 5.0, 101.0, 9.0, -2.0),  # ask queue grew
        (100.0, 5.0, 100.5, 4.0, -4.0),  # ask improved
        (100.0, 5.0, 101.5, 4.0, 7.0),  # ask fell back
    ],
)
def test_event_of_each_kind(
    bid: float, bid_quantity: float, ask: float, ask_quantity: float, event: float
) -> None:
    flow = Flow(1.0, 60.0, 1)
    flow.update_quote(0, 100.0, 5.0, 101.0, 7.0)
    assert flow.ofi == 0.0
    flow.update_quote(0, bid, bid_quantity, ask, ask_quantity)
    assert flow.ofi == event
    assert flow.ofi_normalised == math.copysign(1.0, event) * (event != 0.0)


def test_half_of_it_is_left_after_a_half_life() -> None:
    flow = Flow(2.0, 60.0, 1)
    flow.update_quote(0, 100.0, 5.0, 101.0, 7.0)
    flow.update_quote(0, 100.0, 13.0, 101.0, 7.0)
    flow.update_quote(2 * SECOND, 100.0, 13.0, 101.0, 7.0)
    assert flow.ofi == pytest.approx(4.0, rel=1e-12)
    assert flow.ofi_normalised == 1.0
    flow.update_trade(4 * SECOND, 3.0, 1)
    assert flow.ofi == pytest.approx(2.0, rel=1e-12)
    flow.update_trade(6 * SECOND, 1.0, -1)
    assert flow.trade_imbalance == pytest.approx((1.5 - 1.0) / 2.5, rel=1e-12)


def test_combination_weighs_quotes_and_trades() -> None:
    flow = Flow(1.0, 60.0, 1)
    flow.update_quote(0, 100.0, 5.0, 101.0, 7.0)
    flow.update_quote(0, 100.0, 6.0, 101.0, 7.0)
    assert flow.value == pytest.approx(0.6 * 0.5)
    flow.update_trade(0, 1.0, -1)
    assert flow.value == pytest.approx(0.6 * 0.5 - 0.4 * 0.5)


def test_a_ratio_nobody_renews_fades_from_the_combination() -> None:
    flow = Flow(1.0, 60.0, 1)
    flow.update_trade(0, 4.0, 1)
    fresh = flow.value
    for i in range(1, 31):
        flow.update_quote(i * SECOND, 100.0, 5.0, 101.0, 7.0)
    assert flow.trade_imbalance == 1.0
    assert 0.0 < flow.value < fresh * 1e-6
    assert flow.confidence < 1e-6


def test_one_sided_flow_gains_confidence_and_fair_flow_does_not() -> None:
    one_sided, fair = Flow(10.0, 60.0, 5), Flow(10.0, 60.0, 5)
    for i in range(50):
        one_sided.update_trade(i * SECOND // 10, 1.0, 1)
        fair.update_trade(i * SECOND // 10, 1.0, 1 if i % 2 else -1)
    assert one_sided.confidence > 0.95
    assert fair.confidence < 0.2


def test_not_ready_means_no_confidence() -> None:
    flow = Flow(1.0, 60.0, 3)
    for i in range(2):
        flow.update_trade(i, 1.0, 1)
        assert not flow.ready
        assert flow.confidence == 0.0
    flow.update_trade(2, 1.0, 1)
    assert flow.ready
    assert flow.confidence > 0.0


@pytest.mark.parametrize("jump_ns", [60 * SECOND + 1, -60 * SECOND - 1])
def test_gap_starts_anew_with_the_quote_as_reference(jump_ns: int) -> None:
    flow, new = busy(Flow(1.0, 60.0, 3)), Flow(1.0, 60.0, 3)
    at_ns = 29 * SECOND // 7 + jump_ns
    for i in range(10):
        for one in (flow, new):
            one.update_quote(at_ns + i, 90.0 + i, 1.0, 99.0, 2.0)
            one.update_trade(at_ns + i, 1.0, 1)
        assert observables(flow) == observables(new)


def test_time_running_back_a_little_counts_as_the_same_instant() -> None:
    back, same = busy(Flow(1.0, 60.0, 3)), busy(Flow(1.0, 60.0, 3))
    at_ns = 29 * SECOND // 7
    back.update_trade(at_ns - 1_000_000, 2.0, -1)
    same.update_trade(at_ns, 2.0, -1)
    assert observables(back) == observables(same)


@pytest.mark.parametrize(
    "quote",
    [
        (0.0, 1.0, 101.0, 1.0),
        (100.0, -1.0, 101.0, 1.0),
        (100.0, 1.0, math.nan, 1.0),
        (100.0, 1.0, math.inf, 1.0),
        (100.0, 1.0, 101.0, math.nan),
        (100.0, 1.1e18, 101.0, 1.0),
    ],
)
def test_a_quote_that_is_none_is_refused_and_changes_nothing(
    quote: tuple[float, float, float, float],
) -> None:
    flow = busy(Flow(1.0, 60.0, 3))
    before = observables(flow)
    with pytest.raises(ValueError, match="quote"):
        flow.update_quote(30 * SECOND, *quote)
    assert observables(flow) == before


@pytest.mark.parametrize(
    ("quantity", "side"), [(0.0, 1), (-1.0, 1), (math.nan, 1), (1.1e18, 1), (1.0, 0), (1.0, 2)]
)
def test_a_trade_that_is_none_is_refused_and_changes_nothing(quantity: float, side: int) -> None:
    flow = busy(Flow(1.0, 60.0, 3))
    before = observables(flow)
    with pytest.raises(ValueError, match="trade"):
        flow.update_trade(30 * SECOND, quantity, side)
    assert observables(flow) == before


@pytest.mark.parametrize(
    "parameters", [(0.0, 1.0, 1), (1.0, math.inf, 1), (1.0, 1.0, 0), (math.nan, 1.0, 1)]
)
def test_parameters_are_checked(parameters: tuple[float, float, int]) -> None:
    with pytest.raises(ValueError, match=r"half_life_s|gap_max_s|warmup"):
        Flow(*parameters)


def test_reset_is_exact() -> None:
    flow, new = busy(Flow(1.0, 60.0, 3)), Flow(1.0, 60.0, 3)
    flow.reset()
    assert observables(flow) == observables(new)
    assert observables(busy(flow)) == observables(busy(new))
