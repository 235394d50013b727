"""Bitget orders in hedge and one-way mode: place, protect, close, cancel, look up, refuse."""

from decimal import Decimal

import pytest

from hfengine.localvenue.faults import Rule
from tests.bitget_venue import (
    ACCOUNT,
    BTC,
    COMMON,
    ORDER,
    POSITION,
    PRODUCT,
    on_still_venue,
)

MODE_MISMATCH = (
    "40774",
    "The order type for unilateral position must also be the unilateral position type.",
)


async def plans(venue, kind="profit_loss", path="orders-plan-pending"):
    found = await venue.get(f"{ORDER}{path}", **PRODUCT, symbol=BTC, planType=kind)
    return found["entrustedList"] or []


async def held(venue):
    return {
        row["holdSide"]: row["total"]
        for row in await venue.get(f"{POSITION}all-position", **PRODUCT, marginCoin="USDT")
    }


def test_long_and_short_live_side_by_side_and_close_on_their_own():
    async def scenario(venue):
        await venue.hedged()
        await venue.order("buy", size="0.02")
        await venue.order("sell")
        assert await held(venue) == {"long": "0.02", "short": "0.01"}
        await venue.order("buy", "close")
        assert await held(venue) == {"long": "0.01", "short": "0.01"}
        await venue.order("sell", "Close")
        assert await held(venue) == {"long": "0.01"}

    on_still_venue(scenario)


def test_an_order_of_the_other_mode_is_refused_both_ways():
    async def scenario(venue):
        assert await venue.order("buy", "open") == MODE_MISMATCH
        assert "orderId" in await venue.order("buy", "", marginMode="crossed")
        await venue.order("sell", "", reduceOnly="YES")
        await venue.hedged()
        assert await venue.order("buy", "") == MODE_MISMATCH

    on_still_venue(scenario)


def test_reduce_only_in_one_way_mode_closes_no_more_than_there_is():
    async def scenario(venue):
        await venue.order("sell", "")
        await venue.order("buy", "", reduceOnly="YES", size="0.05")
        assert await held(venue) == {}
        assert (await venue.order("buy", "", reduceOnly="YES"))[0] == "22002"

    on_still_venue(scenario)


def test_the_presets_become_the_positions_plans_and_the_target_ends_both():
    async def scenario(venue):
        await venue.hedged()
        price = venue.price()
        stop, target = round(price * Decimal("0.99")), round(price * Decimal("1.01"))
        placed = await venue.order(
            "buy",
            clientOid="entry-1",
            presetStopLossPrice=str(stop),
            presetStopSurplusPrice=str(target),
        )
        detail = await venue.get(f"{ORDER}detail", **COMMON, orderId=placed["orderId"])
        assert (detail["presetStopLossPrice"], detail["presetStopSurplusPrice"]) == (
            str(stop),
            str(target),
        )
        waiting = {row["planType"]: row for row in await plans(venue)}
        assert set(waiting) == {"pos_loss", "pos_profit"}
        assert waiting["pos_loss"]["stopLossTriggerPrice"] == str(stop)
        assert waiting["pos_profit"]["stopSurplusTriggerPrice"] == str(target)
        assert waiting["pos_loss"]["triggerType"] == "fill_price"
        (row,) = await venue.get(f"{POSITION}single-position", **COMMON)
        assert (row["stopLoss"], row["takeProfit"]) == (str(stop), str(target))
        assert row["stopLossId"] == waiting["pos_loss"]["orderId"]

        venue.world.move(BTC, to_price=Decimal(target + 1))
        assert await held(venue) == {}
        assert await plans(venue) == []
        over = {r["planType"]: r for r in await plans(venue, path="orders-plan-history")}
        assert over["pos_profit"]["planStatus"] == "executed"
        assert over["pos_loss"]["planStatus"] == "cancelled"
        executed = await venue.get(
            f"{ORDER}detail", **COMMON, orderId=over["pos_profit"]["executeOrderId"]
        )
        assert (executed["state"], executed["orderSource"]) == ("filled", "pos_profit_market")
        assert executed["tradeSide"] == "close"

    on_still_venue(scenario)


