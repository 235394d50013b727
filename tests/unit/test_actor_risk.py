"""Risk: every gate refuses by name, with what it saw and what it wants; exits only reduce."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.risk import Risk
from hfengine.messages import (
    BookSync,
    Close,
    Entry,
    FeeWarning,
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
from hfengine.settings import Fees, Protection, Settings, Sizing
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
        ([proof(at_ns=T0_NS - 301_000_000_000)], "leverage_proof_age_s"),
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
