"""Combinations of settings that cannot work, and what a profile means in figures."""

from collections.abc import Callable
from itertools import pairwise
from math import isclose
from typing import Final

from msgspec import Struct

from hfengine.actors.brackets import LIQUIDATION_RULES
from hfengine.case import Case
from hfengine.instruments import Instrument
from hfengine.kernels.liquidation import (
    RiskTiers,
    buffer_usdt,
    isolated_price,
    stop_is_safe,
)
from hfengine.kernels.sizing import break_even_win_rate
from hfengine.messages import LONG, SHORT
from hfengine.symbols import plain_symbol
from hfengine.venue_checks import (
    check_entries,
    check_mode,
    check_placing,
    check_venue_settings,
    venue_cautions,
)

ENTRY_USDT: Final = 1000.0
"""Any entry price: every distance checked here is relative to it."""


def round_trip_fee(instrument: Instrument) -> float:
    """Return the fee of a taker's entry and exit together, as a fraction of notional."""
    return 2.0 * float(instrument.taker_fee)


def liquidation_price(instrument: Instrument, side: int, leverage: float) -> float:
    """Return where an isolated position of the smallest notional is liquidated.

    For an entry at ENTRY_USDT; the smallest notional is the best case, since rates only rise.
    """
    table = [
        (float(tier.notional_cap_usdt), float(tier.maintenance_rate), float(tier.max_leverage))
        for tier in instrument.tiers
    ]
    # some venues name no smallest notional: then any within the first tier gives the same price
    quantity = (float(instrument.notional_min_usdt) or 1.0) / ENTRY_USDT
    formula = LIQUIDATION_RULES[instrument.venue]
    return isolated_price(formula, side, quantity, ENTRY_USDT, leverage, RiskTiers(table))


class Figures(Struct, frozen=True):
    """What a profile means for one symbol; fractions of the entry price, None where it depends."""

    symbol: str
    leverage: int
    break_even_win_rate: float | None
    liquidation_long: float
    liquidation_short: float
    stop: float | None
    target: float | None
    round_trip_fee: float


def figures(case: Case) -> list[Figures]:
    """Return break-even win rate and liquidation distance per symbol, at the smallest notional.

    The distances hold for isolated margin; under cross margin they depend on the account. With
    stops by ATR or forecast the win rate depends on the market and is None.
    """
    protection = case.settings.protection
    fixed = protection.distance == "percent"
    stop, target = protection.stop_percent / 100.0, protection.target_percent / 100.0
    found = []
    for traded in case.traded():
        instrument = traded.instrument
        leverage = case.settings.leverage.of(traded.listed)
        fee = round_trip_fee(instrument)
        distance = {
            side: abs(liquidation_price(instrument, side, leverage) / ENTRY_USDT - 1.0)
            for side in (LONG, SHORT)
        }
        found.append(
            Figures(
                symbol=traded.listed,
                leverage=leverage,
                break_even_win_rate=break_even_win_rate(target, stop, fee) if fixed else None,
                liquidation_long=distance[LONG],
                liquidation_short=distance[SHORT],
                stop=stop if fixed else None,
                target=target if fixed else None,
                round_trip_fee=fee,
            )
        )
    return found


def check_symbols(case: Case) -> list[str]:
    """Refuse no symbols, a symbol twice, and on paper a symbol the catalogue lacks."""
    where, symbols = case.at("symbols"), case.settings.symbols
    known = {
        name: ", ".join(instrument.symbol for instrument in catalogue.instruments)
        for name, catalogue in case.catalogues.items()
    }
    some = "; ".join(known.values()) or "the venue's symbols"
    problems = [] if symbols else [f"{where}: name at least one of {some}"]
    for listed in dict.fromkeys(symbols):
        if symbols.count(listed) > 1:
            problems.append(f"{where}: {listed} is listed {symbols.count(listed)} times")
        venue = case.settings.venue_of(listed)
        catalogue = case.catalogues.get(venue) if case.settings.mode == "paper" else None
        if catalogue and case.instrument(listed) is None:
            problems.append(
                f"{where}: {listed} is not in the {catalogue.venue} catalogue of "
                f"{catalogue.as_of}; it has {known[venue]}"
            )
    return problems


def check_leverage(case: Case) -> list[str]:
    """Refuse on paper a leverage that not even the first tier of a symbol offers.

    Elsewhere the catalogue may be older than the venue's table: there it is a warning, and the
    venue's own maximum decides at start.
    """
    if case.settings.mode != "paper":
        return []
    problems = []
    for traded in case.traded():
        listed, instrument = traded.listed, traded.instrument
        if not case.leverage_fits(traded):
            key = case.leverage_key(listed)
            problems.append(
                f"{case.at(key)} = {case.settings.leverage.of(listed)}: {listed} on "
                f"{instrument.venue} offers at most {instrument.max_leverage}x, in its first tier "
                f"(up to {instrument.tiers[0].notional_cap_usdt:,f} USDT); lower it, or set "
                f"leverage.overrides.{listed}"
            )
    return problems


