"""Conditional orders and the protection attached to positions."""

import pytest

from hfengine.errors import VenueRejected
from hfengine.messages import Fill, OrderUpdate, PositionChanged
from tests.exchange_desk import BTC, D, Desk


@pytest.fixture
def desk() -> Desk:
    desk = Desk(wallet="1000000")
    desk.quote(60_000)
    return desk


def bracket(desk: Desk, **more: object) -> OrderUpdate:
    return desk.place(1, 2, client_id="e", stop=D(59_000), target=D(61_000), **more)


def order(desk: Desk, client_id: str) -> OrderUpdate:
    found = desk.exchange.order("a", BTC, client_id)
    assert found is not None
    return found


def test_protection_is_materialised_with_the_first_fill(desk: Desk) -> None:
    bracket(desk)
    stop, target = desk.exchange.open_orders("a")
    assert (stop.client_id, stop.kind, stop.trigger) == ("e-sl", "stop_market", D(59_000))
    assert (target.client_id, target.kind) == ("e-tp", "take_profit_market")
    for one in (stop, target):
        assert (one.side, one.quantity, one.reduce_only) == (-1, D(2), True)
        assert one.state == "untriggered"
    position = desk.exchange.position("a", BTC)
    assert (position.stop, position.target, position.covered) == (59_000, 61_000, 2)


def test_resting_entry_brings_protection_when_it_fills(desk: Desk) -> None:
    bracket(desk, kind="limit", price=D(59_500))
    assert [one.client_id for one in desk.exchange.open_orders("a")] == ["e"]
    desk.book([(59_498, 1)], [(59_499, "0.5")])
    position = desk.exchange.position("a", BTC)
    assert (position.quantity, position.covered) == (D("0.5"), D("0.5"))
    desk.trade(59_400, 5, -1)
    position = desk.exchange.position("a", BTC)
    assert (position.quantity, position.covered) == (2, 2)
    assert order(desk, "e-sl").quantity == 2
    assert order(desk, "e-tp").quantity == 2


def test_stop_executes_at_the_book_and_cancels_its_sibling(desk: Desk) -> None:
    bracket(desk)
    desk.book([(58_990, 1), (58_980, 9)], [(59_100, 1)])
    desk.exchange.drain()
    desk.mark("59000.1")
    assert desk.exchange.position("a", BTC).quantity == 2
    desk.mark("59000")
    fills = [one for one in desk.drain() if isinstance(one, Fill)]
    assert [(one.price, one.quantity, one.cause) for one in fills] == [
        (D(58_990), D(1), "stop"),
        (D(58_980), D(1), "stop"),
    ]
    assert order(desk, "e-sl").state == "filled"
    assert (order(desk, "e-tp").state, order(desk, "e-tp").reason) == (
        "cancelled",
        "sibling_executed",
    )
    assert desk.exchange.open_orders("a") == []


def test_target_executes_and_cancels_the_stop(desk: Desk) -> None:
    bracket(desk)
    desk.book([(61_005, 9)], [(61_006, 1)])
    desk.mark(61_000)
    assert desk.exchange.fills("a")[-1].cause == "target"
    assert order(desk, "e-sl").reason == "sibling_executed"
    assert desk.exchange.position("a", BTC).quantity == 0


def test_short_protection_is_mirrored(desk: Desk) -> None:
    desk.place(-1, 2, client_id="s", stop=D(61_000), target=D(59_000))
    desk.mark("60999.9")
    desk.mark("59000.1")
    assert desk.exchange.position("a", BTC).covered == 2
    desk.mark("61000")
    assert desk.exchange.fills("a")[-1].cause == "stop"
    assert desk.exchange.position("a", BTC).quantity == 0


def test_protection_follows_reductions_and_goes_with_the_position(desk: Desk) -> None:
    bracket(desk)
    desk.place(-1, "0.5", reduce_only=True)
    assert {one.quantity for one in desk.exchange.open_orders("a")} == {D("1.5")}
    desk.place(1, 1)
    assert {one.quantity for one in desk.exchange.open_orders("a")} == {D("2.5")}
    desk.place(-1, 0, close_position=True)
    assert order(desk, "e-sl").reason == "position_closed"
    assert desk.exchange.open_orders("a") == []


def test_a_flip_drops_the_old_protection_and_attaches_the_new(desk: Desk) -> None:
    bracket(desk)
    desk.place(-1, 3, client_id="f", stop=D(60_500))
    assert [one.client_id for one in desk.exchange.open_orders("a")] == ["f-sl"]
    assert order(desk, "f-sl").quantity == 1
    assert order(desk, "e-tp").reason == "position_closed"


def test_a_later_entry_replaces_what_it_names(desk: Desk) -> None:
    bracket(desk)
    desk.place(1, 1, client_id="e2", stop=D(59_200))
    assert {one.client_id: one.quantity for one in desk.exchange.open_orders("a")} == {
        "e-tp": D(3),
        "e2-sl": D(3),
    }
    assert order(desk, "e-sl").reason == "replaced"


def test_stop_on_the_wrong_side_at_fill_time_executes_at_once(desk: Desk) -> None:
    desk.place(1, 2, 59_500, client_id="e", stop=D(59_400))
    desk.mark(59_300)
    desk.trade(59_499, 1, -1)
    assert [one.cause for one in desk.exchange.fills("a")] == ["order", "stop"]
    assert desk.exchange.position("a", BTC).quantity == 0


def test_last_triggers_watch_the_last_price(desk: Desk) -> None:
    desk.trade(60_000, 1, 1)
    bracket(desk, protect_by="last")
    desk.mark(58_500)
    assert desk.exchange.position("a", BTC).quantity == 2
    desk.trade(59_000, 1, -1)
    assert desk.exchange.position("a", BTC).quantity == 0


