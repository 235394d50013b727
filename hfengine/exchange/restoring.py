"""An exchange from its rows (snapshot.py), to go on as if it had never stopped."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from hfengine.exchange.account import Account
from hfengine.exchange.clearing import protection_suffix
from hfengine.exchange.market import NEVER_NS, Market, Taken
from hfengine.exchange.orders import CONDITIONAL_KINDS, Attachment, Order
from hfengine.exchange.reports import FillReport, OrderReport, PositionReport
from hfengine.exchange.snapshot import VERSION, Dumped, Row
from hfengine.messages import (
    BalanceChanged,
    Fill,
    FundingPaid,
    LeverageChanged,
    OrderUpdate,
    PositionChanged,
)

if TYPE_CHECKING:
    from hfengine.exchange.base import ExchangeBase

Event = (
    OrderReport
    | FillReport
    | PositionReport
    | OrderUpdate
    | Fill
    | PositionChanged
    | BalanceChanged
    | LeverageChanged
    | FundingPaid
)


def restore_into(exchange: "ExchangeBase", dumped: Dumped) -> None:
    """Fill a new exchange with a dump.

    Raises ValueError when the dump is of another version, lacks the detail the exchange wants, or
    names a symbol that the exchange does not list on the same grid.
    """
    head = dumped["head"]
    if dumped["version"] != VERSION:
        msg = f"a dump of version {dumped['version']}, this reads {VERSION}"
        raise ValueError(msg)
    if exchange._clearing.detailed and not head["detailed"]:
        msg = "a dump of an exchange without detail cannot be restored with detail"
        raise ValueError(msg)
    for row in dumped["markets"]:
        _restore_prices(_listed(exchange, row), row)
    _restore_accounts(exchange, dumped)
    for row in sorted(dumped["orders"], key=lambda row: int(row["venue_id"])):
        _restore_order(exchange, row)
    for row in dumped["markets"]:
        _restore_queues(exchange, row)
    for row in dumped["positions"]:
        account = exchange._accounts[row["account"]]
        position = account.position(exchange._markets[row["symbol"]], row["slot"])
        for venue_id in row["resting"]:
            order = account.by_venue_id[venue_id]
            position.resting.add(order)
    exchange._now_ns = head["now_ns"]
    exchange._protection_count = head["protections"]
    exchange._liquidator.count = head["forced"]
    exchange._clearing.order_count = head["orders"]
    exchange._clearing.fill_count = head["fills"]
    exchange._clearing.events = [
        (account, msgspec.convert(event, Event)) for account, event in head["events"]
    ]


def _listed(exchange: "ExchangeBase", row: Row) -> Market:
    symbol = row["symbol"]
    market = exchange._markets.get(symbol)
    if market is None:
        msg = f"the dump has {symbol}, which is not listed"
        raise ValueError(msg)
    grid = market.instrument.price_tick, market.instrument.quantity_step
    dumped_grid = Decimal(row["price_tick"]), Decimal(row["quantity_step"])
    if grid != dumped_grid:
        msg = f"{symbol}: the dump has tick and step {dumped_grid}, listed are {grid}"
        raise ValueError(msg)
    return market


def _restore_prices(market: Market, row: Row) -> None:
    if Decimal(row["mark"]):
        market.set_mark(Decimal(row["mark"]))
    market.index = Decimal(row["index"])
    market.last_ticks = row["last_ticks"]
    market.funding_rate = Decimal(row["funding_rate"])
    market.funding_due_ns = row["funding_due_ns"] or NEVER_NS
    market.regime = row["regime"]
    market.starved = row["starved"]
    market.taken = {
        (side, ticks): Taken(seen_steps, taken_steps)
        for side, ticks, seen_steps, taken_steps in row["taken"]
    }


def _restore_accounts(exchange: "ExchangeBase", dumped: Dumped) -> None:
    unit = exchange._unit
    for row in _numbered(dumped["accounts"]):
        account = exchange._accounts[row["name"]] = Account(row["name"], unit)
        account.set_position_mode(row["position_mode"])
    for row in _numbered(dumped["ledger"]):
        ledger = exchange._accounts[row["account"]].ledger
        change_units = unit.of(Decimal(row["change_usdt"]))
        ledger.post(row["at_ns"], row["kind"], row["symbol"], change_units)
    for row in _numbered(dumped["positions"]):
        market = exchange._markets[row["symbol"]]
        position = exchange._accounts[row["account"]].position(market, row["slot"])
        position.leverage, position.margin_mode = row["leverage"], row["margin_mode"]
        position.steps, position.opened_ns = row["steps"], row["opened_ns"]
        position.cost_units = unit.of(Decimal(row["cost_usdt"]))
        position.margin_units = unit.of(Decimal(row["margin_usdt"]))
        position.realised_units = unit.of(Decimal(row["realised_usdt"]))
        position.realised_total_units = unit.of(Decimal(row["realised_total_usdt"]))
    for row in sorted(dumped["fills"], key=lambda row: int(row["fill_id"])):
        _restore_fill(exchange, row, is_report=dumped["head"]["detailed"])


def _restore_fill(exchange: "ExchangeBase", row: Row, *, is_report: bool) -> None:
    account = exchange._accounts[row["account"]]
    if not is_report:
        account.fills.append(msgspec.convert(row["message"], Fill))
        return
    report = msgspec.convert(row["message"], FillReport)
    account.fills.append(report.fill)
    if exchange._clearing.detailed:
        account.fill_reports.append(report)


def _restore_order(exchange: "ExchangeBase", row: Row) -> None:
    account = exchange._accounts[row["account"]]
    market = exchange._markets[row["symbol"]]
    position = account.position(market, row["slot"])
    carried = None if row["carried"] is None else Attachment(*row["carried"])
    order = Order(
        position,
        row["client_id"],
        row["kind"],
        row["side"],
        row["quantity_steps"],
        at_ns=row["created_ns"],
        limit_ticks=row["limit_ticks"],
        tif=row["tif"],
        reduce_only=row["reduce_only"],
        close_position=row["close_position"],
        trigger_ticks=row["trigger_ticks"],
        trigger_by=row["trigger_by"],
        attachment=carried,
        attached=row["attached"],
        partial=row["partial"],
        parent_id=row["parent_id"],
        expires_with_position=row["expires_with_position"],
    )
    if not row["pending"]:
        order.attachment = None
    order.venue_id, order.state, order.reason = row["venue_id"], row["state"], row["reason"]
    order.at_ns, order.triggered_ns = row["at_ns"], row["triggered_ns"]
    order.filled_steps = row["filled_steps"]
    order.cost_units = market.unit.of(Decimal(row["cost_usdt"]))
    order.fee_units = market.unit.of(Decimal(row["fee_usdt"]))
    account.orders[order.client_id] = order
    account.by_venue_id[order.venue_id] = order
    if carried is not None:
        account.reserved_ids.update(
            order.client_id + protection_suffix(kind) for kind in CONDITIONAL_KINDS
        )
    if order.is_open:
        account.open[order.client_id] = order
    if row["waiting"]:
        market.conditionals[order.venue_id] = order
        position.conditionals[order.client_id] = order
        if order.attached and not order.partial and order.kind == "stop_market":
            position.stop = order
        elif order.attached and not order.partial:
            position.target = order


def _restore_queues(exchange: "ExchangeBase", row: Row) -> None:
    market = exchange._markets[row["symbol"]]
    for name, venue_id, ahead_steps in row["resting"]:
        order = exchange._accounts[name].by_venue_id[venue_id]
        market.resting(order.side).put(order, ahead_steps)
    market.holders = {name: exchange._accounts[name] for name in row["holders"]}


def _numbered(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["number"])
