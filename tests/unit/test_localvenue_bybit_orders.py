"""Orders: what is refused with which code, amended, cancelled, batched; faults on the way."""

import re
from decimal import Decimal

import pytest

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.localvenue.bybit.errors import Attempt, refusal
from hfengine.localvenue.bybit.identity import order_id, venue_id
from hfengine.localvenue.faults import Rule
from tests.bybit_venue import BTC, ETH, away, run, turn
from tests.exchange_desk import instrument

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}")


def test_order_ids_are_uuids_that_can_be_read_back():
    numbers = [str(number) for number in (1, 2, 77, 10**9, 2**47)]
    uuids = [order_id(number) for number in numbers]
    assert all(UUID.fullmatch(one) for one in uuids)
    assert [venue_id(one) for one in uuids] == numbers
    assert len(set(uuids)) == len(numbers)
    forged = uuids[0][:-12] + uuids[1][-12:]
    assert [venue_id(one) for one in (forged, "", "x", "1", "a-b-c-d-é")] == [None] * 5


def test_every_reason_of_the_exchange_has_an_answer():
    """The first group of rejects.py is raised; none may fall through to a text of ours."""
    raised = [
        name
        for name in dir(rejects)
        if name.isupper() and name not in ENDS and isinstance(getattr(rejects, name), str)
    ]
    attempt = Attempt(instrument=instrument(), side=1, leverage=200)
    for name in raised:
        reason = getattr(rejects, name)
        refused = refusal(VenueRejected(reason), attempt)
        assert refused.code > 10000, name
        assert reason not in refused.message, name


ENDS = {
    "POST_ONLY_WOULD_TAKE",
    "FOK_NOT_FILLABLE",
    "NO_LIQUIDITY",
    "IOC_REMAINDER",
    "SELF_TRADE",
    "CANCELLED_BY_USER",
    "POSITION_CLOSED",
    "SIBLING_EXECUTED",
    "REPLACED",
    "LIQUIDATION",
    "ADL",
}


