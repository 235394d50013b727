"""Guardian: every fault of a stop or target is found, mended in place, or the position closed."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.guardian import Guardian
from hfengine.messages import (
    Close,
    Flatten,
    FlattenDone,
    MarkTick,
    Message,
    MoveProtection,
    OrderEnded,
    PositionChanged,
    ProtectionRefused,
)
from hfengine.oversight import Adopted, Repair
from hfengine.settings import Protection, Settings
from tests.rig import T0_NS, Rig, bracket, fill, position

STOP, TARGET = Decimal(59760), Decimal(60360)
NONE = Decimal(0)
ENDED = OrderEnded(1, "e1", "BTCUSDT", T0_NS, "filled", Decimal("0.010"), "")


class Desk:
    """A guardian with a clock of its own, told positions and marks as of now."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.rig = Rig(settings)
        self.ref = self.rig.start(Guardian)

    def tell(self, *messages: Message) -> None:
        self.rig.tell(self.ref, *messages)

    def mark(self, price: float) -> None:
        now_ns = self.rig.clock.now_ns()
        self.tell(MarkTick("BTCUSDT", now_ns, price, price, 0.0001, now_ns))

    def hold(self, **changed: Any) -> None:
        self.tell(position(at_ns=self.rig.clock.now_ns(), **changed))

    def enter(self, **changed: Any) -> None:
        """Open the bracket's own position: stop 59760, target 60360."""
        self.tell(bracket(1), fill("e"), position(**changed), ENDED)

    def settled(self, **changed: Any) -> None:
        """The same, so long ago that nothing of it is on its way any more."""
        self.enter(**changed)
        self.rig.run(1.0)
        self.rig.heard.clear()

    @property
    def moves(self) -> list[tuple[Decimal, Decimal, str]]:
        return [(m.stop, m.target, m.reason) for m in self.rig.all(MoveProtection)]

    @property
    def repairs(self) -> list[tuple[str, str]]:
        return [(repair.fault, repair.action) for repair in self.rig.all(Repair)]

    @property
    def closed_for(self) -> list[str]:
        return [close.reason for close in self.rig.all(Close)]

    def refuse(self, reason: str, leg: Any = "stop") -> None:
        self.tell(ProtectionRefused("BTCUSDT", self.rig.clock.now_ns(), "", leg, reason))


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.rig.close()


def test_what_is_as_expected_is_left_alone(desk: Desk) -> None:
    desk.enter()
    desk.mark(60010.0)
    desk.rig.run(5.0)
    assert (desk.moves, desk.repairs, desk.closed_for) == ([], [], [])


# missing


def test_a_stop_that_is_gone_is_put_back_at_once(desk: Desk) -> None:
    desk.settled()
    desk.hold(stop=NONE, covered="0")
    assert desk.moves == [(STOP, TARGET, "repair: missing")]
    assert desk.repairs == [("missing", "protect")]
    desk.hold()
    desk.rig.run(3.0)
    assert len(desk.moves) == 1
    assert not desk.closed_for


def test_a_new_entrys_stop_has_time_to_come_then_it_is_sent_again(desk: Desk) -> None:
    desk.enter(stop=NONE, target=NONE, covered="0")
    desk.rig.run(0.2)
    assert not desk.moves, "on its way with the entry, or right behind it"
    desk.rig.run(0.15)
    assert desk.moves == [(STOP, TARGET, "repair: missing")]
    assert not desk.closed_for
    desk.rig.run(0.3)
    assert desk.closed_for == ["uncovered"], "cover_max_ms after the fill, mended or not"


def test_a_missing_stop_that_would_fire_at_once_closes(desk: Desk) -> None:
    desk.settled()
    desk.mark(59750.0)
    desk.hold(stop=NONE, covered="0")
    assert not desk.moves
    assert desk.repairs == [("missing", "close")]
    assert desk.closed_for == ["uncovered"]


def test_a_refused_repair_of_cover_closes(desk: Desk) -> None:
    desk.settled()
    desk.hold(stop=NONE, covered="0")
    desk.refuse("too_many_conditional")
    assert desk.repairs == [("missing", "protect"), ("refused", "close")]
    assert desk.closed_for == ["uncovered"]


# wrong size


def test_a_stop_of_less_than_the_position_is_made_whole(desk: Desk) -> None:
    desk.settled()
    desk.hold(covered="0.004")
    assert desk.moves == [(STOP, TARGET, "repair: wrong_size")]
    assert desk.repairs == [("wrong_size", "protect")]


def test_a_second_fill_beyond_the_stop_is_found(desk: Desk) -> None:
    desk.settled(quantity="0.005", covered="0.005")
    desk.tell(fill("e", 2, quantity="0.005", at_ns=desk.rig.clock.now_ns()))
    desk.hold(covered="0.005")
    assert [reason for *_, reason in desk.moves] == ["repair: wrong_size"]


