"""Settings, positions, wallet, executions and closed PnL over REST; pages of long lists."""

from decimal import Decimal

import pytest

from hfengine.localvenue.bybit.identity import order_id
from hfengine.localvenue.faults import Rule
from tests.bybit_venue import BTC, ETH, away, run, turn

D = Decimal


def leverage(buy, sell=None, symbol=BTC):
    sell = buy if sell is None else sell
    return {"category": "linear", "symbol": symbol, "buyLeverage": buy, "sellLeverage": sell}


async def set_leverage(venue, *given, **named):
    return (await venue.post("position/set-leverage", **leverage(*given, **named)))["retCode"]


async def read_leverage(venue, symbol=BTC):
    return [row["leverage"] for row in await venue.rows("position/list", symbol=symbol)]


def test_leverage_is_text_and_read_back():
    async def scenario(venue):
        assert await read_leverage(venue) == ["20"]
        codes = [
            await set_leverage(venue, *given)
            for given in (("50",), ("50",), ("101",), ("0",), ("12.5",), ("10", "20"))
        ]
        assert codes == [0, 110043, 110013, 10001, 10001, 10001]
        assert await read_leverage(venue) == ["50"]
        assert await read_leverage(venue, ETH) == ["20"]
        assert await set_leverage(venue, "5", symbol="NOPE") == 10001

    run(scenario)


def test_leverage_that_the_tier_or_the_margin_does_not_bear():
    async def scenario(venue):
        assert await set_leverage(venue, "100") == 0
        assert (await venue.order(qty="40"))["retCode"] == 110090
        assert await set_leverage(venue, "20") == 0
        assert (await venue.order(qty="40"))["retCode"] == 0
        answer = await venue.post("position/set-leverage", **leverage("100"))
        assert (answer["retCode"], answer["retMsg"]) == (
            110013,
            "cannot set leverage [10000] gt maxLeverage [10000] by risk limit",
        )
        assert await set_leverage(venue, "2") == 110044
        assert await read_leverage(venue) == ["20"]

    run(scenario, wallet_usdt=D(200_000))


def test_a_leverage_the_venue_keeps_is_seen_only_when_read_back():
    async def scenario(venue):
        venue.world.faults.add(Rule(kind="leverage_kept", symbol=BTC))
        assert await set_leverage(venue, "50") == 0
        assert await read_leverage(venue) == ["20"]
        assert await set_leverage(venue, "50") == 0
        assert await read_leverage(venue) == ["50"]

    run(scenario)


def test_hedge_mode_has_two_leverages():
    async def scenario(venue):
        mode = {"category": "linear", "symbol": BTC}
        assert (await venue.post("position/switch-mode", mode=0, **mode))["retCode"] == 110025
        assert (await venue.post("position/switch-mode", mode=1, **mode))["retCode"] == 10001
        assert (await venue.post("position/switch-mode", mode=3, **mode))["retCode"] == 0
        assert await set_leverage(venue, "10", "30") == 0
        assert await read_leverage(venue) == ["10", "30"]
        assert await set_leverage(venue, "10", "30") == 110043
        await venue.order(positionIdx=1, orderType="Limit", price=away(venue, -1))
        assert (await venue.post("position/switch-mode", mode=0, **mode))["retCode"] == 110028

    run(scenario)


def test_margin_mode_is_the_whole_accounts():
    async def scenario(venue):
        async def choose(mode):
            return await venue.post("account/set-margin-mode", setMarginMode=mode)

        async def read():
            return (await venue.get("account/info"))["result"]["marginMode"]

        assert (await choose("REGULAR_MARGIN"))["retCode"] == 110026
        assert (await choose("ISOLATED_MARGIN"))["result"] == {"reasons": []}
        assert await read() == "ISOLATED_MARGIN"
        modes = {venue.world.exchange.leverage("main", one).margin_mode for one in (BTC, ETH)}
        assert modes == {"isolated"}
        assert (await choose("PORTFOLIO_MARGIN"))["retCode"] == 3400045
        assert (await choose("SOME"))["retCode"] == 10001
        await venue.order()
        answer = await choose("REGULAR_MARGIN")
        assert (answer["retCode"], len(answer["result"]["reasons"])) == (3400045, 1)
        assert await read() == "ISOLATED_MARGIN"

    run(scenario)