def test_a_position_plan_is_replaced_in_place_and_leaves_the_other_leg_alone():
    async def scenario(venue):
        await venue.hedged()
        await venue.order("buy")
        price = venue.price()
        ask = {**COMMON, "holdSide": "long", "triggerType": "mark_price"}

        async def tpsl(kind, factor, **more):
            trigger = str(round(price * Decimal(factor)))
            return await venue.post(
                f"{ORDER}place-tpsl-order", **ask, planType=kind, triggerPrice=trigger, **more
            )

        first = await tpsl("pos_loss", "0.98", clientOid="sl-1")
        assert first["clientOid"] == "sl-1"
        target = await tpsl("pos_profit", "1.02")
        again = await tpsl("pos_loss", "0.99", clientOid="sl-2")
        assert again == {"orderId": first["orderId"], "clientOid": "sl-2"}
        rows = {row["planType"]: row for row in await plans(venue)}
        assert rows["pos_loss"]["triggerPrice"] == str(round(price * Decimal("0.99")))
        assert rows["pos_loss"]["triggerType"] == "mark_price"
        assert rows["pos_profit"]["orderId"] == target["orderId"]
        moved = await venue.post(
            f"{ORDER}modify-tpsl-order",
            **COMMON,
            clientOid="sl-2",
            triggerPrice=str(round(price * Decimal("0.985"))),
            size="",
        )
        assert moved["orderId"] == first["orderId"]
        rows = {row["planType"]: row["triggerPrice"] for row in await plans(venue)}
        assert rows == {
            "pos_loss": str(round(price * Decimal("0.985"))),
            "pos_profit": str(round(price * Decimal("1.02"))),
        }

    on_still_venue(scenario)


@pytest.mark.parametrize(
    ("side", "kind", "factor", "code"),
    [
        ("buy", "pos_loss", "1.01", "40917"),
        ("sell", "pos_loss", "0.99", "45122"),
        ("buy", "pos_profit", "0.99", "40915"),
        ("sell", "pos_profit", "1.01", "45135"),
    ],
)
def test_protection_on_the_wrong_side_names_the_mark_price(side, kind, factor, code):
    async def scenario(venue):
        await venue.hedged()
        await venue.order(side)
        price = venue.price()
        refused = await venue.post(
            f"{ORDER}place-tpsl-order",
            **COMMON,
            planType=kind,
            holdSide="long" if side == "buy" else "short",
            triggerPrice=str(round(price * Decimal(factor))),
        )
        assert refused[0] == code
        assert f"{price:f}".rstrip("0").rstrip(".") in refused[1]

    on_still_venue(scenario)


def test_the_hold_side_must_fit_the_mode_and_a_position():
    async def scenario(venue):
        ask = {**COMMON, "planType": "pos_loss", "triggerPrice": "50000"}
        path = f"{ORDER}place-tpsl-order"
        assert await venue.post(path, **ask, holdSide="long") == (
            "43011",
            "The parameter does not meet the specification holdSide error",
        )
        assert (await venue.post(path, **ask, holdSide="buy"))[0] == "43023"
        await venue.order("buy", "", marginMode="isolated")
        assert "orderId" in await venue.post(path, **ask, holdSide="buy")
        assert (await venue.post(path, **ask, holdSide="sell"))[0] == "43023"

    on_still_venue(scenario)


def test_a_part_has_its_own_size_and_client_id_and_ends_with_the_position():
    async def scenario(venue):
        await venue.hedged()
        await venue.order("buy")
        price = venue.price()
        placed = await venue.post(
            f"{ORDER}place-tpsl-order",
            **COMMON,
            planType="profit_plan",
            holdSide="long",
            size="0.004",
            triggerPrice=str(round(price * Decimal("1.01"))),
            clientOid="half",
        )
        (row,) = await plans(venue)
        assert (row["planType"], row["size"], row["clientOid"]) == ("profit_plan", "0.004", "half")
        assert row["orderId"] == placed["orderId"]
        await venue.order("buy", "close")
        (row,) = await plans(venue, path="orders-plan-history")
        assert row["planStatus"] == "cancelled"

    on_still_venue(scenario)


def test_cancelling_a_plan_needs_its_own_plan_type():
    async def scenario(venue):
        await venue.hedged()
        await venue.order("buy", presetStopLossPrice=str(round(venue.price() * Decimal("0.99"))))
        (row,) = await plans(venue)
        ask = {**COMMON, "orderIdList": [{"orderId": row["orderId"]}]}
        path = f"{ORDER}cancel-plan-order"
        nothing = {"successList": [], "failureList": []}
        assert await venue.post(path, **ask, planType="profit_loss") == nothing
        assert await venue.post(path, **ask) == nothing
        done = await venue.post(path, **ask, planType="pos_loss")
        assert [one["orderId"] for one in done["successList"]] == [row["orderId"]]
        assert await plans(venue) == []
        again = await venue.post(path, **ask, planType="pos_loss")
        assert [one["errorCode"] for one in again["failureList"]] == ["43025"]

    on_still_venue(scenario)


