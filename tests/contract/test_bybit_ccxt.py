"""An unmodified ccxt.pro Bybit client, URLs changed only, through the whole chain over loopback."""

import asyncio
import json
from decimal import Decimal

import ccxt.pro as ccxt
import pytest

from tests.bybit_venue import BTC, KEY, SECRET, served
from tests.localvenue_desk import run_live

SYMBOL = "BTC/USDT:USDT"


def client_of(address, **more):
    """Return a client whose only difference is where it points (VENUES 1.2)."""
    http, ws = f"http://{address}", f"ws://{address}"
    sockets = {
        "public": {"linear": f"{ws}/v5/public/linear"},
        "private": {"contract": f"{ws}/v5/private", "trade": f"{ws}/v5/trade"},
    }
    options = {
        "fetchMarkets": {"types": ["linear"]},
        "enableUnifiedMargin": False,
        "enableUnifiedAccount": True,
        "unifiedMarginStatus": 6,
    }
    return ccxt.bybit(
        {
            "apiKey": KEY,
            "secret": SECRET.decode(),
            "enableRateLimit": False,
            "urls": {"api": {"public": http, "private": http, "ws": sockets}},
            "options": options,
            **more,
        }
    )


def test_what_the_venue_describes_is_enough_for_a_client():
    async def scenario():
        async with served() as (venue, address):
            described = json.dumps(venue.dialect.describe())
            for base, scheme in (("{http}", "http"), ("{ws}", "ws")):
                described = described.replace(base, f"{scheme}://{address}")
            read = json.loads(described)
            client = getattr(ccxt, read.pop("ccxt"))(
                {"apiKey": KEY, "secret": SECRET.decode(), "enableRateLimit": False, **read}
            )
            async with client:
                await client.watch_ticker(SYMBOL)
                placed = await client.create_order_ws(SYMBOL, "market", "buy", 0.01)
                assert [t["order"] for t in await client.fetch_my_trades(SYMBOL)] == [placed["id"]]

    run_live(scenario)


