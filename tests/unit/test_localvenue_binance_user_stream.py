"""The Binance venue's user streams: listen keys, events and their order."""

from decimal import Decimal

import pytest

from hfengine.localvenue.binance.dialect import BinanceDialect
from hfengine.localvenue.faults import Rule
from tests.binance_desk import BTC, OTHER_KEY, Desk


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.close()


def listen_key(desk, method="POST", key="k-test", query=""):
    return desk.send(method, "/fapi/v1/listenKey", query, key=key)


def test_a_listen_key_is_kept_extended_and_ended(desk):
    assert listen_key(desk, "PUT").code == -1125
    key = listen_key(desk).row["listenKey"]
    assert len(key) == 64
    assert listen_key(desk).row["listenKey"] == key
    assert listen_key(desk, key="k-other").row["listenKey"] != key
    assert listen_key(desk, key="").code == -2014
    assert listen_key(desk, key="nobody").status == 401
    assert listen_key(desk, "PUT", query="listenKey=another").code == -1125
    assert listen_key(desk, "DELETE").row == {}
    assert listen_key(desk, "PUT").code == -1125
    assert listen_key(desk).row["listenKey"] != key


def test_a_listen_key_lives_an_hour_from_its_extension(desk):
    stream = desk.listen()
    desk.run(3000)
    assert listen_key(desk, "PUT").status == 200
    desk.run(3500)
    assert stream.events("listenKeyExpired") == []
    desk.run(101)
    (event,) = stream.events("listenKeyExpired")
    assert event["listenKey"]
    assert listen_key(desk, "PUT").code == -1125
    desk.order("BUY", "0.01")
    desk.turn()
    assert stream.events("ORDER_TRADE_UPDATE") == []
    assert desk.listen().take() == []


@pytest.mark.parametrize("event", [True, False])
def test_a_fault_ends_the_key_with_or_without_a_word(desk, event):
    stream = desk.listen()
    desk.world.faults.add(Rule(kind="listen_key_expired", event=event))
    desk.run(0.3)
    assert len(stream.events("listenKeyExpired")) == event
    assert listen_key(desk, "PUT").code == -1125
    desk.listen()
    assert desk.dialect.command("expire_listen_key", {"account": "main"}) == {"expired": True}
    assert desk.dialect.command("expire_listen_key", {"account": "main"}) == {"expired": False}
    with pytest.raises(KeyError):
        desk.dialect.command("sing", {})


def test_every_form_of_the_address_hears_the_account_and_nobody_else(desk):
    key = listen_key(desk).row["listenKey"]
    plain = [desk.stream("/private/ws", listenKey=key), desk.stream(f"/ws/{key}")]
    wrapped = [desk.stream("/stream", streams=key), desk.stream("/private/stream", streams=key)]
    asked = desk.stream("/private/stream")
    assert asked.ask(method="SUBSCRIBE", params=[key], id=7) == {"result": None, "id": 7}
    other_key = listen_key(desk, key="k-other").row["listenKey"]
    other = desk.stream("/private/ws", listenKey=other_key)
    dead = desk.stream("/private/ws", listenKey="x" * 64)
    desk.order("BUY", "0.01", "61000")
    desk.turn()
    for stream in plain:
        assert [one["e"] for one in stream.take()] == ["ORDER_TRADE_UPDATE"]
    for stream in [*wrapped, asked]:
        (frame,) = stream.take()
        assert (frame["stream"], frame["data"]["o"]["X"]) == (key, "NEW")
    assert other.take() == dead.take() == []
    desk.signed(
        "POST",
        "/v1/order",
        key=OTHER_KEY,
        symbol=BTC,
        side="BUY",
        type="LIMIT",
        quantity="0.01",
        price="61000",
        timeInForce="GTC",
    )
    desk.turn()
    assert len(other.take()) == 1
    assert plain[0].take() == []
    plain[0].session.closed()
    asked.ask(method="UNSUBSCRIBE", params=[key], id=8)
    desk.signed("DELETE", "/v1/allOpenOrders", symbol=BTC)
    desk.turn()
    assert plain[0].take() == asked.take() == []
    assert len(plain[1].take()) == 1


def test_a_fill_is_told_short_then_as_balance_then_as_order(desk):
    stream = desk.listen()
    # takes 0.324 of the best level and 0.076 of the next
    desk.order("BUY", "0.4", newClientOrderId="m")
    desk.turn()
    frames = stream.take()
    assert [one["e"] for one in frames] == [
        "ORDER_TRADE_UPDATE",
        "TRADE_LITE",
        "TRADE_LITE",
        "ACCOUNT_UPDATE",
        "ORDER_TRADE_UPDATE",
        "ORDER_TRADE_UPDATE",
    ]
    first, second = (one["o"] for one in frames[-2:])
    assert (first["x"], first["X"], first["l"], first["z"]) == (
        "TRADE",
        "PARTIALLY_FILLED",
        "0.324",
        "0.324",
    )
    assert (second["X"], second["l"], second["z"], second["L"]) == (
        "FILLED",
        "0.076",
        "0.400",
        "61800.40",
    )
    assert (first["ap"], second["m"], second["N"]) == ("61800.30", False, "USDT")
    assert Decimal(second["n"]) == Decimal("61800.4") * Decimal("0.076") * Decimal("0.0005")
    update = frames[3]["a"]
    assert (update["m"], update["P"][0]["pa"]) == ("ORDER", "0.400")
    assert update["B"][0]["wb"] == desk.get("/v3/balance")[0]["balance"]


