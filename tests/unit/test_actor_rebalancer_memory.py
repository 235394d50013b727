"""Rebalancer: no halving into dust, baselines over restarts, inputs that are no numbers."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from math import inf, nan
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hfengine.actors.held import memory_of
from hfengine.actors.rebalancer import Rebalancer
from hfengine.messages import Close, Forecast, PositionOpened, Rebalanced, Reduce
from hfengine.oversight import Adopted, Difference, Keep
from hfengine.settings import Rebalance, Settings
from tests.rig import T0_NS, Rig, position

S_NS = 1_000_000_000
KEY = "bot:held:BTCUSDT"
Make = Callable[..., Rig]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Rig] = []

    def rig_of(**rules: Any) -> Rig:
        made.append(Rig(Settings(rebalance=Rebalance(**rules))))
        return made[-1]

    yield rig_of
    for rig in made:
        rig.close()


def opened(rig: Rig, side: int = 1, drift: float = 0.0012) -> PositionOpened:
    return PositionOpened(
        1,
        "BTCUSDT",
        rig.clock.now_ns(),
        side,
        Decimal("0.010"),
        Decimal(60000),
        drift,
        0.45,
        3600.0,
    )


def expect(rig: Rig, drift: float, confidence: float = 0.45) -> Forecast:
    """Return a forecast as of now."""
    price = 60000.0
    return Forecast(
        "BTCUSDT", rig.clock.now_ns(), price, price * (1 + drift), drift, confidence, 3600.0
    )


def look(rig: Rig, ref: Any, drift: float, confidence: float = 0.45) -> Rebalanced:
    """Let time pass, with such a forecast every second, until the next look; return it."""
    rig.heard.clear()
    for _ in range(31):
        rig.tell(ref, expect(rig, drift, confidence))
        rig.run(1.0)
        if rig.all(Rebalanced):
            break
    return rig.one(Rebalanced)


def adopted(ours: bool = True, opened_ns: int = T0_NS, **changed: Any) -> Adopted:
    figures = (0.0012, 0.45, 3600.0) if ours else (0.0, 0.0, 0.0)
    found = Adopted(
        "BTCUSDT", T0_NS, 1, Decimal("0.010"), Decimal(60000), ours, "adopt", opened_ns, *figures
    )
    return replace(found, **changed)


# hysteresis


def test_one_position_is_halved_so_often_and_then_closed(make: Make) -> None:
    rig = make(reduces_max=2, reduce_pause_s=0.0)
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(rig, drift=0.01), position(quantity="0.080"))
    held, drift = Decimal("0.080"), 0.009
    for reduces in range(2):
        seen = look(rig, ref, drift)
        assert (seen.action, seen.reduces) == ("reduce", reduces)
        held -= rig.one(Reduce).quantity
        drift -= 0.001
        rig.tell(ref, position(quantity=str(held)))
    assert held == Decimal("0.020")
    seen = look(rig, ref, drift)
    assert (seen.action, seen.reason, seen.reduces) == ("close", "drift_decay", 2)
    assert rig.one(Close).quantity == held
    assert not rig.all(Reduce)


def test_two_halvings_for_one_reason_are_a_pause_apart(make: Make) -> None:
    rig = make(reduce_pause_s=60.0)
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(rig, drift=0.01), position(quantity="0.080"))
    assert look(rig, ref, 0.009).action == "reduce"
    rig.tell(ref, position(quantity="0.040"))
    seen = look(rig, ref, 0.008)
    assert (seen.action, seen.reason) == ("hold", "drift_decay")
    assert seen.baseline_drift == pytest.approx(0.009), "what is held sets no baseline"
    assert not rig.all(Reduce)
    assert look(rig, ref, 0.008).action == "reduce"


def test_another_reason_need_not_wait(make: Make) -> None:
    rig = make(reduce_pause_s=600.0)
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(rig, drift=0.01), position(quantity="0.080"))
    assert look(rig, ref, 0.009).action == "reduce"
    rig.tell(ref, position(quantity="0.040"))
    seen = look(rig, ref, 0.009, confidence=0.2)
    assert (seen.action, seen.reason) == ("reduce", "confidence_drop")


def test_the_pause_stops_no_close(make: Make) -> None:
    rig = make(reduce_pause_s=600.0)
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(rig, drift=0.01), position(quantity="0.080"))
    look(rig, ref, 0.009)
    rig.tell(ref, position(quantity="0.040"))
    assert look(rig, ref, -0.001).action == "close"


def test_a_halving_that_did_not_come_true_is_asked_for_again(make: Make) -> None:
    rig = make()
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(rig), position())
    for _ in range(2):
        # told again, for funding say, and as large as before
        rig.tell(ref, position())
        seen = look(rig, ref, 0.0006)
        assert (seen.action, seen.baseline_drift, seen.reduces) == ("reduce", 0.0012, 0)


# inputs


def test_a_look_tells_everything_it_saw(make: Make) -> None:
    rig = make()
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(rig), position())
    seen = look(rig, ref, 0.0010, confidence=0.4)
    assert seen.forecast == pytest.approx(60060.0)
    assert (seen.price, seen.baseline_confidence, seen.half_life_s) == (60000.0, 0.45, 3600.0)
    assert (seen.quantity, seen.reduces) == (Decimal("0.010"), 0)


@pytest.mark.parametrize(
    "changed",
    [{"forecast": nan}, {"price": 0.0}, {"price": inf}, {"confidence": nan}, {"confidence": -0.1}],
    ids=str,
)
def test_a_forecast_that_is_no_number_decides_nothing(make: Make, changed: Any) -> None:
    rig = make()
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(rig), position())
    rig.run(29.0)
    rig.tell(ref, replace(expect(rig, -0.001), **changed))
    rig.run(1.5)
    assert not rig.all(Rebalanced)
    assert rig.report(ref)["bad_forecasts"] == 1
    assert look(rig, ref, -0.001).action == "close", "it lives, and takes the next one"


def test_an_older_forecast_does_not_displace_a_newer_one(make: Make) -> None:
    rig = make()
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(rig), position())
    rig.run(29.0)
    late = replace(expect(rig, -0.001), at_ns=rig.clock.now_ns() - S_NS)
    rig.tell(ref, expect(rig, 0.0012), late)
    rig.run(1.5)
    assert rig.one(Rebalanced).action == "hold"


def test_a_position_that_turns_over_begins_anew(make: Make) -> None:
    rig = make()
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(rig), position())
    look(rig, ref, 0.0012)
    rig.tell(ref, position(side=-1, at_ns=rig.clock.now_ns()))
    seen = look(rig, ref, -0.0008)
    assert (seen.action, seen.baseline_drift) == ("hold", pytest.approx(-0.0008))
    assert seen.age_s < 31.0


def test_a_venue_clock_ahead_of_ours_makes_no_negative_age(make: Make) -> None:
    rig = make()
    ref = rig.start(Rebalancer)
    rig.tell(ref, replace(opened(rig), at_ns=T0_NS + 60 * S_NS), position())
    assert look(rig, ref, 0.0012).age_s == 0.0


def test_an_entry_without_figures_is_measured_against_the_first_look(make: Make) -> None:
    rig = make()
    ref = rig.start(Rebalancer)
    rig.tell(ref, replace(opened(rig), half_life_s=0.0, entry_drift=nan), position())
    assert look(rig, ref, 0.0020).baseline_drift == pytest.approx(0.0020)


# over restarts


def halved(rig: Rig) -> None:
    """Open 0.010 for a drift of 0.0012, halve it at 0.0006, and stop the actor."""
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(rig), position())
    look(rig, ref, 0.0006)
    rig.tell(ref, position(quantity="0.005"))
    ref.stop()
    rig.heard.clear()


def test_baseline_age_and_halvings_survive_a_restart(make: Make) -> None:
    rig = make(reduce_pause_s=3600.0)
    halved(rig)
    ref = rig.start(Rebalancer)
    rig.tell(ref, position(quantity="0.005"))
    seen = look(rig, ref, 0.00055)
    assert (seen.action, seen.baseline_drift) == ("hold", pytest.approx(0.0006))
    assert (seen.reduces, seen.reason) == (1, "none")
    assert seen.age_s == pytest.approx(60.0, abs=2.0)
    seen = look(rig, ref, 0.00005)
    assert (seen.action, seen.reason) == ("hold", "drift_decay"), "the pause goes on too"


def test_recovery_finds_the_same_position(make: Make) -> None:
    rig = make()
    halved(rig)
    ref = rig.start(Rebalancer)
    rig.tell(ref, adopted(), position(quantity="0.005"))
    assert look(rig, ref, 0.00055).baseline_drift == pytest.approx(0.0006)


def test_recovery_of_another_opening_inherits_nothing(make: Make) -> None:
    rig = make()
    halved(rig)
    ref = rig.start(Rebalancer)
    rig.tell(ref, adopted(opened_ns=T0_NS + 5), position(quantity="0.005"))
    seen = look(rig, ref, 0.0011)
    assert (seen.baseline_drift, seen.reduces) == (0.0012, 0), "recovery's figures, not memory's"


@pytest.mark.parametrize("changed", [{"side": -1}, {"entry": "60100"}], ids=str)
def test_another_position_inherits_nothing(make: Make, changed: Any) -> None:
    rig = make()
    halved(rig)
    ref = rig.start(Rebalancer)
    rig.tell(ref, position(quantity="0.005", at_ns=rig.clock.now_ns(), **changed))
    seen = look(rig, ref, 0.0)
    assert (seen.baseline_drift, seen.reduces) == (0.0, 0)
    assert seen.age_s < 31.0


def test_an_unknown_position_takes_no_memory_of_ours(make: Make) -> None:
    rig = make()
    halved(rig)
    ref = rig.start(Rebalancer)
    rig.tell(ref, adopted(ours=False), position(quantity="0.005"))
    assert look(rig, ref, 0.0011).baseline_drift == pytest.approx(0.0011)


def test_figures_of_an_unknown_position_are_not_believed(make: Make) -> None:
    rig = make()
    ref = rig.start(Rebalancer)
    told = adopted(ours=False, entry_drift=0.01, entry_confidence=0.5, half_life_s=60.0)
    rig.tell(ref, told, position())
    assert look(rig, ref, 0.0011).baseline_drift == pytest.approx(0.0011)


def test_what_is_kept_says_whose_the_position_is(make: Make) -> None:
    rig = make()
    ref = rig.start(Rebalancer)
    rig.tell(ref, opened(rig), position())
    found = memory_of(rig.wiring.recalled[KEY])
    assert found is not None
    assert (found.side, found.opened_ns, found.entry_drift) == (1, T0_NS, 0.0012)
    rig.tell(ref, position(quantity="0"))
    assert rig.wiring.recalled[KEY] == b""
    rig.tell(ref, adopted(ours=False), position())
    look(rig, ref, 0.0011)
    body = msgspec.json.decode(rig.wiring.recalled[KEY])
    assert "entry_drift" not in body, "recovery would take it for ours"
    assert body["baseline_drift"] == pytest.approx(0.0011)


def test_an_unknown_positions_baseline_survives_too(make: Make) -> None:
    rig = make()
    ref = rig.start(Rebalancer)
    rig.tell(ref, adopted(ours=False), position())
    look(rig, ref, 0.0011)
    ref.stop()
    again = rig.start(Rebalancer)
    rig.tell(again, adopted(ours=False, opened_ns=rig.clock.now_ns()), position())
    seen = look(rig, again, 0.0010)
    assert seen.baseline_drift == pytest.approx(0.0011)
    assert seen.age_s == pytest.approx(60.0, abs=2.0), "as old as when it was first seen"


@pytest.mark.parametrize("body", [b"{", b'{"side": 1}', b"[]"], ids=str)
def test_an_unreadable_memory_is_told_and_not_used(make: Make, body: bytes) -> None:
    rig = make()
    rig.wiring.recalled[KEY] = body
    ref = rig.start(Rebalancer)
    told = rig.one(Difference)
    assert (told.symbol, told.subject) == ("BTCUSDT", "position")
    rig.tell(ref, position())
    assert look(rig, ref, 0.0011).action == "hold"
    assert rig.all(Keep)