def test_trading_stop_sets_amends_and_removes_in_place():
    async def scenario(venue):
        named = {"category": "linear", "symbol": BTC, "positionIdx": 0}

        async def stop(**given):
            return (await venue.post("position/trading-stop", **{**named, **given}))["retCode"]

        low, lower, high = away(venue, -1), away(venue, -2), away(venue, 1)
        assert await stop(stopLoss=low) == 10001
        await venue.order()
        assert await stop(stopLoss=low, slTriggerBy="MarkPrice") == 0
        [child] = await venue.rows("order/realtime")
        assert (child["stopOrderType"], child["triggerBy"]) == ("StopLoss", "MarkPrice")
        assert await stop(stopLoss=low, slTriggerBy="MarkPrice") == 34040
        assert await stop(stopLoss=low, slTriggerBy="LastPrice") == 0
        assert await stop(stopLoss=lower, slTriggerBy="MarkPrice") == 0
        assert await stop(takeProfit=high, tpTriggerBy="LastPrice") == 0
        rows = {row["stopOrderType"]: row for row in await venue.rows("order/realtime")}
        assert rows["StopLoss"]["orderId"] == child["orderId"]
        assert [rows[one]["triggerBy"] for one in ("StopLoss", "TakeProfit")] == [
            "MarkPrice",
            "LastPrice",
        ]
        [position] = await venue.rows("position/list")
        assert (position["stopLoss"], position["takeProfit"]) == (lower, high)
        assert await stop(stopLoss=high) == 10001
        venue.world.clock_skew_ns += 1_000_000_000
        assert await stop(stopLoss="0") == 0
        [position] = await venue.rows("position/list")
        assert (position["stopLoss"], position["takeProfit"]) == ("0", high)
        assert await stop(stopLoss=low, positionIdx=1) == 10001
        assert await stop(stopLoss=low, positionIdx="") == 10001
        assert await stop(trailingStop="5") == 10001
        venue.world.faults.add(Rule(kind="stop_refused"))
        assert await stop(stopLoss=low) == 110093

    run(scenario)


def test_partial_stops_are_added_both_or_none():
    async def scenario(venue):
        named = {"category": "linear", "symbol": BTC, "positionIdx": 0, "tpslMode": "Partial"}
        low, high = away(venue, -1), away(venue, 1)
        await venue.order()
        half = {"stopLoss": low, "slSize": "0.004", "takeProfit": high, "tpSize": "0.004"}
        assert (await venue.post("position/trading-stop", **named, **half))["retCode"] == 0
        rows = await venue.rows("order/realtime")
        assert [row["qty"] for row in rows] == ["0.004", "0.004"]
        wrong = {**half, "takeProfit": low}
        assert (await venue.post("position/trading-stop", **named, **wrong))["retCode"] == 10001
        uneven = {**half, "tpSize": "0.003"}
        assert (await venue.post("position/trading-stop", **named, **uneven))["retCode"] == 10001
        assert len(await venue.rows("order/realtime")) == 2
        assert (await venue.rows("position/list"))[0]["stopLoss"] == "0"

    run(scenario)


def test_the_wallet_is_the_ledger_to_the_last_unit():
    async def scenario(venue):
        await venue.order(qty="0.123")
        venue.world.move(BTC, 7)
        await venue.order(side="Sell", qty="0.05", reduceOnly=True)
        ledger = venue.world.exchange.ledger("main")
        answer = await venue.get("account/wallet-balance", accountType="UNIFIED")
        [row] = answer["result"]["list"]
        [coin] = row["coin"]
        assert D(coin["walletBalance"]) == ledger.wallet_usdt
        assert D(coin["cumRealisedPnl"]) == ledger.wallet_usdt - 100_000
        [position] = await venue.rows("position/list")
        assert D(row["totalPerpUPL"]) == D(position["unrealisedPnl"])
        assert D(row["totalEquity"]) == ledger.wallet_usdt + D(position["unrealisedPnl"])
        used = D(row["totalEquity"]) - D(row["totalInitialMargin"])
        assert D(row["totalAvailableBalance"]) == used
        assert D(coin["totalPositionIM"]) == D(position["positionIM"])
        await venue.order(orderType="Limit", price=away(venue, -2), qty="0.1")
        answer = await venue.get("account/wallet-balance", accountType="UNIFIED")
        assert D(answer["result"]["list"][0]["coin"][0]["totalOrderIM"]) > 0
        assert (await venue.get("account/wallet-balance", accountType="SPOT"))["retCode"] == 10001

    run(scenario)


