"""Binance's protection without a network: legs sent, moved, cleared and found again."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.messages import Fill, PositionChanged, ProtectionRefused
from hfengine.requests import OrderRequest
from tests.binance_bench import (
    ALGO,
    ENTRY,
    PLACE,
    REDUCE,
    SYMBOL,
    UNALGO,
    Algos,
    Bench,
    leg_params,
    order_row,
    run,
)
from tests.scripted_desk import BEGAN_MS, refused

D = Decimal

# a bracket


def test_the_stop_leaves_with_the_entry_and_the_target_once_it_lives() -> None:
    async def scenario() -> None:
        bench = Bench()
        update = await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        assert (update.state, update.filled) == ("filled", D("0.010"))
        assert [method for method, _ in bench.desk.calls] == [PLACE, ALGO, ALGO]
        (order,) = bench.desk.called(PLACE)
        assert order["newClientOrderId"] == "hf-a-000001e0"
        assert (order["timeInForce"], order["price"]) == ("IOC", "60000")
        assert not {"takeProfit", "stopLoss", "reduceOnly"} & order.keys()
        stop, target = bench.desk.called(ALGO)
        assert (stop["type"], stop["triggerPrice"]) == ("STOP_MARKET", "59000")
        assert (target["type"], target["triggerPrice"]) == ("TAKE_PROFIT_MARKET", "61000")
        assert (stop["timeInForce"], target["timeInForce"]) == ("GTC", "GTE_GTC")
        for leg, suffix in ((stop, "s"), (target, "t")):
            assert leg["clientAlgoId"] == f"hf-a-000001e0{suffix}"
            assert (leg["side"], leg["closePosition"]) == ("SELL", "true")
            assert leg["workingType"] == "MARK_PRICE"
            assert not {"quantity", "reduceOnly"} & leg.keys()
        assert bench.desk.purposes == ["order", "protect", "protect"]

    run(scenario)


def test_the_stop_does_not_wait_for_the_entrys_answer() -> None:
    async def scenario() -> None:
        bench = Bench()
        answered = asyncio.Event()
        plain = bench.desk.call

        async def slow(method: str, params: Any, **options: Any) -> Any:
            if method == PLACE:
                bench.desk.calls.append((method, params))
                await answered.wait()
                return order_row(params)
            return await plain(method, params, **options)

        bench.desk.call = slow
        placing = asyncio.ensure_future(bench.quirks.place(ENTRY))
        for _ in range(4):
            await asyncio.sleep(0)
        assert [method for method, _ in bench.desk.calls] == [PLACE, ALGO]
        answered.set()
        await placing
        await bench.desk.settle()

    run(scenario)


@pytest.mark.parametrize(
    "error", [refused(rejects.WOULD_TRIGGER_IMMEDIATELY), VenueUnavailable("no budget")]
)
def test_a_stop_that_does_not_come_to_stand_is_told_at_once(error: Exception) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(ALGO, error, Algos().place)
        await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        (told,) = bench.desk.of(ProtectionRefused)
        assert (told.symbol, told.leg, told.client_id) == (SYMBOL, "stop", "hf-a-000001e0s")
        assert told.reason

    run(scenario)


def test_a_stop_whose_answer_was_lost_is_looked_for_before_it_counts_as_refused() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(ALGO, VenueUnknown("cut"), Algos().place)
        row = Algos().place({"clientAlgoId": "hf-a-000001e0s", "symbol": SYMBOL, "side": "SELL",
                             "type": "STOP_MARKET", "triggerPrice": "59000",
                             "closePosition": "true", "timeInForce": "GTC"})  # fmt: skip
        row["algoId"] = 500
        bench.desk.answer("fapiPrivateGetAlgoOrder", refused(rejects.UNKNOWN_ORDER), row)
        bench.account("0.010")
        await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        assert bench.desk.of(ProtectionRefused) == []
        assert bench.position().stop == 59000

    run(scenario)


def test_an_entry_that_came_to_nothing_takes_its_stop_back() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(PLACE, lambda params: order_row(params, "EXPIRED", "0"))
        update = await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        assert (update.state, update.reason) == ("cancelled", rejects.NO_LIQUIDITY)
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "101"}]
        assert len(bench.desk.called(ALGO)) == 1

    run(scenario)


def test_a_refused_entry_takes_its_stop_back_and_a_lost_one_keeps_it() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(PLACE, refused(rejects.INSUFFICIENT_MARGIN), VenueUnknown("cut"))
        with pytest.raises(VenueRejected, match=rejects.INSUFFICIENT_MARGIN):
            await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        assert len(bench.desk.called(UNALGO)) == 1
        with pytest.raises(VenueUnknown):
            await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        assert len(bench.desk.called(UNALGO)) == 1

    run(scenario)


def test_gte_is_dropped_where_the_venue_sees_no_position_yet() -> None:
    async def scenario() -> None:
        bench = Bench()
        algos = Algos()
        bench.desk.answer(ALGO, algos.place, refused("code_-4509"), algos.place)
        await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        assert [p["timeInForce"] for p in bench.desk.called(ALGO)] == ["GTC", "GTE_GTC", "GTC"]
        assert bench.desk.of(ProtectionRefused) == []

    run(scenario)


def test_a_leg_left_over_from_an_earlier_position_makes_room() -> None:
    async def scenario() -> None:
        bench = Bench()
        algos = Algos()
        old = algos.place(leg_params("hf-a-000000e0s"))
        bench.desk.answer(ALGO, refused("protection_exists"), algos.place)
        bench.desk.answer("fapiPrivateV3GetPositionRisk", [])
        bench.desk.answer("fapiPrivateGetOpenAlgoOrders", [old])
        await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        assert bench.desk.called(UNALGO)[0]["algoId"] == str(old["algoId"])
        assert [p["clientAlgoId"][-1] for p in bench.desk.called(ALGO)] in (
            ["s", "t", "s"],
            ["s", "s", "t"],
        )
        assert bench.desk.of(ProtectionRefused) == []

    run(scenario)


def test_hedge_mode_names_the_slot_and_sends_no_reduce_only() -> None:
    async def scenario() -> None:
        bench = Bench(position_mode="hedge")
        await bench.quirks.place(ENTRY)
        await bench.quirks.place(REDUCE)
        await bench.desk.settle()
        entry, reduce = bench.desk.called(PLACE)
        assert (entry["positionSide"], entry["side"]) == ("LONG", "BUY")
        assert (reduce["positionSide"], reduce["side"]) == ("LONG", "SELL")
        assert "reduceOnly" not in reduce
        assert {leg["positionSide"] for leg in bench.desk.called(ALGO)} == {"LONG"}
        short = await bench.quirks.place(OrderRequest("c", SYMBOL, -1, "market", D("0.010")))
        assert short.side == -1
        assert bench.desk.called(PLACE)[-1]["positionSide"] == "SHORT"

    run(scenario)


def test_a_reduction_is_reduce_only_and_uses_the_reserve() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.quirks.place(REDUCE)
        (params,) = bench.desk.called(PLACE)
        assert (params["type"], params["reduceOnly"]) == ("MARKET", "true")
        assert "price" not in params
        assert bench.desk.purposes == ["protect"]

    run(scenario)


# moving the legs


def test_a_stop_is_moved_by_placing_the_new_one_first_in_the_other_form() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(1, "hf-a-000001e0s", "NEW")
        bench.desk.calls.clear()
        moved = await bench.quirks.protect(SYMBOL, D(59500), D(0))
        assert [method for method, _ in bench.desk.calls] == [ALGO, UNALGO]
        (new,) = bench.desk.called(ALGO)
        assert (new["quantity"], new["reduceOnly"]) == ("0.010", "true")
        assert new["clientAlgoId"] == "hf-a-000001e0s1"
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "1"}]
        assert (moved.stop, moved.covered) == (59500, D("0.010"))
        # never uncovered on the way
        assert {p.covered for p in bench.desk.of(PositionChanged)[1:]} == {D("0.010")}
        # and back to the other form
        again = await bench.quirks.protect(SYMBOL, D(59600), D(0))
        assert bench.desk.called(ALGO)[-1]["closePosition"] == "true"
        assert bench.desk.called(ALGO)[-1]["clientAlgoId"] == "hf-a-000001e0s2"
        assert (again.stop, again.covered) == (59600, D("0.010"))

    run(scenario)


def test_a_refused_move_leaves_the_old_stop() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(1, "hf-a-000001e0s", "NEW")
        bench.desk.answer(ALGO, refused(rejects.WOULD_TRIGGER_IMMEDIATELY))
        with pytest.raises(VenueRejected, match=rejects.WOULD_TRIGGER_IMMEDIATELY):
            await bench.quirks.protect(SYMBOL, D(60500), D(0))
        assert bench.desk.called(UNALGO) == []
        assert bench.position().stop == 59000

    run(scenario)


def test_nothing_is_sent_when_nothing_changes_and_zero_takes_away() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(1, "hf-a-000001e0s", "NEW")
        bench.algo(2, "hf-a-000001e0t", "NEW", o="TAKE_PROFIT_MARKET", tp="61000")
        bench.desk.calls.clear()
        await bench.quirks.protect(SYMBOL, D(59000), D(61000))
        assert bench.desk.calls == []
        without = await bench.quirks.protect(SYMBOL, D(59000), D(0))
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "2"}]
        assert (without.stop, without.target) == (59000, 0)

    run(scenario)


def test_a_flat_symbol_has_nothing_to_protect() -> None:
    async def scenario() -> None:
        with pytest.raises(VenueRejected, match=rejects.NO_POSITION):
            await Bench().quirks.protect(SYMBOL, D(1), D(0))

    run(scenario)


# the end of a position


def test_what_is_left_of_the_legs_is_cancelled_when_the_position_is_flat() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(1, "hf-a-000001e0s", "NEW")
        bench.algo(2, "hf-a-000001e0t", "NEW", o="TAKE_PROFIT_MARKET", tp="61000")
        bench.algo(2, "hf-a-000001e0t", "TRIGGERED", o="TAKE_PROFIT_MARKET", ai="88")
        bench.account("0", at_ms=20)
        await bench.desk.settle()
        # the one that fired cannot be cancelled, its sibling must be
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "1"}]

    run(scenario)


def test_the_fill_of_a_spawned_order_is_its_legs() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(2, "hf-a-000001e0t", "TRIGGERED", o="TAKE_PROFIT_MARKET", ai="88")
        bench.order("spawned-1", "FILLED", i=88, ot="TAKE_PROFIT_MARKET")
        (fill,) = bench.desk.of(Fill)
        assert (fill.client_id, fill.cause) == ("hf-a-000001e0t", "target")
        assert fill.realised_usdt == 10

    run(scenario)


def sweep_answers(bench: Bench, *algos: dict[str, Any], orders: Any = ()) -> None:
    bench.desk.answer("fapiPrivateV3GetPositionRisk", [])
    bench.desk.answer("fapiPrivateGetOpenOrders", list(orders))
    bench.desk.answer("fapiPrivateGetOpenAlgoOrders", list(algos))


@pytest.mark.parametrize(("age_ms", "cancelled"), [(4001, 1), (3000, 0)])
def test_an_orphaned_leg_is_swept_once_no_entry_can_need_it(age_ms: int, cancelled: int) -> None:
    async def scenario() -> None:
        bench = Bench()
        # a leg that arrives while flat: its position is gone, or its entry still on its way
        bench.algo(5, "hf-a-000001e0t", "NEW", at_ms=0, o="TAKE_PROFIT_MARKET")
        row = Algos().place(leg_params("hf-a-000001e0t")) | {"algoId": 5, "createTime": BEGAN_MS}
        sweep_answers(bench, row)
        (delay_ns, _, _) = bench.desk.timers.waiting[-1]
        assert delay_ns >= 4_000 * 10**6
        bench.desk.pass_ms(age_ms)
        bench.desk.timers.fire_all()
        await bench.desk.settle()
        assert len(bench.desk.called(UNALGO)) == cancelled
        # one that is too young is looked at again
        assert bool(bench.desk.timers.waiting) == (not cancelled)

    run(scenario)


def test_a_resting_entry_keeps_its_stop() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.algo(5, "hf-a-000001e0s", "NEW", at_ms=0)
        row = Algos().place(leg_params("hf-a-000001e0s")) | {"algoId": 5}
        sweep_answers(bench, row, orders=[{"orderId": 1, "reduceOnly": False}])
        bench.desk.pass_ms(60_000)
        bench.desk.timers.fire_all()
        await bench.desk.settle()
        assert bench.desk.called(UNALGO) == []

    run(scenario)
