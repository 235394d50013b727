"""Instruments: the venue's grid, minimums, fees and risk tiers, and a dated catalogue of them.

The catalogue is a rehearsal's truth and a live engine's first guess: against a real venue the
tables are read at start, because they change (VENUES 4.3).
"""

from decimal import Decimal
from functools import cached_property
from importlib.resources import files
from typing import Final, Literal

import msgspec
from msgspec import Struct

from hfengine.kernels.sizing import floor_steps

VenueName = Literal["binance", "bybit", "bitget"]

ASSUMED: Final = "assumed: "
"""How a source begins that is no source: what the venue did not tell."""


class RiskTier(Struct, frozen=True, forbid_unknown_fields=True):
    """One bracket of a risk table; it holds up to `notional_cap_usdt`, inclusive."""

    notional_cap_usdt: Decimal
    maintenance_rate: Decimal
    max_leverage: Decimal
    deduction_usdt: Decimal


class Instrument(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """One linear perpetual: exact grid, limits, fees and tiers, with their sources and date."""

    symbol: str
    venue: VenueName
    base: str
    price_tick: Decimal
    quantity_step: Decimal
    quantity_min: Decimal
    quantity_max: Decimal
    market_quantity_max: Decimal
    notional_min_usdt: Decimal
    price_band: Decimal
    """Largest distance of a limit price from the mark, as a fraction."""
    maker_fee: Decimal
    taker_fee: Decimal
    liquidation_fee: Decimal
    funding_interval_h: int
    tiers: tuple[RiskTier, ...]
    as_of: str
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a table that contradicts itself; raises ValueError."""
        caps = [tier.notional_cap_usdt for tier in self.tiers]
        if not caps or caps != sorted(set(caps)):
            msg = f"{self.symbol}: risk tiers must have rising notional caps, got {caps}"
            raise ValueError(msg)

    @property
    def max_leverage(self) -> Decimal:
        """The most the first tier offers."""
        return self.tiers[0].max_leverage

    @cached_property
    def tick_usdt(self) -> float:
        """The price tick as a float."""
        return float(self.price_tick)

    @cached_property
    def step_quantity(self) -> float:
        """The quantity step as a float."""
        return float(self.quantity_step)

    def tier_at(self, notional_usdt: Decimal) -> RiskTier | None:
        """Return the tier of a notional, None above the last cap."""
        for tier in self.tiers:
            if notional_usdt <= tier.notional_cap_usdt:
                return tier
        return None

    def price_down(self, price_usdt: float) -> Decimal:
        """Return the highest price on the grid at or below `price_usdt`."""
        return self.price_tick * floor_steps(price_usdt, self.tick_usdt)

    def price_up(self, price_usdt: float) -> Decimal:
        """Return the lowest price on the grid at or above `price_usdt`."""
        below = self.price_down(price_usdt)
        return below if float(below) >= price_usdt else below + self.price_tick

    def quantity_of(self, steps: int) -> Decimal:
        """Return the exact quantity of `steps` steps."""
        return self.quantity_step * steps


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The instruments of one venue as of one date."""

    venue: VenueName
    as_of: str
    instruments: tuple[Instrument, ...]

    def find(self, symbol: str) -> Instrument:
        """Return one instrument; raises KeyError naming the symbols there are."""
        for instrument in self.instruments:
            if instrument.symbol == symbol:
                return instrument
        known = ", ".join(instrument.symbol for instrument in self.instruments)
        msg = f"no {symbol} in the {self.venue} catalogue of {self.as_of}; it has {known}"
        raise KeyError(msg)


def load_catalogue(venue: VenueName) -> Catalogue:
    """Read the dated catalogue of a venue that ships with the package."""
    text = files("hfengine").joinpath(f"catalogue/{venue}.json").read_bytes()
    return msgspec.json.decode(text, type=Catalogue)
