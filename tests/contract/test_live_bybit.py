"""Our own Bybit account over unmodified ccxt against the local venue, over loopback sockets."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import Fill, FundingPaid, LeverageChanged, OrderUpdate
from tests.live_desk import SYMBOL, LiveDesk, live
from tests.localvenue_desk import run_live

PATHS = ("rest", "websocket")


async def held(desk: LiveDesk, client_id: str = "hf-a-000001e0") -> None:
    """Open a position with a bracket."""
    await desk.venue.place(desk.bracket(client_id))
    await desk.until(lambda: desk.position() and desk.position().quantity)


@pytest.mark.parametrize("path", PATHS)
def test_a_bracket_lives_and_ends_and_the_ledgers_agree(path: str) -> None:
    async def scenario() -> None:
        async with live("bybit", order_entry=path) as desk:
            venue, world = desk.venue, desk.world
            await venue.set_leverage(SYMBOL, 50)
            assert (await venue.leverage_of(SYMBOL)).leverage == 50
            if path == "websocket":
                await desk.until(lambda: venue.health["order_path"] == "websocket")
            request = desk.bracket("hf-a-000001e0")
            acknowledged = await venue.place(request)
            assert acknowledged.client_id == "hf-a-000001e0"
            await desk.until(lambda: desk.position() and desk.position().quantity)
            opened = desk.position()
            assert opened.side == 1
            assert opened.quantity == opened.covered == Decimal("0.010")
            assert (opened.stop, opened.target) == (request.stop, request.target)
            assert (opened.leverage, opened.margin_mode) == (50, "isolated")
            assert 0 < opened.liquidation < request.stop

            moved = await venue.protect(SYMBOL, desk.grid(desk.mid * Decimal("0.995")), Decimal(0))
            assert moved.stop > request.stop
            assert moved.target == 0
            await venue.protect(SYMBOL, moved.stop, request.target)

            await venue.place(desk.reduction("hf-a-000002x0", "0.004"))
            await desk.until(lambda: desk.position().quantity == Decimal("0.006"))
            assert desk.position().covered == Decimal("0.006")
            kinds = {order.kind for order in await venue._quirks.open_orders()}
            assert kinds == {"stop_market", "take_profit_market"}

            world.move(SYMBOL, to_price=request.target + 50)
            await desk.until(lambda: desk.position().quantity == 0)
            await desk.until(lambda: len(desk.told(Fill)) == 3)
            assert [fill.cause for fill in desk.told(Fill)] == ["order", "order", "target"]
            assert await venue.positions() == []
            assert await venue.cancel_all(SYMBOL) == 0
            await same_ledgers(desk)
            paths = venue.health["orders"]
            assert paths == {
                "rest": 0 if path == "websocket" else 2,
                "websocket": 2 - paths["rest"],
            }

    run_live(scenario)


async def same_ledgers(desk: LiveDesk) -> None:
    """The venue's fills and wallet are ours, to the last unit."""
    theirs = desk.world.exchange.fills("main")
    ours = desk.told(Fill)
    assert [f.quantity for f in ours] == [f.quantity for f in theirs]
    assert [f.fee_usdt for f in ours] == [f.fee_usdt for f in theirs]
    assert [f.realised_usdt for f in ours] == [f.realised_usdt for f in theirs]
    assert len(await desk.venue.fills()) == len(theirs)
    wallet = desk.world.exchange.balance("main").wallet_usdt
    earned = sum((f.realised_usdt - f.fee_usdt for f in ours), Decimal(0))
    assert desk.wallet_usdt + earned == wallet == (await desk.venue.balance()).wallet_usdt


def test_flattened_by_a_reducing_order_its_stop_goes_with_the_position() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            await held(desk)
            await desk.venue.place(desk.reduction("hf-a-000002x0", "0.010"))
            await desk.until(lambda: desk.position().quantity == 0)
            assert await desk.venue._quirks.open_orders() == []
            await same_ledgers(desk)

    run_live(scenario)


def test_what_a_cut_stream_lost_is_found_by_reading_the_account() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            request = desk.bracket("hf-a-000001e0")
            await desk.venue.place(request)
            await desk.until(lambda: desk.position() and desk.position().quantity)
            # the private stream falls silent for a while, then breaks: the target fires meanwhile
            for topic in ("order", "execution", "position", "wallet"):
                desk.fault("drop_frame", topic=topic, path="/v5/private", count=None)
            desk.world.move(SYMBOL, to_price=request.target + 50)
            await asyncio.sleep(0.1)
            assert len(desk.told(Fill)) == 1
            desk.world.faults.clear()
            reconnects = desk.venue.health["reconnects"]
            assert desk.server._to_sockets("drop", "/v5/private", 1012) == 1
            await desk.until(lambda: desk.position().quantity == 0)
            await desk.until(lambda: len(desk.told(Fill)) == 2)
            assert desk.venue.health["reconnects"] > reconnects
            assert desk.venue.health["events_found"] >= 2
            assert desk.told(Fill)[-1].cause == "target"
            await same_ledgers(desk)

    run_live(scenario)


