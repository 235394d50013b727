"""Brackets: distances, costs, sizes and limits of one entry, each by hand."""

from decimal import Decimal
from math import inf
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.brackets import Account, Planner, Refused
from hfengine.instruments import load_catalogue
from hfengine.kernels import liquidation as liq
from hfengine.messages import Entry, LeverageProof, MarkTick, OpenBracket
from hfengine.seeds import Numbers
from hfengine.settings import Entries, Fees, Leverage, Protection, Settings, Sizing
from hfengine.settings import Venue as VenueSettings
from tests.rig import T0_NS

S_NS = 1_000_000_000
LONG = Entry(
    7, "BTCUSDT", T0_NS, T0_NS - S_NS, 1, 60000.0, 60000.1, 60120.0, 0.002, 0.9, 60.0, 5e-5, 20.0
)
SHORT = replace(LONG, side=-1, drift=-0.002, forecast=59880.0)
PROOF = LeverageProof("BTCUSDT", T0_NS - 5 * S_NS, 50, 50, "isolated", "read")
ACCOUNT = Account(10_000.0, 10_000.0, 10_000.0, 0.0, 0.0)


def planner(catalogue: Any = "binance", **rooms: Any) -> Planner:
    settings = Settings(venue=VenueSettings(catalogue=catalogue), **rooms)
    return Planner(settings, load_catalogue(catalogue).find("BTCUSDT"))


def plan(
    made: Planner | None = None,
    entry: Entry = LONG,
    proof: LeverageProof = PROOF,
    account: Account = ACCOUNT,
    mark: MarkTick | None = None,
) -> OpenBracket:
    return (made or planner()).plan(entry, proof, account, mark, Numbers())[0]


