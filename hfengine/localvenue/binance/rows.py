"""Orders and executions as Binance's rows and events; pure, from the exchange's reports."""

from decimal import Decimal
from typing import Final

from hfengine.exchange import rejects
from hfengine.exchange.reports import FillReport, OrderReport
from hfengine.localvenue.binance.errors import NOT_RECORDED
from hfengine.localvenue.binance.wire import (
    ADL_PREFIX,
    SLOT_NAMES,
    TIF_NAMES,
    Grid,
    Row,
    algo_id,
    conditional_type,
    is_conditional,
    is_forced,
    live_type,
    ms,
    order_id,
    plain,
    shown_client_id,
    side_name,
    usdt,
    working_type,
)

ZERO: Final = Decimal(0)
SELF_TRADE_MODE: Final = "EXPIRE_MAKER"
CANCELS: Final = frozenset({rejects.CANCELLED_BY_USER, rejects.LIQUIDATION, rejects.ADL})
"""Reasons of an end that Binance calls CANCELED; the others are EXPIRED."""
ENGINE_ENDS: Final = frozenset({rejects.NO_LIQUIDITY, rejects.IOC_REMAINDER, *CANCELS})
"""Reasons that end a triggered order in the matching engine, not at its door."""
REASON_TEXTS: Final = {
    rejects.REDUCE_ONLY_REJECTED: "Reduce Only reject",
    rejects.INSUFFICIENT_MARGIN: "Margin is insufficient.",
    rejects.TIER_EXCEEDED: "Exceeded the maximum allowable position at current leverage.",
}


def was_refused(report: OrderReport) -> bool:
    """Tell whether a conditional order was triggered and then not let into the engine."""
    update = report.update
    return (
        update.state == "cancelled"
        and report.triggered_ns == update.at_ns > 0
        and not update.filled
        and update.reason not in ENGINE_ENDS
    )


def is_order(report: OrderReport) -> bool:
    """Tell whether a report stands in the list of orders: not while it waits for a trigger."""
    if is_conditional(report):
        return report.triggered_ns > 0 and not was_refused(report)
    # one that rested before, and was amended into a refusal, is in the history
    update = report.update
    return update.reason not in NOT_RECORDED or update.at_ns > report.created_ns


def is_open_order(report: OrderReport) -> bool:
    """Tell whether a report is an order that can still fill now."""
    return is_order(report) and report.update.state in {"new", "partially_filled", "triggered"}


def order_status(report: OrderReport) -> str:
    """Return the status of an order in the matching engine."""
    update = report.update
    if update.state == "filled":
        return "FILLED"
    if update.state in {"cancelled", "rejected"}:
        if update.reason == rejects.SELF_TRADE:
            return "EXPIRED_IN_MATCH"
        return "CANCELED" if update.reason in CANCELS else "EXPIRED"
    return "PARTIALLY_FILLED" if update.filled else "NEW"


def algo_status(report: OrderReport) -> str:
    """Return the status of a conditional order in the algo list."""
    update = report.update
    if not report.triggered_ns:
        if update.state == "untriggered":
            return "NEW"
        return "EXPIRED" if update.reason == rejects.POSITION_CLOSED else "CANCELED"
    if was_refused(report):
        return "REJECTED"
    return "FINISHED" if update.state in {"filled", "cancelled"} else "TRIGGERED"


def order_tif(report: OrderReport) -> str:
    """Return the time in force of an order in the matching engine."""
    return "IOC" if is_forced(report.update.client_id) else TIF_NAMES[report.tif]


def algo_tif(report: OrderReport) -> str:
    """Return the time in force of a conditional order."""
    return "GTE_GTC" if report.expires_with_position else TIF_NAMES[report.tif]


def average_text(report: OrderReport, grid: Grid) -> str:
    """Return the average fill price."""
    return plain(report.average, max(grid.price_places, 2))


