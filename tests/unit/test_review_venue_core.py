"""Regressions of a review of the exchange core: limits, liquidity gaps, amended protection."""

import pytest

from hfengine.errors import VenueRejected
from tests.exchange_desk import BTC, D, Desk, instrument


@pytest.mark.parametrize(("venue", "most"), [("binance", 200), ("bybit", 500)])
def test_resting_orders_of_a_symbol_are_limited_as_on_the_exchange(venue, most):
    desk = Desk(instrument(venue=venue), instrument("ETHUSDT", venue), wallet="100000000")
    desk.quote(60_000)
    desk.quote(3_000, "ETHUSDT")
    for number in range(most):
        side, price = (1, 59_000 - number) if number % 2 else (-1, 61_000 + number)
        desk.place(side, "0.01", price)
    with pytest.raises(VenueRejected, match="too_many_orders"):
        desk.place(1, "0.01", 58_000)
    with pytest.raises(VenueRejected, match="too_many_orders"):
        desk.place(1, "0.01", 58_000, tif="post_only")
    # what cannot rest is not one of them, nor is another symbol's or account's
    assert desk.place(1, "0.01", 60_100, tif="ioc").state == "filled"
    assert desk.place(1, "0.01").state == "filled"
    assert desk.place(1, "1", 2_900, symbol="ETHUSDT").state == "new"
    assert desk.place(1, "0.01", 58_000, account="b").state == "new"
    desk.exchange.cancel("a", BTC, "o1", desk.tick())
    assert desk.place(1, "0.01", 58_000).state == "new"


def test_both_slots_of_hedge_mode_count_together():
    desk = Desk(wallet="100000000")
    desk.quote(60_000)
    desk.exchange.set_position_mode("a", "hedge", desk.tick())
    for number in range(200):
        side, slot = (1, "long") if number % 2 else (-1, "short")
        desk.place(side, "0.01", 60_000 - 500 * side, slot=slot)
    with pytest.raises(VenueRejected, match="too_many_orders"):
        desk.place(1, "0.01", 59_500, slot="long")


@pytest.mark.parametrize("close_position", [True, False])
@pytest.mark.parametrize("kind", ["stop_market", "take_profit_market"])
def test_a_closing_trigger_stays_armed_while_the_book_is_empty(kind, close_position):
    desk = Desk()
    desk.quote(60_000)
    desk.place(1, 1)
    trigger = 59_000 if kind == "stop_market" else 61_000
    size = {"close_position": True} if close_position else {"reduce_only": True}
    quantity = 0 if close_position else 1
    desk.place(-1, quantity, client_id="x", kind=kind, trigger=D(trigger), **size)
    desk.book([], [])
    desk.mark(trigger)
    armed = desk.exchange.order("a", BTC, "x")
    assert armed is not None
    assert armed.state == "untriggered"
    position = desk.exchange.position("a", BTC)
    assert (position.stop or position.target) == trigger
    desk.book([(58_500, 50)], [(58_501, 50)])
    done = desk.exchange.order("a", BTC, "x")
    assert done is not None
    assert done.state == "filled"
    assert desk.exchange.position("a", BTC).side == 0


def test_a_trigger_that_would_open_still_ends_without_liquidity():
    desk = Desk()
    desk.quote(60_000)
    desk.place(1, 1, client_id="x", kind="stop_market", trigger=D(61_000))
    desk.book([], [])
    desk.mark(61_000)
    ended = desk.exchange.order("a", BTC, "x")
    assert ended is not None
    assert (ended.state, ended.reason) == ("cancelled", "no_liquidity")


def test_a_closing_trigger_without_a_position_ends_with_an_empty_book_too():
    desk = Desk()
    desk.quote(60_000)
    desk.place(-1, 1, client_id="x", kind="stop_market", trigger=D(59_000), reduce_only=True)
    desk.book([], [])
    desk.mark(59_000)
    ended = desk.exchange.order("a", BTC, "x")
    assert ended is not None
    assert (ended.state, ended.reason) == ("cancelled", "reduce_only_rejected")


def test_an_entry_is_not_amended_past_the_protection_it_brings():
    desk = Desk()
    desk.quote(60_000)
    desk.place(1, 1, 59_900, client_id="x", stop=D(59_000), target=D(60_500))
    for price, reason in ((58_900, "stop_wrong_side"), (60_600, "target_wrong_side")):
        with pytest.raises(VenueRejected, match=reason):
            desk.exchange.amend("a", BTC, "x", desk.tick(), price=D(price))
    kept = desk.exchange.order("a", BTC, "x")
    assert kept is not None
    assert (kept.price, kept.state) == (59_900, "new")
    amended = desk.exchange.amend("a", BTC, "x", desk.tick(), price=D("59000.1"))
    assert amended.update.price == D("59000.1")


def test_a_waiting_entry_is_not_amended_past_the_protection_it_brings():
    desk = Desk()
    desk.quote(60_000)
    more = {"kind": "stop_market", "trigger": D(61_000), "stop": D(60_500)}
    desk.place(1, 1, client_id="x", **more)
    with pytest.raises(VenueRejected, match="stop_wrong_side"):
        desk.exchange.amend("a", BTC, "x", desk.tick(), trigger=D("60400"))
    amended = desk.exchange.amend("a", BTC, "x", desk.tick(), trigger=D("60600"))
    assert amended.update.trigger == 60_600


@pytest.mark.parametrize("figure", ["1e999999999", "1e-999999999", "1e50"])
def test_a_figure_with_a_monstrous_exponent_is_refused_at_once(figure):
    """Its fraction would be worked out for minutes."""
    desk = Desk()
    desk.quote(60_000)
    with pytest.raises(VenueRejected, match="off_step"):
        desk.place(1, figure)
    with pytest.raises(VenueRejected, match="off_tick"):
        desk.place(1, 1, figure)


