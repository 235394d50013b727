"""Each kind of difference is told once, the venue's is taken, and whose a position is, is known."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hfengine.actors.held import HeldMemory
from hfengine.actors.reconciliation import (
    AccountReading,
    Believed,
    Reconciliation,
    opener_of,
    unheard,
)
from hfengine.messages import BalanceChanged, Fill, Halt, OrderUpdate, PositionChanged
from hfengine.oversight import Adopted, CancelOrder, Difference
from hfengine.settings import Recovery, Settings
from tests.rig import T0_NS, Rig, balance, fill, order, position

MINUTE_NS = 60_000_000_000
ENTRY = "hf-test-000001e0"
EARLIER = "hf-0123456789-000007e0"
FLAT = position(side=0, quantity="0", at_ns=T0_NS - MINUTE_NS)


def reading(
    *positions: PositionChanged,
    fills: Iterable[Fill] = (),
    orders: Iterable[OrderUpdate] = (),
    wallet: BalanceChanged | None = None,
    at_ns: int = T0_NS,
) -> AccountReading:
    return AccountReading(at_ns, tuple(fills), positions, tuple(orders), wallet or balance())


def believed(
    *positions: PositionChanged,
    orders: Mapping[str, str] | None = None,
    heard: Iterable[str] = (),
    unsettled: Iterable[str] = (),
) -> Believed:
    return Believed({p.symbol: p for p in positions}, orders or {}, set(heard), set(unsettled))


def old(one: Fill, seconds: int = 10) -> Fill:
    return replace(one, at_ns=T0_NS - seconds * 1_000_000_000)


def made(rig: Rig) -> Reconciliation:
    return Reconciliation(rig.wiring, rig.heard.append)


def told(rig: Rig, subject: str) -> list[Difference]:
    return [found for found in rig.all(Difference) if found.subject == subject]


@pytest.mark.parametrize(
    ("known", "found", "ours", "venues"),
    [
        (FLAT, position(), "flat", "long 0.01"),
        (position(at_ns=T0_NS - 1), None, "long 0.01", "flat"),
        (position(at_ns=T0_NS - 1), position(quantity="0.020"), "long 0.01", "long 0.02"),
        (position(at_ns=T0_NS - 1), position(side=-1), "long 0.01", "short 0.01"),
    ],
)
def test_another_position_is_told_once(
    rig: Rig, known: PositionChanged, found: PositionChanged | None, ours: str, venues: str
) -> None:
    checked = made(rig)
    for _ in range(3):
        checked.compare(reading(*([found] if found else [])), believed(known))
    (one,) = told(rig, "position")
    assert (one.symbol, one.ours, one.venues) == ("BTCUSDT", ours, venues)


def test_a_difference_that_changes_or_comes_again_is_told_again(rig: Rig) -> None:
    checked = made(rig)
    for quantity in ("0.010", "0.020", "0.020"):
        checked.compare(reading(position(quantity=quantity)), believed(FLAT))
    assert len(told(rig, "position")) == 2
    checked.compare(reading(position()), believed(position()))
    checked.compare(reading(position(quantity="0.020")), believed(position()))
    assert len(told(rig, "position")) == 3


@pytest.mark.parametrize(
    "known",
    [
        believed(FLAT, unsettled=["BTCUSDT"]),
        believed(replace(FLAT, at_ns=T0_NS + 1)),
        believed(position()),
    ],
    ids=["unsettled", "told since", "equal"],
)
def test_old_news_and_equal_positions_are_no_difference(rig: Rig, known: Believed) -> None:
    made(rig).compare(reading(position()), known)
    assert told(rig, "position") == []


def test_fills_not_heard_are_told_once_each_and_young_ones_not(rig: Rig) -> None:
    checked = made(rig)
    late = [old(fill(ENTRY, 1)), old(fill(ENTRY, 1)), old(fill(ENTRY, 2)), fill(ENTRY, 3)]
    for _ in range(2):
        checked.compare(reading(fills=late), believed(heard=["f2"]))
    (one,) = told(rig, "fill")
    assert one.venues.startswith("f1: buy 0.010 at 60000")


def test_unheard_fills_come_once_and_the_oldest_first() -> None:
    fills = [fill(ENTRY, 2), old(fill(ENTRY, 1)), fill(ENTRY, 2), fill(ENTRY, 3)]
    assert [one.fill_id for one in unheard(fills, {"f3"})] == ["f1", "f2"]


# whose a position is


def kept(rig: Rig, **changes: Any) -> None:
    memory = HeldMemory(
        side=1,
        opened_ns=T0_NS - 30_000_000_000,
        entry=Decimal(60000),
        entry_drift=0.002,
        entry_confidence=0.9,
        half_life_s=45.0,
    )
    rig.wiring.recalled["bot:held:BTCUSDT"] = msgspec.json.encode(replace(memory, **changes))


def test_a_position_of_an_earlier_run_comes_with_what_it_was_entered_for(rig: Rig) -> None:
    kept(rig)
    checked = made(rig)
    for _ in range(3):
        checked.compare(reading(position()), believed())
    adopted = rig.one(Adopted)
    assert (adopted.ours, adopted.policy, adopted.quantity) == (True, "adopt", Decimal("0.010"))
    assert (adopted.entry_drift, adopted.entry_confidence, adopted.half_life_s) == (0.002, 0.9, 45)
    assert adopted.opened_ns == T0_NS - 30_000_000_000
    assert rig.all(Difference) == []


@pytest.mark.parametrize(
    "changes",
    [{"side": -1}, {"entry": Decimal(61000)}, {"entry_drift": None}],
    ids=["other side", "other entry", "adopted before"],
)
def test_memory_of_another_position_is_not_taken(rig: Rig, changes: dict[str, Any]) -> None:
    kept(rig, **changes)
    made(rig).compare(reading(position()), believed())
    adopted = rig.one(Adopted)
    assert (adopted.ours, adopted.entry_drift, adopted.opened_ns) == (False, 0.0, T0_NS)


def test_unreadable_memory_makes_a_position_unknown_not_the_actor_dead(rig: Rig) -> None:
    rig.wiring.recalled["bot:held:BTCUSDT"] = b"\x00garbage"
    made(rig).compare(reading(position()), believed())
    assert rig.one(Adopted).ours is False


def test_a_position_an_order_of_this_run_opened_is_not_adopted(rig: Rig) -> None:
    made(rig).compare(reading(position(), fills=[old(fill(ENTRY))]), believed(position()))
    assert rig.all(Adopted) == []


def test_a_hand_that_opens_again_what_we_closed_is_found_out(rig: Rig) -> None:
    kept(rig, opened_ns=T0_NS - 30_000_000_000)
    fills = [
        old(fill(ENTRY, 1), 30),
        old(fill("hf-test-000002x0", 2, side=-1), 20),
        old(fill("web-77", 3), 10),
    ]
    made(rig).compare(reading(position(), fills=fills), believed(position()))
    adopted = rig.one(Adopted)
    assert (adopted.ours, adopted.opened_ns) == (False, T0_NS - 10_000_000_000)


def test_an_entry_of_an_earlier_run_without_memory_is_still_not_unknown() -> None:
    settings = replace(Settings(), recovery=Recovery(unknown_position="flatten"))
    rig = Rig(settings)
    made(rig).compare(reading(position(), fills=[old(fill(EARLIER))]), believed())
    adopted = rig.one(Adopted)
    rig.close()
    assert (adopted.ours, adopted.policy) == (False, "adopt")


@pytest.mark.parametrize("policy", ["adopt", "flatten", "halt"])
def test_an_unknown_position_meets_the_policy(policy: Any) -> None:
    rig = Rig(replace(Settings(), recovery=Recovery(unknown_position=policy)))
    checked = made(rig)
    for _ in range(2):
        checked.compare(reading(position()), believed())
    rig.close()
    assert rig.one(Adopted).policy == policy
    halts = [halt.source for halt in rig.all(Halt)]
    assert halts == (["unknown_position"] if policy == "halt" else [])


def test_a_position_that_goes_and_comes_again_is_judged_again(rig: Rig) -> None:
    checked = made(rig)
    for held in ([position()], [], [position()]):
        checked.compare(reading(*held), believed())
    assert len(rig.all(Adopted)) == 2


def test_the_opener_is_followed_back_from_the_position_as_it_is() -> None:
    now = position(quantity="0.015")
    fills = [
        fill("a", 1, quantity="0.010", side=-1, at_ns=1),
        fill("b", 2, quantity="0.030", at_ns=2),
        fill("c", 3, quantity="0.005", side=-1, at_ns=3),
        fill("x", 4, symbol="ETHUSDT", quantity="9", at_ns=4),
    ]
    opener = opener_of(now, [*fills, fills[2]])
    assert opener is not None
    assert opener.client_id == "b"
    assert opener_of(now, fills[2:]) is None


# orders


def resting(client_id: str, **changes: Any) -> OrderUpdate:
    return replace(order(client_id, "new", filled="0"), **changes)


def test_a_foreign_order_is_told_once_with_the_policy(rig: Rig) -> None:
    checked = made(rig)
    for _ in range(2):
        checked.compare(reading(orders=[resting("web-1")]), believed())
    (one,) = told(rig, "order")
    assert (one.policy, one.ours) == ("leave", "not ours")
    assert rig.all(CancelOrder) == []


def test_a_resting_entry_of_an_earlier_run_is_cancelled_at_once(rig: Rig) -> None:
    made(rig).compare(reading(orders=[resting(EARLIER)]), believed())
    cancel = rig.one(CancelOrder)
    assert (cancel.client_id, cancel.venue_id) == (EARLIER, f"venue-{EARLIER}")
    assert len(told(rig, "order")) == 1


def test_one_of_this_run_that_nobody_waits_for_only_when_seen_twice(rig: Rig) -> None:
    checked = made(rig)
    checked.compare(reading(orders=[resting(ENTRY)]), believed())
    assert rig.all(CancelOrder) == []
    checked.compare(reading(orders=[resting(ENTRY)]), believed())
    assert rig.one(CancelOrder).client_id == ENTRY


@pytest.mark.parametrize(
    ("listed", "known"),
    [
        (resting(ENTRY), believed(orders={ENTRY: "BTCUSDT"})),
        (resting(EARLIER), believed(unsettled=["BTCUSDT"])),
        (resting("", reduce_only=True, trigger=Decimal(59000)), believed()),
    ],
    ids=["known", "unsettled", "protective"],
)
def test_these_orders_are_no_difference(rig: Rig, listed: OrderUpdate, known: Believed) -> None:
    checked = made(rig)
    for _ in range(2):
        checked.compare(reading(orders=[listed]), known)
    assert rig.heard == []


def test_an_order_missing_twice_is_told_once(rig: Rig) -> None:
    checked, known = made(rig), believed(orders={ENTRY: "BTCUSDT"})
    checked.compare(reading(), known)
    assert told(rig, "order") == []
    for _ in range(3):
        checked.compare(reading(), known)
    (one,) = told(rig, "order")
    assert (one.venues, one.policy) == ("not listed", "looked up")


# the wallet


def test_a_wallet_that_fills_and_funding_explain_is_no_difference(rig: Rig) -> None:
    checked = made(rig)
    for _ in range(2):
        checked.compare(reading(wallet=balance("10000")), believed())
    closed = old(fill(ENTRY, 1, realised="12.5"))
    rig.wiring.tally.funding_usdt += Decimal("0.2")
    for _ in range(3):
        checked.compare(reading(fills=[closed], wallet=balance("10012.0")), believed(heard=["f1"]))
    assert rig.all(Difference) == []


def test_an_unexplained_wallet_is_told_once_when_two_readings_agree(rig: Rig) -> None:
    checked = made(rig)
    for wallet in ("10000", "10000", "9990"):
        checked.compare(reading(wallet=balance(wallet)), believed())
    assert rig.all(Difference) == []
    for _ in range(3):
        checked.compare(reading(wallet=balance("9990")), believed())
    (one,) = told(rig, "balance")
    assert (one.ours, one.venues) == ("wallet 10000 by fills and funding", "wallet 9990")


def test_a_fill_between_two_requests_of_a_reading_is_no_difference(rig: Rig) -> None:
    checked = made(rig)
    for _ in range(2):
        checked.compare(reading(wallet=balance("10000")), believed())
    one = fill(ENTRY, 1, realised="7.3")
    checked.compare(reading(wallet=balance("10007")), believed())
    for _ in range(2):
        checked.compare(reading(fills=[one], wallet=balance("10007")), believed(heard=["f1"]))
    assert rig.all(Difference) == []
