"""Positions and balances as messages, and the fuller reports of a detailed exchange."""

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from hfengine.exchange.margin import (
    cross_state,
    free_margin_units,
    liquidation_price,
    position_maintenance_units,
)
from hfengine.exchange.market import ZERO
from hfengine.exchange.orders import CONDITIONAL_KINDS, PriceSource
from hfengine.messages import BalanceChanged, Fill, Message, OrderKind, OrderUpdate, PositionChanged
from hfengine.requests import Slot, TimeInForce

if TYPE_CHECKING:
    from hfengine.exchange.account import Account
    from hfengine.exchange.orders import Order
    from hfengine.exchange.positions import Position

PRICE_GRAIN: Final = Decimal("1e-8")
"""Averages and liquidation prices are shown to this, half-even."""


class OrderReport(Message, frozen=True, gc=False, tag=True):
    """An order with all that the exchange knows of it; prices of 0 are none.

    `stop`, `target` and `protect_by` are the protection the order itself came with. `attached`
    orders are protection of a position: of the whole of it, or `partial`, of their own quantity;
    `parent_id` is the client id of the entry that brought it. `filled_usdt` is notional, `average`
    its price, `fee_usdt` what its fills cost.
    """

    update: OrderUpdate
    created_ns: int
    tif: TimeInForce
    average: Decimal
    filled_usdt: Decimal
    fee_usdt: Decimal
    trigger_by: PriceSource
    close_position: bool
    expires_with_position: bool
    attached: bool
    partial: bool
    parent_id: str
    stop: Decimal
    target: Decimal
    protect_by: PriceSource
    slot: Slot
    triggered_ns: int


class FillReport(Message, frozen=True, gc=False, tag=True):
    """A fill with its order and the market at that moment.

    `venue_id` is the order's, `remaining` what the order has left after it, `closed` how much of
    the quantity closed a position. `order_price` 0 is no limit.
    """

    fill: Fill
    venue_id: str
    kind: OrderKind
    slot: Slot
    order_price: Decimal
    order_quantity: Decimal
    remaining: Decimal
    notional_usdt: Decimal
    fee_rate: Decimal
    mark: Decimal
    index: Decimal
    closed: Decimal
    attached: bool


class PositionReport(Message, frozen=True, gc=False, tag=True):
    """A position with its figures at the mark.

    `realised_usdt` is PnL less fees and funding since it was opened, and of the last one while
    flat; `realised_total_usdt` the same over all positions of the symbol and slot. `opened_ns` is
    0 before the first. `stop_by` and `target_by` are what `changed.stop` and `.target` watch.
    """

    changed: PositionChanged
    slot: Slot
    opened_ns: int
    mark: Decimal
    unrealised_usdt: Decimal
    maintenance_usdt: Decimal
    initial_usdt: Decimal
    realised_usdt: Decimal
    realised_total_usdt: Decimal
    bankruptcy: Decimal
    stop_by: PriceSource
    target_by: PriceSource


def order_report(order: "Order") -> OrderReport:
    """Return an order as a report."""
    market = order.market
    usdt = market.unit.usdt
    filled_usdt = usdt(order.cost_units)
    average = ZERO
    if order.filled_steps:
        average = _shown(filled_usdt / market.quantity_of(order.filled_steps))
    carried = order.carried
    return OrderReport(
        update=order.update(),
        created_ns=order.created_ns,
        tif=order.tif,
        average=average,
        filled_usdt=filled_usdt,
        fee_usdt=usdt(order.fee_units),
        trigger_by=order.trigger_by,
        close_position=order.close_position,
        expires_with_position=order.expires_with_position,
        attached=order.attached,
        partial=order.partial,
        parent_id=order.parent_id,
        stop=market.price_of(carried.stop_ticks) if carried else ZERO,
        target=market.price_of(carried.target_ticks) if carried else ZERO,
        protect_by=carried.by if carried else "mark",
        slot=order.slot,
        triggered_ns=order.triggered_ns,
    )


