"""Profiles: found, merged, checked, with the origin of every value.

A profile is a TOML file that may extend another one. Precedence, lowest first: the defaults of
settings.py, the files from the farthest parent down, `.env`, the process environment, the
command line. Every problem is found before anything is refused.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, get_origin

import msgspec
from msgspec import Struct, field

from hfengine import environment as surroundings_of
from hfengine.case import Case
from hfengine.checks import cautions, check_all
from hfengine.environment import Given
from hfengine.errors import ConfigError
from hfengine.ranges import FIELDS, SECTIONS, TABLES, allowed, field_of, in_range, near, type_of
from hfengine.settings import Settings

DIRECTORY: Final = Path("configs")
DEFAULT: Final = "default"
NOT_HASHED: Final = frozenset({"journal.directory", "venue.url"})
"""Settings that say where a run is, not what it does."""

_KEY = re.compile(
    r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_TABLE = re.compile(r"^\s*\[([^\[\]]+)\]")


NAME_MAX: Final = 1024
"""No path of a profile is longer; a longer one would be an error of the system, not a miss."""


class Profile(Struct, frozen=True, kw_only=True):
    """A profile that passed every check: settings, where each is from, what to beware of."""

    name: str
    settings: Settings
    origins: dict[str, str]
    """Dotted key -> "default", "FILE:LINE", "environment NAME", "command line --KEY"."""
    config_hash: str
    """SHA-256 over the settings' canonical JSON, without paths."""
    warnings: list[str]


class Examination(Struct, frozen=True, kw_only=True):
    """A profile under check: without problems it is usable, else `profile` is None."""

    profile: Profile | None
    problems: list[str]
    warnings: list[str]


class _Reading(Struct):
    """Values merged so far, and everything wrong with them."""

    given: dict[str, Given] = field(default_factory=dict)
    readings: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unsound: set[str] = field(default_factory=set)
    """Sections with a key that could not be read."""


