"""An unmodified ccxt.pro client trades on the Binance venue over loopback: only URLs change."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal

import ccxt.pro
import pytest
from ccxt import ExchangeError, NetworkError, OrderNotFound, RateLimitExceeded

from hfengine.clock import WallClock
from hfengine.localvenue.binance.dialect import BinanceDialect
from hfengine.localvenue.faults import Rule
from hfengine.localvenue.server import VenueServer
from hfengine.localvenue.world import make_world
from tests.localvenue_desk import run_live

SYMBOL = "BTC/USDT:USDT"


def addressed(described, http, ws):
    """Return what the dialect says of a client's options, with the addresses filled in."""
    if isinstance(described, dict):
        return {name: addressed(given, http, ws) for name, given in described.items()}
    if isinstance(described, str):
        return described.replace("{http}", http).replace("{ws}", ws)
    return described


@asynccontextmanager
async def trading(**options):
    """Serve a Binance venue and open a client of it."""
    loop = asyncio.get_running_loop()
    world = make_world(
        "binance", loop=loop, clock=WallClock(), symbols=["BTCUSDT", "ETHUSDT"], **options
    )
    dialect = BinanceDialect(world)
    server = VenueServer(world, dialect)
    await server.start()
    where = f"127.0.0.1:{server.port}"
    described = addressed(dialect.describe(), f"http://{where}", f"ws://{where}")
    client = getattr(ccxt.pro, described["ccxt"])(
        {
            "apiKey": "k-test",
            "secret": "s-test",
            "enableRateLimit": False,
            "urls": described["urls"],
            "options": described["options"],
        }
    )
    # ccxt takes its futures table of errors only for the exchange's own hosts
    client.get_exceptions_by_url = lambda url, kind: client.exceptions["linear"].get(kind, {})
    try:
        yield world, client
    finally:
        await client.close()
        await server.close()


