"""What an amended order is to become, checked as an admission would."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import NamedTuple

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.admission import (
    check_exposure,
    check_notional,
    check_price_band,
    check_regime,
    on_tick,
    protection_ticks,
    quantity_steps,
    trigger_price,
)
from hfengine.exchange.orders import Order


class Terms(NamedTuple):
    """What an amendment can change of an order."""

    quantity_steps: int
    limit_ticks: int
    trigger_ticks: int


def amended_terms(
    order: Order, quantity: Decimal | None, price: Decimal | None, trigger: Decimal | None
) -> Terms:
    """Return the new terms of an open order, None leaving one as it is; raises VenueRejected.

    A quantity is the whole order's, what is filled included; one that is filled already asks for
    the end of the order and is not checked further.
    """
    old = Terms(order.quantity_steps, order.limit_ticks, order.trigger_ticks)
    terms = Terms(
        old.quantity_steps if quantity is None else _quantity(order, quantity),
        old.limit_ticks if price is None else _limit(order, price),
        old.trigger_ticks if trigger is None else _trigger(order, trigger),
    )
    if terms == old:
        raise VenueRejected(rejects.NOTHING_TO_CHANGE, order.client_id)
    if terms.quantity_steps <= order.filled_steps and not order.close_position:
        return terms
    with _as_if(order, terms):
        check_regime(order)
        _check_attachment(order)
        if order.is_waiting:
            _check_waiting(order)
        else:
            _check_resting(order)
    return terms


@contextmanager
def _as_if(order: Order, terms: Terms) -> Iterator[None]:
    """Look at an order as if it had these terms and did not rest yet."""
    kept = Terms(order.quantity_steps, order.limit_ticks, order.trigger_ticks)
    resting = order.position.resting
    resting.hide(order)
    _set(order, terms)
    try:
        yield
    finally:
        _set(order, kept)
        resting.refresh(order)


def _set(order: Order, terms: Terms) -> None:
    order.quantity_steps, order.limit_ticks = terms.quantity_steps, terms.limit_ticks
    order.set_trigger(terms.trigger_ticks)


def _quantity(order: Order, quantity: Decimal) -> int:
    if order.close_position:
        if quantity:
            raise VenueRejected(rejects.CLOSE_POSITION_WITH_QUANTITY, f"{quantity}, want 0")
        return order.quantity_steps
    if order.attached and not order.partial:
        detail = "protection of a whole position is as big as the position"
        raise VenueRejected(rejects.NOTHING_TO_CHANGE, detail)
    steps = quantity_steps(order.market, quantity, at_market=not order.limit_ticks)
    if not order.reduce_only or (order.is_waiting and not order.partial):
        return steps
    return min(steps, order.filled_steps + order.position.size_steps)


def _limit(order: Order, price: Decimal) -> int:
    ticks = on_tick(order.market, price, "price")
    if ticks and not order.limit_ticks:
        raise VenueRejected(rejects.NOTHING_TO_CHANGE, f"{order.client_id} has no limit price")
    if order.limit_ticks and not ticks:
        raise VenueRejected(rejects.PRICE_MISSING, "a limit order needs a price above 0")
    return ticks


def _trigger(order: Order, trigger: Decimal) -> int:
    ticks = on_tick(order.market, trigger, "trigger")
    if not order.is_waiting:
        if ticks:
            detail = f"{order.client_id} waits for no trigger"
            raise VenueRejected(rejects.NOTHING_TO_CHANGE, detail)
        return order.trigger_ticks
    if not ticks:
        raise VenueRejected(rejects.TRIGGER_MISSING, "a conditional order needs a trigger")
    return ticks


def _check_attachment(order: Order) -> None:
    """Check protection yet to attach against the price the order would open at from now on."""
    wanted, market = order.attachment, order.market
    if wanted is None:
        return
    ticks = order.limit_ticks or order.trigger_ticks
    base = market.price_of(ticks) if ticks else trigger_price(market, wanted.by)
    stop, target = (market.price_of(one) for one in wanted[:2])
    protection_ticks(market, order.side, stop, target, base, base)


def _check_waiting(order: Order) -> None:
    check_price_band(order.market, order.limit_ticks, order.trigger_ticks)
    if not order.is_due():
        return
    reason = rejects.WOULD_TRIGGER_IMMEDIATELY
    if order.attached:
        is_stop = order.kind == "stop_market"
        reason = rejects.STOP_WRONG_SIDE if is_stop else rejects.TARGET_WRONG_SIDE
    raise VenueRejected(reason, f"trigger {order.trigger} by {order.trigger_by}")


def _check_resting(order: Order) -> None:
    check_price_band(order.market, order.limit_ticks, 0)
    if not order.reduce_only:
        check_notional(order)
        check_exposure(order)
