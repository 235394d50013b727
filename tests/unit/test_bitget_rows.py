"""Bitget's rows and pushes as messages, as ccxt's source and the documents show them."""

from decimal import Decimal

import pytest

from hfengine.exchange import rejects
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.venues import bitget_rows as rows
from hfengine.venues.answer_codes import MEANINGS, meaning_of

D = Decimal

CONTRACT = {
    "symbol": "BTCUSDT",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "buyLimitPriceRatio": "0.05",
    "sellLimitPriceRatio": "0.04",
    "makerFeeRate": "0.0002",
    "takerFeeRate": "0.0006",
    "minTradeNum": "0.0001",
    "priceEndStep": "5",
    "pricePlace": "1",
    "sizeMultiplier": "0.0001",
    "symbolType": "perpetual",
    "symbolStatus": "normal",
    "minTradeUSDT": "5",
    "fundInterval": "4",
    "maxMarketOrderQty": "220",
    "maxOrderQty": "1200",
}
LEVELS = [
    {"level": "2", "endUnit": "600000", "leverage": "100", "keepMarginRate": "0.005"},
    {"level": "1", "endUnit": "150000", "leverage": "125", "keepMarginRate": "0.004"},
    {"level": "3", "endUnit": "1000000", "leverage": "75", "keepMarginRate": "0.0065"},
]
FILL = {
    "orderId": "1169142761031114781",
    "tradeId": "1169142761312637004",
    "symbol": "LTCUSDT",
    "orderType": "market",
    "side": "buy",
    "price": "80.87",
    "baseVolume": "0.1",
    "quoteVolume": "8.087",
    "profit": "0.25",
    "tradeSide": "open",
    "posMode": "hedge_mode",
    "tradeScope": "taker",
    "feeDetail": [{"feeCoin": "USDT", "totalFee": "-0.0048522"}],
    "cTime": "1714471276596",
}
"""ccxt.pro's own example of a fill."""

ORDER = {
    "instId": "DOGEUSDT",
    "clientOid": "hf-1",
    "orderId": "1171636690295410690",
    "orderType": "market",
    "posMode": "hedge_mode",
    "posSide": "short",
    "price": "0",
    "side": "sell",
    "size": "13",
    "status": "partially_filled",
    "tradeSide": "open",
    "uTime": "1715065875539",
    "baseVolume": "9",
    "accBaseVolume": "12",
    "reduceOnly": "no",
}


def made(**changes):
    fees = {"maker_fee": D("0.0002"), "taker_fee": D("0.0006")}
    return rows.instrument_of(CONTRACT | changes, LEVELS, as_of="2026-01-01", **fees)


def test_an_instrument_and_its_tiers():
    instrument = made()
    assert (instrument.price_tick, instrument.quantity_step) == (D("0.5"), D("0.0001"))
    assert (instrument.market_quantity_max, instrument.quantity_max) == (220, 1200)
    assert (instrument.price_band, instrument.funding_interval_h) == (D("0.04"), 4)
    assert [tier.notional_cap_usdt for tier in instrument.tiers] == [150000, 600000, 1000000]
    # the deduction keeps the maintenance margin continuous at every cap
    for below, above in zip(instrument.tiers, instrument.tiers[1:], strict=False):
        cap = below.notional_cap_usdt
        left = cap * below.maintenance_rate - below.deduction_usdt
        assert left == cap * above.maintenance_rate - above.deduction_usdt
    assert instrument.tiers[1].deduction_usdt == 150
    assert made(maxMarketOrderQty="").market_quantity_max == 1200
    assert made(maxMarketOrderQty="", maxOrderQty="").quantity_max == rows.UNBOUNDED


def test_only_trading_usdt_perpetuals_are_listed():
    assert rows.is_usdt_perpetual(CONTRACT)
    assert not rows.is_usdt_perpetual(CONTRACT | {"symbolType": "delivery"})
    assert not rows.is_usdt_perpetual(CONTRACT | {"symbolStatus": "off"})