def test_amendments_and_cancellations_are_told(desk):
    stream = desk.listen()
    desk.order("BUY", "0.01", "61000", newClientOrderId="r")
    terms = {"symbol": BTC, "origClientOrderId": "r"}
    change = {"side": "BUY", "quantity": "0.02", "price": "61010"}
    desk.signed("PUT", "/v1/order", **terms, **change)
    desk.signed("DELETE", "/v1/order", **terms)
    desk.turn()
    said = [one["o"] for one in stream.take()]
    assert [(one["x"], one["X"], one["p"], one["q"]) for one in said] == [
        ("NEW", "NEW", "61000.00", "0.010"),
        ("AMENDMENT", "NEW", "61010.00", "0.020"),
        ("CANCELED", "CANCELED", "61010.00", "0.020"),
    ]


def test_profit_before_fees_adds_up_in_the_position(desk):
    stream = desk.listen()
    desk.order("BUY", "0.02")
    desk.move("61900.2")
    for _ in range(2):
        desk.order("SELL", "0.01", reduceOnly="true")
    desk.turn()
    realised = [one["a"]["P"][0]["cr"] for one in stream.events("ACCOUNT_UPDATE")]
    # (61900.1 - 61800.3) * 0.01 each
    assert realised == ["0", "0.998", "1.996"]
    last = stream.events("ACCOUNT_UPDATE")[-1]["a"]["P"][0]
    assert (last["pa"], last["ep"]) == ("0.000", "0.00")


def test_placing_alone_moves_no_balance(desk):
    desk.order("BUY", "0.01")
    stream = desk.listen()
    desk.order("BUY", "0.01", "61000")
    desk.algo("STOP_MARKET", "SELL", "60000")
    desk.turn()
    assert stream.events("ACCOUNT_UPDATE") == []


def test_funding_is_a_change_of_balance(desk):
    desk.order("BUY", "0.01")
    desk.turn()
    stream = desk.listen()
    desk.world.pay_funding(BTC, Decimal("0.0001"))
    desk.turn()
    update = stream.events("ACCOUNT_UPDATE")[0]["a"]
    # 61800.2 * 0.01 * 0.0001
    assert (update["m"], update["B"][0]["bc"], update["P"]) == ("FUNDING_FEE", "-0.0618002", [])


def test_a_liquidation_is_told_to_the_account_and_to_the_public(desk):
    desk.signed("POST", "/v1/marginType", symbol=BTC, marginType="ISOLATED")
    desk.signed("POST", "/v1/leverage", symbol=BTC, leverage=50)
    desk.order("BUY", "0.1")
    desk.turn()
    stream, public = desk.listen(), desk.stream("/market/ws/btcusdt@forceOrder")
    everyone = desk.stream("/ws/!forceOrder@arr")
    liquidation = Decimal(desk.get("/v3/positionRisk")[0]["liquidationPrice"])
    desk.world.set_mark(BTC, liquidation.quantize(Decimal("0.1")) + 5)
    desk.run(1.1)
    (call,) = stream.events("MARGIN_CALL")
    assert (call["p"][0]["s"], call["p"][0]["mt"], call["p"][0]["ps"]) == (BTC, "ISOLATED", "BOTH")
    desk.run(2.1)
    assert len(stream.events("MARGIN_CALL")) == 1
    desk.world.set_mark(BTC, liquidation - 10)
    desk.turn()
    said = [one["o"] for one in stream.events("ORDER_TRADE_UPDATE")]
    assert [(one["x"], one["X"]) for one in said] == [
        ("CALCULATED", "NEW"),
        ("CALCULATED", "FILLED"),
    ]
    for one in said:
        assert one["c"].startswith("autoclose-")
        assert (one["o"], one["f"], one["S"]) == ("LIMIT", "IOC", "SELL")
    (forced,) = public.take()
    assert (forced["o"]["s"], forced["o"]["q"], forced["o"]["S"]) == (BTC, "0.100", "SELL")
    assert everyone.take() == [forced]
    rows = desk.get("/v1/income", incomeType="INSURANCE_CLEAR")
    assert len(rows) == 1


def test_auto_deleveraging_has_its_own_name(desk):
    desk.order("BUY", "0.1")
    desk.turn()
    stream = desk.listen()
    desk.world.act(
        lambda now: desk.world.exchange.force_adl("main", BTC, Decimal("0.04"), now, "net")
    )
    desk.turn()
    (event,) = stream.events("ORDER_TRADE_UPDATE")
    order = event["o"]
    assert (order["c"], order["x"], order["X"], order["l"]) == (
        "adl_autoclose",
        "CALCULATED",
        "NEW_ADL",
        "0.040",
    )
    assert stream.events("ACCOUNT_UPDATE")[0]["a"]["P"][0]["pa"] == "0.060"


def test_a_restarted_venue_knows_what_was_open(desk):
    desk.order("BUY", "0.02")
    desk.move("61900.2")
    desk.order("SELL", "0.01", reduceOnly="true")
    desk.order("BUY", "0.01", "61000", newClientOrderId="r")
    desk.turn()
    desk.dialect.stop()
    desk.dialect = BinanceDialect(desk.world)
    desk.routes = desk.dialect.routes()
    stream = desk.listen()
    desk.signed(
        "PUT",
        "/v1/order",
        symbol=BTC,
        origClientOrderId="r",
        side="BUY",
        quantity="0.02",
        price="61010",
    )
    desk.order("SELL", "0.01", reduceOnly="true")
    desk.turn()
    assert stream.events("ORDER_TRADE_UPDATE")[0]["o"]["x"] == "AMENDMENT"
    assert stream.events("ACCOUNT_UPDATE")[0]["a"]["P"][0]["cr"] == "1.996"
