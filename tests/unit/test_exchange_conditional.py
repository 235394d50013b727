"""Stop-limit orders, orders that expire with a position, partial protection, cancel by kind."""

import pytest

from hfengine.errors import VenueRejected
from hfengine.exchange import OrderReport
from tests.exchange_desk import BTC, D, Desk


@pytest.fixture
def desk() -> Desk:
    desk = Desk(detailed=True)
    desk.quote(1_000)
    return desk


def find(desk: Desk, client_id: str) -> OrderReport:
    found = desk.exchange.find_order("a", client_id=client_id)
    assert found is not None
    return found


def states(desk: Desk, client_id: str) -> list[str]:
    reports = [one for one in desk.drain() if isinstance(one, OrderReport)]
    return [one.update.state for one in reports if one.update.client_id == client_id]


def add(desk: Desk, kind: str, trigger: int, quantity: str, **more: object) -> OrderReport:
    return desk.exchange.add_protection(
        "a", BTC, kind, D(trigger), "mark", D(quantity), desk.tick(), **more
    )


def test_a_stop_limit_rests_when_triggered_and_fills_as_maker(desk: Desk) -> None:
    desk.place(1, 1)
    desk.place(-1, 1, kind="stop_market", trigger=D(995), price=D(1_005), reduce_only=True)
    desk.drain()
    desk.mark(995)
    assert states(desk, "o2") == ["triggered", "new"]
    report = find(desk, "o2")
    assert (report.update.price, report.triggered_ns) == (1_005, desk.now_ns)
    assert desk.exchange.publish_levels(BTC, -1, 2) == [(10_010, 49_000), (10_050, 1_000)]
    desk.trade(1_006, 1, 1)
    fill = desk.exchange.fill_reports("a")[-1]
    assert (fill.fill.price, fill.fill.maker, fill.fill.cause) == (1_005, True, "stop")
    assert desk.exchange.position("a", BTC).quantity == 0


def test_a_stop_limit_takes_up_to_its_limit(desk: Desk) -> None:
    desk.book([(999, 1)], [(1_001, "0.4"), (1_003, 5)])
    desk.place(1, 1, kind="stop_market", trigger=D(1_002), price=D(1_002))
    desk.drain()
    desk.mark(1_002)
    assert states(desk, "o1") == ["triggered", "partially_filled"]
    assert desk.exchange.publish_levels(BTC, 1, 1) == [(10_020, 600)]
    desk.exchange.cancel("a", BTC, "o1", desk.tick())
    assert desk.exchange.publish_levels(BTC, 1, 1) == [(9_990, 1_000)]


def test_a_resting_stop_limit_can_be_amended_as_a_limit_order(desk: Desk) -> None:
    desk.place(1, 1, kind="stop_market", trigger=D(1_002), price=D(990))
    desk.mark(1_002)
    with pytest.raises(VenueRejected, match="nothing_to_change"):
        desk.exchange.amend("a", BTC, "o1", desk.tick(), trigger=D(1_010))
    assert desk.exchange.amend("a", BTC, "o1", desk.tick(), price=D(991)).update.price == 991


def test_a_stop_limit_is_a_limit_order_at_the_door(desk: Desk) -> None:
    stop = {"kind": "stop_market", "trigger": D(1_002)}
    desk.place(1, 200, price=D(1_002), **stop)
    with pytest.raises(VenueRejected, match="above_max_market_quantity"):
        desk.place(1, 200, **stop)
    with pytest.raises(VenueRejected, match="price_band"):
        desk.place(1, 1, price=D(1_060), **stop)
    with pytest.raises(VenueRejected, match="off_tick"):
        desk.place(1, 1, price=D("1002.05"), **stop)
    with pytest.raises(VenueRejected, match="close_position_with_limit"):
        desk.place(1, 0, price=D(1_002), close_position=True, **stop)


@pytest.mark.parametrize(("expires", "state"), [(True, "cancelled"), (False, "untriggered")])
def test_an_order_that_expires_goes_with_its_position(
    desk: Desk, expires: bool, state: str
) -> None:
    desk.place(1, 1)
    desk.place(
        -1,
        0,
        kind="stop_market",
        trigger=D(990),
        close_position=True,
        expires_with_position=expires,
    )
    desk.place(-1, "0.4")
    assert find(desk, "o2").update.state == "untriggered"
    desk.place(-1, "0.6")
    assert find(desk, "o2").update.state == state
    if expires:
        assert find(desk, "o2").update.reason == "position_closed"


def test_expiring_orders_of_the_other_slot_stay(desk: Desk) -> None:
    desk.exchange.set_position_mode("a", "hedge", desk.tick())
    desk.place(1, 1, slot="long")
    desk.place(-1, 1, slot="short")
    more = {"kind": "stop_market", "close_position": True, "expires_with_position": True}
    desk.place(-1, 0, slot="long", trigger=D(990), **more)
    desk.place(1, 0, slot="short", trigger=D(1_010), **more)
    desk.place(-1, 1, slot="long")
    assert find(desk, "o3").update.state == "cancelled"
    assert find(desk, "o4").update.state == "untriggered"