# wrong trigger


def test_a_stop_moved_away_from_the_position_is_moved_back(desk: Desk) -> None:
    desk.settled()
    desk.hold(stop=Decimal(59700))
    assert desk.moves == [(STOP, TARGET, "repair: wrong_trigger")]
    assert desk.repairs == [("wrong_trigger", "protect")]


def test_a_shorts_stop_moved_away_is_moved_back(desk: Desk) -> None:
    short = {"side": -1, "liquidation": "60960", "target": Decimal(59640)}
    opened = replace(bracket(1), side=-1, stop=Decimal(60240), target=Decimal(59640))
    desk.tell(opened, position(stop=Decimal(60240), **short), ENDED)  # type: ignore[arg-type]
    desk.rig.run(1.0)
    desk.hold(stop=Decimal(60300), **short)
    assert desk.moves == [(Decimal(60240), Decimal(59640), "repair: wrong_trigger")]


def test_a_stop_moved_nearer_is_kept_and_becomes_the_expected_one(desk: Desk) -> None:
    desk.settled()
    desk.hold(stop=Decimal(59800))
    desk.hold(stop=Decimal(59800))
    assert not desk.moves
    assert desk.repairs == [("wrong_trigger", "leave")]
    desk.hold(stop=STOP)
    assert desk.moves == [(Decimal(59800), TARGET, "repair: wrong_trigger")]


def test_repairs_that_change_nothing_end_in_a_close(desk: Desk) -> None:
    desk.settled()
    desk.hold(stop=Decimal(59700))
    for _ in range(2):
        desk.rig.run(0.45)
        assert not desk.closed_for
    desk.rig.run(0.4)
    assert len(desk.moves) == 3
    assert not desk.closed_for, "the third may still come true"
    desk.rig.run(0.6)
    assert len(desk.moves) == 3
    assert set(desk.closed_for) == {"bad_stop"}
    assert desk.repairs == [("wrong_trigger", "protect")] * 3 + [("wrong_trigger", "close")]


def test_an_amendment_under_way_is_waited_for(desk: Desk) -> None:
    desk.settled()
    desk.hold(stop=Decimal(59700))
    desk.rig.run(0.3)
    desk.hold(stop=Decimal(59700))
    assert len(desk.moves) == 1


# wrong side


def test_a_stop_on_the_winning_side_of_the_mark_is_moved(desk: Desk) -> None:
    desk.settled()
    desk.mark(60010.0)
    desk.hold(stop=Decimal(60100))
    assert desk.moves == [(STOP, TARGET, "repair: wrong_side")]
    assert desk.repairs == [("wrong_side", "protect")]


def test_a_stop_that_the_mark_has_passed_has_time_to_fire(desk: Desk) -> None:
    desk.settled()
    desk.mark(59700.0)
    desk.hold()
    desk.rig.run(0.4)
    assert (desk.moves, desk.closed_for) == ([], [])
    desk.tell(position(quantity="0"))
    desk.rig.run(2.0)
    assert (desk.moves, desk.closed_for, desk.repairs) == ([], [], [])


def test_a_stop_that_does_not_fire_closes(desk: Desk) -> None:
    desk.settled()
    desk.mark(59700.0)
    desk.rig.run(0.8)
    assert desk.closed_for == ["bad_stop"]
    assert desk.repairs == [("wrong_side", "close")]


def test_a_mark_that_comes_back_clears_the_stop(desk: Desk) -> None:
    desk.settled()
    for _ in range(3):
        desk.mark(59700.0)
        desk.rig.run(0.4)
        desk.mark(59800.0)
        desk.rig.run(0.4)
    assert (desk.closed_for, desk.repairs) == ([], [])


def test_a_mark_too_old_says_nothing_about_a_stop(desk: Desk) -> None:
    desk.mark(59700.0)
    desk.rig.run(11.0)
    desk.settled()
    desk.rig.run(2.0)
    assert (desk.closed_for, desk.repairs) == ([], [])


def test_a_stop_by_last_price_is_not_judged_by_the_mark() -> None:
    desk = Desk(Settings(protection=Protection(trigger_by="last")))
    desk.settled()
    desk.mark(59700.0)
    desk.rig.run(2.0)
    assert (desk.closed_for, desk.repairs) == ([], [])
    desk.rig.close()


# liquidation


