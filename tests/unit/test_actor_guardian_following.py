"""Guardian: the stop moves to break-even and trails, an old position is relaxed, halved, closed."""

import dataclasses
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hfengine.actors.guarded import Guarded
from hfengine.actors.guardian import Guardian
from hfengine.actors.trailing import Trailing
from hfengine.instruments import load_catalogue
from hfengine.messages import (
    Close,
    MarkTick,
    MoveProtection,
    PositionOpened,
    ProtectionRefused,
    Reduce,
)
from hfengine.oversight import Adopted, Difference, Keep, Repair
from hfengine.settings import Protection, Settings
from tests.rig import T0_NS, Rig, bracket, position

S_NS = 1_000_000_000
KEY = "bot:cover:BTCUSDT"
Make = Callable[..., Rig]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Rig] = []

    def rig_of(**protection: Any) -> Rig:
        made.append(Rig(Settings(protection=Protection(**protection))))
        return made[-1]

    yield rig_of
    for rig in made:
        rig.close()


def mark(rig: Rig, price: float) -> MarkTick:
    return MarkTick("BTCUSDT", rig.clock.now_ns(), price, price, 0.0001, T0_NS)


def moves(rig: Rig) -> list[tuple[Decimal, Decimal, str]]:
    return [(move.stop, move.target, move.reason) for move in rig.all(MoveProtection)]


def opened(at_ns: int = T0_NS) -> PositionOpened:
    return PositionOpened(
        1, "BTCUSDT", at_ns, 1, Decimal("0.010"), Decimal(60000), 0.001, 0.5, 60.0
    )


# break-even


def test_a_gain_moves_the_stop_to_entry_and_the_fees_of_both_ways(make: Make) -> None:
    rig = make(break_even_percent=0.2)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), position(), mark(rig, 60119.0))
    assert not moves(rig), "0.2 % of 60000 is 120"
    rig.tell(ref, mark(rig, 60120.0))
    # Binance takers pay 0.05 %: 60000 * 1.0005 / 0.9995 is 60060.03, up to the tick
    assert moves(rig) == [(Decimal("60060.1"), Decimal(60360), "break_even")]
    stop = float(moves(rig)[0][0])
    fee = float(rig.wiring.instruments["BTCUSDT"].taker_fee)
    assert 0.0 <= stop - 60000.0 - fee * (60000.0 + stop) < 0.11


def test_a_shorts_break_even_lies_below_its_entry(make: Make) -> None:
    rig = make(break_even_percent=0.2)
    ref = rig.start(Guardian)
    short = position(side=-1, stop=Decimal(60240), target=Decimal(59640), liquidation="60960")
    rig.tell(ref, short, mark(rig, 59880.0))
    # 60000 * 0.9995 / 1.0005 is 59940.03, down to the tick
    assert moves(rig) == [(Decimal("59940.0"), Decimal(59640), "break_even")]


def test_break_even_never_lies_beyond_the_mark_but_comes_when_it_can(make: Make) -> None:
    rig = make(break_even_percent=0.05)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), position(), mark(rig, 60040.0))
    rig.run(1.0)
    assert not moves(rig), "it would fire at once"
    rig.tell(ref, mark(rig, 60061.0))
    assert [reason for *_, reason in moves(rig)] == ["break_even"]


def test_break_even_is_one_way_and_once(make: Make) -> None:
    rig = make(break_even_percent=0.2)
    ref = rig.start(Guardian)
    even = Decimal("60060.1")
    rig.tell(ref, bracket(1), position(), mark(rig, 60120.0), position(stop=even))
    rig.heard.clear()
    for price in (60070.0, 60300.0, 60065.0, 60200.0):
        rig.run(0.5)
        rig.tell(ref, mark(rig, price), position(stop=even))
    assert not moves(rig)


