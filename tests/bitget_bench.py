"""Bitget's quirks on a scripted desk: what the venue pushes and answers, by hand."""

import asyncio
from decimal import Decimal
from typing import Any

from hfengine.messages import PositionChanged
from hfengine.requests import OrderRequest
from hfengine.venues.bitget_venue import BitgetQuirks
from tests.scripted_desk import BEGAN_MS, ScriptedDesk

D = Decimal
SYMBOL = "BTCUSDT"
PLACE = "privateMixPostV2MixOrderPlaceOrder"
DETAIL = "privateMixGetV2MixOrderDetail"
AMEND = "privateMixPostV2MixOrderModifyTpslOrder"
ADD = "privateMixPostV2MixOrderPlaceTpslOrder"
CANCEL_PLAN = "privateMixPostV2MixOrderCancelPlanOrder"
ACCOUNT = "privateMixGetV2MixAccountAccount"
ENTRY = OrderRequest(
    "hf-1", SYMBOL, 1, "limit", D("0.01"), D(60000), "ioc", stop=D(59000), target=D(61000)
)


class Bench:
    """A quirks object on a scripted desk."""

    def __init__(self, **changes: Any) -> None:
        self.desk = ScriptedDesk("bitget", (SYMBOL,), **{"position_mode": "hedge"} | changes)
        self.quirks = BitgetQuirks()
        self.quirks.desk = self.desk

    def push(self, channel: str, *rows: Any, at_ms: int = 10) -> None:
        arg = {"instType": "USDT-FUTURES", "channel": channel, "instId": "default"}
        message = {"action": "snapshot", "arg": arg, "data": list(rows), "ts": BEGAN_MS + at_ms}
        assert self.quirks.heard(message)

    def position(self, total: str = "0.01", at_ms: int = 10, **changes: Any) -> None:
        row = {
            "instId": SYMBOL,
            "holdSide": "long",
            "posMode": "hedge_mode",
            "total": total,
            "openPriceAvg": "60000",
            "leverage": 50,
            "marginMode": "isolated",
            "marginSize": "12",
            "liquidationPrice": "59000.5",
            "markPrice": "60100",
        }
        self.push("positions", row | changes, at_ms=at_ms)

    def plan(self, plan_id: str, plan_type: str, trigger: str, **changes: Any) -> None:
        row = {
            "instId": SYMBOL,
            "orderId": plan_id,
            "clientOid": "",
            "planType": plan_type,
            "triggerPrice": trigger,
            "triggerType": "mark_price",
            "size": "0.01",
            "side": "buy",
            "tradeSide": "close",
            "posSide": "long",
            "posMode": "hedge_mode",
            "status": "live",
            "cTime": str(BEGAN_MS),
        }
        self.push("orders-algo", row | changes)

    def fill(self, order_id: str, at_ms: int = 12, **changes: Any) -> None:
        row = {
            "orderId": order_id,
            "tradeId": "9",
            "symbol": SYMBOL,
            "side": "sell",
            "tradeSide": "close",
            "posMode": "hedge_mode",
            "price": "61000",
            "baseVolume": "0.01",
            "profit": "10",
            "tradeScope": "taker",
            "feeDetail": [{"feeCoin": "USDT", "totalFee": "-0.3"}],
            "cTime": str(BEGAN_MS + at_ms),
        }
        self.push("fill", row | changes, at_ms=at_ms)

    def told(self) -> PositionChanged:
        told: PositionChanged = self.desk.of(PositionChanged)[-1]
        return told


def run(scenario: Any) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 5))


def answered(**row: Any) -> dict[str, Any]:
    return {"code": "00000", "data": row}
