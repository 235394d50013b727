"""Placing, amending and cancelling orders."""

from typing import TYPE_CHECKING, Literal

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.account import Account
from hfengine.exchange.admission import admit
from hfengine.exchange.amendment import Terms, amended_terms
from hfengine.exchange.base import ExchangeBase
from hfengine.exchange.market import Market
from hfengine.exchange.orders import Order
from hfengine.exchange.reports import OrderReport, order_report
from hfengine.messages import OrderUpdate
from hfengine.requests import OrderRequest

if TYPE_CHECKING:
    from decimal import Decimal

Which = Literal["all", "resting", "conditional"]
"""Resting orders wait in the book, conditional ones for their trigger."""


class Trading(ExchangeBase):
    """Requests about orders; VenueRejected leaves no trace."""

    def place(self, account: str, request: OrderRequest, now_ns: int) -> OrderUpdate:
        """Place an order and return how it stands after matching.

        A refused request leaves no trace and its client id stays free. Post-only that would take,
        fill-or-kill that cannot fill and what a market order finds no liquidity for end cancelled
        with that reason.
        """
        owner = self._account(account)
        market = self._market(request.symbol)
        self._begin(market, now_ns)
        order = admit(owner, market, request, now_ns)
        self._clearing.accept(order)
        if not order.is_conditional:
            self._matching.execute(order, now_ns)
        self._settle(market, now_ns)
        return order.update()

    def amend(
        self,
        account: str,
        symbol: str,
        client_id: str,
        now_ns: int,
        *,
        quantity: "Decimal | None" = None,
        price: "Decimal | None" = None,
        trigger: "Decimal | None" = None,
    ) -> OrderReport:
        """Change an open order in place; None leaves a term as it is.

        A new price or a greater quantity joins the queue anew, and a new price may take. A
        quantity that is filled already cancels the rest. Refused as an admission would be.
        """
        owner, market = self._account(account), self._market(symbol)
        self._begin(market, now_ns)
        order = _open_order(owner, market, client_id)
        terms = amended_terms(order, quantity, price, trigger)
        if terms.quantity_steps <= order.filled_steps and not order.close_position:
            self._cancel(order, now_ns)
        elif order.is_waiting:
            order.set_trigger(terms.trigger_ticks)
            order.quantity_steps, order.limit_ticks = terms.quantity_steps, terms.limit_ticks
            order.at_ns = now_ns
            self._clearing.touch_held(order.position)
            self._clearing.tell(order)
        else:
            self._amend_resting(order, terms, now_ns)
        self._settle(market, now_ns)
        return order_report(order)

    def cancel(self, account: str, symbol: str, client_id: str, now_ns: int) -> OrderUpdate:
        """Cancel one open order, resting, conditional or attached."""
        owner = self._account(account)
        market = self._market(symbol)
        self._begin(market, now_ns)
        order = _open_order(owner, market, client_id)
        self._cancel(order, now_ns)
        self._clearing.flush(now_ns)
        return order.update()

    def cancel_all(
        self, account: str, symbol: str, now_ns: int, which: Which = "all"
    ) -> list[OrderUpdate]:
        """Cancel a symbol's open orders except attached protection, which is the position's."""
        owner, market = self._account(account), self._market(symbol)
        self._begin(market, now_ns)
        orders = [one for one in owner.open.values() if one.market is market and not one.attached]
        if which != "all":
            wants_waiting = which == "conditional"
            orders = [one for one in orders if one.is_waiting is wants_waiting]
        for order in orders:
            self._cancel(order, now_ns)
        self._clearing.flush(now_ns)
        return [order.update() for order in orders]

    def _cancel(self, order: Order, now_ns: int) -> None:
        self._clearing.cancel(order, rejects.CANCELLED_BY_USER, now_ns)

    def _amend_resting(self, order: Order, terms: Terms, now_ns: int) -> None:
        clearing = self._clearing
        is_moved = terms.limit_ticks != order.limit_ticks
        stays = not is_moved and terms.quantity_steps <= order.quantity_steps
        if not stays:
            clearing.lift(order)
        order.quantity_steps, order.limit_ticks = terms.quantity_steps, terms.limit_ticks
        order.at_ns = now_ns
        order.position.resting.refresh(order)
        clearing.touch_account(order.account)
        clearing.tell(order)
        if is_moved:
            self._matching.execute(order, now_ns)
        elif not stays:
            clearing.rest(order)


def _open_order(account: Account, market: Market, client_id: str) -> Order:
    order = account.open.get(client_id)
    if order is None or order.market is not market:
        symbol = market.instrument.symbol
        raise VenueRejected(rejects.UNKNOWN_ORDER, f"no open {client_id!r} on {symbol}")
    return order
