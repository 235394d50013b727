"""Orders, plan orders and fills as Bitget's REST answers show them.

Field lists and their order are those of answers recorded from its demo environment in 2026.
"""

from typing import Any, Final

from hfengine.exchange.reports import FillReport, OrderReport
from hfengine.localvenue.bitget import identity
from hfengine.localvenue.bitget.figures import ms, unset
from hfengine.localvenue.bitget.identity import Names
from hfengine.localvenue.bitget.standing import (
    COIN,
    HEDGE,
    ONE_WAY,
    Standing,
    reduces,
    side_text,
    trade_side_text,
)
from hfengine.localvenue.figures import plain

Row = dict[str, Any]

STATES: Final = {
    "new": "live",
    "triggered": "live",
    "partially_filled": "partially_filled",
    "filled": "filled",
    "cancelled": "canceled",
    "rejected": "canceled",
    "untriggered": "live",
}
CANCEL_REASONS: Final = {
    "": "",
    "cancelled_by_user": "normal_cancel",
    "self_trade": "stp_cancel",
}
"""What Bitget lists; every other reason is shown as the exchange names it."""

PUSH_PLAN_TYPES: Final = {
    "normal_plan": "pl",
    "profit_plan": "tp",
    "loss_plan": "sl",
    "pos_profit": "ptp",
    "pos_loss": "psl",
}
TPSL_TYPES: Final = frozenset({"profit_plan", "loss_plan", "pos_profit", "pos_loss"})


def plan_type(report: OrderReport) -> str:
    """Return the `planType` of a conditional order.

    Protection of the whole position is pos_loss or pos_profit; an order that only lives with its
    position is loss_plan or profit_plan; the rest are trigger orders.
    """
    is_stop = report.update.kind == "stop_market"
    if report.attached and not report.partial:
        return "pos_loss" if is_stop else "pos_profit"
    if report.attached or report.expires_with_position:
        return "loss_plan" if is_stop else "profit_plan"
    return "normal_plan"


def is_live_order(report: OrderReport) -> bool:
    """Tell whether an order has reached the book: not a plan order that still waits."""
    return not identity.is_plan(report) or report.triggered_ns > 0


def trigger_type(by: str) -> str:
    """Return the `triggerType` of what a trigger watches."""
    return "mark_price" if by == "mark" else "fill_price"


def order_type(report: OrderReport) -> str:
    """Return the `orderType`; a conditional order with a price becomes a limit order."""
    return "limit" if report.update.price else "market"


def order_source(report: OrderReport) -> str:
    """Return the `orderSource`."""
    kind = order_type(report)
    if report.update.reason == "liquidation" or report.update.client_id.startswith("liquidation#"):
        return "liquidation"
    if not identity.is_plan(report):
        return "normal" if kind == "limit" else "market"
    source = plan_type(report)
    return f"{'plan' if source == 'normal_plan' else source.removesuffix('_plan')}_{kind}"


def cancel_reason(report: OrderReport) -> str:
    """Return the `cancelReason`, empty unless the order was cancelled."""
    if report.update.state not in {"cancelled", "rejected"}:
        return ""
    return CANCEL_REASONS.get(report.update.reason, report.update.reason)


def pending_row(standing: Standing, names: Names, report: OrderReport) -> Row:
    """Return an order as orders-pending and orders-history show it."""
    row = _order_row(standing, names, report)
    preset_type = trigger_type(report.protect_by)
    return {
        **row,
        "status": STATES[report.update.state],
        "enterPointSource": "api",
        "presetStopSurplusPrice": unset(report.target),
        "presetStopSurplusExecutePrice": "",
        "presetStopSurplusTriggerType": preset_type if report.target else "",
        "presetStopLossPrice": unset(report.stop),
        "presetStopLossExecutePrice": "",
        "presetStopLossTriggerType": preset_type if report.stop else "",
    }


def history_row(standing: Standing, names: Names, report: OrderReport) -> Row:
    """Return an order as orders-history shows it."""
    return {**pending_row(standing, names, report), "posAvg": ""}


def detail_row(standing: Standing, names: Names, report: OrderReport) -> Row:
    """Return an order as order/detail shows it."""
    row = _order_row(standing, names, report)
    preset_type = trigger_type(report.protect_by)
    is_net = report.slot == "net"
    return {
        **row,
        "state": STATES[report.update.state],
        "enterPointSource": "API",
        "presetStopSurplusPrice": unset(report.target),
        "presetStopSurplusType": preset_type if report.target else "",
        "presetStopSurplusExecutePrice": "",
        "presetStopLossPrice": unset(report.stop),
        "presetStopLossExecutePrice": "",
        "presetStopLossType": preset_type if report.stop else "",
        "newTradeSide": None if is_net else row["tradeSide"],
        "cancelReason": cancel_reason(report),
    }


