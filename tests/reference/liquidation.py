"""Margin arithmetic in Decimal, from the venues' definitions and by search, not by closed form."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import pairwise

BINANCE, BYBIT, BYBIT_LEGACY, FEE_INCLUSIVE = range(4)
DIGITS = 50


class Tiers:
    """A tier table whose maintenance margin is summed slice by slice."""

    def __init__(self, rows: Sequence[tuple[float, float, float]]) -> None:
        self.caps = [Decimal(cap) for cap, _, _ in rows]
        self.rates = [Decimal(rate) for _, rate, _ in rows]
        self.leverages = [Decimal(leverage) for _, _, leverage in rows]
        self.floors = [Decimal(0), *self.caps[:-1]]

    def index(self, notional: Decimal) -> int:
        return max(i for i, floor in enumerate(self.floors) if floor <= notional)

    def maintenance(self, notional: Decimal) -> Decimal:
        total = Decimal(0)
        for i, (floor, rate) in enumerate(zip(self.floors, self.rates, strict=True)):
            ceiling = notional if i + 1 == len(self.caps) else min(notional, self.caps[i])
            total += max(ceiling - floor, Decimal(0)) * rate
        return total

    def deduction(self, index: int) -> Decimal:
        """What makes rate * notional meet the summed margin at the tier's floor."""
        return self.floors[index] * self.rates[index] - self.maintenance(self.floors[index])

    def max_leverage(self, notional: Decimal) -> Decimal:
        allowed = (
            lev for cap, lev in zip(self.caps, self.leverages, strict=True) if notional <= cap
        )
        return next(allowed, Decimal(0))

    def max_notional(self, leverage: Decimal) -> Decimal:
        pairs = zip(self.caps, self.leverages, strict=True)
        return max((cap for cap, lev in pairs if lev >= leverage), default=Decimal(0))


@dataclass(frozen=True)
class Terms:
    formula: int
    side: int
    quantity: Decimal
    entry: Decimal
    leverage: Decimal
    extra: Decimal = Decimal(0)
    taker: Decimal = Decimal(0)


def price_at(terms: Terms, wallet: Decimal, rate: Decimal, deduction: Decimal) -> Decimal:
    """The venue's formula, long and short as its own page writes them, unclamped."""
    q, entry, lev = terms.quantity, terms.entry, terms.leverage
    extra, taker, long = terms.extra, terms.taker, terms.side > 0
    if terms.formula == BINANCE:
        sign = Decimal(terms.side)
        return (wallet + extra + deduction - sign * q * entry) / (q * rate - sign * q)
    if terms.formula == BYBIT and long:
        return (entry * q - entry * q / lev - extra / (1 - taker) - deduction) / (q - q * rate)
    if terms.formula == BYBIT:
        return (entry * q + entry * q / lev + extra / (1 + taker) + deduction) / (q + q * rate)
    if terms.formula == BYBIT_LEGACY and long:
        return entry * (1 - (1 / lev - rate)) - extra / q
    if terms.formula == BYBIT_LEGACY:
        return entry * (1 + (1 / lev - rate)) + extra / q
    if long:
        return (entry - (wallet + extra) / q) / (1 - (rate + taker))
    return (entry + (wallet + extra) / q) / (1 + (rate + taker))


def price(terms: Terms, tiers: Tiers) -> Decimal:
    """The liquidation price by looking for the self-consistent bracket, never below 0."""
    wallet = terms.entry * terms.quantity / terms.leverage
    entered = tiers.index(terms.quantity * terms.entry)
    if terms.formula == BYBIT_LEGACY:
        return max(price_at(terms, wallet, tiers.rates[entered], Decimal(0)), Decimal(0))
    if terms.formula == FEE_INCLUSIVE:
        return max(first_price(terms, tiers, wallet, entered), Decimal(0))
    solutions = []
    for i, rate in enumerate(tiers.rates):
        solved = price_at(terms, wallet, rate, tiers.deduction(i))
        notional = solved * terms.quantity
        last = i + 1 == len(tiers.rates)
        if (i == 0 or tiers.floors[i] <= notional) and (last or notional <= tiers.caps[i]):
            solutions.append(solved)
    return max(solutions[0], Decimal(0))


def first_price(terms: Terms, tiers: Tiers, wallet: Decimal, entered: int) -> Decimal:
    """Where equity first fails flat maintenance and fee, segment by segment away from entry."""
    breaks = [floor / terms.quantity for floor in tiers.floors]
    if terms.side > 0:
        edges = [terms.entry, *reversed(breaks[: entered + 1])]
        brackets = range(entered, -1, -1)
    else:
        edges = [terms.entry, *breaks[entered + 1 :], Decimal("Infinity")]
        brackets = range(entered, len(breaks))
    for (near, far), i in zip(pairwise(edges), brackets, strict=True):
        root = price_at(terms, wallet, tiers.rates[i], Decimal(0))
        if terms.side * (root - near) >= 0:
            return root if i == entered else near
        if terms.side * (root - far) >= 0:
            return root
    return price_at(terms, wallet, tiers.rates[0], Decimal(0))


@dataclass(frozen=True)
class Stop:
    price: Decimal
    buffer_fraction: Decimal
    floor: Decimal


def buffer(entry: Decimal, liquidation: Decimal, stop: Stop) -> Decimal:
    return max(stop.buffer_fraction * abs(entry - liquidation), stop.floor)


def room(terms: Terms, tiers: Tiers, stop: Stop, notional: Decimal) -> Decimal:
    """How much more than the buffer lies between stop and liquidation; negative is unsafe."""
    sized = Terms(
        terms.formula,
        terms.side,
        notional / terms.entry,
        terms.entry,
        terms.leverage,
        Decimal(0),
        terms.taker,
    )
    liquidation = price(sized, tiers)
    return terms.side * (stop.price - liquidation) - buffer(terms.entry, liquidation, stop)


def largest_notional(terms: Terms, tiers: Tiers, stop: Stop, limit: Decimal) -> Decimal:
    """The joint solve by bisection."""
    with localcontext() as context:
        context.prec = DIGITS
        top = min(limit, tiers.max_notional(terms.leverage))
        if top <= 0 or terms.side * (terms.entry - stop.price) <= 0:
            return Decimal(0)
        if room(terms, tiers, stop, top) >= 0:
            return top
        low, high = Decimal(0), top
        for _ in range(100):
            middle = (low + high) / 2
            if room(terms, tiers, stop, middle) >= 0:
                low = middle
            else:
                high = middle
        return low
