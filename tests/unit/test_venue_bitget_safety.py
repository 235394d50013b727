"""Bitget's protection when things go wrong: races, half-done cancels, plans that are gone."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.exchange import rejects
from hfengine.messages import PositionChanged
from tests.bitget_bench import (
    ADD,
    AMEND,
    CANCEL_PLAN,
    ENTRY,
    PLACE,
    SYMBOL,
    Bench,
    answered,
    run,
)
from tests.scripted_desk import BEGAN_MS, refused

D = Decimal


def test_a_stop_that_is_gone_is_made_again() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.position()
        bench.plan("1", "psl", "59500")
        bench.desk.answer(AMEND, refused(rejects.UNKNOWN_ORDER))
        bench.desk.answer(ADD, answered(orderId="7"))
        moved = await bench.quirks.protect(SYMBOL, D(59700), D(0))
        (added,) = bench.desk.called(ADD)
        assert (added["planType"], added["triggerPrice"]) == ("pos_loss", "59700")
        assert (moved.stop, moved.covered) == (59700, D("0.01"))

    run(scenario)


def test_a_stop_that_covers_enough_is_not_made_twice() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.position()
        bench.plan("1", "sl", "59500", size="0.004")
        bench.desk.answer(AMEND, answered(orderId="1"))
        bench.desk.answer(ADD, answered(orderId="7"))
        for trigger in (59600, 59700):
            moved = await bench.quirks.protect(SYMBOL, D(trigger), D(0))
            assert (moved.stop, moved.covered) == (trigger, D("0.01"))
        assert len(bench.desk.called(ADD)) == 1
        assert [p["size"] for p in bench.desk.called(AMEND)] == ["0.004", "0.004", ""]

    run(scenario)


def test_a_move_is_not_undone_by_the_correction_of_the_trigger() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.position()
        sent = asyncio.Event()
        plain = bench.desk.call

        async def slow(method: str, params: Any, **options: Any) -> Any:
            if params.get("triggerPrice") == "59700":
                await sent.wait()
            return await plain(method, params, **options)

        bench.desk.call = slow
        bench.desk.answer(AMEND, answered(orderId="1"))
        bench.plan("1", "psl", "59500")
        moving = asyncio.ensure_future(bench.quirks.protect(SYMBOL, D(59700), D(0)))
        await asyncio.sleep(0)
        bench.plan("1", "psl", "59500", triggerType="fill_price")
        await asyncio.sleep(0)
        sent.set()
        await moving
        await bench.desk.settle()
        assert [p["triggerPrice"] for p in bench.desk.called(AMEND)] == ["59700", "59700"]
        assert bench.quirks._at_work.book.changed(SYMBOL).stop == 59700

    run(scenario)


def test_a_trigger_is_corrected_once_and_again_only_after_a_failure() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(AMEND, VenueUnknown("cut"), answered(orderId="1"))
        bench.plan("1", "psl", "59500", triggerType="fill_price")
        with pytest.raises(VenueUnknown):
            await bench.desk.settle()
        for _ in range(3):
            bench.plan("1", "psl", "59500", triggerType="fill_price")
            await bench.desk.settle()
        assert len(bench.desk.called(AMEND)) == 2

    run(scenario)


def test_a_plan_that_ended_is_not_corrected() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(AMEND, answered(orderId="1"))
        bench.plan("1", "psl", "59500", triggerType="fill_price")
        bench.plan("1", "psl", "59500", status="cancelled")
        await bench.desk.settle()
        bench.plan("2", "psl", "59500", triggerType="fill_price", status="executed")
        await bench.desk.settle()
        assert bench.desk.called(AMEND) == []

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "is_gone"),
    [
        ({"successList": [{"orderId": "1"}], "failureList": []}, True),
        ({"successList": [], "failureList": [{"orderId": "1", "errorCode": "43025"}]}, True),
        ({"successList": [], "failureList": [{"orderId": "1", "errorMsg": "busy"}]}, False),
        ({"successList": [], "failureList": [{"orderId": "1", "errorCode": "40725"}]}, False),
        ({"successList": [], "failureList": []}, False),
        ({"successList": [{"orderId": "2"}], "failureList": []}, False),
    ],
)
def test_only_what_the_venue_says_was_cancelled_is_gone(answer: Any, is_gone: bool) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.position()
        bench.plan("1", "psl", "59500")
        bench.desk.answer(CANCEL_PLAN, answered(**answer))
        if is_gone:
            assert (await bench.quirks.protect(SYMBOL, D(0), D(0))).stop == 0
        else:
            with pytest.raises(VenueRejected, match="cancel_refused"):
                await bench.quirks.protect(SYMBOL, D(0), D(0))
            assert bench.quirks._at_work.book.changed(SYMBOL).stop == 59500

    run(scenario)


def test_a_fee_in_another_coin_is_named() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(PLACE, answered(orderId="77"))
        await bench.quirks.place(ENTRY)
        fees = [{"feeCoin": "BGB", "totalFee": "-0.02"}, {"feeCoin": "USDT", "totalFee": "-0.1"}]
        bench.fill("77", feeDetail=fees, tradeSide="open")
        assert bench.desk.notes == [
            ("fee_in_another_coin", f"{SYMBOL}: -0.02 BGB, counted as 0 USDT")
        ]
        bench.fill("77", tradeId="10", tradeSide="open")
        assert len(bench.desk.notes) == 1

    run(scenario)


def test_a_list_whose_pages_do_not_advance_ends() -> None:
    async def scenario() -> None:
        bench = Bench()
        row = {"orderId": "77", "symbol": "DOGEUSDT", "cTime": str(BEGAN_MS)}
        page = answered(fillList=[row] * 100, endId="9")
        bench.desk.answer("privateMixGetV2MixOrderFills", page)
        bench.desk.answer("privateMixGetV2MixAccountBill", answered(bills=[], endId=None))
        assert await bench.quirks.fills_since(BEGAN_MS) == []
        assert len(bench.desk.called("privateMixGetV2MixOrderFills")) == 2

    run(scenario)


def test_a_stop_made_after_a_reading_began_still_covers() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.position()
        bench.plan("1", "psl", "59500", cTime=str(BEGAN_MS + 5))
        bench.plan("2", "ptp", "61000", cTime=str(BEGAN_MS - 50))
        plans = answered(entrustedList=[], endId=None)
        bench.desk.answer("privateMixGetV2MixOrderOrdersPlanPending", plans)
        bench.desk.answer("privateMixGetV2MixPositionAllPosition", {"data": []})
        (held,) = await bench.quirks.positions()
        assert (held.stop, held.target, held.covered) == (59500, 0, D("0.01"))

    run(scenario)


@pytest.mark.parametrize(("fill_ms", "again"), [(9, 1), (10, 1), (11, 0)])
def test_a_position_told_before_its_fill_is_told_again(fill_ms: int, again: int) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(PLACE, answered(orderId="77"))
        await bench.quirks.place(ENTRY)
        bench.position(at_ms=10)
        told = len(bench.desk.of(PositionChanged))
        bench.fill("77", at_ms=fill_ms, tradeSide="open")
        assert len(bench.desk.of(PositionChanged)) - told == again

    run(scenario)


def test_in_one_way_mode_a_stop_names_the_side_of_its_position() -> None:
    async def scenario() -> None:
        bench = Bench(position_mode="one_way")
        bench.position(posMode="one_way_mode", holdSide="short", liquidationPrice="62000")
        bench.desk.answer(ADD, answered(orderId="7"))
        moved = await bench.quirks.protect(SYMBOL, D(61000), D(0))
        assert bench.desk.called(ADD)[0]["holdSide"] == "sell"
        assert (moved.side, moved.stop, moved.covered) == (-1, 61000, D("0.01"))

    run(scenario)
