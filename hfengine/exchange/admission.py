"""The door: what the exchange refuses, each cause under its own name."""

import re
from decimal import Decimal
from typing import Final

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.account import Account
from hfengine.exchange.clearing import protection_suffix
from hfengine.exchange.margin import (
    free_margin_units,
    notional_cap_units,
    order_margin_units,
    requirement,
)
from hfengine.exchange.market import Market
from hfengine.exchange.matching import preview
from hfengine.exchange.orders import CONDITIONAL_KINDS, Attachment, Order, PriceSource, reaches
from hfengine.exchange.positions import Position
from hfengine.requests import OrderRequest, Slot

CLIENT_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
CLIENT_ID_MAX: Final = 36
CONDITIONAL_MAX: Final = 10
"""Conditional orders one account may have per symbol."""

RESTING_MAX: Final = {"binance": 200, "bybit": 500}
"""Resting orders one account may have per symbol, where the exchange publishes a limit."""


def admit(account: Account, market: Market, request: OrderRequest, at_ns: int) -> Order:
    """Return the order a request makes; raises VenueRejected with the first cause found."""
    _check_client_id(account, request)
    if request.side not in {1, -1}:
        raise VenueRejected(rejects.BAD_SIDE, f"{request.side} is neither +1 nor -1")
    check_slot(account, request.slot)
    quantity_steps = _quantity(market, request)
    limit_ticks, trigger_ticks = _prices(market, request)
    _check_mark(market)
    check_price_band(market, limit_ticks, trigger_ticks)
    position = account.position(market, request.slot)
    reduce_only = _reduces(request)
    attachment = _attachment(market, request, limit_ticks, trigger_ticks, reduce_only=reduce_only)
    order = Order(
        position,
        request.client_id,
        request.kind,
        request.side,
        quantity_steps,
        at_ns=at_ns,
        limit_ticks=limit_ticks,
        tif=request.tif if limit_ticks else "gtc",
        reduce_only=reduce_only,
        close_position=request.close_position,
        trigger_ticks=trigger_ticks,
        trigger_by=request.trigger_by,
        attachment=attachment,
        expires_with_position=request.expires_with_position and bool(trigger_ticks),
    )
    check_regime(order)
    if limit_ticks and order.tif in {"gtc", "post_only"} and not order.is_conditional:
        _check_room(order)
    if order.is_conditional:
        _check_conditional(order)
    elif order.reduce_only:
        clip_reduce_only(order)
    else:
        check_notional(order)
        check_exposure(order)
    if attachment is not None:
        for kind in CONDITIONAL_KINDS:
            account.reserved_ids.add(request.client_id + protection_suffix(kind))
    return order


def check_slot(account: Account, slot: Slot) -> None:
    """Check that a slot is one of the account's position mode; raises VenueRejected."""
    if slot not in account.slots:
        wanted = " or ".join(account.slots)
        detail = f"{slot!r} in {account.position_mode} mode, want {wanted}"
        raise VenueRejected(rejects.POSITION_SLOT_MISMATCH, detail)


def check_regime(order: Order) -> None:
    """Check that the symbol takes such an order at present; raises VenueRejected."""
    market = order.market
    if market.regime == "open":
        return
    if market.regime == "closed":
        raise VenueRejected(rejects.MARKET_CLOSED, market.instrument.symbol)
    opening = _opening_steps(order.position, order.side, order.remaining_steps)
    if not order.reduce_only and opening > 0:
        raise VenueRejected(rejects.REDUCE_ONLY_REGIME, market.instrument.symbol)


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
    market: Market,
    side: int,
    stop: Decimal,
    target: Decimal,
    stop_base: Decimal,
    target_base: Decimal,
) -> tuple[int, int]:
    """Return stop and target in ticks, 0 for none; raises VenueRejected.

    `side` is the position's: a stop lies on its losing side of its base, a target on the other.
    """
    stop_ticks = on_tick(market, stop, "stop")
    target_ticks = on_tick(market, target, "target")
    if stop_ticks and reaches("stop_market", -side, stop, stop_base):
        raise VenueRejected(rejects.STOP_WRONG_SIDE, f"stop {stop}, price {stop_base}")
    if target_ticks and reaches("take_profit_market", -side, target, target_base):
        raise VenueRejected(rejects.TARGET_WRONG_SIDE, f"target {target}, price {target_base}")
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


def _is_at_market(request: OrderRequest) -> bool:
    return request.kind != "limit" and not (request.price and request.kind in CONDITIONAL_KINDS)


def _reduces(request: OrderRequest) -> bool:
    """Tell whether a request may only reduce: it says so, or it faces its hedge slot."""
    if request.slot == "net":
        return request.reduce_only
    if request.side == (-1 if request.slot == "long" else 1):
        return True
    if request.reduce_only or request.close_position:
        detail = f"a {request.slot} position is reduced from the other side"
        raise VenueRejected(rejects.REDUCE_ONLY_REJECTED, detail)
    return False


def _quantity(market: Market, request: OrderRequest) -> int:
    if request.close_position:
        if not _is_at_market(request):
            raise VenueRejected(rejects.CLOSE_POSITION_WITH_LIMIT, "use a market kind")
        if request.quantity:
            raise VenueRejected(rejects.CLOSE_POSITION_WITH_QUANTITY, f"{request.quantity}, want 0")
        return 0
    return quantity_steps(market, request.quantity, at_market=_is_at_market(request))


