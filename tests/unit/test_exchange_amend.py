"""Amending: what keeps its place in the queue, what loses it, what is refused."""

from decimal import Decimal

import pytest

from hfengine.errors import VenueRejected
from hfengine.exchange import OrderReport
from hfengine.messages import BalanceChanged
from tests.exchange_desk import BTC, D, Desk


def quoted() -> Desk:
    desk = Desk(detailed=True)
    desk.quote(1_000)
    return desk


def amend(desk: Desk, client_id: str, **terms: str | int) -> OrderReport:
    exact: dict[str, Decimal] = {name: D(term) for name, term in terms.items()}
    return desk.exchange.amend("a", BTC, client_id, desk.tick(), **exact)


def refused(desk: Desk, client_id: str, **terms: str | int) -> str:
    before = desk.exchange.order_reports("a"), desk.exchange.balance("a")
    desk.drain()
    with pytest.raises(VenueRejected) as caught:
        amend(desk, client_id, **terms)
    assert desk.drain() == []
    after = desk.exchange.order_reports("a"), desk.exchange.balance("a")
    assert before[0] == after[0]
    assert before[1].free_margin_usdt == after[1].free_margin_usdt
    return caught.value.reason


@pytest.mark.parametrize(
    ("terms", "first"),
    [({"quantity": "0.5"}, "o1"), ({"quantity": 2}, "o2"), ({"price": "998.9"}, "o2")],
)
def test_only_a_smaller_quantity_keeps_its_place(terms: dict[str, str], first: str) -> None:
    desk = quoted()
    desk.book([], [(1_001, 50)])
    desk.place(1, 1, price="998.8")
    desk.place(1, 1, price="998.8")
    if "price" in terms:
        amend(desk, "o2", price="998.9")
    amend(desk, "o1", **terms)
    desk.trade("998.9" if "price" in terms else "998.8", "0.2", -1)
    (fill,) = desk.exchange.fills("a")
    assert fill.client_id == first


def test_a_new_price_may_take_and_pays_as_taker() -> None:
    desk = quoted()
    desk.place(1, 1, price=990)
    report = amend(desk, "o1", price=1_001)
    assert (report.update.state, report.average) == ("filled", 1_001)
    (fill,) = desk.exchange.fills("a")
    assert not fill.maker
    assert desk.exchange.publish_levels(BTC, 1, 9) == [(9_990, 50_000)]


def test_post_only_that_would_take_ends() -> None:
    desk = quoted()
    desk.place(1, 1, price=990, tif="post_only")
    report = amend(desk, "o1", price=1_001)
    assert (report.update.state, report.update.reason) == ("cancelled", "post_only_would_take")


def test_margin_follows_the_order() -> None:
    desk = quoted()
    desk.place(1, 1, price=990)
    free = desk.exchange.balance("a").free_margin_usdt
    desk.drain()
    amend(desk, "o1", quantity="0.5")
    assert [type(one) for one in desk.drain()] == [OrderReport, BalanceChanged]
    assert desk.exchange.balance("a").free_margin_usdt - free == D("24.75") + D("0.2475")
    amend(desk, "o1", quantity=1)
    assert desk.exchange.balance("a").free_margin_usdt == free


def test_a_filled_quantity_ends_the_rest() -> None:
    desk = quoted()
    desk.book([], [(1_001, 50)])
    desk.place(1, 1, price=990)
    desk.trade(990, "0.4", -1)
    report = amend(desk, "o1", quantity="0.4")
    assert (report.update.state, report.update.filled) == ("cancelled", D("0.4"))
    assert desk.exchange.publish_levels(BTC, 1, 9) == []