def test_the_end_of_an_order_of_which_the_stream_said_nothing_is_found() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            for topic in ("order", "execution", "position", "wallet"):
                desk.fault("drop_frame", topic=topic, path="/v5/private", count=None)
            await desk.venue.place(desk.bracket("hf-a-000001e0"))
            await asyncio.sleep(0.1)
            assert desk.ends_of("hf-a-000001e0") == []
            desk.world.faults.clear()
            desk.venue._reconcile_soon("now")
            await desk.until(lambda: desk.ends_of("hf-a-000001e0"))
            assert desk.ends_of("hf-a-000001e0")[0].state == "filled"
            await desk.until(lambda: desk.position() and desk.position().covered)

    run_live(scenario)


def test_an_account_that_moved_while_it_was_read_is_read_again() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            outcomes = [False, True, True]
            looks = 0

            async def reconcile() -> bool:
                nonlocal looks
                looks += 1
                return outcomes.pop(0)

            desk.venue._reconciler.reconcile = reconcile
            desk.venue._reconcile_soon("now")
            desk.venue._reconcile_soon("and again")
            await desk.until(lambda: looks == 2)
            await asyncio.sleep(0.5)
            assert looks == 2

    run_live(scenario)


def test_an_account_that_cannot_be_read_is_asked_for_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            waits: list[float] = []
            timers = desk.venue._desk.timers
            with monkeypatch.context() as patched:
                patched.setattr(timers, "after", lambda ns, _call: waits.append(ns / 1e9))
                for _ in range(6):
                    desk.venue._look_again(None)
                # a wish of before the pause is over is not held up by it
                assert not desk.venue._reconcile_due
                desk.venue._look_again(True)
                desk.venue._look_again(None)
            assert waits == [0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 0.4]

    run_live(scenario)


def test_a_reading_that_fails_is_made_again() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            looks = 0

            async def reconcile() -> bool:
                nonlocal looks
                looks += 1
                if looks == 1:
                    raise VenueUnavailable("away")
                return True

            desk.venue._reconciler.reconcile = reconcile
            desk.venue._reconcile_soon("now")
            await desk.until(lambda: looks == 2)

    run_live(scenario)


@pytest.mark.parametrize("kind", ["cut_after", "cut_before"])
def test_a_cut_answer_leaves_the_order_unknown_and_its_id_tells(kind: Any) -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            desk.fault(kind, path="/v5/order/create")
            with pytest.raises(VenueUnknown):
                await desk.venue.place(desk.bracket("hf-a-000001e0"))
            found = await desk.venue.order_by_id(SYMBOL, "hf-a-000001e0")
            assert (found is not None) == (kind == "cut_after")
            if found is not None:
                assert found.state == "filled"

    run_live(scenario)


def test_the_same_id_twice_is_no_second_order() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            await held(desk)
            with pytest.raises(VenueUnknown, match="duplicate_client_id"):
                await desk.venue.place(desk.bracket("hf-a-000001e0"))
            assert len(desk.world.exchange.fills("main")) == 1

    run_live(scenario)


def test_leverage_is_what_is_read_not_what_was_agreed() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            venue = desk.venue
            await venue.set_leverage(SYMBOL, 20)
            await venue.set_leverage(SYMBOL, 20)
            desk.fault("leverage_kept")
            await venue.set_leverage(SYMBOL, 50)
            assert (await venue.leverage_of(SYMBOL)).leverage == 20
            assert venue.leverage_stats.mismatches == 1
            with pytest.raises(VenueRejected) as refused:
                await venue.set_leverage(SYMBOL, 101)
            assert refused.value.reason == "leverage_above_maximum"
            assert venue.leverage_stats.set_failures == 1
            assert venue.health["warnings"]

    run_live(scenario)


def test_another_client_changing_the_leverage_of_a_position_is_told() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            await desk.venue.set_leverage(SYMBOL, 20)
            await held(desk)
            desk.world.act(lambda now: desk.world.exchange.set_leverage("main", SYMBOL, 7, now))
            await desk.until(lambda: desk.told(LeverageChanged))
            assert desk.told(LeverageChanged)[-1].leverage == 7

    run_live(scenario)