def test_a_trigger_order_waits_and_becomes_an_order_with_another_id():
    async def scenario(venue):
        await venue.hedged()
        price = venue.price()
        trigger = round(price * Decimal("1.01"))
        placed = await venue.post(
            f"{ORDER}place-plan-order",
            **COMMON,
            planType="normal_plan",
            side="buy",
            tradeSide="open",
            orderType="market",
            size="0.01",
            marginMode="isolated",
            triggerPrice=str(trigger),
            triggerType="mark_price",
            clientOid="later",
        )
        assert placed["clientOid"] == "later"
        (row,) = await plans(venue, "normal_plan")
        assert (row["orderId"], row["planStatus"]) == (placed["orderId"], "live")
        pending = await venue.get(f"{ORDER}orders-pending", **PRODUCT)
        assert pending == {"entrustedList": None, "endId": None}
        venue.world.move(BTC, to_price=Decimal(trigger + 1))
        assert await held(venue) == {"long": "0.01"}
        (row,) = await plans(venue, "normal_plan", "orders-plan-history")
        assert row["planStatus"] == "executed"
        assert row["executeOrderId"] != placed["orderId"]
        history = await venue.get(f"{ORDER}orders-history", **PRODUCT)
        (order,) = history["entrustedList"]
        assert (order["orderId"], order["status"]) == (row["executeOrderId"], "filled")
        assert (await venue.get(f"{ORDER}detail", **COMMON, clientOid="later"))[0] == "40768"

    on_still_venue(scenario)


def test_a_resting_order_is_found_by_either_id_amended_and_cancelled():
    async def scenario(venue):
        await venue.hedged()
        far = str(round(venue.price() * Decimal("0.98")))
        placed = await venue.order(
            "buy", orderType="limit", price=far, force="post_only", clientOid="rest-1"
        )
        for named in ({"orderId": placed["orderId"]}, {"clientOid": "rest-1"}):
            row = await venue.get(f"{ORDER}detail", **COMMON, **named)
            assert (row["state"], row["force"], row["price"]) == ("live", "post_only", far)
        further = str(round(venue.price() * Decimal("0.97")))
        await venue.post(
            f"{ORDER}modify-order",
            **COMMON,
            clientOid="rest-1",
            newClientOid="rest-2",
            newSize="0.02",
            newPrice=further,
        )
        pending = await venue.get(f"{ORDER}orders-pending", **PRODUCT, symbol=BTC)
        (row,) = pending["entrustedList"]
        assert (row["clientOid"], row["size"], row["price"]) == ("rest-2", "0.02", further)
        done = await venue.post(f"{ORDER}cancel-order", **COMMON, clientOid="rest-2")
        assert done == {"orderId": row["orderId"], "clientOid": "rest-2"}
        assert (await venue.post(f"{ORDER}cancel-order", **COMMON, clientOid="rest-2"))[
            0
        ] == "40768"
        row = await venue.get(f"{ORDER}detail", **COMMON, clientOid="rest-2")
        assert (row["state"], row["cancelReason"]) == ("canceled", "normal_cancel")

    on_still_venue(scenario)


def test_an_order_without_a_client_id_gets_one_by_which_it_is_found():
    async def scenario(venue):
        await venue.hedged()
        placed = await venue.order("buy")
        assert placed["clientOid"].isdecimal()
        assert len(placed["clientOid"]) == 19
        row = await venue.get(f"{ORDER}detail", **COMMON, clientOid=placed["clientOid"])
        assert row["orderId"] == placed["orderId"]

    on_still_venue(scenario)


def test_cancel_all_takes_what_rests_and_nothing_else():
    async def scenario(venue):
        await venue.hedged()
        price = venue.price()
        await venue.order("buy", presetStopLossPrice=str(round(price * Decimal("0.99"))))
        far = str(round(price * Decimal("0.98")))
        for number in range(3):
            await venue.order("buy", orderType="limit", price=far, clientOid=f"r{number}")
        done = await venue.post(f"{ORDER}batch-cancel-orders", **COMMON)
        assert [one["clientOid"] for one in done["successList"]] == ["r0", "r1", "r2"]
        assert len(await plans(venue)) == 1
        nothing = await venue.post(f"{ORDER}cancel-all-orders", **PRODUCT)
        assert nothing == ("22001", "No order to cancel")

    on_still_venue(scenario)


