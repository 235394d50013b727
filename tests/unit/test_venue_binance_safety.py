"""Binance's protection when things go wrong: races, lost answers, other people's orders."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.exchange import rejects
from hfengine.messages import PositionChanged, ProtectionRefused
from tests.binance_bench import (
    ALGO,
    ALGOS,
    ENTRY,
    PLACE,
    RISK,
    STOP,
    SYMBOL,
    UNALGO,
    Algos,
    Bench,
    algo_row,
    order_row,
    risk_row,
    run,
    sweep_answers,
)
from tests.scripted_desk import refused

D = Decimal

# a replacement that does not stand


@pytest.mark.parametrize("status", ["REJECTED", "EXPIRED", "CANCELED"])
@pytest.mark.parametrize("is_lost", [True, False])
def test_a_stop_is_not_given_up_for_one_that_does_not_stand(status: str, is_lost: bool) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(1, STOP, "NEW")
        dead = algo_row(2, f"{STOP}1", algoStatus=status)
        bench.desk.answer(ALGO, VenueUnknown("cut") if is_lost else dead)
        bench.desk.answer("fapiPrivateGetAlgoOrder", dead)
        with pytest.raises(VenueRejected, match=status):
            await bench.quirks.protect(SYMBOL, D(59500), D(0))
        assert bench.desk.called(UNALGO) == []
        assert (bench.position().stop, bench.position().covered) == (59000, D("0.010"))

    run(scenario)


def test_a_move_whose_answer_is_lost_for_good_keeps_the_old_stop() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(1, STOP, "NEW")
        bench.desk.answer(ALGO, VenueUnknown("cut"))
        bench.desk.answer("fapiPrivateGetAlgoOrder", refused(rejects.UNKNOWN_ORDER))
        with pytest.raises(VenueUnknown):
            await bench.quirks.protect(SYMBOL, D(59500), D(0))
        assert bench.desk.called(UNALGO) == []
        # it stands after all: the next move makes one of the two
        row = {"cp": False, "R": True, "q": "0.010", "tp": "59500"}
        bench.algo(2, f"{STOP}1", "NEW", **row)
        bench.desk.answer(ALGO, Algos().place)
        moved = await bench.quirks.protect(SYMBOL, D(59600), D(0))
        assert bench.desk.called(ALGO)[-1]["clientAlgoId"] == f"{STOP}2"
        assert {p["algoId"] for p in bench.desk.called(UNALGO)} == {"1", "2"}
        assert (moved.stop, moved.covered) == (59600, D("0.010"))
        assert {p.covered for p in bench.desk.of(PositionChanged)[1:]} == {D("0.010")}

    run(scenario)


def test_a_stop_by_the_last_price_is_named_and_made_to_watch_the_mark() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        for _ in range(2):
            bench.algo(1, "by hand", "NEW", wt="CONTRACT_PRICE")
        assert bench.desk.notes == [("stop_by_last", f"{SYMBOL} by hand")]
        assert bench.position().covered == D("0.010")
        await bench.quirks.protect(SYMBOL, D(59000), D(0))
        (new,) = bench.desk.called(ALGO)
        assert (new["workingType"], new["triggerPrice"]) == ("MARK_PRICE", "59000")
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "1"}]

    run(scenario)


# whose legs are cancelled when


def test_the_late_news_of_an_end_does_not_take_the_next_entrys_stop() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(1, "hf-a-000001e0t", "NEW", at_ms=11, o="TAKE_PROFIT_MARKET", tp="61000")
        # the next entry's stop is heard of before the end of the position, which came first
        bench.algo(2, "hf-a-000003e0s", "NEW", at_ms=30)
        bench.account("0", at_ms=20)
        await bench.desk.settle()
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "1"}]
        bench.account("0.010", at_ms=31)
        assert bench.position().covered == D("0.010")

    run(scenario)


def test_the_legs_of_other_symbols_are_nobodys_business() -> None:
    async def scenario() -> None:
        bench = Bench()
        row = {"s": "DOGEUSDT", "ep": "1", "iw": "1", "mt": "isolated", "ps": "BOTH"}
        other = algo_row(9, "theirs", symbol="DOGEUSDT")
        bench.desk.answer(RISK, [risk_row("5") | {"symbol": "DOGEUSDT"}])
        bench.desk.answer(ALGOS, [other])
        bench.desk.answer("fapiPrivateGetSymbolConfig", [])
        await bench.quirks.positions()
        bench.account("0", at_ms=20, P=[row | {"pa": "0"}])
        await bench.desk.settle()
        assert bench.desk.called(UNALGO) == []
        assert [ns for ns, _, _ in bench.desk.timers.waiting if ns > 10**9] == []

    run(scenario)


def test_a_sweep_spares_the_smaller_of_two_positions() -> None:
    async def scenario() -> None:
        bench = Bench(position_mode="hedge")
        legs = [
            algo_row(1, "long", positionSide="LONG"),
            algo_row(2, "short", positionSide="SHORT", side="BUY"),
        ]
        bench.algo(1, "long", "NEW", at_ms=0, ps="LONG")
        sweep_answers(bench, *legs, risk=[risk_row("2", "LONG"), risk_row("-1", "SHORT")])
        bench.desk.pass_ms(60_000)
        bench.desk.timers.fire_all()
        await bench.desk.settle()
        assert bench.desk.called(UNALGO) == []

    run(scenario)


def test_a_waiting_conditional_entry_keeps_its_legs() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.algo(5, "leg", "NEW", at_ms=0)
        waits = algo_row(6, "opens", side="BUY", closePosition=False, quantity="0.01")
        sweep_answers(bench, algo_row(5, "leg"), waits)
        bench.desk.pass_ms(60_000)
        bench.desk.timers.fire_all()
        await bench.desk.settle()
        assert bench.desk.called(UNALGO) == []

    run(scenario)


def test_in_hedge_mode_what_opens_a_slot_is_no_leg_of_it() -> None:
    async def scenario() -> None:
        bench = Bench(position_mode="hedge")
        book = bench.quirks._at_work.book
        opens = {"cp": False, "q": "0.01"}
        bench.algo(1, "opens", "NEW", S="BUY", ps="LONG", **opens)
        bench.algo(2, "closes", "NEW", S="SELL", ps="LONG", **opens)
        bench.algo(3, "opens too", "NEW", S="SELL", ps="SHORT", **opens)
        bench.algo(4, "closes too", "NEW", S="BUY", ps="SHORT", **opens)
        closing = [order.client_id for order in book.reducing(SYMBOL)]
        assert closing == ["closes", "closes too"]

    run(scenario)


def test_a_resting_entry_that_ends_has_its_legs_looked_at() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.algo(5, STOP, "NEW", at_ms=0)
        resting = [{"orderId": 1, "reduceOnly": False}]
        sweep_answers(bench, algo_row(5, STOP), orders=resting)
        bench.desk.pass_ms(60_000)
        bench.desk.timers.fire_all()
        await bench.desk.settle()
        bench.order("hf-a-000001e0", "CANCELED", x="CANCELED", S="BUY", l="0", z="0")
        sweep_answers(bench, algo_row(5, STOP))
        bench.desk.timers.fire_all()
        await bench.desk.settle()
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "5"}]

    run(scenario)


def test_an_end_found_by_reading_has_the_legs_looked_at() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(1, STOP, "NEW")
        sweep_answers(bench, algo_row(1, STOP))
        bench.desk.answer("fapiPrivateV3GetAccount", {"assets": []})
        bench.desk.pass_ms(10_000)
        # the reading that follows a change finds no position, the sweep what is left of it
        bench.desk.timers.fire_all()
        await bench.desk.settle()
        assert bench.position().quantity == 0
        bench.desk.timers.fire_all()
        await bench.desk.settle()
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "1"}]

    run(scenario)


# one at a time, once, and never the wrong one


def test_two_moves_at_once_leave_one_stop() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(1, STOP, "NEW")
        moves = (bench.quirks.protect(SYMBOL, D(trigger), D(0)) for trigger in (59500, 59600))
        await asyncio.gather(*moves)
        placed = [f"{101 + n}" for n in range(len(bench.desk.called(ALGO)))]
        cancelled = [p["algoId"] for p in bench.desk.called(UNALGO)]
        assert cancelled == ["1", *placed[:-1]]
        assert (bench.position().stop, bench.position().covered) == (59600, D("0.010"))
        ids = [p["clientAlgoId"] for p in bench.desk.called(ALGO)]
        assert ids == [f"{STOP}1", f"{STOP}2"]

    run(scenario)


def test_in_hedge_mode_a_moved_leg_has_its_slot_and_no_reduce_only() -> None:
    async def scenario() -> None:
        bench = Bench(position_mode="hedge")
        row = {"s": SYMBOL, "pa": "-0.010", "ep": "60000", "iw": "12", "mt": "isolated"}
        bench.account("", P=[row | {"ps": "SHORT"}])
        bench.algo(1, STOP, "NEW", S="BUY", ps="SHORT", tp="61000")
        moved = await bench.quirks.protect(SYMBOL, D(60900), D(0))
        (new,) = bench.desk.called(ALGO)
        assert (new["positionSide"], new["side"], new["quantity"]) == ("SHORT", "BUY", "0.010")
        assert "reduceOnly" not in new
        assert (moved.stop, moved.covered) == (60900, D("0.010"))

    run(scenario)


def test_our_own_leg_that_stands_already_is_not_cancelled_to_make_room() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        own = algo_row(7, STOP, triggerPrice="59000")
        bench.desk.answer(ALGO, refused("protection_exists"), Algos().place)
        sweep_answers(bench, own, risk=[risk_row("0.010")])
        await bench.quirks.place(replace(ENTRY, target=D(0)))
        await bench.desk.settle()
        assert bench.desk.called(UNALGO) == []
        assert len(bench.desk.called(ALGO)) == 1
        assert bench.desk.of(ProtectionRefused) == []

    run(scenario)


def test_a_move_goes_beside_a_stop_that_was_not_heard_of() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.desk.answer(ALGO, refused("protection_exists"), Algos().place)
        sweep_answers(bench, algo_row(7, STOP), risk=[risk_row("0.010")])
        moved = await bench.quirks.protect(SYMBOL, D(59500), D(0))
        last = bench.desk.called(ALGO)[-1]
        assert (last["quantity"], last["reduceOnly"]) == ("0.010", "true")
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "7"}]
        assert (moved.stop, moved.covered) == (59500, D("0.010"))

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "is_gone"),
    [
        (refused(rejects.UNKNOWN_ORDER), True),
        (refused("busy"), False),
        (VenueUnknown("cut"), False),
    ],
)
def test_a_leg_counts_as_gone_only_when_the_venue_says_so(answer: Any, is_gone: bool) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(1, STOP, "NEW")
        bench.desk.answer(UNALGO, answer)
        without = await bench.quirks.protect(SYMBOL, D(0), D(0))
        assert without.covered == (0 if is_gone else D("0.010"))
        assert bool(bench.desk.notes) == (not is_gone)

    run(scenario)


def test_one_look_for_orphans_at_a_time() -> None:
    async def scenario() -> None:
        bench = Bench()
        sweep_answers(bench)
        for _ in range(2):
            for algo_id in (5, 6):
                bench.algo(algo_id, f"leg{algo_id}", "NEW", at_ms=0)
            assert len(bench.desk.timers.waiting) == 1
            bench.desk.timers.fire_all()
            await bench.desk.settle()

    run(scenario)


def test_what_arrives_after_the_end_is_looked_for() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.account("0", at_ms=20)
        bench.desk.answer("fapiPrivateV3GetAccount", {"assets": []})
        assert [ns for ns, _, _ in bench.desk.timers.waiting if ns >= 4_000 * 10**6]

    run(scenario)


def test_a_stop_sent_again_under_the_same_id_is_news_again() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(PLACE, refused("rate_limit"), order_row)
        with pytest.raises(VenueRejected):
            await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        bench.desk.answer(ALGO, refused(rejects.WOULD_TRIGGER_IMMEDIATELY), Algos().place)
        await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        assert [told.leg for told in bench.desk.of(ProtectionRefused)] == ["stop"]

    run(scenario)


def test_orphans_found_at_the_start_are_looked_at() -> None:
    async def scenario() -> None:
        bench = Bench()
        sweep_answers(bench, algo_row(5, STOP))
        bench.desk.pass_ms(60_000)
        assert await bench.quirks.positions() == []
        bench.desk.timers.fire_all()
        await bench.desk.settle()
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "5"}]

    run(scenario)


def test_a_position_whose_margin_mode_is_not_known_is_asked_for() -> None:
    async def scenario() -> None:
        bench = Bench()
        sweep_answers(bench, risk=[risk_row("0.010")])
        setting = {"symbol": SYMBOL, "marginType": "CROSSED", "leverage": 20}
        bench.desk.answer("fapiPrivateGetSymbolConfig", [setting])
        (held,) = await bench.quirks.positions()
        assert (held.margin_mode, held.leverage, held.margin_usdt) == ("cross", 20, 30)

    run(scenario)


def test_only_the_leg_in_the_way_makes_room() -> None:
    async def scenario() -> None:
        bench = Bench()
        part = {"closePosition": False, "reduceOnly": True, "quantity": "0.004"}
        sweep_answers(bench, algo_row(7, "old"), algo_row(8, "part", **part))
        bench.desk.answer(ALGO, refused("protection_exists"), Algos().place)
        await bench.quirks.place(replace(ENTRY, target=D(0)))
        await bench.desk.settle()
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "7"}]

    run(scenario)


def test_a_lost_leg_that_we_cancelled_ourselves_is_no_news() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.desk.answer(ALGO, VenueUnknown("cut"))
        bench.desk.answer("fapiPrivateGetAlgoOrder", algo_row(7, STOP, algoStatus="CANCELED"))
        await bench.quirks.place(replace(ENTRY, target=D(0)))
        bench.algo(7, STOP, "NEW")
        bench.account("0", at_ms=20)
        await bench.desk.settle()
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "7"}]
        assert bench.desk.of(ProtectionRefused) == []

    run(scenario)


def test_one_symbol_is_flat_whatever_the_others_hold() -> None:
    async def scenario() -> None:
        bench = Bench()
        row = {"s": "DOGEUSDT", "ep": "1", "iw": "1", "mt": "isolated", "ps": "BOTH", "pa": "3"}
        bench.account("", P=[row])
        book = bench.quirks._at_work.book
        assert book.is_flat(SYMBOL)
        assert not book.is_flat("DOGEUSDT")

    run(scenario)
