"""Conditional orders: which are due, and what they do when they fire."""

from hfengine.errors import VenueRejected
from hfengine.exchange.admission import check_exposure, check_regime, clip_reduce_only
from hfengine.exchange.clearing import Clearing
from hfengine.exchange.market import Market
from hfengine.exchange.matching import Matching, preview
from hfengine.exchange.orders import Order


class Triggers:
    """Fires conditional orders, oldest first, until none that can act is due."""

    __slots__ = ("_clearing", "_matching")

    def __init__(self, clearing: Clearing, matching: Matching) -> None:
        self._clearing = clearing
        self._matching = matching

    def fire(self, market: Market, at_ns: int) -> None:
        """Fire what mark and last price make due; fills may move the last price and fire more.

        What protects a position and finds no liquidity at all stays armed and is tried again with
        the next book: a position must not lose its stop to a gap in the feed.
        """
        market.starved = False
        tried: set[str] = set()
        while True:
            due = next(
                (
                    order
                    for order in market.conditionals.values()
                    if order.venue_id not in tried and order.is_due()
                ),
                None,
            )
            if due is None:
                return
            tried.add(due.venue_id)
            if due.attached and not due.limit_ticks:
                self._protect(due, at_ns)
            elif _finds_nothing(due):
                market.starved = True
            else:
                self._trigger(due, at_ns)

    def _protect(self, order: Order, at_ns: int) -> None:
        if not preview(order, 1):
            order.market.starved = True
            return
        order.triggered_ns = at_ns
        self._clearing.set_state(order, "triggered", at_ns)
        self._matching.take(order, at_ns)
        if order.is_open:
            order.market.starved = True

    def _trigger(self, order: Order, at_ns: int) -> None:
        order.market.conditionals.pop(order.venue_id, None)
        order.position.conditionals.pop(order.client_id, None)
        self._clearing.touch_held(order.position)
        order.triggered_ns = at_ns
        self._clearing.set_state(order, "triggered", at_ns)
        try:
            check_regime(order)
            if order.reduce_only:
                clip_reduce_only(order)
            else:
                check_exposure(order)
        except VenueRejected as refused:
            self._clearing.cancel(order, refused.reason, at_ns)
            return
        self._matching.execute(order, at_ns)


def _finds_nothing(order: Order) -> bool:
    """Tell whether an order closes at the market and there is nobody to trade with."""
    closes = order.reduce_only and order.position.side == -order.side
    return closes and not order.limit_ticks and not preview(order, 1)