@pytest.mark.parametrize(
    ("account", "setting"),
    [
        (("isolated", 20, 20, 7), LeverageSetting("X", 20, "isolated")),
        (("isolated", 20, 10, 7), LeverageSetting("X", 0, "isolated")),
        (("crossed", 20, 10, 7), LeverageSetting("X", 7, "cross")),
        (("crossed", 20, 10, "7.5"), LeverageSetting("X", 0, "cross")),
    ],
)
def test_leverage_of_both_sides(account, setting):
    names = ("marginMode", "isolatedLongLever", "isolatedShortLever", "crossedMarginLeverage")
    row = dict(zip(names, account, strict=True))
    assert rows.leverage_of_account(row, "X") == setting


ENTRY = OrderRequest(
    "hf-1", "BTCUSDT", 1, "limit", D("0.01"), D("60000.5"), "ioc", stop=D(59000), target=D(61000)
)
CLOSE = OrderRequest("hf-2", "BTCUSDT", -1, "market", D("0.01"), reduce_only=True)


def test_in_hedge_mode_the_side_names_the_position():
    entry = rows.order_params(ENTRY, hedged=True, margin_mode="isolated")
    assert (entry["side"], entry["tradeSide"]) == ("buy", "open")
    assert (entry["price"], entry["force"], entry["size"]) == ("60000.5", "ioc", "0.01")
    assert entry["presetStopLossPrice"] == "59000"
    assert entry["presetStopSurplusPrice"] == "61000"
    assert (entry["marginMode"], entry["productType"]) == ("isolated", "USDT-FUTURES")
    close = rows.order_params(CLOSE, hedged=True, margin_mode="cross")
    assert (close["side"], close["tradeSide"]) == ("buy", "close")
    assert close["marginMode"] == "crossed"
    assert not {"reduceOnly", "price", "presetStopLossPrice"} & close.keys()
    short = OrderRequest("hf-3", "BTCUSDT", 1, "market", D("0.01"), reduce_only=True)
    told = rows.order_params(short, hedged=True, margin_mode="cross")
    assert (told["side"], told["tradeSide"]) == ("sell", "close")


def test_in_one_way_mode_it_is_the_direction():
    close = rows.order_params(CLOSE, hedged=False, margin_mode="cross")
    assert (close["side"], close["reduceOnly"]) == ("sell", "YES")
    assert "tradeSide" not in close


@pytest.mark.parametrize(
    ("side", "trade_side", "position", "direction"),
    [
        ("buy", "open", "long", 1),
        ("buy", "close", "long", -1),
        ("sell", "open", "short", -1),
        ("sell", "close", "short", 1),
        ("sell", "burst_close_short", "short", 1),
        ("buy", "buy_single", "net", 1),
        ("sell", "sell_single", "net", -1),
    ],
)
def test_the_direction_of_a_row(side, trade_side, position, direction):
    assert rows.direction_of({"side": side, "tradeSide": trade_side, "posSide": position}) == (
        direction
    )


def test_an_order_of_the_stream_and_its_end():
    update = rows.order_of_row(ORDER)
    assert (update.client_id, update.symbol, update.side) == ("hf-1", "DOGEUSDT", -1)
    assert (update.state, update.filled, update.quantity) == ("partially_filled", 12, 13)
    assert (update.reduce_only, update.at_ns) == (False, 1715065875539 * 10**6)
    ended = rows.order_of_row(ORDER | {"status": "canceled", "force": "ioc"})
    assert (ended.state, ended.reason) == ("cancelled", rejects.IOC_REMAINDER)
    nothing = rows.order_of_row(ORDER | {"status": "canceled", "accBaseVolume": "0"})
    assert nothing.reason == rejects.NO_LIQUIDITY
    told = rows.order_of_row(ORDER | {"status": "canceled", "cancelReason": "normal_cancel"})
    assert told.reason == rejects.CANCELLED_BY_USER


def test_an_order_by_rest_counts_what_was_filled():
    row = {key: ORDER[key] for key in ORDER if key not in ("instId", "accBaseVolume", "status")}
    update = rows.order_of_row(row | {"symbol": "DOGEUSDT", "state": "filled", "baseVolume": "13"})
    assert (update.symbol, update.state, update.filled) == ("DOGEUSDT", "filled", 13)


