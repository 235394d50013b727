"""The door: what the exchange refuses, each cause under its own name."""

import re
from decimal import Decimal
from typing import Final

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.account import Account
from hfengine.exchange.clearing import protection_suffix
from hfengine.exchange.margin import (
    Piece,
    free_margin_units,
    notional_cap_units,
    order_margin_units,
    requirement,
)
from hfengine.exchange.market import Market
from hfengine.exchange.matching import preview
from hfengine.exchange.orders import CONDITIONAL_KINDS, Attachment, Order, PriceSource, reaches
from hfengine.exchange.positions import Position
from hfengine.requests import OrderRequest

CLIENT_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
CLIENT_ID_MAX: Final = 36
CONDITIONAL_MAX: Final = 10
"""Conditional orders one account may have per symbol."""


def admit(account: Account, market: Market, request: OrderRequest, at_ns: int) -> Order:
    """Return the order a request makes; raises VenueRejected with the first cause found."""
    _check_client_id(account, request)
    if request.side not in {1, -1}:
        raise VenueRejected(rejects.BAD_SIDE, f"{request.side} is neither +1 nor -1")
    quantity_steps = _quantity(market, request)
    limit_ticks, trigger_ticks = _prices(market, request)
    _check_mark(market)
    _check_price_band(market, request, limit_ticks)
    position = account.position(market)
    attachment = _attachment(market, request, limit_ticks, trigger_ticks)
    order = Order(
        position,
        request.client_id,
        request.kind,
        request.side,
        quantity_steps,
        at_ns=at_ns,
        limit_ticks=limit_ticks,
        tif=request.tif if request.kind == "limit" else "gtc",
        reduce_only=request.reduce_only,
        close_position=request.close_position,
        trigger_ticks=trigger_ticks,
        trigger_by=request.trigger_by,
        attachment=attachment,
    )
    if order.is_conditional:
        _check_conditional(order)
    elif order.reduce_only:
        clip_reduce_only(order)
    else:
        _check_notional(order)
        check_exposure(order)
    if attachment is not None:
        for kind in CONDITIONAL_KINDS:
            account.reserved_ids.add(request.client_id + protection_suffix(kind))
    return order


def clip_reduce_only(order: Order) -> None:
    """Cut a reduce-only order to what it can reduce; raises VenueRejected when that is nothing."""
    position = order.position
    if position.side != -order.side:
        held = order.market.quantity_of(position.steps)
        raise VenueRejected(rejects.REDUCE_ONLY_REJECTED, f"the position is {held}")
    if order.close_position:
        order.quantity_steps = position.size_steps
    else:
        order.quantity_steps = min(order.quantity_steps, position.size_steps)


def check_exposure(order: Order) -> None:
    """Check tier and margin of an order about to be live; raises VenueRejected.

    What it would take now is reckoned at those prices, the rest of a limit order at its limit.
    """
    position, market = order.position, order.market
    pieces = preview(order, order.remaining_steps)
    if order.limit_ticks:
        left_steps = order.remaining_steps - sum(steps for steps, _ in pieces)
        pieces.append((left_steps, order.limit_ticks))
    alone = _opening_steps(position, order.side, order.remaining_steps)
    if alone <= 0:
        return
    needed = requirement(position, order.side, pieces)
    cap_units = notional_cap_units(market, position.leverage)
    exposure_units = max(needed.exposure_units, _exposure_floor(position, order))
    usdt = market.unit.usdt
    if exposure_units > cap_units:
        raise VenueRejected(
            rejects.TIER_EXCEEDED,
            f"position and orders of {usdt(exposure_units)} USDT, at "
            f"{position.leverage}x at most {usdt(cap_units)}",
        )
    reserved_units = order_margin_units(position)
    more_units = needed.margin_units - reserved_units
    free_units = free_margin_units(order.account)
    if more_units > max(free_units, 0):
        raise VenueRejected(
            rejects.INSUFFICIENT_MARGIN,
            f"needs {usdt(more_units)} USDT more, {usdt(free_units)} is free",
        )


