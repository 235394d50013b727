"""Guardian: orders that protect nothing are cancelled, foreign ones treated by policy."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.guardian import Guardian
from hfengine.messages import Halt, OrderEnded, OrderUpdate, Resume
from hfengine.oversight import CancelOrder, OpenOrders, Repair
from hfengine.settings import Recovery, Settings
from tests.rig import T0_NS, Rig, bracket, position

Make = Callable[[Any], Rig]
FLAT = position(quantity="0", side=0)


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Rig] = []

    def rig_of(policy: Any) -> Rig:
        made.append(Rig(Settings(recovery=Recovery(foreign_orders=policy))))
        return made[-1]

    yield rig_of
    for rig in made:
        rig.close()


@pytest.fixture
def ref(rig: Rig) -> Any:
    return rig.start(Guardian)


def stop_order(client_id: str = "hf-old-000001e0-sl", **changed: Any) -> OrderUpdate:
    order = OrderUpdate(
        client_id,
        "v77",
        "BTCUSDT",
        T0_NS,
        "stop_market",
        -1,
        Decimal("0.010"),
        Decimal(0),
        Decimal(0),
        Decimal(59760),
        reduce_only=True,
        state="untriggered",
    )
    return replace(order, **changed)


def limit_order(client_id: str = "manual-1", **changed: Any) -> OrderUpdate:
    order = stop_order(
        client_id,
        kind="limit",
        side=1,
        price=Decimal(59000),
        trigger=Decimal(0),
        reduce_only=False,
        state="new",
    )
    return replace(order, **changed)


def read(number: int, *orders: OrderUpdate) -> OpenOrders:
    return OpenOrders(T0_NS + number, orders)


# zombies


@pytest.mark.parametrize(
    "client_id", ["hf-old-000001e0-sl", "", "position#3-sl"], ids=["ours", "none", "venue's"]
)
def test_protection_of_nothing_is_cancelled_when_seen_twice(
    rig: Rig, ref: Any, client_id: str
) -> None:
    zombie = stop_order(client_id)
    rig.tell(ref, FLAT, read(1, zombie))
    assert not rig.all(CancelOrder), "once may be a race"
    rig.tell(ref, read(2, zombie))
    cancel, repair = rig.one(CancelOrder), rig.one(Repair)
    assert (cancel.symbol, cancel.client_id, cancel.venue_id) == ("BTCUSDT", client_id, "v77")
    assert (repair.fault, repair.action) == ("zombie", "cancel")


def test_the_same_reading_told_twice_is_one_reading(rig: Rig, ref: Any) -> None:
    rig.tell(ref, FLAT, read(1, stop_order()), read(1, stop_order()))
    assert not rig.all(CancelOrder)


def test_a_zombie_seen_in_between_must_be_seen_twice_again(rig: Rig, ref: Any) -> None:
    rig.tell(ref, FLAT, read(1, stop_order()), read(2), read(3, stop_order()))
    assert not rig.all(CancelOrder)


def test_protection_of_a_position_is_left(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(), read(1, stop_order("")), read(2, stop_order("")))
    assert not rig.all(CancelOrder)
    assert not rig.all(Repair)


def test_protection_of_a_position_gone_the_other_way_is_a_zombie(rig: Rig, ref: Any) -> None:
    rig.tell(ref, position(side=-1), read(1, stop_order()), read(2, stop_order()))
    assert rig.one(CancelOrder).client_id == "hf-old-000001e0-sl"


def test_the_stop_of_an_entry_on_its_way_is_no_zombie(rig: Rig, ref: Any) -> None:
    rig.tell(ref, FLAT, bracket(1), read(1, stop_order()), read(2, stop_order()))
    assert not rig.all(CancelOrder)
    ended = OrderEnded(1, "e1", "BTCUSDT", T0_NS, "cancelled", Decimal(0), "ioc_remainder")
    rig.tell(ref, ended, read(3, stop_order()))
    assert not rig.all(CancelOrder), "the readings before do not count"
    rig.tell(ref, read(4, stop_order()))
    assert rig.all(CancelOrder)


def test_a_zombie_that_outlives_its_cancel_is_cancelled_again(rig: Rig, ref: Any) -> None:
    rig.tell(ref, FLAT, *(read(number, stop_order()) for number in (1, 2, 3)))
    assert len(rig.all(CancelOrder)) == 2


def test_a_manual_reduce_only_order_of_a_position_is_left(rig: Rig, ref: Any) -> None:
    mine = limit_order(side=-1, reduce_only=True)
    rig.tell(ref, position(), read(1, mine), read(2, mine))
    assert not rig.all(CancelOrder)
    assert not rig.all(Repair)


def test_orders_of_symbols_that_are_not_traded_are_nobodys_business(rig: Rig, ref: Any) -> None:
    other = stop_order(symbol="DOGEUSDT")
    rig.tell(ref, FLAT, read(1, other), read(2, other), read(3, limit_order(symbol="DOGEUSDT")))
    assert not rig.all(Repair)


def test_our_own_resting_entry_is_not_foreign(rig: Rig, ref: Any) -> None:
    mine = limit_order("hf-test-000001e0")
    rig.tell(ref, FLAT, read(1, mine), read(2, mine))
    assert not rig.all(Repair)
    assert not rig.all(CancelOrder)


# foreign orders


def test_a_foreign_order_is_told_once_and_left(rig: Rig, ref: Any) -> None:
    rig.tell(ref, FLAT, *(read(number, limit_order()) for number in (1, 2, 3)))
    repair = rig.one(Repair)
    assert (repair.fault, repair.action) == ("foreign", "leave")
    assert "manual-1" in repair.found
    assert not rig.all(CancelOrder)
    rig.tell(ref, read(4), read(5, limit_order()))
    assert len(rig.all(Repair)) == 2, "gone and come again"


def test_a_foreign_conditional_order_that_would_open_is_foreign(rig: Rig, ref: Any) -> None:
    opens = stop_order("manual-2", side=1, reduce_only=False)
    rig.tell(ref, position(), read(1, opens))
    assert rig.one(Repair).fault == "foreign"


def test_foreign_orders_are_cancelled_by_policy(make: Make) -> None:
    rig = make("cancel")
    ref = rig.start(Guardian)
    rig.tell(ref, FLAT, read(1, limit_order()))
    assert rig.one(Repair).action == "cancel"
    assert rig.one(CancelOrder).venue_id == "v77"
    rig.tell(ref, read(2, limit_order()))
    assert len(rig.all(CancelOrder)) == 2, "the first cancel was lost"


def test_foreign_orders_halt_entries_by_policy_until_they_are_gone(make: Make) -> None:
    rig = make("halt")
    ref = rig.start(Guardian)
    rig.tell(ref, FLAT, read(1, limit_order()), read(2, limit_order()))
    assert rig.one(Halt).source == "foreign_order"
    assert not rig.all(Resume)
    rig.tell(ref, read(3))
    assert rig.one(Resume).source == "foreign_order"
