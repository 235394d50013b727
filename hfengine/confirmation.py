"""Leverage above 5x with real money needs a sentence that says what is at stake (DESIGN 7.9)."""

from collections.abc import Mapping
from math import isinf
from typing import Final

from hfengine.errors import ConfigError
from hfengine.settings import Settings
from hfengine.venues.keys import ApiKeys

FREE_LEVERAGE: Final = 5
SHOWN: Final = 4
"""Last characters of an API key, by which its owner knows the account."""


def confirmation(settings: Settings, keys: Mapping[str, ApiKeys]) -> str:
    """Return the text a live run must be given, "" where none is needed.

    It reads ACCOUNT LEVERAGE LOSS: the venues with the ends of their API keys, the highest
    leverage wanted, and the loss in USDT at which a day ends, ALL without such a limit. With
    leverage.on_failure "warn" whatever the exchange has set is traded: ANY leverage.
    """
    highest = max(settings.leverage.of(listed) for listed in settings.symbols)
    takes_any = settings.leverage.on_failure == "warn"
    if settings.mode != "live" or (highest <= FREE_LEVERAGE and not takes_any):
        return ""
    accounts = "+".join(f"{venue}:{keys[venue].key[-SHOWN:]}" for venue in settings.venue.names)
    loss_usdt = settings.risk.daily_loss_max_usdt
    loss = "ALL" if isinf(loss_usdt) else f"{loss_usdt:.12g}USDT"
    return f"{accounts} {'ANY' if takes_any else f'{highest}x'} {loss}"


def check_confirmation(settings: Settings, keys: Mapping[str, ApiKeys], given: str) -> None:
    """Raise ConfigError, with the text to give, unless `given` is what a live run needs."""
    needed = confirmation(settings, keys)
    if not needed or given.split() == needed.split():
        return
    said = f"--confirm says {given!r}" if given.strip() else "--confirm is missing"
    problem = (
        f"leverage above {FREE_LEVERAGE}x with real money must be confirmed by account, leverage "
        f'and largest daily loss, but {said}: if they are right, add --confirm "{needed}"'
    )
    raise ConfigError([problem])