def test_closed_pnl_is_after_the_fees_of_both_sides():
    async def scenario(venue):
        await venue.order(qty="0.1")
        bought = venue.world.exchange.fill_reports("main")[0].fill
        venue.world.move(BTC, 1000)
        sells = [
            await venue.order(side="Sell", qty=qty, reduceOnly=True) for qty in ("0.04", "0.06")
        ]
        rows = await venue.rows("position/closed-pnl")
        assert [row["orderId"] for row in reversed(rows)] == [
            sell["result"]["orderId"] for sell in sells
        ]
        assert [row["closedSize"] for row in rows] == ["0.060", "0.040"]
        gained = venue.world.exchange.ledger("main").wallet_usdt - 100_000
        assert sum(D(row["closedPnl"]) for row in rows) == gained
        assert {D(row["avgEntryPrice"]) for row in rows} == {bought.price}
        assert rows[0]["side"] == "Sell"

    run(scenario)


def test_executions_of_every_kind():
    async def scenario(venue):
        await venue.order(qty="0.1", orderLinkId="e")
        exchange = venue.world.exchange
        venue.world.pay_funding(BTC, D("0.0002"))
        await turn()
        venue.world.act(lambda now_ns: exchange.force_adl("main", BTC, D("0.03"), now_ns))
        venue.world.act(lambda now_ns: exchange.force_liquidation("main", BTC, now_ns))
        await turn()
        rows = await venue.rows("execution/list")
        assert [row["execType"] for row in rows] == ["BustTrade", "AdlTrade", "Funding", "Trade"]
        bust, adl, funding, trade = rows
        assert (adl["execQty"], adl["closedSize"], bust["execQty"]) == ("0.030", "0.030", "0.070")
        assert (adl["orderLinkId"], adl["execFee"]) == ("", "0")
        paid = D("0.1") * venue.price() * D("0.0002")
        assert D(funding["execFee"]) == paid
        assert (funding["feeRate"], funding["execQty"]) == ("0.0002", "0.1")
        assert (funding["orderType"], funding["side"]) == ("UNKNOWN", "Buy")
        assert (trade["orderLinkId"], trade["isMaker"]) == ("e", False)
        assert D(trade["execFee"]) == D(trade["execValue"]) * D("0.00055")
        assert len({row["execId"] for row in rows}) == 4
        only = await venue.rows("execution/list", execType="Trade")
        assert [row["execId"] for row in only] == [trade["execId"]]
        history = {row["createType"] for row in await venue.rows("order/history")}
        assert history == {
            "CreateByUser",
            "CreateByAdl_PassThrough",
            "CreateByTakeOver_PassThrough",
        }
        found = await venue.public("funding/history", category="linear", symbol=BTC)
        assert found["result"]["list"][0]["fundingRate"] == "0.0002"

    run(scenario)


async def pages(venue, path, **named):
    """Return the pages of a list, following its cursor."""
    found, cursor = [], ""
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer = await venue.get(path, category="linear", **named, **more)
        found.append(answer["result"]["list"])
        cursor = answer["result"]["nextPageCursor"]
        if not cursor:
            return found


def test_private_lists_come_in_pages_newest_first():
    async def scenario(venue):
        venue.dialect.command("order_rate", {"per_second": 100})
        sent = []
        for _ in range(7):
            answer = await venue.order(qty="0.001")
            sent.append(answer["result"]["orderId"])
        for path in ("order/history", "execution/list"):
            found = await pages(venue, path, symbol=BTC, limit=3)
            assert [len(page) for page in found] == [3, 3, 1]
            assert [row["orderId"] for page in found for row in page] == sent[::-1]
        assert (await venue.get("order/history", category="linear", cursor="x"))["retCode"] == 10001
        later = venue.world.now_ms() + 1
        assert await venue.rows("execution/list", startTime=later) == []
        assert len(await venue.rows("execution/list", endTime=later)) == 7

    run(scenario)


