"""Orders in the Binance venue's matching engine: placing, errors, amending, cancelling."""

import json

import pytest

from hfengine.localvenue.faults import Rule
from tests.binance_desk import BTC, OTHER_KEY, Desk


@pytest.fixture
def desk():
    made = Desk(("BTCUSDT", "ETHUSDT"))
    yield made
    made.close()


def by_id(desk, client_id, method="GET", path="/v1/order", **params):
    return desk.signed(method, path, symbol=BTC, origClientOrderId=client_id, **params)


def test_a_market_order_answers_its_result(desk):
    row = desk.order("BUY", "0.010", newClientOrderId="m1").row
    assert row["status"] == "FILLED"
    assert row["clientOrderId"] == "m1"
    # best ask of the still book: one tick above 61800.2
    assert (row["avgPrice"], row["executedQty"]) == ("61800.30", "0.010")
    assert row["cumQuote"] == "618.00300"
    assert (row["type"], row["origType"], row["timeInForce"]) == ("MARKET", "MARKET", "GTC")


def test_an_acknowledgement_says_new_whatever_happened_since(desk):
    row = desk.order("BUY", "0.010", newClientOrderId="m1", newOrderRespType="ACK").row
    assert (row["status"], row["executedQty"], row["cumQuote"]) == ("NEW", "0.000", "0.00000")
    assert by_id(desk, "m1").row["status"] == "FILLED"


def test_an_order_without_client_id_gets_one_and_the_same_seed_the_same():
    made = [Desk(), Desk()]
    ids = [desk.order("BUY", "0.01").row["clientOrderId"] for desk in made]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 22
    for desk in made:
        desk.close()


REFUSALS = [
    ({"quantity": "0"}, -4003),
    ({"quantity": "0.0005"}, -1111),
    ({"quantity": "200"}, -4005),
    ({"quantity": "x"}, -1100),
    ({"quantity": ""}, -1102),
    ({"symbol": "NOPEUSDT"}, -1121),
    ({"side": "HOLD"}, -1117),
    ({"type": "ICEBERG"}, -1116),
    ({"type": "STOP_MARKET", "stopPrice": "60000", "closePosition": "true"}, -4120),
    ({"type": "TRAILING_STOP_MARKET"}, -4120),
    ({"type": "LIMIT", "timeInForce": "GTC"}, -1102),
    ({"type": "LIMIT", "price": "61000"}, -1102),
    ({"type": "LIMIT", "price": "61000", "timeInForce": "GTD"}, -1115),
    ({"type": "LIMIT", "price": "61000.05", "timeInForce": "GTC"}, -4014),
    ({"type": "LIMIT", "price": "61000.055", "timeInForce": "GTC"}, -1111),
    ({"type": "LIMIT", "price": "70000", "timeInForce": "GTC"}, -4016),
    ({"type": "LIMIT", "price": "50000", "timeInForce": "GTC"}, -4024),
    ({"quantity": "0.001"}, -4164),
    ({"quantity": "10"}, -2019),
    ({"reduceOnly": "true"}, -2022),
    ({"positionSide": "LONG"}, -4061),
    ({"positionSide": "UP"}, -1130),
    ({"newClientOrderId": "a b"}, -4015),
    ({"newClientOrderId": ""}, -1105),
    ({"newOrderRespType": "FULL"}, -1136),
    ({"closePosition": "true"}, -4136),
]


@pytest.mark.parametrize(("params", "code"), REFUSALS, ids=str)
def test_a_refused_order_has_its_code_and_status(desk, params, code):
    given = {"symbol": BTC, "side": "BUY", "type": "MARKET", "quantity": "0.01"} | params
    answer = desk.signed("POST", "/v1/order", **given)
    assert (answer.code, answer.status) == (code, 400), answer.row
    assert desk.get("/v1/allOrders", symbol=BTC) == []


def test_limits_are_named_in_the_refusals(desk):
    small = desk.order("BUY", "0.001")
    assert small.row["msg"].startswith("Order's notional must be no smaller than 100 ")
    far = desk.order("BUY", "0.01", "70000")
    assert far.row["msg"] == f"Limit price can't be higher than {desk.mark() * 21 / 20:f}."


def test_a_position_beyond_its_leverage_is_refused(desk):
    # 125x holds up to 50,000 USDT
    desk.signed("POST", "/v1/leverage", symbol=BTC, leverage=125)
    assert desk.order("BUY", "1").code == -2027


def test_the_quantity_limit_of_a_limit_order_is_wider(desk):
    wide = desk.order("BUY", "130", "61000")
    assert wide.code == -2019
    assert desk.order("BUY", "1001", "61000").code == -4005


def test_a_client_id_is_taken_once(desk):
    desk.order("BUY", "0.01", newClientOrderId="same")
    again = desk.order("BUY", "0.01", newClientOrderId="same")
    assert (again.code, again.status) == (-4116, 400)
    fills = desk.get("/v1/userTrades", symbol=BTC)
    assert [row["qty"] for row in fills] == ["0.010"]