def check_stop(case: Case) -> list[str]:
    """Refuse a stop that lies beyond liquidation less the buffer even at the smallest notional.

    Spread and volatility, unknown here, are left out of the buffer: what fails has no chance.
    """
    settings, protection = case.settings, case.settings.protection
    if protection.distance != "percent" or settings.leverage.margin_mode != "isolated":
        return []
    problems = []
    for traded in filter(case.leverage_fits, case.traded()):
        listed, instrument = traded.listed, traded.instrument
        leverage = settings.leverage.of(listed)
        for side, name in ((LONG, "long"), (SHORT, "short")):
            stop = ENTRY_USDT * (1.0 - side * protection.stop_percent / 100.0)
            liquidation = liquidation_price(instrument, side, leverage)
            buffer = buffer_usdt(
                ENTRY_USDT,
                liquidation,
                protection.buffer_fraction,
                float(instrument.taker_fee),
                0.0,
                settings.fees.slippage_bps / 1e4,
                0.0,
            )
            if stop_is_safe(side, stop, liquidation, buffer):
                continue
            distance, needed = (100.0 * p / ENTRY_USDT for p in (ENTRY_USDT - liquidation, buffer))
            problems.append(
                f"{case.at('protection.stop_percent')} = {protection.stop_percent:g}: with "
                f"{case.at(case.leverage_key(listed))} = {leverage} a {name} of "
                f"{listed} is liquidated {abs(distance):.3f} % from entry; with the "
                f"buffer of {needed:.3f} % the stop may be at most "
                f"{max(0.0, abs(distance) - needed):.3f} % away: move it nearer or lower the "
                f"leverage"
            )
    return problems


def check_fees(case: Case) -> list[str]:
    """Refuse a bracket that fees eat up, unless the gate only reports (DESIGN 7.7)."""
    fees, protection = case.settings.fees, case.settings.protection
    if fees.gate != "strict" or protection.distance != "percent":
        return []
    stop, target = protection.stop_percent, protection.target_percent
    problems = []
    for traded in case.traded():
        listed = traded.listed
        fee = 100.0 * round_trip_fee(traded.instrument)
        if target < fee or isclose(target, fee):
            problems.append(
                f"{case.at('protection.target_percent')} = {target:g}: a round trip of "
                f"{listed} costs {fee:g} % in taker fees, so a target reached earns "
                f'nothing: raise it, or set fees.gate = "report"'
            )
            continue
        rate = break_even_win_rate(target / 100.0, stop / 100.0, fee / 100.0)
        if rate > fees.break_even_max and not isclose(rate, fees.break_even_max):
            problems.append(
                f"{case.at('protection.target_percent')} = {target:g} and "
                f"{case.at('protection.stop_percent')} = {stop:g}: {listed} must win "
                f"{rate:.1%} of its trades to break even, (stop {stop:g} % + fees {fee:g} %) / "
                f"(target {target:g} % + stop {stop:g} %), above "
                f"{case.at('fees.break_even_max')} = {fees.break_even_max:g}: widen the target, "
                f'raise fees.break_even_max, or set fees.gate = "report"'
            )
    return problems


def check_size(case: Case) -> list[str]:
    """Refuse caps below the venue's smallest order: no entry could ever be made."""
    sizing = case.settings.sizing
    problems = []
    for traded in case.traded():
        listed, instrument = traded.listed, traded.instrument
        least = float(instrument.notional_min_usdt)
        leverage = case.settings.leverage.of(listed)
        limits = {
            "sizing.trade_notional_max_usdt": sizing.trade_notional_max_usdt,
            "sizing.exposure_max_usdt": sizing.exposure_max_usdt,
            "sizing.capital_usdt": sizing.capital_usdt * leverage,
        }
        if sizing.mode == "fixed_margin":
            limits["sizing.fixed_margin_usdt"] = sizing.fixed_margin_usdt * leverage
        problems += [
            f"{case.at(key)}: allows a notional of {notional_usdt:g} USDT, but the smallest order "
            f"of {listed} on {instrument.venue} is {least:g} USDT: raise it"
            for key, notional_usdt in limits.items()
            if notional_usdt < least
        ]
    return problems


