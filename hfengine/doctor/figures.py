"""What a profile's sizes, fees and distances come to for one instrument and one account."""

from collections.abc import Iterator
from decimal import Decimal
from math import inf
from typing import Final

from msgspec import Struct

from hfengine.actors.brackets import LIQUIDATION_RULES, SIZING_MODES
from hfengine.checks import liquidation_price, round_trip_fee
from hfengine.doctor.finding import Finding, fail, ok, warn
from hfengine.instruments import Instrument
from hfengine.kernels.sizing import Sizer, break_even_win_rate
from hfengine.messages import LONG, SHORT
from hfengine.settings import Settings

PRICE_USDT: Final = 1_000.0
"""Any price: sizes are compared as notional."""
STEP: Final = 1e-9
PERCENT: Final = 100.0


class Intended(Struct, frozen=True):
    """How large an entry the profile wants, and what the symbol's tiers leave of it, in USDT."""

    wanted_usdt: float
    notional_usdt: float
    tier_cap_usdt: float


def intended(
    settings: Settings, listed: str, instrument: Instrument, equity_usdt: float
) -> Intended:
    """Return the notional of an entry of an account that is flat, at the profile's own caps.

    The stop is that of the percent distance; other distances depend on the market, and are taken
    as the same.
    """
    sizing, leverage = settings.sizing, settings.leverage.of(listed)
    risk = settings.risk
    caps = [tier.notional_cap_usdt for tier in instrument.tiers if tier.max_leverage >= leverage]
    tier_cap_usdt = float(max(caps, default=Decimal(0)))
    sizer = Sizer(
        SIZING_MODES[sizing.mode],
        sizing.fraction,
        sizing.fixed_margin_usdt,
        float(leverage),
        sizing.share_of_equity_max,
        sizing.trade_notional_max_usdt,
        min(sizing.exposure_max_usdt, risk.symbol_exposure_max_usdt, risk.venue_exposure_max_usdt),
        sizing.capital_usdt,
        sizing.free_margin_reserve,
    )
    found = []
    for cap_usdt in (inf, tier_cap_usdt):
        sizer.size(
            PRICE_USDT,
            equity_usdt,
            equity_usdt,
            0.0,
            PRICE_USDT * settings.protection.stop_percent / PERCENT,
            round_trip_fee(instrument),
            cap_usdt,
            inf,
            STEP,
            0.0,
            inf,
            0.0,
        )
        found.append(sizer.notional_usdt)
    return Intended(found[0], found[1], tier_cap_usdt)


def check_tiers(
    settings: Settings, listed: str, instrument: Instrument, equity_usdt: float
) -> Finding:
    """Compare the leverage wanted with the tier of the intended notional."""
    name, leverage = f"tiers {listed}", settings.leverage.of(listed)
    top = instrument.max_leverage
    if leverage > top:
        found = f"{leverage}x wanted, the venue offers at most {top}x"
        return fail(name, found, f"set leverage.overrides.{listed} = {int(top)}, or less")
    size = intended(settings, listed, instrument, equity_usdt)
    distance = _liquidation_text(instrument, leverage)
    found = (
        f"{leverage}x up to {size.tier_cap_usdt:,.0f} USDT; intended {size.wanted_usdt:,.0f} USDT"
        f" at an equity of {equity_usdt:,.0f}; {distance}"
    )
    if size.wanted_usdt > size.tier_cap_usdt:
        advice = "entries are cut to the tier: lower the size, or the leverage"
        return warn(name, found, advice)
    return ok(name, found)


def _liquidation_text(instrument: Instrument, leverage: int) -> str:
    if instrument.venue not in LIQUIDATION_RULES:
        return "no liquidation formula is known for this venue"
    far = min(
        abs(liquidation_price(instrument, side, leverage) / PRICE_USDT - 1.0)
        for side in (LONG, SHORT)
    )
    return f"liquidation {far:.2%} from entry at the smallest size"


def check_minimum(
    settings: Settings, listed: str, instrument: Instrument, equity_usdt: float
) -> Finding:
    """Compare the venue's smallest order with what the sizing gives."""
    name, least = f"minimum {listed}", float(instrument.notional_min_usdt)
    size_usdt = intended(settings, listed, instrument, equity_usdt).notional_usdt
    found = f"smallest order {least:g} USDT, entries of {size_usdt:,.2f} USDT"
    if size_usdt < least:
        advice = "no entry can be made: raise sizing.fraction or its caps, or the balance"
        return fail(name, found, advice)
    if size_usdt < 2.0 * least:
        return warn(name, found, "a halving would leave less than the minimum: it closes instead")
    return ok(name, found)


def check_fees(settings: Settings, listed: str, instrument: Instrument) -> Finding:
    """Compare the bracket with its fees: the break-even win rate, at the venue's own rates."""
    name, fee = f"fees {listed}", round_trip_fee(instrument)
    protection, fees = settings.protection, settings.fees
    margin_share = fee * settings.leverage.of(listed)
    paid = f"a round trip costs {fee:.3%} of notional, {margin_share:.1%} of the margin"
    if protection.distance != "percent":
        return ok(name, f"{paid}; the break-even rate depends on the market")
    stop, target = protection.stop_percent / PERCENT, protection.target_percent / PERCENT
    rate = break_even_win_rate(target, stop, fee)
    found = f"{paid}; breaks even at {rate:.1%} wins (limit {fees.break_even_max:.0%})"
    if rate <= fees.break_even_max:
        return ok(name, found)
    advice = "widen protection.target_percent, or lower the fees (maker entries, a better tier)"
    if fees.gate == "strict":
        return fail(name, found, f"{advice}: every entry is refused")
    return warn(name, found, f'{advice}: fees.gate "report" lets entries pass that lose by fees')


def check_figures(
    settings: Settings, listed: str, instrument: Instrument, equity_usdt: float
) -> Iterator[Finding]:
    """Yield the checks of one symbol that need no venue beyond its instrument."""
    yield check_tiers(settings, listed, instrument, equity_usdt)
    if settings.leverage.of(listed) <= instrument.max_leverage:
        yield check_minimum(settings, listed, instrument, equity_usdt)
    yield check_fees(settings, listed, instrument)
