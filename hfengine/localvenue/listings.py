"""Which instruments a local venue lists: of the dated catalogue, and invented ones for scale."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from hfengine.errors import ConfigError
from hfengine.instruments import Instrument, RiskTier, VenueName, load_catalogue

INVENTED: Final = "invented by the local venue's --listings; no exchange lists it"
LISTINGS_MAX: Final = 999

_SCALES: Final = (
    ("0.01", "0.001"),
    ("0.001", "0.1"),
    ("0.0001", "1"),
    ("0.00001", "10"),
)
"""Price tick and quantity step: prices of 200, 20, 2 and 0.2 USDT (20,000 ticks)."""

_TOP_LEVERAGES: Final = (100, 50, 75, 25, 50, 20, 100, 12, 75, 50)
"""Most leverage of each invented symbol in turn."""

_FIRST_CAPS_USDT: Final = (50_000, 20_000, 100_000, 5_000, 200_000)


def invented(venue: VenueName, count: int) -> list[Instrument]:
    """Return X001USDT, X002USDT, …: varied grids and risk tiers, the same every time.

    Raises ConfigError unless 0 <= count <= 999.
    """
    if not 0 <= count <= LISTINGS_MAX:
        problem = f"--listings: 0 to {LISTINGS_MAX} can be invented, not {count}"
        raise ConfigError([problem])
    return [_invented(venue, number) for number in range(1, count + 1)]


def _invented(venue: VenueName, number: int) -> Instrument:
    tick, step = _SCALES[number % len(_SCALES)]
    top = _TOP_LEVERAGES[number % len(_TOP_LEVERAGES)]
    quantity_step = Decimal(step)
    return Instrument(
        symbol=f"X{number:03d}USDT",
        venue=venue,
        base=f"X{number:03d}",
        price_tick=Decimal(tick),
        quantity_step=quantity_step,
        quantity_min=quantity_step,
        quantity_max=quantity_step * 1_000_000,
        market_quantity_max=quantity_step * 200_000,
        notional_min_usdt=Decimal(5),
        price_band=Decimal("0.1"),
        maker_fee=Decimal("0.0002"),
        taker_fee=Decimal("0.00055"),
        liquidation_fee=Decimal("0.0125"),
        funding_interval_h=(8, 4, 8, 1)[number % 4],
        tiers=_tiers(Decimal(top), Decimal(_FIRST_CAPS_USDT[number % len(_FIRST_CAPS_USDT)])),
        as_of="invented",
        sources=(INVENTED,),
    )


def _tiers(top: Decimal, cap_usdt: Decimal) -> tuple[RiskTier, ...]:
    """Return five tiers: each halves the leverage and quadruples the cap.

    The maintenance rate is half the initial margin rate; deductions make maintenance continuous.
    """
    tiers: list[RiskTier] = []
    deduction_usdt = Decimal(0)
    for place in range(5):
        leverage = max(Decimal(1), (top / 2**place).quantize(Decimal("0.01")))
        rate = (Decimal("0.5") / leverage).quantize(Decimal("0.0001"))
        if tiers:
            before = tiers[-1]
            deduction_usdt += before.notional_cap_usdt * (rate - before.maintenance_rate)
        tiers.append(
            RiskTier(
                notional_cap_usdt=cap_usdt * 4**place,
                maintenance_rate=rate,
                max_leverage=leverage,
                deduction_usdt=deduction_usdt,
            )
        )
    return tuple(tiers)


def choose_instruments(
    venue: VenueName, symbols: Sequence[str], listings: int, recorded: Sequence[str] | None
) -> dict[str, Instrument]:
    """Return the instruments a venue lists, by symbol.

    `symbols` of the catalogue and the invented ones, all when empty; where the market is a
    recording, only what was recorded. Raises ConfigError for a symbol there is no instrument of.
    """
    catalogue = load_catalogue(venue)
    extra = invented(venue, listings)
    known = {one.symbol: one for one in (*catalogue.instruments, *extra)}
    wanted = list(dict.fromkeys(symbols))
    if recorded is not None:
        wanted = wanted or [symbol for symbol in recorded if symbol in known]
        missing = [symbol for symbol in wanted if symbol not in recorded]
        if missing or not wanted:
            raise ConfigError(
                [
                    f"the recording holds {', '.join(recorded)}: no market for "
                    f"{', '.join(missing) or f'any symbol of the {venue} catalogue'}"
                ]
            )
    unknown = [symbol for symbol in wanted if symbol not in known]
    if unknown:
        raise ConfigError(
            [
                f"--symbols: no {', '.join(unknown)} in the {venue} catalogue of "
                f"{catalogue.as_of}; it has {', '.join(known)}"
            ]
        )
    listed = wanted + [one.symbol for one in extra if one.symbol not in wanted]
    return {symbol: known[symbol] for symbol in (listed if wanted else known)}