REFUSED = {
    "unknown symbol": ({"symbol": "NOPE"}, 10001, "symbol invalid"),
    "inverse": ({"category": "inverse"}, 10001, "category"),
    "no side": ({"side": "Up"}, 10001, "side"),
    "bad quantity": ({"qty": "abc"}, 10001, "qty"),
    "negative": ({"qty": "-1"}, 10001, "qty"),
    "off step": ({"qty": "0.0105"}, 10001, "Qty invalid"),
    "off tick": ({"orderType": "Limit", "price": "60000.05"}, 10001, "Price invalid"),
    "no price": ({"orderType": "Limit"}, 10001, "Price invalid"),
    "too small": ({"qty": "0"}, 10001, "minimum limit"),
    "too large": ({"qty": "101"}, 10001, "exceeds maximum limit allowed"),
    "band": ({"orderType": "Limit", "percent": "-6"}, 110003, "allowable range"),
    "margin": ({"orderType": "Limit", "percent": "-1", "qty": "40"}, 110007, "ab not enough"),
    "nothing to reduce": ({"reduceOnly": True}, 110017, "current position is zero"),
    "bad link": ({"orderLinkId": "a b"}, 10001, "OrderLinkId"),
    "long link": ({"orderLinkId": "a" * 37}, 10001, "OrderLinkId"),
    "slot": ({"positionIdx": 1}, 10001, "position idx not match position mode"),
    "stop side": ({"stop": "1"}, 10001, "StopLoss:.* set for Buy position should lower than"),
    "target side": ({"target": "-1"}, 10001, "TakeProfit:.* set for Buy position should be higher"),
    "partial stop side": ({"stop": "1", "tpslMode": "Partial"}, 10001, "StopLoss:"),
    "full limit": ({"stop": "-1", "slOrderType": "Limit"}, 10001, "Full tpslMode"),
    "protected exit": ({"stop": "-1", "reduceOnly": True}, 10001, "Reduce-only"),
    "object": ({"stopLoss": {"triggerPrice": 1}}, 10001, "stopLoss invalid"),
    "no direction": ({"trigger": "1"}, 10001, "triggerDirection"),
    "risen already": ({"trigger": "-1", "triggerDirection": 1}, 110092, "expect Rising"),
    "fallen already": ({"trigger": "1", "triggerDirection": 2}, 110093, "expect Falling"),
    "index price": ({"trigger": "1", "triggerBy": "IndexPrice"}, 10001, "trigger"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_refused(case):
    given, code, message = REFUSED[case]

    async def scenario(venue):
        fields = dict(given)
        for short, name in (
            ("percent", "price"),
            ("stop", "stopLoss"),
            ("target", "takeProfit"),
            ("trigger", "triggerPrice"),
        ):
            if short in fields:
                fields[name] = away(venue, fields.pop(short))
        answer = await venue.order(**fields)
        assert answer["retCode"] == code
        assert re.search(message, answer["retMsg"]), answer["retMsg"]
        assert answer["result"] == {}
        assert venue.world.exchange.order_reports("main") == []

    run(scenario)


def test_small_orders_and_the_side_that_cannot_reduce():
    async def scenario(venue):
        answer = await venue.order(symbol="ADAUSDT", qty="1")
        assert (answer["retCode"], answer["retMsg"][-5:]) == (110094, "5USDT")
        await venue.order()
        answer = await venue.order(reduceOnly=True)
        assert (answer["retCode"], answer["retMsg"]) == (
            110017,
            "orderQty will be truncated to zero.",
        )

    run(scenario, symbols=[BTC, "ADAUSDT"])


def test_a_client_id_is_unique_for_ever():
    async def scenario(venue):
        assert (await venue.order(orderLinkId="a"))["retCode"] == 0
        assert (await venue.order(orderLinkId="a"))["retCode"] == 110072
        for _ in range(2):
            answer = await venue.order()
            assert answer["result"]["orderLinkId"] == ""
        rows = await venue.rows("order/history")
        assert [row["orderLinkId"] for row in rows] == ["", "", "a"]

    run(scenario)


def test_a_client_id_of_36_characters_with_protection():
    link = "l" * 36

    async def scenario(venue):
        socket, _ = venue.private("order", "execution")
        stop = away(venue, -1)
        answer = await venue.order(orderLinkId=link, stopLoss=stop)
        assert answer["result"]["orderLinkId"] == link
        assert (await venue.order(orderLinkId=link, stopLoss=stop))["retCode"] == 110072
        [entry] = await venue.rows("order/history", orderLinkId=link)
        assert entry["orderLinkId"] == link
        [child] = await venue.rows("order/realtime")
        assert (child["orderLinkId"], child["parentOrderLinkId"]) == ("", link)
        [fill] = await venue.rows("execution/list")
        assert fill["orderLinkId"] == link
        await turn()
        rows = [row for frame in socket.take() for row in frame["data"]]
        assert {row["orderLinkId"] for row in rows} == {"", link}

    run(scenario)


def test_post_only_that_would_take_ends_on_the_stream():
    async def scenario(venue):
        answer = await venue.order(
            orderType="Limit", price=away(venue, 1), timeInForce="PostOnly", orderLinkId="p"
        )
        assert answer["retCode"] == 0
        [row] = await venue.rows("order/history", orderLinkId="p")
        assert (row["orderStatus"], row["rejectReason"], row["cancelType"]) == (
            "Cancelled",
            "EC_PostOnlyWillTakeLiquidity",
            "UNKNOWN",
        )
        assert (row["timeInForce"], row["leavesQty"]) == ("PostOnly", "0.000")

    run(scenario)


def test_amend_changes_price_and_quantity_in_place():
    async def scenario(venue):
        price, other = away(venue, -1), away(venue, -2)
        created = await venue.order(orderType="Limit", price=price, orderLinkId="a")
        named = {"category": "linear", "symbol": BTC, "orderId": created["result"]["orderId"]}
        assert (await venue.post("order/amend", price=price, **named))["retCode"] == 10001
        answer = await venue.post("order/amend", price=other, qty="0.02", **named)
        assert answer["result"] == created["result"]
        [row] = await venue.rows("order/realtime")
        assert (row["orderId"], row["price"], row["qty"]) == (named["orderId"], other, "0.020")
        refused = await venue.post("order/amend", stopLoss="1", **named)
        assert refused["retCode"] == 10001
        assert (await venue.post("order/amend", price=away(venue, -9), **named))[
            "retCode"
        ] == 110003
        missing = {**named, "orderId": order_id("999")}
        answer = await venue.post("order/amend", qty="0.03", **missing)
        assert (answer["retCode"], answer["retMsg"][-7:]) == (110001, "replace")

    run(scenario)


def test_amend_moves_a_stop_child():
    async def scenario(venue):
        await venue.order(stopLoss=away(venue, -1))
        [child] = await venue.rows("order/realtime")
        named = {"category": "linear", "symbol": BTC, "orderId": child["orderId"]}
        moved = away(venue, "-0.5")
        assert (await venue.post("order/amend", triggerPrice=moved, **named))["retCode"] == 0
        [row] = await venue.rows("order/realtime")
        assert (row["orderId"], row["triggerPrice"]) == (child["orderId"], moved)
        assert (await venue.rows("position/list"))[0]["stopLoss"] == moved

    run(scenario)


def test_cancel_by_either_id_and_only_once():
    async def scenario(venue):
        price = away(venue, -1)
        first = await venue.order(orderType="Limit", price=price, orderLinkId="a")
        await venue.order(orderType="Limit", price=price, orderLinkId="b")
        named = {"category": "linear", "symbol": BTC}
        by_link = await venue.post("order/cancel", orderLinkId="a", **named)
        assert by_link["result"] == first["result"]
        assert (await venue.post("order/cancel", orderLinkId="a", **named))["retCode"] == 110001
        elsewhere = {**named, "symbol": ETH}
        assert (await venue.post("order/cancel", orderLinkId="b", **elsewhere))["retCode"] == 110001
        assert (await venue.post("order/cancel", **named))["retCode"] == 10001
        [row] = await venue.rows("order/history")
        assert (row["cancelType"], row["orderStatus"]) == ("CancelByUser", "Cancelled")

    run(scenario)


async def two_of_each(venue):
    """A position with stop and target, a resting order and a conditional one."""
    await venue.order(stopLoss=away(venue, -1), takeProfit=away(venue, 1))
    await venue.order(orderType="Limit", price=away(venue, -2), orderLinkId="rests")
    await venue.order(triggerPrice=away(venue, 2), triggerDirection=1, orderLinkId="waits")


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ({}, []),
        ({"orderFilter": "Order"}, ["Stop", "StopLoss", "TakeProfit"]),
        ({"orderFilter": "StopOrder"}, [""]),
        ({"orderFilter": "StopOrder", "stopOrderType": "Stop"}, ["", "StopLoss", "TakeProfit"]),
    ],
)
def test_cancel_all_takes_stops_and_targets_too_unless_told_otherwise(wanted, left):
    async def scenario(venue):
        await two_of_each(venue)
        assert len(await venue.rows("order/realtime")) == 4
        answer = await venue.post("order/cancel-all", category="linear", symbol=BTC, **wanted)
        assert answer["result"]["success"] == "1"
        assert len(answer["result"]["list"]) == 4 - len(left)
        rows = await venue.rows("order/realtime")
        assert sorted(row["stopOrderType"] for row in rows) == left

    run(scenario)


