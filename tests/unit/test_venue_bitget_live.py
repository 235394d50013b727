"""Bitget as a live venue, without a network: positions, protection, the private stream."""

from decimal import Decimal
from typing import Any

import pytest

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.messages import (
    BalanceChanged,
    Fill,
    LeverageChanged,
    OrderUpdate,
)
from hfengine.requests import LeverageSetting
from tests.bitget_bench import (
    ACCOUNT,
    ADD,
    AMEND,
    CANCEL_PLAN,
    DETAIL,
    ENTRY,
    PLACE,
    SYMBOL,
    Bench,
    answered,
    run,
)
from tests.scripted_desk import BEGAN_MS, refused

D = Decimal


def test_a_position_is_told_with_its_plans() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.position()
        assert bench.told().covered == 0
        bench.plan("1", "psl", "59500")
        bench.plan("2", "ptp", "61000")
        told = bench.told()
        assert (told.side, told.quantity, told.leverage) == (1, D("0.01"), 50)
        assert (told.stop, told.target, told.covered) == (59500, 61000, D("0.01"))
        assert (told.liquidation, told.margin_mode) == (D("59000.5"), "isolated")

    run(scenario)


@pytest.mark.parametrize(
    ("change", "covered"),
    [
        ({"planType": "sl", "size": "0.004"}, "0.004"),
        ({"planType": "sl", "size": "9"}, "0.01"),
        ({"posSide": "short"}, "0"),
        ({"planType": "pl"}, "0"),
        ({"status": "cancelled"}, "0"),
        ({"status": "executed"}, "0"),
    ],
)
def test_only_live_stops_of_the_position_cover_it(change: dict[str, str], covered: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.position()
        bench.plan("1", change.pop("planType", "psl"), "59500", **change)
        assert bench.told().covered == D(covered)

    run(scenario)


def test_a_position_that_is_not_listed_any_more_is_flat() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.position()
        bench.push("positions", at_ms=20)
        assert (bench.told().side, bench.told().quantity) == (0, 0)

    run(scenario)


def test_a_reading_older_than_the_last_push_is_not_believed() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer("privateMixGetV2MixPositionAllPosition", {"data": []})
        plans = {"data": {"entrustedList": [], "endId": None}}
        bench.desk.answer("privateMixGetV2MixOrderOrdersPlanPending", plans)
        bench.position(at_ms=50)
        (still,) = await bench.quirks.positions()
        assert still.quantity == D("0.01")
        bench.desk.pass_ms(99)
        assert len(await bench.quirks.positions()) == 1
        bench.desk.pass_ms(1)
        assert await bench.quirks.positions() == []

    run(scenario)


def test_a_stop_is_amended_in_place_and_a_missing_one_made() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.position()
        bench.plan("1", "psl", "59500")
        bench.desk.answer(AMEND, answered(orderId="1"))
        bench.desk.answer(ADD, answered(orderId="2"))
        moved = await bench.quirks.protect(SYMBOL, D(59700), D(61000))
        (amended,) = bench.desk.called(AMEND)
        assert (amended["orderId"], amended["triggerPrice"]) == ("1", "59700")
        assert (amended["triggerType"], amended["size"]) == ("mark_price", "")
        (made,) = bench.desk.called(ADD)
        assert (made["planType"], made["holdSide"]) == ("pos_profit", "long")
        assert (moved.stop, moved.target, moved.covered) == (59700, 61000, D("0.01"))
        assert set(bench.desk.purposes) == {"protect"}
        # nothing is sent when nothing changes
        await bench.quirks.protect(SYMBOL, D(59700), D(61000))
        assert len(bench.desk.calls) == 2

    run(scenario)


def test_a_refused_move_leaves_the_old_stop_and_zero_takes_a_leg_away() -> None:
    async def scenario() -> None:
        bench = Bench()
        with pytest.raises(VenueRejected, match=rejects.NO_POSITION):
            await bench.quirks.protect(SYMBOL, D(1), D(0))
        bench.position()
        bench.plan("1", "psl", "59500")
        bench.plan("2", "ptp", "61000")
        bench.desk.answer(AMEND, refused(rejects.WOULD_TRIGGER_IMMEDIATELY))
        with pytest.raises(VenueRejected, match=rejects.WOULD_TRIGGER_IMMEDIATELY):
            await bench.quirks.protect(SYMBOL, D(60500), D(61000))
        assert bench.told().stop == 59500
        bench.desk.answer(CANCEL_PLAN, answered(successList=[{"orderId": "2"}], failureList=[]))
        without = await bench.quirks.protect(SYMBOL, D(59500), D(0))
        (cancelled,) = bench.desk.called(CANCEL_PLAN)
        assert cancelled["planType"] == "pos_profit"
        assert cancelled["orderIdList"] == [{"orderId": "2"}]
        assert (without.stop, without.target) == (59500, 0)

    run(scenario)


def test_a_leg_watched_by_the_last_price_is_made_to_watch_the_mark() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(AMEND, answered(orderId="1"))
        bench.plan("1", "psl", "59500", triggerType="fill_price")
        await bench.desk.settle()
        (amended,) = bench.desk.called(AMEND)
        assert (amended["triggerPrice"], amended["triggerType"]) == ("59500", "mark_price")

    run(scenario)


def test_a_fill_heard_before_its_answer_has_its_name() -> None:
    async def scenario() -> None:
        bench = Bench()

        def place(params: Any) -> dict[str, Any]:
            bench.fill("77", clientOid="hf-1", side="buy", tradeSide="open", profit="0")
            return answered(orderId="77", clientOid="hf-1")

        bench.desk.answer(PLACE, place)
        update = await bench.quirks.place(ENTRY)
        assert (update.state, update.venue_id, update.filled) == ("new", "77", 0)
        (fill,) = bench.desk.of(Fill)
        assert (fill.client_id, fill.side, fill.cause) == ("hf-1", 1, "order")

    run(scenario)


def test_a_fill_of_an_order_the_venue_made_is_told_once_its_details_are_read() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.position()
        row = {"orderId": "88", "clientOid": "", "symbol": SYMBOL, "side": "buy", "size": "0.01"}
        row |= {"tradeSide": "close", "posSide": "long", "posMode": "hedge_mode"}
        row |= {"orderSource": "pos_profit_market", "state": "filled", "baseVolume": "0.01"}
        bench.desk.answer(DETAIL, {"data": row})
        bench.fill("88")
        assert bench.desk.of(Fill) == []
        await bench.desk.settle()
        (fill,) = bench.desk.of(Fill)
        assert (fill.cause, fill.side, fill.fee_usdt) == ("target", -1, D("0.3"))

    run(scenario)


def test_a_fill_whose_order_cannot_be_read_is_told_all_the_same() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(DETAIL, refused(rejects.UNKNOWN_ORDER))
        bench.fill("88", tradeSide="burst_close_long", side="buy")
        await bench.desk.settle()
        (fill,) = bench.desk.of(Fill)
        assert (fill.cause, fill.side) == ("liquidation", -1)
        assert bench.desk.notes[0][0] == "order_of_fill"

    run(scenario)


def test_the_stream_is_ready_when_all_channels_are_acknowledged() -> None:
    async def scenario() -> None:
        bench = Bench()
        channels = ("orders", "orders-algo", "fill", "positions", "account")
        for _ in range(2):
            assert bench.quirks.heard({"event": "login", "code": 0}) is False
            for channel in channels:
                assert bench.desk.ready == _
                arg = {"instType": "USDT-FUTURES", "channel": channel}
                assert bench.quirks.heard({"event": "subscribe", "arg": arg}) is False
            assert bench.desk.ready == _ + 1

    run(scenario)


def test_the_account_push_is_a_balance() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.position()
        row = {"marginCoin": "USDT", "equity": "105", "unrealizedPL": "5"}
        bench.push("account", row | {"maxOpenPosAvailable": "80"})
        (told,) = bench.desk.of(BalanceChanged)
        assert (told.wallet_usdt, told.free_margin_usdt) == (100, 80)
        # 0.01 at the mark of 60100 in the first tier
        assert told.maintenance_usdt == D("601") * D("0.004")

    run(scenario)


def test_leverage_is_set_on_both_sides_and_both_must_agree() -> None:
    async def scenario() -> None:
        bench = Bench()
        set_leverage = "privateMixPostV2MixAccountSetLeverage"
        bench.desk.answer(set_leverage, answered())
        await bench.quirks.set_leverage(SYMBOL, 20)
        assert [p["holdSide"] for p in bench.desk.called(set_leverage)] == ["long", "short"]
        account = {"marginMode": "isolated", "isolatedLongLever": 20, "isolatedShortLever": 20}
        bench.desk.answer(
            ACCOUNT, answered(**account), answered(**account | {"isolatedShortLever": 7})
        )
        assert await bench.quirks.leverage_of(SYMBOL) == LeverageSetting(SYMBOL, 20, "isolated")
        assert (await bench.quirks.leverage_of(SYMBOL)).leverage == 0
        # whoever reads tells what has changed: the account's sweep, or execution
        assert bench.desk.of(LeverageChanged) == []

    run(scenario)


@pytest.mark.parametrize("set_modes", [True, False])
def test_the_position_mode_is_set_only_if_allowed(set_modes: bool) -> None:
    async def scenario() -> None:
        bench = Bench(set_modes=set_modes)
        bench.desk.answer(ACCOUNT, answered(posMode="one_way_mode"))
        mode = "privateMixPostV2MixAccountSetPositionMode"
        bench.desk.answer(mode, answered(posMode="hedge_mode"))
        if set_modes:
            await bench.quirks.prepare_account()
            assert bench.desk.called(mode)[0]["posMode"] == "hedge_mode"
        else:
            with pytest.raises(VenueRejected, match="set_modes"):
                await bench.quirks.prepare_account()

    run(scenario)


def test_long_and_short_at_once_stop_entries() -> None:
    async def scenario() -> None:
        bench = Bench()
        long = {"instId": SYMBOL, "holdSide": "long", "posMode": "hedge_mode", "total": "1"}
        long |= {"openPriceAvg": "60000", "leverage": 50, "marginMode": "isolated"}
        bench.push("positions", long, long | {"holdSide": "short", "total": "2"})
        assert "long and short" in bench.desk.halts[f"two_sided {SYMBOL}"]
        bench.push("positions", long, at_ms=20)
        assert bench.desk.halts == {}

    run(scenario)


def test_an_unknown_order_is_none() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(DETAIL, refused(rejects.UNKNOWN_ORDER))
        assert await bench.quirks.order_by_id(SYMBOL, "hf-9") is None
        row = {"orderId": "5", "clientOid": "hf-1", "symbol": SYMBOL, "side": "buy", "size": "1"}
        bench.desk.answer(DETAIL, {"data": row | {"state": "live"}})
        found = await bench.quirks.order_by_id(SYMBOL, "hf-1")
        assert isinstance(found, OrderUpdate)
        assert found.state == "new"

    run(scenario)


def test_fills_are_read_page_by_page() -> None:
    async def scenario() -> None:
        bench = Bench()

        def page(params: Any) -> dict[str, Any]:
            first = 0 if "idLessThan" not in params else 100
            count = 100 if first == 0 else 2
            found = [
                {
                    "orderId": "77",
                    "tradeId": str(first + n),
                    "symbol": SYMBOL,
                    "side": "buy",
                    "tradeSide": "open",
                    "price": "1",
                    "baseVolume": "1",
                    "cTime": str(BEGAN_MS - n),
                }
                for n in range(count)
            ]
            return answered(fillList=found, endId=found[-1]["tradeId"])

        bench.desk.answer("privateMixGetV2MixOrderFills", page)
        bench.desk.answer("privateMixGetV2MixAccountBill", answered(bills=[], endId=None))
        bench.desk.answer(PLACE, answered(orderId="77"))
        await bench.quirks.place(ENTRY)
        fills = await bench.quirks.fills_since(BEGAN_MS - 1000)
        assert len(fills) == len({fill.fill_id for fill in fills}) == 102
        assert {fill.client_id for fill in fills} == {"hf-1"}
        assert [fill.at_ns for fill in fills] == sorted(fill.at_ns for fill in fills)

    run(scenario)