def placed_row(report: OrderReport, grid: Grid) -> Row:
    """Return an order as the answer to placing it."""
    update = report.update
    conditional = is_conditional(report)
    live = live_type(report)
    return {
        "orderId": order_id(update.venue_id),
        "symbol": update.symbol,
        "status": order_status(report),
        "clientOrderId": shown_client_id(update.client_id),
        "price": grid.price(update.price),
        "avgPrice": average_text(report, grid),
        "origQty": grid.quantity(update.quantity),
        "executedQty": grid.quantity(update.filled),
        "cumQty": grid.quantity(update.filled),
        "cumQuote": plain(report.filled_usdt, 5),
        "timeInForce": order_tif(report),
        "type": live,
        "reduceOnly": update.reduce_only,
        "closePosition": report.close_position,
        "side": side_name(update.side),
        "positionSide": SLOT_NAMES[report.slot],
        "stopPrice": grid.price(update.trigger),
        "workingType": working_type(report.trigger_by) if conditional else "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": conditional_type(report) if conditional else live,
        "priceMatch": "NONE",
        "selfTradePreventionMode": SELF_TRADE_MODE,
        "goodTillDate": 0,
        "updateTime": ms(update.at_ns),
    }


def acknowledged_row(report: OrderReport, grid: Grid) -> Row:
    """Return an order as it was when it was accepted (newOrderRespType ACK)."""
    row = placed_row(report, grid)
    nothing = grid.quantity(ZERO)
    row.update(
        status="NEW",
        avgPrice=plain(ZERO, max(grid.price_places, 2)),
        executedQty=nothing,
        cumQty=nothing,
        cumQuote=plain(ZERO, 5),
        updateTime=ms(report.created_ns),
    )
    return row


def cancelled_row(report: OrderReport, grid: Grid) -> Row:
    """Return an order as the answer to cancelling it."""
    row = placed_row(report, grid)
    del row["avgPrice"]
    return row


def queried_row(report: OrderReport, grid: Grid) -> Row:
    """Return an order as a query shows it."""
    row = placed_row(report, grid)
    del row["cumQty"]
    row["time"] = ms(report.triggered_ns or report.created_ns)
    return row


def amended_row(report: OrderReport, grid: Grid) -> Row:
    """Return an order as the answer to amending it over REST."""
    return placed_row(report, grid) | {"pair": report.update.symbol, "cumBase": "0"}


def algo_placed_row(report: OrderReport, grid: Grid) -> Row:
    """Return a conditional order as the answer to placing or cancelling it."""
    update = report.update
    return {
        "algoId": algo_id(update.venue_id),
        "clientAlgoId": update.client_id,
        "algoType": "CONDITIONAL",
        "orderType": conditional_type(report),
        "symbol": update.symbol,
        "side": side_name(update.side),
        "positionSide": SLOT_NAMES[report.slot],
        "timeInForce": algo_tif(report),
        "quantity": grid.quantity(update.quantity),
        "algoStatus": algo_status(report),
        "triggerPrice": grid.price(update.trigger),
        "price": grid.price(update.price),
        "icebergQuantity": None,
        "selfTradePreventionMode": SELF_TRADE_MODE,
        "workingType": working_type(report.trigger_by),
        "priceMatch": "NONE",
        "closePosition": report.close_position,
        "priceProtect": False,
        "reduceOnly": update.reduce_only,
        "createTime": ms(report.created_ns),
        "updateTime": ms(update.at_ns),
        "triggerTime": ms(report.triggered_ns),
        "goodTillDate": 0,
    }


def algo_queried_row(report: OrderReport, grid: Grid) -> Row:
    """Return a conditional order as a query shows it."""
    row = algo_placed_row(report, grid)
    nothing = plain(ZERO, grid.quantity_places)
    is_live = report.triggered_ns > 0 and not was_refused(report)
    row.update(
        actualOrderId=str(order_id(report.update.venue_id)) if is_live else "",
        actualPrice=plain(report.average, 5),
        tpTriggerPrice=nothing,
        tpPrice=nothing,
        slTriggerPrice=nothing,
        slPrice=nothing,
        tpOrderType="",
    )
    if is_live:
        row["actualQty"] = grid.quantity(report.update.filled)
        row["actualType"] = live_type(report)
    return row


def trade_row(report: FillReport, grid: Grid) -> Row:
    """Return one execution as userTrades shows it."""
    fill = report.fill
    return {
        "symbol": fill.symbol,
        "id": int(fill.fill_id),
        "orderId": order_id(report.venue_id),
        "side": side_name(fill.side),
        "price": grid.price(fill.price),
        "qty": grid.quantity(fill.quantity),
        "realizedPnl": usdt(fill.realised_usdt),
        "quoteQty": plain(report.notional_usdt, 5),
        "commission": usdt(fill.fee_usdt),
        "commissionAsset": "USDT",
        "time": ms(fill.at_ns),
        "positionSide": SLOT_NAMES[report.slot],
        "maker": fill.maker,
        "buyer": fill.side > 0,
    }