def fill_report(
    order: "Order", fill: Fill, notional_units: int, fee_rate: Decimal, closed_steps: int
) -> FillReport:
    """Return a fill that was booked into its order as a report."""
    market = order.market
    return FillReport(
        fill=fill,
        venue_id=order.venue_id,
        kind=order.kind,
        slot=order.slot,
        order_price=market.price_of(order.limit_ticks),
        order_quantity=market.quantity_of(order.quantity_steps),
        remaining=market.quantity_of(order.remaining_steps),
        notional_usdt=market.unit.usdt(notional_units),
        fee_rate=fee_rate,
        mark=market.mark,
        index=market.index,
        closed=market.quantity_of(closed_steps),
        attached=order.attached,
    )


def position_report(position: "Position", at_ns: int) -> PositionReport:
    """Return a position as a report."""
    market = position.market
    usdt = market.unit.usdt
    stop, target = (_shown_trigger(position, kind) for kind in CONDITIONAL_KINDS)
    return PositionReport(
        changed=position_changed(position, at_ns),
        slot=position.slot,
        opened_ns=position.opened_ns,
        mark=market.mark,
        unrealised_usdt=usdt(position.unrealised_units),
        maintenance_usdt=usdt(position_maintenance_units(position)),
        initial_usdt=usdt(position.initial_units),
        realised_usdt=usdt(position.realised_units),
        realised_total_usdt=usdt(position.realised_total_units),
        bankruptcy=_shown(position.bankruptcy),
        stop_by=stop.trigger_by if stop else "mark",
        target_by=target.trigger_by if target else "mark",
    )


def position_changed(position: "Position", at_ns: int) -> PositionChanged:
    """Return a position as a message; `side` is 0 when flat.

    `stop` and `target` are the attached ones of the whole position, or else the first reduce-only
    conditional order that would close. `margin_usdt` is what is held apart (isolated) or the
    initial margin at the mark (cross).
    """
    market = position.market
    margin_units = position.margin_units if position.is_isolated else position.initial_units
    return PositionChanged(
        symbol=market.instrument.symbol,
        at_ns=at_ns,
        side=position.side,
        quantity=market.quantity_of(position.size_steps),
        entry=_shown(position.entry),
        leverage=position.leverage,
        margin_mode=position.margin_mode,
        margin_usdt=market.unit.usdt(margin_units),
        liquidation=_shown(liquidation_price(position)),
        stop=_trigger(position, "stop_market"),
        target=_trigger(position, "take_profit_market"),
        covered=market.quantity_of(position.covered_steps()),
    )


def balance_changed(account: "Account", at_ns: int) -> BalanceChanged:
    """Return an account's balance as a message."""
    ledger = account.ledger
    held = account.held()
    unrealised_units = sum(position.unrealised_units for position in held)
    isolated_units = sum(position_maintenance_units(one) for one in held if one.is_isolated)
    state = cross_state(account)
    usdt = ledger.unit.usdt
    return BalanceChanged(
        at_ns=at_ns,
        wallet_usdt=usdt(ledger.wallet_units),
        equity_usdt=usdt(ledger.wallet_units + unrealised_units),
        free_margin_usdt=usdt(free_margin_units(account, state)),
        maintenance_usdt=usdt(state.maintenance_units + isolated_units),
    )


def _trigger(position: "Position", kind: str) -> Decimal:
    order = _shown_trigger(position, kind)
    return ZERO if order is None else order.trigger


def _shown_trigger(position: "Position", kind: str) -> "Order | None":
    """Return the conditional order that a position is shown with."""
    orders = position.closing_conditional(kind) if position.steps else []
    whole = [order for order in orders if order.attached and not order.partial]
    return (whole or orders)[0] if orders else None


def _shown(price: Decimal) -> Decimal:
    if price is ZERO:
        return price
    exponent = price.as_tuple().exponent
    is_fine = isinstance(exponent, int) and exponent < -8
    return price.quantize(PRICE_GRAIN) if is_fine else price