class Pump:
    """Collects everything that one watch call of the client yields, as plain copies."""

    def __init__(self, watch):
        self.seen = []
        self._arrived = asyncio.Event()
        self._task = asyncio.create_task(self._run(watch))

    async def _run(self, watch):
        while True:
            for one in await watch():
                self.seen.append(dict(one))
            self._arrived.set()

    async def until(self, test):
        """Wait until something seen passes a test, and return it."""
        while True:
            found = next((one for one in self.seen if test(one)), None)
            if found is not None:
                return found
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), 3)

    async def stop(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def has(**wanted):
    return lambda one: all(one[name] == given for name, given in wanted.items())


async def place_bracket(client, client_id):
    """Place an entry, its stop and its target; return stop and target."""
    entry = await client.create_order(
        SYMBOL, "market", "buy", 0.02, None, {"newClientOrderId": client_id}
    )
    assert (entry["status"], entry["filled"]) == ("closed", 0.02)
    legs = []
    for leg, name, price in (("sl", "stopLossPrice", 61000), ("tp", "takeProfitPrice", 62000)):
        params = {name: price, "closePosition": True, "workingType": "MARK_PRICE"}
        params["clientAlgoId"] = f"{client_id}-{leg}"
        legs.append(await client.create_order(SYMBOL, "market", "sell", 0, None, params))
    return legs


def test_the_whole_chain():
    async def scenario():
        async with trading() as (world, client):
            markets = await client.load_markets()
            assert set(markets) == {"BTC/USDT:USDT", "ETH/USDT:USDT"}
            assert markets[SYMBOL]["limits"]["cost"]["min"] == 100.0
            precision = markets[SYMBOL]["precision"]
            assert (precision["price"], precision["amount"]) == (0.1, 0.001)
            balance = (await client.fetch_balance())["USDT"]
            assert balance == {"free": 10000.0, "used": 0.0, "total": 10000.0}
            said = await client.set_leverage(50, SYMBOL)
            assert said["leverage"] == 50
            assert (await client.fetch_leverage(SYMBOL))["longLeverage"] == 50
            await client.set_margin_mode("isolated", SYMBOL)

            orders, trades = Pump(client.watch_orders), Pump(client.watch_my_trades)
            book = await asyncio.wait_for(client.watch_order_book(SYMBOL), 3)
            assert (book["bids"][0][0], book["asks"][0][0]) == (61800.1, 61800.3)

            stop, target = await place_bracket(client, "b0")
            waiting = await client.fetch_open_orders(SYMBOL, None, None, {"trigger": True})
            assert [one["clientOrderId"] for one in waiting] == ["b0-sl", "b0-tp"]
            assert await client.fetch_open_orders(SYMBOL) == []
            await orders.until(has(id=target["id"], status="open"))
            (position,) = await client.fetch_positions([SYMBOL])
            assert (position["side"], position["contracts"]) == ("long", 0.02)
            assert position["marginMode"] == "isolated"
            assert 60700 < position["liquidationPrice"] < 60900

            half = await client.create_order(
                SYMBOL, "market", "sell", 0.008, None, {"reduceOnly": True}
            )
            assert half["status"] == "closed"
            (position,) = await client.fetch_positions([SYMBOL])
            assert position["contracts"] == 0.012

            # the venue writes milliseconds, and ccxt sorts by them
            await asyncio.sleep(0.005)
            world.move("BTCUSDT", to_price=Decimal("62100"))
            fired = await orders.until(has(id=target["id"], status="closed"))
            spawned = await orders.until(has(id=fired["info"]["ai"], status="closed"))
            assert (spawned["type"], spawned["filled"]) == ("market", 0.012)
            assert spawned["info"]["ot"] == "TAKE_PROFIT_MARKET"
            await trades.until(has(order=spawned["id"]))
            assert await client.fetch_positions([SYMBOL]) == []

            # the sibling outlives the position, and is the client's to cancel
            gone = await client.cancel_order(stop["id"], SYMBOL, {"trigger": True})
            assert gone["status"] == "canceled"
            history = await client.fetch_my_trades(SYMBOL)
            assert [one["amount"] for one in history] == [0.02, 0.008, 0.012]
            closed = await client.fetch_closed_orders(SYMBOL)
            assert [one["filled"] for one in closed] == [0.02, 0.008, 0.012]
            total = (await client.fetch_balance())["USDT"]["total"]
            assert total == float(world.exchange.balance("main").wallet_usdt)
            for pump in (orders, trades):
                await pump.stop()

    run_live(scenario)


def test_orders_over_the_websocket_api():
    async def scenario():
        async with trading() as (_, client):
            await client.load_markets()
            placed = await client.create_order_ws(
                SYMBOL, "limit", "buy", 0.01, 61000, {"newClientOrderId": "w1"}
            )
            assert placed["status"] == "open"
            with pytest.raises(ExchangeError, match='"code":-4116'):
                await client.create_order_ws(
                    SYMBOL, "limit", "buy", 0.01, 61000, {"newClientOrderId": "w1"}
                )
            changed = await client.edit_order_ws(placed["id"], SYMBOL, "limit", "buy", 0.02, 61010)
            assert (changed["price"], changed["amount"]) == (61010, 0.02)
            gone = await client.cancel_order_ws(placed["id"], SYMBOL)
            assert gone["status"] == "canceled"
            algo = await client.create_order_ws(
                SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": 60000}
            )
            listed = await client.fetch_open_orders(SYMBOL, None, None, {"trigger": True})
            assert [one["id"] for one in listed] == [algo["id"]]

    run_live(scenario)


def test_public_streams():
    async def scenario():
        async with trading() as (world, client):
            await client.load_markets()
            watches = {
                "ticker": client.watch_ticker(SYMBOL),
                "mark": client.watch_mark_price(SYMBOL),
                "trades": client.watch_trades(SYMBOL),
                "quotes": client.watch_bids_asks([SYMBOL]),
                "candles": client.watch_ohlcv(SYMBOL, "1m"),
            }
            tasks = {name: asyncio.create_task(one) for name, one in watches.items()}
            await asyncio.sleep(0.3)
            world.move("BTCUSDT", to_price=Decimal("61900"))
            seen = dict(zip(tasks, await asyncio.gather(*tasks.values()), strict=True))
            assert seen["mark"]["markPrice"] == 61900
            assert seen["ticker"]["last"] == float(world.ticker("BTCUSDT").last)
            assert seen["quotes"][SYMBOL]["bid"] == 61899.9
            assert [one["price"] for one in seen["trades"]] == [61900.1]
            assert len(seen["candles"][0]) == 6

    run_live(scenario)


def test_errors_arrive_as_their_classes():
    async def scenario():
        async with trading() as (world, client):
            await client.load_markets()
            cases = [
                ((SYMBOL, "market", "buy", 5), {}, "InsufficientFunds", -2019),
                ((SYMBOL, "market", "buy", 0.01), {"reduceOnly": True}, "InvalidOrder", -2022),
                ((SYMBOL, "market", "buy", 0.001), {}, "InvalidOrder", -4164),
                (
                    (SYMBOL, "market", "sell", 0.01),
                    {"stopLossPrice": 70000},
                    "OrderImmediatelyFillable",
                    -2021,
                ),
                (
                    (SYMBOL, "limit", "buy", 0.01, 61900),
                    {"postOnly": True},
                    "OrderNotFillable",
                    -5022,
                ),
            ]
            for given, params, name, code in cases:
                arguments = [*given, *([None] * (5 - len(given)))]
                with pytest.raises(ExchangeError, match=str(code)) as refused:
                    await client.create_order(*arguments, params)
                assert type(refused.value).__name__ == name
            with pytest.raises(OrderNotFound):
                await client.fetch_order("1", SYMBOL)
            with pytest.raises(OrderNotFound):
                await client.cancel_order("1", SYMBOL)
            world.faults.add(Rule(kind="rate_limited", path="/fapi/v1/order"))
            with pytest.raises((RateLimitExceeded, NetworkError), match="-1003"):
                await client.create_order(SYMBOL, "market", "buy", 0.01)

    run_live(scenario)


def test_an_order_whose_answer_was_cut_off_is_found_by_its_id():
    async def scenario():
        async with trading() as (world, client):
            await client.load_markets()
            world.faults.add(Rule(kind="cut_after", path="/fapi/v1/order"))
            with pytest.raises(NetworkError):
                await client.create_order(
                    SYMBOL, "limit", "buy", 0.01, 61000, {"newClientOrderId": "lost"}
                )
            found = await client.fetch_order(None, SYMBOL, {"origClientOrderId": "lost"})
            assert found["status"] == "open"

    run_live(scenario)


def test_a_book_survives_many_changes():
    async def scenario():
        async with trading() as (world, client):
            await client.load_markets()
            await client.watch_order_book(SYMBOL)
            for number in range(5):
                world.move("BTCUSDT", 3)
                world.set_level("BTCUSDT", 1, 617_000 + number, 90 + number)
                book = await asyncio.wait_for(client.watch_order_book(SYMBOL), 3)
            await asyncio.sleep(0.3)
            best = world.levels("BTCUSDT", 1, 1)[0]
            assert book["bids"][0] == [pytest.approx(best[0] / 10), best[1] / 1000]

    run_live(scenario)
