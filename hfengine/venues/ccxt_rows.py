"""ccxt's unified structures as our messages; quantities there are contracts, here base currency."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from hfengine.instruments import Instrument, RiskTier
from hfengine.messages import BalanceChanged, Fill, OrderKind, OrderState, OrderUpdate
from hfengine.messages import PositionChanged as Position
from hfengine.requests import OrderRequest

NOTHING: Final = Decimal(0)
NS_A_MS: Final = 1_000_000
STATES: Final[dict[str | None, OrderState]] = {
    "open": "new",
    "closed": "filled",
    "canceled": "cancelled",
    "expired": "cancelled",
    "rejected": "rejected",
}
SIDES: Final = {"buy": 1, "sell": -1, "long": 1, "short": -1}
TIMES_IN_FORCE: Final = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK", "post_only": "PO"}

UNKNOWN_MAX: Final = Decimal(10) ** 12
ASSUMED_BAND: Final = Decimal("0.05")
ASSUMED_FEE: Final = Decimal("0.001")
ASSUMED_LEVERAGE: Final = Decimal(1)
ASSUMED_RATE: Final = Decimal("0.5")
"""Without tiers nothing is known of a symbol's maintenance: leverage 1 alone is certain."""


def camel(name: str) -> str:
    """Return a unified method's name as `has` lists it: fetch_leverage -> fetchLeverage."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def number(told: Any) -> Decimal:
    """Return ccxt's float or text as the decimal it prints as; None is 0."""
    return NOTHING if told is None or told == "" else Decimal(str(told))


def time_ns(told: Mapping[str, Any], now_ms: int = 0) -> int:
    """Return a structure's time in ns."""
    return int(told.get("lastUpdateTimestamp") or told.get("timestamp") or now_ms) * NS_A_MS


def order_params(request: OrderRequest) -> dict[str, Any]:
    """Return create_order's params."""
    params: dict[str, Any] = {"clientOrderId": request.client_id}
    if request.kind == "limit":
        params["timeInForce"] = TIMES_IN_FORCE[request.tif]
        params |= {"postOnly": True} if request.tif == "post_only" else {}
    if request.reduce_only:
        params["reduceOnly"] = True
    if request.stop:
        params["stopLoss"] = {"triggerPrice": f"{request.stop:f}"}
    if request.target:
        params["takeProfit"] = {"triggerPrice": f"{request.target:f}"}
    return params


def acknowledged(request: OrderRequest, told: Mapping[str, Any], now_ms: int) -> OrderUpdate:
    """Return an order as create_order answered: many exchanges tell no more than its id."""
    state = STATES.get(told.get("status"), "new")
    filled = told.get("filled")
    if state == "filled" and filled is None:
        state = "new"
    return OrderUpdate(
        request.client_id,
        str(told.get("id") or ""),
        request.symbol,
        now_ms * NS_A_MS,
        request.kind,
        request.side,
        request.quantity,
        NOTHING,
        request.price,
        request.trigger,
        request.reduce_only,
        state if state in ("cancelled", "rejected") else "new",
    )


def order(symbol: str, told: Mapping[str, Any], contract: Decimal) -> OrderUpdate:
    """Return a unified order."""
    state = STATES.get(told.get("status"), "new")
    filled = number(told.get("filled")) * contract
    trigger = number(told.get("triggerPrice") or told.get("stopLossPrice"))
    target = number(told.get("takeProfitPrice")) if told.get("reduceOnly") else NOTHING
    if state == "new" and (trigger or target):
        state = "untriggered"
    elif state == "new" and filled:
        state = "partially_filled"
    return OrderUpdate(
        str(told.get("clientOrderId") or ""),
        str(told.get("id") or ""),
        symbol,
        time_ns(told),
        _kind(told, trigger, target),
        SIDES.get(str(told.get("side")), 1),
        number(told.get("amount")) * contract,
        filled,
        number(told.get("price")),
        trigger or target,
        bool(told.get("reduceOnly")),
        state,
    )


def _kind(told: Mapping[str, Any], trigger: Decimal, target: Decimal) -> OrderKind:
    if trigger:
        return "stop_market"
    if target:
        return "take_profit_market"
    return "limit" if told.get("type") == "limit" else "market"


