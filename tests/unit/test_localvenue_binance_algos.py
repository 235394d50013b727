"""Conditional orders of the Binance venue: the algo list, its errors, and what a trigger does."""

import pytest

from hfengine.localvenue.faults import Rule
from tests.binance_desk import BTC, Desk


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.close()


def told(stream):
    """Return (event, status) of orders and algo orders in the order they came."""
    frames = [one for one in stream.take() if one["e"] in {"ALGO_UPDATE", "ORDER_TRADE_UPDATE"}]
    return [(one["e"].partition("_")[0], one["o"]["X"]) for one in frames]


def test_a_conditional_order_waits_in_a_list_of_its_own(desk):
    placed = desk.algo("STOP_MARKET", "SELL", "61000", clientAlgoId="s").row
    assert placed["algoStatus"] == "NEW"
    assert (placed["closePosition"], placed["timeInForce"]) == (True, "GTC")
    assert (placed["triggerPrice"], placed["workingType"]) == ("61000.00", "MARK_PRICE")
    assert desk.get("/v1/openOrders") == []
    assert desk.get("/v1/allOrders", symbol=BTC) == []
    assert desk.signed("GET", "/v1/order", symbol=BTC, origClientOrderId="s").code == -2013
    listed = desk.get("/v1/openAlgoOrders")
    assert [(row["algoId"], row["actualOrderId"]) for row in listed] == [(placed["algoId"], "")]
    assert desk.get("/v1/algoOrder", algoId=placed["algoId"])["clientAlgoId"] == "s"
    gone = desk.signed("DELETE", "/v1/algoOrder", algoId=placed["algoId"])
    assert gone.row["algoStatus"] == "CANCELED"
    assert desk.signed("DELETE", "/v1/algoOrder", clientAlgoId="s").code == -2011
    assert desk.get("/v1/openAlgoOrders") == []
    assert [row["algoStatus"] for row in desk.get("/v1/allAlgoOrders", symbol=BTC)] == ["CANCELED"]


REFUSALS = [
    ({"triggerPrice": "61900"}, -2021),
    ({"type": "TAKE_PROFIT_MARKET", "triggerPrice": "61000"}, -2021),
    ({"triggerPrice": "61000.05"}, -4014),
    ({"triggerPrice": ""}, -1102),
    ({"type": "STOP", "quantity": "0.01", "closePosition": "false"}, -1102),
    ({"type": "STOP", "price": "61000"}, -4136),
    ({"type": "MARKET"}, -1116),
    ({"type": "TRAILING_STOP_MARKET"}, -1116),
    ({"algoType": "VP"}, -1130),
    ({"workingType": "INDEX"}, -1130),
    ({"timeInForce": "GTX_GTC"}, -1115),
    ({"quantity": "0.01"}, -4137),
    ({"closePosition": "false"}, -1102),
    ({"closePosition": "false", "quantity": "500"}, -4005),
    ({"closePosition": "maybe"}, -1100),
    ({"reduceOnly": "true"}, -1106),
    ({"timeInForce": "GTE_GTC"}, -4509),
]


@pytest.mark.parametrize(("params", "code"), REFUSALS, ids=str)
def test_a_refused_conditional_order_has_its_code(desk, params, code):
    given = {"symbol": BTC, "side": "SELL", "type": "STOP_MARKET", "triggerPrice": "61000"}
    given |= {"algoType": "CONDITIONAL", "closePosition": "true"} | params
    answer = desk.signed("POST", "/v1/algoOrder", **given)
    assert (answer.code, answer.status) == (code, 400), answer.row


def test_one_close_position_order_of_a_kind_and_side(desk):
    assert desk.algo("STOP_MARKET", "SELL", "61000").status == 200
    assert desk.algo("STOP_MARKET", "SELL", "60000").code == -4130
    assert desk.algo("TAKE_PROFIT_MARKET", "SELL", "62000").status == 200
    assert desk.algo("STOP_MARKET", "BUY", "63000").status == 200
    assert desk.algo("STOP_MARKET", "SELL", "60000", quantity="0.01").status == 200


def test_a_symbol_holds_ten(desk):
    answers = [
        desk.algo("STOP_MARKET", "SELL", f"{60000 + number}", quantity="0.01").status
        for number in range(10)
    ]
    assert answers == [200] * 10
    assert desk.algo("STOP_MARKET", "SELL", "59000", quantity="0.01").code == -4045


