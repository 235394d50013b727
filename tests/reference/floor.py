"""The floor's order in plain Python: json for the frames, a dict for the book."""

import json
from decimal import Decimal


class Floor:
    """Answers each delta of an unbroken chain with an order; `time_ms` is the caller's clock."""

    def __init__(self, symbol: str, quantity: str) -> None:
        self.symbol = symbol
        self.quantity = quantity
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.orders = 0

    def order(self, payload: bytes, time_ms: str) -> dict[str, object] | None:
        frame = json.loads(payload)
        if frame["type"] == "snapshot":
            self.bids.clear()
            self.asks.clear()
        for side, levels in ((self.bids, frame["data"]["b"]), (self.asks, frame["data"]["a"])):
            for price, quantity in levels:
                side[Decimal(price)] = Decimal(quantity)
                if not Decimal(quantity):
                    del side[Decimal(price)]
        if frame["type"] == "snapshot" or not self.bids or not self.asks:
            return None
        bid, ask = max(self.bids), min(self.asks)
        buys = self.bids[bid] > self.asks[ask]
        self.orders += 1
        return {
            "reqId": str(self.orders),
            "header": {"X-BAPI-TIMESTAMP": time_ms, "X-BAPI-RECV-WINDOW": "5000"},
            "op": "order.create",
            "args": [
                {
                    "category": "linear",
                    "symbol": self.symbol,
                    "side": "Buy" if buys else "Sell",
                    "orderType": "Limit",
                    "qty": self.quantity,
                    "price": str((ask if buys else bid).quantize(Decimal("0.1"))),
                    "timeInForce": "IOC",
                    "orderLinkId": f"floor-{self.orders}",
                }
            ],
        }
