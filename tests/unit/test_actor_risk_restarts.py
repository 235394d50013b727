"""What risk remembers: over the death of the actor, and over that of the process."""

from dataclasses import replace as with_changes
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from hfengine.actors.fill_memory import CURSOR_KEY, Cursor
from hfengine.actors.risk import Risk
from hfengine.actors.risk_memory import KEY, Memory, decoded, encoded
from hfengine.actors.tally import DayResult
from hfengine.messages import (
    BookSync,
    Close,
    EngineState,
    Fill,
    Flatten,
    FundingPaid,
    Halt,
    LeverageProof,
    OrderEnded,
    OrderUnknown,
    ReducePosition,
    Resume,
)
from hfengine.oversight import BreakerChanged, Keep, RiskState
from hfengine.settings import Rebalance, Settings
from tests.rig import T0_NS, Rig, fill, position
from tests.unit.test_actor_risk_breakers import (
    account,
    gate_of,
    limits,
    lost,
    ready,
    states,
    trade,
)


def again(rig: Rig, ref: Any, *, process: bool) -> Any:
    """Let a new risk actor, in a new process or in this one, find what the old one kept."""
    rig.run(2.0)
    ref.stop(block=False)
    rig.run(0.0)
    if process:
        rig.wiring = with_changes(rig.wiring, day=DayResult())
    rig.heard.clear()
    return rig.start(Risk)


def told_again(rig: Rig, ref: Any) -> None:
    """Tell a new actor what the others tell anew."""
    now_ns = rig.clock.now_ns()
    for symbol in rig.settings.symbols:
        proof = LeverageProof(symbol, now_ns, 50, 50, "isolated", "read")
        rig.tell(ref, proof, BookSync(symbol, now_ns, True, "test"))


@pytest.mark.parametrize("source", ["operator", "supervisor", "drawdown", "total_loss"])
def test_these_halts_outlive_the_process_until_resumed(source: str) -> None:
    rig, ref = ready(limits())
    rig.tell(ref, Halt(T0_NS, source, "because"))
    ref = again(rig, ref, process=True)
    assert (rig.one(Halt).source, rig.one(Halt).reason) == (source, "because"), "it is told again"
    rig.tell(ref, account("10000"))
    told_again(rig, ref)
    assert gate_of(rig, ref) == "halted"
    rig.tell(ref, Resume(T0_NS, source))
    ref = again(rig, ref, process=True)
    rig.tell(ref, account("10000"))
    told_again(rig, ref)
    assert gate_of(rig, ref) == ""
    rig.close()


@pytest.mark.parametrize("source", ["journal", "clock", "flatten"])
def test_these_halts_end_with_the_process_but_not_with_the_actor(source: str) -> None:
    told = Flatten(T0_NS, "x") if source == "flatten" else Halt(T0_NS, source, "x")
    for process, gate in ((False, "halted"), (True, "")):
        rig, ref = ready(limits())
        rig.tell(ref, told)
        ref = again(rig, ref, process=process)
        rig.tell(ref, account("10000"))
        told_again(rig, ref)
        assert gate_of(rig, ref) == gate
        rig.close()


def test_an_actor_restarted_while_the_engine_closes_down_stays_halted() -> None:
    rig, ref = ready(limits())
    rig.tell(ref, EngineState(T0_NS, "draining", "x"), Flatten(T0_NS, "x"))
    ref = again(rig, ref, process=False)
    rig.tell(ref, account("10000"), Resume(T0_NS, "all"))
    told_again(rig, ref)
    assert gate_of(rig, ref) == "halted"
    rig.close()


def test_an_order_of_unknown_fate_freezes_over_the_death_of_the_actor() -> None:
    rig, ref = ready(limits())
    rig.tell(ref, OrderUnknown(5, "c", "BTCUSDT", T0_NS, "lost"))
    ref = again(rig, ref, process=False)
    rig.tell(ref, account("10000"))
    told_again(rig, ref)
    assert gate_of(rig, ref) == "order_unknown"
    rig.tell(ref, OrderEnded(5, "c", "BTCUSDT", T0_NS, "cancelled", Decimal(0), ""))
    assert gate_of(rig, ref) == ""
    rig.close()


@pytest.mark.parametrize("process", [False, True])
def test_cb1_and_the_results_outlive_a_restart_and_count_nothing_twice(process: bool) -> None:
    settings = limits(daily_loss_max_usdt=100.0)
    rig, ref = ready(settings)
    rig.tell(ref, lost(1, "-60"))
    rig.run(2.0)
    rig.tell(ref, lost(2, "-40"))
    ref = again(rig, ref, process=process)
    assert [one.state for one in rig.all(BreakerChanged)] == ["tripped"]
    rig.tell(ref, account("10000"), lost(2, "-40"))
    told_again(rig, ref)
    assert gate_of(rig, ref) == "daily_loss_usdt"
    report = rig.report(ref)
    assert (report["day_loss_usdt"], report["total_loss_usdt"]) == (100.0, 100.0)
    rig.run(6_400.0)
    ref = again(rig, ref, process=process)
    report = rig.report(ref)
    assert (report["day_loss_usdt"], report["total_loss_usdt"]) == (0.0, 100.0)
    assert report["breakers"] == []
    rig.close()