@pytest.mark.parametrize("stop", ["59030", "59100"])
def test_a_stop_beyond_or_near_liquidation_is_moved_inside(desk: Desk, stop: str) -> None:
    # entry 60000, liquidation 59040: a tenth of the way is 96, so stops end at 59136
    opened = replace(bracket(1), stop=Decimal(stop))
    desk.tell(opened, position(stop=Decimal(stop)), ENDED)
    desk.rig.run(0.01)
    assert desk.moves == [(Decimal(59136), TARGET, "repair: beyond_liquidation")]
    assert desk.repairs == [("beyond_liquidation", "protect")]
    desk.rig.heard.clear()
    desk.hold(stop=Decimal(59136))
    desk.rig.run(3.0)
    assert (desk.moves, desk.repairs, desk.closed_for) == ([], [], [])


def test_a_liquidation_price_that_comes_near_moves_the_stop(desk: Desk) -> None:
    desk.settled()
    desk.hold(liquidation="59700")
    # a tenth of 300 is 30; the stop at 59760 keeps 60
    assert not desk.moves
    desk.hold(liquidation="59740")
    assert desk.moves == [(Decimal(59766), TARGET, "repair: beyond_liquidation")]


def test_a_short_keeps_its_stop_below_liquidation(desk: Desk) -> None:
    opened = replace(bracket(1), side=-1, stop=Decimal(60900), target=Decimal(59640))
    short = position(side=-1, stop=Decimal(60900), target=Decimal(59640), liquidation="60960")
    desk.tell(opened, short)
    assert desk.moves == [(Decimal(60864), Decimal(59640), "repair: beyond_liquidation")]


def test_a_refused_repair_of_a_bad_stop_closes(desk: Desk) -> None:
    desk.settled()
    desk.hold(liquidation="59740")
    desk.refuse("stop_wrong_side: stop 59766, price 59750")
    assert desk.closed_for == ["bad_stop"]
    desk.rig.run(1.2)
    assert len(desk.closed_for) == 3, "asked again every cover_max_ms until it is flat"
    assert desk.repairs[-1] == ("refused", "close")


def test_a_stop_with_no_place_left_before_liquidation_closes(desk: Desk) -> None:
    desk.settled()
    desk.mark(59765.0)
    desk.hold(liquidation="59740")
    assert not desk.moves
    assert desk.closed_for == ["bad_stop"]


# targets


def test_a_target_that_is_gone_is_put_back_unhurriedly(desk: Desk) -> None:
    desk.settled()
    desk.hold(target=NONE)
    desk.rig.run(0.9)
    assert not desk.moves
    desk.rig.run(0.3)
    assert desk.moves == [(STOP, TARGET, "repair: target")]
    assert desk.repairs == [("missing", "protect")]


def test_a_target_moved_by_somebody_is_moved_back(desk: Desk) -> None:
    desk.settled()
    desk.hold(target=Decimal(60900))
    desk.rig.run(1.2)
    assert desk.moves == [(STOP, TARGET, "repair: target")]
    assert desk.repairs == [("wrong_trigger", "protect")]


def test_a_target_that_cannot_be_had_is_given_up_and_nothing_closed(desk: Desk) -> None:
    desk.settled()
    desk.hold(target=NONE)
    desk.rig.run(6.0)
    assert len(desk.moves) == 3
    assert desk.repairs[-1] == ("refused", "leave")
    assert not desk.closed_for


def test_a_price_beyond_a_target_that_is_gone_takes_the_profit(desk: Desk) -> None:
    desk.settled()
    desk.mark(60370.0)
    desk.hold(target=NONE)
    desk.rig.run(1.2)
    assert desk.closed_for == ["target_passed"]


def test_a_target_refused_on_the_wrong_side_takes_the_profit(desk: Desk) -> None:
    desk.settled()
    desk.hold(target=NONE)
    desk.rig.run(1.2)
    desk.refuse("target_wrong_side: target 60360, price 60361")
    assert desk.closed_for == ["target_passed"]


# positions without a bracket


def found(*, policy: Any = "adopt", ours: bool = False, side: int = 1) -> Adopted:
    return Adopted(
        "BTCUSDT", T0_NS, side, Decimal("0.010"), Decimal(60000), ours, policy, T0_NS, 0.0, 0.0, 0.0
    )


def test_a_found_position_keeps_the_venues_own_stop_and_target(desk: Desk) -> None:
    own = {"stop": Decimal(59500), "target": Decimal(61000)}
    desk.tell(found(), position(**own))  # type: ignore[arg-type]
    desk.mark(60000.0)
    desk.rig.run(3.0)
    assert (desk.moves, desk.repairs, desk.closed_for) == ([], [], [])
    desk.hold(stop=Decimal(59400), target=Decimal(61000))
    assert desk.moves == [(Decimal(59500), Decimal(61000), "repair: wrong_trigger")]


def test_a_found_position_without_a_stop_gets_the_profiles(desk: Desk) -> None:
    desk.mark(60000.0)
    desk.tell(found(), position(stop=NONE, target=NONE, covered="0"))
    desk.rig.run(0.35)
    # 0.4 % of 60000 is 240
    assert desk.moves == [(Decimal(59760), NONE, "repair: missing")]
    desk.hold(target=NONE)
    desk.rig.run(1.2)
    # 0.6 % is 360
    assert desk.moves[-1] == (Decimal(59760), Decimal(60360), "repair: target")