def _order_row(standing: Standing, names: Names, report: OrderReport) -> Row:
    update = report.update
    setting = standing.setting(update.symbol, report.slot)
    return {
        "symbol": update.symbol,
        "size": plain(update.quantity),
        "orderId": identity.number(update.venue_id, "order"),
        "clientOid": names.shown(standing.account, report, "order"),
        "baseVolume": plain(update.filled),
        "fee": plain(-report.fee_usdt),
        "price": unset(update.price),
        "priceAvg": unset(report.average),
        "side": side_text(report),
        "force": report.tif,
        "totalProfits": plain(standing.tally.realised(update.venue_id)),
        "posSide": report.slot,
        "marginCoin": COIN,
        "quoteVolume": plain(report.filled_usdt),
        "leverage": str(setting.leverage),
        "marginMode": standing.margin_mode(update.symbol, report.slot),
        "tradeSide": trade_side_text(report.slot, update.side),
        "posMode": ONE_WAY if report.slot == "net" else HEDGE,
        "orderType": order_type(report),
        "orderSource": order_source(report),
        "reduceOnly": "YES" if reduces(report) else "NO",
        "cTime": ms(report.triggered_ns or report.created_ns),
        "uTime": ms(update.at_ns),
    }


def plan_row(standing: Standing, names: Names, report: OrderReport) -> Row:
    """Return a plan order as orders-plan-pending shows it."""
    update, kind = report.update, plan_type(report)
    is_stop = update.kind == "stop_market"
    is_tpsl = kind in TPSL_TYPES
    trigger, watched = plain(update.trigger), trigger_type(report.trigger_by)
    no_text = None if is_tpsl else ""
    no_type = None if is_tpsl else "fill_price"
    shows_stop, shows_target = is_tpsl and is_stop, is_tpsl and not is_stop
    preset_stop = unset(report.stop) if not is_tpsl else None
    preset_target = unset(report.target) if not is_tpsl else None
    return {
        "planType": kind,
        "symbol": update.symbol,
        "size": "0" if kind.startswith("pos_") else plain(update.quantity),
        "orderId": identity.number(update.venue_id, "plan"),
        "clientOid": names.shown(standing.account, report, "plan"),
        "price": unset(update.price),
        "executePrice": unset(update.price),
        "callbackRatio": "",
        "triggerPrice": trigger,
        "triggerType": watched,
        "planStatus": plan_status(report),
        "side": side_text(report),
        "posSide": report.slot,
        "marginCoin": COIN,
        # empty in hedge mode, as recorded
        "marginMode": (
            "" if report.slot != "net" else standing.margin_mode(update.symbol, report.slot)
        ),
        "enterPointSource": "API",
        "tradeSide": trade_side_text(report.slot, update.side),
        "posMode": ONE_WAY if report.slot == "net" else HEDGE,
        "orderType": order_type(report),
        "stopSurplusTriggerPrice": trigger if shows_target else preset_target,
        "stopSurplusExecutePrice": no_text,
        "stopSurplusTriggerType": watched if shows_target else no_type,
        "stopLossTriggerPrice": trigger if shows_stop else preset_stop,
        "stopLossExecutePrice": no_text,
        "stopLossTriggerType": watched if shows_stop else no_type,
        "cTime": ms(report.created_ns),
        "uTime": ms(update.at_ns),
    }


def plan_history_row(standing: Standing, names: Names, report: OrderReport) -> Row:
    """Return a plan order as orders-plan-history shows it."""
    executed = report.triggered_ns > 0
    return {
        **plan_row(standing, names, report),
        "executeOrderId": identity.number(report.update.venue_id, "order") if executed else "",
        "priceAvg": unset(report.average),
        "baseVolume": plain(report.update.filled),
        "feeDetail": None,
    }


def plan_status(report: OrderReport) -> str:
    """Return the `planStatus`."""
    if report.triggered_ns:
        return "executed"
    if report.update.state == "untriggered":
        return "live"
    return "fail_trigger" if report.update.state == "rejected" else "cancelled"


def fill_row(report: FillReport) -> Row:
    """Return a fill as order/fills shows it; in hedge mode `side` names the position."""
    fill = report.fill
    side = fill.side if report.slot == "net" else (1 if report.slot == "long" else -1)
    return {
        "tradeId": identity.fill_id(fill.fill_id),
        "symbol": fill.symbol,
        "orderId": identity.number(report.venue_id, "order"),
        "price": plain(fill.price),
        "baseVolume": plain(fill.quantity),
        "feeDetail": [
            {
                "deduction": "no",
                "feeCoin": COIN,
                "totalDeductionFee": None,
                "totalFee": plain(-fill.fee_usdt),
            }
        ],
        "side": "buy" if side > 0 else "sell",
        "quoteVolume": plain(report.notional_usdt),
        "profit": plain(fill.realised_usdt),
        "enterPointSource": "api" if fill.cause == "order" else "sys",
        "tradeSide": trade_side_text(report.slot, fill.side, fill.cause),
        "posMode": ONE_WAY if report.slot == "net" else HEDGE,
        "tradeScope": "maker" if fill.maker else "taker",
        "cTime": ms(fill.at_ns),
    }
