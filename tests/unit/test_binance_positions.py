"""Positions, cover, leverage and liquidation put together from what Binance tells apart."""

from decimal import Decimal

import pytest

from hfengine.exchange.margin import binance_liquidation_price
from hfengine.instruments import load_catalogue
from hfengine.requests import LeverageSetting
from hfengine.venues.binance_positions import (
    PositionBook,
    algo_of,
    algo_of_push,
    held_of_event,
    held_of_row,
)
from tests.protocol_samples import endpoint, push
from tests.shared import needs_shared

D = Decimal
BTC = load_catalogue("binance").find("BTCUSDT")
MS = 10**6


def book() -> PositionBook:
    made = PositionBook({"BTCUSDT": BTC})
    made.take_setting(LeverageSetting("BTCUSDT", 50, "isolated"))
    return made


def position(quantity="0.010", at_ms=100, entry="60000", margin="12", slot="BOTH", mode="isolated"):
    row = {"s": "BTCUSDT", "pa": quantity, "ep": entry, "iw": margin, "mt": mode, "ps": slot}
    return held_of_event(row, at_ms * MS)


def algo(algo_id, name="STOP_MARKET", side="SELL", trigger="59000", **changes):
    return {
        "algoId": algo_id,
        "clientAlgoId": f"c{algo_id}",
        "symbol": "BTCUSDT",
        "orderType": name,
        "side": side,
        "triggerPrice": trigger,
        "positionSide": "BOTH",
        "quantity": "0",
        "closePosition": True,
        "reduceOnly": False,
        "createTime": 50,
        "algoStatus": "NEW",
    } | changes


def hear(made, row, status="NEW"):
    made.hear_algo(algo_of(row), status)


def test_a_position_with_its_legs_leverage_and_liquidation():
    made = book()
    assert made.hear_position(position()) is False
    hear(made, algo(1))
    hear(made, algo(2, "TAKE_PROFIT_MARKET", trigger="61500"))
    told = made.changed("BTCUSDT")
    assert (told.side, told.quantity, told.entry) == (1, D("0.010"), 60000)
    assert (told.leverage, told.margin_mode, told.margin_usdt) == (50, "isolated", 12)
    assert (told.stop, told.target, told.covered) == (59000, 61500, D("0.010"))
    formula = binance_liquidation_price(1, D("0.010"), D(60000), D(12), BTC.tiers)
    assert abs(told.liquidation - formula) < D("0.01")
    assert 58700 < told.liquidation < 59100


def test_the_venues_own_liquidation_price_counts_until_the_next_change():
    made = book()
    made.hear_position(position())
    row = {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "0.010",
        "entryPrice": "60000",
        "isolatedWallet": "12",
        "liquidationPrice": "58888.8",
        "updateTime": 100,
    }
    made.read([row], [], began_ns=200 * MS)
    assert made.changed("BTCUSDT").liquidation == D("58888.8")
    made.hear_position(position(at_ms=300))
    assert made.changed("BTCUSDT").liquidation == D("58888.8")
    made.hear_position(position("0.020", at_ms=301, margin="24"))
    assert made.changed("BTCUSDT").liquidation != D("58888.8")


@pytest.mark.parametrize(
    ("change", "covered"),
    [
        ({"closePosition": False, "reduceOnly": True, "quantity": "0.004"}, "0.004"),
        ({"closePosition": False, "reduceOnly": True, "quantity": "0.400"}, "0.010"),
        ({"closePosition": False, "reduceOnly": False, "quantity": "0.010"}, "0"),
        ({"side": "BUY"}, "0"),
        ({"orderType": "STOP"}, "0"),
        ({"orderType": "TRAILING_STOP_MARKET"}, "0"),
        ({"positionSide": "SHORT"}, "0"),
        ({"priceProtect": True}, "0"),
        ({"workingType": "CONTRACT_PRICE"}, "0.010"),
        ({}, "0.010"),
    ],
)
def test_only_what_surely_closes_the_position_covers_it(change, covered):
    made = book()
    made.hear_position(position())
    hear(made, algo(1, **change))
    assert made.changed("BTCUSDT").covered == D(covered)


def test_two_stops_cover_together_and_the_further_one_is_the_stop():
    made = book()
    made.hear_position(position())
    part = {"closePosition": False, "reduceOnly": True}
    hear(made, algo(1, trigger="59000", quantity="0.006", **part))
    hear(made, algo(2, trigger="59500", quantity="0.004", **part))
    told = made.changed("BTCUSDT")
    assert (told.covered, told.stop) == (D("0.010"), 59000)
    hear(made, algo(3, trigger="59700"))
    assert made.changed("BTCUSDT").stop == 59700


def test_the_legs_of_a_short_lie_the_other_way():
    made = book()
    made.hear_position(position("-0.010"))
    hear(made, algo(1, side="BUY", trigger="61000"))
    hear(made, algo(2, side="BUY", trigger="60500"))
    told = made.changed("BTCUSDT")
    assert (told.side, told.stop) == (-1, 60500)
    assert 60900 < told.liquidation < 61000


def test_going_flat_is_noticed_once_and_old_news_is_none():
    made = book()
    made.hear_position(position())
    assert made.hear_position(position("0", at_ms=50)) is False
    assert made.changed("BTCUSDT").quantity == D("0.010")
    assert made.hear_position(position("0", at_ms=150)) is True
    assert made.hear_position(position("0", at_ms=160)) is False
    flat = made.changed("BTCUSDT")
    assert (flat.side, flat.quantity, flat.leverage) == (0, 0, 50)
    assert made.open_symbols() == []