@pytest.mark.parametrize(
    ("tif", "price", "code"), [("GTX", "61900", -5022), ("FOK", "61700", -5021)]
)
def test_what_binance_does_not_record_leaves_no_trace(desk, tif, price, code):
    stream = desk.listen()
    answer = desk.order("BUY", "0.01", price, timeInForce=tif, newClientOrderId="u")
    assert (answer.code, answer.status) == (code, 400)
    desk.turn()
    assert stream.take() == []
    assert desk.get("/v1/allOrders", symbol=BTC) == []
    assert by_id(desk, "u").code == -2013


def test_an_ioc_order_fills_what_it_can_and_expires(desk):
    # the best ask holds 0.324
    row = desk.order("BUY", "0.5", "61800.3", timeInForce="IOC").row
    assert (row["status"], row["executedQty"], row["timeInForce"]) == ("EXPIRED", "0.324", "IOC")


def test_a_resting_order_is_found_amended_and_cancelled(desk):
    placed = desk.order("BUY", "0.01", "61000", newClientOrderId="r").row
    assert (placed["status"], placed["price"], placed["updateTime"]) == (
        "NEW",
        "61000.00",
        desk.world.now_ms(),
    )
    number = placed["orderId"]
    assert desk.get("/v1/openOrder", symbol=BTC, orderId=number)["clientOrderId"] == "r"
    assert [row["orderId"] for row in desk.get("/v1/openOrders")] == [number]
    assert desk.get("/v1/openOrders", symbol="ETHUSDT") == []
    changes = {"side": "BUY", "quantity": "0.02", "price": "61010.0"}
    row = by_id(desk, "r", "PUT", **changes).row
    assert (row["orderId"], row["price"], row["origQty"]) == (number, "61010.00", "0.020")
    assert by_id(desk, "r", "PUT", **changes).code == -5027
    assert by_id(desk, "r", "PUT", **(changes | {"side": "SELL"})).code == -1117
    assert by_id(desk, "r", "DELETE").row["status"] == "CANCELED"
    assert by_id(desk, "r", "DELETE").code == -2011
    assert by_id(desk, "r", "PUT", **changes).code == -2013
    assert by_id(desk, "r", path="/v1/openOrder").code == -2013
    assert by_id(desk, "r").row["status"] == "CANCELED"
    assert by_id(desk, "nobody").code == -2013
    assert desk.signed("GET", "/v1/order", symbol=BTC).code == -1102
    assert desk.signed("GET", "/v1/order", symbol="ETHUSDT", orderId=number).code == -2013


def test_accounts_do_not_see_each_other(desk):
    desk.order("BUY", "0.01", "61000", newClientOrderId="mine")
    other = desk.signed("GET", "/v1/openOrders", key=OTHER_KEY)
    assert (other.status, other.row) == (200, [])
    answer = desk.signed("GET", "/v1/order", key=OTHER_KEY, symbol=BTC, origClientOrderId="mine")
    assert answer.code == -2013


def test_cancel_all_leaves_the_algo_list_alone(desk):
    desk.order("BUY", "0.01", "61000")
    desk.order("BUY", "0.01", "61001")
    desk.algo("STOP_MARKET", "SELL", "60000", quantity="0.01")
    assert desk.signed("DELETE", "/v1/allOpenOrders", symbol=BTC).row["code"] == 200
    assert desk.get("/v1/openOrders") == []
    assert len(desk.get("/v1/openAlgoOrders")) == 1
    assert desk.signed("DELETE", "/v1/algoOpenOrders", symbol=BTC).row["code"] == 200
    assert desk.get("/v1/openAlgoOrders") == []


def test_a_batch_answers_one_by_one(desk):
    good = {"symbol": BTC, "side": "BUY", "type": "LIMIT", "quantity": 0.01, "price": "61000"}
    good["timeInForce"] = "GTC"
    orders = [good | {"newClientOrderId": "b1"}, good | {"symbol": "NO"}, good | {"quantity": "0"}]
    rows = desk.signed("POST", "/v1/batchOrders", batchOrders=json.dumps(orders)).row
    assert rows[0]["clientOrderId"] == "b1"
    assert [row["code"] for row in rows[1:]] == [-1121, -4003]
    many = desk.signed("POST", "/v1/batchOrders", batchOrders=json.dumps([good] * 6))
    assert many.code == -4082
    assert desk.signed("POST", "/v1/batchOrders", batchOrders="[").code == -1130
    change = {"symbol": BTC, "origClientOrderId": "b1", "side": "BUY", "quantity": "0.01"}
    change |= {"price": "61020"}
    rows = desk.signed("PUT", "/v1/batchOrders", batchOrders=json.dumps([change])).row
    assert rows[0]["price"] == "61020.00"
    ids = json.dumps(["b1", "b2"])
    rows = desk.signed("DELETE", "/v1/batchOrders", symbol=BTC, origClientOrderIdList=ids).row
    assert (rows[0]["status"], rows[1]["code"]) == ("CANCELED", -2011)