def quantity_steps(market: Market, quantity: Decimal, *, at_market: bool) -> int:
    """Return a quantity in steps, checked against the grid and its limits; VenueRejected."""
    instrument = market.instrument
    steps = market.steps_of(quantity)
    if steps is None:
        detail = f"{quantity} is not a multiple of {instrument.quantity_step}"
        raise VenueRejected(rejects.OFF_STEP, detail)
    if quantity <= 0 or quantity < instrument.quantity_min:
        detail = f"{quantity}, at least {instrument.quantity_min}"
        raise VenueRejected(rejects.BELOW_MIN_QUANTITY, detail)
    if not at_market and quantity > instrument.quantity_max:
        detail = f"{quantity}, at most {instrument.quantity_max}"
        raise VenueRejected(rejects.ABOVE_MAX_QUANTITY, detail)
    if at_market and quantity > instrument.market_quantity_max:
        detail = f"{quantity}, at most {instrument.market_quantity_max}"
        raise VenueRejected(rejects.ABOVE_MAX_MARKET_QUANTITY, detail)
    return steps


def _prices(market: Market, request: OrderRequest) -> tuple[int, int]:
    """Return limit and trigger in ticks, 0 where the kind has none."""
    limit_ticks = trigger_ticks = 0
    if request.kind == "limit":
        limit_ticks = on_tick(market, request.price, "price")
        if not limit_ticks:
            raise VenueRejected(rejects.PRICE_MISSING, "a limit order needs a price above 0")
    elif request.kind in CONDITIONAL_KINDS:
        trigger_ticks = on_tick(market, request.trigger, "trigger")
        if not trigger_ticks:
            raise VenueRejected(rejects.TRIGGER_MISSING, "a conditional order needs a trigger")
        limit_ticks = on_tick(market, request.price, "price")
    return limit_ticks, trigger_ticks


def on_tick(market: Market, price: Decimal, what: str) -> int:
    """Return a price in ticks; raises VenueRejected when it is off the grid or below 0."""
    ticks = market.ticks_of(price)
    if ticks is None or ticks < 0:
        tick = market.instrument.price_tick
        raise VenueRejected(rejects.OFF_TICK, f"{what} {price} is not a multiple of {tick}")
    return ticks


def _check_mark(market: Market) -> None:
    if not market.mark:
        raise VenueRejected(rejects.NO_MARK_PRICE, market.instrument.symbol)


def check_price_band(market: Market, limit_ticks: int, trigger_ticks: int) -> None:
    """Check a limit (0: none) against the mark, or the trigger it waits for; VenueRejected."""
    if not limit_ticks:
        return
    price = market.price_of(limit_ticks)
    base = market.price_of(trigger_ticks) if trigger_ticks else market.mark
    band = market.instrument.price_band * base
    if abs(price - base) > band:
        what = "trigger" if trigger_ticks else "mark"
        detail = f"{price} is further than {band} from the {what} {base}"
        raise VenueRejected(rejects.PRICE_BAND, detail)


def _attachment(
    market: Market,
    request: OrderRequest,
    limit_ticks: int,
    trigger_ticks: int,
    *,
    reduce_only: bool,
) -> Attachment | None:
    """Return the protection an entry brings, checked against the price it would open at."""
    if not (request.stop or request.target):
        return None
    if reduce_only or request.close_position:
        raise VenueRejected(rejects.PROTECTION_ON_REDUCE_ONLY, request.client_id)
    if limit_ticks:
        base = request.price
    elif trigger_ticks:
        base = request.trigger
    else:
        base = trigger_price(market, request.protect_by)
    ticks = protection_ticks(market, request.side, request.stop, request.target, base, base)
    return Attachment(*ticks, request.protect_by)


def _check_conditional(order: Order) -> None:
    if len(order.position.conditionals) >= CONDITIONAL_MAX:
        detail = f"{CONDITIONAL_MAX} conditional orders on {order.market.instrument.symbol} already"
        raise VenueRejected(rejects.TOO_MANY_CONDITIONAL, detail)
    trigger_price(order.market, order.trigger_by)
    if order.is_due():
        detail = f"trigger {order.trigger} by {order.trigger_by}"
        raise VenueRejected(rejects.WOULD_TRIGGER_IMMEDIATELY, detail)


def _check_room(order: Order) -> None:
    market = order.market
    most = RESTING_MAX.get(market.instrument.venue)
    if most is None:
        return
    resting = sum(len(one.resting) for one in order.account.positions_in(market))
    if resting >= most:
        detail = f"{most} orders rest on {market.instrument.symbol} already"
        raise VenueRejected(rejects.TOO_MANY_ORDERS, detail)


def check_notional(order: Order) -> None:
    """Check an opening order against the least notional; raises VenueRejected."""
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
    return steps + position.resting.opening(side).steps - max(-side * position.steps, 0)


def _exposure_floor(position: Position, order: Order) -> int:
    """Return the position notional at the mark if this order fills whole, whatever the book."""
    steps = abs(position.steps + order.side * order.remaining_steps)
    return position.market.mark_notional_units(steps)