def order_event(
    report: OrderReport,
    grid: Grid,
    now_ms: int,
    execution: str,
    *,
    status: str = "",
    fill: FillReport | None = None,
) -> Row:
    """Return an ORDER_TRADE_UPDATE; with the fill that it tells of."""
    update = report.update
    conditional = is_conditional(report)
    at_ms = ms(update.at_ns)
    live = live_type(report)
    entry: Row = {
        "s": update.symbol,
        "c": shown_client_id(update.client_id),
        "S": side_name(update.side),
        "o": live,
        "f": order_tif(report),
        "q": grid.quantity(update.quantity),
        "p": grid.price(update.price),
        "ap": average_text(report, grid),
        "sp": grid.price(update.trigger),
        "x": execution,
        "X": status or order_status(report),
        "i": order_id(update.venue_id),
        "l": "0",
        "z": grid.quantity(update.filled),
        "L": "0",
        "n": "0",
        "N": "USDT",
        "T": at_ms,
        "t": 0,
        "b": "0",
        "a": "0",
        "m": False,
        "R": update.reduce_only,
        "wt": working_type(report.trigger_by) if conditional else "CONTRACT_PRICE",
        "ot": conditional_type(report) if conditional else live,
        "ps": SLOT_NAMES[report.slot],
        "cp": report.close_position,
        "AP": "0",
        "cr": "0",
        "rp": "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": SELF_TRADE_MODE,
        "pm": "NONE",
        "gtd": 0,
    }
    if fill is not None:
        done = fill.fill
        entry.update(
            z=grid.quantity(fill.order_quantity - fill.remaining),
            l=grid.quantity(done.quantity),
            L=grid.price(done.price),
            n=usdt(done.fee_usdt),
            t=int(done.fill_id),
            m=done.maker,
            rp=usdt(done.realised_usdt),
        )
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": at_ms, "o": entry}


def trade_lite_event(fill: FillReport, grid: Grid, now_ms: int) -> Row:
    """Return a TRADE_LITE, the short early word of a fill."""
    done = fill.fill
    return {
        "e": "TRADE_LITE",
        "E": now_ms,
        "T": ms(done.at_ns),
        "s": done.symbol,
        "q": grid.quantity(fill.order_quantity),
        "p": grid.price(fill.order_price),
        "m": done.maker,
        "c": shown_client_id(done.client_id),
        "S": side_name(done.side),
        "L": grid.price(done.price),
        "l": grid.quantity(done.quantity),
        "t": int(done.fill_id),
        "i": order_id(fill.venue_id),
    }


def algo_event(report: OrderReport, grid: Grid, now_ms: int, status: str) -> Row:
    """Return an ALGO_UPDATE of a conditional order in a status."""
    update = report.update
    is_live = status in {"TRIGGERED", "FINISHED"}
    is_done = status == "FINISHED"
    entry = {
        "caid": update.client_id,
        "aid": algo_id(update.venue_id),
        "at": "CONDITIONAL",
        "o": conditional_type(report),
        "s": update.symbol,
        "S": side_name(update.side),
        "ps": SLOT_NAMES[report.slot],
        "f": algo_tif(report),
        "q": grid.quantity(update.quantity),
        "X": status,
        "ai": str(order_id(update.venue_id)) if is_live else "",
        "ap": plain(report.average if is_done else ZERO, 5),
        "aq": plain(update.filled if is_done else ZERO, 5),
        "act": live_type(report) if is_live else "0",
        "tp": grid.price(update.trigger),
        "p": grid.price(update.price),
        "V": SELF_TRADE_MODE,
        "wt": working_type(report.trigger_by),
        "pm": "NONE",
        "cp": report.close_position,
        "pP": False,
        "R": update.reduce_only,
        "tt": ms(report.triggered_ns),
        "gtd": 0,
        "rm": REASON_TEXTS.get(update.reason, update.reason) if status == "REJECTED" else "",
    }
    return {"e": "ALGO_UPDATE", "T": ms(update.at_ns), "E": now_ms, "o": entry}


def is_adl(client_id: str) -> bool:
    """Tell whether an order is an auto-deleveraging."""
    return client_id.startswith(ADL_PREFIX)
