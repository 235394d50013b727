"""Bybit's order.create as a dict (bybit-docs v5: websocket trade guideline, create order)."""

from typing import Any

from tests.reference.grid import Grid

TIF = ("GTC", "IOC", "FOK", "PostOnly")


def order_create(
    symbol: str,
    tick: str,
    step: str,
    recv_window_ms: int,
    request_id: int,
    now_ms: int,
    client_id: str,
    side: int,
    steps: int,
    ticks: int | None,
    tif: int,
    reduce_only: bool,
    stop_ticks: int,
    target_ticks: int,
    by_mark: bool,
) -> dict[str, Any]:
    """A limit order, or a market order where `ticks` is None."""
    price, quantity = Grid(tick), Grid(step)
    order: dict[str, Any] = {
        "category": "linear",
        "symbol": symbol,
        "side": "Buy" if side == 1 else "Sell",
        "orderType": "Market" if ticks is None else "Limit",
        "qty": quantity.text(steps),
        "orderLinkId": client_id,
        "reduceOnly": reduce_only,
        "positionIdx": 0,
    }
    if ticks is not None:
        order |= {"price": price.text(ticks), "timeInForce": TIF[tif]}
    trigger_by = "MarkPrice" if by_mark else "LastPrice"
    if stop_ticks:
        order |= {"stopLoss": price.text(stop_ticks), "slTriggerBy": trigger_by}
    if target_ticks:
        order |= {"takeProfit": price.text(target_ticks), "tpTriggerBy": trigger_by}
    if stop_ticks or target_ticks:
        order["tpslMode"] = "Full"
    return {
        "op": "order.create",
        "reqId": str(request_id),
        "header": {
            "X-BAPI-TIMESTAMP": str(now_ms),
            "X-BAPI-RECV-WINDOW": str(recv_window_ms),
        },
        "args": [order],
    }