def test_starved_protection_stays_armed_until_there_is_liquidity(desk: Desk) -> None:
    bracket(desk)
    desk.book([], [])
    desk.mark(58_900)
    assert desk.exchange.position("a", BTC).covered == 2
    desk.book([(58_800, "0.5")], [])
    position = desk.exchange.position("a", BTC)
    assert (position.quantity, position.covered) == (D("1.5"), D("1.5"))
    left = order(desk, "e-sl")
    assert left.quantity - left.filled == D("1.5")
    desk.book([(58_790, 9)], [])
    assert desk.exchange.position("a", BTC).quantity == 0
    assert order(desk, "e-sl").state == "filled"
    assert order(desk, "e-sl").filled == 2


def test_set_protection_amends_in_place(desk: Desk) -> None:
    bracket(desk)
    before = order(desk, "e-sl").venue_id
    changed = desk.exchange.set_protection("a", BTC, D(59_500), D(61_000), "mark", desk.tick())
    assert (changed.stop, changed.target, changed.covered) == (59_500, 61_000, 2)
    assert order(desk, "e-sl").venue_id == before
    assert order(desk, "e-sl").trigger == 59_500
    changed = desk.exchange.set_protection("a", BTC, D(0), D(0), "mark", desk.tick())
    assert (changed.stop, changed.target, changed.covered) == (0, 0, 0)
    assert desk.exchange.open_orders("a") == []
    desk.exchange.set_protection("a", BTC, D(59_600), D(0), "mark", desk.tick())
    assert [one.trigger for one in desk.exchange.open_orders("a")] == [D(59_600)]
    desk.mark(59_600)
    assert desk.exchange.fills("a")[-1].cause == "stop"


def test_set_protection_refuses(desk: Desk) -> None:
    exchange = desk.exchange
    with pytest.raises(VenueRejected, match="no_position"):
        exchange.set_protection("a", BTC, D(59_000), D(0), "mark", desk.tick())
    bracket(desk)
    for stop, target, reason in (
        (D(60_000), D(0), "stop_wrong_side"),
        (D(0), D(60_000), "target_wrong_side"),
        (D("59000.05"), D(0), "off_tick"),
    ):
        with pytest.raises(VenueRejected, match=reason):
            exchange.set_protection("a", BTC, stop, target, "mark", desk.tick())
    assert exchange.position("a", BTC).stop == 59_000


def test_a_users_stop_covers_and_is_reported(desk: Desk) -> None:
    desk.place(1, 2)
    desk.exchange.drain()
    desk.place(-1, 0, client_id="s", kind="stop_market", trigger=D(59_000), close_position=True)
    changed = [one for one in desk.drain() if isinstance(one, PositionChanged)]
    assert [(one.covered, one.stop) for one in changed] == [(2, 59_000)]
    desk.exchange.cancel("a", BTC, "s", desk.tick())
    desk.place(-1, 1, kind="stop_market", trigger=D(59_000), reduce_only=True)
    assert desk.exchange.position("a", BTC).covered == 1
    desk.place(-1, 3, kind="stop_market", trigger=D(58_000), reduce_only=True)
    assert desk.exchange.position("a", BTC).covered == 2


def test_a_users_take_profit_does_not_cover(desk: Desk) -> None:
    desk.place(1, 2)
    desk.place(-1, 2, kind="take_profit_market", trigger=D(61_000), reduce_only=True)
    position = desk.exchange.position("a", BTC)
    assert (position.covered, position.target) == (0, 61_000)


def test_a_users_conditional_survives_and_cannot_reduce_nothing(desk: Desk) -> None:
    desk.place(1, 2)
    desk.place(-1, 2, client_id="s", kind="stop_market", trigger=D(59_000), reduce_only=True)
    desk.place(-1, 0, close_position=True)
    assert order(desk, "s").state == "untriggered"
    desk.mark(58_000)
    assert (order(desk, "s").state, order(desk, "s").reason) == (
        "cancelled",
        "reduce_only_rejected",
    )


def test_a_stop_entry_opens_with_its_protection(desk: Desk) -> None:
    desk.place(1, 1, client_id="b", kind="stop_market", trigger=D(60_500), stop=D(60_000))
    desk.mark(60_500)
    fill = desk.exchange.fills("a")[0]
    assert (fill.cause, fill.price) == ("order", D(60_001))
    assert desk.exchange.position("a", BTC).covered == 1


def test_a_triggered_entry_is_checked_for_margin_then(desk: Desk) -> None:
    desk.exchange.open_account("poor", D(100))
    desk.place(1, 1, account="poor", client_id="b", kind="stop_market", trigger=D(60_500))
    desk.mark(60_500)
    ended = desk.exchange.order("poor", BTC, "b")
    assert ended is not None
    assert (ended.state, ended.reason) == ("cancelled", "insufficient_margin")
    assert desk.exchange.fills("poor") == []


def test_cancel_all_leaves_attached_protection(desk: Desk) -> None:
    bracket(desk)
    desk.place(-1, 1, client_id="x", kind="stop_market", trigger=D(58_000), reduce_only=True)
    cancelled = desk.exchange.cancel_all("a", BTC, desk.tick())
    assert [one.client_id for one in cancelled] == ["x"]
    assert desk.exchange.position("a", BTC).covered == 2


def test_cancelling_an_attached_stop_uncovers(desk: Desk) -> None:
    bracket(desk)
    desk.exchange.drain()
    desk.exchange.cancel("a", BTC, "e-sl", desk.tick())
    changed = [one for one in desk.drain() if isinstance(one, PositionChanged)]
    assert [(one.covered, one.stop, one.target) for one in changed] == [(0, 0, 61_000)]