def check_signals(case: Case) -> list[str]:
    """Refuse a pairing with a symbol that is not traded, and memories shorter than their grids."""
    signals, symbols = case.settings.signals, case.settings.symbols
    problems = []
    if signals.cross_with and signals.cross_with not in symbols:
        problems.append(
            f'{case.at("signals.cross_with")} = "{signals.cross_with}": it is not among the '
            f"symbols traded, {', '.join(symbols)}: name one of them, or none for the first"
        )
    if signals.cross_half_life_s * 1e3 < signals.cross_step_ms:
        problems.append(
            f"{case.at('signals.cross_half_life_s')} = {signals.cross_half_life_s:g}: shorter than "
            f"{case.at('signals.cross_step_ms')} = {signals.cross_step_ms:g}: make it longer"
        )
    if signals.drift_half_life_s < signals.horizon_s:
        problems.append(
            f"{case.at('signals.drift_half_life_s')} = {signals.drift_half_life_s:g}: would forget "
            f"a forecast before {case.at('signals.horizon_s')} = {signals.horizon_s:g} has shown "
            f"what came of it: make it longer"
        )
    return problems


def check_order(case: Case) -> list[str]:
    """Refuse pairs of settings in the wrong order."""
    settings = case.settings
    leverage, risk, protection = settings.leverage, settings.risk, settings.protection
    problems = []
    if leverage.proof_age_max_s <= leverage.reread_s:
        problems.append(
            f"{case.at('leverage.proof_age_max_s')} = {leverage.proof_age_max_s:g}: every proof "
            f"would expire before {case.at('leverage.reread_s')} = {leverage.reread_s:g} renews "
            f"it: make it longer"
        )
    if risk.utilisation_warn >= risk.utilisation_close:
        problems.append(
            f"{case.at('risk.utilisation_warn')} = {risk.utilisation_warn:g}: must lie below "
            f"{case.at('risk.utilisation_close')} = {risk.utilisation_close:g}"
        )
    if risk.liquidation_left_warn <= risk.liquidation_left_close:
        problems.append(
            f"{case.at('risk.liquidation_left_warn')} = {risk.liquidation_left_warn:g}: must lie "
            f"above {case.at('risk.liquidation_left_close')} = {risk.liquidation_left_close:g}"
        )
    steps = ("relax_after_s", "reduce_after_s", "close_after_s")
    ages = [(f"protection.{key}", getattr(protection, key)) for key in steps]
    used = [(key, age_s) for key, age_s in ages if age_s]
    problems += [
        f"{case.at(later)} = {later_s:g}: must be later than {case.at(key)} = {age_s:g}"
        for (key, age_s), (later, later_s) in pairwise(used)
        if later_s <= age_s
    ]
    if protection.check_ms > protection.cover_max_ms:
        problems.append(
            f"{case.at('protection.check_ms')} = {protection.check_ms:g}: an uncovered position "
            f"would be seen later than {case.at('protection.cover_max_ms')} = "
            f"{protection.cover_max_ms:g} allows: make it shorter"
        )
    return problems


COMBINATIONS: Final[tuple[tuple[tuple[str, ...], Callable[[Case], list[str]]], ...]] = (
    (("mode", "venue"), check_mode),
    (("mode", "venue"), check_venue_settings),
    (("entries", "venue"), check_entries),
    (("symbols", "venue"), check_placing),
    (("mode", "symbols", "venue"), check_symbols),
    (("mode", "symbols", "venue", "leverage"), check_leverage),
    (("symbols", "venue", "leverage", "protection", "fees"), check_stop),
    (("symbols", "venue", "protection", "fees"), check_fees),
    (("symbols", "venue", "leverage", "sizing"), check_size),
    (("leverage", "risk", "protection"), check_order),
    (("symbols", "signals"), check_signals),
)
"""Checks, each with the sections it reads: a section with a bad key is not judged as a whole."""


def check_all(case: Case, unsound: set[str]) -> list[str]:
    """Return the problems of every combination that reads none of the `unsound` sections."""
    return [
        problem
        for sections, check in COMBINATIONS
        if unsound.isdisjoint(sections)
        for problem in check(case)
    ]


def cautions(case: Case) -> list[str]:
    """Return warnings: what works, but not as somebody may think."""
    settings = case.settings
    traded_names = {name for listed in settings.symbols for name in (listed, plain_symbol(listed))}
    found = []
    if settings.fees.gate == "report":
        found.append(
            f'{case.at("fees.gate")} = "report": entries that cannot pay their fees are made and '
            f"reported, not refused"
        )
    if settings.leverage.on_failure == "warn":
        found.append(
            f'{case.at("leverage.on_failure")} = "warn": a symbol whose leverage cannot be set is '
            f"traded at the exchange's own"
        )
    found += [
        f"{case.at(f'leverage.overrides.{symbol}')}: {symbol} is not among the symbols traded"
        for symbol in settings.leverage.overrides
        if symbol not in traded_names
    ]
    found += [
        f"{traded.listed} on {traded.instrument.venue}: only part of its risk table is known "
        f"({source}); positions above {traded.instrument.tiers[-1].notional_cap_usdt:,f} USDT are "
        f"refused"
        for traded in case.traded()
        for source in traded.instrument.sources
        if settings.mode in ("paper", "local") and ("tier only" in source or "tiers only" in source)
    ]
    return found + venue_cautions(case)
