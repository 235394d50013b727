"""Bitget's account: leverage by side, modes, balance, positions, ledger, history."""

import asyncio
from decimal import Decimal

import pytest

from hfengine.localvenue.faults import Rule
from tests.bitget_venue import (
    ACCOUNT,
    BTC,
    COMMON,
    MARKET,
    ORDER,
    POSITION,
    PRODUCT,
    on_still_venue,
)


async def set_leverage(venue, **more):
    return await venue.post(f"{ACCOUNT}set-leverage", **COMMON, **more)


async def levers(venue):
    row = await venue.get(f"{ACCOUNT}account", **COMMON)
    return row["isolatedLongLever"], row["isolatedShortLever"]


def test_leverage_is_set_by_side_in_isolated_hedge_mode():
    async def scenario(venue):
        await venue.hedged()
        answer = await set_leverage(venue, leverage="50", holdSide="long")
        assert answer == {
            "symbol": BTC,
            "marginCoin": "USDT",
            "longLeverage": "50",
            "shortLeverage": "20",
            "crossMarginLeverage": "",
            "marginMode": "isolated",
        }
        assert await levers(venue) == (50, 20)
        await set_leverage(venue, leverage="25")
        assert await levers(venue) == (25, 25)
        await set_leverage(venue, longLeverage="10", shortLeverage="5")
        assert await levers(venue) == (10, 5)

    on_still_venue(scenario)


def test_crossed_has_one_leverage_whatever_side_is_named():
    async def scenario(venue):
        await venue.post(f"{ACCOUNT}set-position-mode", **PRODUCT, posMode="hedge_mode")
        answer = await set_leverage(venue, leverage="30", holdSide="short")
        assert (answer["crossMarginLeverage"], answer["marginMode"]) == ("30", "crossed")
        row = await venue.get(f"{ACCOUNT}account", **COMMON)
        assert row["crossedMarginLeverage"] == 30

    on_still_venue(scenario)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [("151", "40797"), ("0", "40020"), ("12.5", "40020"), ("many", "40020"), ("", "40020")],
)
def test_leverage_that_cannot_be_is_refused(wanted, code):
    async def scenario(venue):
        assert (await set_leverage(venue, leverage=wanted))[0] == code
        assert await levers(venue) == (20, 20)

    on_still_venue(scenario)


def test_a_kept_leverage_is_answered_as_if_set():
    async def scenario(venue):
        await venue.hedged()
        venue.world.faults.add(Rule(kind="leverage_kept", symbol=BTC))
        answer = await set_leverage(venue, leverage="50", holdSide="long")
        assert (answer["longLeverage"], answer["shortLeverage"]) == ("50", "20")
        assert await levers(venue) == (20, 20)

    on_still_venue(scenario)


def test_the_position_mode_is_locked_by_a_position_and_may_be_set_again():
    async def scenario(venue):
        path = f"{ACCOUNT}set-position-mode"
        assert await venue.post(path, **PRODUCT, posMode="hedge_mode") == {"posMode": "hedge_mode"}
        assert await venue.post(path, **PRODUCT, posMode="hedge_mode") == {"posMode": "hedge_mode"}
        await venue.order("buy")
        assert (await venue.post(path, **PRODUCT, posMode="one_way_mode")) == (
            "40920",
            "Position or order exists, the position mode cannot be switched",
        )

    on_still_venue(scenario)


def test_the_balance_adds_up_with_a_position():
    async def scenario(venue):
        await venue.hedged()
        await venue.order("buy")
        (row,) = await venue.get(f"{ACCOUNT}accounts", **PRODUCT)
        (held,) = await venue.get(f"{POSITION}all-position", **PRODUCT)
        equity = Decimal(10_000) - Decimal(held["deductedFee"]) + Decimal(held["unrealizedPL"])
        assert Decimal(row["accountEquity"]) == equity
        assert row["isolatedMargin"] == held["marginSize"]
        apart = Decimal(held["deductedFee"]) + Decimal(held["marginSize"])
        assert Decimal(row["available"]) == 10_000 - apart
        assert (row["crossedMargin"], row["isolatedUnrealizedPL"]) == ("0", held["unrealizedPL"])

    on_still_venue(scenario)


def test_a_position_row_follows_its_fills_and_its_resting_orders():
    async def scenario(venue):
        await venue.hedged()
        await venue.order("buy", size="0.02")
        venue.world.move(BTC, 1000)
        await venue.order("buy", "close", size="0.005")
        far = str(round(venue.price() * Decimal("1.02")))
        await venue.order("buy", "close", size="0.006", orderType="limit", price=far)
        (row,) = await venue.get(f"{POSITION}single-position", **COMMON)
        fills = (await venue.get(f"{ORDER}fills", **PRODUCT))["fillList"]
        assert (row["total"], row["locked"], row["available"]) == ("0.015", "0.006", "0.009")
        assert row["achievedProfits"] == fills[0]["profit"]
        paid = sum(-Decimal(one["feeDetail"][0]["totalFee"]) for one in fills)
        assert Decimal(row["deductedFee"]) == paid
        assert (row["holdSide"], row["leverage"], row["keepMarginRate"]) == ("long", "20", "0.004")

    on_still_venue(scenario)


