"""What a fill does: position, ledger, protection, reduce-only orders, and the events of it all."""

from decimal import Decimal
from typing import TYPE_CHECKING

from hfengine.exchange import rejects
from hfengine.exchange.ledger import EntryKind
from hfengine.exchange.market import ZERO
from hfengine.exchange.orders import CONDITIONAL_KINDS, Attachment, Cause, Order, PriceSource
from hfengine.exchange.reports import (
    balance_changed,
    fill_report,
    order_report,
    position_changed,
    position_report,
)
from hfengine.messages import Fill, Message, OrderKind, OrderState

if TYPE_CHECKING:
    from hfengine.exchange.account import Account
    from hfengine.exchange.market import Market
    from hfengine.exchange.positions import Position


class Clearing:
    """Books fills and charges and collects the events; one per exchange.

    `detailed` events are reports instead of OrderUpdate, Fill and PositionChanged.
    """

    __slots__ = (
        "_changed_accounts",
        "_changed_positions",
        "changed_orders",
        "detailed",
        "events",
        "fill_count",
        "order_count",
    )

    def __init__(self, *, detailed: bool = False) -> None:
        self.detailed = detailed
        self.events: list[tuple[str, Message]] = []
        self._changed_positions: dict[Position, None] = {}
        self._changed_accounts: dict[str, Account] = {}
        self.changed_orders: dict[Order, None] = {}
        """In a detailed exchange: the orders that changed since somebody cleared it."""
        self.order_count = 0
        self.fill_count = 0

    def emit(self, account: "Account", message: Message) -> None:
        """Queue an event of an account."""
        self.events.append((account.name, message))

    def tell(self, order: Order) -> None:
        """Queue how an order stands."""
        if self.detailed:
            self.changed_orders[order] = None
            self.emit(order.account, order_report(order))
        else:
            self.emit(order.account, order.update())

    def accept(self, order: Order) -> None:
        """Take an order in: give it the venue's id, list it, say so."""
        self.order_count += 1
        order.venue_id = str(self.order_count)
        account, position = order.account, order.position
        account.orders[order.client_id] = order
        account.by_venue_id[order.venue_id] = order
        account.open[order.client_id] = order
        if order.is_conditional:
            order.market.conditionals[order.venue_id] = order
            position.conditionals[order.client_id] = order
            self.touch_held(position)
        self.tell(order)

    def rest(self, order: Order) -> None:
        """Put what is left of a limit order into the market's queue."""
        market = order.market
        outside_steps = market.outside_steps_at(order.side, order.limit_ticks)
        market.resting(order.side).add(order, outside_steps)
        order.position.resting.add(order)
        self.touch_account(order.account)

    def lift(self, order: Order) -> None:
        """Take a resting order out of its queue, to rest again or to be matched."""
        order.market.resting(order.side).remove(order)
        order.position.resting.remove(order)

    def set_state(self, order: Order, state: OrderState, at_ns: int, reason: str = "") -> None:
        """Move an order to a state, unlist it when that ends it, and say so."""
        order.state, order.reason, order.at_ns = state, reason, at_ns
        if not order.is_open:
            self._unlist(order)
        self.tell(order)

    def cancel(self, order: Order, reason: str, at_ns: int) -> None:
        """End an open order."""
        self.set_state(order, "cancelled", at_ns, reason)

    def touch(self, position: "Position") -> None:
        """Mark a position and its account to be reported by the next `flush`."""
        self._changed_positions[position] = None
        self.touch_account(position.account)

    def touch_account(self, account: "Account") -> None:
        """Mark an account's balance to be reported by the next `flush`."""
        self._changed_accounts[account.name] = account

    def touch_held(self, position: "Position") -> None:
        """Do as `touch`, unless the position is flat: nothing of it changed then."""
        if position.steps:
            self.touch(position)

    def fill(
        self,
        order: Order,
        ticks: int,
        steps: int,
        at_ns: int,
        *,
        maker: bool,
        cause: Cause = "order",
        fee_units: int | None = None,
    ) -> None:
        """Book one execution; the fee is the schedule's unless given."""
        position, market, account = order.position, order.market, order.account
        notional_units = ticks * steps * market.tick_units
        if fee_units is None:
            schedule = market.maker_fee if maker else market.taker_fee
            fee_units = market.unit.fee(notional_units, schedule)
        side_before, size_before = position.side, position.size_steps
        realised_units = position.apply(order.side, steps, ticks)
        symbol = market.instrument.symbol
        if realised_units:
            account.ledger.post(at_ns, "pnl", symbol, realised_units)
        if fee_units:
            kind: EntryKind = "liquidation_fee" if cause == "liquidation" else "fee"
            account.ledger.post(at_ns, kind, symbol, -fee_units)
        position.book(side_before, realised_units, fee_units, steps, at_ns)
        self.fill_count += 1
        message = Fill(
            fill_id=str(self.fill_count),
            client_id=order.client_id,
            symbol=symbol,
            at_ns=at_ns,
            side=order.side,
            quantity=market.quantity_of(steps),
            price=market.price_of(ticks),
            fee_usdt=market.unit.usdt(fee_units),
            realised_usdt=market.unit.usdt(realised_units),
            maker=maker,
            cause=cause,
        )
        account.fills.append(message)
        order.filled_steps += steps
        position.resting.refresh(order)
        order.cost_units += notional_units
        order.fee_units += fee_units
        if self.detailed:
            closed_steps = min(steps, size_before) if side_before == -order.side else 0
            rate = _fee_rate(market, cause, maker=maker)
            report = fill_report(order, message, notional_units, rate, closed_steps)
            account.fill_reports.append(report)
            self.emit(account, report)
        else:
            self.emit(account, message)
        self.set_state(order, "filled" if order.remaining_steps == 0 else "partially_filled", at_ns)
        self._follow(order, side_before, at_ns)

    def attach(
        self,
        position: "Position",
        base_id: str,
        wanted: Attachment,
        at_ns: int,
        parent_id: str = "",
    ) -> None:
        """Materialise protection on a position; what it names replaces what was there."""
        for kind, ticks in zip(CONDITIONAL_KINDS, wanted[:2], strict=True):
            if ticks:
                self._attach_one(position, base_id, kind, ticks, wanted.by, at_ns, parent_id)
        self.touch(position)

    def flush(self, at_ns: int) -> None:
        """Report the positions and then the balances that changed since the last flush."""
        if not self._changed_accounts:
            return
        for position in self._changed_positions:
            report = position_report if self.detailed else position_changed
            self.emit(position.account, report(position, at_ns))
        for account in self._changed_accounts.values():
            self.emit(account, balance_changed(account, at_ns))
        self._changed_positions.clear()
        self._changed_accounts.clear()

    def _attach_one(
        self,
        position: "Position",
        base_id: str,
        kind: OrderKind,
        ticks: int,
        by: PriceSource,
        at_ns: int,
        parent_id: str,
    ) -> None:
        is_stop = kind == "stop_market"
        old = position.stop if is_stop else position.target
        if old is not None:
            self.cancel(old, rejects.REPLACED, at_ns)
        order = Order(
            position,
            base_id + protection_suffix(kind),
            kind,
            -position.side,
            position.size_steps,
            at_ns=at_ns,
            reduce_only=True,
            trigger_ticks=ticks,
            trigger_by=by,
            attached=True,
            parent_id=parent_id,
        )
        if is_stop:
            position.stop = order
        else:
            position.target = order
        self.accept(order)

    def _follow(self, order: Order, side_before: int, at_ns: int) -> None:
        """Make everything that hangs on a position follow it after a fill."""
        position = order.position
        account, holders = position.account, position.market.holders
        self.touch(position)
        if position.steps:
            holders[account.name] = account
        elif position.slot == "net" or not account.held_in(position.market):
            holders.pop(account.name, None)
        if side_before and position.side != side_before:
            reason = rejects.SIBLING_EXECUTED if order.attached else rejects.POSITION_CLOSED
            for protection in position.protections():
                self.cancel(protection, reason, at_ns)
            for dependant in position.dependants():
                self.cancel(dependant, rejects.POSITION_CLOSED, at_ns)
        elif side_before:
            self._resize_protection(position, order, at_ns)
        if order.attachment is not None and position.side == order.side:
            wanted, order.attachment = order.attachment, None
            self.attach(position, order.client_id, wanted, at_ns, order.client_id)
        for resting in tuple(position.resting.reducing.values()):
            self._shrink(resting, at_ns)

    def _resize_protection(self, position: "Position", filled: Order, at_ns: int) -> None:
        for order in position.protections():
            quantity_steps = order.filled_steps + position.size_steps
            if order.quantity_steps != quantity_steps:
                order.quantity_steps, order.at_ns = quantity_steps, at_ns
                if order is not filled:
                    self.tell(order)
        for order in position.dependants():
            if order.partial and order.remaining_steps > position.size_steps:
                order.quantity_steps = order.filled_steps + position.size_steps
                order.at_ns = at_ns
                self.tell(order)

    def _shrink(self, order: Order, at_ns: int) -> None:
        position = order.position
        allowed_steps = position.size_steps if order.side == -position.side else 0
        if allowed_steps == 0:
            belongs = order.attached or order.expires_with_position
            reason = rejects.POSITION_CLOSED if belongs else rejects.REDUCE_ONLY_REJECTED
            self.cancel(order, reason, at_ns)
        elif order.remaining_steps > allowed_steps:
            order.quantity_steps, order.at_ns = order.filled_steps + allowed_steps, at_ns
            self.tell(order)

    def _unlist(self, order: Order) -> None:
        position, market = order.position, order.market
        order.account.open.pop(order.client_id, None)
        if order.is_conditional:
            market.conditionals.pop(order.venue_id, None)
            position.conditionals.pop(order.client_id, None)
            if position.stop is order:
                position.stop = None
            elif position.target is order:
                position.target = None
            self.touch_held(position)
        if position.resting.remove(order):
            market.resting(order.side).remove(order)
            self.touch_account(order.account)


def protection_suffix(kind: OrderKind) -> str:
    """Return what an entry's client id gets to name its protection."""
    return "-sl" if kind == "stop_market" else "-tp"


def _fee_rate(market: "Market", cause: Cause, *, maker: bool) -> Decimal:
    """Return the rate that a fill's fee was reckoned at."""
    if cause == "adl":
        return ZERO
    if cause == "liquidation":
        return market.instrument.liquidation_fee
    return market.instrument.maker_fee if maker else market.instrument.taker_fee