def test_a_found_position_deep_in_loss_is_protected_from_the_mark(desk: Desk) -> None:
    desk.mark(59700.0)
    desk.tell(found(), position(stop=NONE, covered="0", liquidation="58000"))
    desk.rig.run(0.35)
    # 0.4 % below 59700
    assert desk.moves[0][0] == Decimal("59461.2")


def test_a_found_position_in_gain_gets_a_target_beyond_the_mark(desk: Desk) -> None:
    desk.mark(60400.0)
    desk.tell(found(), position(target=NONE))
    desk.rig.run(1.2)
    # 0.6 % above 60400
    assert desk.moves == [(STOP, Decimal("60762.4"), "repair: target")]


def test_a_found_positions_computed_stop_stays_inside_the_buffer(desk: Desk) -> None:
    desk.tell(found(), position(stop=NONE, covered="0", liquidation="59800"))
    desk.rig.run(0.35)
    assert desk.moves[0][0] == Decimal(59820)


def test_an_unknown_position_is_closed_by_policy_until_it_is_flat(desk: Desk) -> None:
    desk.tell(found(policy="flatten"))
    desk.hold()
    desk.rig.run(0.7)
    assert desk.closed_for == ["unknown_position"] * 2
    desk.tell(position(quantity="0"))
    desk.rig.heard.clear()
    desk.hold()
    desk.rig.run(1.0)
    assert not desk.closed_for, "the next position is another one"


@pytest.mark.parametrize("policy", ["adopt", "halt"])
def test_an_unknown_position_is_kept_by_any_other_policy(desk: Desk, policy: str) -> None:
    desk.hold()
    desk.tell(found(policy=policy))
    desk.rig.run(1.0)
    assert not desk.closed_for


# when to keep still


def test_nothing_is_put_back_while_everything_is_flattened(desk: Desk) -> None:
    desk.settled()
    desk.tell(Flatten(T0_NS, "the end"))
    desk.hold(stop=NONE, covered="0")
    desk.rig.run(0.3)
    assert not desk.moves
    desk.tell(FlattenDone(T0_NS, False, 3, "one left"))
    desk.rig.run(0.1)
    assert desk.moves == [(STOP, TARGET, "repair: missing")]


def test_a_flatten_that_nobody_ends_does_not_leave_a_position_bare_for_ever(desk: Desk) -> None:
    desk.settled()
    desk.tell(Flatten(T0_NS, "the end"))
    desk.hold(stop=Decimal(59700))
    desk.rig.run(25.0)
    assert not desk.moves
    desk.rig.run(10.0)
    assert desk.moves


def test_a_position_that_turns_over_is_another_one(desk: Desk) -> None:
    desk.settled()
    turned: PositionChanged = position(
        side=-1, stop=Decimal(60300), target=Decimal(59000), liquidation="60960"
    )
    desk.tell(turned)
    desk.rig.run(2.0)
    assert not desk.moves, "the old one's stop is not asked of it"


def test_a_venue_without_a_position_any_more_is_no_refusal(desk: Desk) -> None:
    desk.settled()
    desk.hold(stop=NONE, covered="0")
    desk.refuse("no_position: BTCUSDT")
    assert not desk.closed_for
    assert desk.repairs == [("missing", "protect")]


def test_a_stop_refused_for_its_target_is_sent_without_it(desk: Desk) -> None:
    desk.settled()
    desk.hold(stop=NONE, target=NONE, covered="0")
    assert desk.moves == [(STOP, TARGET, "repair: missing")]
    desk.refuse("too_many_conditional", leg="target")
    desk.rig.run(0.2)
    assert desk.moves[1] == (STOP, NONE, "repair: missing")
    assert not desk.closed_for


def test_a_resting_entry_that_fills_again_has_its_bracket_again(desk: Desk) -> None:
    desk.tell(bracket(1), fill("e"), position(), position(quantity="0"))
    desk.tell(fill("e", 2, at_ns=T0_NS + 10**9), position(stop=NONE, covered="0"))
    desk.rig.run(0.3)
    assert desk.moves == [(STOP, TARGET, "repair: missing")]


def test_the_bracket_of_an_entry_that_is_over_protects_no_other_position(desk: Desk) -> None:
    desk.settled()
    desk.tell(position(quantity="0"))
    desk.hold(stop=NONE, target=NONE, covered="0", entry="61000", liquidation="60024")
    desk.rig.run(0.35)
    assert desk.moves[0][0] == Decimal(60756), "0.4 % of 61000 is 244"