def check_leverage(position: Position, leverage: int) -> None:
    """Check a leverage against symbol, tiers and free margin; raises VenueRejected."""
    market = position.market
    maximum = market.instrument.max_leverage
    if leverage < 1:
        raise VenueRejected(rejects.LEVERAGE_BELOW_ONE, f"{leverage}x")
    if leverage > maximum:
        raise VenueRejected(rejects.LEVERAGE_ABOVE_MAXIMUM, f"{leverage}x, at most {maximum}x")
    cap_units = notional_cap_units(market, leverage)
    exposure_units = max(requirement(position, side).exposure_units for side in (1, -1))
    if exposure_units > cap_units:
        usdt = market.unit.usdt
        raise VenueRejected(
            rejects.POSITION_EXCEEDS_TIER,
            f"position and orders of {usdt(exposure_units)} USDT, "
            f"at {leverage}x at most {usdt(cap_units)}",
        )


def protection_ticks(
    market: Market, side: int, stop: Decimal, target: Decimal, base: Decimal
) -> tuple[int, int]:
    """Return stop and target in ticks, 0 for none; raises VenueRejected.

    `side` is the position's: a stop lies on its losing side of `base`, a target on the other.
    """
    stop_ticks = _on_tick(market, stop, "stop")
    target_ticks = _on_tick(market, target, "target")
    if stop_ticks and reaches("stop_market", -side, stop, base):
        raise VenueRejected(rejects.STOP_WRONG_SIDE, f"stop {stop}, price {base}")
    if target_ticks and reaches("take_profit_market", -side, target, base):
        raise VenueRejected(rejects.TARGET_WRONG_SIDE, f"target {target}, price {base}")
    return stop_ticks, target_ticks


def trigger_price(market: Market, by: PriceSource) -> Decimal:
    """Return the price that triggers watch; raises VenueRejected while there is none."""
    if by == "mark":
        _check_mark(market)
        return market.mark
    if not market.last_ticks:
        raise VenueRejected(rejects.NO_LAST_PRICE, market.instrument.symbol)
    return market.last()


def _check_client_id(account: Account, request: OrderRequest) -> None:
    client_id = request.client_id
    if not CLIENT_ID.fullmatch(client_id):
        raise VenueRejected(rejects.BAD_CLIENT_ID, f"{client_id!r}: 1 to 36 of .A-Z:/a-z0-9_-")
    derived = []
    if request.stop or request.target:
        derived = [client_id + protection_suffix(kind) for kind in CONDITIONAL_KINDS]
        if len(derived[0]) > CLIENT_ID_MAX:
            detail = f"{client_id!r}: at most 33 characters with protection attached"
            raise VenueRejected(rejects.BAD_CLIENT_ID, detail)
    for one in (client_id, *derived):
        if account.has_used(one):
            raise VenueRejected(rejects.DUPLICATE_CLIENT_ID, repr(one))


def _quantity(market: Market, request: OrderRequest) -> int:
    if request.close_position:
        if request.kind == "limit":
            raise VenueRejected(rejects.CLOSE_POSITION_WITH_LIMIT, "use a market kind")
        if request.quantity:
            raise VenueRejected(rejects.CLOSE_POSITION_WITH_QUANTITY, f"{request.quantity}, want 0")
        return 0
    instrument, quantity = market.instrument, request.quantity
    steps = market.steps_of(quantity)
    if steps is None:
        detail = f"{quantity} is not a multiple of {instrument.quantity_step}"
        raise VenueRejected(rejects.OFF_STEP, detail)
    if quantity <= 0 or quantity < instrument.quantity_min:
        detail = f"{quantity}, at least {instrument.quantity_min}"
        raise VenueRejected(rejects.BELOW_MIN_QUANTITY, detail)
    if request.kind == "limit" and quantity > instrument.quantity_max:
        detail = f"{quantity}, at most {instrument.quantity_max}"
        raise VenueRejected(rejects.ABOVE_MAX_QUANTITY, detail)
    if request.kind != "limit" and quantity > instrument.market_quantity_max:
        detail = f"{quantity}, at most {instrument.market_quantity_max}"
        raise VenueRejected(rejects.ABOVE_MAX_MARKET_QUANTITY, detail)
    return steps


