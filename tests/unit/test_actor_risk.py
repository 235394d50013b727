"""Risk: every gate refuses by name, with what it saw and what it wants; exits only reduce."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.brackets import Account, Planner
from hfengine.actors.risk import Risk
from hfengine.messages import (
    BookSync,
    Close,
    Entry,
    FeeWarning,
    Flatten,
    FundingPaid,
    Halt,
    LeverageChanged,
    LeverageProof,
    MarkTick,
    OpenBracket,
    OrderEnded,
    OrderUnknown,
    Reduce,
    ReducePosition,
    Refusal,
    Resume,
)
from hfengine.oversight import Keep, RiskState
from hfengine.settings import Fees, Leverage, Protection, Settings, Sizing
from hfengine.settings import Risk as RiskSettings
from tests.rig import T0_NS, Rig, balance, fill, position

REPORTING = Settings(fees=Fees(gate="report"))


def entry(**changes: Any) -> Entry:
    base = Entry(
        7, "BTCUSDT", T0_NS, T0_NS, 1, 60000.0, 60000.1, 60120.0, 0.002, 0.9, 60.0, 5e-5, 20.0
    )
    return replace(base, **changes)


def proof(symbol: str = "BTCUSDT", got: int = 50, at_ns: int = T0_NS) -> LeverageProof:
    return LeverageProof(symbol, at_ns, 50, got, "isolated", "set and read")


def ready(rig: Rig) -> Any:
    """Return a risk actor for which nothing stands against an entry."""
    ref = rig.start(Risk)
    rig.tell(ref, proof(), proof("ETHUSDT"), balance(), BookSync("BTCUSDT", T0_NS, True, "test"))
    return ref


def refusal_of(rig: Rig, ref: Any, wish: Entry) -> Refusal:
    rig.heard.clear()
    rig.tell(ref, wish)
    assert not rig.all(OpenBracket)
    return rig.one(Refusal)


def test_an_entry_with_nothing_against_it_becomes_one_proved_bracket(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, entry())
    bracket = rig.one(OpenBracket)
    assert (bracket.side, bracket.leverage, bracket.proof_at_ns) == (1, 50, T0_NS)
    # 1 % of 10 000 at risk over 0.4 % plus 0.1 % fees asks for 20 000; a tenth of equity as
    # margin at 50x allows 50 000, so the mode binds: floor(100 / (240.0004 + 60.0001)) steps
    assert bracket.binding == "mode"
    assert bracket.quantity == Decimal("0.333")
    # a stop rounds towards the position, a target too: 60000.1 less 0.4 % is 59760.0996
    assert bracket.stop == Decimal("59760.1")
    assert bracket.target == Decimal("60360.1")
    assert bracket.liquidation < float(bracket.stop)
    assert not rig.all(Refusal)


def test_a_short_mirrors_the_bracket(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, entry(side=-1, drift=-0.002, forecast=59880.0))
    bracket = rig.one(OpenBracket)
    assert bracket.stop == Decimal("60240.0")
    assert bracket.target == Decimal("59640.0")
    assert bracket.liquidation > float(bracket.stop)
    assert bracket.price < Decimal(60000)


@pytest.mark.parametrize(
    ("told", "gate"),
    [
        ([Halt(T0_NS, "test", "because")], "halted"),
        ([BookSync("BTCUSDT", T0_NS, False, "gap")], "book_sync"),
        ([proof(got=20)], "leverage_proof"),
        ([LeverageChanged("BTCUSDT", T0_NS, 20)], "leverage_proof"),
        ([OrderUnknown(1, "c", "BTCUSDT", T0_NS, "lost")], "order_unknown"),
        ([position()], "position_open"),
        ([position("ETHUSDT"), position("SOLUSDT")], "positions_max"),
        ([balance("10000", free="900")], "margin_utilisation"),
        ([balance("0")], "equity_usdt"),
    ],
)
def test_each_gate_refuses_by_its_name(rig: Rig, told: list[Any], gate: str) -> None:
    ref = ready(rig)
    rig.tell(ref, *told)
    refused = refusal_of(rig, ref, entry())
    assert (refused.gate, refused.signal_id, refused.symbol) == (gate, 7, "BTCUSDT")


def test_no_proof_no_balance_no_journal_no_entry(rig: Rig) -> None:
    ref = rig.start(Risk)
    rig.tell(ref, BookSync("BTCUSDT", T0_NS, True, "test"))
    assert refusal_of(rig, ref, entry()).gate == "leverage_proof"
    rig.tell(ref, proof())
    assert refusal_of(rig, ref, entry()).gate == "balance"
    rig.journal_ok = False
    assert refusal_of(rig, ref, entry()).gate == "journal"


def test_stale_data_and_a_wide_spread_are_refused_with_their_figures(rig: Rig) -> None:
    ref = ready(rig)
    stale = refusal_of(rig, ref, entry(tick_ns=T0_NS - 2_000_000_000))
    assert stale.gate == "data_age_ms"
    assert 2000.0 <= stale.measured < 2100.0
    assert stale.threshold == 1000.0
    wide = refusal_of(rig, ref, entry(ask=60060.0))
    assert wide.gate == "spread_bps"
    assert wide.measured == pytest.approx(10.0)


def test_one_entry_in_flight_per_symbol_until_its_end_is_heard(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, entry())
    bracket = rig.one(OpenBracket)
    assert refusal_of(rig, ref, entry()).gate == "order_in_flight"
    ended = OrderEnded(bracket.intent, "c", "BTCUSDT", T0_NS, "cancelled", Decimal(0), "")
    rig.heard.clear()
    rig.tell(ref, ended, entry())
    assert rig.one(OpenBracket).intent == bracket.intent + 1


def test_resume_clears_only_its_own_halt(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, Halt(T0_NS, "a", "x"), Halt(T0_NS, "b", "y"), Resume(T0_NS, "a"))
    assert refusal_of(rig, ref, entry()).detail == "b: y"


@pytest.mark.parametrize("lasting", ["journal", "lock"])
@pytest.mark.parametrize("by_name", [True, False])
def test_what_lasts_as_long_as_the_process_is_not_resumed(
    rig: Rig, lasting: str, by_name: bool
) -> None:
    ref = ready(rig)
    resume = Resume(T0_NS, lasting if by_name else "all")
    rig.tell(ref, Halt(T0_NS, lasting, "for good"), Halt(T0_NS, "a", "x"), resume)
    if by_name:
        rig.tell(ref, Resume(T0_NS, "a"))
    refused = refusal_of(rig, ref, entry())
    assert (refused.gate, refused.detail) == ("halted", f"{lasting}: for good")


def test_the_strict_gate_refuses_what_does_not_pay_its_fees(rig: Rig) -> None:
    ref = ready(rig)
    refused = refusal_of(rig, ref, entry(drift=0.0009))
    # 9 bp expected against 10 bp of taker fees, half a spread and two slippages of 0.2 bp
    assert refused.gate == "fee_edge"
    assert refused.measured == pytest.approx(0.0009 - 0.001 - 0.05 / 60000.1 - 0.00004)


def test_funding_due_within_the_holding_time_counts_as_a_cost(rig: Rig) -> None:
    ref = ready(rig)
    soon = T0_NS + 60_000_000_000
    rig.tell(ref, MarkTick("BTCUSDT", T0_NS, 60000.0, 60000.0, 0.0015, soon))
    assert refusal_of(rig, ref, entry()).gate == "fee_edge"
    rig.heard.clear()
    rig.tell(ref, entry(side=-1, drift=-0.002, forecast=59880.0))
    assert rig.all(OpenBracket), "a short is paid a positive funding rate"


def test_a_break_even_win_rate_above_the_limit_is_refused() -> None:
    rig = Rig(Settings(protection=Protection(stop_percent=0.3, target_percent=0.2)))
    refused = refusal_of(rig, ready(rig), entry())
    assert refused.gate == "break_even_win_rate"
    assert refused.measured == pytest.approx((0.003 + 0.001) / 0.005)
    rig.close()


def test_report_lets_the_entry_pass_and_says_so() -> None:
    rig = Rig(REPORTING)
    ref = ready(rig)
    rig.tell(ref, entry(drift=0.0001))
    assert rig.one(OpenBracket)
    assert rig.one(FeeWarning).gate == "fee_edge"
    rig.close()


def test_a_stop_too_near_liquidation_is_refused() -> None:
    rig = Rig(Settings(protection=Protection(stop_percent=1.55, target_percent=3.0)))
    assert refusal_of(rig, ready(rig), entry(drift=0.01)).gate == "liquidation_buffer"
    rig.close()


def test_a_loss_limit_stops_entries() -> None:
    rig = Rig(Settings(risk=RiskSettings(daily_loss_max_usdt=5.0)))
    ref = ready(rig)
    rig.tell(ref, fill("x", realised="-4.6"))
    assert rig.heard == [] or not rig.all(OpenBracket)
    rig.tell(ref, fill("x", 2, realised="0"))
    refused = refusal_of(rig, ref, entry())
    # 4.6 lost and two fees of 0.3
    assert (refused.gate, refused.threshold) == ("daily_loss_usdt", 5.0)
    assert refused.measured == pytest.approx(5.2)
    rig.close()


def test_a_new_day_starts_with_no_loss_and_a_gain_of_yesterday_is_no_allowance() -> None:
    rig = Rig(Settings(risk=RiskSettings(daily_loss_max_usdt=5.0)))
    ref = ready(rig)
    rig.tell(ref, fill("x", realised="-6"))
    assert refusal_of(rig, ref, entry()).gate == "daily_loss_usdt"
    tomorrow_ns = T0_NS + 6_500_000_000_000
    rig.run(6_500.0)  # T0 is 22:13:20 UTC
    later = {"at_ns": rig.clock.now_ns(), "tick_ns": rig.clock.now_ns()}
    rig.tell(ref, proof(at_ns=rig.clock.now_ns()), entry(**later))
    bracket = rig.one(OpenBracket)
    rig.tell(ref, OrderEnded(bracket.intent, "c", "BTCUSDT", T0_NS, "cancelled", Decimal(0), ""))
    rig.tell(ref, fill("y", 2, realised="-4.6", at_ns=tomorrow_ns))
    rig.tell(ref, fill("y", 3, realised="0", at_ns=tomorrow_ns))
    assert refusal_of(rig, ref, entry(**later)).gate == "daily_loss_usdt"
    rig.close()


def test_a_size_below_the_minimum_is_refused_with_the_binding_cap() -> None:
    rig = Rig(Settings(sizing=Sizing(trade_notional_max_usdt=50.0)))
    refused = refusal_of(rig, ready(rig), entry())
    assert refused.gate == "size"
    assert refused.threshold == 100.0
    assert refused.detail == "bound by trade_notional"
    rig.close()


def test_an_exit_is_capped_at_the_position_and_goes_out_once(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, position(quantity="0.010"))
    wish = Close("BTCUSDT", T0_NS, 1, Decimal("0.5"), "drift_flip")
    rig.tell(ref, wish, wish)
    reduce = rig.one(ReducePosition)
    assert (reduce.quantity, reduce.side, reduce.reason) == (Decimal("0.010"), 1, "drift_flip")
    rig.heard.clear()
    ended = OrderEnded(reduce.intent, "c", "BTCUSDT", T0_NS, "filled", Decimal("0.01"), "")
    rig.tell(ref, ended, Reduce("BTCUSDT", T0_NS, 1, Decimal("0.004"), "drift_decay"))
    assert rig.one(ReducePosition).quantity == Decimal("0.004")


def test_an_exit_is_never_stopped_by_a_halt_and_never_opens(rig: Rig) -> None:
    ref = ready(rig)
    flat = Close("BTCUSDT", T0_NS, 1, Decimal("0.5"), "drift_flip")
    rig.tell(ref, flat)
    assert not rig.all(ReducePosition), "no position, nothing to reduce"
    rig.tell(ref, position(side=-1), flat)
    assert not rig.all(ReducePosition), "the wish is for the other side"
    rig.tell(ref, Halt(T0_NS, "test", "x"), Close("BTCUSDT", T0_NS, -1, Decimal(1), "uncovered"))
    assert rig.one(ReducePosition).side == -1


def test_a_proof_of_the_wrong_margin_mode_is_no_proof(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, replace(proof(), margin_mode="cross"))
    refused = refusal_of(rig, ref, entry())
    assert (refused.gate, refused.detail) == ("leverage_proof", "cross, wanted isolated")


def test_warn_trades_at_the_leverage_that_was_read() -> None:
    rig = Rig(Settings(leverage=Leverage(on_failure="warn")))
    ref = ready(rig)
    rig.tell(ref, proof(got=20), entry())
    assert rig.one(OpenBracket).leverage == 20
    rig.close()


def test_a_book_never_heard_of_is_not_in_sync(rig: Rig) -> None:
    ref = rig.start(Risk)
    rig.tell(ref, proof(), balance())
    assert refusal_of(rig, ref, entry()).gate == "book_sync"


def test_a_flatten_stops_entries_and_no_resume_of_another_frees_them(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, Flatten(T0_NS, "the duration is over"), Resume(T0_NS, "supervisor"))
    assert refusal_of(rig, ref, entry()).detail == "flatten: the duration is over"
    assert rig.report(ref)["halts"] == {"flatten": "the duration is over"}


def test_an_unknown_order_freezes_until_its_own_end(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, OrderUnknown(5, "c", "BTCUSDT", T0_NS, "lost"))
    other = OrderEnded(4, "b", "BTCUSDT", T0_NS, "cancelled", Decimal(0), "")
    rig.tell(ref, other)
    assert refusal_of(rig, ref, entry()).gate == "order_unknown"
    rig.tell(ref, replace(other, intent=5), entry())
    assert rig.one(OpenBracket)


def test_the_end_of_another_order_frees_no_entry_in_flight(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, entry())
    stale = OrderEnded(99, "b", "BTCUSDT", T0_NS, "cancelled", Decimal(0), "")
    rig.tell(ref, stale)
    assert refusal_of(rig, ref, entry()).gate == "order_in_flight"
    assert rig.report(ref)["entries"] == 1


def test_no_entry_while_an_exit_is_in_flight(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, position(), Close("BTCUSDT", T0_NS, 1, Decimal(1), "drift_flip"))
    rig.tell(ref, position(quantity="0"))
    assert refusal_of(rig, ref, entry()).gate == "order_in_flight"


def test_an_entry_in_flight_counts_as_a_position_and_as_exposure() -> None:
    rig = Rig(Settings(sizing=Sizing(positions_max=1)))
    ref = ready(rig)
    rig.tell(ref, BookSync("ETHUSDT", T0_NS, True, "test"), entry())
    eth = entry(symbol="ETHUSDT", bid=3000.0, ask=3000.1, forecast=3006.0)
    refused = refusal_of(rig, ref, eth)
    assert (refused.gate, refused.measured, refused.threshold) == ("positions_max", 1, 1)
    rig.close()
    rig = Rig(Settings(sizing=Sizing(exposure_max_usdt=25_000.0)))
    ref = ready(rig)
    rig.tell(ref, BookSync("ETHUSDT", T0_NS, True, "test"), entry(), eth)
    first, second = rig.all(OpenBracket)
    assert second.binding == "exposure"
    assert first.quantity * first.price + second.quantity * second.price <= 25_010
    rig.close()


def test_a_cap_of_exposure_holds_at_the_limit_price_too() -> None:
    rig = Rig(Settings(sizing=Sizing(exposure_max_usdt=6000.05)))
    rig.tell(ready(rig), entry())
    bracket = rig.one(OpenBracket)
    # 0.1 would fit at the ask of 60000.1, but not at the limit of 60001.4
    assert bracket.quantity == Decimal("0.099")
    assert bracket.price > Decimal("60000.5")
    rig.close()


@pytest.mark.parametrize("side", [1, -1])
def test_open_positions_of_either_side_use_up_exposure(side: int) -> None:
    rig = Rig(Settings(sizing=Sizing(exposure_max_usdt=25_000.0)))
    ref = ready(rig)
    rig.tell(ref, position("ETHUSDT", side=side, quantity="7", entry="3000"), entry())
    bracket = rig.one(OpenBracket)
    assert bracket.binding == "exposure"
    assert bracket.quantity == Decimal("0.066"), "4000 / 60000.1"
    rig.close()


def test_funding_paid_counts_as_a_loss_and_funding_received_as_a_gain() -> None:
    rig = Rig(Settings(risk=RiskSettings(daily_loss_max_usdt=5.0)))
    ref = ready(rig)
    rig.tell(ref, FundingPaid("BTCUSDT", T0_NS, Decimal("-0.0001"), Decimal("-1.5")))
    rig.tell(ref, FundingPaid("BTCUSDT", T0_NS, Decimal("0.0001"), Decimal("6.5")))
    refused = refusal_of(rig, ref, entry())
    assert (refused.gate, refused.measured) == ("daily_loss_usdt", 5.0)
    rig.tell(ref, FundingPaid("BTCUSDT", T0_NS, Decimal("-0.0001"), Decimal("-3.5")))
    assert refusal_of(rig, ref, entry()).gate == "daily_loss_usdt", "until the next UTC day"
    rig.close()


def test_every_fee_gate_that_only_reports_is_reported() -> None:
    rig = Rig(replace(REPORTING, protection=Protection(stop_percent=0.3, target_percent=0.2)))
    rig.tell(ready(rig), entry(drift=0.0001))
    assert [w.gate for w in rig.all(FeeWarning)] == ["fee_edge", "break_even_win_rate"]
    assert {(w.signal_id, w.symbol) for w in rig.all(FeeWarning)} == {(7, "BTCUSDT")}
    rig.close()


def test_rehearsals_leave_no_trace(rig: Rig) -> None:
    ready(rig)
    assert {type(message) for message in rig.heard} <= {RiskState, Keep}
    assert rig.wiring.intents.last == 0


def test_each_proved_symbol_is_rehearsed_before_the_first_entry(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsed: list[str] = []
    original = Planner.rehearse

    def rehearse(self: Planner, proved: LeverageProof, account: Account) -> None:
        rehearsed.append(proved.symbol)
        original(self, proved, account)

    monkeypatch.setattr(Planner, "rehearse", rehearse)
    ref = ready(rig)
    assert sorted(rehearsed) == ["BTCUSDT", "ETHUSDT"]
    rig.tell(ref, entry(), proof())
    assert len(rehearsed) == 2, "a proof after the first entry needs none"


def test_an_exit_whose_end_is_never_heard_may_be_sent_again(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, position())
    wish = Close("BTCUSDT", T0_NS, 1, Decimal("0.010"), "drift_flip")
    rig.tell(ref, wish)
    rig.run(4.0)
    rig.tell(ref, wish)
    assert len(rig.all(ReducePosition)) == 1
    rig.run(1.5)
    rig.tell(ref, Reduce("BTCUSDT", T0_NS, 1, Decimal("0.005"), "drift_decay"))
    assert len(rig.all(ReducePosition)) == 1, "sent twice it would halve twice"
    rig.tell(ref, wish)
    assert len(rig.all(ReducePosition)) == 2


def test_margin_on_its_way_out_is_not_free_for_the_next_entry() -> None:
    sizing = Sizing(mode="fixed_margin", fixed_margin_usdt=600.0, share_of_equity_max=1.0)
    rig = Rig(Settings(sizing=sizing))
    ref = ready(rig)
    rig.tell(ref, balance("1000"), BookSync("ETHUSDT", T0_NS, True, "test"))
    rig.tell(ref, entry())
    eth = entry(symbol="ETHUSDT", bid=3000.0, ask=3000.1, forecast=3006.0)
    rig.tell(ref, eth)
    first, second = rig.all(OpenBracket)
    assert first.quantity * first.price / 50 == pytest.approx(Decimal(600), rel=Decimal("0.01"))
    assert second.quantity * second.price / 50 < 400
    assert second.binding == "free_margin"
    rig.close()


def test_an_old_proof_is_refused_by_its_age(rig: Rig) -> None:
    ref = rig.start(Risk)
    old = proof(at_ns=T0_NS - 301_000_000_000)
    rig.tell(ref, old, balance(), BookSync("BTCUSDT", T0_NS, True, "test"))
    refused = refusal_of(rig, ref, entry())
    assert (refused.gate, refused.measured, refused.threshold) == (
        "leverage_proof_age_s",
        301.0,
        300.0,
    )


@pytest.mark.parametrize("on_failure", ["block", "warn"])
def test_sides_of_unlike_leverage_are_never_traded(on_failure: Any) -> None:
    rig = Rig(Settings(leverage=Leverage(on_failure=on_failure)))
    ref = ready(rig)
    rig.tell(ref, proof(got=0, at_ns=T0_NS + 1))
    refused = refusal_of(rig, ref, entry())
    assert (refused.gate, refused.measured, refused.threshold) == ("leverage_proof", 0.0, 50.0)
    rig.close()


def test_a_proof_older_than_what_is_known_changes_nothing(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, proof(got=20, at_ns=T0_NS + 2), proof(got=50, at_ns=T0_NS + 1))
    assert refusal_of(rig, ref, entry()).gate == "leverage_proof"


def test_a_proof_from_before_a_change_does_not_bring_trust_back(rig: Rig) -> None:
    ref = ready(rig)
    rig.tell(ref, LeverageChanged("BTCUSDT", T0_NS + 2, 20), proof(at_ns=T0_NS + 1))
    assert refusal_of(rig, ref, entry()).gate == "leverage_proof"
    rig.tell(ref, proof(at_ns=T0_NS + 3), entry())
    assert rig.one(OpenBracket)


def test_data_from_the_future_are_refused_as_old_ones_are(rig: Rig) -> None:
    ref = ready(rig)
    ahead = entry(tick_ns=rig.clock.now_ns() + 3_600_000_000_000)
    refused = refusal_of(rig, ref, ahead)
    assert refused.gate == "data_age_ms"
    assert refused.measured == -3_600_000.0


@pytest.mark.parametrize("tick_ns", [2**63 - 1, -(2**63), 10**21])
def test_data_of_a_time_beyond_all_clocks_are_refused_like_others(rig: Rig, tick_ns: int) -> None:
    ref = ready(rig)
    assert refusal_of(rig, ref, entry(tick_ns=tick_ns)).gate == "data_age_ms"
    rig.tell(ref, entry())
    assert rig.one(OpenBracket)