def fill(symbol: str, told: Mapping[str, Any], contract: Decimal) -> Fill:
    """Return a unified trade; realised PnL is not part of it and reads as 0."""
    fee = told.get("fee") or {}
    return Fill(
        str(told["id"]),
        str(told.get("clientOrderId") or ""),
        symbol,
        int(told["timestamp"]) * NS_A_MS,
        SIDES[told["side"]],
        number(told["amount"]) * contract,
        number(told["price"]),
        number(fee.get("cost")),
        NOTHING,
        told.get("takerOrMaker") == "maker",
        "order",
    )


def position(
    symbol: str,
    told: Mapping[str, Any],
    contract: Decimal,
    stops: Iterable[OrderUpdate],
    now_ms: int,
) -> Position:
    """Return a unified position; open stops of the symbol cover it where it tells none itself."""
    quantity = abs(number(told.get("contracts"))) * contract
    side = SIDES.get(str(told.get("side")), 0) if quantity else 0
    own_stop = number(told.get("stopLossPrice"))
    beyond = number(told.get("markPrice")) or number(told.get("entryPrice"))
    closing = [stop for stop in stops if covers(stop, side, beyond)]
    covered = quantity if own_stop else sum((s.quantity - s.filled for s in closing), NOTHING)
    exact = number(told.get("leverage"))
    return Position(
        symbol,
        time_ns(told, now_ms),
        side,
        quantity,
        number(told.get("entryPrice")),
        int(exact) if exact == exact.to_integral_value() else 0,
        str(told.get("marginMode") or ""),
        number(told.get("initialMargin")),
        number(told.get("liquidationPrice")),
        own_stop or (closing[0].trigger if closing else NOTHING),
        number(told.get("takeProfitPrice")),
        min(covered, quantity),
    )


def covers(stop: OrderUpdate, side: int, mark: Decimal) -> bool:
    """Tell whether an open conditional order ends a position of `side` at a loss, for certain.

    Not one that could open a position, waits for a gain, or has a limit price and may not fill.
    """
    closes = stop.side == -side and stop.reduce_only and not stop.price
    return closes and side * (mark - stop.trigger) > 0


def balance(told: Mapping[str, Any], now_ms: int) -> BalanceChanged:
    """Return a unified balance, its USDT alone; what it does not tell is taken as the total."""
    usdt = told.get("USDT") or {}
    total = number(usdt.get("total"))
    free = total if usdt.get("free") is None else number(usdt["free"])
    return BalanceChanged(now_ms * NS_A_MS, total, total, free, NOTHING)


def instrument(
    name: str, market: Mapping[str, Any], tiers: Iterable[Mapping[str, Any]], as_of: str
) -> Instrument:
    """Return a unified market; limits it does not tell are wide, fees it does not tell are high."""
    contract = number(market.get("contractSize") or 1)
    limits, precision = market["limits"], market["precision"]
    amount = limits.get("amount") or {}
    step = number(precision.get("amount")) * contract
    most = number(amount.get("max")) * contract or UNKNOWN_MAX
    taker = number(market.get("taker")) or ASSUMED_FEE
    return Instrument(
        symbol=name,
        venue="bybit",
        base=str(market["base"]),
        price_tick=number(precision.get("price")),
        quantity_step=step,
        quantity_min=number(amount.get("min")) * contract or step,
        quantity_max=most,
        market_quantity_max=most,
        notional_min_usdt=number((limits.get("cost") or {}).get("min")),
        price_band=ASSUMED_BAND,
        maker_fee=number(market.get("maker")) if market.get("maker") is not None else ASSUMED_FEE,
        taker_fee=taker,
        liquidation_fee=taker,
        funding_interval_h=8,
        tiers=_tiers(tiers),
        as_of=as_of,
        sources=("ccxt's markets and leverage tiers; the liquidation rule is taken to be Bybit's",),
    )


def _tiers(told: Iterable[Mapping[str, Any]]) -> tuple[RiskTier, ...]:
    tiers: list[RiskTier] = []
    for each in told:
        cap = number(each.get("maxNotional")) or UNKNOWN_MAX
        rate = number(each.get("maintenanceMarginRate"))
        deduction = NOTHING
        if tiers:
            last = tiers[-1]
            step = last.notional_cap_usdt * (rate - last.maintenance_rate)
            deduction = last.deduction_usdt + step
        if not tiers or cap > tiers[-1].notional_cap_usdt:
            tiers.append(RiskTier(cap, rate, number(each.get("maxLeverage")), deduction))
    return tuple(tiers) or (RiskTier(UNKNOWN_MAX, ASSUMED_RATE, ASSUMED_LEVERAGE, NOTHING),)