def _prices(market: Market, request: OrderRequest) -> tuple[int, int]:
    """Return limit and trigger in ticks, 0 where the kind has none."""
    limit_ticks = trigger_ticks = 0
    if request.kind == "limit":
        limit_ticks = _on_tick(market, request.price, "price")
        if not limit_ticks:
            raise VenueRejected(rejects.PRICE_MISSING, "a limit order needs a price above 0")
    elif request.kind in CONDITIONAL_KINDS:
        trigger_ticks = _on_tick(market, request.trigger, "trigger")
        if not trigger_ticks:
            raise VenueRejected(rejects.TRIGGER_MISSING, "a conditional order needs a trigger")
    return limit_ticks, trigger_ticks


def _on_tick(market: Market, price: Decimal, what: str) -> int:
    ticks = market.ticks_of(price)
    if ticks is None or ticks < 0:
        tick = market.instrument.price_tick
        raise VenueRejected(rejects.OFF_TICK, f"{what} {price} is not a multiple of {tick}")
    return ticks


def _check_mark(market: Market) -> None:
    if not market.mark:
        raise VenueRejected(rejects.NO_MARK_PRICE, market.instrument.symbol)


def _check_price_band(market: Market, request: OrderRequest, limit_ticks: int) -> None:
    band = market.instrument.price_band * market.mark
    if limit_ticks and abs(request.price - market.mark) > band:
        detail = f"{request.price} is further than {band} from the mark {market.mark}"
        raise VenueRejected(rejects.PRICE_BAND, detail)


def _attachment(
    market: Market, request: OrderRequest, limit_ticks: int, trigger_ticks: int
) -> Attachment | None:
    """Return the protection an entry brings, checked against the price it would open at."""
    if not (request.stop or request.target):
        return None
    if request.reduce_only or request.close_position:
        raise VenueRejected(rejects.PROTECTION_ON_REDUCE_ONLY, request.client_id)
    if limit_ticks:
        base = request.price
    elif trigger_ticks:
        base = request.trigger
    else:
        base = trigger_price(market, request.protect_by)
    ticks = protection_ticks(market, request.side, request.stop, request.target, base)
    return Attachment(*ticks, request.protect_by)


def _check_conditional(order: Order) -> None:
    if len(order.position.conditionals) >= CONDITIONAL_MAX:
        detail = f"{CONDITIONAL_MAX} conditional orders on {order.market.instrument.symbol} already"
        raise VenueRejected(rejects.TOO_MANY_CONDITIONAL, detail)
    trigger_price(order.market, order.trigger_by)
    if order.is_due():
        detail = f"trigger {order.trigger} by {order.trigger_by}"
        raise VenueRejected(rejects.WOULD_TRIGGER_IMMEDIATELY, detail)


def _check_notional(order: Order) -> None:
    market = order.market
    if order.limit_ticks:
        notional_units = order.quantity_steps * order.limit_ticks * market.tick_units
    else:
        notional_units = market.mark_notional_units(order.quantity_steps)
    least_usdt = market.instrument.notional_min_usdt
    notional_usdt = market.unit.usdt(notional_units)
    if notional_usdt < least_usdt:
        detail = f"{notional_usdt} USDT, at least {least_usdt}"
        raise VenueRejected(rejects.BELOW_MIN_NOTIONAL, detail)


def _opening_steps(position: Position, side: int, steps: int) -> int:
    """Return how much of an order and the resting ones on its side would open, not close."""
    resting: list[Piece] = [
        (one.remaining_steps, one.limit_ticks)
        for one in position.resting.values()
        if one.side == side and not one.reduce_only
    ]
    return steps + sum(piece[0] for piece in resting) - max(-side * position.steps, 0)


def _exposure_floor(position: Position, order: Order) -> int:
    """Return the position notional at the mark if this order fills whole, whatever the book."""
    steps = abs(position.steps + order.side * order.remaining_steps)
    return position.market.mark_notional_units(steps)