def test_of_trailing_and_break_even_the_nearer_stop_goes(make: Make) -> None:
    rig = make(
        break_even_percent=0.2, trailing_activation_percent=0.3, trailing_callback_percent=0.25
    )
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), position(), mark(rig, 60180.0))
    # trailing: 60180 less 0.25 % is 60029.55; break-even 60060.1 is nearer
    assert moves(rig) == [(Decimal("60060.1"), Decimal(60360), "break_even")]
    rig.tell(ref, position(stop=Decimal("60060.1")))
    rig.run(0.2)
    rig.tell(ref, mark(rig, 60300.0))
    # 60300 less 0.25 % is 60149.25, up to the tick
    assert moves(rig)[1] == (Decimal("60149.3"), Decimal(60360), "trailing")


def test_a_following_stop_never_falls_behind_the_one_expected() -> None:
    catalogue = load_catalogue("binance").find("BTCUSDT")
    trailing = Trailing(Protection(trailing_activation_percent=0.2, trailing_callback_percent=0.5))
    # another client moved it away; what is expected is nearer than 60400 less 0.5 %
    guarded = Guarded(position(stop=Decimal(59700)), T0_NS, stop=Decimal(60200))
    assert trailing.look(guarded, 60400.0, catalogue) is None
    guarded.stop = Decimal(59700)
    assert trailing.look(guarded, 60400.0, catalogue) == (Decimal(60098), "trailing")


def test_break_even_is_not_done_twice() -> None:
    catalogue = load_catalogue("binance").find("BTCUSDT")
    trailing = Trailing(Protection(break_even_percent=0.1))
    guarded = Guarded(position(), T0_NS, stop=Decimal(59760))
    assert trailing.look(guarded, 60100.0, catalogue) == (Decimal("60060.1"), "break_even")
    guarded.position = position(stop=Decimal("60060.1"))
    assert trailing.stands(guarded, catalogue)
    guarded.position, guarded.stop = position(), Decimal(59760)
    assert trailing.look(guarded, 60100.0, catalogue) is None


# amendments that fail


def test_a_refused_move_leaves_the_stop_and_is_asked_for_again_later(make: Make) -> None:
    rig = make(break_even_percent=0.2)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), position(), mark(rig, 60120.0))
    refused = ProtectionRefused("BTCUSDT", T0_NS, "", "stop", "stop_wrong_side: 60060.1")
    rig.tell(ref, refused)
    rig.run(0.3)
    assert len(moves(rig)) == 1, "not at once again"
    rig.run(0.4)
    assert len(moves(rig)) == 2
    assert not rig.all(Close)
    assert not rig.all(Repair)


def test_a_lost_move_is_asked_for_again_and_is_no_fault(make: Make) -> None:
    rig = make(break_even_percent=0.2)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), position(), mark(rig, 60120.0))
    rig.run(0.4)
    assert len(moves(rig)) == 1
    rig.run(0.4)
    assert len(moves(rig)) == 2
    assert not rig.all(Repair)


def test_many_marks_ask_once(make: Make) -> None:
    rig = make(trailing_activation_percent=0.2, trailing_callback_percent=0.1)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), position())
    for tick in range(50):
        rig.tell(ref, mark(rig, 60150.0 + tick))
    assert len(moves(rig)) == 1


# age


def test_an_old_positions_target_comes_nearer(make: Make) -> None:
    rig = make(relax_after_s=10.0, relax_target_percent=0.2)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), opened(), position())
    rig.run(9.8)
    assert not moves(rig)
    rig.run(0.4)
    assert moves(rig) == [(Decimal(59760), Decimal(60120), "aged: target relaxed")]
    rig.tell(ref, position(target=Decimal(60120)))
    rig.run(5.0)
    assert len(moves(rig)) == 1


def test_a_target_nearer_than_the_relaxed_one_stays(make: Make) -> None:
    rig = make(relax_after_s=1.0, relax_target_percent=0.9)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), opened(), position())
    rig.run(5.0)
    assert not moves(rig)


