"""Bitget's rows, field by field and type by type, against recorded and documented answers.

`RECORDED` lists the fields of answers recorded by the public in 2026 (REST from the demo
environment, pushes of the public socket, one push of a cancelled order), `DOCUMENTED` those of the
documentation's examples where nothing was recorded. `s` is text, `i` a number, `n` null, `o` a
list or an object; `s|n` is either.
"""

import asyncio
from decimal import Decimal

import pytest

from tests.bitget_venue import (
    ACCOUNT,
    BTC,
    COMMON,
    MARKET,
    ORDER,
    POSITION,
    PRODUCT,
    on_still_venue,
    turns,
)

RECORDED = {
    "account": "marginCoin locked available crossedMaxAvailable isolatedMaxAvailable "
    "maxTransferOut accountEquity usdtEquity btcEquity crossedRiskRate crossedMarginLeverage:i "
    "isolatedLongLever:i isolatedShortLever:i marginMode posMode unrealizedPL coupon "
    "crossedUnrealizedPL isolatedUnrealizedPL grant assetMode isolatedMargin:n crossedMargin:n",
    "leverage": "symbol marginCoin longLeverage shortLeverage crossMarginLeverage marginMode",
    "position": "marginCoin symbol holdSide openDelegateSize marginSize available locked total "
    "leverage achievedProfits openPriceAvg marginMode posMode unrealizedPL liquidationPrice "
    "keepMarginRate markPrice marginRatio breakEvenPrice totalFee deductedFee grant assetMode "
    "autoMargin takeProfit stopLoss takeProfitId stopLossId cashDividend cTime uTime",
    "history_position": "positionId symbol marginCoin holdSide openAvgPrice closeAvgPrice "
    "marginMode openTotalPos closeTotalPos pnl netProfit totalFunding openFee closeFee posMode "
    "cashDividend utime ctime",
    "placed": "clientOid orderId",
    "detail": "symbol size orderId clientOid baseVolume fee price priceAvg state side force "
    "totalProfits posSide marginCoin presetStopSurplusPrice presetStopSurplusType "
    "presetStopSurplusExecutePrice presetStopLossPrice presetStopLossExecutePrice "
    "presetStopLossType quoteVolume orderType leverage marginMode reduceOnly enterPointSource "
    "tradeSide posMode orderSource newTradeSide:s|n cancelReason cTime uTime",
    "pending": "symbol size orderId clientOid baseVolume fee price priceAvg status side force "
    "totalProfits posSide marginCoin quoteVolume leverage marginMode enterPointSource tradeSide "
    "posMode orderType orderSource presetStopSurplusPrice presetStopSurplusExecutePrice "
    "presetStopSurplusTriggerType presetStopLossPrice presetStopLossExecutePrice "
    "presetStopLossTriggerType reduceOnly cTime uTime",
    "plan": "planType symbol size orderId clientOid price executePrice callbackRatio triggerPrice "
    "triggerType planStatus side posSide marginCoin marginMode enterPointSource tradeSide posMode "
    "orderType stopSurplusTriggerPrice:s|n stopSurplusExecutePrice:n stopSurplusTriggerType:s|n "
    "stopLossTriggerPrice:s|n stopLossExecutePrice:n stopLossTriggerType:s|n cTime uTime",
    "fill": "tradeId symbol orderId price baseVolume feeDetail:o side quoteVolume profit "
    "enterPointSource tradeSide posMode tradeScope cTime",
    "fill_fee": "deduction feeCoin totalDeductionFee:n totalFee",
    "contract": "symbol baseCoin quoteCoin buyLimitPriceRatio sellLimitPriceRatio feeRateUpRatio "
    "makerFeeRate takerFeeRate openCostUpRatio supportMarginCoins:o minTradeNum priceEndStep "
    "volumePlace pricePlace sizeMultiplier symbolType minTradeUSDT maxSymbolOrderNum "
    "maxProductOrderNum maxPositionNum symbolStatus offTime limitOpenTime deliveryTime "
    "deliveryStartTime deliveryPeriod launchTime fundInterval minLever maxLever posLimit "
    "maintainTime openTime maxMarketOrderQty maxOrderQty isRwa",
    "tier": "symbol level startUnit endUnit leverage keepMarginRate",
    "ticker_push": "instId lastPr bidPr askPr bidSz askSz open24h high24h low24h change24h "
    "fundingRate nextFundingTime markPrice indexPrice holdingAmount baseVolume quoteVolume openUtc "
    "symbolType symbol ts",
    "trade_push": "ts price size side tradeId",
    "cancelled_push": "accBaseVolume cTime cancelReason clientOid enterPointSource feeDetail:o "
    "force instId leverage marginCoin marginMode notionalUsd orderId orderType posMode posSide "
    "presetStopLossExecutePrice presetStopLossType presetStopSurplusExecutePrice "
    "presetStopSurplusType price reduceOnly side size status stpMode totalProfits tradeSide uTime",
}

