"""Binance's rows and events as messages: the venue's own samples, read to the last digit."""

from decimal import Decimal

import pytest

from hfengine.exchange import rejects
from hfengine.requests import LeverageSetting
from hfengine.venues import binance_rows as rows
from tests.protocol_samples import endpoint, messages, push, recorded
from tests.shared import needs_shared

D = Decimal
JKORF, NAUTILUS = "jkorf_binance_usdm", "nautilus_binance_futures"
LEVELS = ((2, 50, 60000, 0.01, 5), (1, 75, 10000, 0.0065, 0))
NAMES = ("bracket", "initialLeverage", "notionalCap", "maintMarginRatio", "cum")
BRACKETS = [dict(zip(NAMES, level, strict=True)) for level in LEVELS]


@needs_shared
def test_an_instrument_is_read_from_the_recorded_exchange_info():
    listed = recorded("binance_usdm_recorded_http", "/fapi/v1/exchangeInfo")["symbols"]
    row = next(one for one in listed if one["symbol"] == "BTCUSDT")
    made = rows.instrument_of(
        row, BRACKETS, maker_fee=D("0.0002"), taker_fee=D("0.0004"), as_of="2026-01-01"
    )
    assert (made.price_tick, made.quantity_step) == (D("0.10"), D("0.001"))
    assert (made.quantity_min, made.quantity_max) == (D("0.001"), D(1000))
    assert made.market_quantity_max == 120
    assert made.notional_min_usdt == 100
    assert (made.price_band, made.liquidation_fee) == (D("0.05"), D("0.0125"))
    assert [tier.notional_cap_usdt for tier in made.tiers] == [10000, 60000]
    assert made.tiers[0].maintenance_rate == D("0.0065")
    assert (made.tiers[1].max_leverage, made.tiers[1].deduction_usdt) == (50, 5)
    assert rows.is_usdt_perpetual(row)
    assert not rows.is_usdt_perpetual(row | {"status": "SETTLING"})
    assert not rows.is_usdt_perpetual(row | {"contractType": "CURRENT_QUARTER"})


@needs_shared
def test_leverage_and_margin_mode_come_from_symbol_config():
    (row,) = endpoint(JKORF, "Account/GetSymbolConfiguration")
    assert rows.leverage_of_row(row) == LeverageSetting("BTCUSDT", 21, "cross")
    odd = row | {"leverage": "12.5", "marginType": "ISOLATED"}
    assert rows.leverage_of_row(odd) == LeverageSetting("BTCUSDT", 0, "isolated")


@needs_shared
def test_an_order_by_rest():
    update = rows.order_of_row(endpoint(JKORF, "Trading/GetOrder"))
    assert (update.client_id, update.venue_id, update.symbol) == ("abc", "1917641", "BTCUSDT")
    assert (update.kind, update.side, update.quantity) == ("stop_market", 1, D("0.40"))
    assert (update.state, update.filled, update.trigger) == ("new", 0, D(9300))
    assert update.at_ns == 1579276756075 * 10**6


@needs_shared
def test_an_order_and_a_fill_of_the_stream():
    event = messages(NAUTILUS)["user_data_json/order_update_trade.json"]
    update, fill = rows.order_of_event(event), rows.fill_of_event(event)
    assert (update.client_id, update.state, update.kind) == ("TEST", "partially_filled", "limit")
    assert update.price == D("7100.50")
    assert rows.has_fill(event)
    assert fill.fill_id == "BTCUSDT:12345678"
    assert (fill.quantity, fill.price, fill.side) == (D("0.001"), D("7100.50"), 1)
    assert (fill.fee_usdt, fill.realised_usdt, fill.maker) == (D("0.01"), D("12.34"), True)
    assert (fill.cause, fill.at_ns) == ("order", 1568879465651 * 10**6)
    assert rows.fill_of_event(event, "hf-s").client_id == "hf-s"
    assert not rows.has_fill(messages(NAUTILUS)["user_data_json/order_update_new.json"])


@needs_shared
@pytest.mark.parametrize(
    ("name", "cause", "state"),
    [
        ("adl", "adl", "filled"),
        ("calculated", "liquidation", "filled"),
        ("insurance", "liquidation", "filled"),
    ],
)
def test_what_the_venue_forces_is_told_as_such(name, cause, state):
    event = messages(NAUTILUS)[f"user_data_json/order_update_{name}.json"]
    assert rows.has_fill(event)
    assert rows.fill_of_event(event).cause == cause
    assert rows.order_of_event(event).state == state
    pending = messages(NAUTILUS)["user_data_json/order_update_calculated_pending.json"]
    assert not rows.has_fill(pending)


@pytest.mark.parametrize(
    ("client_id", "original", "cause"),
    [
        ("hf-1", "MARKET", "order"),
        ("x", "STOP_MARKET", "stop"),
        ("x", "TRAILING_STOP_MARKET", "stop"),
        ("x", "TAKE_PROFIT_MARKET", "target"),
        ("autoclose-7", "LIMIT", "liquidation"),
        ("adl_autoclose", "LIMIT", "adl"),
        ("settlement_autoclose-1", "LIMIT", "order"),
    ],
)
def test_causes(client_id, original, cause):
    assert rows.cause_of(client_id, original) == cause


