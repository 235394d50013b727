"""Bybit V5's JSON rows as our messages; pure functions, REST and stream alike.

Prices and quantities are decimal strings, "" or "0" for none (bybit-docs: order, position,
execution, wallet-balance; shapes as in the recorded samples).
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from hfengine.instruments import Instrument, RiskTier
from hfengine.messages import (
    BalanceChanged,
    Fill,
    FundingPaid,
    OrderKind,
    OrderState,
    OrderUpdate,
    PositionChanged,
)
from hfengine.requests import OrderRequest
from hfengine.venues.realised import Execution

Row = Mapping[str, Any]
Cause = Literal["order", "stop", "target", "liquidation", "adl"]

NOTHING: Final = Decimal(0)
NS_A_MS: Final = 1_000_000

SIDES: Final = {"Buy": 1, "Sell": -1}
SLOT_SIDES: Final = {1: 1, 2: -1}
"""Sides of the positions of hedge mode, by `positionIdx`."""

STATES: Final[dict[str, OrderState]] = {
    "Created": "new",
    "New": "new",
    "PartiallyFilled": "partially_filled",
    "Filled": "filled",
    "Cancelled": "cancelled",
    "PartiallyFilledCanceled": "cancelled",
    "Deactivated": "cancelled",
    "Rejected": "rejected",
    "Untriggered": "untriggered",
    "Triggered": "triggered",
}
MARGIN_MODES: Final[dict[str, Literal["isolated", "cross"]]] = {
    "ISOLATED_MARGIN": "isolated",
    "REGULAR_MARGIN": "cross",
    "PORTFOLIO_MARGIN": "cross",
}
REASONS: Final = {
    "": "",
    "EC_NoError": "",
    "EC_PostOnlyWillTakeLiquidity": "post_only_would_take",
    "EC_NoImmediateQtyToFill": "ioc_remainder",
    "EC_CancelForNoFullFill": "fok_not_fillable",
    "EC_PerCancelRequest": "cancelled_by_user",
    "EC_ReachMaxPendingOrders": "too_many_orders",
    "EC_InsufficientFunds": "insufficient_margin",
}
"""Named reasons; the others keep Bybit's own name."""

TIMES_IN_FORCE: Final = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK", "post_only": "PostOnly"}
TRIGGERS: Final = {"mark": "MarkPrice", "last": "LastPrice"}
FULL: Final = "Full"
CAUSES: Final[dict[str, Cause]] = {"BustTrade": "liquidation", "AdlTrade": "adl"}
FUNDING: Final = "Funding"
TRADES: Final = (
    "Trade",
    "AdlTrade",
    "BustTrade",
    "Settle",
    "Delivery",
    "BlockTrade",
    "MovePosition",
)
"""`execType`s that change a position."""

ASSUMED_BAND: Final = Decimal("0.05")
"""Where instruments-info has no `priceLimitRatioX`."""

MINUTES_AN_HOUR: Final = 60


def number(text: Any) -> Decimal:
    """Return a decimal string's number; "" and None are 0."""
    return Decimal(text) if text else NOTHING


def at_ns(row: Row, key: str) -> int:
    """Return a row's time in ns, 0 when it has none."""
    return int(row.get(key) or 0) * NS_A_MS


def leverage_of(row: Row) -> int:
    """Return a position row's leverage; one that is no whole number reads as 0."""
    exact = number(row.get("leverage"))
    return int(exact) if exact == exact.to_integral_value() else 0


def is_stop_row(row: Row) -> bool:
    """Tell whether an order row is a stop: what closes a position at a loss, or opens beyond."""
    return _kind(row) == "stop_market"


def _kind(row: Row) -> OrderKind:
    stop_type = str(row.get("stopOrderType") or "")
    if "TakeProfit" in stop_type:
        return "take_profit_market"
    if "StopLoss" in stop_type or "Trailing" in stop_type:
        return "stop_market"
    if number(row.get("triggerPrice")):
        direction = int(row.get("triggerDirection") or 0)
        stops = 1 if row.get("side") == "Buy" else 2
        # rows without a direction are the venue's own stops
        return "stop_market" if direction in (0, stops) else "take_profit_market"
    return "limit" if row.get("orderType") == "Limit" else "market"


