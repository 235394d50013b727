"""Money that moved while no engine ran is told once; what fills and funding explain is not."""

from decimal import Decimal
from typing import Any

import pytest

from hfengine.actors.absent_wallet import AbsentWallet
from hfengine.messages import FundingPaid
from hfengine.oversight import Difference
from hfengine.settings import Settings
from tests.rig import T0_NS, Rig
from tests.risk_desk import account, limits, lost, ready
from tests.unit.test_actor_risk_restarts import again

S = 1_000_000_000


def differences(rig: Rig) -> list[tuple[str, str, str]]:
    return [(one.subject, one.ours, one.venues) for one in rig.all(Difference)]


def told(ours: str, found: str, venue: str = "") -> tuple[str, str, str]:
    wallet = f"{venue} wallet".strip()
    return (
        "balance",
        f"{wallet} {ours} USDT when the run before ended",
        f"{wallet} {found} USDT",
    )


def restarted(*, process: bool = True) -> tuple[Rig, Any]:
    rig, ref = ready(limits())
    rig.tell(ref, account("10000"))
    return rig, again(rig, ref, process=process)


@pytest.mark.parametrize("found", ["9000.00", "10500.50", "10000.02"])
def test_a_transfer_while_no_engine_ran_is_told_once_with_both(found: str) -> None:
    rig, ref = restarted()
    rig.tell(ref, account(found))
    rig.run(4.0)
    assert differences(rig) == [], "its fills may be on their way"
    rig.run(3.0)
    rig.tell(ref, account(found))
    rig.run(20.0)
    assert differences(rig) == [told("10000.00", found)]
    rig.close()


def test_less_than_a_cent_is_nothing() -> None:
    rig, ref = restarted()
    rig.tell(ref, account("10000.009"))
    rig.run(20.0)
    assert differences(rig) == []
    rig.close()


@pytest.mark.parametrize("wallet_first", [True, False])
def test_what_fills_and_funding_since_explain_is_no_difference(wallet_first: bool) -> None:
    rig, ref = restarted()
    since = [lost(7, "-60"), FundingPaid("BTCUSDT", T0_NS, Decimal("0.0001"), Decimal(5))]
    for message in [account("9935"), *since] if wallet_first else [*since, account("9935")]:
        rig.tell(ref, message)
        rig.run(1.0)
    rig.run(20.0)
    assert differences(rig) == []
    rig.close()


def test_a_withdrawal_beside_fills_is_told_by_what_they_leave_over() -> None:
    rig, ref = restarted()
    rig.tell(ref, account("9840"), lost(7, "-60"))
    rig.run(20.0)
    assert differences(rig) == [told("9940.00", "9840.00")]
    rig.close()


def test_what_moves_later_in_the_run_is_for_others_to_tell() -> None:
    rig, ref = restarted()
    rig.tell(ref, account("10000"))
    rig.run(1.0)
    rig.tell(ref, account("9000"))
    rig.run(20.0)
    assert differences(rig) == []
    rig.close()


def test_an_actor_restarted_in_a_run_and_a_first_run_compare_nothing() -> None:
    rig, ref = restarted(process=False)
    rig.tell(ref, account("9000"))
    rig.run(20.0)
    assert differences(rig) == []
    rig.close()
    rig, ref = ready(limits())
    rig.tell(ref, account("9000"))
    rig.run(20.0)
    assert differences(rig) == []
    rig.close()


def test_each_venue_is_compared_by_itself() -> None:
    names = ("BTCUSDT@bybit", "BTCUSDT@binance")
    rig, ref = ready(Settings(symbols=names, risk=limits().risk))
    for venue in ("bybit", "binance"):
        rig.tell(ref, account("10000", venue=venue))
    ref = again(rig, ref, process=True)
    rig.tell(ref, account("9000", venue="bybit"))
    rig.run(7.0)
    rig.tell(ref, account("11000", venue="binance"))
    rig.run(7.0)
    assert differences(rig) == [
        told("10000.00", "9000.00", "bybit"),
        told("10000.00", "11000.00", "binance"),
    ]
    rig.close()


def test_figures_that_are_no_numbers_are_passed_over() -> None:
    heard: list[Difference] = []
    away = AbsentWallet(heard.append)
    away.restore({"": float("nan"), "bybit": 10.0})
    away.sample("", T0_NS, 5.0)
    away.sample("bybit", T0_NS, float("inf"))
    away.explain("bybit", T0_NS, float("nan"))
    away.look(T0_NS + 60 * S)
    assert heard == []
    away.sample("bybit", T0_NS, 9.0)
    away.look(T0_NS + 60 * S)
    assert [one.venues for one in heard] == ["bybit wallet 9.00 USDT"]
