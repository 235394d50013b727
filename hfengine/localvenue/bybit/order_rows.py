"""Orders and executions as Bybit's JSON rows."""

from decimal import Decimal
from typing import Final

from hfengine.exchange.orders import CONDITIONAL_KINDS
from hfengine.exchange.reports import FillReport, OrderReport
from hfengine.instruments import Instrument
from hfengine.localvenue.bybit.errors import CANCEL_TYPES, REJECT_REASONS
from hfengine.localvenue.bybit.figures import ZERO, gridded, ms, shown
from hfengine.localvenue.bybit.identity import execution_id, link_id, order_id
from hfengine.localvenue.figures import plain
from hfengine.messages import OrderKind
from hfengine.requests import Slot, TimeInForce

Row = dict[str, object]

POSITION_INDEX: Final[dict[Slot, int]] = {"net": 0, "long": 1, "short": 2}
STATUS: Final = {
    "new": "New",
    "partially_filled": "PartiallyFilled",
    "filled": "Filled",
    "cancelled": "Cancelled",
    "rejected": "Rejected",
    "untriggered": "Untriggered",
    "triggered": "Triggered",
}
OPEN_STATUS: Final = frozenset({"new", "partially_filled", "untriggered", "triggered"})
TIME_IN_FORCE: Final[dict[TimeInForce, str]] = {
    "gtc": "GTC",
    "ioc": "IOC",
    "fok": "FOK",
    "post_only": "PostOnly",
}
TRIGGER_BY: Final = {"mark": "MarkPrice", "last": "LastPrice"}
BUST_PREFIX: Final = "liquidation#"
ADL_PREFIX: Final = "adl#"
"""Client ids that the exchange gives to what it does by itself."""
EXEC_TYPES: Final = {"liquidation": "BustTrade", "adl": "AdlTrade"}
"""`execType` by the cause of a fill; else Trade."""


def side_name(side: int) -> str:
    """Return Buy or Sell, "" for none."""
    return "Buy" if side > 0 else "Sell" if side < 0 else ""


def is_stop(kind: OrderKind) -> bool:
    """Tell whether an order waits, or waited, for a trigger."""
    return kind in CONDITIONAL_KINDS


def stop_order_type(kind: OrderKind, *, attached: bool, partial: bool) -> str:
    """Return `stopOrderType`: a user's conditional order is Stop, a position's names its leg."""
    if not is_stop(kind):
        return ""
    if not attached:
        return "Stop"
    leg = "StopLoss" if kind == "stop_market" else "TakeProfit"
    return f"Partial{leg}" if partial else leg


def create_type(client_id: str, stop_type: str) -> str:
    """Return `createType` by what made the order."""
    if client_id.startswith(BUST_PREFIX):
        return "CreateByTakeOver_PassThrough"
    if client_id.startswith(ADL_PREFIX):
        return "CreateByAdl_PassThrough"
    return "CreateByUser" if stop_type in {"", "Stop"} else f"CreateBy{stop_type}"


def trigger_direction(kind: OrderKind, side: int) -> int:
    """Return 1 for a trigger that waits for a rise, 2 for a fall, 0 for no trigger."""
    if not is_stop(kind):
        return 0
    return 1 if (side > 0) == (kind == "stop_market") else 2


def order_type(kind: OrderKind, price: Decimal) -> str:
    """Return Limit or Market; a conditional order with a price becomes a limit order."""
    return "Limit" if kind == "limit" or price else "Market"


def order_row(report: OrderReport, instrument: Instrument) -> Row:
    """Return an order as `/v5/order/realtime` and `/v5/order/history` list it."""
    update = report.update
    tick, step = instrument.price_tick, instrument.quantity_step
    stop_type = stop_order_type(update.kind, attached=report.attached, partial=report.partial)
    is_open = update.state in OPEN_STATUS
    leaves = update.quantity - update.filled if is_open else ZERO
    priced = update.price or update.trigger
    protected = bool(report.stop or report.target)
    mode = ("Partial" if report.partial else "Full") if report.attached or protected else ""
    is_limit = bool(update.price)
    return {
        "orderId": order_id(update.venue_id),
        "orderLinkId": "" if report.attached else link_id(update.client_id),
        "blockTradeId": "",
        "symbol": update.symbol,
        "price": gridded(update.price, tick) if is_limit else "0",
        "qty": gridded(update.quantity, step),
        "side": side_name(update.side),
        "isLeverage": "",
        "positionIdx": POSITION_INDEX[report.slot],
        "orderStatus": STATUS[update.state],
        "cancelType": cancel_type(report),
        "rejectReason": reject_reason(report),
        "avgPrice": shown(report.average) if update.filled else "",
        "leavesQty": gridded(leaves, step),
        "leavesValue": plain(leaves * priced),
        "cumExecQty": gridded(update.filled, step),
        "cumExecValue": plain(report.filled_usdt),
        "cumExecFee": plain(report.fee_usdt),
        "timeInForce": TIME_IN_FORCE[report.tif] if is_limit else "IOC",
        "orderType": order_type(update.kind, update.price),
        "stopOrderType": stop_type,
        "orderIv": "",
        "triggerPrice": gridded(update.trigger, tick) if update.trigger else "",
        "takeProfit": gridded(report.target, tick) if report.target else "",
        "stopLoss": gridded(report.stop, tick) if report.stop else "",
        "tpTriggerBy": TRIGGER_BY[report.protect_by] if report.target else "",
        "slTriggerBy": TRIGGER_BY[report.protect_by] if report.stop else "",
        "triggerDirection": trigger_direction(update.kind, update.side),
        "triggerBy": TRIGGER_BY[report.trigger_by] if update.trigger else "",
        "lastPriceOnCreated": "",
        "reduceOnly": update.reduce_only,
        "closeOnTrigger": report.attached or report.close_position,
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "tpslMode": mode,
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "placeType": "",
        "createType": create_type(update.client_id, stop_type),
        "cumFeeDetail": {"USDT": plain(report.fee_usdt)} if report.fee_usdt else {},
        "parentOrderLinkId": link_id(report.parent_id) if report.attached else "",
        "createdTime": ms(report.created_ns),
        "updatedTime": ms(update.at_ns),
    }


