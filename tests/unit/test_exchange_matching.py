"""Matching: levels, partial fills, queues, time in force, reduce-only."""

from decimal import Decimal

import pytest

from hfengine.errors import VenueRejected
from hfengine.kernels.book import Book
from hfengine.messages import BalanceChanged, Fill, OrderUpdate, PositionChanged
from tests.exchange_desk import BTC, D, Desk


@pytest.fixture
def desk() -> Desk:
    desk = Desk(wallet="1000000")
    desk.mark(60_000)
    desk.book([(59_999, 2), (59_998, 3)], [(60_001, 1), (60_002, 2)])
    return desk


def prices(desk: Desk, account: str = "a") -> list[tuple[Decimal, Decimal]]:
    return [(one.price, one.quantity) for one in desk.exchange.fills(account)]


def test_market_order_walks_the_levels_one_fill_each(desk: Desk) -> None:
    update = desk.place(1, "1.5")
    assert (update.state, update.filled) == ("filled", D("1.5"))
    assert prices(desk) == [(D(60_001), D(1)), (D(60_002), D("0.5"))]
    position = desk.exchange.position("a", BTC)
    assert position.entry == D("60001.33333333")
    assert desk.exchange.last(BTC) == 60_002


def test_market_remainder_ends_for_want_of_liquidity(desk: Desk) -> None:
    update = desk.place(1, 4)
    assert (update.state, update.reason, update.filled) == ("cancelled", "no_liquidity", D(3))
    desk.book([], [])
    update = desk.place(-1, 1)
    assert (update.state, update.reason, update.filled) == ("cancelled", "no_liquidity", D(0))


def test_liquidity_taken_stays_taken_until_the_level_changes(desk: Desk) -> None:
    desk.place(1, 1)
    desk.exchange.on_book(BTC, desk.tick())
    assert desk.place(1, 1, 60_001, tif="ioc").filled == 0
    desk.book([(59_999, 2)], [(60_001, 1), (60_002, 5)])
    assert desk.place(1, 1, 60_001, tif="ioc").filled == 0
    desk.book([(59_999, 2)], [(60_001, "0.4"), (60_002, 5)])
    assert desk.place(1, 1, 60_001, tif="ioc").filled == D("0.4")
    # away and back again is a change too
    desk.book([(59_999, 2)], [(60_002, 5)])
    desk.book([(59_999, 2)], [(60_001, "0.4")])
    assert desk.place(1, 1, 60_001, tif="ioc").filled == D("0.4")


def test_a_level_is_taken_in_parts(desk: Desk) -> None:
    assert desk.place(1, "0.4", 60_001, tif="ioc").filled == D("0.4")
    assert desk.place(1, "0.4", 60_001, account="b", tif="ioc").filled == D("0.4")
    assert desk.place(1, "0.4", 60_001, tif="ioc").filled == D("0.2")
    assert desk.place(1, "0.4", 60_001, tif="ioc").filled == 0


def test_limit_takes_to_its_price_and_rests(desk: Desk) -> None:
    update = desk.place(1, 2, 60_001)
    assert (update.state, update.filled) == ("partially_filled", D(1))
    assert [one.client_id for one in desk.exchange.open_orders("a")] == ["o1"]


@pytest.mark.parametrize(
    ("tif", "quantity", "state", "reason", "filled"),
    [
        ("ioc", "1.5", "cancelled", "ioc_remainder", "1"),
        ("ioc", "1", "filled", "", "1"),
        ("fok", "1.5", "cancelled", "fok_not_fillable", "0"),
        ("fok", "1", "filled", "", "1"),
        ("post_only", "1", "cancelled", "post_only_would_take", "0"),
    ],
)
def test_time_in_force(
    desk: Desk, tif: str, quantity: str, state: str, reason: str, filled: str
) -> None:
    update = desk.place(1, quantity, 60_001, tif=tif)
    assert (update.state, update.reason, update.filled) == (state, reason, D(filled))
    assert desk.exchange.open_orders("a") == []