DOCUMENTED = {
    "ticker": "symbol lastPr askPr bidPr bidSz askSz high24h low24h ts change24h baseVolume "
    "quoteVolume usdtVolume openUtc changeUtc24h indexPrice fundingRate holdingAmount "
    "deliveryStartTime:n deliveryTime:n deliveryStatus open24h markPrice",
    "position_push": "posId instId marginCoin marginSize marginMode holdSide posMode total "
    "available frozen openPriceAvg leverage:i achievedProfits unrealizedPL unrealizedPLR "
    "liquidationPrice keepMarginRate marginRate cTime breakEvenPrice totalFee deductedFee "
    "markPrice uTime assetMode autoMargin",
    "fill_push": "orderId clientOid tradeId symbol side orderType posMode price baseVolume "
    "quoteVolume profit tradeSide tradeScope feeDetail:o cTime uTime",
    "fill_push_fee": "feeCoin deduction totalDeductionFee totalFee",
    "filled_push_extra": "baseVolume fillFee fillFeeCoin fillNotionalUsd fillPrice fillTime pnl "
    "priceAvg tradeId tradeScope",
    "algo_push": "instId orderId clientOid triggerPrice triggerType triggerTime planType price "
    "executePrice size actualSize orderType side tradeSide posSide marginCoin status posMode "
    "enterPointSource stopSurplusPrice stopSurplusTriggerPrice stopSurplusTriggerType "
    "stopLossPrice stopLossTriggerPrice stopLossTriggerType stpMode cTime uTime",
    "bill": "billId symbol amount fee feeByCoupon businessType coin balance cTime",
    "depth": "asks:o bids:o ts scale precision isMaxPrecision",
}

KINDS = {str: "s", int: "i", type(None): "n", list: "o", dict: "o"}

# Multi-asset figures: this account is of a single asset, as the recorded one (assetMode single).
UNION_ONLY = {"unionTotalMargin", "unionAvailable", "unionMm"}


def differences(wanted: str, row: dict) -> list[str]:
    """Return what a row has too little, too much, or of another type."""
    expected = dict(part.partition(":")[::2] for part in wanted.split())
    told = [f"missing {name}" for name in expected if name not in row]
    told += [f"unknown {name}" for name in row if name not in expected]
    for name, kinds in expected.items():
        if name in row and KINDS[type(row[name])] not in (kinds or "s").split("|"):
            told.append(f"{name} is {row[name]!r}, want {kinds or 's'}")
    return told


async def everything(venue):
    """Return one row of each kind, from a venue on which everything happened once."""
    await venue.hedged()
    socket = venue.private("orders", "orders-algo", "fill", "positions", "account")
    rows = {}
    price = venue.price()
    placed = await venue.order(
        "buy",
        presetStopLossPrice=str(round(price * Decimal("0.99"))),
        presetStopSurplusPrice=str(round(price * Decimal("1.01"))),
    )
    rows["placed"] = placed
    await turns()
    rows["filled_push"] = socket.pushed("orders")[-1]
    rows["fill_push"] = socket.pushed("fill")[-1]
    rows["fill_push_fee"] = rows["fill_push"]["feeDetail"][0]
    rows["position_push"] = socket.pushed("positions")[-1]
    rows["account_push"] = socket.pushed("account")[-1]
    rows["algo_push"] = socket.pushed("orders-algo")[-1]
    rows["leverage"] = await venue.post(f"{ACCOUNT}set-leverage", **COMMON, leverage="25")
    rows["account"] = await venue.get(f"{ACCOUNT}account", **COMMON)
    (rows["accounts"],) = await venue.get(f"{ACCOUNT}accounts", **PRODUCT)
    (rows["position"],) = await venue.get(f"{POSITION}all-position", **PRODUCT)
    rows["detail"] = await venue.get(f"{ORDER}detail", **COMMON, orderId=placed["orderId"])
    far = str(round(price * Decimal("1.02")))
    await venue.order("buy", "close", orderType="limit", price=far, clientOid="rest")
    pending = await venue.get(f"{ORDER}orders-pending", **PRODUCT)
    (rows["pending"],) = pending["entrustedList"]
    await venue.post(f"{ORDER}cancel-order", **COMMON, clientOid="rest")
    await turns()
    rows["cancelled_push"] = socket.pushed("orders")[-1]
    ask = {**PRODUCT, "planType": "profit_loss"}
    waiting = await venue.get(f"{ORDER}orders-plan-pending", **ask)
    rows["plan"] = waiting["entrustedList"][0]
    await venue.order("buy", "close")
    history = await venue.get(f"{POSITION}history-position", **PRODUCT)
    rows["history_position"] = history["list"][0]
    rows["fill"] = (await venue.get(f"{ORDER}fills", **PRODUCT))["fillList"][0]
    rows["fill_fee"] = rows["fill"]["feeDetail"][0]
    rows["bill"] = (await venue.get(f"{ACCOUNT}bill", **PRODUCT))["bills"][0]
    rows["contract"] = (await venue.get(f"{MARKET}contracts", **PRODUCT))[0]
    rows["tier"] = (await venue.get(f"{MARKET}query-position-lever", **COMMON))[0]
    rows["ticker"] = (await venue.get(f"{MARKET}ticker", **COMMON))[0]
    rows["depth"] = await venue.get(f"{MARKET}merge-depth", **COMMON)
    public = venue.public("ticker", "trade")
    rows["ticker_push"] = public.pushed("ticker")[0]
    rows["trade_push"] = public.pushed("trade")[0]
    return rows


