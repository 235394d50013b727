"""Liquidation at the exchange's rule, and funding.

Isolated: when margin + unrealised PnL <= maintenance the position is closed at its bankruptcy
price and the liquidation fee takes what is left, so the loss is the margin held apart and no
more. Cross: when the maintenance of the cross positions reaches the cross balance they are
closed at the mark, the largest loser first, each with the liquidation fee, until the balance is
above maintenance again; a balance already below zero is made up by the insurance fund.
"""

from typing import TYPE_CHECKING

from hfengine.exchange import rejects
from hfengine.exchange.clearing import Clearing
from hfengine.exchange.ledger import half_even, ratio
from hfengine.exchange.margin import CrossState, cross_state, position_maintenance_units
from hfengine.exchange.market import Market
from hfengine.exchange.orders import Order
from hfengine.exchange.positions import Position
from hfengine.messages import FundingPaid

if TYPE_CHECKING:
    from hfengine.exchange.account import Account


class Liquidator:
    """Checks holders of a symbol after its mark moved, and settles its funding."""

    __slots__ = ("_clearing", "count")

    def __init__(self, clearing: Clearing) -> None:
        self._clearing = clearing
        self.count = 0

    def check(self, market: Market, at_ns: int) -> None:
        """Liquidate what the mark price of a symbol has made due."""
        for account in tuple(market.holders.values()):
            for position in account.held_in(market):
                if position.is_isolated:
                    self._check_isolated(position, at_ns)
                elif position.steps:
                    self._check_cross(account, at_ns)

    def settle_funding(self, market: Market, at_ns: int) -> None:
        """Charge every holder quantity * mark * rate; a long pays a positive rate."""
        rate_top, rate_bottom = ratio(market.funding_rate)
        mark_top, mark_bottom = market.mark_ratio
        symbol = market.instrument.symbol
        held = [one for account in market.holders.values() for one in account.held_in(market)]
        for position in held:
            paid_units = half_even(position.steps * mark_top * rate_top, mark_bottom * rate_bottom)
            position.account.ledger.post(at_ns, "funding", symbol, -paid_units)
            position.charge(paid_units)
            paid_usdt = market.unit.usdt(paid_units)
            message = FundingPaid(symbol, at_ns, market.funding_rate, paid_usdt)
            self._clearing.emit(position.account, message)
            self._draw_down(position)
            self._clearing.touch(position)

    def _draw_down(self, position: Position) -> None:
        """Let an isolated margin pay what the rest of the wallet could not."""
        account = position.account
        apart_units = sum(one.margin_units for one in account.held())
        short_units = apart_units - account.ledger.wallet_units
        if position.is_isolated and short_units > 0:
            position.margin_units -= min(short_units, position.margin_units)

    def _check_isolated(self, position: Position, at_ns: int) -> None:
        balance_units = position.margin_units + position.unrealised_units
        if balance_units > position_maintenance_units(position):
            return
        self._close_isolated(position, at_ns)

    def liquidate(self, position: Position, at_ns: int) -> Order:
        """Liquidate a position whatever its margin; cross at the mark price."""
        if position.is_isolated:
            return self._close_isolated(position, at_ns)
        self._cancel_orders(position, at_ns)
        return self._close_crossed(position, cross_state(position.account), at_ns)

    def deleverage(self, position: Position, steps: int, at_ns: int) -> Order:
        """Close part of a position as auto-deleveraging does, at the mark price, free of fee."""
        ticks = position.ticks_in_favour(position.mark_notional_units)
        order = self._closing_order(position, "adl", steps, at_ns)
        order.reason = rejects.ADL
        self._clearing.accept(order)
        self._clearing.fill(order, ticks, steps, at_ns, maker=False, cause="adl", fee_units=0)
        return order

    def _close_isolated(self, position: Position, at_ns: int) -> Order:
        self._cancel_orders(position, at_ns)
        ticks = position.bankruptcy_ticks
        left_units = position.margin_units + position.closing_units(ticks)
        return self._close(position, ticks, left_units, at_ns)

    def _check_cross(self, account: "Account", at_ns: int) -> None:
        while True:
            crossed = [one for one in account.held() if not one.is_isolated]
            state = cross_state(account)
            if not crossed or state.balance_units > state.maintenance_units:
                return
            for position in account.positions.values():
                if not position.is_isolated:
                    self._cancel_orders(position, at_ns)
            worst = min(crossed, key=lambda one: one.unrealised_units)
            self._close_crossed(worst, state, at_ns)

    def _close_crossed(self, position: Position, state: CrossState, at_ns: int) -> Order:
        relief_units = max(-state.balance_units, 0)
        notional_units = position.mark_notional_units + position.side * relief_units
        ticks = position.ticks_in_favour(notional_units)
        change_units = position.closing_units(ticks) - position.unrealised_units
        return self._close(position, ticks, state.balance_units + change_units, at_ns)

    def _close(self, position: Position, ticks: int, left_units: int, at_ns: int) -> Order:
        """Close a position whole at a price; the fee is the schedule's, at most `left_units`."""
        market = position.market
        order = self._closing_order(position, "liquidation", position.size_steps, at_ns)
        order.reason = rejects.LIQUIDATION
        self._clearing.accept(order)
        notional_units = position.size_steps * ticks * market.tick_units
        fee_units = market.unit.fee(notional_units, market.liquidation_fee)
        self._clearing.fill(
            order,
            ticks,
            position.size_steps,
            at_ns,
            maker=False,
            cause="liquidation",
            fee_units=min(fee_units, max(left_units, 0)),
        )
        return order

    def _closing_order(self, position: Position, name: str, steps: int, at_ns: int) -> Order:
        self.count += 1
        client_id = f"{name}#{self.count}"
        side = -position.side
        return Order(position, client_id, "market", side, steps, at_ns=at_ns, reduce_only=True)

    def _cancel_orders(self, position: Position, at_ns: int) -> None:
        orders = (*position.resting.values(), *position.conditionals.values())
        for order in orders:
            self._clearing.cancel(order, rejects.LIQUIDATION, at_ns)
