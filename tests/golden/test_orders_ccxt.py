"""Order frames against what ccxt, an independent client, sends for the same orders."""

import json
from typing import Any

import ccxt.pro
import pytest

from hfengine.kernels.binance_orders import BinanceOrders
from hfengine.kernels.bybit_orders import BybitOrders
from hfengine.kernels.signing import HmacSha256

KEY, SECRET, SYMBOL = "TheKey", "TheSecret", "BTC/USDT:USDT"


def exchange(name: str, **options: Any) -> Any:
    made = getattr(ccxt.pro, name)({"apiKey": KEY, "secret": SECRET, "options": options})
    market = {
        "id": "BTCUSDT",
        "symbol": SYMBOL,
        "base": "BTC",
        "quote": "USDT",
        "settle": "USDT",
        "type": "swap",
        "spot": False,
        "margin": False,
        "swap": True,
        "future": False,
        "option": False,
        "contract": True,
        "linear": True,
        "inverse": False,
        "contractSize": 1.0,
        "precision": {"amount": 0.001, "price": 0.1},
        "limits": {"amount": {}, "price": {}, "cost": {}},
        "info": {"orderTypes": ["LIMIT", "MARKET", "STOP_MARKET", "TAKE_PROFIT_MARKET"]},
    }
    made.set_markets([made.safe_market_structure(market)])
    return made


BYBIT = exchange("bybit", enableUnifiedAccount=True, enableUnifiedMargin=False)
BINANCE = exchange("binanceusdm", recvWindow=5000)
OURS_BYBIT = BybitOrders("BTCUSDT", "0.1", "0.001")
OURS_BINANCE = BinanceOrders("BTCUSDT", "0.1", "0.001", KEY, HmacSha256(SECRET.encode()), 5000)


def test_a_bybit_bracket_entry():
    theirs = BYBIT.create_order_request(
        SYMBOL,
        "limit",
        "buy",
        0.007,
        61234.5,
        {
            "timeInForce": "IOC",
            "clientOrderId": "an-id",
            "takeProfit": {"triggerPrice": 61333.3},
            "stopLoss": {"triggerPrice": 61111.1},
            "reduceOnly": False,
            "positionIdx": 0,
        },
        True,
    )
    [ours] = json.loads(OURS_BYBIT.limit(1, 2, "an-id", 1, 7, 612345, 1, False, 611111, 613333))[
        "args"
    ]
    # what ccxt has no words for, and what it leaves to the venue's default
    only_ours = {"tpTriggerBy": "MarkPrice", "slTriggerBy": "MarkPrice", "tpslMode": "Full"}
    assert ours == theirs | only_ours


def test_a_bybit_exit():
    theirs = BYBIT.create_order_request(
        SYMBOL,
        "market",
        "sell",
        0.007,
        None,
        {"clientOrderId": "an-id", "reduceOnly": True, "positionIdx": 0},
        True,
    )
    [ours] = json.loads(OURS_BYBIT.market(1, 2, "an-id", -1, 7, True))["args"]
    assert ours == theirs


def signed_by_ccxt(request: dict[str, Any], now_ms: int) -> dict[str, Any]:
    # ccxt writes booleans of a signed query as text; a string in the frame is the same query
    plain = {n: "true" if part is True else part for n, part in request.items()}
    signed: dict[str, Any] = BINANCE.sign_params(plain | {"timestamp": now_ms})
    return signed


@pytest.mark.parametrize("tif", ["IOC", "GTC"])
def test_a_binance_entry_and_its_signature(tif: str):
    request = BINANCE.create_order_request(
        SYMBOL, "limit", "buy", 0.007, 61234.5, {"timeInForce": tif, "clientOrderId": "an-id"}
    )
    now_ms = 1_723_118_400_123
    frame = json.loads(OURS_BINANCE.limit(1, now_ms, "an-id", 1, 7, 612345, int(tif == "IOC")))
    assert frame["params"] == signed_by_ccxt(request, now_ms)


def test_a_binance_exit_and_its_signature():
    request = BINANCE.create_order_request(
        SYMBOL, "market", "sell", 0.007, None, {"reduceOnly": True, "clientOrderId": "an-id"}
    )
    frame = json.loads(OURS_BINANCE.market(1, 5, "an-id", -1, 7, True))
    assert frame["params"] == signed_by_ccxt(request, 5)


@pytest.mark.parametrize("target", [False, True])
def test_a_binance_protective_order_and_its_signature(target: bool):
    trigger = {"takeProfitPrice" if target else "stopLossPrice": 61111.1}
    request = BINANCE.create_order_request(
        SYMBOL,
        "market",
        "sell",
        0.007,
        None,
        trigger
        | {
            "clientAlgoId": "an-id",
            "workingType": "MARK_PRICE",
            "reduceOnly": True,
            "timeInForce": "GTC",
            "isAlgoOrder": True,
        },
    )
    request.pop("newOrderRespType", None)
    request |= {"algoType": "CONDITIONAL"}
    frame = json.loads(OURS_BINANCE.conditional(1, 5, "an-id", -1, target, 611111, 7))
    assert frame["params"] == signed_by_ccxt(request, 5)
