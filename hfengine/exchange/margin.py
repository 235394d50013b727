"""Margin: what positions and orders need, what is free, where liquidation lies.

Money is in units (ledger.Unit). Tiers are looked up at notional, never at size. The liquidation
formulas are Binance's (USD-M one-way help page, VENUES 4.1) and Bybit's for isolated UTA margin
(in force since 2025-09-02, VENUES 4.2).
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from hfengine.exchange.ledger import half_even
from hfengine.exchange.market import ZERO, Market, Tier
from hfengine.exchange.order_margin import Piece
from hfengine.exchange.positions import Position, extra_margin_usdt
from hfengine.instruments import Instrument, RiskTier

if TYPE_CHECKING:
    from hfengine.exchange.account import Account

TIER_ROUNDS: Final = 20
"""Looks for the tiers of a hedged position before the last price found is taken."""


class Requirement(NamedTuple):
    """What opening takes: margin with fee and open loss, and the position it could lead to."""

    margin_units: int
    exposure_units: int
    opening_steps: int


class CrossState(NamedTuple):
    """The shared part of an account: margin balance, maintenance, initial margin."""

    balance_units: int
    maintenance_units: int
    initial_units: int


def tier_at(market: Market, notional_units: int) -> Tier:
    """Return the tier of a notional; the last one above the table."""
    for tier in market.tiers:
        if notional_units <= tier.cap_units:
            return tier
    return market.tiers[-1]


def maintenance_units(market: Market, notional_units: int) -> int:
    """Return the maintenance margin of a notional: rate * notional - deduction."""
    tier = tier_at(market, notional_units)
    numerator, denominator = tier.rate
    return half_even(notional_units * numerator, denominator) - tier.deduction_units


def notional_cap_units(market: Market, leverage: int) -> int:
    """Return the largest notional that the tiers allow at a leverage, 0 for none."""
    return max(
        (tier.cap_units for tier in market.tiers if tier.max_leverage >= leverage), default=0
    )


def position_maintenance_units(position: Position) -> int:
    """Return the maintenance margin of a position at the mark price."""
    return maintenance_units(position.market, position.mark_notional_units)


def cross_state(account: "Account") -> CrossState:
    """Return the account's cross margin: isolated positions count only by what they hold apart."""
    balance = account.ledger.wallet_units
    maintenance = initial = 0
    for position in account.held():
        if position.is_isolated:
            balance -= position.margin_units
            continue
        notional_units = position.mark_notional_units
        balance += position.side * (notional_units - position.cost_units)
        maintenance += maintenance_units(position.market, notional_units)
        initial += -(-notional_units // position.leverage)
    return CrossState(balance, maintenance, initial)


def free_margin_units(account: "Account", state: CrossState | None = None) -> int:
    """Return what new orders may use: cross balance less initial and order margin.

    `state` is the account's `cross_state` where the caller has it already.
    """
    if state is None:
        state = cross_state(account)
    reserved = sum(order_margin_units(one) for one in account.positions.values() if one.resting)
    return state.balance_units - state.initial_units - reserved


def order_margin_units(position: Position) -> int:
    """Return the margin reserved for a symbol's resting orders: the dearer of the two sides."""
    if not position.resting:
        return 0
    return max(requirement(position, side).margin_units for side in (1, -1))


def requirement(position: Position, side: int, pieces: Sequence[Piece] = ()) -> Requirement:
    """Return what `pieces` and then the resting orders of a side need.

    Only what is beyond closing the opposite position opens. Each opening part needs notional /
    leverage, the taker fee, and the loss it would have against the mark on filling.
    """
    needed = position.resting.opening(side).needed(position, pieces)
    held_units = position.mark_notional_units if position.side == side else 0
    return Requirement(needed.margin_units, held_units + needed.exposure_units, needed.steps)


def liquidation_price(position: Position) -> Decimal:
    """Return the liquidation price by the venue's formula, 0 when there is none.

    Isolated: Binance with its tiers solved at the liquidation notional, Bybit with the tier of
    the mark notional. Cross: the Binance equation with the other positions frozen at their marks,
    an estimate on both venues; long and short of one symbol move together and share it.
    """
    if not position.steps:
        return ZERO
    market = position.market
    instrument = market.instrument
    usdt = market.unit.usdt
    quantity = market.quantity_of(position.size_steps)
    if not position.is_isolated:
        held = position.account.held_in(market)
        if len(held) > 1:
            return _hedged_liquidation_price(held)
        state = cross_state(position.account)
        own = position_maintenance_units(position)
        # everything but this position's own PnL and maintenance is frozen
        wallet_usdt = usdt(state.balance_units - position.unrealised_units)
        others_usdt = usdt(state.maintenance_units - own)
        return binance_liquidation_price(
            position.side,
            quantity,
            position.entry,
            wallet_usdt,
            instrument.tiers,
            other_maintenance_usdt=others_usdt,
        )
    if instrument.venue == "binance":
        margin_usdt = usdt(position.margin_units)
        return binance_liquidation_price(
            position.side, quantity, position.entry, margin_usdt, instrument.tiers
        )
    notional_usdt = usdt(position.mark_notional_units)
    return bybit_liquidation_price(
        position.side,
        quantity,
        position.entry,
        position.leverage,
        instrument.tier_at(notional_usdt) or instrument.tiers[-1],
        taker_fee=instrument.taker_fee,
        extra_margin_usdt=extra_margin_usdt(position),
    )


def binance_liquidation_price(
    side: int,
    quantity: Decimal,
    entry: Decimal,
    wallet_usdt: Decimal,
    tiers: Sequence[RiskTier],
    *,
    other_maintenance_usdt: Decimal = ZERO,
    other_unrealised_usdt: Decimal = ZERO,
) -> Decimal:
    """Return Binance's liquidation price, 0 when no positive price liquidates.

    LP = (WB - TMM + UPNL + cum - side*q*EP) / (q*MMR - side*q), the tier being the one whose
    range holds q*LP. Isolated: WB is the margin apart and the others are 0.
    """
    frozen_usdt = wallet_usdt - other_maintenance_usdt + other_unrealised_usdt
    cost_usdt = side * quantity * entry
    floor_usdt = ZERO
    for tier in tiers:
        numerator = frozen_usdt + tier.deduction_usdt - cost_usdt
        # a price below 0, which is what a large wallet gives, needs no division to be seen
        if (numerator > 0) is not (side > 0):
            price = numerator / (quantity * tier.maintenance_rate - side * quantity)
            notional_usdt = price * quantity
            is_last = tier is tiers[-1]
            if floor_usdt < notional_usdt and (is_last or notional_usdt <= tier.notional_cap_usdt):
                return price
        floor_usdt = tier.notional_cap_usdt
    return ZERO


def _hedged_liquidation_price(held: Sequence[Position]) -> Decimal:
    market = held[0].market
    usdt = market.unit.usdt
    state = cross_state(held[0].account)
    own_units = sum(position_maintenance_units(one) for one in held)
    pnl_units = sum(one.unrealised_units for one in held)
    return hedged_liquidation_price(
        [(one.side, market.quantity_of(one.size_steps), one.entry) for one in held],
        usdt(state.balance_units - pnl_units - (state.maintenance_units - own_units)),
        market.mark,
        market.instrument,
    )


def hedged_liquidation_price(
    legs: Sequence[tuple[int, Decimal, Decimal]],
    frozen_usdt: Decimal,
    mark: Decimal,
    instrument: Instrument,
) -> Decimal:
    """Return the price at which long and short of a symbol, cross, lose their margin; 0 for none.

    LP = (WB - TMM + UPNL + cumL + cumS - sum(side*q*EP)) / sum(q*MMR - side*q), Binance's
    equation in hedge mode. Legs are (side, quantity, entry); the tiers are those at the price
    itself, found from the mark on.
    """
    price = mark
    for _ in range(TIER_ROUNDS):
        numerator, denominator = frozen_usdt, ZERO
        for side, quantity, entry in legs:
            tier = instrument.tier_at(quantity * price) or instrument.tiers[-1]
            numerator += tier.deduction_usdt - side * quantity * entry
            denominator += quantity * tier.maintenance_rate - side * quantity
        found = numerator / denominator if denominator else ZERO
        if found <= 0 or found == price:
            return max(found, ZERO)
        price = found
    return price


def bybit_liquidation_price(
    side: int,
    quantity: Decimal,
    entry: Decimal,
    leverage: int,
    tier: RiskTier,
    *,
    taker_fee: Decimal,
    extra_margin_usdt: Decimal = ZERO,
) -> Decimal:
    """Return Bybit's isolated liquidation price, at least 0.

    Long (EP*q - EP*q/L - X/(1-taker) - MMD) / (q - q*MMR); short with every sign turned. The fee
    to close stands in the initial and in the maintenance margin and cancels.
    """
    cost_usdt = entry * quantity
    held_usdt = cost_usdt / leverage + extra_margin_usdt / (1 - side * taker_fee)
    numerator = cost_usdt - side * (held_usdt + tier.deduction_usdt)
    return max(numerator / (quantity * (1 - side * tier.maintenance_rate)), ZERO)