def test_a_batch_is_done_one_by_one():
    async def scenario(venue):
        await venue.hedged()
        order = {"side": "buy", "tradeSide": "open", "orderType": "market"}
        done = await venue.post(
            f"{ORDER}batch-place-order",
            **COMMON,
            marginMode="isolated",
            orderList=[
                {**order, "size": "0.01", "clientOid": "b1"},
                {**order, "size": "0.00001", "clientOid": "b2"},
            ],
        )
        assert [one["clientOid"] for one in done["successList"]] == ["b1"]
        assert [(one["clientOid"], one["errorCode"]) for one in done["failureList"]] == [
            ("b2", "40808")
        ]

    on_still_venue(scenario)


def test_close_positions_closes_a_side_or_everything():
    async def scenario(venue):
        await venue.hedged()
        await venue.order("buy")
        await venue.order("sell")
        await venue.post(f"{ORDER}close-positions", **PRODUCT, symbol=BTC, holdSide="long")
        assert await held(venue) == {"short": "0.01"}
        venue.world.clock.advance_to(venue.world.clock.now_ns() + 1_000_000_000)
        await venue.post(f"{ORDER}close-positions", **PRODUCT)
        assert await held(venue) == {}

    on_still_venue(scenario)


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"size": "0.00005"}, "40808"),
        ({"size": ""}, "40019"),
        ({"size": "1000"}, "45112"),
        ({"size": "-1"}, "40020"),
        ({"orderType": "limit"}, "40019"),
        ({"orderType": "limit", "price": "50000.05"}, "45115"),
        ({"orderType": "limit", "price": "1"}, "22047"),
        ({"orderType": "limit", "price": "60000", "size": "0.0000"}, "45111"),
        ({"size": "5"}, "40762"),
        ({"marginMode": "both"}, "40020"),
        ({"clientOid": ":x"}, "40305"),
        ({"clientOid": "x" * 60}, "40305"),
        ({"presetStopLossExecutePrice": "50000"}, "40805"),
        ({"presetStopLossPrice": "70000"}, "40917"),
    ],
)
def test_refused_orders_have_their_code_and_leave_no_trace(order, code):
    async def scenario(venue):
        await venue.hedged()
        refused = await venue.order("buy", **order)
        assert refused[0] == code, refused
        assert await held(venue) == {}

    on_still_venue(scenario)


def test_a_client_id_is_used_once():
    async def scenario(venue):
        await venue.hedged()
        await venue.order("buy", clientOid="once")
        assert (await venue.order("buy", clientOid="once")) == ("40786", "Duplicate clientOid")

    on_still_venue(scenario)


def test_margin_mode_comes_with_the_order_and_is_locked_by_a_position():
    async def scenario(venue):
        await venue.order("buy", "", marginMode="isolated")
        assert (await venue.order("buy", "", marginMode="crossed"))[0] == "45117"
        closed = await venue.order("sell", "", marginMode="crossed", reduceOnly="YES")
        assert "orderId" in closed
        await venue.order("buy", "", marginMode="crossed")
        row = await venue.get(f"{ACCOUNT}account", **COMMON)
        assert row["marginMode"] == "crossed"

    on_still_venue(scenario)


def test_scripted_faults_refuse_orders_and_stops_and_halve_a_fill():
    async def scenario(venue):
        await venue.hedged()
        faults = venue.world.faults
        faults.add(Rule(kind="order_refused", code=40762, message="no", symbol=BTC))
        assert await venue.order("buy") == ("40762", "no")
        faults.add(Rule(kind="stop_refused"))
        stop = str(round(venue.price() * Decimal("0.99")))
        assert (await venue.order("buy", presetStopLossPrice=stop))[0] == "40917"
        assert await held(venue) == {}
        faults.add(Rule(kind="partial_fill"))
        placed = await venue.order("buy")
        row = await venue.get(f"{ORDER}detail", **COMMON, orderId=placed["orderId"])
        assert (row["size"], row["baseVolume"], row["state"]) == ("0.01", "0.005", "canceled")
        assert await held(venue) == {"long": "0.005"}

    on_still_venue(scenario)


def test_pages_go_back_by_id():
    async def scenario(venue):
        await venue.hedged()
        for _ in range(3):
            await venue.order("buy")
        first = await venue.get(f"{ORDER}fills", **PRODUCT, symbol=BTC, limit="2")
        assert len(first["fillList"]) == 2
        second = await venue.get(f"{ORDER}fills", **PRODUCT, idLessThan=first["endId"])
        assert len(second["fillList"]) == 1
        assert int(second["endId"]) < int(first["endId"])
        third = await venue.get(f"{ORDER}fills", **PRODUCT, idLessThan=second["endId"])
        assert third == {"fillList": None, "endId": None}

    on_still_venue(scenario)