def test_a_trigger_tells_its_whole_life(desk):
    desk.order("BUY", "0.02")
    desk.algo("STOP_MARKET", "SELL", "61000", clientAlgoId="sl")
    desk.algo("TAKE_PROFIT_MARKET", "SELL", "62000", clientAlgoId="tp")
    stream = desk.listen()
    desk.move("62100")
    frames = list(stream.socket.frames)
    assert told(stream) == [
        ("ALGO", "TRIGGERING"),
        ("ALGO", "TRIGGERED"),
        ("ORDER", "NEW"),
        ("ORDER", "FILLED"),
        ("ALGO", "FINISHED"),
    ]
    algo = [one["o"] for one in frames if one["e"] == "ALGO_UPDATE"]
    order = [one["o"] for one in frames if one["e"] == "ORDER_TRADE_UPDATE"]
    assert [one["ai"] for one in algo] == ["", str(order[0]["i"]), str(order[0]["i"])]
    assert (algo[2]["ap"], algo[2]["aq"], algo[2]["act"]) == ("62099.90000", "0.02000", "MARKET")
    for one in order:
        assert (one["o"], one["ot"], one["c"]) == ("MARKET", "TAKE_PROFIT_MARKET", "tp")
        assert (one["q"], one["sp"], one["cp"]) == ("0.020", "62000.00", True)
    row = desk.get("/v1/algoOrder", clientAlgoId="tp")
    assert (row["algoStatus"], row["actualOrderId"]) == ("FINISHED", str(order[0]["i"]))
    assert (row["actualPrice"], row["actualQty"]) == ("62099.90000", "0.020")
    spawned = desk.get("/v1/order", symbol=BTC, orderId=order[0]["i"])
    assert (spawned["status"], spawned["origType"]) == ("FILLED", "TAKE_PROFIT_MARKET")
    # GTC: the sibling outlives the position
    assert [row["clientAlgoId"] for row in desk.get("/v1/openAlgoOrders")] == ["sl"]


def test_a_stop_without_a_position_is_rejected_when_it_fires(desk):
    stream = desk.listen()
    desk.algo("STOP_MARKET", "SELL", "61000", clientAlgoId="s")
    desk.turn()
    stream.take()
    desk.move("60900")
    reasons = [one["o"]["rm"] for one in stream.events("ALGO_UPDATE")]
    assert told(stream) == [("ALGO", "TRIGGERING"), ("ALGO", "REJECTED")]
    assert reasons == ["", "Reduce Only reject"]
    assert desk.get("/v1/allOrders", symbol=BTC) == []
    assert desk.get("/v1/algoOrder", clientAlgoId="s")["algoStatus"] == "REJECTED"


def test_gte_gtc_expires_with_the_position(desk):
    desk.order("BUY", "0.02")
    for kind, trigger in (("STOP_MARKET", "61000"), ("TAKE_PROFIT_MARKET", "62000")):
        row = desk.algo(kind, "SELL", trigger, timeInForce="GTE_GTC").row
        assert row["timeInForce"] == "GTE_GTC"
    stream = desk.listen()
    desk.order("SELL", "0.01", reduceOnly="true")
    assert len(desk.get("/v1/openAlgoOrders")) == 2
    desk.order("SELL", "0.01", reduceOnly="true")
    desk.turn()
    assert desk.get("/v1/openAlgoOrders") == []
    assert told(stream).count(("ALGO", "EXPIRED")) == 2


def test_triggers_watch_the_price_they_name(desk):
    desk.order("BUY", "0.02")
    desk.algo("STOP_MARKET", "SELL", "61500", clientAlgoId="mark", quantity="0.01")
    desk.algo(
        "STOP_MARKET",
        "SELL",
        "61500",
        clientAlgoId="last",
        quantity="0.01",
        workingType="CONTRACT_PRICE",
    )
    desk.world.set_mark(BTC, desk.mark() - 1000)
    desk.turn()
    assert desk.get("/v1/algoOrder", clientAlgoId="mark")["algoStatus"] == "FINISHED"
    assert desk.get("/v1/algoOrder", clientAlgoId="last")["algoStatus"] == "NEW"


def test_a_conditional_limit_order_rests_when_triggered(desk):
    desk.order("BUY", "0.02")
    placed = desk.algo("STOP", "SELL", "61000", quantity="0.02", price="61500", reduceOnly="true")
    assert (placed.row["orderType"], placed.row["price"]) == ("STOP", "61500.00")
    stream = desk.listen()
    desk.move("60900")
    assert told(stream) == [("ALGO", "TRIGGERING"), ("ALGO", "TRIGGERED"), ("ORDER", "NEW")]
    row = desk.get("/v1/openOrders")[0]
    assert (row["type"], row["origType"], row["price"]) == ("LIMIT", "STOP", "61500.00")
    assert desk.get("/v1/openAlgoOrders") == []
    assert desk.get("/v1/algoOrder", algoId=placed.row["algoId"])["algoStatus"] == "TRIGGERED"
    number = row["orderId"]
    gone = desk.signed("DELETE", "/v1/order", symbol=BTC, orderId=number)
    desk.turn()
    assert gone.row["status"] == "CANCELED"
    assert told(stream) == [("ORDER", "CANCELED"), ("ALGO", "FINISHED")]


def test_a_stop_may_be_refused_by_a_fault(desk):
    desk.order("BUY", "0.01")
    desk.world.faults.add(Rule(kind="stop_refused"))
    target = desk.algo("TAKE_PROFIT_MARKET", "SELL", "62000")
    stop = desk.algo("STOP_MARKET", "SELL", "61000")
    assert (target.status, stop.status, stop.code) == (200, 400, -2021)
    assert desk.algo("STOP_MARKET", "SELL", "61000").status == 200