def test_cancel_all_by_coin():
    async def scenario(venue):
        for symbol, price in ((BTC, away(venue, -1)), (ETH, str(venue.price(ETH) - 10))):
            await venue.order(symbol=symbol, orderType="Limit", price=price, qty="0.05")
        assert (await venue.post("order/cancel-all", category="linear"))["retCode"] == 10001
        await venue.post("order/cancel-all", category="linear", baseCoin="ETH")
        left = await venue.rows("order/realtime", symbol="", settleCoin="USDT")
        assert [row["symbol"] for row in left] == [BTC]
        await venue.post("order/cancel-all", category="linear", settleCoin="USDT")
        assert await venue.rows("order/realtime") == []

    run(scenario)


def test_a_batch_does_each_request_for_itself():
    async def scenario(venue):
        low = {"symbol": BTC, "side": "Buy", "orderType": "Limit", "price": away(venue, -1)}
        requests = [
            {**low, "qty": "0.01", "orderLinkId": "a"},
            {**low, "qty": "101", "orderLinkId": "b"},
            {**low, "qty": "0.01", "orderLinkId": "a"},
        ]
        answer = await venue.post("order/create-batch", category="linear", request=requests)
        assert answer["retCode"] == 0
        codes = [one["code"] for one in answer["retExtInfo"]["list"]]
        assert codes == [0, 10001, 110072]
        ids = [bool(row["orderId"]) for row in answer["result"]["list"]]
        assert ids == [True, False, False]
        amended = [{"symbol": BTC, "orderLinkId": "a", "qty": "0.02"}]
        answer = await venue.post("order/amend-batch", category="linear", request=amended)
        assert answer["retExtInfo"]["list"][0]["code"] == 0
        assert (await venue.rows("order/realtime"))[0]["qty"] == "0.020"
        for bad in ([], "x", [1], [low] * 21):
            answer = await venue.post("order/cancel-batch", category="linear", request=bad)
            assert answer["retCode"] == 10001

    run(scenario)