async def reached(condition, timeout_s=3.0):
    """Wait until a condition holds; its time-out is the test's failure."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - ccxt's caches tell nobody of a change
            await asyncio.sleep(0.005)


class Watcher:
    """Keeps copies of what a watch call brings: ccxt mutates what it hands out."""

    def __init__(self, watch):
        self.seen = []
        self._watch = watch
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        while True:
            self.seen += [dict(one) for one in await self._watch()]

    async def until(self, wanted):
        await reached(lambda: any(wanted(one) for one in self.seen))
        return next(one for one in self.seen if wanted(one))

    async def stop(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def prepared(client):
    """Load markets, read the balance, set leverage to 50 and verify it."""
    markets = await client.load_markets()
    assert SYMBOL in markets
    assert markets[SYMBOL]["limits"]["leverage"] == {"min": 1.0, "max": 100.0}
    assert markets[SYMBOL]["precision"] == {"amount": 0.001, "price": 0.1}
    balance = await client.fetch_balance()
    assert balance["USDT"]["total"] == 100_000.0
    await client.set_margin_mode("isolated", SYMBOL)
    await client.set_leverage(50, SYMBOL)
    read_back = await client.fetch_leverage(SYMBOL)
    assert (read_back["longLeverage"], read_back["shortLeverage"]) == (50, 50)
    assert (await client.fetch_margin_mode(SYMBOL))["info"]["marginMode"] == "ISOLATED_MARGIN"


async def bracket(client, price):
    """Open 0.01 with stop and target by the mark price, in one call."""
    return await client.create_order(
        SYMBOL,
        "market",
        "buy",
        0.01,
        None,
        {
            "clientOrderId": "c1",
            "takeProfit": {"triggerPrice": float(price + 100)},
            "stopLoss": {"triggerPrice": float(price - 100)},
            "tpTriggerBy": "MarkPrice",
            "slTriggerBy": "MarkPrice",
        },
    )


def test_the_whole_chain():
    async def scenario():
        async with served() as (venue, address), client_of(address) as client:
            await prepared(client)
            price = venue.price()
            book = await client.watch_order_book(SYMBOL)
            assert book["bids"][0][0] == float(price - Decimal("0.1"))
            orders, trades = Watcher(client.watch_orders), Watcher(client.watch_my_trades)
            await asyncio.sleep(0.2)
            created = await bracket(client, price)
            assert created["clientOrderId"] == "c1"
            filled = await orders.until(
                lambda o: o["clientOrderId"] == "c1" and o["status"] == "closed"
            )
            assert (filled["id"], filled["filled"]) == (created["id"], 0.01)
            children = await client.fetch_open_orders(SYMBOL, params={"orderFilter": "StopOrder"})
            legs = {one["info"]["stopOrderType"]: one for one in children}
            assert set(legs) == {"TakeProfit", "StopLoss"}
            assert {one["info"]["orderLinkId"] for one in children} == {""}
            assert {one["info"]["parentOrderLinkId"] for one in children} == {"c1"}
            [position] = await client.fetch_positions([SYMBOL])
            assert (position["side"], position["contracts"]) == ("long", 0.01)
            assert position["leverage"] == 50.0
            assert position["stopLossPrice"] == float(price - 100)
            assert 0 < position["liquidationPrice"] < position["stopLossPrice"]
            await client.create_order(
                SYMBOL, "market", "sell", 0.004, None, {"reduceOnly": True, "clientOrderId": "r1"}
            )
            assert (await client.fetch_positions([SYMBOL]))[0]["contracts"] == 0.006

            venue.world.move(BTC, to_price=price + 150)
            fired = await orders.until(
                lambda o: o["id"] == legs["TakeProfit"]["id"] and o["status"] == "closed"
            )
            assert (fired["filled"], fired["reduceOnly"]) == (0.006, True)
            await orders.until(
                lambda o: o["id"] == legs["StopLoss"]["id"] and o["status"] == "canceled"
            )
            assert (await client.fetch_positions([SYMBOL]))[0]["contracts"] == 0.0
            await reached(lambda: client.orderbooks[SYMBOL]["bids"][0][0] > float(price + 149))
            own_book = client.orderbooks[SYMBOL]
            venue_book = await client.fetch_order_book(SYMBOL, 50)
            assert own_book["bids"][:50] == venue_book["bids"]
            assert own_book["asks"][:50] == venue_book["asks"]
            await trades.until(lambda t: t["order"] == legs["TakeProfit"]["id"])
            history = await client.fetch_my_trades(SYMBOL)
            assert [(t["side"], t["amount"]) for t in history] == [
                ("buy", 0.01),
                ("sell", 0.004),
                ("sell", 0.006),
            ]
            closed = await client.fetch_closed_orders(SYMBOL)
            assert {o["clientOrderId"] for o in closed} >= {"c1", "r1"}
            wallet = Decimal(str((await client.fetch_balance())["USDT"]["total"]))
            assert wallet == venue.world.exchange.ledger("main").wallet_usdt
            await orders.stop()
            await trades.stop()

    run_live(scenario, timeout_s=20)


def test_orders_over_the_order_socket():
    async def scenario():
        async with served() as (venue, address), client_of(address) as client:
            await client.load_markets()
            price = float(venue.price() - 1000)
            placed = await client.create_order_ws(
                SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": "w1"}
            )
            [found] = await client.fetch_open_orders(SYMBOL, params={"orderLinkId": "w1"})
            assert (found["id"], found["status"], found["price"]) == (placed["id"], "open", price)
            with pytest.raises(ccxt.InvalidOrder, match="110072"):
                await client.create_order_ws(
                    SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": "w1"}
                )
            await client.edit_order_ws(placed["id"], SYMBOL, "limit", "buy", 0.02, price)
            [found] = await client.fetch_open_orders(SYMBOL)
            assert found["amount"] == 0.02
            await client.cancel_order_ws(placed["id"], SYMBOL)
            assert await client.fetch_open_orders(SYMBOL) == []
            with pytest.raises(ccxt.OrderNotFound, match="110001"):
                await client.cancel_order_ws(placed["id"], SYMBOL)

    run_live(scenario, timeout_s=20)


def test_refusals_reach_the_client_as_its_classes():
    async def scenario():
        async with (
            served(symbols=[BTC, "ADAUSDT"]) as (venue, address),
            client_of(address) as client,
        ):
            await client.load_markets()
            buy = (SYMBOL, "market", "buy")
            with pytest.raises(ccxt.BadRequest, match="110013"):
                await client.set_leverage(101, SYMBOL)
            with pytest.raises(ccxt.NoChange, match="110025"):
                await client.set_position_mode(False, SYMBOL)
            with pytest.raises(ccxt.MarginModeAlreadySet, match="110026"):
                await client.set_margin_mode("cross", SYMBOL)
            with pytest.raises(ccxt.InvalidOrder, match="110017"):
                await client.create_order(*buy, 0.01, None, {"reduceOnly": True})
            with pytest.raises(ccxt.InsufficientFunds, match="110007"):
                await client.create_order(SYMBOL, "limit", "buy", 40, float(venue.price()))
            with pytest.raises(ccxt.BadRequest, match="exceeds maximum limit"):
                await client.create_order(*buy, 101)
            with pytest.raises(ccxt.InvalidOrder, match="110094"):
                await client.create_order("ADA/USDT:USDT", "market", "buy", 1)
            bad = client_of(address, secret="other")
            with pytest.raises(ccxt.AuthenticationError, match="10004"):
                await bad.fetch_balance()
            with pytest.raises(ccxt.AuthenticationError):
                await bad.watch_orders()
            await bad.close()

    run_live(scenario, timeout_s=20)


def test_market_streams_and_positions():
    async def scenario():
        async with served() as (venue, address), client_of(address) as client:
            await client.load_markets()
            ticker = await client.watch_ticker(SYMBOL)
            assert ticker["last"] == float(venue.price())
            positions = Watcher(client.watch_positions)
            trades = Watcher(lambda: client.watch_trades(SYMBOL))
            candles = asyncio.create_task(client.watch_ohlcv(SYMBOL, "1m"))
            await asyncio.sleep(0.2)
            await client.create_order(SYMBOL, "market", "buy", 0.01)
            held = await positions.until(lambda p: p["contracts"] == 0.01)
            assert (held["symbol"], held["side"]) == (SYMBOL, "long")
            printed = await trades.until(lambda t: t["amount"] == 0.01)
            assert printed["side"] == "buy"
            assert (await asyncio.wait_for(candles, 3))[-1][5] >= 0.01
            tiers = await client.fetch_market_leverage_tiers(SYMBOL)
            assert (tiers[0]["maxLeverage"], tiers[0]["maintenanceMarginRate"]) == (100.0, 0.005)
            assert len(tiers) == 34
            await positions.stop()
            await trades.stop()

    run_live(scenario, timeout_s=20)