def test_one_way_mode_takes_over_the_settings_of_the_long_slot():
    desk = Desk()
    desk.quote(60_000)
    exchange = desk.exchange
    exchange.set_position_mode("a", "hedge", desk.tick())
    exchange.set_leverage("a", BTC, 10, desk.tick(), "long")
    exchange.set_leverage("a", BTC, 30, desk.tick(), "short")
    exchange.set_position_mode("a", "one_way", desk.tick())
    assert exchange.leverage("a", BTC).leverage == 10


def test_leverage_that_would_liquidate_at_once_is_refused_to_the_last_unit():
    desk = Desk()
    desk.quote(60_000)
    exchange = desk.exchange
    exchange.set_margin_mode("a", BTC, "isolated", desk.tick())
    exchange.set_leverage("a", BTC, 10, desk.tick())
    desk.mark(59_760)
    desk.book([(59_759, 50)], [(59_760, 50)])
    desk.place(1, "0.5")
    desk.mark("59400.1")
    exchange.set_leverage("a", BTC, 100, desk.tick())
    exchange.set_leverage("a", BTC, 10, desk.tick())
    # 298.80 apart at 100x, 180 lost: 118.80, which is just the maintenance of 29,700 USDT
    desk.mark(59_400)
    with pytest.raises(VenueRejected, match="insufficient_margin"):
        exchange.set_leverage("a", BTC, 100, desk.tick())
    assert exchange.leverage("a", BTC).leverage == 10


def test_an_amended_order_is_not_counted_beside_itself():
    desk = Desk(wallet="1000")
    desk.quote(60_000)
    desk.place(1, "0.3", 59_000, client_id="x")
    amended = desk.exchange.amend("a", BTC, "x", desk.tick(), quantity=D("0.31"))
    assert amended.update.quantity == D("0.31")
    moved = desk.exchange.amend("a", BTC, "x", desk.tick(), price=D(59_010))
    assert moved.update.price == 59_010
    with pytest.raises(VenueRejected, match="insufficient_margin"):
        desk.exchange.amend("a", BTC, "x", desk.tick(), quantity=D("0.4"))
    # a refused amendment leaves the order counted as before
    with pytest.raises(VenueRejected, match="insufficient_margin"):
        desk.place(1, "0.1", 59_000)
    desk.exchange.cancel("a", BTC, "x", desk.tick())
    assert desk.place(1, "0.31", 59_000).state == "new"


def test_a_reducing_order_grows_to_what_is_filled_and_what_is_held():
    desk = Desk()
    desk.quote(60_000)
    desk.place(1, 1)
    desk.place(-1, 1, 60_500, client_id="x", reduce_only=True)
    desk.trade(60_500, "0.4", 1)
    amended = desk.exchange.amend("a", BTC, "x", desk.tick(), quantity=D(2), price=D(60_600))
    assert (amended.update.filled, amended.update.quantity) == (D("0.4"), D(1))
    desk.trade(60_600, 3, 1)
    assert desk.exchange.position("a", BTC).side == 0


def test_a_partial_stop_shrinks_to_what_the_position_has_left():
    desk = Desk(detailed=True)
    desk.quote(60_000)
    desk.place(1, 1)
    stop = desk.exchange.add_protection(
        "a", BTC, "stop_market", D(59_000), "mark", D("0.6"), desk.tick()
    )
    client_id = stop.update.client_id
    for left in ("0.6", "0.59", "0.3"):
        held = desk.exchange.position("a", BTC).quantity
        desk.place(-1, held - D(left), reduce_only=True)
        order = desk.exchange.order("a", BTC, client_id)
        assert order is not None
        assert order.quantity == D(left)
    assert desk.exchange.position("a", BTC).covered == D("0.3")


def test_a_partial_stop_is_not_the_positions_own_after_a_restore():
    desk = Desk(detailed=True)
    desk.quote(60_000)
    desk.place(1, 1)
    desk.exchange.add_protection("a", BTC, "stop_market", D(59_000), "mark", D("0.4"), desk.tick())
    listed = list(desk.by_symbol.values())
    restored = type(desk.exchange).restore(listed, desk.exchange.dump(), detailed=True)
    restored.set_protection("a", BTC, D(58_000), D(0), "mark", desk.tick())
    stops = [
        (one.update.trigger, one.update.quantity, one.partial)
        for one in restored.order_reports("a", BTC, open_only=True)
    ]
    assert stops == [(D(59_000), D("0.4"), True), (D(58_000), D(1), False)]


@pytest.mark.parametrize("suffix", ["-sl", "-tp"])
def test_an_entry_whose_protection_would_take_a_used_id_is_refused(suffix):
    desk = Desk()
    desk.quote(60_000)
    desk.place(1, "0.01", client_id=f"e{suffix}")
    with pytest.raises(VenueRejected, match="duplicate_client_id"):
        desk.place(1, "0.01", client_id="e", target=D(61_000))
    assert desk.place(1, "0.01", client_id="e").state == "filled"


def test_a_target_is_held_against_the_price_it_watches():
    desk = Desk()
    desk.quote(60_000)
    desk.place(1, 1)
    desk.trade(60_100, "0.1", 1)
    desk.mark(60_000)
    wanted = (D(59_000), D(60_050), "mark", desk.tick())
    with pytest.raises(VenueRejected, match="target_wrong_side"):
        desk.exchange.set_protection("a", BTC, *wanted, target_by="last")
    assert desk.exchange.position("a", BTC).stop == 0
    assert desk.exchange.set_protection("a", BTC, *wanted).target == 60_050