def test_a_relaxed_target_that_the_price_has_passed_takes_the_profit(make: Make) -> None:
    rig = make(relax_after_s=1.0, relax_target_percent=0.2)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), opened(), position())
    rig.run(1.2)
    refused = ProtectionRefused("BTCUSDT", T0_NS, "", "target", "target_wrong_side: 60120")
    rig.tell(ref, refused)
    assert rig.one(Close).reason == "target_passed"


def test_an_old_position_is_halved_once(make: Make) -> None:
    rig = make(reduce_after_s=10.0)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), opened(), position())
    rig.run(9.8)
    assert not rig.all(Reduce)
    rig.run(0.4)
    reduce = rig.one(Reduce)
    assert (reduce.quantity, reduce.side, reduce.reason) == (Decimal("0.005"), 1, "aged")
    rig.tell(ref, position(quantity="0.005"))
    rig.run(30.0)
    assert len(rig.all(Reduce)) == 1


def test_a_halving_that_came_to_little_is_asked_for_again(make: Make) -> None:
    rig = make(reduce_after_s=1.0)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), opened(), position())
    rig.run(1.2)
    rig.tell(ref, position(quantity="0.008"))
    rig.run(1.2)
    assert [wish.quantity for wish in rig.all(Reduce)] == [Decimal("0.005"), Decimal("0.003")]


def test_a_halving_below_the_minimum_closes(make: Make) -> None:
    rig = make(reduce_after_s=1.0)
    ref = rig.start(Guardian)
    rig.tell(ref, opened(), position(quantity="0.001"))
    rig.run(1.2)
    assert not rig.all(Reduce)
    assert (rig.one(Close).reason, rig.one(Close).quantity) == ("aged", Decimal("0.001"))


def test_a_half_below_the_venues_minimum_closes(make: Make) -> None:
    rig = make(reduce_after_s=1.0)
    coarse = replace(rig.wiring.instruments["BTCUSDT"], quantity_min=Decimal("0.006"))
    rig.wiring = dataclasses.replace(rig.wiring, instruments={"BTCUSDT": coarse})
    ref = rig.start(Guardian)
    rig.tell(ref, opened(), position())
    rig.run(1.2)
    assert not rig.all(Reduce)
    assert rig.one(Close).quantity == Decimal("0.010")


def test_a_relaxed_target_that_cannot_be_had_is_given_up(make: Make) -> None:
    rig = make(relax_after_s=1.0, relax_target_percent=0.2)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), opened(), position())
    rig.run(30.0)
    assert [reason for *_, reason in moves(rig)] == [
        "aged: target relaxed", *["repair: target"] * 3
    ]  # fmt: skip
    assert rig.all(Repair)[-1].action == "leave"
    assert not rig.all(Close)


def test_a_position_too_old_is_closed(make: Make) -> None:
    rig = make(close_after_s=10.0, reduce_after_s=20.0)
    ref = rig.start(Guardian)
    rig.tell(ref, opened(), position())
    rig.run(9.8)
    assert not rig.all(Close)
    rig.run(0.4)
    assert rig.one(Close).reason == "aged"


def test_age_counts_from_the_opening_recovery_knows(make: Make) -> None:
    rig = make(close_after_s=100.0)
    ref = rig.start(Guardian)
    long_ago = T0_NS - 95 * S_NS
    adopted = Adopted(
        "BTCUSDT", T0_NS, 1, Decimal("0.010"), Decimal(60000), True, "adopt", long_ago,
        0.001, 0.5, 60.0,
    )  # fmt: skip
    rig.tell(ref, adopted, position())
    rig.run(4.8)
    assert not rig.all(Close)
    rig.run(0.4)
    assert rig.one(Close).reason == "aged"


def test_an_opening_told_after_the_position_counts_too(make: Make) -> None:
    rig = make(close_after_s=10.0)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), position(), opened(T0_NS - 8 * S_NS))
    rig.run(2.2)
    assert rig.one(Close).reason == "aged"


