"""What a profile's venue, mode and symbols must agree on, and which settings do nothing there."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hfengine.case import Case
from hfengine.confirmation import FREE_LEVERAGE
from hfengine.settings import CATALOGUES, Mode
from hfengine.symbols import at_venue, plain_symbol, venue_of

PRACTICE: Final[dict[str, tuple[Mode, ...]]] = {
    "bybit": ("testnet", "demo"),
    "binance": ("demo",),
    "bitget": ("demo",),
}
"""The practice grounds of each exchange; Binance's futures testnet became its demo (VENUES 6)."""
TRADING_SOCKETS: Final[dict[str, tuple[Mode, ...]]] = {
    "bybit": ("local", "testnet", "live"),
    "binance": ("local", "demo", "live"),
}
"""Where orders can go over a websocket; Bybit's demo has none (VENUES 1.3, 6)."""
HEDGE_VENUES: Final = frozenset({"binance", "bybit", "bitget"})
RESTING: Final = ("gtc", "post_only")
ATTACHING: Final = frozenset({"sim", "bybit"})
"""Where stop and target come with the entry order and begin with its fills."""
URL: Final = re.compile(r"https?://[^\s/:@]+(:\d+)?/?")
CREDENTIALS: Final = re.compile(r"//[^/]*@")
SIMULATED_ONLY: Final = (
    "venue.feed_latency_us",
    "venue.feed_jitter_us",
    "venue.order_latency_us",
    "venue.order_jitter_us",
)
REHEARSED_ONLY: Final = ("venue.wallet_usdt", "venue.feed")
OVER_SOCKETS_ONLY: Final = (
    "venue.order_entry",
    "venue.set_modes",
    "venue.recv_window_ms",
    "venue.answer_max_s",
    "venue.clock_offset_max_ms",
    "venue.rate_reserve",
)


def check_mode(case: Case) -> list[str]:
    """Refuse a mode its venues do not have: paper is `sim`, and `sim` is paper."""
    mode, venue = case.settings.mode, case.settings.venue
    if mode == "paper" and venue.names != ("sim",):
        key = "venue.name" if venue.name != "sim" else "venue.also"
        others = ", ".join(name for name in venue.names if name != "sim") or "sim twice"
        return [
            f'{case.at("mode")} = "paper": trades in this process, but {case.at(key)} names '
            f'{others}: set venue.name = "sim" alone, or mode = "local", "testnet", "demo" or '
            f'"live"'
        ]
    if mode != "paper" and "sim" in venue.names:
        return [
            f'{case.at("venue.name")} = "sim": is the exchange in this process, but '
            f'{case.at("mode")} = "{mode}": set mode = "paper", or name an exchange'
        ]
    problems = [
        f"{case.at('venue.also')}: {name} is named {venue.names.count(name)} times"
        for name in dict.fromkeys(venue.names)
        if venue.names.count(name) > 1
    ]
    return problems + [
        problem for name in dict.fromkeys(venue.names) if (problem := _mode_problem(case, name))
    ]


def _mode_problem(case: Case, name: str) -> str:
    """Say what is wrong with one venue in the profile's mode, "" for nothing."""
    mode = case.settings.mode
    key = case.at("venue.name" if name == case.settings.venue.name else "venue.also")
    if name != "sim" and name not in CATALOGUES and not known_to_ccxt(name):
        return f'{key} = "{name}": neither {", ".join(CATALOGUES)} nor an exchange ccxt knows'
    if mode == "local" and name not in CATALOGUES:
        return (
            f'{case.at("mode")} = "local": the local venue speaks {", ".join(CATALOGUES)}, '
            f'not "{name}"'
        )
    grounds = PRACTICE.get(name, ("testnet",))
    if mode in ("testnet", "demo") and mode not in grounds:
        there = " and ".join(f'mode = "{ground}"' for ground in grounds)
        return f'{case.at("mode")} = "{mode}": {name} has none; it has {there}'
    return ""


def known_to_ccxt(name: str) -> bool:
    """Tell whether ccxt has an exchange of that name, without importing ccxt."""
    spec = find_spec("ccxt")
    places = (spec.submodule_search_locations or []) if spec else []
    return name.isidentifier() and any((Path(place) / f"{name}.py").is_file() for place in places)


