"""Orders, plan orders and fills as Bitget's private socket pushes them."""

from decimal import Decimal
from typing import Final

from hfengine.exchange.reports import FillReport, OrderReport
from hfengine.localvenue.bitget import identity
from hfengine.localvenue.bitget.figures import ms, unset
from hfengine.localvenue.bitget.identity import Names
from hfengine.localvenue.bitget.order_rows import (
    PUSH_PLAN_TYPES,
    STATES,
    Row,
    cancel_reason,
    order_type,
    plan_status,
    plan_type,
    trigger_type,
)
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

FILLED: Final = frozenset({"partially_filled", "filled"})


def order_push(
    standing: Standing, names: Names, report: OrderReport, filled: FillReport | None
) -> Row:
    """Return an order as the channel `orders` pushes it.

    `filled` is the fill that the push is about; its fields are there only then.
    """
    update = report.update
    preset_type = trigger_type(report.protect_by)
    row: Row = {
        "accBaseVolume": plain(update.filled),
        "cTime": ms(report.triggered_ns or report.created_ns),
        "cancelReason": cancel_reason(report),
        "clientOid": names.shown(standing.account, report, "order"),
        "enterPointSource": "API",
        "feeDetail": [{"feeCoin": COIN, "fee": plain(-report.fee_usdt)}],
        "force": report.tif,
        "instId": update.symbol,
        "leverage": str(standing.setting(update.symbol, report.slot).leverage),
        "marginCoin": COIN,
        "marginMode": standing.margin_mode(update.symbol, report.slot),
        "notionalUsd": plain(_notional(standing, report)),
        "orderId": identity.number(update.venue_id, "order"),
        "orderType": order_type(report),
        "posMode": ONE_WAY if report.slot == "net" else HEDGE,
        "posSide": report.slot,
        "presetStopLossExecutePrice": "",
        "presetStopLossType": preset_type if report.stop else "",
        "presetStopSurplusExecutePrice": "",
        "presetStopSurplusType": preset_type if report.target else "",
        "price": plain(update.price),
        "reduceOnly": "yes" if reduces(report) else "no",
        "side": side_text(report),
        "size": plain(update.quantity),
        "status": STATES[update.state],
        "stpMode": "none",
        "totalProfits": "0",
        "tradeSide": trade_side_text(report.slot, update.side),
        "uTime": ms(update.at_ns),
    }
    if report.stop:
        row["presetStopLossPrice"] = plain(report.stop)
    if report.target:
        row["presetStopSurplusPrice"] = plain(report.target)
    if update.state in FILLED:
        row["priceAvg"] = plain(report.average)
        row["totalProfits"] = plain(standing.tally.realised(update.venue_id))
    if filled is not None and update.state in FILLED:
        fill = filled.fill
        row["tradeSide"] = trade_side_text(report.slot, update.side, fill.cause)
        row |= {
            "baseVolume": plain(fill.quantity),
            "fillFee": plain(-fill.fee_usdt),
            "fillFeeCoin": COIN,
            "fillNotionalUsd": plain(filled.notional_usdt),
            "fillPrice": plain(fill.price),
            "fillTime": ms(fill.at_ns),
            "pnl": plain(fill.realised_usdt),
            "tradeId": identity.fill_id(fill.fill_id),
            "tradeScope": "M" if fill.maker else "T",
        }
    return row


def plan_push(standing: Standing, names: Names, report: OrderReport) -> Row:
    """Return a plan order as the channel `orders-algo` pushes it."""
    update, kind = report.update, plan_type(report)
    is_stop = update.kind == "stop_market"
    is_tpsl = kind != "normal_plan"
    watched = trigger_type(report.trigger_by)
    trigger = plain(update.trigger)
    stop = trigger if is_tpsl and is_stop else unset(report.stop)
    target = trigger if is_tpsl and not is_stop else unset(report.target)
    return {
        "instId": update.symbol,
        "orderId": identity.number(update.venue_id, "plan"),
        "clientOid": names.shown(standing.account, report, "plan"),
        "triggerPrice": trigger,
        "triggerType": watched,
        "triggerTime": ms(report.triggered_ns) if report.triggered_ns else "",
        "planType": PUSH_PLAN_TYPES[kind],
        "price": trigger,
        "executePrice": plain(update.price),
        "size": plain(update.quantity),
        "actualSize": plain(update.filled),
        "orderType": order_type(report),
        "side": side_text(report),
        "tradeSide": trade_side_text(report.slot, update.side),
        "posSide": report.slot,
        "marginCoin": COIN,
        "status": plan_status(report),
        "posMode": ONE_WAY if report.slot == "net" else HEDGE,
        "enterPointSource": "API",
        "stopSurplusPrice": "",
        "stopSurplusTriggerPrice": target,
        "stopSurplusTriggerType": watched if target else "fill_price",
        "stopLossPrice": "",
        "stopLossTriggerPrice": stop,
        "stopLossTriggerType": watched if stop else "fill_price",
        "stpMode": "none",
        "cTime": ms(report.created_ns),
        "uTime": ms(update.at_ns),
    }


def fill_push(names: Names, account: str, report: FillReport, order: OrderReport | None) -> Row:
    """Return a fill as the channel `fill` pushes it; `side` is the direction of the trade."""
    fill = report.fill
    shown = names.shown(account, order, "order") if order is not None else ""
    return {
        "orderId": identity.number(report.venue_id, "order"),
        "clientOid": shown,
        "tradeId": identity.fill_id(fill.fill_id),
        "symbol": fill.symbol,
        "side": "buy" if fill.side > 0 else "sell",
        "orderType": "limit" if report.order_price else "market",
        "posMode": ONE_WAY if report.slot == "net" else HEDGE,
        "price": plain(fill.price),
        "baseVolume": plain(fill.quantity),
        "quoteVolume": plain(report.notional_usdt),
        "profit": plain(fill.realised_usdt),
        "tradeSide": trade_side_text(report.slot, fill.side, fill.cause),
        "tradeScope": "maker" if fill.maker else "taker",
        "feeDetail": [
            {
                "feeCoin": COIN,
                "deduction": "no",
                "totalDeductionFee": "0",
                "totalFee": plain(-fill.fee_usdt),
            }
        ],
        "cTime": ms(fill.at_ns),
        "uTime": ms(fill.at_ns),
    }


def _notional(standing: Standing, report: OrderReport) -> Decimal:
    price = report.average or report.update.price or standing.exchange.mark(report.update.symbol)
    return report.update.quantity * price
