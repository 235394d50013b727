"""Binance's quirks on a scripted desk: what the venue says and answers, by hand."""

import asyncio
from decimal import Decimal
from typing import Any

from hfengine.messages import PositionChanged
from hfengine.requests import OrderRequest
from hfengine.venues.binance_venue import BinanceQuirks
from tests.scripted_desk import BEGAN_MS, ScriptedDesk

D = Decimal
SYMBOL = "BTCUSDT"
ENTRY = OrderRequest(
    "hf-a-000001e0",
    SYMBOL,
    1,
    "limit",
    D("0.010"),
    D(60000),
    "ioc",
    stop=D(59000),
    target=D(61000),
)
REDUCE = OrderRequest("hf-a-000002x0", SYMBOL, -1, "market", D("0.010"), reduce_only=True)
PLACE, ALGO, UNALGO = (
    "fapiPrivatePostOrder",
    "fapiPrivatePostAlgoOrder",
    "fapiPrivateDeleteAlgoOrder",
)
STOP = "hf-a-000001e0s"
RISK, OPEN, ALGOS = (
    "fapiPrivateV3GetPositionRisk",
    "fapiPrivateGetOpenOrders",
    "fapiPrivateGetOpenAlgoOrders",
)


def order_row(params: Any, status: str = "FILLED", filled: str = "0.010") -> dict[str, Any]:
    return {
        "orderId": 77,
        "clientOrderId": params["newClientOrderId"],
        "symbol": params["symbol"],
        "side": params["side"],
        "type": params["type"],
        "origType": params["type"],
        "status": status,
        "timeInForce": params.get("timeInForce", "GTC"),
        "origQty": params["quantity"],
        "executedQty": filled,
        "price": params.get("price", "0"),
        "updateTime": BEGAN_MS,
    }


class Algos:
    """The venue's list of conditional orders, as far as a script needs one."""

    def __init__(self) -> None:
        self.made = 100

    def place(self, params: Any) -> dict[str, Any]:
        self.made += 1
        return {
            "algoId": self.made,
            "clientAlgoId": params["clientAlgoId"],
            "symbol": params["symbol"],
            "orderType": params["type"],
            "side": params["side"],
            "positionSide": params.get("positionSide", "BOTH"),
            "triggerPrice": params["triggerPrice"],
            "quantity": params.get("quantity", "0"),
            "closePosition": params.get("closePosition") == "true",
            "reduceOnly": params.get("reduceOnly") == "true",
            "timeInForce": params["timeInForce"],
            "workingType": params.get("workingType", "MARK_PRICE"),
            "priceProtect": False,
            "algoStatus": "NEW",
            "createTime": BEGAN_MS,
            "updateTime": BEGAN_MS,
        }


class Bench:
    """A quirks object on a scripted desk."""

    def __init__(self, **changes: Any) -> None:
        self.desk = ScriptedDesk("binance", (SYMBOL,), **changes)
        self.quirks = BinanceQuirks()
        self.quirks.desk = self.desk
        self.desk.answer(PLACE, order_row)
        self.desk.answer(ALGO, Algos().place)
        self.desk.answer(UNALGO, {})

    def account(self, quantity: str, at_ms: int = 10, margin: str = "12", **told: Any) -> None:
        row = {"s": SYMBOL, "pa": quantity, "ep": "60000", "iw": margin, "mt": "isolated"}
        wallet = [{"a": "USDT", "wb": told.pop("wallet", "9999.5"), "cw": "9987"}]
        self.hear(
            "ACCOUNT_UPDATE",
            at_ms,
            a={"m": "ORDER", "B": wallet, "P": [row | {"ps": "BOTH"}]} | told,
        )

    def algo(self, algo_id: int, client_id: str, status: str, at_ms: int = 11, **told: Any) -> None:
        order = {
            "caid": client_id,
            "aid": algo_id,
            "s": SYMBOL,
            "S": "SELL",
            "o": "STOP_MARKET",
            "X": status,
            "tp": "59000",
            "q": "0",
            "cp": True,
            "R": False,
            "pP": False,
            "wt": "MARK_PRICE",
            "ps": "BOTH",
        }
        self.hear("ALGO_UPDATE", at_ms, o=order | told)

    def order(self, client_id: str, state: str, at_ms: int = 12, **told: Any) -> None:
        order = {
            "s": SYMBOL,
            "c": client_id,
            "S": "SELL",
            "o": "MARKET",
            "ot": "MARKET",
            "f": "GTC",
            "q": "0.010",
            "p": "0",
            "x": "TRADE",
            "X": state,
            "i": 77,
            "l": "0.010",
            "z": "0.010",
            "L": "61000",
            "n": "0.3",
            "N": "USDT",
            "T": BEGAN_MS + at_ms,
            "t": 5,
            "m": False,
            "rp": "10",
        }
        self.hear("ORDER_TRADE_UPDATE", at_ms, o=order | told)

    def hear(self, name: str, at_ms: int, **told: Any) -> None:
        at = BEGAN_MS + at_ms
        assert self.quirks.heard({"e": name, "E": at, "T": at, **told})

    def position(self) -> PositionChanged:
        told = self.desk.of(PositionChanged)
        assert told
        return told[-1]


def run(scenario: Any) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 5))


def leg_params(client_id: str) -> dict[str, Any]:
    """Return the parameters of a stop at 50000."""
    return {
        "clientAlgoId": client_id,
        "symbol": SYMBOL,
        "side": "SELL",
        "type": "STOP_MARKET",
        "triggerPrice": "50000",
        "closePosition": "true",
        "timeInForce": "GTC",
    }


def algo_row(algo_id: int, client_id: str, **changes: Any) -> dict[str, Any]:
    row = Algos().place(leg_params(client_id)) | {"algoId": algo_id, "createTime": BEGAN_MS}
    return row | changes


def sweep_answers(bench: Bench, *algos: dict[str, Any], risk: Any = (), orders: Any = ()) -> None:
    bench.desk.answer(RISK, list(risk))
    bench.desk.answer(OPEN, list(orders))
    bench.desk.answer(ALGOS, list(algos))


def risk_row(quantity: str, slot: str = "BOTH") -> dict[str, Any]:
    return {
        "symbol": SYMBOL,
        "positionSide": slot,
        "positionAmt": quantity,
        "entryPrice": "60000",
        "isolatedWallet": "12",
        "liquidationPrice": "59000",
        "updateTime": BEGAN_MS,
    }
