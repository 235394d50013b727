"""Who may import whom: a room imports only from lower floors (docs/architecture.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS: tuple[tuple[str, ...], ...] = (
    ("kernels",),
    (
        "messages",
        "oversight",
        "heard",
        "requests",
        "instruments",
        "drift_model",
        "clock",
        "halts",
        "seeds",
        "limits",
        "errors",
        "settings",
        "symbols",
    ),
    ("runtime", "journal"),
    ("exchange", "feeds"),
    ("venues", "state"),
    ("actors", "localvenue"),
    (
        "config",
        "environment",
        "case",
        "checks",
        "venue_checks",
        "confirmation",
        "credentials",
        "leverage_audit",
        "ranges",
        "topology",
        "engine",
        "summary",
        "surroundings",
        "live",
        "paper_live",
        "rehearsal",
        "recovery",
        "closing",
        "session_log",
    ),
    (
        "cli",
        "bench",
        "evaluation",
        "backtest",
        "dashboard",
        "control",
        "doctor",
        "simulation",
        "replay",
    ),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
ONE_ROOM = frozenset({1, 6, 7})
"""Floors whose parts make one room: the vocabulary, the profile and its wiring, the doors."""

NATIVE_IMPORT = re.compile(
    r"^\s*(?:from\s+(hfengine[\w.]*)\s+c?import\b|c?import\s+(hfengine[\w.]*))"
)


def imported(source: str, module: str, *, package: bool) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of every import of hfengine in a module's source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + package]
                base = ".".join([*parts, base] if base else parts)
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and isinstance(node.args and node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def violations(source: str, module: str, *, package: bool = False) -> list[str]:
    """Return what a module imports that its floor forbids."""
    room = module.split(".")[1] if "." in module else ""
    if room not in FLOOR:
        return []
    found = []
    for line, name in imported(source, module, package=package):
        parts = name.split(".")
        if parts[0] != "hfengine" or len(parts) < 2 or parts[1].startswith("__"):
            continue
        other = parts[1]
        if other not in FLOOR:
            found.append(f"{module}:{line}: {other} stands on no floor")
        elif room == other or (FLOOR[room] == FLOOR[other] and FLOOR[room] in ONE_ROOM):
            continue
        elif FLOOR[room] <= FLOOR[other]:
            found.append(
                f"{module}:{line}: {room} (floor {FLOOR[room]}) imports {other} "
                f"(floor {FLOOR[other]})"
            )
    return found


def native_violations(source: str, name: str) -> list[str]:
    """Return the imports of a Cython file that leave hfengine.kernels."""
    found = []
    for number, line in enumerate(source.splitlines(), start=1):
        if match := NATIVE_IMPORT.match(line):
            module = match[1] or match[2]
            if module != "hfengine.kernels" and not module.startswith("hfengine.kernels."):
                found.append(f"{name}:{number}: a kernel imports {module}")
    return found


def modules() -> dict[Path, str]:
    """Return every Python file and stub of the package with its module's name."""
    paths = [*ROOT.glob("hfengine/**/*.py"), *ROOT.glob("hfengine/**/*.pyi")]
    return {
        path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(paths)
    }


def test_every_room_imports_only_from_lower_floors():
    found = [
        problem
        for path, module in modules().items()
        for problem in violations(path.read_text(), module, package=path.stem == "__init__")
    ]
    assert found == []


def test_every_module_stands_on_a_floor():
    rooms = {module.split(".")[1] for module in modules().values() if "." in module}
    assert rooms - set(FLOOR) == set()
    assert len(rooms) > 10


def test_kernels_import_nothing_of_the_package_but_kernels():
    paths = [*ROOT.glob("ext/*.p*"), *ROOT.glob("hfengine/kernels/*.pxd")]
    found = [
        problem for path in paths for problem in native_violations(path.read_text(), path.name)
    ]
    assert paths
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hfengine.messages", "from hfengine.runtime import actor"),
        ("hfengine.exchange.book", "import hfengine.actors.risk"),
        ("hfengine.kernels.book", "from hfengine import errors"),
        ("hfengine.runtime.loop", "from ..journal import writer"),
        ("hfengine.actors.risk", "def f():\n    from hfengine.engine import Engine"),
        ("hfengine.venues.sim", "import importlib\nimportlib.import_module('hfengine.actors')"),
        ("hfengine.actors.risk", "from hfengine.utensils import fork"),
        ("hfengine.feeds.replay", "if TYPE_CHECKING:\n    from hfengine.venues.sim import Sim"),
    ],
)
def test_a_planted_import_from_above_is_found(module, source):
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hfengine.actors.risk", "from hfengine.kernels.sizing import size"),
        ("hfengine.actors.risk", "from .signals import Signals"),
        ("hfengine.engine", "from hfengine.config import load"),
        ("hfengine.cli.main", "from hfengine import __version__"),
        ("hfengine.exchange.core", "import msgspec\nfrom hfengine.messages import Fill"),
    ],
)
def test_what_is_allowed_is_not_reported(module, source):
    assert violations(source, module) == []


def test_a_package_resolves_its_own_relative_imports():
    source = "from ..actors import risk"
    assert len(violations(source, "hfengine.runtime", package=True)) == 1


def test_a_planted_native_import_is_found():
    assert native_violations("from hfengine.messages import Fill\n", "book.pyx") == [
        "book.pyx:1: a kernel imports hfengine.messages"
    ]
    assert len(native_violations("cimport hfengine.runtime.loop\n", "book.pyx")) == 1
    assert native_violations("from hfengine.kernels.book cimport Book\n", "codec.pyx") == []
