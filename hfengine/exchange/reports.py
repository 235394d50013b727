"""Positions and balances as messages."""

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from hfengine.exchange.margin import (
    cross_state,
    free_margin_units,
    liquidation_price,
    position_maintenance_units,
)
from hfengine.exchange.market import ZERO
from hfengine.messages import BalanceChanged, PositionChanged

if TYPE_CHECKING:
    from hfengine.exchange.account import Account
    from hfengine.exchange.positions import Position

PRICE_GRAIN: Final = Decimal("1e-8")
"""Averages and liquidation prices are shown to this, half-even."""


def position_changed(position: "Position", at_ns: int) -> PositionChanged:
    """Return a position as a message; `side` is 0 when flat.

    `stop` and `target` are the attached ones, or else the first reduce-only conditional order
    that would close. `margin_usdt` is what is held apart (isolated) or the initial margin at the
    mark (cross).
    """
    market = position.market
    if position.is_isolated:
        margin_units = position.margin_units
    else:
        margin_units = -(-position.mark_notional_units // position.leverage)
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
    usdt = ledger.unit.usdt
    return BalanceChanged(
        at_ns=at_ns,
        wallet_usdt=usdt(ledger.wallet_units),
        equity_usdt=usdt(ledger.wallet_units + unrealised_units),
        free_margin_usdt=usdt(free_margin_units(account)),
        maintenance_usdt=usdt(cross_state(account).maintenance_units + isolated_units),
    )


def _trigger(position: "Position", kind: str) -> Decimal:
    orders = position.closing_conditional(kind) if position.steps else []
    attached = [order for order in orders if order.attached]
    return (attached or orders)[0].trigger if orders else ZERO


def _shown(price: Decimal) -> Decimal:
    exponent = price.as_tuple().exponent
    is_fine = isinstance(exponent, int) and exponent < -8
    return price.quantize(PRICE_GRAIN) if is_fine else price