def test_a_skewed_clock_is_measured_and_the_request_repeated() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            desk.world.clock_skew_ns = 30_000_000_000
            assert (await desk.venue.balance()).wallet_usdt > 0
            health = desk.venue.health
            assert abs(health["clock_offset_ms"] - 30_000) < 200
            assert "clock" in health["halts"]

    run_live(scenario)


def test_quantities_above_the_market_maximum_are_sent_in_parts() -> None:
    async def scenario() -> None:
        async with live("bybit", world_options={"wallet_usdt": Decimal(100_000_000)}) as desk:
            most = desk.venue.instruments[SYMBOL].market_quantity_max
            assert desk.venue._desk.splitter.must_split(
                desk.reduction("hf-a-000003x0", str(most + 1))
            )

    run_live(scenario)


def test_an_unknown_symbol_is_named_before_anything_starts() -> None:
    async def scenario() -> None:
        async with live("bybit", symbols=("NOPEUSDT",), listed=(SYMBOL,), connected=False) as desk:
            with pytest.raises(VenueRejected, match="NOPEUSDT"):
                await desk.venue.prepare()

    run_live(scenario)


def test_the_whole_list_of_instruments_is_read() -> None:
    async def scenario() -> None:
        async with live("bybit", listed=(SYMBOL, "ETHUSDT")) as desk:
            everything = await desk.venue.all_instruments()
            assert set(everything) == {SYMBOL, "ETHUSDT"}
            ours, theirs = everything[SYMBOL], desk.world.instruments[SYMBOL]
            for name in ("price_tick", "quantity_step", "taker_fee", "maker_fee", "tiers"):
                assert getattr(ours, name) == getattr(theirs, name), name
            assert desk.books() >= 0

    run_live(scenario)


def test_a_stop_on_the_wrong_side_is_named_and_nothing_is_opened() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            wrong = desk.bracket("hf-a-000001e0", stop=desk.grid(desk.mid * Decimal("1.01")))
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.place(wrong)
            assert refused.value.reason == "would_trigger_immediately"
            assert desk.world.exchange.fills("main") == []

    run_live(scenario)


def test_an_order_that_finds_nothing_ends_as_cancelled() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            far = desk.grid(desk.mid * Decimal("0.98"))
            await desk.venue.place(
                desk.bracket("hf-a-000001e0", price=far, stop=desk.grid(far * Decimal("0.98")))
            )
            await desk.until(lambda: desk.ends_of("hf-a-000001e0"))
            ended: OrderUpdate = desk.ends_of("hf-a-000001e0")[0]
            assert (ended.state, ended.filled) == ("cancelled", 0)

    run_live(scenario)


def test_funding_adl_and_liquidation_are_told_as_what_they_are() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            none = Decimal(0)
            await desk.venue.set_leverage(SYMBOL, 50)
            await desk.venue.place(desk.bracket("hf-a-000001e0", stop=none, target=none))
            await desk.until(lambda: desk.position() and desk.position().quantity)
            desk.world.pay_funding(SYMBOL, Decimal("0.0001"))
            await desk.until(lambda: desk.told(FundingPaid))
            (paid,) = desk.told(FundingPaid)
            assert paid.rate == Decimal("0.0001")
            assert paid.funding_usdt > 0
            exchange = desk.world.exchange
            desk.world.act(
                lambda now: exchange.force_adl("main", SYMBOL, Decimal("0.004"), now, "net")
            )
            await desk.until(lambda: desk.position().quantity == Decimal("0.006"))
            desk.world.act(lambda now: exchange.force_liquidation("main", SYMBOL, now, "net"))
            await desk.until(lambda: desk.position().quantity == 0)
            causes = [fill.cause for fill in desk.told(Fill)]
            assert causes[:2] == ["order", "adl"]
            assert set(causes[2:]) == {"liquidation"}
            ours = sum((f.realised_usdt - f.fee_usdt for f in desk.told(Fill)), none)
            wallet = exchange.balance("main").wallet_usdt
            assert desk.wallet_usdt + ours - paid.funding_usdt == wallet
            desk.venue._reconcile_soon("nothing is told twice")
            rounds = desk.venue.health["reconciliations"]
            await desk.until(lambda: desk.venue.health["reconciliations"] > rounds)
            assert len(desk.told(FundingPaid)) == 1
            assert len(desk.told(Fill)) == len(causes)

    run_live(scenario)
