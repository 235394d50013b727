"""Settings from environment variables and from a `.env` file.

Two spellings. `HFENGINE_SECTION__KEY` sets any setting (`HFENGINE_RISK__SPREAD_MAX_BPS=3`,
`HFENGINE_SEED=7`, `HFENGINE_LEVERAGE__OVERRIDES__BTCUSDT=25`). The names of the older systems
(DESIGN 7.8) set what they meant there:

| variable | sets |
|---|---|
| `LEVERAGE` | leverage.wanted |
| `MAX_LEVERAGE` | a ceiling: a higher leverage.wanted or override is lowered, with a warning |
| `AUTO_SET_LEVERAGE` | leverage.auto_set |
| `RISK_PER_TRADE` | sizing.mode = risk_per_trade, sizing.fraction; see `risk_fraction` |
| `MAX_POSITION_SIZE_PERCENT` | sizing.share_of_equity_max; 10 is 10 % |
| `POSITION_SIZE_USD` | sizing.mode = fixed_margin, sizing.fixed_margin_usdt (it was margin) |
| `MAX_POSITIONS` | sizing.positions_max |
| `MAX_EXPOSURE_USD` | sizing.exposure_max_usdt |
| `STOP_LOSS_PERCENT` | protection.distance = percent, protection.stop_percent; 0.4 is 0.4 % |
| `TRAILING_ACTIVATION_PERCENT` | protection.trailing_activation_percent; 0.5 is 0.5 % |
| `TRAILING_CALLBACK_PERCENT` | protection.trailing_callback_percent; 0.2 is 0.2 % |

An empty variable counts as not set. In one place the `HFENGINE_` spelling wins over the older
name; a process variable wins over `.env`. Values of unknown variables are never shown.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from hfengine.ranges import canonical, near

PREFIX: Final = "HFENGINE_"
BUILD_VARIABLES: Final = frozenset({"HFENGINE_DEBUG", "HFENGINE_KERNELS"})
MAX_LEVERAGE: Final = "MAX_LEVERAGE"
CREDENTIAL: Final = re.compile(
    r"[A-Z0-9]+_(?:(?:LOCAL|TESTNET|DEMO)_)?API_(?:KEY|SECRET|PASSPHRASE)"
)
"""Names of credentials.py: not settings, and never looked at here."""
ASSIGNMENT: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


class Given(Struct, frozen=True):
    """One value somebody gave, and where; `textual` values still have to be read as their type."""

    raw: object
    origin: str
    textual: bool = False
    written: str = ""
    """What was written where that is not what `raw` says (5 % became 0.05)."""


class Switch(Struct, frozen=True):
    """An older variable that also chooses a mode: it is dead where something overrules that."""

    variable: str
    key: str
    mode: str
    origin: str


class Surroundings(Struct):
    """What the environment says: layers in rising precedence, and what is wrong with them."""

    layers: list[dict[str, Given]] = field(default_factory=list)
    leverage_ceiling: Given | None = None
    switches: list[Switch] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def risk_fraction(text: str) -> str:
    """Return RISK_PER_TRADE as a fraction: the older systems wrote both 0.02 and 2 for 2 %.

    With a % sign it is per cent; from 1 on it is per cent, up to 0.2 a fraction; what lies
    between could be either, and ValueError asks for the sign.
    """
    number = float(text.rstrip("% "))
    if text.endswith("%") or number >= 1.0:
        return repr(number / 100.0)
    if number <= 0.2:
        return repr(number)
    msg = f"could be {number:g} % or {number:.0%}: write {number:g}% or {number * 100:g}%"
    raise ValueError(msg)


def percent_fraction(text: str) -> str:
    """Return a per cent number, with or without its sign, as a fraction."""
    return repr(float(text.rstrip("% ")) / 100.0)


def percent(text: str) -> str:
    """Return a per cent number without its sign."""
    return repr(float(text.rstrip("% ")))


class Alias(Struct, frozen=True):
    """What an older variable sets: a key, how its text is read, and a mode that goes with it."""

    key: str
    read: Callable[[str], str] = str
    mode_key: str = ""
    mode: str = ""


ALIASES: Final[dict[str, Alias]] = {
    "LEVERAGE": Alias("leverage.wanted"),
    "AUTO_SET_LEVERAGE": Alias("leverage.auto_set"),
    "RISK_PER_TRADE": Alias("sizing.fraction", risk_fraction, "sizing.mode", "risk_per_trade"),
    "MAX_POSITION_SIZE_PERCENT": Alias("sizing.share_of_equity_max", percent_fraction),
    "POSITION_SIZE_USD": Alias("sizing.fixed_margin_usdt", str, "sizing.mode", "fixed_margin"),
    "MAX_POSITIONS": Alias("sizing.positions_max"),
    "MAX_EXPOSURE_USD": Alias("sizing.exposure_max_usdt"),
    "STOP_LOSS_PERCENT": Alias(
        "protection.stop_percent", percent, "protection.distance", "percent"
    ),
    "TRAILING_ACTIVATION_PERCENT": Alias("protection.trailing_activation_percent", percent),
    "TRAILING_CALLBACK_PERCENT": Alias("protection.trailing_callback_percent", percent),
}


def read(environment: Mapping[str, str], dotenv: Path | None) -> Surroundings:
    """Return the settings of `.env` and of the process environment, in that precedence."""
    surroundings = Surroundings()
    variables, problems = read_dotenv(dotenv) if dotenv else ({}, [])
    surroundings.problems += problems
    _take(surroundings, variables, everything=True)
    process = {name: (text, f"environment {name}") for name, text in environment.items()}
    _take(surroundings, process, everything=False)
    return surroundings


def read_dotenv(path: Path) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Return name -> (text, "FILE:LINE") of a `.env` file, and its unreadable lines.

    `NAME=text`, `export NAME=text`, quotes around the text, `#` comments. A missing file is an
    empty one. A bad line is named, never quoted: it may hold a secret.
    """
    variables: dict[str, tuple[str, str]] = {}
    problems: list[str] = []
    if not path.exists():
        return variables, problems
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return variables, [f"{path}: cannot be read: {reason}"]
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        origin = f"{path}:{number}"
        match = ASSIGNMENT.fullmatch(line)
        if match is None:
            problems.append(f"{origin}: not of the form NAME=text")
        else:
            variables[match[1]] = (_unquoted(match[2]), origin)
    return variables, problems