def test_partial_protection_closes_its_part(desk: Desk) -> None:
    desk.place(1, 2, client_id="e")
    report = add(desk, "take_profit_market", 1_020, "0.5", parent_id="e")
    assert (report.attached, report.partial, report.parent_id) == (True, True, "e")
    assert (report.update.quantity, report.update.reduce_only) == (D("0.5"), True)
    add(desk, "stop_market", 990, "1.5")
    assert desk.exchange.position("a", BTC).covered == D("1.5")
    desk.mark(1_020)
    assert desk.exchange.position("a", BTC).quantity == D("1.5")
    assert desk.exchange.fills("a")[-1].cause == "target"
    desk.place(-1, 1)
    stop = desk.exchange.order_reports("a", BTC, True)[0]
    assert stop.update.quantity == D("0.5")
    desk.place(1, 3)
    assert find(desk, stop.update.client_id).update.quantity == D("0.5")
    desk.place(-1, "3.5")
    ended = find(desk, stop.update.client_id).update
    assert (ended.state, ended.reason) == ("cancelled", "position_closed")


def test_partial_protection_with_a_price_fires_as_a_limit_order(desk: Desk) -> None:
    desk.place(1, 2)
    report = add(desk, "take_profit_market", 1_020, "0.5", price=D(1_025))
    desk.mark(1_020)
    assert find(desk, report.update.client_id).update.state == "new"
    desk.trade(1_026, 1, 1)
    assert desk.exchange.fill_reports("a")[-1].fill.price == 1_025
    assert desk.exchange.fill_reports("a")[-1].attached
    left = add(desk, "take_profit_market", 1_030, "0.5", price=D(1_050))
    desk.mark(1_030)
    desk.place(-1, "1.5")
    assert find(desk, left.update.client_id).update.reason == "position_closed"


def test_partial_and_whole_protection_stand_together(desk: Desk) -> None:
    desk.place(1, 2)
    add(desk, "stop_market", 985, "0.5")
    desk.exchange.set_protection("a", BTC, D(980), D(0), "mark", desk.tick())
    assert desk.exchange.position("a", BTC).stop == 980
    desk.mark(985)
    assert desk.exchange.position("a", BTC).covered == D("1.5")
    desk.mark(980)
    assert desk.exchange.position("a", BTC).quantity == 0


def test_partial_protection_is_cut_to_the_position(desk: Desk) -> None:
    desk.place(1, 2)
    assert add(desk, "stop_market", 990, "5").update.quantity == 2


@pytest.mark.parametrize(
    ("kind", "trigger", "quantity", "reason"),
    [
        ("stop_market", 1_010, "1", "stop_wrong_side"),
        ("take_profit_market", 990, "1", "target_wrong_side"),
        ("stop_market", 990, "0.0005", "off_step"),
        ("stop_market", 990, "0", "below_min_quantity"),
        ("stop_market", 0, "1", "trigger_missing"),
        ("market", 990, "1", "trigger_missing"),
    ],
)
def test_partial_protection_is_checked(
    desk: Desk, kind: str, trigger: int, quantity: str, reason: str
) -> None:
    with pytest.raises(VenueRejected, match="no_position"):
        add(desk, kind, trigger, quantity)
    desk.place(1, 2)
    with pytest.raises(VenueRejected) as caught:
        add(desk, kind, trigger, quantity)
    assert caught.value.reason == reason


def test_a_position_has_at_most_twenty_partials(desk: Desk) -> None:
    desk.place(1, 2)
    for number in range(20):
        add(desk, "stop_market", 990 - number, "0.1")
    with pytest.raises(VenueRejected, match="too_many_conditional"):
        add(desk, "stop_market", 960, "0.1")


@pytest.mark.parametrize(
    ("which", "left"),
    [
        ("all", ["o1-sl"]),
        ("resting", ["o1-sl", "o3"]),
        ("conditional", ["o1-sl", "o2", "o4"]),
    ],
)
def test_cancel_all_by_kind(desk: Desk, which: str, left: list[str]) -> None:
    desk.place(1, 1, stop=D(900))
    desk.place(1, 1, price=990)
    desk.place(1, 1, kind="stop_market", trigger=D(1_030))
    desk.place(1, 1, kind="stop_market", trigger=D(1_002), price=D(991))
    desk.mark(1_002)
    cancelled = desk.exchange.cancel_all("a", BTC, desk.tick(), which)
    assert all(one.state == "cancelled" for one in cancelled)
    open_ids = [one.update.client_id for one in desk.exchange.order_reports("a", BTC, True)]
    assert open_ids == left