def pushed_order_row(report: OrderReport, instrument: Instrument) -> Row:
    """Return an order as the `order` topic pushes it."""
    return {
        "category": "linear",
        **order_row(report, instrument),
        "feeCurrency": "USDT",
        "closedPnl": "0",
    }


def cancel_type(report: OrderReport) -> str:
    """Return `cancelType`: UNKNOWN unless it was cancelled."""
    update = report.update
    if update.state != "cancelled":
        return "UNKNOWN"
    if update.reason == "sibling_executed":
        if update.kind == "take_profit_market":
            return "CancelByOCOTpCanceledBySlTriggered"
        return "CancelByOCOSlCanceledByTpTriggered"
    return CANCEL_TYPES.get(update.reason, "UNKNOWN")


def reject_reason(report: OrderReport) -> str:
    """Return `rejectReason`."""
    update = report.update
    if update.state == "rejected":
        return update.reason
    if update.state != "cancelled" or not update.reason:
        return "EC_NoError"
    return REJECT_REASONS.get(update.reason, "EC_Others")


def execution_row(
    report: FillReport, order: OrderReport | None, instrument: Instrument, seq: int
) -> Row:
    """Return a fill as `/v5/execution/list` lists it."""
    fill = report.fill
    tick, step = instrument.price_tick, instrument.quantity_step
    partial = order is not None and order.partial
    stop_type = stop_order_type(report.kind, attached=report.attached, partial=partial)
    price = report.order_price
    return {
        "symbol": fill.symbol,
        "orderId": order_id(report.venue_id),
        "orderLinkId": "" if report.attached else link_id(fill.client_id),
        "side": side_name(fill.side),
        "orderPrice": gridded(price, tick) if price else "0",
        "orderQty": gridded(report.order_quantity, step),
        "leavesQty": gridded(report.remaining, step),
        "createType": create_type(fill.client_id, stop_type),
        "orderType": order_type(report.kind, price),
        "stopOrderType": stop_type or "UNKNOWN",
        "execFee": plain(fill.fee_usdt),
        "execId": execution_id(fill.fill_id),
        "execPrice": gridded(fill.price, tick),
        "execQty": gridded(fill.quantity, step),
        "execType": EXEC_TYPES.get(fill.cause, "Trade"),
        "execValue": plain(report.notional_usdt),
        "execTime": ms(fill.at_ns),
        "feeCurrency": "USDT",
        "isMaker": fill.maker,
        "feeRate": plain(report.fee_rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": shown(report.mark),
        "indexPrice": shown(report.index),
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": gridded(report.closed, step),
        "seq": seq,
    }


def pushed_execution_row(row: Row, realised_usdt: Decimal) -> Row:
    """Return a row of the execution list as the `execution` topic pushes it."""
    return {"category": "linear", **row, "isLeverage": "0", "execPnl": plain(realised_usdt)}


FAST_FIELDS: Final = (
    "category",
    "symbol",
    "execId",
    "execPrice",
    "execQty",
    "orderId",
    "isMaker",
    "orderLinkId",
    "side",
    "execTime",
    "seq",
)


def fast_execution_row(pushed: Row) -> Row:
    """Return the short form of a pushed execution, for `execution.fast`."""
    return {name: pushed[name] for name in FAST_FIELDS}


def funding_row(
    *,
    symbol: str,
    execution: str,
    side: int,
    quantity: Decimal,
    mark: Decimal,
    rate: Decimal,
    funding_usdt: Decimal,
    at_ns: int,
    seq: int,
) -> Row:
    """Return a funding payment as the execution list has it: `execFee` > 0 was paid."""
    return {
        "symbol": symbol,
        "orderId": execution,
        "orderLinkId": "",
        "side": side_name(side) or "None",
        "orderPrice": "0",
        "orderQty": "0",
        "leavesQty": "0",
        "createType": "",
        "orderType": "UNKNOWN",
        "stopOrderType": "UNKNOWN",
        "execFee": plain(funding_usdt),
        "execId": execution,
        "execPrice": shown(mark),
        "execQty": plain(quantity),
        "execType": "Funding",
        "execValue": plain(quantity * mark),
        "execTime": ms(at_ns),
        "feeCurrency": "USDT",
        "isMaker": False,
        "feeRate": plain(rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": shown(mark),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "",
        "seq": seq,
    }