# memory


def test_what_was_reached_survives_a_restart(make: Make) -> None:
    rig = make(trailing_activation_percent=0.5, trailing_callback_percent=0.2, reduce_after_s=5.0)
    ref = rig.start(Guardian)
    trailed = Decimal("60279.2")
    rig.tell(ref, bracket(1), opened(), position(), mark(rig, 60400.0), position(stop=trailed))
    rig.run(5.5)
    assert len(rig.all(Reduce)) == 1
    rig.tell(ref, position(quantity="0.005", stop=trailed))
    rig.run(1.5)
    ref.stop()
    rig.heard.clear()
    again = rig.start(Guardian)
    rig.tell(again, position(quantity="0.005", stop=trailed), mark(rig, 60380.0))
    rig.run(10.0)
    assert not rig.all(Reduce), "halved once already"
    assert not moves(rig), "the best mark was 60400"
    rig.tell(again, position(quantity="0.005", stop=Decimal(60000)))
    assert moves(rig) == [(trailed, Decimal(60360), "repair: wrong_trigger")]


def test_the_best_mark_survives_a_restart(make: Make) -> None:
    rig = make(trailing_activation_percent=0.5, trailing_callback_percent=0.2)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), opened(), position(), mark(rig, 60400.0), mark(rig, 60250.0))
    rig.tell(ref, ProtectionRefused("BTCUSDT", T0_NS, "", "stop", "stop_wrong_side: 60279.2"))
    rig.run(1.5)
    ref.stop()
    rig.heard.clear()
    again = rig.start(Guardian)
    rig.tell(again, position(), mark(rig, 60350.0))
    # 60400 less 0.2 %, not 60350
    assert moves(rig) == [(Decimal("60279.2"), Decimal(60360), "trailing")]


def test_another_position_inherits_nothing(make: Make) -> None:
    rig = make(trailing_activation_percent=0.5, trailing_callback_percent=0.2)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), opened(), position(), mark(rig, 60400.0))
    rig.run(1.5)
    ref.stop()
    rig.heard.clear()
    again = rig.start(Guardian)
    rig.tell(again, position(entry="60100"), mark(rig, 60390.0))
    rig.run(1.0)
    assert not moves(rig)


def test_memory_is_emptied_when_flat(make: Make) -> None:
    rig = make()
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), opened(), position())
    assert msgspec.json.decode(rig.wiring.recalled[KEY])["stop"] == "59760"
    rig.tell(ref, position(quantity="0"))
    assert rig.wiring.recalled[KEY] == b""


def test_memory_is_written_once_a_second_at_most(make: Make) -> None:
    rig = make(trailing_activation_percent=0.1, trailing_callback_percent=0.2)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), opened(), position())
    for tick in range(100):
        rig.tell(ref, mark(rig, 60100.0 + tick))
        rig.run(0.04)
    kept = [keep.at_ns for keep in rig.all(Keep)]
    assert 3 <= len(kept) <= 6
    assert all(later - sooner >= S_NS for sooner, later in pairwise(kept))


def test_an_unreadable_memory_is_told_and_not_used(make: Make) -> None:
    rig = make()
    rig.wiring.recalled[KEY] = b'{"side": "long"'
    ref = rig.start(Guardian)
    assert rig.one(Difference).symbol == "BTCUSDT"
    rig.tell(ref, position())
    rig.run(2.0)
    assert not rig.all(Close)
    assert not moves(rig)


def test_an_aged_target_survives_a_restart(make: Make) -> None:
    rig = make(relax_after_s=1.0, relax_target_percent=0.2)
    ref = rig.start(Guardian)
    rig.tell(ref, bracket(1), opened(), position())
    rig.run(3.0)
    ref.stop()
    rig.heard.clear()
    again = rig.start(Guardian)
    rig.tell(again, replace(position(), target=Decimal(60120)))
    rig.run(3.0)
    assert not moves(rig)
