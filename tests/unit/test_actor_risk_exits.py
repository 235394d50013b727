"""Exits whose answer is late or lost: a close follows soon; no entry before all have ended."""

from decimal import Decimal
from typing import Any

import pytest

from hfengine.actors.exits import URGENT
from hfengine.actors.sending_gates import SendingGates
from hfengine.messages import (
    Close,
    ExitReason,
    OpenBracket,
    OrderEnded,
    OrderUnknown,
    Reduce,
    ReducePosition,
    Refusal,
)
from tests.rig import T0_NS, Rig, position
from tests.unit.test_actor_risk import entry, ready


@pytest.fixture
def ref(rig: Rig) -> Any:
    ref = ready(rig)
    rig.tell(ref, position())
    return ref


def close(reason: ExitReason = "drift_flip", quantity: str = "0.010") -> Close:
    return Close("BTCUSDT", T0_NS, 1, Decimal(quantity), reason)


def ended(intent: int, outcome: Any = "filled") -> OrderEnded:
    return OrderEnded(intent, "c", "BTCUSDT", T0_NS, outcome, Decimal(0), "")


def lost(intent: int) -> OrderUnknown:
    return OrderUnknown(intent, "c", "BTCUSDT", T0_NS, "timeout")


def intents(rig: Rig) -> list[int]:
    return [one.intent for one in rig.all(ReducePosition)]


def asked_for(rig: Rig, ref: Any, wish: Close, seconds: float, every_s: float = 0.1) -> list[float]:
    """Return when exits went out, in seconds from now, with a close wished for all the time."""
    began_ns, before = rig.clock.now_ns(), len(intents(rig))
    for _ in range(int(seconds / every_s)):
        rig.tell(ref, wish)
        rig.run(every_s - 0.001)
    sent = rig.all(ReducePosition)[before:]
    return [round((one.at_ns - began_ns) / 1e9, 1) for one in sent]


def test_an_exit_whose_answer_was_lost_is_soon_followed_by_another(rig: Rig, ref: Any) -> None:
    rig.tell(ref, close(), lost(1))
    assert asked_for(rig, ref, close(), 0.35) == []
    assert asked_for(rig, ref, close(), 0.3) == [0.1], "0.4 s after the first"


def test_one_that_is_only_slow_is_waited_for(rig: Rig, ref: Any) -> None:
    rig.tell(ref, close())
    assert asked_for(rig, ref, close(), 4.9) == []
    assert len(asked_for(rig, ref, close(), 0.3)) == 1


@pytest.mark.parametrize("reason", sorted(URGENT))
def test_what_cannot_stand_does_not_wait_for_a_slow_answer(
    rig: Rig, ref: Any, reason: ExitReason
) -> None:
    rig.tell(ref, close())
    assert len(asked_for(rig, ref, close(reason), 0.6)) == 1


def test_each_exit_that_is_still_out_doubles_the_wait(rig: Rig, ref: Any) -> None:
    first = asked_for(rig, ref, close("uncovered"), 18.0)
    assert first == [0.0, 0.4, 1.2, 2.8, 6.0, 11.0, 16.0]


def test_a_double_takes_no_more_than_what_the_first_has_left(rig: Rig, ref: Any) -> None:
    rig.tell(ref, close("uncovered"), lost(1))
    rig.tell(ref, position(quantity="0.004"))
    rig.run(0.5)
    rig.tell(ref, close("uncovered"))
    assert rig.all(ReducePosition)[-1].quantity == Decimal("0.004")


def test_a_halving_is_never_doubled(rig: Rig, ref: Any) -> None:
    halve = Reduce("BTCUSDT", T0_NS, 1, Decimal("0.005"), "drift_decay")
    rig.tell(ref, halve, lost(1))
    rig.run(20.0)
    rig.tell(ref, halve)
    assert intents(rig) == [1]
    rig.tell(ref, close())
    assert intents(rig) == [1, 2], "a close may follow it: it takes what is left"


def test_no_entry_before_every_exit_has_ended(rig: Rig, ref: Any) -> None:
    rig.tell(ref, close("uncovered"), lost(1))
    rig.run(0.5)
    rig.tell(ref, close("uncovered"), lost(2), ended(2), position(quantity="0"))
    rig.tell(ref, entry())
    assert rig.one(Refusal).gate == "order_unknown", "the first may still come, and take it off"
    rig.tell(ref, ended(1, "not_placed"))
    rig.heard.clear()
    rig.tell(ref, entry(at_ns=rig.clock.now_ns(), tick_ns=rig.clock.now_ns()))
    assert rig.all(OpenBracket)


def test_an_exit_still_under_way_keeps_entries_out_though_a_later_one_ended(
    rig: Rig, ref: Any
) -> None:
    rig.tell(ref, close("uncovered"))
    rig.run(0.5)
    rig.tell(ref, close("uncovered"), ended(2), position(quantity="0"))
    rig.tell(ref, entry())
    assert rig.one(Refusal).gate == "order_in_flight"


def test_a_symbol_stays_frozen_until_its_last_unknown_order_is_known() -> None:
    gates = SendingGates()
    gates.prove("BTCUSDT", T0_NS)
    gates.freeze("BTCUSDT", "a")
    gates.freeze("BTCUSDT", "b")
    gates.thaw("BTCUSDT", "b")
    assert "BTCUSDT" not in gates.clear
    gates.thaw("BTCUSDT", "a")
    assert gates.clear == {"BTCUSDT": T0_NS}
