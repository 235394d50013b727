"""Binance's order.place and algoOrder.place as dicts, and their signature (VENUES 3.2)."""

from typing import Any

from tests.reference.grid import Grid
from tests.reference.signing import sign_hex

TIF = ("GTC", "IOC", "FOK", "GTX")


def signed(secret: bytes, params: dict[str, Any]) -> dict[str, Any]:
    """Add the signature over the alphabetically sorted parameters."""
    query = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return params | {"signature": sign_hex(secret, query.encode()).decode()}


class BinanceOrders:
    def __init__(
        self, symbol: str, tick: str, step: str, key: str, secret: bytes, recv_window_ms: int
    ) -> None:
        self.price, self.quantity, self.secret = Grid(tick), Grid(step), secret
        self.symbol = symbol
        self.always = {"apiKey": key, "recvWindow": recv_window_ms}

    def frame(self, request_id: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": str(request_id),
            "method": method,
            "params": signed(self.secret, self.always | params),
        }

    def place(
        self,
        request_id: int,
        now_ms: int,
        client_id: str,
        side: int,
        steps: int,
        ticks: int | None,
        tif: int,
        reduce_only: bool,
    ) -> dict[str, Any]:
        """A limit order, or a market order where `ticks` is None."""
        params: dict[str, Any] = {
            "symbol": self.symbol,
            "side": "BUY" if side == 1 else "SELL",
            "type": "MARKET" if ticks is None else "LIMIT",
            "quantity": self.quantity.text(steps),
            "newClientOrderId": client_id,
            "newOrderRespType": "RESULT",
            "timestamp": now_ms,
        }
        if ticks is not None:
            params |= {"price": self.price.text(ticks), "timeInForce": TIF[tif]}
        if reduce_only:
            params["reduceOnly"] = "true"
        return self.frame(request_id, "order.place", params)

    def conditional(
        self,
        request_id: int,
        now_ms: int,
        client_id: str,
        side: int,
        target: bool,
        trigger_ticks: int,
        steps: int,
        by_mark: bool,
    ) -> dict[str, Any]:
        params: dict[str, Any] = {
            "algoType": "CONDITIONAL",
            "symbol": self.symbol,
            "side": "BUY" if side == 1 else "SELL",
            "type": "TAKE_PROFIT_MARKET" if target else "STOP_MARKET",
            "triggerPrice": self.price.text(trigger_ticks),
            "timeInForce": "GTC",
            "workingType": "MARK_PRICE" if by_mark else "CONTRACT_PRICE",
            "clientAlgoId": client_id,
            "timestamp": now_ms,
        }
        if steps:
            params |= {"quantity": self.quantity.text(steps), "reduceOnly": "true"}
        else:
            params["closePosition"] = "true"
        return self.frame(request_id, "algoOrder.place", params)

    def cancel_conditional(self, request_id: int, now_ms: int, client_id: str) -> dict[str, Any]:
        params = {"clientAlgoId": client_id, "timestamp": now_ms}
        return self.frame(request_id, "algoOrder.cancel", params)