def test_post_only_rests_when_it_would_not_take(desk: Desk) -> None:
    assert desk.place(1, 1, 60_000, tif="post_only").state == "new"


def test_prints_consume_the_queue_ahead(desk: Desk) -> None:
    desk.place(1, 1, 59_999)
    desk.trade(59_999, "1.5", -1)
    assert prices(desk) == []
    desk.trade(60_000, 9, -1)
    desk.trade(59_999, 9, 1)
    assert prices(desk) == [], "prints of the other side or above the price are not ours"
    desk.trade(59_999, "0.7", -1)
    assert prices(desk) == [(D(59_999), D("0.2"))]
    fill = desk.exchange.fills("a")[0]
    assert fill.maker
    assert fill.fee_usdt == D("59999") * D("0.2") * D("0.0002")


def test_two_orders_share_a_print_in_time_order(desk: Desk) -> None:
    desk.place(1, 1, 59_999)
    desk.book([(59_999, "0.5")], [(60_001, 1)])
    desk.place(1, 1, 59_999, account="b")
    desk.trade(59_999, "2.5", -1)
    assert prices(desk) == [(D(59_999), D("0.5"))]
    assert prices(desk, "b") == [], "what is ahead of the older order is ahead of the younger"
    desk.trade(59_999, "1.5", -1)
    assert sum(one.quantity for one in desk.exchange.fills("a")) == 1
    assert prices(desk, "b") == [(D(59_999), D(1))]


def test_print_through_the_price_fills_whole(desk: Desk) -> None:
    desk.place(1, 1, 59_999)
    desk.trade("59998.9", "0.001", -1)
    assert prices(desk) == [(D(59_999), D(1))]


def test_crossing_book_fills_up_to_its_depth_at_our_price(desk: Desk) -> None:
    desk.place(1, 3, 59_999)
    desk.book([(59_997, 2)], [(59_998, 1), (59_999, "0.5"), (60_000, 9)])
    assert sum(one.quantity for one in desk.exchange.fills("a")) == D("1.5")
    assert {one.price for one in desk.exchange.fills("a")} == {D(59_999)}
    desk.exchange.on_book(BTC, desk.tick())
    assert sum(one.quantity for one in desk.exchange.fills("a")) == D("1.5")


def test_crossing_book_fills_a_resting_sell(desk: Desk) -> None:
    desk.place(-1, 1, 60_001)
    desk.book([(60_001, 4)], [(60_002, 1)])
    assert prices(desk) == [(D(60_001), D(1))]


def test_accounts_trade_with_each_other_behind_the_outside_queue(desk: Desk) -> None:
    desk.place(-1, 1, 60_001)
    desk.place(-1, 1, 60_000)
    update = desk.place(1, 3, 60_001, account="b")
    assert update.state == "filled"
    assert [one.quantity for one in desk.exchange.fills("b")] == [D(1), D(1), D(1)]
    assert [one.price for one in desk.exchange.fills("b")] == [60_000, 60_001, 60_001]
    assert [one.client_id for one in desk.exchange.fills("a")] == ["o2", "o1"]
    assert [one.maker for one in desk.exchange.fills("a")] == [True, True]


def test_own_resting_order_in_the_way_is_cancelled(desk: Desk) -> None:
    desk.place(-1, 1, 60_000)
    update = desk.place(1, 1, 60_001)
    assert update.state == "filled"
    assert desk.exchange.order("a", BTC, "o1").reason == "self_trade"
    assert prices(desk) == [(D(60_001), D(1))]


def test_reduce_only_never_flips(desk: Desk) -> None:
    with pytest.raises(VenueRejected, match="reduce_only_rejected"):
        desk.place(-1, 1, reduce_only=True)
    desk.place(1, 1)
    with pytest.raises(VenueRejected, match="reduce_only_rejected"):
        desk.place(1, 1, reduce_only=True)
    update = desk.place(-1, 5, reduce_only=True)
    assert (update.state, update.quantity) == ("filled", D(1))
    assert desk.exchange.positions("a") == []


