"""API keys from environment variables and `.env`, never from a profile and never printed.

| mode | variables of bybit |
|---|---|
| live | `BYBIT_API_KEY`, `BYBIT_API_SECRET` |
| testnet | `BYBIT_TESTNET_API_KEY`, `BYBIT_TESTNET_API_SECRET` |
| demo | `BYBIT_DEMO_API_KEY`, `BYBIT_DEMO_API_SECRET` |

Other exchanges alike; Bitget, OKX and KuCoin keys have an `…_API_PASSPHRASE` too. So practice keys
never reach a live account, nor live keys a practice one. A process variable wins over `.env`. A
local venue takes its own test key, or another account's from `BYBIT_LOCAL_API_KEY` and so on.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hfengine.environment import read_dotenv
from hfengine.errors import ConfigError
from hfengine.settings import Mode, Settings
from hfengine.venues.keys import ApiKeys

LOCAL_KEYS: Final = ApiKeys(key="k-test", secret="s-test", passphrase="p-test")  # noqa: S106
"""What every local venue lets in unless it is told other keys."""
WITH_PASSPHRASE: Final = frozenset({"bitget", "okx", "kucoin", "kucoinfutures"})
ISSUERS: Final[dict[tuple[str, Mode], str]] = {
    ("bybit", "testnet"): "testnet.bybit.com, Account, API",
    ("bybit", "demo"): "bybit.com after switching to Demo Trading, Account, API",
    ("bybit", "live"): "bybit.com, Account, API",
    ("binance", "demo"): "demo.binance.com, API Management",
    ("binance", "live"): "binance.com, Account, API Management",
    ("bitget", "demo"): "bitget.com after switching to Demo, API Keys",
    ("bitget", "live"): "bitget.com, API Keys",
    ("bybit", "local"): "the local venue: hfengine venue --account",
    ("binance", "local"): "the local venue: hfengine venue --account",
    ("bitget", "local"): "the local venue: hfengine venue --account",
}
"""Where each kind of key is made."""


def variable(venue: str, mode: Mode, part: str) -> str:
    """Return the name of the variable that holds one part of a venue's key.

    `part` is KEY, SECRET or PASSPHRASE.
    """
    words = [venue.upper()] + ([] if mode == "live" else [mode.upper()]) + ["API", part]
    return "_".join(words)


def read_keys(
    settings: Settings, environment: Mapping[str, str], dotenv: Path | None = None
) -> dict[str, ApiKeys]:
    """Return the API keys of a profile's venues by venue; none on paper.

    Raises ConfigError naming every variable that is missing or cannot be a key, and where to get
    one; no message holds a key.
    """
    if settings.mode == "paper":
        return {}
    held, problems = read_dotenv(dotenv) if dotenv else ({}, [])
    given = {name: text for name, (text, _) in held.items()}
    given |= {name: text for name, text in environment.items() if text.strip()}
    keys = {}
    for venue in settings.venue.names:
        parts = ["KEY", "SECRET"] + (["PASSPHRASE"] if venue in WITH_PASSPHRASE else [])
        names = {part: variable(venue, settings.mode, part) for part in parts}
        texts = {part: given.get(name, "").strip() for part, name in names.items()}
        if settings.mode == "local" and not any(texts.values()):
            keys[venue] = LOCAL_KEYS
            continue
        missing = [names[part] for part, text in texts.items() if not text]
        if missing:
            problems.append(_missing(venue, settings.mode, missing))
        problems += [
            f"{names[part]}: holds a blank or a character no key has: copy it anew"
            for part, text in texts.items()
            if not all("!" <= letter <= "~" for letter in text)
        ]
        keys[venue] = ApiKeys(
            key=texts["KEY"], secret=texts["SECRET"], passphrase=texts.get("PASSPHRASE", "")
        )
    if problems:
        raise ConfigError(problems)
    return keys


def _missing(venue: str, mode: Mode, names: list[str]) -> str:
    issuer = ISSUERS.get((venue, mode), f"the site of {venue}")
    rights = "contract orders and positions, no withdrawal"
    return (
        f"{' and '.join(names)} not set: mode {mode} of {venue} needs an API key of its own. Make "
        f"one at {issuer} (rights: {rights}), then set the variable in the environment or in .env"
    )