@pytest.fixture(scope="module")
def rows():
    found = {}

    async def scenario(venue):
        await asyncio.sleep(1)
        found.update(await everything(venue))

    on_still_venue(scenario)
    return found


@pytest.mark.parametrize("name", RECORDED)
def test_rows_are_as_recorded(rows, name):
    assert differences(RECORDED[name], rows[name]) == []


@pytest.mark.parametrize("name", [one for one in DOCUMENTED if one != "filled_push_extra"])
def test_rows_are_as_documented(rows, name):
    assert differences(DOCUMENTED[name], rows[name]) == []


def test_a_filled_push_is_a_cancelled_one_and_what_was_filled(rows):
    presets = "presetStopLossPrice presetStopSurplusPrice"
    wanted = " ".join([RECORDED["cancelled_push"], DOCUMENTED["filled_push_extra"], presets])
    assert differences(wanted, rows["filled_push"]) == []


def test_the_account_list_has_the_documented_fields(rows):
    wanted = (
        "marginCoin locked available crossedMaxAvailable isolatedMaxAvailable maxTransferOut "
        "accountEquity usdtEquity btcEquity crossedRiskRate unrealizedPL coupon unionTotalMargin "
        "unionAvailable unionMm assetList:o isolatedMargin crossedMargin crossedUnrealizedPL "
        "isolatedUnrealizedPL assetMode"
    )
    assert differences(wanted, rows["accounts"]) == []
    assert {rows["accounts"][name] for name in UNION_ONLY} == {""}


def test_the_account_push_lacks_only_what_a_single_asset_account_has_not(rows):
    documented = (
        "marginCoin frozen available maxOpenPosAvailable maxTransferOut equity usdtEquity "
        "crossedRiskRate unrealizedPL unionTotalMargin unionAvailable unionMm assetsMode"
    )
    told = set(differences(documented, rows["account_push"]))
    assert told == {f"missing {name}" for name in UNION_ONLY}


def test_texts_are_as_recorded(rows):
    """What the recorded hedge close, plan and fill say in words."""
    detail, plan, fill = rows["detail"], rows["plan"], rows["fill"]
    assert (detail["side"], detail["posSide"], detail["tradeSide"]) == ("buy", "long", "open")
    assert (detail["price"], detail["orderSource"], detail["force"]) == ("", "market", "gtc")
    assert rows["pending"]["reduceOnly"] == "YES"
    assert (plan["planType"], plan["size"], plan["marginMode"]) == ("pos_profit", "0", "")
    assert (plan["planStatus"], plan["side"], plan["tradeSide"]) == ("live", "buy", "close")
    assert (fill["side"], fill["tradeSide"], fill["posMode"]) == ("buy", "close", "hedge_mode")
    assert rows["cancelled_push"]["status"] == "canceled"
    assert rows["cancelled_push"]["cancelReason"] == "normal_cancel"
    assert rows["contract"]["symbol"] == BTC


def test_no_figure_has_an_exponent(rows):
    for row in rows.values():
        for text in row.values():
            if isinstance(text, str) and text[:1].isdecimal():
                assert "E" not in text
