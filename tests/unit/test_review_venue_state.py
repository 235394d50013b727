"""Regressions of a review of a venue's state: what is kept, when, for whom to read, and if not."""

import asyncio
import stat
from contextlib import contextmanager, suppress
from decimal import Decimal

import pytest

from hfengine.clock import VirtualClock
from hfengine.localvenue.state import StateLost
from hfengine.localvenue.world import make_world
from hfengine.requests import OrderRequest
from hfengine.runtime.virtual_loop import VirtualLoop
from tests.bybit_venue import BTC, Venue, away, run, turn
from tests.localvenue_desk import run_live, serving

START_NS = 1_750_000_000_000_000_000


@contextmanager
def a_world(state):
    clock = VirtualClock(START_NS)
    loop = VirtualLoop(clock)
    world = make_world("bybit", loop=loop, clock=clock, symbols=[BTC], state=state)
    try:
        yield world, loop
    finally:
        world.close()
        loop.close()


def buy(world, client_id, **more):
    request = OrderRequest(client_id, BTC, 1, more.pop("kind", "market"), Decimal("0.01"), **more)
    return world.act(lambda now_ns: world.exchange.place("main", request, now_ns))


def spin(loop, turns=3):
    async def wait():
        for _ in range(turns):
            await asyncio.sleep(0)

    loop.run_until_complete(wait())


def test_no_file_of_the_state_can_be_read_by_others(tmp_path):
    with a_world(tmp_path / "venue.db") as (world, _):
        buy(world, "a")
        world.settle()
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
        assert "venue.db-wal" in modes
        assert set(modes.values()) == {0o600}


def test_a_note_made_by_a_listener_or_a_timer_is_kept_without_another_action(tmp_path):
    state = tmp_path / "venue.db"
    with a_world(state) as (world, loop):
        world.on_account(lambda account, report: world.notes.set("heard", account))
        world.later(0.5, lambda: world.notes.set("rang", True))
        buy(world, "a")

        async def wait():
            await asyncio.sleep(1)

        loop.run_until_complete(wait())
        world._store.close()
    with a_world(state) as (world, _):
        assert world.notes.get("heard") == "main"
        assert world.notes.get("rang") is True


def test_every_step_of_a_slow_move_is_kept(tmp_path):
    state = tmp_path / "venue.db"
    with a_world(state) as (world, loop):
        world.move(BTC, 1000, over_s=1.0)

        async def wait():
            await asyncio.sleep(0.5)

        loop.run_until_complete(wait())
        offset = world.market.offset_ticks(BTC)
        assert 0 < offset < 1000
        world._store.close()
    with a_world(state) as (world, _):
        assert world.market.offset_ticks(BTC) == offset


def test_a_slow_move_ends_where_it_was_to_and_leaves_no_timer():
    with a_world(None) as (world, loop):
        faults = []
        loop.set_exception_handler(lambda _, context: faults.append(context))
        timers = len(world._timers._repeats)
        world.move(BTC, 1000, over_s=0.5)

        async def wait():
            await asyncio.sleep(2)

        loop.run_until_complete(wait())
        assert world.market.offset_ticks(BTC) == 1000
        assert len(world._timers._repeats) == timers
        assert faults == []


def test_what_was_not_told_yet_is_told_before_an_orderly_end():
    heard = []

    async def scenario():
        async with serving() as venue:
            venue.world.on_account(lambda account, report: heard.append(type(report).__name__))
            venue.dialect.buy("a")

    run_live(scenario)
    assert "FillReport" in heard


def break_store(world):
    """Make every write fail as a full disk does."""
    connection = world._store._connection
    connection.execute("PRAGMA max_page_count = 1")


def fill_up(world):
    for number in range(100):
        buy(world, f"fill{number}")