def _unquoted(text: str) -> str:
    for quote in "\"'":
        if text.startswith(quote):
            return text[1:].partition(quote)[0]
    return text.partition(" #")[0].strip()


def _take(
    surroundings: Surroundings, variables: Mapping[str, tuple[str, str]], *, everything: bool
) -> None:
    """Add one layer; with `everything` also unknown names without our prefix are reported."""
    older: dict[str, Given] = {}
    ours: dict[str, Given] = {}
    for name, (untrimmed, origin) in sorted(variables.items()):
        text = untrimmed.strip()
        if not text or name in BUILD_VARIABLES:
            continue
        shown = origin if origin.endswith(f" {name}") else f"{origin} {name}"
        if name in ALIASES:
            _alias(surroundings, older, name, Given(text, shown, textual=True))
        elif name == MAX_LEVERAGE:
            surroundings.leverage_ceiling = Given(text, shown, textual=True)
        elif name.startswith(PREFIX):
            key = canonical(name.removeprefix(PREFIX).split("__"))
            if key is None:
                surroundings.warnings.append(f"{shown} is not used{_meant(name)}")
            else:
                ours[key] = Given(text, shown, textual=True)
        elif everything and not CREDENTIAL.fullmatch(name):
            surroundings.warnings.append(f"{shown} is not used: no setting has that name")
    surroundings.layers.append(older | ours)


def _alias(surroundings: Surroundings, layer: dict[str, Given], name: str, given: Given) -> None:
    alias = ALIASES[name]
    text = str(given.raw)
    try:
        reading = alias.read(text)
    except ValueError as error:
        reason = str(error) if "could be" in str(error) else "must be a number"
        surroundings.problems.append(f'{given.origin} = "{text}": {reason}')
        return
    layer[alias.key] = Given(reading, given.origin, textual=True, written=text)
    if not alias.mode_key:
        return
    rival = layer.get(alias.mode_key)
    if rival is not None:
        surroundings.problems.append(
            f"{given.origin} and {rival.origin} each choose {alias.mode_key}: keep one of them"
        )
        return
    layer[alias.mode_key] = Given(alias.mode, given.origin, textual=True)
    surroundings.switches.append(Switch(name, alias.mode_key, alias.mode, given.origin))


def _meant(name: str) -> str:
    dotted = name.removeprefix(PREFIX).lower().replace("__", ".")
    key = near(dotted)
    if key is None:
        return ": no setting has that name"
    return f"; did you mean {PREFIX}{key.upper().replace('.', '__')}?"
