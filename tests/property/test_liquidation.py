"""The liquidation kernel against Decimal arithmetic, and the laws it must obey."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hfengine.kernels import liquidation as kernel
from tests.reference import liquidation as reference

FORMULAS = (kernel.BINANCE, kernel.BYBIT, kernel.BYBIT_LEGACY, kernel.FEE_INCLUSIVE)
CONTINUOUS = (kernel.BINANCE, kernel.BYBIT)

magnitudes = st.floats(-8.0, 8.0).map(lambda exponent: 10.0**exponent)
formulas = st.sampled_from(FORMULAS)
sides = st.sampled_from((1, -1))
leverages = st.floats(1.0, 150.0)
takers = st.floats(0.0, 0.001)


@st.composite
def tier_rows(draw: st.DrawFn) -> list[tuple[float, float, float]]:
    """Between one and eight tiers, as venues make them: caps and rates rise, leverage falls."""
    count = draw(st.integers(1, 8))
    cap = draw(magnitudes)
    rate = draw(st.floats(0.001, 0.02))
    leverage = draw(st.floats(50.0, 200.0))
    rows = []
    for _ in range(count):
        rows.append((cap, rate, leverage))
        cap *= draw(st.floats(1.1, 20.0))
        rate = min(0.9, rate * draw(st.floats(1.0, 3.0)))
        leverage = max(1.0, leverage * draw(st.floats(0.3, 1.0)))
    return rows


def near_tiers(rows: list[tuple[float, float, float]], multiple: float) -> float:
    """A notional anywhere from far below the first cap to above the last."""
    low, high = rows[0][0] / 10.0, rows[-1][0] * 2.0
    return low * (high / low) ** multiple


def decimal_terms(
    formula: int,
    side: int,
    quantity: float,
    entry: float,
    leverage: float,
    extra: float,
    taker: float,
) -> reference.Terms:
    numbers = (quantity, entry, leverage, extra, taker)
    return reference.Terms(formula, side, *(Decimal(number) for number in numbers))


@given(
    formulas,
    sides,
    magnitudes,
    magnitudes,
    leverages,
    st.floats(0.0, 2.0),
    st.floats(0.001, 0.9),
    st.floats(0.0, 0.2),
    st.floats(0.0, 0.5),
    takers,
)
def test_price_in_a_given_bracket_equals_decimal(
    formula, side, quantity, entry, leverage, wallet_part, rate, deduction_part, extra_part, taker
):
    notional = quantity * entry
    wallet, deduction, extra = (
        part * notional for part in (wallet_part, deduction_part, extra_part)
    )
    price = kernel.isolated_price_at(
        formula, side, quantity, entry, leverage, wallet, rate, deduction, taker, extra
    )
    with localcontext() as context:
        context.prec = reference.DIGITS
        terms = decimal_terms(formula, side, quantity, entry, leverage, extra, taker)
        exact = reference.price_at(terms, Decimal(wallet), Decimal(rate), Decimal(deduction))
    assert price == pytest.approx(float(max(exact, Decimal(0))), rel=1e-12, abs=1e-12 * entry)


@given(tier_rows(), formulas, sides, magnitudes, leverages, st.floats(0.0, 1.0), takers)
@settings(max_examples=300)
def test_price_in_tiers_equals_the_self_consistent_bracket(
    rows, formula, side, entry, leverage, multiple, taker
):
    quantity = near_tiers(rows, multiple) / entry
    price = kernel.isolated_price(
        formula, side, quantity, entry, leverage, kernel.RiskTiers(rows), 0.0, taker
    )
    with localcontext() as context:
        context.prec = reference.DIGITS
        terms = decimal_terms(formula, side, quantity, entry, leverage, 0.0, taker)
        tiers = reference.Tiers(rows)
        # Flat margins jump at a boundary: there a quantity's last digit chooses the bracket.
        exact = {
            reference.price(
                decimal_terms(formula, side, nudged, entry, leverage, 0.0, taker), tiers
            )
            for nudged in (quantity * (1.0 - 1e-12), quantity, quantity * (1.0 + 1e-12))
        }
        if formula in CONTINUOUS:
            exact = {reference.price(terms, tiers)}
    assert any(price == pytest.approx(float(one), rel=1e-11, abs=1e-11 * entry) for one in exact)


@given(tier_rows(), st.sampled_from(CONTINUOUS), sides, magnitudes, leverages, st.floats(0.0, 1.0))
def test_equity_at_the_liquidation_price_is_the_maintenance_margin(
    rows, formula, side, entry, leverage, multiple
):
    quantity = near_tiers(rows, multiple) / entry
    tiers = kernel.RiskTiers(rows)
    price = kernel.isolated_price(formula, side, quantity, entry, leverage, tiers)
    equity = entry * quantity / leverage + kernel.pnl_usdt(side, quantity, entry, price)
    slack = 1e-11 * quantity * max(entry, price)
    if price == 0.0:
        assert equity >= -slack
    else:
        assert equity == pytest.approx(tiers.maintenance_usdt(quantity * price), abs=slack)


@given(tier_rows(), formulas, sides, magnitudes, leverages, st.floats(1.001, 3.0), takers)
def test_larger_leverage_brings_liquidation_nearer(
    rows, formula, side, entry, leverage, factor, taker
):
    tiers = kernel.RiskTiers(rows)
    quantity = rows[0][0] / entry
    prices = [
        kernel.isolated_price(formula, side, quantity, entry, lev, tiers, 0.0, taker)
        for lev in (leverage, leverage * factor)
    ]
    assert side * (prices[1] - prices[0]) >= -1e-12 * entry
    assert prices[1] != prices[0] or prices[0] == 0.0 or formula == kernel.FEE_INCLUSIVE


@given(
    tier_rows(),
    formulas,
    sides,
    magnitudes,
    leverages,
    st.floats(0.0, 1.0),
    st.floats(1.0, 10.0),
    takers,
)
def test_larger_notional_never_moves_liquidation_away(
    rows, formula, side, entry, leverage, multiple, factor, taker
):
    tiers = kernel.RiskTiers(rows)
    quantity = near_tiers(rows, multiple) / entry
    prices = [
        kernel.isolated_price(formula, side, held, entry, leverage, tiers, 0.0, taker)
        for held in (quantity, quantity * factor)
    ]
    # A position under water at entry has its price on the winning side; the walk starts at entry.
    assume(side * (entry - prices[0]) > 0.0 and side * (entry - prices[1]) > 0.0)
    assert side * (prices[1] - prices[0]) >= -1e-12 * entry


@given(formulas, magnitudes, leverages, st.floats(0.001, 0.5))
def test_long_and_short_mirror_each_other(formula, entry, leverage, rate):
    """Without a fee, distance times (1 -/+ rate) is the same on both sides of entry."""
    wallet = entry / leverage
    long, short = (
        kernel.isolated_price_at(formula, side, 1.0, entry, leverage, wallet, rate, 0.0)
        for side in (1, -1)
    )
    down, up = entry - long, short - entry
    if formula != kernel.BYBIT_LEGACY:
        down, up = down * (1.0 - rate), up * (1.0 + rate)
    if long > 0.0:
        assert down == pytest.approx(up, abs=1e-12 * entry)
    else:
        assert down <= up + 1e-12 * entry


@given(tier_rows(), st.floats(0.0, 1.0))
def test_maintenance_equals_the_sum_over_slices(rows, multiple):
    notional = near_tiers(rows, multiple)
    exact = reference.Tiers(rows)
    tiers = kernel.RiskTiers(rows)
    with localcontext() as context:
        context.prec = reference.DIGITS
        wanted = exact.maintenance(Decimal(notional))
        deduction = exact.deduction(exact.index(Decimal(notional)))
    assert tiers.maintenance_usdt(notional) == pytest.approx(float(wanted), rel=1e-11)
    assert tiers.deduction_usdt(notional) == pytest.approx(
        float(deduction), rel=1e-11, abs=1e-12 * notional
    )


@given(tier_rows(), leverages)
def test_the_largest_notional_of_a_leverage_is_the_last_that_allows_it(rows, leverage):
    tiers = kernel.RiskTiers(rows)
    notional = tiers.max_notional_usdt(leverage)
    assert notional == float(reference.Tiers(rows).max_notional(Decimal(leverage)))
    assert notional == 0.0 or tiers.max_leverage(notional) >= leverage
    assert tiers.max_leverage(notional * (1.0 + 1e-9) + 1e-300) < leverage


@given(tier_rows(), st.floats(0.0, 1.0))
def test_the_largest_leverage_of_a_margin_fits_its_own_tier(rows, multiple):
    tiers = kernel.RiskTiers(rows)
    margin = near_tiers(rows, multiple) / 20.0
    leverage = tiers.max_leverage_for_margin(margin)
    assert tiers.max_leverage(margin * leverage * (1.0 - 1e-12)) >= leverage
    assert tiers.max_leverage(margin * leverage * 1.000001) < leverage * 1.000001


@st.composite
def stops(draw: st.DrawFn, leverage: float, entry: float) -> dict[str, float]:
    return {
        "distance": draw(st.floats(0.01, 0.99)) / leverage,
        "buffer_fraction": draw(st.floats(0.0, 0.5)),
        "exit_fee": draw(st.floats(0.0, 0.1)) / leverage,
        "half_spread_usdt": entry * draw(st.floats(0.0, 0.02)) / leverage,
        "slippage": draw(st.floats(0.0, 0.05)) / leverage,
        "k_sigma_usdt": entry * draw(st.floats(0.0, 0.1)) / leverage,
    }


@given(tier_rows(), formulas, sides, magnitudes, leverages, takers, st.floats(0.0, 1.2), st.data())
@settings(max_examples=250, deadline=None)
def test_the_joint_solve_is_feasible_and_no_larger_notional_is(
    rows, formula, side, entry, leverage, taker, multiple, data
):
    stop = data.draw(stops(leverage, entry))
    limit = near_tiers(rows, multiple)
    stop_usdt = entry * (1.0 - side * stop.pop("distance"))
    tiers = kernel.RiskTiers(rows)
    notional = kernel.largest_notional(
        formula,
        side,
        entry,
        stop_usdt,
        leverage,
        tiers,
        **stop,
        taker_fee=taker,
        limit_usdt=limit,
    )
    assert 0.0 <= notional <= limit
    if notional > 0.0:
        liquidation = kernel.isolated_price(
            formula, side, notional / entry, entry, leverage, tiers, 0.0, taker
        )
        buffer = kernel.buffer_usdt(entry, liquidation, **stop)
        assert tiers.max_leverage(notional) >= leverage
        assert kernel.stop_is_safe(side, stop_usdt, liquidation, buffer)

    with localcontext() as context:
        context.prec = reference.DIGITS
        terms = decimal_terms(formula, side, 0.0, entry, leverage, 0.0, taker)
        exact_tiers = reference.Tiers(rows)
        costs = Decimal(stop["exit_fee"]) + Decimal(stop["slippage"])
        exact_stop = reference.Stop(
            Decimal(stop_usdt),
            Decimal(stop["buffer_fraction"]),
            Decimal(entry) * costs
            + Decimal(stop["half_spread_usdt"])
            + Decimal(stop["k_sigma_usdt"]),
        )
        slack = Decimal(entry) * Decimal("1e-11")
        if notional > 0.0:
            held = Decimal(notional) * (1 - Decimal("1e-11"))
            assert reference.room(terms, exact_tiers, exact_stop, held) >= -slack
        larger = (
            Decimal(notional) * Decimal("1.000001") if notional else Decimal(rows[0][0]) / 10**6
        )
        assert (
            larger > Decimal(limit)
            or exact_tiers.max_leverage(larger) < Decimal(leverage)
            or reference.room(terms, exact_tiers, exact_stop, larger) < slack
        )


@given(tier_rows(), formulas, sides, takers, st.data())
@settings(max_examples=60, deadline=None)
def test_the_joint_solve_equals_bisection(rows, formula, side, taker, data):
    """At an ordinary size the closed form is the number a search over notionals ends at."""
    entry, leverage, fraction = 100.0, 50.0, 0.1
    stop_usdt = entry * (1.0 - side * data.draw(st.floats(0.001, 0.015)))
    limit = rows[-1][0]
    notional = kernel.largest_notional(
        formula, side, entry, stop_usdt, leverage, kernel.RiskTiers(rows), fraction,
        0.0005, 0.01, 0.0001, 0.02, taker, limit,
    )  # fmt: skip
    with localcontext() as context:
        context.prec = reference.DIGITS
        terms = decimal_terms(formula, side, 0.0, entry, leverage, 0.0, taker)
        stop = reference.Stop(Decimal(stop_usdt), Decimal(fraction), Decimal("0.09"))
        exact = reference.largest_notional(terms, reference.Tiers(rows), stop, Decimal(limit))
    assert notional == pytest.approx(float(exact), rel=1e-6, abs=1e-12)


@given(sides, magnitudes, magnitudes, leverages, st.floats(0.0, 5.0), st.floats(-5.0, 5.0))
def test_cross_price_leaves_exactly_the_maintenance_of_all_positions(
    side, quantity, entry, wallet_multiple, other_part, unrealised_part
):
    notional, rate = quantity * entry, 0.01
    wallet = notional * (2.0 + wallet_multiple)
    other, unrealised = other_part * notional / 10.0, unrealised_part * notional / 10.0
    price = kernel.cross_price(side, quantity, entry, wallet, rate, 0.0, other, unrealised)
    if side > 0:
        assert price == 0.0
        return
    equity = wallet + unrealised + kernel.pnl_usdt(side, quantity, entry, price)
    assert equity == pytest.approx(
        rate * quantity * price + other, abs=1e-11 * (wallet + quantity * price)
    )