def test_a_venue_that_cannot_keep_says_nothing_more_and_ends(tmp_path):
    async def scenario():
        async with serving(state=tmp_path / "venue.db") as venue:
            world = venue.world
            ended = []
            world.on_failure(lambda: ended.append(True))
            socket_reader, socket_writer = await asyncio.open_connection(
                "127.0.0.1", venue.server.port
            )
            break_store(world)
            fill_up(world)
            socket_writer.write(b"POST /buy?id=lost HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
            with suppress(ConnectionResetError):
                assert await socket_reader.read() == b""
            socket_writer.close()
            with suppress(OSError):
                await socket_writer.wait_closed()
            assert isinstance(world.failure, StateLost)
            assert "--state" in str(world.failure)
            assert ended == [True]
            # nothing is served any more, and nothing is tried again
            assert world.settle() is False
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", venue.server.port)

    run_live(scenario)


def test_no_listener_hears_of_what_was_not_kept(tmp_path):
    with a_world(tmp_path / "venue.db") as (world, loop):
        heard = []
        spin(loop)
        world.on_account(lambda account, report: heard.append(report))
        break_store(world)
        fill_up(world)
        spin(loop)
        assert world.failure is not None
        assert heard == []
        world.deliver()
        assert heard == []


def test_a_partial_stop_of_an_entry_that_fills_after_a_restart_is_attached(tmp_path):
    state = tmp_path / "venue.db"

    async def before(venue: Venue) -> None:
        stop, target = away(venue, -3), away(venue, 3)
        answer = await venue.order(
            orderType="Limit",
            price=away(venue, -1),
            orderLinkId="entry",
            stopLoss=stop,
            takeProfit=target,
            tpslMode="Partial",
        )
        assert answer["retCode"] == 0
        await turn()
        assert venue.world.settle()

    async def after(venue: Venue) -> None:
        venue.world.move(BTC, to_price=Decimal(away(venue, "-1.5")))
        await turn()
        position = venue.world.exchange.position("main", BTC)
        assert position.quantity == Decimal("0.01")
        assert position.covered == position.quantity
        kinds = {row["stopOrderType"] for row in await venue.rows("order/realtime")}
        assert kinds == {"PartialStopLoss", "PartialTakeProfit"}

    run(before, state=state)
    run(after, state=state)
    run(covered_once, state=state)


async def covered_once(venue: Venue) -> None:
    await turn()
    rows = await venue.rows("order/realtime")
    assert len(rows) == 2


def test_a_partial_stop_is_attached_though_the_venue_died_between_the_fill_and_its_news(tmp_path):
    state = tmp_path / "venue.db"

    async def before(venue: Venue) -> None:
        more = {"stopLoss": away(venue, -3), "tpslMode": "Partial"}
        await venue.order(orderType="Limit", price=away(venue, -1), orderLinkId="e", **more)
        await turn()
        venue.world.move(BTC, to_price=Decimal(away(venue, "-1.5")))
        assert venue.world.settle()
        # the fill is kept, and nobody has heard of it
        assert venue.world.exchange.position("main", BTC).covered == 0

    async def after(venue: Venue) -> None:
        position = venue.world.exchange.position("main", BTC)
        assert (position.quantity, position.covered) == (Decimal("0.01"), Decimal("0.01"))

    run(before, state=state)
    run(after, state=state)
    run(after, state=state)


def test_a_close_on_trigger_without_reduce_only_closes_nothing():
    async def scenario(venue: Venue) -> None:
        assert (await venue.order(orderLinkId="a"))["retCode"] == 0
        more = {"side": "Sell", "qty": "0", "closeOnTrigger": True}
        assert (await venue.order(**more))["retCode"] == 10001
        assert venue.world.exchange.position("main", BTC).quantity == Decimal("0.01")
        assert (await venue.order(**more, reduceOnly=True))["retCode"] == 0
        assert venue.world.exchange.position("main", BTC).quantity == 0

    run(scenario)


def test_partial_stops_of_an_entry_add_up_to_what_it_filled_however_often():
    async def scenario(venue: Venue) -> None:
        price = away(venue, -1)
        more = {"qty": "0.04", "stopLoss": away(venue, -3), "tpslMode": "Partial"}
        await venue.order(orderType="Limit", price=price, orderLinkId="e", **more)
        await turn()
        world = venue.world
        ticks = int(Decimal(price) / world.instruments[BTC].price_tick)
        ahead = dict(world.levels(BTC, 1, 1000)).get(ticks, 40) - 40
        for steps in (ahead + 10, 10, 10, 10):
            world.market.on_trade(BTC, ticks, steps, -1)
            await turn()
            position = world.exchange.position("main", BTC)
            stops = world.exchange.order_reports("main", BTC, open_only=True)
            attached = [one.update.quantity for one in stops if one.attached]
            assert sum(attached) == position.quantity
        assert position.quantity == Decimal("0.04")

    run(scenario)