@pytest.mark.parametrize("process", [False, True])
def test_cb2_stays_tripped_and_goes_on_closing(process: bool) -> None:
    settings = limits(drawdown_max=0.1)
    rig, ref = ready(settings)
    rig.tell(ref, account("10000", "8900"), account("10000", "8900"))
    ref = again(rig, ref, process=process)
    rig.tell(ref, account("10000", "8900"), position())
    assert rig.one(ReducePosition).reason == "drawdown"
    told_again(rig, ref)
    assert gate_of(rig, ref) == "halted"
    rig.tell(ref, Resume(T0_NS, "drawdown"), position(quantity="0"))
    assert "drawdown" not in rig.report(ref)["halts"]
    assert not rig.report(ref)["breakers"]
    rig.close()


@pytest.mark.parametrize("process", [False, True])
def test_cb2_compares_with_the_peak_of_before_the_restart(process: bool) -> None:
    settings = limits(drawdown_max=0.1)
    rig, ref = ready(settings)
    rig.tell(ref, account("10000", "11000"))
    ref = again(rig, ref, process=process)
    rig.tell(ref, account("10000", "9890"), account("10000", "9890"))
    assert states(rig, "drawdown") == ["warned", "tripped"]
    assert rig.report(ref)["peak_usdt"] == 11000.0
    rig.close()


def test_cb2_takes_what_was_withdrawn_while_it_was_away_for_no_loss() -> None:
    settings = limits(drawdown_max=0.1)
    rig, ref = ready(settings)
    ref = again(rig, ref, process=True)
    rig.tell(ref, account("5000"), account("5000"))
    rig.run(10.0)
    assert states(rig, "drawdown") == []
    assert rig.report(ref)["peak_usdt"] == 5000.0
    rig.close()


def test_cb2_sees_a_loss_made_while_it_was_away_when_its_fill_is_told() -> None:
    settings = limits(drawdown_max=0.1)
    rig, ref = ready(settings)
    ref = again(rig, ref, process=True)
    rig.tell(ref, account("8900"), lost(9, "-1100"), account("8900"))
    rig.run(3.0)
    assert states(rig, "drawdown") == ["warned", "tripped"]
    rig.close()


def test_cb2_waits_for_every_venue_it_knew() -> None:
    names = ("BTCUSDT@bybit", "BTCUSDT@binance")
    settings = Settings(symbols=names, risk=limits(drawdown_max=0.1).risk)
    rig, ref = ready(settings)
    both = account("10000", venue="bybit"), account("10000", venue="binance")
    rig.tell(ref, *both)
    ref = again(rig, ref, process=True)
    rig.tell(ref, both[0], both[0])
    rig.run(3.0)
    assert states(rig, "drawdown") == [], "half of the money has not been read yet"
    rig.tell(ref, both[1])
    rig.run(3.0)
    assert states(rig, "drawdown") == []
    assert rig.report(ref)["equity_usdt"] == 20000.0
    rig.close()


@pytest.mark.parametrize("process", [False, True])
def test_cb3_goes_on_with_its_streak_its_open_position_and_its_cooldown(process: bool) -> None:
    settings = limits(losing_streak_max=2, losing_streak_cooldown_s=60.0)
    rig, ref = ready(settings)
    trade(rig, ref, 1, "-5")
    rig.tell(ref, fill("e", 20), position())
    ref = again(rig, ref, process=process)
    rig.tell(ref, account("10000"), position())
    closing = fill("x", 21, side=-1, realised="0.4")
    rig.tell(ref, closing, position(quantity="0"))
    rig.run(3.0)
    assert states(rig, "losing_streak") == ["tripped"], "0.4 less two fees of 0.3"
    ref = again(rig, ref, process=process)
    rig.tell(ref, account("10000"))
    told_again(rig, ref)
    assert gate_of(rig, ref) == "losing_streak"
    rig.run(60.0)
    assert gate_of(rig, ref) == ""
    assert rig.report(ref)["losing_streak"] == 0
    rig.close()


def test_a_rest_outlives_the_process() -> None:
    settings = Settings(rebalance=Rebalance(cooldown_s=60.0))
    rig, ref = ready(settings)
    rig.tell(ref, position(), Close("BTCUSDT", T0_NS, 1, Decimal("0.01"), "drift_flip"))
    ref = again(rig, ref, process=True)
    rig.tell(ref, account("10000"), position(quantity="0"))
    told_again(rig, ref)
    assert gate_of(rig, ref) == "rebalance_cooldown"
    rig.close()