def test_an_end_of_a_conditional_order_is_never_taken_back():
    made = book()
    made.hear_position(position())
    hear(made, algo(1))
    hear(made, algo(1), "CANCELED")
    hear(made, algo(1))
    made.read([], [algo(1)], began_ns=0, symbol="ETHUSDT")
    assert made.reducing("BTCUSDT") == []
    assert made.changed("BTCUSDT").covered == 0


def test_a_triggered_order_covers_until_it_has_ended():
    made = book()
    made.hear_position(position())
    hear(made, algo(1))
    for status in ("TRIGGERING", "TRIGGERED"):
        hear(made, algo(1), status)
        assert made.changed("BTCUSDT").covered == D("0.010")
    hear(made, algo(1), "FINISHED")
    assert made.changed("BTCUSDT").covered == 0


def test_a_reading_does_not_undo_what_was_told_after_it_began():
    made = book()
    made.hear_position(position(at_ms=500))
    hear(made, algo(1, createTime=500))
    # a reading that began before both and lists neither
    made.read([], [], began_ns=400 * MS)
    assert made.changed("BTCUSDT").covered == D("0.010")
    # one that began after: both are gone
    made.read([], [], began_ns=600 * MS)
    assert made.changed("BTCUSDT").quantity == 0
    assert made.reducing("BTCUSDT") == []


def test_a_listed_position_older_than_the_stream_is_not_believed():
    made = book()
    made.hear_position(position("0.006", at_ms=500))
    row = {"symbol": "BTCUSDT", "positionAmt": "0.010", "entryPrice": "60000", "updateTime": 100}
    made.read([row], [], began_ns=400 * MS)
    assert made.changed("BTCUSDT").quantity == D("0.006")
    made.read([row], [], began_ns=600 * MS)
    assert made.changed("BTCUSDT").quantity == D("0.010")


@pytest.mark.parametrize(("began_ms", "quantity"), [(549, "0.010"), (550, "0")])
def test_the_clock_may_be_a_little_ahead_when_a_reading_begins(began_ms, quantity):
    made = book()
    made.hear_position(position(at_ms=500))
    hear(made, algo(1, createTime=501))
    made.read([], [], began_ns=began_ms * MS)
    assert made.changed("BTCUSDT").quantity == D(quantity)
    assert len(made.reducing("BTCUSDT")) == 1
    made.read([], [], began_ns=551 * MS)
    assert made.reducing("BTCUSDT") == []


def test_a_reading_of_one_symbol_says_nothing_of_others():
    made = book()
    made.hear_position(position())
    hear(made, algo(1))
    made.read([], [], began_ns=600 * MS, symbol="ETHUSDT")
    assert made.changed("BTCUSDT").covered == D("0.010")


def test_leverage_that_changed_is_noticed():
    made = book()
    assert made.take_leverage("BTCUSDT", 50) is False
    assert made.take_leverage("BTCUSDT", 7) is True
    made.hear_position(position())
    assert made.changed("BTCUSDT").leverage == 7


def test_cross_margin_counts_the_wallet_and_the_other_positions():
    made = book()
    made.take_setting(LeverageSetting("BTCUSDT", 50, "cross"))
    made.cross_wallet_usdt = D(100)
    made.hear_position(position(mode="cross", margin="0"))
    told = made.changed("BTCUSDT")
    assert (told.margin_mode, told.margin_usdt) == ("cross", 12)
    expected = binance_liquidation_price(1, D("0.010"), D(60000), D(100), BTC.tiers)
    assert abs(told.liquidation - expected) < D("0.01")


def test_another_cross_position_needs_its_maintenance_less_the_deduction():
    made = book()
    made.take_setting(LeverageSetting("BTCUSDT", 50, "cross"))
    made.cross_wallet_usdt = D(1_000_000)
    made.hear_position(position("60", mode="cross", margin="0", slot="LONG"))
    made.hear_position(position("-50", mode="cross", margin="0", slot="SHORT"))
    tier = BTC.tier_at(D(3_000_000))
    assert tier.deduction_usdt > 0
    expected = binance_liquidation_price(
        1,
        D(60),
        D(60000),
        D(1_000_000),
        BTC.tiers,
        other_maintenance_usdt=3_000_000 * tier.maintenance_rate - tier.deduction_usdt,
    )
    assert abs(made.changed("BTCUSDT").liquidation - expected) < D("0.01")


def test_long_and_short_at_once_are_seen():
    made = book()
    made.hear_position(position(slot="LONG"))
    assert not made.is_two_sided("BTCUSDT")
    made.hear_position(position("-0.020", slot="SHORT"))
    assert made.is_two_sided("BTCUSDT")
    assert made.changed("BTCUSDT").quantity == D("0.020")


@needs_shared
def test_the_samples_are_read():
    event = push("jkorf_binance_usdm", "AccountUpdate")
    flat, long, short = (held_of_event(row, 1) for row in event["a"]["P"])
    assert (flat.quantity, long.quantity, short.quantity) == (0, 20, -10)
    assert (long.slot, short.slot) == ("LONG", "SHORT")
    assert long.margin_usdt == D("13200.70726908")
    (waiting,) = endpoint("jkorf_binance_usdm", "Trading/GetOpenConditionalOrders")
    assert not algo_of(waiting).sure
    assert not algo_of(waiting).by_mark
    told = algo_of_push(push("jkorf_binance_usdm", "AlgoOrderUpdate"))
    assert (told.algo_id, told.kind, told.side) == ("2148719", "take_profit_market", -1)
    rows = endpoint("jkorf_binance_usdm", "Trading/GetPositions")
    read = held_of_row(rows[0], isolated=False)
    assert (read.quantity, read.liquidation) == (D("0.001"), D("19731.45529116"))
