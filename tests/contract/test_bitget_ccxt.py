"""An unmodified ccxt.pro Bitget client, URLs changed only, through the chain over loopback."""

import asyncio
import json
from contextlib import suppress
from decimal import Decimal

import ccxt.pro as ccxt
import pytest

from hfengine.localvenue.faults import Rule
from tests.bitget_venue import BTC, KEY, PASSPHRASE, SECRET, served
from tests.localvenue_desk import run_live

SYMBOL = "BTC/USDT:USDT"
HEDGE = {"hedged": True, "marginMode": "isolated"}


def client_of(venue, address, **more):
    """Return a client whose only difference is where it points (VENUES 1.2)."""
    template = json.dumps(venue.dialect.describe()["ccxt"])
    told = json.loads(
        template.replace("{http}", f"http://{address}").replace("{ws}", f"ws://{address}")
    )
    keys = {"apiKey": KEY, "secret": SECRET.decode(), "password": PASSPHRASE}
    return getattr(ccxt, told.pop("id"))({**told, **keys, "enableRateLimit": False, **more})


class Watcher:
    """Keeps copies of what a watch call brings: ccxt mutates what it hands out."""

    def __init__(self, watch):
        self.seen = []
        self._came = asyncio.Event()
        self._watch = watch
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        while True:
            self.seen += [dict(one) for one in await self._watch()]
            self._came.set()

    async def until(self, wanted, timeout_s=3.0):
        async with asyncio.timeout(timeout_s):
            while not any(wanted(one) for one in self.seen):
                self._came.clear()
                await self._came.wait()
        return next(one for one in self.seen if wanted(one))

    async def close(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def on_venue(scenario):
    async def body():
        async with served() as (venue, address):
            client = client_of(venue, address)
            try:
                await client.load_markets()
                await scenario(venue, client)
            finally:
                await client.close()

    run_live(body)


async def leverage_proved(client, times):
    await client.set_position_mode(True, SYMBOL)
    await client.set_margin_mode("isolated", SYMBOL)
    for side in ("long", "short"):
        await client.set_leverage(times, SYMBOL, {"holdSide": side})
    found = await client.fetch_leverage(SYMBOL)
    assert (found["longLeverage"], found["shortLeverage"]) == (times, times)
    assert found["marginMode"] == "isolated"


async def next_book(client, change):
    """Return the book after a change, awaited before it is made."""
    awaited = asyncio.create_task(client.watch_order_book(SYMBOL))
    await asyncio.sleep(0.01)
    change()
    return await asyncio.wait_for(awaited, 2)


def test_the_whole_chain():
    async def scenario(venue, client):
        world = venue.world
        assert client.markets[SYMBOL]["precision"] == {"amount": 0.0001, "price": 0.1}
        assert (await client.fetch_balance())["USDT"]["total"] == 10_000
        await leverage_proved(client, 50)
        tiers = await client.fetch_market_leverage_tiers(SYMBOL)
        assert (tiers[0]["maxNotional"], tiers[0]["maxLeverage"]) == (200_000, 150)
        orders = Watcher(lambda: client.watch_orders(SYMBOL))
        book = await client.watch_order_book(SYMBOL)
        middle = (book["bids"][0][0] + book["asks"][0][0]) / 2
        await asyncio.sleep(0.05)

        await client.create_order(
            SYMBOL,
            "market",
            "buy",
            0.01,
            None,
            {
                **HEDGE,
                "clientOrderId": "g1",
                "takeProfit": {"triggerPrice": round(middle * 1.01)},
                "stopLoss": {"triggerPrice": round(middle * 0.99)},
            },
        )
        entry = await orders.until(lambda one: one["status"] == "closed")
        assert (entry["clientOrderId"], entry["side"], entry["filled"]) == ("g1", "buy", 0.01)
        (position,) = await client.fetch_positions([SYMBOL])
        assert (position["side"], position["contracts"], position["leverage"]) == ("long", 0.01, 50)
        assert position["hedged"]
        trigger = {"trigger": True, "planType": "profit_loss"}
        waiting = await client.fetch_open_orders(SYMBOL, None, None, trigger)
        assert {one["info"]["planType"] for one in waiting} == {"pos_loss", "pos_profit"}
        assert await client.fetch_open_orders(SYMBOL) == []

        half = await client.create_order(
            SYMBOL, "market", "sell", 0.004, None, {**HEDGE, "reduceOnly": True}
        )
        closed = await orders.until(
            lambda one: one["id"] == half["id"] and one["status"] == "closed"
        )
        assert (closed["side"], closed["info"]["tradeSide"]) == ("buy", "close")

        higher = Decimal(round(middle * 1.0105))
        book = await next_book(client, lambda: world.move(BTC, to_price=higher))
        assert book["bids"][0][0] == pytest.approx(float(higher), abs=1)
        fired = await orders.until(lambda one: one["status"] == "closed" and one["filled"] == 0.006)
        assert fired["average"] > middle * 1.009
        assert await client.fetch_positions([SYMBOL]) == []
        assert await client.fetch_open_orders(SYMBOL, None, None, trigger) == []
        trades = await client.fetch_my_trades(SYMBOL)
        assert [one["amount"] for one in trades] == [0.01, 0.004, 0.006]
        assert all(one["fee"]["cost"] > 0 for one in trades)
        history = await client.fetch_closed_orders(SYMBOL)
        assert [(one["side"], one["reduceOnly"]) for one in history] == [
            ("buy", False),
            ("sell", True),
            ("sell", True),
        ]
        (over,) = await client.fetch_positions_history([SYMBOL])
        balance = (await client.fetch_balance())["USDT"]["total"]
        assert float(over["info"]["netProfit"]) == pytest.approx(balance - 10_000, abs=1e-7)
        await orders.close()

    on_venue(scenario)


def test_the_book_stays_sound_through_many_changes():
    async def scenario(venue, client):
        world = venue.world
        await client.watch_order_book(SYMBOL)
        for step in (3, -5, 40, -300, 7):
            ticks = step

            def change(ticks=ticks):
                world.move(BTC, ticks)

            book = await next_book(client, change)
            best = world.levels(BTC, 1, 1)[0][0]
            assert round(book["bids"][0][0] * 10) == best
            assert len(book["bids"]) == len(book["asks"]) == 200

    on_venue(scenario)


def test_a_wrong_checksum_makes_ccxt_drop_the_book_and_subscribe_anew():
    async def scenario(venue, client):
        await client.watch_order_book(SYMBOL)
        venue.dialect.command("spoil_checksum", {"symbol": BTC})
        with pytest.raises((ccxt.ChecksumError, ccxt.UnsubscribeError)):
            await next_book(client, lambda: venue.world.move(BTC, 5))
        # ccxt complains twice, as the book is dropped and after: the next watch may get the second
        book = None
        for _ in range(2):
            with suppress(ccxt.ChecksumError):
                book = await next_book(client, lambda: venue.world.move(BTC, 5))
        assert round(book["bids"][0][0] * 10) == venue.world.levels(BTC, 1, 1)[0][0]

    on_venue(scenario)


def test_stop_and_target_orders_are_placed_edited_listed_and_cancelled():
    async def scenario(venue, client):
        world = venue.world
        await leverage_proved(client, 20)
        await client.create_order(SYMBOL, "market", "sell", 0.01, None, HEDGE)
        price = float(world.exchange.mark(BTC))
        stop = await client.create_order(
            SYMBOL,
            "market",
            "buy",
            0.01,
            None,
            {"hedged": True, "stopLossPrice": round(price * 1.01), "clientOrderId": "sl"},
        )
        ask = {"trigger": True, "planType": "profit_loss"}
        (row,) = await client.fetch_open_orders(SYMBOL, None, None, ask)
        assert (row["id"], row["clientOrderId"]) == (stop["id"], "sl")
        assert (row["info"]["planType"], row["info"]["posSide"]) == ("pos_loss", "short")
        edited = await client.edit_order(
            stop["id"], SYMBOL, "market", "buy", 0.01, None, {"stopLossPrice": round(price * 1.02)}
        )
        assert edited["id"] == stop["id"]
        (row,) = await client.fetch_open_orders(SYMBOL, None, None, ask)
        assert row["triggerPrice"] == round(price * 1.02)
        await client.cancel_order(stop["id"], SYMBOL, {"trigger": True, "planType": "pos_loss"})
        assert await client.fetch_open_orders(SYMBOL, None, None, ask) == []
        await client.close_position(SYMBOL, "short")
        assert await client.fetch_positions([SYMBOL]) == []

    on_venue(scenario)


def test_one_way_mode_buys_sells_and_reduces():
    async def scenario(venue, client):
        await client.set_position_mode(False, SYMBOL)
        await client.set_leverage(25, SYMBOL)
        price = float(venue.world.exchange.mark(BTC))
        isolated = {"marginMode": "isolated"}
        protected = {**isolated, "stopLoss": {"triggerPrice": round(price * 1.01)}}
        await client.create_order(SYMBOL, "market", "sell", 0.02, None, protected)
        (position,) = await client.fetch_positions([SYMBOL])
        assert (position["side"], position["contracts"], position["hedged"]) == (
            "short",
            0.02,
            False,
        )
        assert position["leverage"] == 25
        await client.create_order(
            SYMBOL, "market", "buy", 0.005, None, {**isolated, "reduceOnly": True}
        )
        (position,) = await client.fetch_positions([SYMBOL])
        assert position["contracts"] == 0.015
        venue.world.move(BTC, to_price=Decimal(round(price * 1.0105)))
        assert await client.fetch_positions([SYMBOL]) == []
        sides = [
            (one["side"], one["reduceOnly"]) for one in await client.fetch_closed_orders(SYMBOL)
        ]
        assert sides == [("sell", False), ("buy", True), ("buy", True)]

    on_venue(scenario)


def test_limit_orders_rest_and_end_as_ccxt_sees_them():
    async def scenario(venue, client):
        world = venue.world
        await leverage_proved(client, 20)
        low = float(world.exchange.mark(BTC)) * 0.98
        one = await client.create_order(
            SYMBOL, "limit", "buy", 0.01, low, {**HEDGE, "postOnly": True}
        )
        found = await client.fetch_order(one["id"], SYMBOL)
        assert (found["status"], found["postOnly"], found["filled"]) == ("open", True, 0)
        await client.create_order(SYMBOL, "limit", "buy", 0.01, low, HEDGE)
        assert len(await client.fetch_open_orders(SYMBOL)) == 2
        await client.cancel_order(one["id"], SYMBOL)
        assert len(await client.cancel_all_orders(SYMBOL)) == 1
        ended = await client.fetch_canceled_orders(SYMBOL)
        assert [order["status"] for order in ended] == ["canceled", "canceled"]

    on_venue(scenario)


def test_public_and_private_streams_of_ccxt():
    async def scenario(venue, client):
        world = venue.world
        await leverage_proved(client, 20)
        trades = Watcher(lambda: client.watch_trades(SYMBOL))
        fills = Watcher(lambda: client.watch_my_trades(SYMBOL))
        positions = Watcher(client.watch_positions)
        ticker = await client.watch_ticker(SYMBOL)
        assert ticker["last"] == float(world.ticker(BTC).last)
        candles = await client.watch_ohlcv(SYMBOL)
        assert candles[-1][4] == ticker["last"]
        balance = asyncio.create_task(client.watch_balance())
        await asyncio.sleep(0.05)
        await client.create_order(SYMBOL, "market", "buy", 0.01, None, HEDGE)
        fill = await fills.until(lambda one: one["amount"] == 0.01)
        assert (fill["side"], fill["takerOrMaker"]) == ("buy", "taker")
        position = await positions.until(lambda one: one["contracts"] == 0.01)
        assert (position["side"], position["leverage"]) == ("long", 20)
        await trades.until(lambda one: one["amount"] == 0.01)
        assert (await asyncio.wait_for(balance, 2))["USDT"]["total"] <= 10_000
        for watcher in (trades, fills, positions):
            await watcher.close()

    on_venue(scenario)


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (Rule(kind="order_refused", code=40762), ccxt.InsufficientFunds),
        (Rule(kind="order_refused", code=40774), ccxt.InvalidOrder),
        (Rule(kind="order_refused", code=45110), ccxt.InvalidOrder),
        (Rule(kind="stop_refused"), ccxt.InvalidOrder),
        (Rule(kind="rate_limited", path="place-order"), ccxt.DDoSProtection),
        (Rule(kind="http_status", path="place-order", status=503), ccxt.ExchangeNotAvailable),
    ],
)
def test_refusals_become_ccxts_errors(rule, error):
    async def scenario(venue, client):
        world = venue.world
        await leverage_proved(client, 20)
        world.faults.add(rule)
        stop = round(float(world.exchange.mark(BTC)) * 0.99)
        with pytest.raises(error):
            await client.create_order(
                SYMBOL, "market", "buy", 0.01, None, {**HEDGE, "stopLoss": {"triggerPrice": stop}}
            )
        assert await client.fetch_positions([SYMBOL]) == []

    on_venue(scenario)