@pytest.mark.parametrize(
    ("side", "entry", "expected"),
    [("long", "83471.2", "83571.4255753452"), ("short", "83464.4", "83364.3027783330")],
)
def test_the_break_even_price_is_the_recorded_one(side, entry, expected):
    """Two positions recorded on the demo environment, opened as takers at 0.06 %."""
    sign, taker = (1 if side == "long" else -1), Decimal("0.0006")
    paid = Decimal(entry) * (1 + sign * taker)
    assert f"{paid / (1 - sign * taker):.10f}" == expected

    async def scenario(venue):
        await venue.hedged()
        await venue.order("buy" if side == "long" else "sell")
        (row,) = await venue.get(f"{POSITION}all-position", **PRODUCT)
        at = Decimal(row["openPriceAvg"])
        wanted = at * (1 + sign * taker) / (1 - sign * taker)
        assert abs(Decimal(row["breakEvenPrice"]) - wanted) < Decimal("1e-9")

    on_still_venue(scenario)


def test_the_ledger_is_shown_entry_by_entry_and_ends_at_the_wallet():
    async def scenario(venue):
        await venue.hedged()
        await venue.order("buy")
        await asyncio.sleep(1)
        venue.world.pay_funding(BTC, Decimal("0.0001"))
        await asyncio.sleep(1)
        await venue.order("buy", "close")
        bills = (await venue.get(f"{ACCOUNT}bill", **PRODUCT))["bills"]
        wallet = venue.world.exchange.ledger("main").wallet_usdt
        assert Decimal(bills[0]["balance"]) == wallet
        assert sum(Decimal(one["amount"]) + Decimal(one["fee"]) for one in bills) == wallet
        ask = {**PRODUCT, "businessType": "contract_settle_fee"}
        (funding,) = (await venue.get(f"{ACCOUNT}bill", **ask))["bills"]
        assert Decimal(funding["amount"]) < 0
        history = await venue.get(f"{POSITION}history-position", symbol=BTC)
        (row,) = history["list"]
        assert row["totalFunding"] == funding["amount"]
        assert Decimal(row["netProfit"]) == wallet - 10_000

    on_still_venue(scenario)


def test_a_turned_one_way_position_is_two_positions_in_history():
    async def scenario(venue):
        await venue.order("buy", "", size="0.01")
        await venue.order("sell", "", size="0.03", marginMode="isolated")
        await venue.order("buy", "", size="0.02", marginMode="isolated")
        history = await venue.get(f"{POSITION}history-position", **PRODUCT)
        shapes = [(row["holdSide"], row["openTotalPos"], row["posMode"]) for row in history["list"]]
        assert shapes == [("short", "0.02", "one_way_mode"), ("long", "0.01", "one_way_mode")]
        net = sum(Decimal(row["netProfit"]) for row in history["list"])
        assert net == venue.world.exchange.ledger("main").wallet_usdt - 10_000
        later = await venue.get(f"{POSITION}history-position", idLessThan=history["endId"])
        assert later == {"list": [], "endId": None}

    on_still_venue(scenario)


def test_contracts_and_tiers_are_the_catalogues():
    async def scenario(venue):
        instrument = venue.world.instruments[BTC]
        (row,) = await venue.get(f"{MARKET}contracts", **PRODUCT, symbol=BTC)
        assert (row["pricePlace"], row["priceEndStep"]) == ("1", "1")
        assert (row["volumePlace"], row["sizeMultiplier"]) == ("4", "0.0001")
        assert (row["maxLever"], row["takerFeeRate"]) == ("150", "0.0006")
        tiers = await venue.get(f"{MARKET}query-position-lever", **COMMON)
        assert [Decimal(one["endUnit"]) for one in tiers] == [
            tier.notional_cap_usdt for tier in instrument.tiers
        ]
        assert tiers[3] == {
            "symbol": BTC,
            "level": "4",
            "startUnit": "5000000",
            "endUnit": "15000000",
            "leverage": "50",
            "keepMarginRate": "0.0100",
        }

    on_still_venue(scenario)


def test_public_reads_follow_the_market():
    async def scenario(venue):
        depth = await venue.get(f"{MARKET}merge-depth", **COMMON, limit="5")
        assert len(depth["asks"]) == len(depth["bids"]) == 5
        (ticker,) = await venue.get(f"{MARKET}ticker", **COMMON)
        assert [ticker["askPr"], ticker["askSz"]] == depth["asks"][0]
        assert Decimal(ticker["markPrice"]) == venue.price()
        venue.world.move(BTC, 100)
        trades = await venue.get(f"{MARKET}fills", **COMMON)
        assert [int(one["tradeId"]) for one in trades] == sorted(
            (int(one["tradeId"]) for one in trades), reverse=True
        )
        candles = await venue.get(f"{MARKET}candles", **COMMON, granularity="1m")
        assert candles[-1][4] == trades[0]["price"]
        (rate,) = await venue.get(f"{MARKET}current-fund-rate", **COMMON)
        assert rate["fundingRate"] == "0.0001"
        assert (await venue.get(f"{MARKET}candles", **COMMON, granularity="1h"))[0] == "40020"
        assert (await venue.get("/api/v2/public/time"))["serverTime"] == str(venue.world.now_ms())

    on_still_venue(scenario)