def order(row: Row) -> OrderUpdate:
    """Return an order row; raises KeyError for a state that Bybit has not documented."""
    reason = str(row.get("rejectReason") or "")
    return OrderUpdate(
        str(row.get("orderLinkId") or ""),
        str(row["orderId"]),
        str(row["symbol"]),
        at_ns(row, "updatedTime"),
        _kind(row),
        SIDES[row["side"]],
        number(row.get("qty")),
        number(row.get("cumExecQty")),
        number(row.get("price")),
        number(row.get("triggerPrice")),
        is_reducing(row),
        STATES[row["orderStatus"]],
        REASONS.get(reason, reason),
    )


def is_reducing(row: Row) -> bool:
    """Tell whether an order can only take from a position: in hedge mode one against its side."""
    slot_side = SLOT_SIDES.get(int(row.get("positionIdx") or 0), 0)
    if slot_side:
        return SIDES[row["side"]] != slot_side
    return bool(row.get("reduceOnly")) or bool(row.get("closeOnTrigger"))


def is_open(update: OrderUpdate) -> bool:
    """Tell whether an order has not ended."""
    return update.state in ("new", "partially_filled", "untriggered", "triggered")


def fill(row: Row, realised_usdt: Decimal) -> Fill:
    """Return an execution that changed a position."""
    return Fill(
        str(row["execId"]),
        str(row.get("orderLinkId") or ""),
        str(row["symbol"]),
        at_ns(row, "execTime"),
        SIDES[row["side"]],
        number(row["execQty"]),
        number(row["execPrice"]),
        number(row.get("execFee")),
        realised_usdt,
        bool(row.get("isMaker")),
        _cause(row),
    )


def _cause(row: Row) -> Cause:
    known = CAUSES.get(str(row.get("execType")))
    if known is not None:
        return known
    stop_type = str(row.get("stopOrderType") or "")
    if stop_type in ("", "UNKNOWN"):
        return "order"
    return "target" if "TakeProfit" in stop_type else "stop"


def execution(row: Row) -> Execution:
    """Return what counts of an execution for realised PnL."""
    told = row.get("execPnl")
    return Execution(
        (int(row.get("execTime") or 0), int(row.get("seq") or 0)),
        row["execId"],
        SIDES[row["side"]],
        number(row["execQty"]),
        number(row["execPrice"]),
        None if told in (None, "") else Decimal(told),
    )


def funding(row: Row) -> FundingPaid:
    """Return a funding execution; `execFee` above 0 was paid by us."""
    return FundingPaid(
        str(row["symbol"]),
        at_ns(row, "execTime"),
        number(row.get("feeRate")),
        number(row.get("execFee")),
    )


def position(row: Row, margin_mode: str, partial_stops: Iterable[Row]) -> PositionChanged:
    """Return a position row, with the cover of its own stop and of `partial_stops`.

    Those are the open reduce-only stops of the symbol that do not belong to the row (tpslMode
    Partial, conditional orders).
    """
    side = SIDES.get(str(row.get("side") or ""), 0)
    size = number(row.get("size")) if side else NOTHING
    stop, target = number(row.get("stopLoss")), number(row.get("takeProfit"))
    covered = size if stop and size else NOTHING
    if size and not stop:
        triggers = []
        for each in partial_stops:
            if SIDES[each["side"]] == -side:
                covered += number(each["qty"]) - number(each.get("cumExecQty"))
                triggers.append(number(each["triggerPrice"]))
        # the one the price meets first
        stop = (max(triggers) if side > 0 else min(triggers)) if triggers else NOTHING
    return PositionChanged(
        str(row["symbol"]),
        at_ns(row, "updatedTime"),
        side,
        size,
        number(row.get("avgPrice") or row.get("entryPrice")) if size else NOTHING,
        leverage_of(row),
        margin_mode,
        number(row.get("positionIM")) if size else NOTHING,
        number(row.get("liqPrice")) if size else NOTHING,
        stop if size else NOTHING,
        target if size else NOTHING,
        min(covered, size),
    )