def test_instruments_and_tiers_come_in_pages():
    async def scenario(venue):
        seen, cursor = [], ""
        for wanted in (15, 15, 12):
            more = {"cursor": cursor} if cursor else {}
            answer = await venue.public("risk-limit", category="linear", **more)
            symbols = list(dict.fromkeys(row["symbol"] for row in answer["result"]["list"]))
            assert len(symbols) == wanted
            seen += symbols
            cursor = answer["result"]["nextPageCursor"]
        assert cursor == ""
        assert seen == list(venue.world.instruments)
        first = await venue.public("instruments-info", category="linear", limit=40)
        rest = await venue.public(
            "instruments-info", category="linear", cursor=first["result"]["nextPageCursor"]
        )
        rows = first["result"]["list"] + rest["result"]["list"]
        assert [row["symbol"] for row in rows] == seen
        assert rest["result"]["nextPageCursor"] == ""

    run(scenario, symbols=[BTC, ETH], listings=40)


@pytest.mark.parametrize("category", ["inverse", "spot", "option"])
def test_other_categories_exist_and_are_empty(category):
    async def scenario(venue):
        await venue.order()
        for path in ("position/list", "order/realtime", "execution/list", "order/history"):
            answer = await venue.get(path, category=category)
            assert (answer["retCode"], answer["result"]["list"]) == (0, [])
            assert answer["result"]["category"] == category
        answer = await venue.public("instruments-info", category=category)
        assert answer["result"]["list"] == []
        prelaunch = await venue.public("instruments-info", category="linear", status="PreLaunch")
        assert prelaunch["result"]["list"] == []

    run(scenario)


def test_lists_want_a_symbol_or_a_coin():
    async def scenario(venue):
        await venue.order()
        for path in ("position/list", "order/realtime"):
            assert (await venue.get(path, category="linear"))["retCode"] == 10001
            assert (await venue.get(path, category="linear", symbol="NOPE"))["retCode"] == 10001
        held = await venue.get("position/list", category="linear", settleCoin="USDT")
        assert [row["symbol"] for row in held["result"]["list"]] == [BTC]
        other = await venue.get("position/list", category="linear", settleCoin="USDC")
        assert other["result"]["list"] == []
        [flat] = await venue.rows("position/list", symbol=ETH)
        assert (flat["side"], flat["size"], flat["seq"]) == ("", "0", -1)
        unknown = await venue.rows("order/realtime", orderId=order_id("12345"))
        assert unknown == []

    run(scenario)


def test_candles_and_public_reads():
    async def scenario(venue):
        await venue.order(qty="0.1")
        await turn()
        answer = await venue.public("kline", category="linear", symbol=BTC, interval="1")
        assert sum(D(row[5]) for row in answer["result"]["list"]) == D("0.101")
        bad = await venue.public("kline", category="linear", symbol=BTC, interval="7")
        assert bad["retCode"] == 10001
        book = await venue.public("orderbook", category="linear", symbol=BTC, limit=50)
        levels = venue.world.levels(BTC, 1, 50)
        expected = [[D("0.1") * ticks, D("0.001") * steps] for ticks, steps in levels]
        assert [[D(one) for one in row] for row in book["result"]["b"]] == expected
        trades = await venue.public("recent-trade", category="linear", symbol=BTC, limit=1)
        assert trades["result"]["list"][0]["size"] == "0.1"
        assert (await venue.public("tickers", category="linear", symbol="NOPE"))["retCode"] == 10001
        time = (await venue.public("time"))["result"]
        assert abs(int(time["timeNano"]) - venue.world.now_ns()) < 10**10

    run(scenario)


def test_what_clients_know_survives_a_restart(tmp_path):
    """Ids, links, funding rows and positions read the same from a venue started again."""
    state = tmp_path / "venue.sqlite"
    link = "l" * 36
    paths = ("order/history", "order/realtime", "execution/list", "position/list")
    before, after = {}, {}

    async def first(venue):
        await venue.order(orderLinkId=link, stopLoss=away(venue, -1))
        await venue.order(qty="0.02")
        venue.world.pay_funding(BTC, D("0.0002"))
        await turn()
        for path in paths:
            before[path] = await venue.rows(path)
        venue.world.settle()

    async def second(venue):
        for path in paths:
            after[path] = await venue.rows(path)
        assert (await venue.order(orderLinkId=link, stopLoss=away(venue, -1)))["retCode"] == 110072
        [found] = await venue.rows("order/history", orderLinkId=link)
        assert found["orderLinkId"] == link

    run(first, state=state)
    run(second, state=state)
    changing = {"updatedTime", "markPrice"}
    for path in paths:
        assert before[path], path
        for old, new in zip(before[path], after[path], strict=True):
            assert {one: old[one] for one in old.keys() - changing} == {
                one: new[one] for one in new.keys() - changing
            }