def load(
    profile: str,
    *,
    environment: Mapping[str, str],
    dotenv: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Profile:
    """Return a checked profile; raises ConfigError with every problem found.

    `profile` is a name looked up in ./configs, then among the package's own profiles, or a path.
    `overrides` are the command line's: dotted key -> value, None for not given.
    """
    found = examine(profile, environment=environment, dotenv=dotenv, overrides=overrides)
    if found.profile is None:
        raise ConfigError(found.problems)
    return found.profile


def examine(
    profile: str,
    *,
    environment: Mapping[str, str],
    dotenv: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Examination:
    """Return a profile together with everything wrong or doubtful about it; raises nothing."""
    reading = _Reading()
    for layer in _file_layers(profile, reading):
        reading.given |= layer
    around = surroundings_of.read(environment, dotenv)
    reading.problems += around.problems
    reading.warnings += around.warnings
    for layer in around.layers:
        reading.given |= layer
    reading.given |= _command_line(overrides or {}, reading)
    for switch in around.switches:
        chosen = reading.given[switch.key]
        if chosen.raw != switch.mode:
            reading.warnings.append(
                f"{switch.origin} has no effect: {switch.key} is {_quoted(chosen.raw)} "
                f"({chosen.origin})"
            )
    _read_values(reading)
    _lower(reading, around.leverage_ceiling)
    return _judge(Path(profile).stem, reading)


def _judge(name: str, reading: _Reading) -> Examination:
    settings = msgspec.convert(_nested(reading.readings), Settings)
    origins = _origins(reading)
    case = Case.of(settings, origins)
    problems = reading.problems + check_all(case, reading.unsound)
    warnings = reading.warnings + cautions(case)
    if problems:
        return Examination(profile=None, problems=problems, warnings=warnings)
    checked = Profile(
        name=name,
        settings=settings,
        origins=origins,
        config_hash=config_hash(settings),
        warnings=warnings,
    )
    return Examination(profile=checked, problems=[], warnings=warnings)


def config_hash(settings: Settings) -> str:
    """Return the SHA-256 (hex) of the settings as sorted JSON, paths left out."""
    known = {key: entry for key, entry in dotted(settings).items() if key not in NOT_HASHED}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def dotted(settings: Settings) -> dict[str, Any]:
    """Return every setting by its dotted key, in the order of settings.py."""
    found = {}
    for key in FIELDS:
        section, _, name = key.rpartition(".")
        found[key] = getattr(getattr(settings, section) if section else settings, name)
    return found


def profile_names() -> list[str]:
    """Return the names of the profiles in ./configs and in the package."""
    return sorted({path.stem for place in _places() for path in place.glob("*.toml")})


# Files


def _places() -> list[Path]:
    return [DIRECTORY, Path(str(files("hfengine").joinpath("configs")))]


def _shown(path: Path) -> str:
    """Name a file the short way: from the working directory, or from the package."""
    for root in (Path.cwd(), Path(str(files("hfengine"))).parent):
        if path.absolute().is_relative_to(root):
            return str(path.absolute().relative_to(root))
    return str(path)


def _find(name: str, beside: Path | None) -> Path | None:
    if len(name) > NAME_MAX:
        return None
    if name.endswith(".toml") or "/" in name:
        path = (beside or Path()) / name
        return path if path.is_file() else None
    places = ([beside] if beside else []) + _places()
    paths = (place / f"{name}.toml" for place in places)
    return next((path for path in paths if path.is_file()), None)


def _file_layers(profile: str, reading: _Reading) -> list[dict[str, Given]]:
    """Return the layers of a profile's files, the farthest parent first."""
    layers: list[dict[str, Given]] = []
    chain: list[Path] = []
    name, beside, asked = profile, None, "--profile"
    while True:
        path = _find(name, beside)
        if path is None:
            known = ", ".join(profile_names()) or "none"
            reading.problems.append(f'{asked}: there is no profile "{name}"; there are {known}')
            break
        if path.resolve() in chain:
            names = " -> ".join(part.stem for part in [*chain, path])
            reading.problems.append(f"{asked}: profiles extend each other in a circle: {names}")
            break
        chain.append(path.resolve())
        table, lines = _table(path, reading)
        shown = _shown(path)
        parent = table.pop("extends", None)
        layers.insert(0, _entries(table, lines, shown, reading))
        if parent is None:
            break
        asked, beside = f"extends ({shown}:{lines.get('extends', 1)})", path.parent
        if not isinstance(parent, str):
            reading.problems.append(f"{asked} = {_quoted(parent)}: must be the name of a profile")
            break
        name = parent
    return layers


def _table(path: Path, reading: _Reading) -> tuple[dict[str, Any], dict[str, int]]:
    """Return a TOML file as a table and the line of each key; unreadable: a problem, empty."""
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), key_lines(text)
    except OSError as error:
        reading.problems.append(f"{_shown(path)}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        reading.problems.append(f"{_shown(path)}: cannot be read: it is not UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        reading.problems.append(f"{_shown(path)}: not valid TOML: {error}")
    return {}, {}


def key_lines(text: str) -> dict[str, int]:
    """Return the line of every key and table of a TOML text, by dotted key."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.match(line):
            table = _plain(match[1]) + "."
            lines.setdefault(table[:-1], number)
        elif match := _KEY.match(line):
            lines.setdefault(table + _plain(match[1]), number)
    return lines


def _plain(key: str) -> str:
    return re.sub(r"[\s\"']", "", key)


def _entries(
    table: Mapping[str, Any],
    lines: Mapping[str, int],
    shown: str,
    reading: _Reading,
    prefix: str = "",
) -> dict[str, Given]:
    """Return the settings of one file by dotted key; unknown keys are problems."""
    layer: dict[str, Given] = {}
    for name, entry in table.items():
        key = prefix + name
        line = lines.get(key) or lines.get(prefix.rstrip(".")) or 1
        origin = f"{shown}:{line}"
        if key in SECTIONS or key in TABLES:
            if isinstance(entry, dict):
                layer |= _entries(entry, lines, shown, reading, key + ".")
            else:
                reading.problems.append(f"{key} ({origin}) = {_quoted(entry)}: must be a table")
                _distrust(reading, key)
        elif field_of(key) is None:
            reading.problems.append(_unknown(key, origin))
        else:
            layer[key] = Given(entry, origin)
    return layer


def _unknown(key: str, origin: str) -> str:
    meant = near(key)
    hint = f"did you mean {meant}?" if meant else f"there are {', '.join(sorted(SECTIONS))}"
    return f"{key} ({origin}): no such setting; {hint}"


def _command_line(overrides: Mapping[str, object], reading: _Reading) -> dict[str, Given]:
    layer: dict[str, Given] = {}
    for key, raw in overrides.items():
        if raw is None:
            continue
        origin = f"command line --{key}"
        if key in TABLES and isinstance(raw, Mapping):
            layer |= {f"{key}.{name}": Given(entry, origin) for name, entry in raw.items()}
            continue
        if field_of(key) is None:
            reading.problems.append(_unknown(key, origin))
        else:
            layer[key] = Given(raw, origin, textual=isinstance(raw, str))
    return layer


# Values


def _read_values(reading: _Reading) -> None:
    """Read every given value as its key's type and check its range."""
    for key, given in reading.given.items():
        try:
            entry = _typed(key, given)
        except msgspec.ValidationError:
            fits = False
        else:
            fits = in_range(key, entry)
        if fits:
            reading.readings[key] = entry
        else:
            reading.problems.append(
                f"{key} ({given.origin}) = {_quoted(given.written or given.raw)}: must be "
                f"{allowed(key)}"
            )
            _distrust(reading, key)


def _typed(key: str, given: Given) -> object:
    kind: Any = type_of(key)
    raw = given.raw
    if not given.textual or not isinstance(raw, str):
        return msgspec.convert(raw, kind)
    if get_origin(kind) is tuple:
        parts = [part.strip() for part in raw.split(",") if part.strip()]
        return msgspec.convert(parts, kind)
    if kind is bool:
        words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
        return msgspec.convert(words.get(raw.lower(), raw), bool, strict=False)
    return msgspec.convert(raw, kind, strict=False)


def _distrust(reading: _Reading, key: str) -> None:
    reading.unsound.add(key.partition(".")[0])


def _lower(reading: _Reading, ceiling: Given | None) -> None:
    """Apply MAX_LEVERAGE: lower what lies above it, and say so."""
    if ceiling is None:
        return
    try:
        highest = msgspec.convert(ceiling.raw, int, strict=False)
    except msgspec.ValidationError:
        highest = 0
    if not in_range("leverage.wanted", highest):
        reading.problems.append(
            f"{ceiling.origin} = {_quoted(ceiling.raw)}: must be {allowed('leverage.wanted')}"
        )
        return
    reading.readings.setdefault("leverage.wanted", Settings().leverage.wanted)
    for key, wanted in list(reading.readings.items()):
        if field_of(key) in ("leverage.wanted", "leverage.overrides") and wanted > highest:
            origin = reading.given[key].origin if key in reading.given else DEFAULT
            reading.warnings.append(
                f"{ceiling.origin} lowers {key} from {wanted} ({origin}) to {highest}"
            )
            reading.readings[key] = highest
            reading.given[key] = ceiling


def _nested(readings: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, entry in readings.items():
        *path, name = key.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[name] = entry
    return tree


def _origins(reading: _Reading) -> dict[str, str]:
    origins = dict.fromkeys(FIELDS, DEFAULT)
    for key, given in reading.given.items():
        if key in reading.readings:
            origins[key] = given.origin
    return origins


def _quoted(raw: object) -> str:
    """Show a given value as TOML would, at most 60 characters of it."""
    text = {True: "true", False: "false"}.get(raw, "") if isinstance(raw, bool) else ""
    text = text or (f'"{raw}"' if isinstance(raw, str) else str(raw))
    return text if len(text) <= 60 else text[:57] + "..."
