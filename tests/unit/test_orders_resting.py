"""Entries that rest: where they lie, how they follow the quote, how their time ends."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.messages import BookTick, OrderEnded, OrderUpdate, PositionOpened
from hfengine.oversight import OrderMoved
from hfengine.settings import Entries, Settings
from tests.proved import proved
from tests.rig import T0_NS, Rig, bracket, fill, order, position

ENTRY_ID = "hf-test-000001e0"
RESTING = Entries(
    kind="post_only", timeout_s=10.0, chase_every_ms=500.0, chase_max=2, chase_max_bps=5.0
)


def quote(bid: float, ask: float | None = None) -> BookTick:
    return BookTick("BTCUSDT", T0_NS, 0, 1, bid, 1.0, bid + 0.1 if ask is None else ask, 1.0, 0.0)


def new(filled: str = "0") -> OrderUpdate:
    return order(ENTRY_ID, "new" if filled == "0" else "partially_filled", filled=filled)


@pytest.fixture
def resting() -> Iterator[Rig]:
    rig = Rig(Settings(entries=RESTING))
    yield rig
    rig.close()


def entered(rig: Rig, bid: float = 60000.0) -> Any:
    ref = proved(rig)
    rig.venue.answers.append(new())
    rig.tell(ref, quote(bid), bracket())
    rig.venue.known[ENTRY_ID] = new()
    return ref


def states(rig: Rig) -> list[str]:
    return [one.after for one in rig.all(OrderMoved)]


def test_a_post_only_entry_lies_at_our_side_with_its_protection(resting: Rig) -> None:
    entered(resting)
    (request,) = resting.venue.placed
    assert (request.tif, request.price) == ("post_only", Decimal("60000.0"))
    assert (request.stop, request.target) == (Decimal(59760), Decimal(60360))


def test_a_short_one_lies_at_the_ask(resting: Rig) -> None:
    ref = proved(resting)
    resting.venue.answers.append(new())
    short = replace(bracket(), side=-1, price=Decimal(59990))
    resting.tell(ref, quote(60000.0), short)
    assert resting.venue.placed[0].price == Decimal("60000.1")


def test_it_never_lies_beyond_the_price_its_protection_was_computed_for(resting: Rig) -> None:
    ref = proved(resting)
    resting.venue.answers.append(new())
    resting.tell(ref, quote(60500.0), bracket())
    assert resting.venue.placed[0].price == Decimal(60010)


def test_without_a_quote_it_is_not_placed(resting: Rig) -> None:
    ref = proved(resting)
    resting.tell(ref, bracket())
    ended = resting.one(OrderEnded)
    assert (ended.outcome, ended.reason.split(":")[:2]) == ("not_placed", ["gate", " quote"])
    assert resting.venue.placed == []


@pytest.mark.parametrize(
    ("chase_max", "side", "price"),
    [(0, 1, "60010"), (2, 1, "59980.0"), (2, -1, "60040.1")],
)
def test_a_good_till_cancelled_one_lies_where_its_chase_ends_at_its_price(
    chase_max: int, side: int, price: str
) -> None:
    rig = Rig(Settings(entries=replace(RESTING, kind="gtc", chase_max=chase_max)))
    ref = proved(rig)
    rig.venue.answers.append(new())
    rig.tell(ref, replace(bracket(), side=side))
    assert (rig.venue.placed[0].tif, rig.venue.placed[0].price) == ("gtc", Decimal(price))
    rig.close()


def test_a_chase_never_leaves_what_stop_and_size_were_computed_for() -> None:
    rig = Rig(Settings(entries=replace(RESTING, kind="gtc", chase_max_bps=50.0)))
    ref = proved(rig)
    rig.venue.answers.append(new())
    rig.tell(ref, bracket())
    rig.run(0.6)
    rig.venue.answers.append(amended_to("60009.9"))
    rig.tell(ref, quote(60500.0))
    moved = [price for _, _, price in rig.venue.amended]
    assert moved == [Decimal("60009.9")], "from 59711.4 by half a percent, 60010 at most"
    rig.close()


def test_one_that_would_take_ends_by_name(resting: Rig) -> None:
    ref = proved(resting)
    told = order(ENTRY_ID, "cancelled", filled="0", reason="post_only_would_take")
    resting.venue.answers.append(told)
    resting.tell(ref, quote(60000.0), bracket())
    ended = resting.one(OrderEnded)
    assert (ended.outcome, ended.reason) == ("cancelled", "post_only_would_take")
    resting.run(20.0)
    assert resting.venue.withdrawn == []


def test_after_its_time_it_is_cancelled_and_what_has_filled_is_the_position(resting: Rig) -> None:
    ref = entered(resting)
    resting.tell(ref, fill(ENTRY_ID, quantity="0.004"), new("0.004"), position(quantity="0.004"))
    resting.venue.known[ENTRY_ID] = new("0.004")
    resting.run(9.9)
    assert resting.venue.withdrawn == []
    resting.run(0.2)
    assert resting.venue.withdrawn == [("BTCUSDT", ENTRY_ID, "")]
    resting.tell(ref, order(ENTRY_ID, "cancelled", filled="0.004"))
    ended = resting.one(OrderEnded)
    assert (ended.outcome, ended.filled) == ("cancelled", Decimal("0.004"))
    assert resting.one(PositionOpened).quantity == Decimal("0.004")


def test_one_whose_answer_was_lost_is_cancelled_as_soon_as_it_is_found(resting: Rig) -> None:
    ref = proved(resting)
    resting.venue.answers.append(VenueUnknown("timeout"))

    async def unreachable(_symbol: str, _client_id: str) -> None:
        raise VenueUnknown("timeout")

    find, resting.venue.order_by_id = resting.venue.order_by_id, unreachable  # type: ignore[method-assign]
    resting.tell(ref, quote(60000.0), bracket())
    resting.run(11.0)
    assert resting.venue.withdrawn == []
    resting.venue.order_by_id = find  # type: ignore[method-assign]
    resting.venue.known[ENTRY_ID] = new()
    resting.run(15.0)
    assert resting.venue.withdrawn[0] == ("BTCUSDT", ENTRY_ID, "")


def amended_to(price: str) -> OrderUpdate:
    return replace(new(), price=Decimal(price))


def test_it_follows_the_quote_in_place_at_its_pace(resting: Rig) -> None:
    ref = entered(resting)
    resting.venue.answers += [amended_to("60005.0"), amended_to("60010.0")]
    resting.tell(ref, quote(60005.0))
    assert resting.venue.amended == [], "not before chase_every_ms"
    resting.run(0.5)
    resting.tell(ref, quote(60005.0))
    assert resting.venue.amended == [("BTCUSDT", ENTRY_ID, Decimal("60005.0"))]
    assert states(resting) == ["sent", "open", "amending", "open"]
    resting.tell(ref, quote(60010.0))
    assert len(resting.venue.amended) == 1
    resting.run(0.5)
    resting.tell(ref, quote(60010.0))
    assert resting.venue.amended[-1][2] == Decimal("60010.0")
    resting.run(0.6)
    resting.tell(ref, quote(60020.0))
    assert len(resting.venue.amended) == 2, "chase_max"
    assert len(resting.venue.placed) == 1


def test_it_does_not_follow_beyond_its_reach_nor_backwards(resting: Rig) -> None:
    ref = entered(resting)
    resting.run(0.6)
    resting.tell(ref, quote(59990.0))
    assert resting.venue.amended == []
    resting.venue.answers.append(amended_to("60010.0"))
    resting.tell(ref, quote(60500.0))
    assert resting.venue.amended[0][2] == Decimal("60010.0"), "the bracket's price"
    resting.run(0.6)
    resting.tell(ref, quote(60600.0))
    assert len(resting.venue.amended) == 1


def test_it_does_not_follow_beyond_the_profiles_reach(resting: Rig) -> None:
    ref = entered(resting, bid=59960.0)
    resting.run(0.6)
    resting.venue.answers.append(amended_to("59989.9"))
    resting.tell(ref, quote(60500.0))
    assert resting.venue.amended[0][2] == Decimal("59989.9"), "five basis points of 59960"


@pytest.mark.parametrize("fault", [VenueRejected("unknown_order"), VenueUnknown("timeout")])
def test_a_move_refused_or_lost_is_asked_after(resting: Rig, fault: Exception) -> None:
    ref = entered(resting)
    resting.run(0.6)
    resting.venue.answers.append(fault)
    resting.venue.known[ENTRY_ID] = order(ENTRY_ID, "cancelled", filled="0")
    resting.tell(ref, quote(60005.0))
    assert resting.venue.queries == [ENTRY_ID]
    assert resting.one(OrderEnded).outcome == "cancelled"


@pytest.mark.parametrize("first", ["amended", "filled"])
def test_amend_and_fill_race_in_both_orders(resting: Rig, first: str) -> None:
    ref = entered(resting)
    resting.run(0.6)
    answer: Any = resting.loop.create_future()
    resting.venue.amend = lambda *_: answer  # type: ignore[assignment,method-assign]
    resting.tell(ref, quote(60005.0))
    assert states(resting)[-1] == "amending"
    if first == "amended":
        answer.set_result(amended_to("60005.0"))
        resting.run(0.001)
    resting.tell(ref, fill(ENTRY_ID), order(ENTRY_ID), position())
    if first == "filled":
        answer.set_exception(VenueRejected("unknown_order"))
        resting.run(0.001)
    assert resting.one(OrderEnded).outcome == "filled"
    assert resting.report(ref)["anomalies"] == 0


def test_a_partly_filled_one_that_is_moved_stays_partly_filled(resting: Rig) -> None:
    ref = entered(resting)
    resting.tell(ref, fill(ENTRY_ID, quantity="0.004"), position(quantity="0.004"))
    resting.run(0.6)
    resting.venue.answers.append(replace(new("0.004"), price=Decimal("60005.0")))
    resting.tell(ref, quote(60005.0))
    assert states(resting)[-3:] == ["amending", "open", "partial"]


def test_a_resting_entry_does_not_hide_its_symbol_from_readings(resting: Rig) -> None:
    ref = entered(resting)
    resting.run(61.0)
    assert resting.report(ref)["readings"] == 1
    assert {one.symbol for one in resting.heard if hasattr(one, "covered")} >= {"BTCUSDT"}