@pytest.mark.parametrize(
    ("status", "tif", "filled", "reason"),
    [
        ("EXPIRED", "IOC", "0.1", rejects.IOC_REMAINDER),
        ("EXPIRED", "IOC", "0", rejects.NO_LIQUIDITY),
        ("EXPIRED", "FOK", "0", rejects.FOK_NOT_FILLABLE),
        ("EXPIRED", "GTX", "0", rejects.POST_ONLY_WOULD_TAKE),
        ("CANCELED", "GTC", "0", rejects.CANCELLED_BY_USER),
        ("FILLED", "GTC", "0.2", ""),
    ],
)
def test_why_an_order_ended(status, tif, filled, reason):
    row = {
        "orderId": 1,
        "clientOrderId": "a",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "status": status,
        "timeInForce": tif,
        "origQty": "0.2",
        "executedQty": filled,
        "reduceOnly": True,
    }
    update = rows.order_of_row(row, 5)
    assert (update.reason, update.side, update.reduce_only, update.at_ns) == (reason, -1, True, 5)


@needs_shared
def test_conditional_orders_by_rest_and_push():
    finished = rows.algo_of_row(endpoint(JKORF, "Trading/GetConditionalOrder"))
    assert (finished.state, finished.filled) == ("filled", D("0.002"))
    assert (finished.kind, finished.trigger) == ("stop_market", D("69080.20"))
    (waiting,) = endpoint(JKORF, "Trading/GetOpenConditionalOrders")
    assert rows.algo_of_row(waiting).state == "untriggered"
    placed = rows.algo_of_row(endpoint(JKORF, "Trading/PlaceConditionalOrder"))
    assert (placed.venue_id, placed.client_id) == ("2146760", "6B2I9XVcJpCjqPAJ4YoFX7")
    told = rows.algo_of_event(push(JKORF, "AlgoOrderUpdate"))
    assert (told.state, told.kind, told.trigger) == ("cancelled", "take_profit_market", 750)
    named = messages(NAUTILUS)["user_data_json/algo_update_canceled.json"]
    assert rows.algo_of_event(named).reason == "Reduce Only reject"


@needs_shared
def test_a_trade_by_rest_takes_its_orders_name():
    (row,) = endpoint(JKORF, "Trading/GetUserTrades")
    fill = rows.fill_of_trade(row, "hf-1s", "STOP_MARKET")
    assert (fill.fill_id, fill.client_id, fill.cause) == ("BTCUSDT:698759", "hf-1s", "stop")
    assert (fill.side, fill.quantity, fill.price) == (-1, D("0.002"), D("7819.01"))
    assert fill.realised_usdt == D("-0.91539999")
    assert rows.fill_of_trade(row, "hf-1s", "LIMIT", "autoclose-1").cause == "liquidation"


def test_fees_in_another_coin_leave_the_wallet_alone():
    assert rows.fee_usdt("0.5", "USDT") == D("0.5")
    assert rows.fee_usdt("0.5", "BNB") == 0
    assert rows.fee_usdt("", None) == 0


@needs_shared
def test_the_account_is_its_usdt_row():
    balance = rows.balance_of(endpoint(JKORF, "Account/GetAccountInfoV3"), 9)
    assert (balance.wallet_usdt, balance.equity_usdt) == (D("23.72469206"), D("23.72469206"))
    assert (balance.free_margin_usdt, balance.maintenance_usdt) == (D("23.72469206"), 0)
    assert rows.balance_of({"assets": []}, 9).wallet_usdt == 0
    assert rows.wallet_of_event(push(JKORF, "AccountUpdate")) == D("122624.12345678")


def test_funding_paid_is_positive():
    row = {"symbol": "BTCUSDT", "income": "-0.37500000", "time": 1570608000000}
    paid = rows.funding_of_row(row, D("0.0001"))
    assert (paid.funding_usdt, paid.rate) == (D("0.375"), D("0.0001"))


@pytest.mark.parametrize(("filled", "state"), [("0.00000", "cancelled"), ("0.010", "filled")])
def test_a_finished_conditional_order_ended_as_the_order_it_made(filled, state):
    row = {"algoId": 1, "clientAlgoId": "c", "symbol": "BTCUSDT", "orderType": "STOP_MARKET"}
    row |= {"side": "SELL", "algoStatus": "FINISHED", "quantity": "0.010", "actualQty": filled}
    assert rows.algo_of_row(row).state == state


@pytest.mark.parametrize(
    ("slot", "side", "flagged", "reduces"),
    [
        ("BOTH", "SELL", False, False),
        ("BOTH", "SELL", True, True),
        ("LONG", "SELL", False, True),
        ("LONG", "BUY", False, False),
        ("SHORT", "BUY", False, True),
        ("SHORT", "SELL", False, False),
    ],
)
def test_in_hedge_mode_an_order_against_its_side_reduces_though_nothing_flags_it(
    slot, side, flagged, reduces
):
    row = {"positionSide": slot, "side": side, "reduceOnly": flagged, "closePosition": False}
    assert rows.is_reducing(row) is reduces
    event = {"ps": slot, "S": side, "R": flagged, "cp": False}
    assert rows.is_event_reducing(event) is reduces


def test_what_closes_the_position_reduces():
    assert rows.is_reducing({"side": "BUY", "closePosition": True})
    assert rows.is_event_reducing({"S": "BUY", "cp": True})