def test_the_dead_mans_switch_cancels_orders_but_never_stops(desk):
    desk.order("BUY", "0.01", "61000")
    desk.algo("STOP_MARKET", "SELL", "60000", quantity="0.01")
    path = "/v1/countdownCancelAll"
    row = desk.signed("POST", path, symbol=BTC, countdownTime=2000).row
    assert row == {"symbol": BTC, "countdownTime": "2000"}
    desk.run(1.5)
    desk.signed("POST", path, symbol=BTC, countdownTime=2000)
    desk.run(1.5)
    assert len(desk.get("/v1/openOrders")) == 1
    desk.run(0.6)
    assert desk.get("/v1/openOrders") == []
    assert len(desk.get("/v1/openAlgoOrders")) == 1
    desk.order("BUY", "0.01", "61000")
    desk.signed("POST", path, symbol=BTC, countdownTime=500)
    desk.signed("POST", path, symbol=BTC, countdownTime=0)
    desk.run(1.0)
    assert len(desk.get("/v1/openOrders")) == 1


def test_lists_are_cut_and_ordered(desk):
    numbers = [desk.order("BUY", "0.01", f"61{n}00").row["orderId"] for n in range(4)]
    listed = desk.get("/v1/allOrders", symbol=BTC, limit=2)
    assert [row["orderId"] for row in listed] == numbers[2:]
    listed = desk.get("/v1/allOrders", symbol=BTC, orderId=numbers[1], limit=2)
    assert [row["orderId"] for row in listed] == numbers[1:3]
    late = desk.world.now_ms() + 1
    assert desk.get("/v1/allOrders", symbol=BTC, startTime=late) == []
    wrong = desk.signed("GET", "/v1/allOrders", symbol=BTC, startTime=late, endTime=late - 2)
    assert wrong.code == -1023


def test_executions_tell_price_fee_and_profit(desk):
    desk.order("BUY", "0.01")
    desk.move("61900.2")
    sold = desk.order("SELL", "0.01", reduceOnly="true").row
    rows = desk.get("/v1/userTrades", symbol=BTC)
    assert rows[1] == {
        "symbol": BTC,
        "id": 2,
        "orderId": sold["orderId"],
        "side": "SELL",
        "price": "61900.10",
        "qty": "0.010",
        # (61900.1 - 61800.3) * 0.01, and 0.05 % of 619.001
        "realizedPnl": "0.99800000",
        "quoteQty": "619.00100",
        "commission": "0.30950050",
        "commissionAsset": "USDT",
        "time": desk.world.now_ms(),
        "positionSide": "BOTH",
        "maker": False,
        "buyer": False,
    }
    assert desk.get("/v1/userTrades", symbol=BTC, fromId=2)[0]["id"] == 2
    assert desk.get("/v1/userTrades", symbol=BTC, orderId=1) == []


def test_hedge_mode_keeps_two_positions(desk):
    desk.signed("POST", "/v1/positionSide/dual", dualSidePosition="true")
    assert desk.order("BUY", "0.01").code == -4061
    desk.order("BUY", "0.02", positionSide="LONG")
    desk.order("SELL", "0.01", positionSide="SHORT")
    refused = desk.order("SELL", "0.01", positionSide="LONG", reduceOnly="true")
    assert refused.code == -1106
    desk.order("SELL", "0.005", positionSide="LONG")
    rows = {row["positionSide"]: row for row in desk.get("/v3/positionRisk")}
    assert rows["LONG"]["positionAmt"] == "0.015"
    assert rows["SHORT"]["positionAmt"] == "-0.010"
    refused = desk.order("BUY", "0.05", positionSide="SHORT")
    filled = desk.get("/v3/positionRisk", symbol=BTC)
    assert refused.status == 200
    assert [row["positionSide"] for row in filled] == ["LONG"]


def test_faults_refuse_and_cut_short(desk):
    desk.world.faults.add(Rule(kind="order_refused", code=-1008, message="busy", status=503))
    answer = desk.order("BUY", "0.01", newClientOrderId="f")
    assert (answer.status, answer.row) == (503, {"code": -1008, "msg": "busy"})
    assert by_id(desk, "f").code == -2013
    desk.world.faults.add(Rule(kind="partial_fill", side=1))
    stream = desk.listen()
    row = desk.order("BUY", "0.011", newClientOrderId="half").row
    assert (row["status"], row["origQty"], row["executedQty"]) == ("EXPIRED", "0.011", "0.005")
    desk.turn()
    said = [frame["o"] for frame in stream.events("ORDER_TRADE_UPDATE")]
    told = [(one["x"], one["X"], one["q"], one["z"]) for one in said]
    assert told == [
        ("NEW", "NEW", "0.011", "0.000"),
        ("TRADE", "PARTIALLY_FILLED", "0.011", "0.005"),
        ("EXPIRED", "EXPIRED", "0.011", "0.005"),
    ]
    assert by_id(desk, "half").row["status"] == "EXPIRED"


def test_a_regime_stops_entries_but_not_exits(desk):
    desk.order("BUY", "0.01")
    desk.world.exchange.set_regime(BTC, "reduce_only")
    assert desk.order("BUY", "0.01").code == -4400
    assert desk.order("SELL", "0.01", reduceOnly="true").row["status"] == "FILLED"
    desk.world.exchange.set_regime(BTC, "closed")
    assert desk.order("BUY", "0.01").code == -4108
