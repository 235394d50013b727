"""CB1 to CB3 through the actor: what trips them, what does not, what ends them."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.messages import (
    FundingPaid,
    Halt,
    LeverageProof,
    OrderEnded,
    ReducePosition,
    Resume,
)
from hfengine.oversight import BreakerChanged
from tests.rig import T0_NS, Rig, fill, position
from tests.risk_desk import MIDNIGHT_NS, account, gate_of, limits, lost, ready, states, wish

# CB1


def test_cb1_warns_trips_and_holds_until_the_next_utc_day() -> None:
    rig, ref = ready(limits(daily_loss_max_usdt=100.0))
    rig.tell(ref, lost(1, "-79"))
    assert states(rig, "daily_loss") == []
    rig.tell(ref, lost(2, "-1"))
    assert states(rig, "daily_loss") == ["warned"]
    assert gate_of(rig, ref) == "", "a warning refuses nothing"
    rig.tell(ref, lost(3, "-20"))
    tripped = rig.all(BreakerChanged)[-1]
    assert (tripped.state, tripped.measured, tripped.threshold) == ("tripped", 100.0, 100.0)
    assert tripped.until_ns == MIDNIGHT_NS
    rig.tell(ref, lost(4, "90"), Resume(T0_NS, "all"))
    assert gate_of(rig, ref) == "daily_loss_usdt", "neither a gain nor a resume ends it"
    rig.run(6_390.0)
    assert gate_of(rig, ref) == "daily_loss_usdt"
    rig.run(15.0)
    assert states(rig, "daily_loss") == ["cleared"]
    rig.tell(ref, LeverageProof("BTCUSDT", rig.clock.now_ns(), 50, 50, "isolated", "read"))
    assert gate_of(rig, ref) == ""
    rig.close()


def test_cb1_of_one_symbol_stops_that_symbol_alone() -> None:
    rig, ref = ready(limits(symbol_loss_max_usdt=10.0))
    rig.tell(ref, lost(1, "-10"))
    assert rig.all(BreakerChanged)[-1].symbol == "BTCUSDT"
    assert gate_of(rig, ref) == "symbol_loss_usdt"
    eth = wish(rig, symbol="ETHUSDT", bid=3000.0, ask=3000.1, forecast=3006.0)
    assert gate_of(rig, ref, eth) == ""
    rig.close()


def test_cb1_counts_no_fill_twice_and_no_loss_of_yesterday() -> None:
    rig, ref = ready(limits(daily_loss_max_usdt=100.0))
    rig.tell(ref, lost(1, "-60"), lost(1, "-60"))
    assert gate_of(rig, ref) == ""
    rig.tell(ref, lost(2, "-60", at_ns=T0_NS - 86_400_000_000_000))
    assert gate_of(rig, ref) == ""
    report = rig.report(ref)
    assert (report["day_loss_usdt"], report["total_loss_usdt"]) == (60.0, 120.0)
    assert report["day_usdt"] == {"BTCUSDT": -60.0}
    rig.close()


def test_a_total_loss_halts_until_resumed_and_then_counts_anew() -> None:
    rig, ref = ready(limits(total_loss_max_usdt=100.0))
    rig.tell(ref, lost(1, "-99.5"))
    assert not rig.all(Halt)
    rig.tell(ref, FundingPaid("BTCUSDT", T0_NS, Decimal(0), Decimal("0.5")))
    assert rig.one(Halt).source == "total_loss"
    assert gate_of(rig, ref) == "halted"
    rig.tell(ref, Resume(T0_NS, "total_loss"))
    assert gate_of(rig, ref) == ""
    rig.tell(ref, lost(2, "-99"))
    assert gate_of(rig, ref) == ""
    rig.tell(ref, lost(3, "-1"))
    assert gate_of(rig, ref) == "halted"
    rig.close()


# CB2


def test_cb2_closes_everything_and_waits_to_be_resumed() -> None:
    rig, ref = ready(limits(drawdown_max=0.1))
    rig.tell(ref, position(), position("SOLUSDT", side=-1, quantity="3", entry="100"))
    rig.tell(ref, account("10000", "11000"), account("10000", "9900"))
    assert states(rig, "drawdown") == ["warned"], "one reading may be a bad one"
    rig.tell(ref, account("10000", "9890"))
    assert states(rig, "drawdown") == ["warned", "tripped"]
    tripped = rig.all(BreakerChanged)[-1]
    assert tripped.measured == pytest.approx(1110 / 11000)
    assert tripped.until_ns == -1
    assert rig.one(Halt).source == "drawdown"
    exits = rig.all(ReducePosition)
    assert {(one.symbol, one.side, one.reason) for one in exits} == {
        ("BTCUSDT", 1, "drawdown"),
        ("SOLUSDT", -1, "drawdown"),
    }
    rig.tell(ref, position(quantity="0"), position("SOLUSDT", quantity="0"))
    rig.tell(ref, Resume(T0_NS, "operator"))
    assert gate_of(rig, ref) == "halted"
    rig.heard.clear()
    rig.tell(ref, Resume(T0_NS, "all"))
    assert states(rig, "drawdown") == ["cleared"]
    for exit_ in exits:
        rig.tell(ref, OrderEnded(exit_.intent, "c", exit_.symbol, T0_NS, "filled", Decimal(1), ""))
    rig.tell(ref, account("10000", "9800"), account("10000", "9800"))
    assert gate_of(rig, ref) == "", "the peak counts anew from the resume"
    rig.close()


def test_cb2_closes_what_fills_after_it_tripped_and_again_what_stays_open() -> None:
    rig, ref = ready(limits(drawdown_max=0.1))
    rig.tell(ref, account("10000", "8900"), account("10000", "8900"))
    assert not rig.all(ReducePosition)
    rig.tell(ref, position())
    assert len(rig.all(ReducePosition)) == 1
    rig.run(1.1)
    assert len(rig.all(ReducePosition)) == 2, "a drawdown does not wait for a slow answer"
    rig.close()


def test_cb2_trips_on_one_reading_that_nothing_contradicts_within_a_second() -> None:
    rig, ref = ready(limits(drawdown_max=0.1))
    rig.tell(ref, account("10000", "8900"))
    assert states(rig, "drawdown") == ["warned"]
    rig.run(2.1)
    assert states(rig, "drawdown") == ["warned", "tripped"]
    rig.close()


@pytest.mark.parametrize(
    "told",
    [
        [account("10000", "8000"), account("10000", "9990")],
        [account("5000")],
        [account("15000"), account("9000")],
        [lost(1, "-3000"), account("10000"), account("10000")],
        [account("7000"), account("7000"), lost(1, "200")],
        [replace(account("10000"), equity_usdt=Decimal("NaN"))],
        [account("10000", "9100"), account("10000", "9100")],
    ],
    ids=["one bad reading", "withdrawal", "deposit then withdrawal", "fill before the wallet",
         "wallet before the fill", "no number", "less than the limit"],
)  # fmt: skip
def test_cb2_is_not_tripped_by(told: list[Any]) -> None:
    rig, ref = ready(limits(drawdown_max=0.1))
    rig.tell(ref, *told)
    rig.run(0.5)
    assert "tripped" not in states(rig, "drawdown")
    assert not rig.all(Halt)
    rig.close()


def test_cb2_takes_a_deposit_that_stands_into_the_peak() -> None:
    rig, ref = ready(limits(drawdown_max=0.1))
    rig.tell(ref, account("20000"))
    rig.run(6.0)
    report = rig.report(ref)
    assert (report["peak_usdt"], report["drawdown"]) == (20000.0, 0.0)
    rig.tell(ref, account("20000", "18500"), account("20000", "18500"))
    assert states(rig, "drawdown") == []
    rig.tell(ref, account("20000", "17900"), account("20000", "17900"))
    assert states(rig, "drawdown")[-1] == "tripped", "1 - 17900 / 20000 is more than a tenth"
    rig.close()


def test_cb2_is_not_hidden_by_a_deposit() -> None:
    rig, ref = ready(limits(drawdown_max=0.1))
    rig.tell(ref, account("15000"))
    rig.run(6.0)
    # 1600 lost of 15000, while 5000 came in: more than a tenth of the peak in today's money
    rig.tell(ref, lost(1, "-1600"), account("13400"), account("13400"))
    rig.run(2.0)
    assert states(rig, "drawdown")[-1] == "tripped"
    rig.close()


# CB3


def trade(rig: Rig, ref: Any, number: int, realised: str) -> None:
    """Open and close a position in two halves, the fees on top."""
    half = Decimal("0.005")
    result = str(Decimal(realised) / 2)
    rig.tell(ref, fill("e", 10 * number), position())
    for part in (1, 2):
        closing = fill("x", 10 * number + part, side=-1, realised=result)
        rig.tell(ref, replace(closing, quantity=half))
        rig.tell(ref, position(quantity="0.005" if part == 1 else "0"))


def test_cb3_counts_positions_not_fills_and_nets_their_fees() -> None:
    rig, ref = ready(limits(losing_streak_max=3, losing_streak_cooldown_s=60.0))
    trade(rig, ref, 1, "-5")
    trade(rig, ref, 2, "0.8")  # three fees of 0.3 make it a loss
    assert rig.report(ref)["losing_streak"] == 2
    assert states(rig, "losing_streak") == ["warned"]
    assert gate_of(rig, ref) == ""
    trade(rig, ref, 3, "-1")
    assert states(rig, "losing_streak") == ["tripped"]
    assert rig.all(BreakerChanged)[-1].until_ns == pytest.approx(rig.clock.now_ns() + 60e9, abs=1e8)
    assert gate_of(rig, ref) == "losing_streak"
    rig.tell(ref, Resume(T0_NS, "all"))
    assert gate_of(rig, ref) == "losing_streak", "time ends it"
    rig.run(61.0)
    assert gate_of(rig, ref) == ""
    assert rig.report(ref)["losing_streak"] == 0
    rig.close()


def test_cb3_is_ended_by_a_win_and_by_its_name() -> None:
    rig, ref = ready(limits(losing_streak_max=2))
    trade(rig, ref, 1, "-5")
    trade(rig, ref, 2, "1.0")
    trade(rig, ref, 3, "-5")
    assert "tripped" not in states(rig, "losing_streak")
    trade(rig, ref, 4, "-5")
    assert gate_of(rig, ref) == "losing_streak"
    rig.tell(ref, Resume(T0_NS, "losing_streak"))
    assert gate_of(rig, ref) == ""
    rig.close()


def test_cb3_waits_for_fills_told_after_the_position_is_flat() -> None:
    rig, ref = ready(limits(losing_streak_max=1))
    rig.tell(ref, fill("e", 1), position(), position(quantity="0"))
    assert "tripped" not in states(rig, "losing_streak")
    rig.tell(ref, fill("x", 2, side=-1, realised="9"))
    rig.run(3.0)
    assert "tripped" not in states(rig, "losing_streak")
    rig.tell(ref, fill("e", 3), position(), position(quantity="0"))
    rig.run(3.0)
    assert states(rig, "losing_streak") == ["tripped"], "only the entry's fee was ever told"
    rig.close()


def test_cb3_counts_funding_in_the_position_that_paid_it() -> None:
    rig, ref = ready(limits(losing_streak_max=1))
    rig.tell(ref, fill("e", 1), position())
    rig.tell(ref, FundingPaid("BTCUSDT", T0_NS, Decimal(0), Decimal("5")))
    rig.tell(ref, fill("x", 2, side=-1, realised="4"), position(quantity="0"))
    assert states(rig, "losing_streak") == ["tripped"]
    rig.close()