def test_a_partly_filled_order_goes_on_with_what_is_left() -> None:
    desk = quoted()
    desk.book([], [(1_001, 50)])
    desk.place(1, 1, price=990)
    desk.trade(990, "0.4", -1)
    report = amend(desk, "o1", quantity="0.7", price=991)
    assert (report.update.state, report.update.quantity) == ("partially_filled", D("0.7"))
    desk.trade(990, 5, -1)
    assert [fill.quantity for fill in desk.exchange.fills("a")] == [D("0.4"), D("0.3")]


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"price": 990, "quantity": 1}, "nothing_to_change"),
        ({"trigger": 995}, "nothing_to_change"),
        ({"price": "990.05"}, "off_tick"),
        ({"price": 0}, "price_missing"),
        ({"quantity": "1.0005"}, "off_step"),
        ({"quantity": 0}, "below_min_quantity"),
        ({"quantity": 1001}, "above_max_quantity"),
        ({"quantity": "0.01"}, "below_min_notional"),
        ({"price": 900}, "price_band"),
        ({"quantity": 300}, "insufficient_margin"),
    ],
)
def test_a_resting_order_is_checked_as_at_the_door(terms: dict[str, str], reason: str) -> None:
    desk = quoted()
    desk.place(1, 1, price=990)
    assert refused(desk, "o1", **terms) == reason


def test_more_than_the_tier_is_refused() -> None:
    desk = Desk(wallet="100000000", detailed=True)
    desk.quote(1_000)
    desk.exchange.set_leverage("a", BTC, 125, desk.tick())
    desk.place(1, 40, price=990)
    assert refused(desk, "o1", quantity=60) == "tier_exceeded"


def test_an_order_that_is_not_open_is_unknown() -> None:
    desk = quoted()
    desk.place(1, 1)
    assert refused(desk, "o1", quantity=2) == "unknown_order"
    assert refused(desk, "o7", quantity=2) == "unknown_order"


def test_a_reduce_only_order_is_cut_to_the_position() -> None:
    desk = quoted()
    desk.place(1, 1)
    desk.place(-1, "0.5", price=1_010, reduce_only=True)
    assert amend(desk, "o2", quantity=3).update.quantity == 1


def test_a_conditional_order_moves_its_trigger() -> None:
    desk = quoted()
    desk.place(-1, 1, kind="stop_market", trigger=D(990))
    report = amend(desk, "o1", trigger=980, quantity=2)
    assert (report.update.trigger, report.update.quantity) == (980, 2)
    desk.mark(985)
    assert desk.exchange.fills("a") == []
    desk.mark(979)
    assert desk.exchange.fills("a")[0].quantity == 2


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"trigger": 990}, "nothing_to_change"),
        ({"trigger": 1_005}, "would_trigger_immediately"),
        ({"trigger": 0}, "trigger_missing"),
        ({"trigger": "990.05"}, "off_tick"),
        ({"quantity": 200}, "above_max_market_quantity"),
        ({"price": 980}, "nothing_to_change"),
    ],
)
def test_a_conditional_order_is_checked_as_at_the_door(terms: dict[str, str], reason: str) -> None:
    desk = quoted()
    desk.place(-1, 1, kind="stop_market", trigger=D(990))
    assert refused(desk, "o1", **terms) == reason


def test_attached_protection_moves_its_trigger_but_not_its_size() -> None:
    desk = quoted()
    desk.place(1, 1, stop=D(990), target=D(1_020))
    assert amend(desk, "o1-sl", trigger=980).update.trigger == 980
    assert desk.exchange.position("a", BTC).stop == 980
    assert refused(desk, "o1-sl", quantity="0.5") == "nothing_to_change"
    assert refused(desk, "o1-sl", trigger=1_005) == "stop_wrong_side"
    assert refused(desk, "o1-tp", trigger=995) == "target_wrong_side"


def test_close_position_has_no_quantity_to_amend() -> None:
    desk = quoted()
    desk.place(1, 1)
    desk.place(-1, 0, kind="stop_market", trigger=D(990), close_position=True)
    assert refused(desk, "o2", quantity=1) == "close_position_with_quantity"
    assert amend(desk, "o2", trigger=985).update.trigger == 985


def test_a_closed_market_takes_no_amendment() -> None:
    desk = quoted()
    desk.place(1, 1, price=990)
    desk.exchange.set_regime(BTC, "closed")
    assert refused(desk, "o1", price=991) == "market_closed"
