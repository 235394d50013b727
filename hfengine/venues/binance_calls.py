"""Parameters of Binance USDⓈ-M's REST calls, and a leg that is to replace another."""

import re
from decimal import Decimal
from typing import Any, Final

from hfengine.messages import OrderKind
from hfengine.requests import OrderRequest, Slot, TimeInForce
from hfengine.venues.binance_order_entry import CLIENT_ID_CHARS_MAX, STOP_LEG, TARGET_LEG
from hfengine.venues.binance_positions import ONE_WAY, AlgoOrder, Held

WEIGHT: Final = "weight"
ORDER: Final = "order"
"""The groups of the venue's budgets: request weight an address, orders an account."""

TIFS: Final[dict[TimeInForce, str]] = {
    "gtc": "GTC",
    "ioc": "IOC",
    "fok": "FOK",
    "post_only": "GTX",
}
UNTIL_CANCELLED: Final = "GTC"
WITH_POSITION: Final = "GTE_GTC"
"""The venue ends such an order with the position. It wants one to be open, so a stop that leaves
together with its entry cannot have it."""

NOTHING: Final = Decimal(0)
LINEAGE: Final = re.compile(r"(.+e\d+)([st])(\d*)")
"""The id of an entry, which of its legs, and how many times that was moved."""

SLOT_NAMES: Final[dict[Slot, str]] = {"net": ONE_WAY, "long": "LONG", "short": "SHORT"}


def is_conditional(request: OrderRequest) -> bool:
    """Tell whether an order belongs in the list of conditional orders."""
    return request.kind in ("stop_market", "take_profit_market")


def slot_of(request: OrderRequest, *, hedged: bool) -> str:
    """Return the positionSide of an order: in hedge mode that of what it opens or reduces."""
    if not hedged:
        return ONE_WAY
    if request.slot != "net":
        return SLOT_NAMES[request.slot]
    reduces = request.reduce_only or request.close_position
    return "LONG" if (request.side > 0) != reduces else "SHORT"


def order_params(request: OrderRequest, *, hedged: bool) -> dict[str, Any]:
    """Return the parameters of a limit or market order."""
    params = {
        "symbol": request.symbol,
        "side": "BUY" if request.side > 0 else "SELL",
        "type": request.kind.upper(),
        "quantity": f"{request.quantity:f}",
        "newClientOrderId": request.client_id,
        "newOrderRespType": "RESULT",
    }
    if request.kind == "limit":
        params |= {"price": f"{request.price:f}", "timeInForce": TIFS[request.tif]}
    if hedged:
        # the venue refuses reduceOnly here: the slot says what an order may do
        params["positionSide"] = slot_of(request, hedged=True)
    elif request.reduce_only:
        params["reduceOnly"] = "true"
    return params


def algo_params(
    request: OrderRequest, *, hedged: bool, tif: str = UNTIL_CANCELLED
) -> dict[str, Any]:
    """Return the parameters of a conditional order."""
    params = {
        "algoType": "CONDITIONAL",
        "symbol": request.symbol,
        "side": "BUY" if request.side > 0 else "SELL",
        "type": request.kind.upper(),
        "triggerPrice": f"{request.trigger:f}",
        "workingType": "MARK_PRICE" if request.trigger_by == "mark" else "CONTRACT_PRICE",
        "clientAlgoId": request.client_id,
        "timeInForce": tif,
    }
    if hedged:
        params["positionSide"] = slot_of(request, hedged=True)
    if request.close_position:
        params["closePosition"] = "true"
        return params
    params["quantity"] = f"{request.quantity:f}"
    if not hedged and request.reduce_only:
        params["reduceOnly"] = "true"
    return params


def moved_leg(
    held: Held, kind: OrderKind, trigger: Decimal, old: tuple[AlgoOrder, ...], fallback_id: str
) -> OrderRequest:
    """Return the order that shall replace a leg, so that both can stand at once.

    The venue takes one closePosition order of a kind: next to one, the other form (the position's
    quantity, reduce-only) goes through, and the next move goes back.
    """
    closes_all = not any(order.closes_all for order in old)
    slots: dict[str, Slot] = {name: slot for slot, name in SLOT_NAMES.items()}
    return OrderRequest(
        client_id=_next_id(old, kind, fallback_id),
        symbol=held.symbol,
        side=-held.side,
        kind=kind,
        quantity=NOTHING if closes_all else abs(held.quantity),
        reduce_only=True,
        trigger=trigger,
        close_position=closes_all,
        slot=slots.get(held.slot, "net"),
    )


def _next_id(old: tuple[AlgoOrder, ...], kind: OrderKind, fallback_id: str) -> str:
    moves = []
    for order in old:
        match = LINEAGE.fullmatch(order.client_id)
        if match is not None:
            moves.append((int(match[3] or 0), match[1], match[2]))
    if moves:
        count, entry, leg = max(moves)
        name = f"{entry}{leg}{count + 1}"
        if len(name) <= CLIENT_ID_CHARS_MAX:
            return name
    return fallback_id + (STOP_LEG if kind == "stop_market" else TARGET_LEG)