def balance(row: Row, at_time_ns: int, margin_mode: str) -> BalanceChanged:
    """Return an account row of wallet-balance or of the `wallet` topic, its USDT alone.

    In isolated mode the account's totals mean nothing (bybit-docs, wallet-balance): what is free
    is then the wallet less the margins of positions and orders.
    """
    coins = [coin for coin in row.get("coin", ()) if coin.get("coin") == "USDT"]
    coin = coins[0] if coins else {}
    wallet = number(coin.get("walletBalance"))
    used = number(coin.get("totalPositionIM")) + number(coin.get("totalOrderIM"))
    available = row.get("totalAvailableBalance")
    free = number(available) if available and margin_mode == "cross" else wallet - used
    maintenance = coin.get("totalPositionMM") or row.get("totalMaintenanceMargin")
    return BalanceChanged(
        at_time_ns, wallet, number(coin.get("equity")), max(free, NOTHING), number(maintenance)
    )


def instrument(
    row: Row, tier_rows: Iterable[Row], fees: tuple[Decimal, Decimal], as_of: str
) -> Instrument:
    """Return an instruments-info row with its risk-limit rows and (maker, taker) fees."""
    lot, price = row["lotSizeFilter"], row["priceFilter"]
    maximum = number(lot["maxOrderQty"])
    risk = row.get("riskParameters") or {}
    band = number(risk.get("priceLimitRatioX"))
    return Instrument(
        symbol=row["symbol"],
        venue="bybit",
        base=row["baseCoin"],
        price_tick=number(price["tickSize"]),
        quantity_step=number(lot["qtyStep"]),
        quantity_min=number(lot["minOrderQty"]),
        quantity_max=maximum,
        market_quantity_max=number(lot.get("maxMktOrderQty")) or maximum,
        notional_min_usdt=number(lot.get("minNotionalValue")),
        price_band=band or ASSUMED_BAND,
        maker_fee=fees[0],
        taker_fee=fees[1],
        liquidation_fee=fees[1],
        funding_interval_h=max(int(row.get("fundingInterval") or 480) // MINUTES_AN_HOUR, 1),
        tiers=_tiers(row, tier_rows),
        as_of=as_of,
        sources=("bybit instruments-info", "risk-limit", "fee-rate"),
    )


def _tiers(row: Row, tier_rows: Iterable[Row]) -> tuple[RiskTier, ...]:
    """Return the tiers; deductions by Bybit's recurrence where the row has none (VENUES 4.2)."""
    tiers: list[RiskTier] = []
    for each in sorted(tier_rows, key=lambda one: number(one["riskLimitValue"])):
        cap, rate = number(each["riskLimitValue"]), number(each["maintenanceMargin"])
        told = each.get("mmDeduction")
        if told:
            deduction = number(told)
        elif tiers:
            last = tiers[-1]
            step = last.notional_cap_usdt * (rate - last.maintenance_rate)
            deduction = last.deduction_usdt + step
        else:
            deduction = NOTHING
        tiers.append(RiskTier(cap, rate, number(each["maxLeverage"]), deduction))
    if tiers:
        return tuple(tiers)
    # listed, but without a table: half the initial margin is what Bybit starts small coins with
    most = number(row["leverageFilter"]["maxLeverage"])
    return (RiskTier(Decimal(1), 1 / (2 * most), most, NOTHING),)


def create_request(request: OrderRequest, index: int) -> dict[str, Any]:
    """Return the parameters of /v5/order/create; `index` is the positionIdx."""
    conditional = request.kind in ("stop_market", "take_profit_market")
    priced = request.kind == "limit" or (conditional and request.price)
    body: dict[str, Any] = {
        "category": "linear",
        "symbol": request.symbol,
        "side": "Buy" if request.side > 0 else "Sell",
        "orderType": "Limit" if priced else "Market",
        "qty": "0" if request.close_position else f"{request.quantity:f}",
        "positionIdx": index,
        "orderLinkId": request.client_id,
        "timeInForce": TIMES_IN_FORCE[request.tif] if priced else "IOC",
    }
    if priced:
        body["price"] = f"{request.price:f}"
    if request.reduce_only or request.close_position:
        body["reduceOnly"] = True
    if request.close_position:
        body["closeOnTrigger"] = True
    if conditional:
        rises = (request.side > 0) == (request.kind == "stop_market")
        body["triggerPrice"] = f"{request.trigger:f}"
        body["triggerDirection"] = 1 if rises else 2
        body["triggerBy"] = TRIGGERS[request.trigger_by]
    for name, by, price in (
        ("stopLoss", "slTriggerBy", request.stop),
        ("takeProfit", "tpTriggerBy", request.target),
    ):
        if price:
            body |= {name: f"{price:f}", by: TRIGGERS[request.protect_by], "tpslMode": FULL}
    return body
