"""Readings: on a timer and when something is in doubt, one at a time; protection that was refused;
fills told once over restarts."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hfengine.actors.execution import PRIVATE_STREAM, Execution
from hfengine.actors.fill_memory import CURSOR_KEY, FILLS_OVERLAP_NS, cursor_of
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.limits import FILLS_REMEMBERED_MAX, FUNDING_REMEMBERED
from hfengine.messages import (
    Fill,
    FundingPaid,
    MoveProtection,
    OrderEnded,
    PositionChanged,
    ProtectionRefused,
    Start,
)
from hfengine.oversight import Adopted, Difference, Keep, OpenOrders
from hfengine.settings import Recovery, Settings
from hfengine.venues.venue_desk import BLIND
from tests.proved import proved
from tests.rig import T0_NS, Rig, bracket, fill, order, position

MOVE = MoveProtection("BTCUSDT", T0_NS, Decimal(59800), Decimal(60300), "trailing")
ENTRY_ID = "hf-test-000001e0"
S_NS = 1_000_000_000


@pytest.fixture
def ref(rig: Rig) -> Any:
    return proved(rig)


def refuse(rig: Rig, error: Exception) -> None:
    async def refused(*_asked: Any) -> PositionChanged:
        raise error

    rig.venue.protect = refused  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("reason", "leg"),
    [("stop_wrong_side", "stop"), ("target_wrong_side", "target"), ("busy", "stop")],
)
def test_a_refused_move_is_told_at_once(rig: Rig, ref: Any, reason: str, leg: str) -> None:
    refuse(rig, VenueRejected(reason, "x"))
    rig.tell(ref, MOVE)
    told = rig.one(ProtectionRefused)
    assert (told.symbol, told.leg, told.reason, told.client_id) == (
        "BTCUSDT",
        leg,
        f"{reason}: x",
        "",
    )
    assert rig.report(ref)["readings"] == 0


@pytest.mark.parametrize("error", [VenueUnknown("timeout"), VenueUnavailable("down")])
def test_a_lost_move_reads_the_account_at_once(rig: Rig, ref: Any, error: Exception) -> None:
    refuse(rig, error)
    rig.venue.position_list = [[position(stop=Decimal(59800))]]
    rig.tell(ref, MOVE)
    assert not rig.all(ProtectionRefused)
    assert rig.all(PositionChanged)[0].stop == Decimal(59800)


def test_what_an_amendment_answers_is_told_at_once(rig: Rig, ref: Any) -> None:
    rig.tell(ref, MOVE)
    told = rig.one(PositionChanged)
    assert (told.stop, told.target, told.covered) == (MOVE.stop, MOVE.target, told.quantity)
    assert rig.report(ref)["readings"] == 0


def test_an_amendments_answer_is_old_news_once_the_stream_has_spoken(rig: Rig, ref: Any) -> None:
    answered: asyncio.Future[PositionChanged] = rig.loop.create_future()

    async def slow(*_asked: Any) -> PositionChanged:
        return await answered

    rig.venue.protect = slow  # type: ignore[method-assign]
    flat = replace(position(), side=0, quantity=Decimal(0), covered=Decimal(0))
    rig.tell(ref, MOVE, flat)
    answered.set_result(position(stop=MOVE.stop))
    rig.run(0.01)
    assert rig.all(PositionChanged) == [flat]


def test_an_amendments_answer_does_not_end_an_order_that_has_just_filled(
    rig: Rig, ref: Any
) -> None:
    answered: asyncio.Future[PositionChanged] = rig.loop.create_future()

    async def slow(*_asked: Any) -> PositionChanged:
        return await answered

    rig.venue.protect = slow  # type: ignore[method-assign]
    rig.venue.answers.append(order(ENTRY_ID))
    rig.tell(ref, MOVE, bracket(), fill(ENTRY_ID))
    answered.set_result(position(quantity="0.001"))
    rig.run(0.01)
    assert not rig.all(OrderEnded), "what the fill made of the position is still to be told"
    rig.tell(ref, position())
    assert rig.one(OrderEnded).outcome == "filled"


def test_the_stop_of_an_entry_was_refused_the_account_says_what_stands_bare(
    rig: Rig, ref: Any
) -> None:
    rig.venue.answers.append(VenueUnknown("timeout"))
    bare = position(stop=Decimal(0), covered="0")
    rig.venue.position_list = [[bare]]
    rig.tell(ref, bracket())
    rig.tell(ref, ProtectionRefused("BTCUSDT", T0_NS, f"{ENTRY_ID}s", "stop", "busy"))
    assert bare in rig.all(PositionChanged), "the stream is late: nothing else tells of it"


def test_a_refused_target_or_one_of_no_entry_reads_nothing(rig: Rig, ref: Any) -> None:
    rig.tell(ref, ProtectionRefused("BTCUSDT", T0_NS, "", "stop", "busy"))
    rig.venue.answers.append(order(ENTRY_ID, "new", filled="0"))
    rig.tell(ref, bracket())
    rig.tell(ref, ProtectionRefused("BTCUSDT", T0_NS, f"{ENTRY_ID}t", "target", "busy"))
    assert rig.report(ref)["readings"] == 0
    assert len(rig.all(ProtectionRefused)) == 2


def test_a_fill_is_told_before_it_is_kept_as_told(rig: Rig, ref: Any) -> None:
    rig.tell(ref, fill(ENTRY_ID))
    kinds = [type(one) for one in rig.heard if isinstance(one, Fill | Keep)]
    assert kinds == [Fill, Keep], "a crash between the two would lose it"


def test_the_cursor_carries_what_was_told_of_late(rig: Rig, ref: Any) -> None:
    rig.tell(ref, fill(ENTRY_ID, 1))
    rig.run(2.0)
    rig.tell(ref, fill(ENTRY_ID, 2))
    assert _recent(rig) == ["f1", "f2"]
    rig.run(2.0)
    rig.tell(ref, fill(ENTRY_ID, 3))
    assert _recent(rig) == ["f2", "f3"]


def _recent(rig: Rig) -> list[str]:
    cursor = cursor_of(rig.wiring.recalled[CURSOR_KEY])
    assert cursor is not None
    return [one.fill_id for one in cursor.recent]


def test_the_account_is_read_on_a_timer_and_open_orders_are_told() -> None:
    rig = Rig(Settings(recovery=Recovery(reconcile_s=20.0)))
    ref = proved(rig)
    rig.venue.order_list = [order("hf-other-000001s0", "untriggered", filled="0")]
    rig.run(19.9)
    assert not rig.all(OpenOrders)
    rig.run(0.2)
    told = rig.one(OpenOrders)
    assert told.orders == tuple(rig.venue.order_list)
    assert told.at_ns == T0_NS + 20 * S_NS, "when the reading began"
    rig.run(20.0)
    assert rig.report(ref)["readings"] == 2
    rig.close()


def test_what_differs_is_told_before_it_is_taken(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(quantity="0.020"))
    rig.venue.position_list = [[position()]]
    rig.run(60.1)
    kinds = [
        type(one).__name__
        for one in rig.heard
        if isinstance(one, Difference | PositionChanged) and one.symbol == "BTCUSDT"
    ]
    assert kinds == ["PositionChanged", "Difference", "PositionChanged"]
    assert rig.one(Difference).ours == "long 0.02"


def test_a_position_found_at_the_start_is_told_as_adopted(rig: Rig, ref: Any) -> None:
    rig.venue.position_list = [[position()]]
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    assert rig.one(Adopted).symbol == "BTCUSDT"


def test_readings_never_overlap_and_a_wish_meanwhile_is_kept(
    rig: Rig, ref: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow: asyncio.Future[list[PositionChanged]] = rig.loop.create_future()
    waits = [slow]
    asked: list[int] = []

    async def positions() -> list[PositionChanged]:
        asked.append(1)
        return await waits.pop() if waits else []

    monkeypatch.setattr(rig.venue, "positions", positions)
    refuse(rig, VenueUnknown("timeout"))
    for _ in range(5):
        rig.tell(ref, MOVE)
    assert len(asked) == 1
    slow.set_result([])
    rig.run(0.01)
    assert len(asked) == 2
    rig.run(5.0)
    assert len(asked) == 2


def test_a_venue_that_is_away_is_asked_once_a_second_only(rig: Rig, ref: Any) -> None:
    asked: list[int] = []

    async def fills() -> list[Fill]:
        asked.append(1)
        raise VenueUnavailable("down")

    rig.venue.fills = fills  # type: ignore[method-assign]
    refuse(rig, VenueUnavailable("down"))
    for _ in range(4):
        rig.tell(ref, MOVE)
        rig.run(0.2)
    asked.clear()
    rig.run(10.0)
    assert 9 <= len(asked) <= 11


def test_the_private_stream_has_the_name_the_adapter_gives_it() -> None:
    assert PRIVATE_STREAM == BLIND


# fills


def kept(rig: Rig) -> Any:
    return cursor_of(rig.wiring.recalled[CURSOR_KEY])


def test_fills_are_not_told_again_after_a_restart_of_the_process() -> None:
    first = Rig()
    first.tell(proved(first), fill("a", 1), fill("a", 2, at_ns=T0_NS + S_NS))
    first.run(1.1)
    first.close()
    second = Rig()
    second.wiring.recalled[CURSOR_KEY] = first.wiring.recalled[CURSOR_KEY]
    ref = second.start(Execution)
    second.venue.fill_list = [fill("a", 1), fill("a", 2), fill("a", 3)]
    second.tell(ref, Start(T0_NS))
    second.run(0.01)
    assert [one.fill_id for one in second.all(Fill)] == ["f3"]
    assert second.report(ref)["fills"] == 3
    second.close()


def test_funding_is_told_once_over_a_restart_of_the_process() -> None:
    paid = FundingPaid("BTCUSDT", T0_NS, Decimal("0.0001"), Decimal("0.06"))
    later = replace(paid, at_ns=T0_NS + S_NS)
    first = Rig()
    first.tell(proved(first), paid, paid, replace(paid, symbol="ETHUSDT"))
    assert [one.symbol for one in first.all(FundingPaid)] == ["BTCUSDT", "ETHUSDT"]
    first.close()
    second = Rig()
    second.wiring.recalled[CURSOR_KEY] = first.wiring.recalled[CURSOR_KEY]
    second.tell(second.start(Execution), paid, later, paid)
    assert second.all(FundingPaid) == [later]
    second.close()


def test_the_newest_payments_are_known_and_what_is_older_counts_as_told(rig: Rig, ref: Any) -> None:
    paid = FundingPaid("BTCUSDT", T0_NS, Decimal("0.0001"), Decimal("0.06"))
    told = [replace(paid, at_ns=T0_NS + n * S_NS) for n in range(1, FUNDING_REMEMBERED + 2)]
    rig.tell(ref, *told, paid, told[0], told[-1])
    assert rig.all(FundingPaid) == told
    assert len(kept(rig).funding["BTCUSDT"]) == FUNDING_REMEMBERED


def test_the_cursor_is_kept_at_most_once_a_second_and_never_forgotten(rig: Rig, ref: Any) -> None:
    rig.tell(ref, *(fill("a", n) for n in range(10)))
    assert len(rig.all(Keep)) == 1
    assert len(kept(rig).ids) == 1
    rig.run(1.1)
    assert len(rig.all(Keep)) == 2
    assert len(kept(rig).ids) == 10
    rig.run(5.0)
    assert len(rig.all(Keep)) == 2


def test_ids_are_kept_for_their_window_only(rig: Rig, ref: Any) -> None:
    rig.venue.fill_list = [fill("a", 1)]
    rig.run(FILLS_OVERLAP_NS / 1e9 + 121.0)
    assert not rig.wiring.heard_fills
    assert rig.report(ref)["fills"] == 1
    assert len(rig.all(Fill)) == 1
    assert len(rig.all(Difference)) == 1, "what is listed for ever was told long ago"
    # a fill that comes late of the next reading is younger than the floor
    late = replace(fill("a", 2), at_ns=rig.clock.now_ns() - 300 * S_NS)
    rig.venue.fill_list.append(late)
    rig.run(61.0)
    assert [one.fill_id for one in rig.all(Fill)] == ["f1", "f2"]


def test_a_fill_told_by_nobody_for_long_is_told_by_the_reading(rig: Rig, ref: Any) -> None:
    rig.run(30.0)
    rig.venue.fill_list = [fill("a", 1)]
    rig.run(31.0)
    assert len(rig.all(Fill)) == 1
    assert rig.one(Difference).subject == "fill"


def test_the_memory_is_bounded(rig: Rig, ref: Any) -> None:
    for n in range(FILLS_REMEMBERED_MAX + 10):
        ref.tell(fill("a", n, at_ns=T0_NS + n))
        if n % 1000 == 0:
            rig.run()
    rig.run()
    assert len(rig.wiring.heard_fills) == FILLS_REMEMBERED_MAX
    rig.tell(ref, fill("a", 3, at_ns=T0_NS + 3))
    assert len(rig.all(Fill)) == FILLS_REMEMBERED_MAX + 10
    assert rig.report(ref)["fills"] == FILLS_REMEMBERED_MAX + 10


@pytest.mark.parametrize("body", [b"garbage", b"\xff\xfe", b'{"ids": 3}'])
def test_an_unreadable_cursor_is_told_and_treated_as_absent(rig: Rig, body: bytes) -> None:
    rig.wiring.recalled[CURSOR_KEY] = body
    ref = rig.start(Execution)
    rig.venue.fill_list = [fill("a", 1)]
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    assert len(rig.all(Fill)) == 1
    assert CURSOR_KEY in rig.all(Difference)[0].ours


def test_the_cursor_s_body_is_plain_json(rig: Rig, ref: Any) -> None:
    rig.tell(ref, fill("a", 7))
    body = msgspec.json.decode(rig.one(Keep).body)
    assert body["ids"] == {"f7": T0_NS}
    assert body["newest_ns"] == T0_NS