def test_conditional_orders_fire_by_their_direction():
    async def scenario(venue):
        await venue.order(
            side="Sell", triggerPrice=away(venue, 1), triggerDirection=1, orderLinkId="up"
        )
        await venue.order(
            triggerPrice=away(venue, -1),
            triggerDirection=2,
            triggerBy="MarkPrice",
            orderType="Limit",
            price=away(venue, "-1.5"),
            orderLinkId="down",
        )
        rows = {row["orderLinkId"]: row for row in await venue.rows("order/realtime")}
        assert {row["stopOrderType"] for row in rows.values()} == {"Stop"}
        assert [rows[one]["triggerDirection"] for one in ("up", "down")] == [1, 2]
        assert [rows[one]["triggerBy"] for one in ("up", "down")] == ["LastPrice", "MarkPrice"]
        assert rows["down"]["orderType"] == "Limit"
        venue.world.move(BTC, to_price=Decimal(away(venue, "-1.1")))
        await turn()
        [row] = await venue.rows("order/realtime", orderLinkId="down")
        assert (row["orderStatus"], row["price"]) == ("New", rows["down"]["price"])

    run(scenario)


def test_hedge_mode_keeps_two_positions():
    async def scenario(venue):
        mode = {"category": "linear", "coin": "USDT"}
        assert (await venue.post("position/switch-mode", mode=3, **mode))["retCode"] == 0
        assert (await venue.order())["retCode"] == 10001
        await venue.order(positionIdx=1, stopLoss=away(venue, -1))
        await venue.order(positionIdx=2, side="Sell", qty="0.02", takeProfit=away(venue, -2))
        rows = await venue.rows("position/list")
        assert [(row["positionIdx"], row["side"], row["size"]) for row in rows] == [
            (1, "Buy", "0.010"),
            (2, "Sell", "0.020"),
        ]
        assert [row["stopLoss"] != "0" for row in rows] == [True, False]
        children = await venue.rows("order/realtime")
        assert {(row["positionIdx"], row["side"]) for row in children} == {(1, "Sell"), (2, "Buy")}
        assert (await venue.post("position/switch-mode", mode=0, **mode))["retCode"] == 110024
        await venue.order(positionIdx=1, side="Sell", reduceOnly=True)
        await venue.order(positionIdx=2, qty="0.02", reduceOnly=True)
        assert [row["size"] for row in await venue.rows("position/list")] == ["0", "0"]

    run(scenario)


def test_partial_protection_follows_the_fills():
    async def scenario(venue):
        book = venue.world.levels(BTC, -1, 2)
        step, tick = Decimal("0.001"), Decimal("0.1")
        first = step * book[0][1]
        price = tick * book[0][0]
        await venue.order(
            orderType="Limit",
            qty=str(first * 2),
            price=str(price),
            stopLoss=away(venue, -1),
            takeProfit=away(venue, 1),
            tpslMode="Partial",
            tpOrderType="Limit",
            tpLimitPrice=away(venue, "1.1"),
            orderLinkId="e",
        )
        [entry] = await venue.rows("order/realtime", orderFilter="Order")
        assert (entry["orderStatus"], entry["cumExecQty"]) == ("PartiallyFilled", str(first))
        rows = await venue.rows("order/realtime", orderFilter="StopOrder")
        legs = {row["stopOrderType"]: row for row in rows}
        assert set(legs) == {"PartialStopLoss", "PartialTakeProfit"}
        assert {row["qty"] for row in rows} == {str(first)}
        assert {row["tpslMode"] for row in rows} == {"Partial"}
        assert legs["PartialTakeProfit"]["orderType"] == "Limit"
        assert {row["parentOrderLinkId"] for row in rows} == {"e"}
        venue.world.set_level(BTC, -1, book[0][0], 0)
        venue.world.set_level(BTC, -1, book[0][0], 5000)
        await turn()
        rows = await venue.rows("order/realtime", orderFilter="StopOrder")
        held = (await venue.rows("position/list"))[0]["size"]
        stops = [Decimal(row["qty"]) for row in rows if row["stopOrderType"] == "PartialStopLoss"]
        assert sum(stops) == Decimal(held) == 2 * first

    run(scenario)