@pytest.mark.parametrize("body", [b"{", b'{"halts": 3}', b"\xff", b'{"streak": "x"}'])
def test_a_memory_that_cannot_be_read_halts_until_someone_has_looked(body: bytes) -> None:
    rig = Rig(limits())
    rig.wiring.recalled[KEY] = body
    ref = rig.start(Risk)
    halt = rig.one(Halt)
    assert halt.source == "risk_memory"
    assert KEY in halt.reason
    rig.tell(ref, account("10000"))
    told_again(rig, ref)
    ref = again(rig, ref, process=True)
    assert rig.one(Halt).source == "risk_memory", "looking away does not help"
    rig.tell(ref, Resume(T0_NS, "all"), account("10000"))
    told_again(rig, ref)
    assert gate_of(rig, ref) == ""
    rig.close()


def test_the_memory_is_kept_once_a_second_and_at_once_for_a_halt() -> None:
    rig, ref = ready(limits())
    rig.run(2.0)
    rig.heard.clear()
    for number in range(1, 11):
        rig.tell(ref, lost(number, "-1"))
    assert len(rig.all(Keep)) == 1
    rig.tell(ref, Halt(T0_NS, "operator", "x"))
    assert len(rig.all(Keep)) == 2
    rig.run(3.0)
    kept = rig.all(Keep)
    assert len(kept) == 2
    assert {one.key for one in kept} == {KEY}
    memory, fault = decoded(kept[-1].body)
    assert memory is not None
    assert not fault
    assert memory.total_usdt == {"BTCUSDT": -10.0}
    assert memory.halts == {"operator": "x"}
    assert encoded(memory) == kept[-1].body
    rig.close()


def test_nothing_remembered_is_a_plain_start() -> None:
    for body in (None, b""):
        assert decoded(body) == (None, "")
    assert decoded(msgspec.json.encode(Memory()))[0] == Memory()
    rig = Rig(limits())
    rig.wiring.recalled[KEY] = b""
    rig.start(Risk)
    assert not rig.all(Halt)
    assert rig.one(RiskState).state == "not_in_sync"
    rig.close()


def told_by_execution(rig: Rig, *fills: Fill) -> None:
    """Put what execution kept before a crash where a new risk actor finds it."""
    cursor = Cursor("s", T0_NS, 0, 0, {one.fill_id: one.at_ns for one in fills}, fills)
    rig.wiring.recalled[CURSOR_KEY] = msgspec.json.encode(cursor)


def test_a_loss_told_but_not_kept_before_a_crash_counts_and_trips() -> None:
    rig, ref = ready(limits(daily_loss_max_usdt=100.0))
    rig.tell(ref, lost(1, "-60"))
    told_by_execution(rig, lost(1, "-60"), lost(2, "-40"))
    ref = again(rig, ref, process=True)
    assert states(rig, "daily_loss") == ["tripped"]
    assert rig.report(ref)["day_loss_usdt"] == pytest.approx(100.0)
    rig.tell(ref, lost(2, "-40"))
    assert rig.report(ref)["day_loss_usdt"] == pytest.approx(100.0), "told again it is known"
    rig.close()


def test_without_any_memory_of_its_own_it_counts_what_was_told_of_late() -> None:
    rig, ref = ready(limits())
    ref.stop(block=False)
    rig.run(0.0)
    rig.wiring = with_changes(rig.wiring, day=DayResult())
    rig.wiring.recalled.pop(KEY, None)
    told_by_execution(rig, lost(1, "-60"))
    ref = rig.start(Risk)
    assert rig.report(ref)["day_loss_usdt"] == pytest.approx(60.0)
    rig.close()


def test_over_the_death_of_the_actor_alone_nothing_is_counted_from_the_cursor() -> None:
    rig, ref = ready(limits())
    rig.tell(ref, lost(1, "-60"))
    told_by_execution(rig, lost(1, "-60"), lost(2, "-40"))
    ref = again(rig, ref, process=False)
    assert rig.report(ref)["day_loss_usdt"] == pytest.approx(60.0)
    rig.close()


def test_funding_is_kept_at_once_for_nobody_tells_it_again() -> None:
    rig, ref = ready(limits())
    rig.tell(ref, lost(1, "-60"))
    rig.tell(ref, FundingPaid("BTCUSDT", T0_NS, Decimal(0), Decimal("7")))
    memory, _ = decoded(rig.wiring.recalled[KEY])
    assert memory is not None
    assert memory.day_usdt["BTCUSDT"] == pytest.approx(-67.0)
    rig.close()
