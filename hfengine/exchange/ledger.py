"""Money as exact integers, and the ledger of every change of a wallet.

The unit is a power of ten of a USDT: at most 1e-8, and small enough that one tick times one step
of every instrument is a whole number of units. So notionals and sums are exact. Two things are
rounded, once each, half to even: a fee (to 1e-8 USDT) and the part of the entry cost that a
partial close releases (to one unit; what is left of the cost carries the remainder).
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, Literal, NamedTuple

from hfengine.instruments import Instrument

USDT_DECIMALS: Final = 8
EXACT: Final = Context(prec=100, rounding=ROUND_HALF_EVEN)
"""Wide enough that no product of a price, a quantity and a rate is rounded."""

EntryKind = Literal["deposit", "fee", "funding", "pnl", "liquidation_fee"]


def half_even(numerator: int, denominator: int) -> int:
    """Return numerator / denominator rounded half to even; the denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    double = 2 * rest
    if double > denominator or (double == denominator and quotient & 1):
        quotient += 1
    return quotient


def ratio(number: Decimal) -> tuple[int, int]:
    """Return a Decimal as an exact fraction (numerator, positive denominator)."""
    return number.as_integer_ratio()


class Unit:
    """The smallest piece of money of one exchange: 10 ** -decimals USDT."""

    __slots__ = ("_nothing", "decimals", "fee_quantum", "per_usdt")

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        products = [
            EXACT.multiply(one.price_tick, one.quantity_step).normalize(EXACT)
            for one in instruments
        ]
        exponents = [product.as_tuple().exponent for product in products]
        deepest = max((-exponent for exponent in exponents if isinstance(exponent, int)), default=0)
        self.decimals = max(USDT_DECIMALS, deepest)
        self.per_usdt: int = 10**self.decimals
        self.fee_quantum: int = 10 ** (self.decimals - USDT_DECIMALS)
        self._nothing = Decimal(0).scaleb(-self.decimals, EXACT)

    def of(self, usdt: Decimal) -> int:
        """Return the units of an exact USDT figure; raises ValueError when it is finer."""
        numerator, denominator = ratio(usdt)
        units, rest = divmod(numerator * self.per_usdt, denominator)
        if rest:
            msg = f"{usdt} USDT is finer than the unit 1e-{self.decimals} USDT"
            raise ValueError(msg)
        return units

    def usdt(self, units: int) -> Decimal:
        """Return units as exact USDT."""
        return Decimal(units).scaleb(-self.decimals, EXACT) if units else self._nothing

    def fee(self, notional_units: int, rate: tuple[int, int]) -> int:
        """Return the fee of a notional: the exact product rounded half-even once, at 1e-8."""
        numerator, denominator = rate
        quanta = half_even(notional_units * numerator, denominator * self.fee_quantum)
        return quanta * self.fee_quantum


class LedgerEntry(NamedTuple):
    """One change of a wallet. `change_units` > 0 is received."""

    at_ns: int
    kind: EntryKind
    symbol: str
    change_units: int
    change_usdt: Decimal


class Ledger:
    """Every change of one wallet, in order; the wallet is their sum to the last unit."""

    __slots__ = ("entries", "unit", "wallet_units")

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.entries: list[LedgerEntry] = []
        self.wallet_units = 0

    @property
    def wallet_usdt(self) -> Decimal:
        """The wallet, USDT."""
        return self.unit.usdt(self.wallet_units)

    def post(self, at_ns: int, kind: EntryKind, symbol: str, change_units: int) -> None:
        """Record a change and move the wallet by it."""
        self.wallet_units += change_units
        change_usdt = self.unit.usdt(change_units)
        self.entries.append(LedgerEntry(at_ns, kind, symbol, change_units, change_usdt))

    def total_units(self, kind: EntryKind) -> int:
        """Return the sum of one kind of change, units."""
        return sum(entry.change_units for entry in self.entries if entry.kind == kind)

    def total_usdt(self, kind: EntryKind) -> Decimal:
        """Return the sum of one kind of change, USDT; fees paid are negative."""
        return self.unit.usdt(self.total_units(kind))
