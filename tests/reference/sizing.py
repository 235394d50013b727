"""Sizing in exact decimal arithmetic: every float is the decimal it prints as.

Fractions of Decimals, so that a division loses nothing either.
"""

from decimal import Decimal
from fractions import Fraction

KELLY_FRACTION, RISK_PER_TRADE, FIXED_MARGIN = range(3)


def exact(number: float) -> Fraction:
    return Fraction(Decimal(repr(float(number))))


def floor_steps(quantity: float, step: float) -> int:
    return exact(quantity) // exact(step)


def mode_notional(
    mode: int,
    fraction: float,
    fixed_margin: float,
    leverage: float,
    price: float,
    balance: float,
    stop_distance: float,
    fee: float,
) -> Fraction:
    if mode == KELLY_FRACTION:
        return exact(balance) * exact(fraction) * exact(leverage)
    if mode == RISK_PER_TRADE:
        lost_per_unit = exact(stop_distance) + exact(price) * exact(fee)
        return exact(balance) * exact(fraction) / lost_per_unit * exact(price)
    return exact(fixed_margin) * exact(leverage)


def free_margin_notional(free: float, reserve: float, leverage: float, fee: float) -> Fraction:
    usable = exact(free) * (1 - exact(reserve))
    return usable / (1 / exact(leverage) + exact(fee) / 2)


def break_even_win_rate(target: float, stop: float, fee: float) -> Fraction:
    return (exact(stop) + exact(fee)) / (exact(target) + exact(stop))
