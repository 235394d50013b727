"""Entries on Binance whose fate is learnt late, and legs that the trading socket carried."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.exchange import rejects
from hfengine.messages import ProtectionRefused
from hfengine.runtime.stages import Stages
from hfengine.venues.binance_order_entry import stop_of, target_of
from hfengine.venues.keys import ApiKeys
from hfengine.venues.order_entry import Credentials, OrderEntrySettings
from hfengine.venues.quirks import Place
from tests.binance_bench import (
    ALGO,
    ENTRY,
    PLACE,
    SYMBOL,
    UNALGO,
    Algos,
    Bench,
    leg_params,
    order_row,
    run,
    sweep_answers,
)
from tests.scripted_desk import refused

D = Decimal

# entries whose fate is learnt late


@pytest.mark.parametrize("by_stream", [True, False])
def test_a_lost_entry_that_filled_gets_its_target(by_stream: bool) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(PLACE, VenueUnknown("cut"))
        with pytest.raises(VenueUnknown):
            await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        assert [p["clientAlgoId"][-1] for p in bench.desk.called(ALGO)] == ["s"]
        told = {"S": "BUY", "o": "LIMIT", "ot": "LIMIT", "f": "IOC"}
        for _ in range(2):
            if by_stream:
                bench.order("hf-a-000001e0", "NEW", x="NEW", l="0", z="0", **told)
                assert len(bench.desk.tasks) == 0
                bench.order("hf-a-000001e0", "FILLED", **told)
            else:
                row = order_row(PARAMS)
                bench.desk.answer("fapiPrivateGetOrder", row)
                await bench.quirks.order_by_id(SYMBOL, "hf-a-000001e0")
            await bench.desk.settle()
        assert [p["clientAlgoId"][-1] for p in bench.desk.called(ALGO)] == ["s", "t"]
        assert bench.desk.called(UNALGO) == []

    run(scenario)


PARAMS = {"newClientOrderId": "hf-a-000001e0", "symbol": SYMBOL, "side": "BUY", "type": "LIMIT"}
PARAMS |= {"quantity": "0.010", "timeInForce": "IOC"}


def test_a_lost_entry_that_the_stream_told_of_first_gets_its_target_once() -> None:
    async def scenario() -> None:
        bench = Bench()

        def told_first(_params: Any) -> Any:
            bench.order("hf-a-000001e0", "FILLED", S="BUY")
            return VenueUnknown("cut")

        bench.desk.answer(PLACE, told_first)
        with pytest.raises(VenueUnknown):
            await bench.quirks.place(ENTRY)
        bench.order("hf-a-000001e0", "FILLED", S="BUY")
        await bench.desk.settle()
        assert [p["clientAlgoId"][-1] for p in bench.desk.called(ALGO)] == ["s", "t"]

    run(scenario)


def test_an_answered_entry_gets_one_target_whatever_the_stream_tells() -> None:
    async def scenario() -> None:
        bench = Bench()

        def told_first(params: Any) -> Any:
            bench.order("hf-a-000001e0", "FILLED", S="BUY")
            return order_row(params)

        bench.desk.answer(PLACE, told_first)
        await bench.quirks.place(ENTRY)
        bench.order("hf-a-000001e0", "FILLED", S="BUY")
        await bench.desk.settle()
        assert [p["clientAlgoId"][-1] for p in bench.desk.called(ALGO)] == ["s", "t"]

    run(scenario)


def test_a_lost_entry_that_came_to_nothing_takes_its_stop_back() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(PLACE, VenueUnknown("cut"))
        with pytest.raises(VenueUnknown):
            await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        bench.desk.answer("fapiPrivateGetOrder", order_row(PARAMS, "EXPIRED", "0"))
        await bench.quirks.order_by_id(SYMBOL, "hf-a-000001e0")
        await bench.desk.settle()
        assert len(bench.desk.called(ALGO)) == 1
        assert bench.desk.called(UNALGO) == [{"symbol": SYMBOL, "algoId": "101"}]

    run(scenario)


def test_the_target_of_a_lost_entry_does_not_follow_a_newer_one() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(PLACE, VenueUnknown("cut"), order_row)
        with pytest.raises(VenueUnknown):
            await bench.quirks.place(ENTRY)
        await bench.quirks.place(replace(ENTRY, client_id="hf-a-000009e0"))
        bench.order("hf-a-000001e0", "FILLED", S="BUY")
        await bench.desk.settle()
        targets = [p for p in bench.desk.called(ALGO) if p["clientAlgoId"].endswith("t")]
        assert [p["clientAlgoId"] for p in targets] == ["hf-a-000009e0t"]

    run(scenario)


@pytest.mark.parametrize("comes_to_nothing", [True, False])
def test_a_refused_stop_is_no_news_when_its_entry_came_to_nothing(comes_to_nothing: bool) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(ALGO, refused(rejects.WOULD_TRIGGER_IMMEDIATELY), Algos().place)
        plain = bench.desk.call

        async def entry_first(method: str, params: Any, **options: Any) -> Any:
            answer = plain(method, params, **options)
            if method == ALGO:
                for _ in range(5):
                    await asyncio.sleep(0)
            return await answer

        bench.desk.call = entry_first
        if comes_to_nothing:
            bench.desk.answer(PLACE, refused(rejects.INSUFFICIENT_MARGIN))
            with pytest.raises(VenueRejected):
                await bench.quirks.place(ENTRY)
        else:
            await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        assert len(bench.desk.of(ProtectionRefused)) == (0 if comes_to_nothing else 1)

    run(scenario)


# the trading socket


def wired(bench: Bench) -> tuple[Any, list[Any]]:
    told: list[Any] = []
    wires: Any = {
        "clock": bench.desk.clock,
        "loop": bench.desk.loop,
        "settings": OrderEntrySettings(),
        "on_protection": lambda request, outcome: told.append((request, outcome)),
        "write_ns": Stages().write,
    }
    keys = ApiKeys(key="k", secret="s", passphrase="")
    credentials = Credentials(keys.key, keys.secret.encode())
    opened = bench.quirks.order_entry(Place("local", "", "ws://127.0.0.1:1"), credentials, wires)
    assert opened is not None
    return opened[0], told


@pytest.mark.parametrize("leg_of", [stop_of, target_of])
def test_a_leg_that_an_older_one_kept_off_the_socket_makes_room(leg_of: Any) -> None:
    async def scenario() -> None:
        bench = Bench()
        entry, told = wired(bench)
        leg = leg_of(ENTRY)
        old = Algos().place(leg_params("hf-a-000000e0s") | {"type": leg.kind.upper()})
        bench.desk.answer(ALGO, refused("protection_exists"), Algos().place)
        sweep_answers(bench, old)
        entry._tell_leg(leg, refused("protection_exists"))
        await bench.desk.settle()
        assert told == []
        assert bench.desk.called(UNALGO)[0]["algoId"] == str(old["algoId"])
        assert bench.desk.called(ALGO)[-1]["clientAlgoId"] == leg.client_id
        # all else is told as before
        entry._tell_leg(leg, refused(rejects.WOULD_TRIGGER_IMMEDIATELY))
        assert [request for request, _ in told] == [leg]

    run(scenario)


def test_the_stream_must_tell_of_orders_that_the_socket_took() -> None:
    async def scenario() -> None:
        bench = Bench()
        entry, _ = wired(bench)
        assert entry.on_taken is not None
        entry.on_taken("hf-a-000001e0")
        fire_expected(bench)
        assert len(bench.desk.restarts) == 1

    run(scenario)


def fire_expected(bench: Bench) -> None:
    for delay_ns, fire, handle in bench.desk.timers.waiting:
        if delay_ns == 5 * 10**9 and not handle.cancelled:
            fire()


def test_a_stream_that_is_faster_than_the_answer_is_not_restarted() -> None:
    async def scenario() -> None:
        bench = Bench()

        def told_first(params: Any) -> Any:
            bench.order(params["newClientOrderId"], "FILLED", S="BUY")
            return order_row(params)

        bench.desk.answer(PLACE, told_first)
        await bench.quirks.place(ENTRY)
        await bench.desk.settle()
        fire_expected(bench)
        assert bench.desk.restarts == []

    run(scenario)