def check_venue_settings(case: Case) -> list[str]:
    """Refuse settings of the venue that it or its mode does not have."""
    settings, venue = case.settings, case.settings.venue
    problems = []
    catalogue = venue.catalogue_of(venue.name)
    if catalogue and catalogue != venue.catalogue:
        problems.append(
            f'{case.at("venue.catalogue")} = "{venue.catalogue}": {case.at("venue.name")} is '
            f'"{venue.name}": set venue.catalogue = "{catalogue}"'
        )
    for name in venue.names:
        if venue.position_mode == "hedge" and name not in HEDGE_VENUES:
            problems.append(
                f'{case.at("venue.position_mode")} = "hedge": {name} has no hedge mode here; '
                f"{', '.join(sorted(HEDGE_VENUES))} have"
            )
        reachable = settings.mode == "paper" or settings.mode in TRADING_SOCKETS.get(name, ())
        if venue.order_entry == "websocket" and not reachable:
            problems.append(
                f'{case.at("venue.order_entry")} = "websocket": {name} takes no orders over a '
                f'websocket in {case.at("mode")} = "{settings.mode}": set it to "rest"'
            )
    return problems + _url_problems(case)


def check_entries(case: Case) -> list[str]:
    """Refuse entries that rest in the book where their stop could not wait for them.

    Only where stop and target are part of the order itself does protection begin with the fill: on
    the other exchanges a stop stands on its own before there is a position.
    """
    kind, venue = case.settings.entries.kind, case.settings.venue
    if kind not in RESTING:
        return []
    return [
        f'{case.at("entries.kind")} = "{kind}": on {name} the stop of a resting entry could fire '
        f'or be swept before the entry fills: set it to "ioc" or "fok"'
        for name in venue.names
        if name not in ATTACHING
    ]


def _url_problems(case: Case) -> list[str]:
    venue, mode = case.settings.venue, case.settings.mode
    where = f'{case.at("venue.url")} = "{CREDENTIALS.sub("//***@", venue.url)}"'
    if not venue.url:
        return []
    if mode != "local":
        return [
            f'{where}: only a local venue has an address, but {case.at("mode")} = "{mode}": '
            f'leave it out, or set mode = "local"'
        ]
    problems = []
    for part in map(str.strip, venue.url.split(",")):
        name, equals, url = (text.strip() for text in part.partition("="))
        if not equals:
            name, url = ("" if venue.also else venue.name), part
        if name not in venue.names:
            problems.append(f"{where}: with {' and '.join(venue.names)} write NAME=URL for each")
        elif not URL.fullmatch(url):
            problems.append(f"{where}: an address is written like http://127.0.0.1:8601")
    return problems


def check_placing(case: Case) -> list[str]:
    """Refuse symbols placed at a venue that is not there, or at none of several venues."""
    venue, where = case.settings.venue, case.at("symbols")
    problems = []
    for listed in dict.fromkeys(case.settings.symbols):
        symbol, name = plain_symbol(listed), venue_of(listed)
        if not venue.also and listed != symbol:
            problems.append(f"{where}: {listed} of the only venue is written {symbol or 'SYMBOL'}")
        elif venue.also and (not symbol or name not in venue.names):
            ways = " or ".join(at_venue(symbol or "SYMBOL", other) for other in venue.names)
            problems.append(f"{where}: {listed} names no venue of this profile: write {ways}")
    return problems


def venue_cautions(case: Case) -> list[str]:
    """Return warnings about symbols only the venue knows, and about settings without effect."""
    mode = case.settings.mode
    if mode == "paper":
        idle: tuple[str, ...] = OVER_SOCKETS_ONLY
    elif mode == "local":
        idle = SIMULATED_ONLY
    else:
        idle = SIMULATED_ONLY + REHEARSED_ONLY
    found = [
        f'{case.at(key)} has no effect in {case.at("mode")} = "{mode}"'
        for key in idle
        if case.given(key)
    ]
    if mode == "paper":
        return found
    highest = max(map(case.settings.leverage.of, case.settings.symbols), default=0)
    if mode == "live" and highest > FREE_LEVERAGE:
        found.append(
            f"{case.at('leverage.wanted')}: up to {highest}x with real money; a run asks for "
            f'--confirm "ACCOUNT LEVERAGE LOSS" and says what to write'
        )
    for listed in dict.fromkeys(case.settings.symbols):
        catalogue = case.catalogues.get(case.settings.venue_of(listed))
        if case.instrument(listed) is None:
            of = f"the {catalogue.venue} catalogue of {catalogue.as_of}" if catalogue else "any"
            missing = f"in {of}" if catalogue else "in a catalogue"
            found.append(
                f"{case.at('symbols')}: {listed} is not {missing}; its limits, fees and tiers are "
                f"read from the venue at start, and not checked before"
            )
    return found + [
        f"{case.at(case.leverage_key(one.listed))} = {case.settings.leverage.of(one.listed)}: by "
        f"the catalogue of {one.instrument.as_of} {one.listed} offers at most "
        f"{one.instrument.max_leverage}x; unless the venue offers more it is not traded"
        for one in case.traded()
        if not case.leverage_fits(one)
    ]