def refusal(made: Planner | None = None, entry: Entry = LONG, **more: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        plan(made, entry, **more)
    return refused.value


def funding(rate: float, in_s: float) -> MarkTick:
    return MarkTick("BTCUSDT", T0_NS, 60000.0, 60000.0, rate, T0_NS + int(in_s * S_NS))


def test_a_bracket_keeps_the_times_and_hopes_of_its_entry() -> None:
    bracket = plan()
    assert (bracket.intent, bracket.signal_id) == (1, 7)
    assert bracket.at_ns == T0_NS
    assert bracket.tick_ns == T0_NS - S_NS
    assert bracket.proof_at_ns == T0_NS - 5 * S_NS
    assert (bracket.entry_drift, bracket.entry_confidence, bracket.half_life_s) == (0.002, 0.9, 60)


def test_the_limit_lies_a_slippage_and_a_tick_beyond_the_touch_and_no_further() -> None:
    # 60000.1 + 0.00002 x 60000.1 + 0.1 = 60001.400002, on the grid not above
    assert plan().price == Decimal("60001.4")
    # 60000.0 - 1.2 - 0.1 = 59998.7
    assert plan(entry=SHORT).price == Decimal("59998.7")


def test_stop_and_target_of_a_short_round_towards_the_position() -> None:
    made = planner(protection=Protection(stop_percent=0.41111, target_percent=0.61111))
    # 60000 + 246.666 and 60000 - 366.666
    short = plan(made, SHORT)
    assert (short.stop, short.target) == (Decimal("60246.6"), Decimal("59633.4"))
    # 60000.1 - 246.666411 and 60000.1 + 366.666611
    long = plan(made)
    assert (long.stop, long.target) == (Decimal("59753.5"), Decimal("60366.7"))


def test_risk_is_measured_to_the_stop_that_is_sent() -> None:
    # ticks of 0.1 under a stop of 0.26: the stop sent lies 0.2 away
    cheap = replace(LONG, bid=99.9, ask=100.0, forecast=100.2)
    made = planner(
        protection=Protection(stop_percent=0.26, target_percent=0.6),
        sizing=Sizing(fraction=0.001),
    )
    bracket = plan(made, cheap)
    assert bracket.stop == Decimal("99.8")
    # 10 USDT at risk over 0.2 and two taker fees of 0.05
    assert bracket.quantity == Decimal("33.333")


def test_exposure_free_margin_and_market_maximum_cap_the_size() -> None:
    capped = planner(sizing=Sizing(exposure_max_usdt=30_000.0))
    near = plan(capped, account=ACCOUNT._replace(exposure_usdt=24_000.0))
    assert near.binding == "exposure"
    assert near.quantity == Decimal("0.099"), "6000 / 60000.1"
    poor = plan(account=ACCOUNT._replace(free_margin_usdt=100.0))
    assert poor.binding == "free_margin"
    assert poor.quantity * Decimal("60000.1") / 50 <= 95
    small = replace(load_catalogue("binance").find("BTCUSDT"), market_quantity_max=Decimal("0.05"))
    assert plan(Planner(Settings(), small)).quantity == Decimal("0.050")


def test_the_size_uses_the_leverage_that_was_proved() -> None:
    made = planner(
        leverage=Leverage(on_failure="warn"),
        sizing=Sizing(mode="fixed_margin", fixed_margin_usdt=60.0),
    )
    assert plan(made).quantity == Decimal("0.049"), "3000 / 60000.1"
    lower = plan(made, proof=replace(PROOF, got=20))
    assert (lower.quantity, lower.leverage) == (Decimal("0.019"), 20)


def test_a_leverage_no_tier_offers_is_refused() -> None:
    refused = refusal(proof=replace(PROOF, got=126))
    assert (refused.gate, refused.measured, refused.threshold) == ("tier", 126, 125.0)


def test_only_funding_due_within_two_half_lives_and_to_be_paid_is_a_cost() -> None:
    # 0.2 % expected, 0.104 % of costs: 0.15 % of funding is too much
    assert refusal(mark=funding(0.0015, 119.0)).gate == "fee_edge"
    assert plan(mark=funding(0.0015, 121.0))
    assert plan(mark=funding(0.0015, -1.0)), "already paid"
    assert refusal(entry=SHORT, mark=funding(-0.0015, 60.0)).gate == "fee_edge"
    # a funding to be received is no reason to enter: 9 bp against 10 bp of fees stay too little
    assert refusal(entry=replace(LONG, drift=0.0009), mark=funding(-0.0015, 60.0)).measured < 0.0


def test_both_fee_gates_are_reported() -> None:
    made = planner(
        fees=Fees(gate="report"), protection=Protection(stop_percent=0.3, target_percent=0.2)
    )
    _, warned = made.plan(replace(LONG, drift=0.0001), PROOF, ACCOUNT, None, Numbers())
    assert [w.gate for w in warned] == ["fee_edge", "break_even_win_rate"]


def test_a_stop_inside_the_spread_or_a_target_at_the_entry_is_refused() -> None:
    free = Fees(gate="report")
    wide = replace(LONG, ask=60010.0, forecast=60013.0)
    made = planner(fees=free, protection=Protection(distance="forecast", stop_forecast=1.0))
    # three above the ask, so the stop lies three below it: over the bid
    refused = refusal(made, wide)
    assert (refused.gate, refused.threshold) == ("stop_side", 60000.0)
    assert refusal(made, replace(wide, side=-1, forecast=59997.0)).gate == "stop_side"
    at_entry = planner(fees=free, protection=Protection(distance="forecast", target_forecast=0.0))
    assert refusal(at_entry).gate == "target_side"


def test_distances_come_from_the_range_or_the_forecast() -> None:
    atr = planner(protection=Protection(distance="atr", stop_atr=5.0, target_atr=10.0))
    bracket = plan(atr)
    # a range of 20
    assert (bracket.stop, bracket.target) == (Decimal("59900.1"), Decimal("60200.1"))
    assert refusal(atr, replace(LONG, atr=inf)).gate == "atr"
    assert refusal(atr, replace(LONG, atr=0.0)).gate == "atr"
    far = planner(
        protection=Protection(distance="forecast", stop_forecast=1.0, target_forecast=2.0)
    )
    short = plan(far, SHORT)
    assert (short.stop, short.target) == (Decimal("60120.0"), Decimal("59760.0"))


def test_volatility_over_the_reaction_time_widens_the_buffer() -> None:
    # entry to liquidation is about 1.6 % of 60000: a stop at 1.2 % leaves some 240 USDT
    made = planner(protection=Protection(stop_percent=1.2, target_percent=3.0))
    calm = replace(LONG, drift=0.01)
    assert plan(made, calm)
    # 3 sigma over 4 s: 3 x 7e-4 x 2 x 60000 = 252 USDT, with fees and spread 282
    slow = planner(
        protection=Protection(stop_percent=1.2, target_percent=3.0, reaction_s=4.0, buffer_sigma=3)
    )
    assert refusal(slow, replace(calm, volatility=7e-4)).gate == "liquidation_buffer"
    # over 0.25 s it is 63 USDT
    quick = planner(protection=Protection(stop_percent=1.2, target_percent=3.0, reaction_s=0.25))
    assert plan(quick, replace(calm, volatility=7e-4))
    # 3 x 5e-4 x 2 x 60000 = 180 USDT and 30 for the exit fit under 240; four seconds would not
    assert plan(slow, replace(calm, volatility=5e-4))


@pytest.mark.parametrize("entry", [LONG, SHORT])
def test_in_cross_margin_the_nearer_liquidation_counts(entry: Entry) -> None:
    cross = replace(PROOF, margin_mode="cross")
    made = planner(protection=Protection(stop_percent=0.2, target_percent=0.6))
    alone = plan(made, entry)
    full = plan(made, entry, cross)
    assert full.liquidation == alone.liquidation, "a full wallet is liquidated farther away"
    # the isolated margin is some 667 USDT; a wallet of 600 carries the same size less far
    price = entry.ask if entry.side > 0 else entry.bid
    quantity = float(alone.quantity)
    tier = load_catalogue("binance").find("BTCUSDT").tiers[0]
    assert quantity * price < tier.notional_cap_usdt
    shared = liq.cross_price(
        entry.side, quantity, price, 600.0, float(tier.maintenance_rate), 0.0, 0.0
    )
    thin = plan(made, entry, cross, ACCOUNT._replace(wallet_usdt=600.0))
    assert thin.quantity == alone.quantity
    assert entry.side * (shared - alone.liquidation) > 0
    assert thin.liquidation == pytest.approx(shared, rel=1e-12)
    empty = ACCOUNT._replace(wallet_usdt=200.0)
    assert refusal(made, entry, proof=cross, account=empty).gate == "liquidation_buffer"


def test_the_binding_is_the_one_that_set_the_size() -> None:
    capped = planner(sizing=Sizing(trade_notional_max_usdt=6_000.0))
    assert plan(capped).binding == "trade_notional"
    assert plan().binding == "mode"


def test_a_rehearsal_draws_no_number_and_raises_nothing() -> None:
    made = planner()
    made.rehearse(PROOF, ACCOUNT)
    made.rehearse(PROOF, ACCOUNT._replace(free_margin_usdt=0.0))
    assert plan(made).intent == 1


def chasing(bps: float, **more: Any) -> Entries:
    return Entries(kind="gtc", chase_max=3, chase_max_bps=bps, **more)


@pytest.mark.parametrize(("entry", "sign"), [(LONG, 1), (SHORT, -1)])
def test_an_entry_that_follows_the_quote_is_priced_at_the_worst_it_may_reach(
    entry: Entry, sign: int
) -> None:
    fees = Fees(slippage_bps=1.0)
    near = plan(planner(fees=fees), entry)
    far = plan(planner(fees=fees, entries=chasing(5.0)), entry)
    touch = Decimal(str(entry.ask if sign > 0 else entry.bid))
    apart = sign * (far.price - near.price)
    assert abs(apart - touch * Decimal("0.0005")) <= Decimal("0.2"), "five basis points"
    assert (far.stop, far.target) == (near.stop, near.target)


@pytest.mark.parametrize(
    "entries", [chasing(5.0), Entries(kind="ioc", chase_max=3), Entries(kind="gtc", chase_max=0)]
)
def test_only_a_chase_is_planned_for(entries: Entries) -> None:
    chased = entries.kind == "gtc" and entries.chase_max
    plain, planned = plan(planner()), plan(planner(entries=entries))
    assert (planned.price != plain.price) == bool(chased)


def test_a_chase_that_brings_liquidation_into_the_buffer_is_refused_by_name() -> None:
    rooms = {
        "protection": Protection(stop_percent=1.2, target_percent=2.4),
        "fees": Fees(gate="report"),
    }
    bracket = plan(planner(entries=chasing(2.0), **rooms))
    ask, stop = 60000.1, float(bracket.stop)
    way, left = ask - bracket.liquidation, stop - bracket.liquidation
    # what the chase may take off what is left above a tenth of the way
    spare_bps = (left - 0.1 * way) / ask * 1e4
    assert spare_bps > 2.0
    plan(planner(entries=chasing(spare_bps - 0.1), **rooms))
    refused = refusal(planner(entries=chasing(spare_bps + 0.1), **rooms))
    assert refused.gate == "liquidation_buffer"
    assert refused.measured < refused.threshold
    assert "chase" in refused.detail


def test_a_chase_is_paid_once_in_the_expected_edge() -> None:
    def edge(entries: Entries) -> float:
        made = planner(entries=entries, fees=Fees(gate="strict"))
        return refusal(made, replace(LONG, drift=1e-9)).measured

    assert edge(Entries()) - edge(chasing(5.0)) == pytest.approx(5e-4)