def test_resting_reduce_only_shrinks_and_goes_with_the_position(desk: Desk) -> None:
    desk.place(1, 1)
    desk.place(-1, 1, 60_500, client_id="exit", reduce_only=True)
    desk.place(-1, "0.6")
    assert desk.exchange.order("a", BTC, "exit").quantity == D("0.4")
    desk.place(-1, "0.4")
    order = desk.exchange.order("a", BTC, "exit")
    assert (order.state, order.reason) == ("cancelled", "reduce_only_rejected")


def test_close_position_market_closes_the_whole_position(desk: Desk) -> None:
    desk.place(1, "1.3")
    update = desk.place(-1, 0, close_position=True)
    assert (update.state, update.filled) == ("filled", D("1.3"))
    assert desk.exchange.position("a", BTC).side == 0


def test_a_flip_realises_the_close_and_opens_the_rest(desk: Desk) -> None:
    desk.place(1, 1)
    desk.place(-1, 3)
    position = desk.exchange.position("a", BTC)
    assert (position.side, position.quantity) == (-1, D(2))
    assert position.entry == D(59_998) + D("0.5")
    assert sum(one.realised_usdt for one in desk.exchange.fills("a")) == D(-2)


def test_events_come_in_order_and_once(desk: Desk) -> None:
    desk.exchange.drain()
    desk.place(1, 1)
    events = desk.drain()
    assert [type(one) for one in events] == [
        OrderUpdate,
        Fill,
        OrderUpdate,
        PositionChanged,
        BalanceChanged,
    ]
    assert [one.state for one in events if isinstance(one, OrderUpdate)] == ["new", "filled"]
    assert desk.exchange.drain() == []


def test_cancel_and_cancel_all(desk: Desk) -> None:
    desk.place(1, 1, 59_000)
    desk.place(1, 1, 59_001)
    desk.place(1, 1, 59_002, account="b")
    assert desk.exchange.cancel("a", BTC, "o1", desk.tick()).reason == "cancelled_by_user"
    with pytest.raises(VenueRejected, match="unknown_order"):
        desk.exchange.cancel("a", BTC, "o1", desk.tick())
    with pytest.raises(VenueRejected, match="unknown_order"):
        desk.exchange.cancel("a", BTC, "o3", desk.tick())
    assert [one.client_id for one in desk.exchange.cancel_all("a", BTC, desk.tick())] == ["o2"]
    assert len(desk.exchange.open_orders("b")) == 1
    desk.trade(58_000, 1, -1)
    assert prices(desk) == []


def test_fills_after_a_cursor(desk: Desk) -> None:
    desk.place(1, "1.5")
    first, second = desk.exchange.fills("a")
    assert desk.exchange.fills("a", after=int(first.fill_id)) == [second]


def test_the_compiled_book_is_an_outside_book(desk: Desk) -> None:
    book = Book("0.1", "0.001")
    for side, price, quantity in ((1, 59_999, 2), (-1, 60_001, 1), (-1, 60_002, 2)):
        book.apply(side, desk.ticks(price), desk.steps(quantity))
    desk.exchange.attach_book(BTC, book)
    assert desk.place(1, "1.5").state == "filled"
    assert prices(desk) == [(D(60_001), D(1)), (D(60_002), D("0.5"))]
    desk.place(1, 1, 60_000)
    book.apply(-1, desk.ticks(60_001), 0)
    book.apply(-1, desk.ticks(60_000), desk.steps("0.3"))
    desk.exchange.on_book(BTC, desk.tick())
    assert prices(desk)[2:] == [(D(60_000), D("0.3"))]


def test_a_deep_walk_reads_on_beyond_the_first_levels(desk: Desk) -> None:
    desk.book([(59_999, 1)], [(60_001 + depth, 1) for depth in range(70)])
    assert desk.place(1, 65).state == "filled"
    assert [one.price for one in desk.exchange.fills("a")] == [60_001 + n for n in range(65)]