@pytest.mark.parametrize(
    ("plan_type", "kind", "quantity"),
    [
        ("pos_loss", "stop_market", 0),
        ("psl", "stop_market", 0),
        ("loss_plan", "stop_market", 2),
        ("sl", "stop_market", 2),
        ("pos_profit", "take_profit_market", 0),
        ("tp", "take_profit_market", 2),
    ],
)
def test_stops_and_targets_in_either_wording(plan_type, kind, quantity):
    row = ORDER | {"planType": plan_type, "size": "2", "triggerPrice": "0.8", "status": "live"}
    update = rows.plan_of_row(row)
    assert (update.kind, update.quantity, update.trigger) == (kind, quantity, D("0.8"))
    assert (update.state, update.reduce_only) == ("untriggered", True)
    assert rows.plan_of_row(row | {"status": "executed"}).state == "filled"
    assert rows.plan_kind({"planType": "normal_plan"}) is None


def test_a_fill_and_its_fee():
    fill = rows.fill_of_row(FILL, client_id="hf-1", side=1, cause="order")
    assert (fill.fill_id, fill.quantity) == ("LTCUSDT:1169142761312637004", D("0.1"))
    assert (fill.fee_usdt, fill.realised_usdt, fill.maker) == (D("0.0048522"), D("0.25"), False)
    assert rows.fee_usdt({"feeDetail": [{"feeCoin": "BGB", "totalFee": "-1"}]}) == 0
    assert rows.fee_usdt({}) == 0
    assert rows.fee_usdt({"feeDetail": [{"feeCoin": "USDT", "totalFee": "0.1"}]}) == D("-0.1")


@pytest.mark.parametrize(
    ("trade_side", "cause"),
    [
        ("open", None),
        ("close", None),
        ("burst_close_long", "liquidation"),
        ("burst_sell_single", "liquidation"),
        ("dte_sys_adl_close_long", "adl"),
    ],
)
def test_what_the_venue_forced(trade_side, cause):
    assert rows.forced_cause({"tradeSide": trade_side}) == cause


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("normal", "order"),
        ("", "order"),
        ("pos_loss_market", "stop"),
        ("loss_market", "stop"),
        ("pos_profit_market", "target"),
        ("liquidation", "liquidation"),
    ],
)
def test_why_an_order_filled(source, cause):
    assert rows.cause_of_source(source) == cause


def test_the_wallet_is_the_equity_less_what_is_unrealised():
    row = {"accountEquity": "105.5", "unrealizedPL": "5.5", "isolatedMaxAvailable": "80"}
    told = {"isolated": True, "maintenance_usdt": D(2), "at_ns": 1}
    balance = rows.balance_of(row, **told)
    assert (balance.wallet_usdt, balance.equity_usdt) == (100, D("105.5"))
    assert (balance.free_margin_usdt, balance.maintenance_usdt) == (80, 2)
    push = {"equity": "105.5", "unrealizedPL": "-1", "maxOpenPosAvailable": "70"}
    pushed = rows.balance_of(push, **told)
    assert (pushed.wallet_usdt, pushed.free_margin_usdt) == (D("106.5"), 70)


def test_settlements_are_funding():
    paid = rows.funding_of_bill({"symbol": "X", "cTime": "5", "amount": "-0.3"}, D(0))
    assert (paid.funding_usdt, paid.at_ns) == (D("0.3"), 5_000_000)


@pytest.mark.parametrize(
    ("code", "reason", "unknown"),
    [
        (40762, rejects.INSUFFICIENT_MARGIN, False),
        (40768, rejects.UNKNOWN_ORDER, False),
        (43025, rejects.UNKNOWN_ORDER, False),
        (40774, "position_mode_mismatch", False),
        (45110, rejects.BELOW_MIN_NOTIONAL, False),
        (40917, rejects.WOULD_TRIGGER_IMMEDIATELY, False),
        (40008, "clock_skew", False),
        (40009, "bad_key", False),
        (40786, rejects.DUPLICATE_CLIENT_ID, True),
        (40604, "busy", True),
        (40010, "outcome_unknown", True),
        (41234, "code_41234", False),
        (502, "code_502", True),
    ],
)
def test_what_bitgets_codes_mean(code, reason, unknown):
    meaning = meaning_of("bitget", code)
    assert (meaning.reason, meaning.unknown) == (reason, unknown)


def test_no_code_of_bitget_means_two_things():
    codes = [code for meaning in MEANINGS for code in meaning.bitget]
    assert len(codes) == len(set(codes)) > 40
