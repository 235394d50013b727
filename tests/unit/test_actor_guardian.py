"""Guardian: what is not covered, too near liquidation or out of margin is closed."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.guardian import Guardian
from hfengine.messages import (
    Close,
    CoverGap,
    MarkTick,
    MoveProtection,
    OrderEnded,
    ProtectionRefused,
)
from hfengine.settings import Protection, Settings
from tests.rig import T0_NS, Rig, balance, bracket, fill, position

MS_NS = 1_000_000


@pytest.fixture
def ref(rig: Rig) -> Any:
    return rig.start(Guardian)


def mark(price: float) -> MarkTick:
    return MarkTick("BTCUSDT", T0_NS, price, price, 0.0001, T0_NS)


def test_cover_at_once_leaves_no_gap(rig: Rig, ref: Any) -> None:
    rig.tell(ref, fill("e"), position())
    rig.run(2.0)
    assert not rig.all(Close)
    assert rig.report(ref) == {
        "uncovered_max_ms": 0.0,
        "cover": {
            "quantities": 1,
            "gaps": 0,
            "p50_ms": pytest.approx(0.0, abs=1e-5),
            "p99_ms": pytest.approx(0.0, abs=1e-5),
            "max_ms": 0.0,
        },
    }


def test_a_late_stop_is_a_gap_of_its_length(rig: Rig, ref: Any) -> None:
    rig.tell(ref, fill("e"), position(covered="0"), position(at_ns=T0_NS + 40_000_000))
    assert rig.one(CoverGap).uncovered_ms == pytest.approx(40.0)
    assert rig.report(ref)["uncovered_max_ms"] == pytest.approx(40.0)


def test_a_position_uncovered_beyond_the_limit_is_closed(rig: Rig, ref: Any) -> None:
    rig.tell(ref, fill("e"), position(covered="0.004"))
    rig.run(0.45)
    assert not rig.all(Close)
    rig.run(0.2)
    close = rig.one(Close)
    assert (close.reason, close.quantity) == ("uncovered", Decimal("0.010"))
    rig.run(0.6)
    assert len(rig.all(Close)) == 2, "asked again until it is closed or covered"


def test_little_distance_left_to_liquidation_closes(rig: Rig, ref: Any) -> None:
    # entry 60000, liquidation 59040: 5 % of the way is 48
    rig.tell(ref, position(), mark(59089.0))
    assert not rig.all(Close)
    rig.tell(ref, mark(59087.0))
    assert rig.one(Close).reason == "near_liquidation"


def test_a_short_is_watched_from_the_other_side(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(side=-1, liquidation="60960"), mark(60911.0))
    assert not rig.all(Close)
    rig.tell(ref, mark(60913.0))
    assert rig.one(Close).side == -1


def test_margin_used_up_closes_the_largest_position(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(), position("ETHUSDT", quantity="1", entry="3000"))
    rig.tell(ref, balance("1000", free="80"))
    assert not rig.all(Close), "92 % warns"
    rig.tell(ref, balance("1000", free="40"))
    assert (rig.one(Close).symbol, rig.one(Close).reason) == ("ETHUSDT", "margin")


def test_an_entry_fill_is_uncovered_from_its_own_time(rig: Rig, ref: Any) -> None:
    rig.tell(ref, fill("e"), position(at_ns=T0_NS + 30_000_000))
    assert rig.one(CoverGap).uncovered_ms == pytest.approx(30.0)


@pytest.mark.parametrize(("cause", "realised"), [("order", "-1.5"), ("stop", "0")])
def test_the_fill_of_an_exit_needs_no_cover(rig: Rig, ref: Any, cause: str, realised: str) -> None:
    rig.tell(ref, position(), fill("x", cause=cause, realised=realised))
    rig.run(2.0)
    assert not rig.all(Close)
    assert rig.report(ref)["uncovered_max_ms"] == 0.0
    assert rig.report(ref)["cover"]["quantities"] == 0


def test_the_worst_gap_is_kept_not_the_last(rig: Rig, ref: Any) -> None:
    for begun_ms, late_ms in ((0, 40), (100, 10), (200, 0)):
        at_ns = T0_NS + begun_ms * MS_NS
        rig.tell(ref, fill("e", at_ns=at_ns), position(at_ns=at_ns + late_ms * MS_NS))
    assert [gap.uncovered_ms for gap in rig.all(CoverGap)] == pytest.approx([40.0, 10.0])
    report = rig.report(ref)
    assert report["uncovered_max_ms"] == pytest.approx(40.0)
    assert (report["cover"]["quantities"], report["cover"]["gaps"]) == (3, 2)
    assert report["cover"]["p50_ms"] == pytest.approx(10.0, rel=0.01)
    assert report["cover"]["max_ms"] == pytest.approx(40.0, rel=0.01)


def test_each_quantity_waits_since_its_own_fill(rig: Rig, ref: Any) -> None:
    half = "0.005"
    rig.tell(ref, fill("e", quantity=half))
    rig.tell(ref, position(quantity=half, covered="0"))
    rig.tell(ref, fill("e", 2, quantity=half, at_ns=T0_NS + 30 * MS_NS))
    told = T0_NS + 40 * MS_NS
    rig.tell(ref, position(covered=half, at_ns=told))
    rig.tell(ref, position(at_ns=T0_NS + 100 * MS_NS))
    # the first half waited from 0 to 40, the second from 30 to 100
    assert [gap.uncovered_ms for gap in rig.all(CoverGap)] == pytest.approx([40.0, 70.0])


def test_a_position_told_before_a_fill_does_not_cover_it(rig: Rig, ref: Any) -> None:
    half = "0.005"
    rig.tell(ref, fill("e", quantity=half))
    rig.tell(ref, fill("e", 2, quantity=half, at_ns=T0_NS + 30 * MS_NS))
    rig.tell(ref, position(quantity=half, at_ns=T0_NS + 10 * MS_NS))
    rig.tell(ref, position(at_ns=T0_NS + 90 * MS_NS))
    assert [gap.uncovered_ms for gap in rig.all(CoverGap)] == pytest.approx([10.0, 60.0])


def test_a_fill_that_the_position_holds_already_is_not_uncovered(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(at_ns=T0_NS + 5 * MS_NS), fill("e"))
    rig.run(2.0)
    assert not rig.all(Close)
    assert rig.report(ref)["cover"]["quantities"] == 0


def test_a_fill_against_the_position_needs_no_cover(rig: Rig, ref: Any) -> None:
    # closed at its entry price: nothing realised
    rig.tell(ref, position(), fill("x", side=-1, at_ns=T0_NS + MS_NS))
    rig.run(2.0)
    assert not rig.all(Close)


def test_what_is_closed_uncovered_waited_until_then(rig: Rig, ref: Any) -> None:
    rig.tell(ref, fill("e"), position(covered="0"))
    rig.tell(ref, position(quantity="0", at_ns=T0_NS + 60 * MS_NS))
    assert rig.one(CoverGap).uncovered_ms == pytest.approx(60.0)
    rig.run(2.0)
    assert not rig.all(Close)


def test_a_gap_that_never_closes_is_reported_too(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(covered="0"))
    rig.run(0.35)
    assert 250.0 <= rig.report(ref)["uncovered_max_ms"] <= 350.0


def test_half_a_cover_told_again_does_not_restart_the_clock(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(covered="0"))
    rig.run(0.4)
    rig.tell(ref, position(covered="0.004", at_ns=rig.clock.now_ns()))
    rig.run(0.25)
    assert rig.one(Close).reason == "uncovered"


def test_a_covered_position_that_loses_its_stop_is_closed_at_once_again(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(), mark(59087.0))
    assert len(rig.all(Close)) == 1
    rig.tell(ref, mark(59087.0))
    assert len(rig.all(Close)) == 1, "asked once in cover_max_ms"
    rig.tell(ref, position(quantity="0"), position(), mark(59087.0))
    assert len(rig.all(Close)) == 2, "another position, another wish"


def test_a_position_without_a_liquidation_price_is_left_alone(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(liquidation="0"), mark(1.0))
    assert not rig.all(Close)


def test_used_margin_closes_by_notional_and_only_what_is_open(rig: Rig, ref: Any) -> None:
    rig.tell(ref, balance("1000", free="40"))
    assert not rig.all(Close), "nothing is open"
    # more coins, less notional
    rig.tell(ref, position(quantity="0.100"), position("ETHUSDT", quantity="1", entry="3000"))
    rig.tell(ref, balance("1000", free="40"))
    assert (rig.one(Close).symbol, rig.one(Close).quantity) == ("BTCUSDT", Decimal("0.100"))


def test_a_flat_position_is_never_the_largest(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(quantity="0"), balance("1000", free="40"))
    assert not rig.all(Close)


@pytest.fixture
def trailing() -> Iterator[Rig]:
    protection = Protection(trailing_activation_percent=0.5, trailing_callback_percent=0.2)
    made = Rig(Settings(protection=protection))
    yield made
    made.close()


def test_the_stop_follows_a_gain_and_never_goes_back(trailing: Rig) -> None:
    ref = trailing.start(Guardian)
    trailing.tell(ref, position(), mark(60299.0))
    assert not trailing.all(MoveProtection), "0.5 % of 60000 is 300"
    trailing.tell(ref, mark(60400.0))
    moved = trailing.one(MoveProtection)
    # 60400 less 0.2 % is 60279.2, on the grid already
    assert (moved.stop, moved.target, moved.reason) == (
        Decimal("60279.2"),
        Decimal(60360),
        "trailing",
    )
    trailing.heard.clear()
    trailing.tell(ref, position(stop=Decimal("60279.2")), mark(60390.0))
    assert not trailing.all(MoveProtection), "the best mark has not risen"
    trailing.run(0.1)
    trailing.tell(ref, mark(60500.0))
    assert trailing.one(MoveProtection).stop == Decimal("60379.0")


def test_a_shorts_stop_follows_downwards(trailing: Rig) -> None:
    ref = trailing.start(Guardian)
    short = position(side=-1, stop=Decimal(60240), liquidation="60960")
    trailing.tell(ref, short, mark(59600.0))
    assert trailing.one(MoveProtection).stop == Decimal("59719.2")


def test_a_new_position_starts_from_its_own_entry(trailing: Rig) -> None:
    ref = trailing.start(Guardian)
    trailing.tell(ref, position(), mark(60400.0), position(quantity="0"), position())
    trailing.heard.clear()
    trailing.tell(ref, mark(60200.0))
    assert not trailing.all(MoveProtection)


def test_without_an_activation_the_stop_stays(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(), mark(61000.0))
    assert not rig.all(MoveProtection)


def refused(leg: Any = "stop") -> ProtectionRefused:
    return ProtectionRefused("BTCUSDT", T0_NS, "e1s", leg, "would_trigger_immediately")


def test_a_refused_stop_closes_the_position_at_once(rig: Rig, ref: Any) -> None:
    rig.tell(ref, fill("e"), position(covered="0"), refused())
    assert (rig.one(Close).reason, rig.one(Close).quantity) == ("uncovered", Decimal("0.010"))


def test_a_stop_refused_before_the_position_is_heard_closes_it_then(rig: Rig, ref: Any) -> None:
    rig.tell(ref, bracket(1), refused())
    assert not rig.all(Close)
    rig.tell(ref, position(covered="0"))
    assert rig.one(Close).reason == "uncovered"


def test_a_target_refused_for_any_other_reason_closes_nothing(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(), replace(refused("target"), reason="too_many_orders: 200"))
    rig.run(2.0)
    assert not rig.all(Close)


def test_a_refused_stop_of_an_entry_without_fills_is_forgotten(rig: Rig, ref: Any) -> None:
    ended = OrderEnded(1, "e1", "BTCUSDT", T0_NS, "cancelled", Decimal(0), "ioc_remainder")
    rig.tell(ref, bracket(1), refused(), ended, position(covered="0"))
    assert not rig.all(Close)


def test_a_stop_refused_after_its_entry_is_over_closes_no_later_position(
    rig: Rig, ref: Any
) -> None:
    ended = OrderEnded(1, "e1", "BTCUSDT", T0_NS, "filled", Decimal("0.01"), "")
    rig.tell(ref, bracket(1), ended, refused(), position(covered="0"))
    assert not rig.all(Close)
    rig.tell(ref, bracket(2), replace(ended, intent=1), refused(), position(covered="0"))
    assert rig.one(Close).reason == "uncovered", "another intent's end is not this entry's"


def test_margin_of_one_venue_closes_nothing_at_another() -> None:
    symbols = ("BTCUSDT@bybit", "BTCUSDT@binance")
    rig = Rig(Settings(symbols=symbols))
    ref = rig.start(Guardian)
    low = replace(balance("1000", free="40"), venue="binance")
    rig.tell(ref, position("BTCUSDT@bybit"), low)
    assert not rig.all(Close)
    rig.tell(ref, position("BTCUSDT@binance"), low)
    assert rig.one(Close).symbol == "BTCUSDT@binance"
    rig.close()


def test_positions_of_other_symbols_are_nobodys_business(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position("DOGEUSDT", covered="0"))
    rig.run(2.0)
    assert not rig.all(Close)
    assert not rig.all(MoveProtection)
    assert rig.report(ref)["uncovered_max_ms"] == 0.0, "and it lives"


def test_a_position_of_somebody_else_gets_its_stop_at_once(rig: Rig, ref: Any) -> None:
    rig.run(2.0)
    rig.tell(ref, position(covered="0", stop=Decimal(0), at_ns=rig.clock.now_ns()))
    assert [move.reason for move in rig.all(MoveProtection)] == ["repair: missing"]


def test_just_started_a_stop_may_be_on_its_way(rig: Rig, ref: Any) -> None:
    rig.run(0.5)
    rig.tell(ref, position(covered="0", stop=Decimal(0), at_ns=rig.clock.now_ns()))
    assert not rig.all(MoveProtection)
    rig.run(0.35)
    assert rig.all(MoveProtection)


def test_cover_is_tried_again_while_a_close_does_not_come_through(rig: Rig, ref: Any) -> None:
    rig.run(2.0)
    rig.tell(ref, position(covered="0", stop=Decimal(0), at_ns=rig.clock.now_ns()))
    rig.run(5.0)
    # every half second, whatever becomes of the closes asked for meanwhile
    assert len(rig.all(MoveProtection)) >= 8
    assert len(rig.all(Close)) >= 8