def test_stop_and_target_may_watch_different_prices():
    async def scenario(venue):
        legs = {"stopLoss": away(venue, -1), "takeProfit": away(venue, 1)}
        await venue.order(**legs, slTriggerBy="MarkPrice")
        children = await venue.rows("order/realtime")
        watched = {row["stopOrderType"]: row["triggerBy"] for row in children}
        assert watched == {"StopLoss": "MarkPrice", "TakeProfit": "LastPrice"}
        await venue.order(side="Sell", reduceOnly=True)
        book = venue.world.levels(BTC, -1, 1)
        resting = str(Decimal("0.1") * (book[0][0] - 1))
        await venue.order(
            orderType="Limit", price=resting, **legs, tpTriggerBy="MarkPrice", qty="0.005"
        )
        venue.world.set_level(BTC, -1, book[0][0] - 1, 500)
        await turn()
        children = await venue.rows("order/realtime", orderFilter="StopOrder")
        watched = {row["stopOrderType"]: row["triggerBy"] for row in children}
        assert watched == {"StopLoss": "LastPrice", "TakeProfit": "MarkPrice"}

    run(scenario)


def test_a_partial_stop_that_the_price_has_passed_is_rejected_on_the_stream():
    async def scenario(venue):
        socket, _ = venue.private("order")
        bid = venue.world.levels(BTC, 1, 1)[0][0]
        legs = {"stopLoss": away(venue, -1), "takeProfit": away(venue, 1), "tpslMode": "Partial"}
        await venue.order(
            orderType="Limit", price=str(Decimal("0.1") * bid), qty="0.005", **legs, orderLinkId="e"
        )
        venue.world.set_mark(BTC, Decimal(away(venue, -2)))
        venue.world.move(BTC, to_price=Decimal(away(venue, "-1.5")))
        await turn(8)
        rows = [row for frame in socket.take() for row in frame["data"]]
        rejected = [row for row in rows if row["orderStatus"] == "Rejected"]
        assert [row["stopOrderType"] for row in rejected] == ["PartialStopLoss"]
        assert rejected[0]["parentOrderLinkId"] == "e"
        children = await venue.rows("order/realtime")
        assert [row["stopOrderType"] for row in children] == ["PartialTakeProfit"]

    run(scenario)


def test_the_double_filled_of_a_cancel_that_loses_the_race():
    async def scenario(venue):
        socket, _ = venue.private("order")
        await venue.order(orderLinkId="a")
        await turn()
        socket.take()
        venue.dialect.command("cancel_race", {"count": 1})
        named = {"category": "linear", "symbol": BTC, "orderLinkId": "a"}
        assert (await venue.post("order/cancel", **named))["retCode"] == 0
        await turn()
        [frame] = socket.take()
        [row] = frame["data"]
        assert (row["orderStatus"], row["rejectReason"]) == (
            "Filled",
            "EC_OrigClOrdIDDoesNotExist",
        )
        assert (await venue.post("order/cancel", **named))["retCode"] == 110001

    run(scenario)


def test_faults_refuse_orders_at_once_or_after_acceptance():
    async def scenario(venue):
        add = venue.world.faults.add
        socket, _ = venue.private("order")
        add(Rule(kind="order_refused", code=110007, message="no", symbol=BTC))
        assert (await venue.order())["retCode"] == 110007
        add(Rule(kind="order_refused", message="EC_Others"))
        answer = await venue.order(orderLinkId="r")
        assert answer["retCode"] == 0
        await turn()
        [frame] = socket.take()
        assert frame["data"][0]["orderStatus"] == "Rejected"
        assert frame["data"][0]["orderId"] == answer["result"]["orderId"]
        add(Rule(kind="stop_refused"))
        assert (await venue.order(stopLoss=away(venue, -1)))["retCode"] == 110093
        assert (await venue.order())["retCode"] == 0

    run(scenario)


def test_a_market_order_that_fills_half():
    async def scenario(venue):
        socket, _ = venue.private("order", "execution")
        venue.world.faults.add(Rule(kind="partial_fill", symbol=BTC))
        await venue.order(qty="0.015", orderLinkId="h")
        [row] = await venue.rows("order/history", orderLinkId="h")
        assert (row["qty"], row["cumExecQty"], row["orderStatus"]) == (
            "0.015",
            "0.007",
            "Cancelled",
        )
        assert row["rejectReason"] == "EC_NoImmediateQtyToFill"
        assert (await venue.rows("position/list"))[0]["size"] == "0.007"
        assert (await venue.rows("execution/list"))[0]["orderQty"] == "0.015"
        await turn()
        last = [frame for frame in socket.take() if frame["topic"] == "order"][-1]
        assert last["data"][-1]["orderStatus"] == "Cancelled"

    run(scenario)
