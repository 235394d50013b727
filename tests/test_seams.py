"""Clock, randomness, threads, sockets and files come in through named seams, nowhere else."""

import ast
from pathlib import Path

import pytest
from msgspec import Struct

ROOT = Path(__file__).resolve().parents[1]


GENERATOR = "random.Random"
"""May be imported as the type of a generator that was handed in, but not called."""


class Seam(Struct, frozen=True):
    """Names that only some files may use: dotted prefixes, method names, and those files."""

    name: str
    dotted: tuple[str, ...]
    allowed: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()


SEAMS = (
    Seam(
        "time",
        (
            "time.time",
            "time.monotonic",
            "time.perf_counter",
            "time.sleep",
            "time.localtime",
            "datetime.datetime.now",
            "datetime.datetime.utcnow",
            "datetime.datetime.today",
            "datetime.date.today",
        ),
        allowed=("clock.py", "runtime/virtual_loop.py"),
    ),
    Seam(
        "randomness",
        ("random", "secrets", "uuid", "os.urandom", "numpy.random"),
        allowed=("seeds.py",),
    ),
    Seam("waiting", ("asyncio.sleep",), allowed=("runtime/virtual_loop.py",)),
    Seam(
        "sockets",
        ("socket", "asyncio.open_connection", "asyncio.start_server"),
        allowed=(
            "runtime/virtual_loop.py",
            "bench/wire/",
            "localvenue/server.py",
            "control/",
            "venues/loopback.py",
        ),
        methods=("create_connection", "create_server"),
    ),
    Seam(
        "threads",
        (
            "threading.Thread",
            "threading.Timer",
            "_thread",
            "multiprocessing",
            "asyncio.to_thread",
            "concurrent.futures",
        ),
        allowed=(
            "runtime/threads.py",
            "runtime/loops.py",
            "journal/writer.py",
            # seeds are shared out over processes
            "cli/sim.py",
            # writes the state and nothing else
            "state/sqlite.py",
        ),
        methods=("run_in_executor",),
    ),
    Seam(
        "files",
        ("open", "os.open", "os.write", "io.open", "gzip.open", "zipfile", "sqlite3", "tempfile"),
        allowed=(
            "journal/",
            "feeds/",
            "config.py",
            "environment.py",
            "instruments.py",
            "drift_model.py",
            # a request to the system, which is made by opening a file
            "runtime/cores.py",
            "cli/",
            "bench/",
            # sessions and bundles that are run again
            "replay/",
            # stores and instance locks
            "state/",
            # what a venue keeps over a restart, in SQLite
            "localvenue/state.py",
            # which directory is for temporary files: where a short socket address can stand
            "control/place.py",
            # how fast and sound the disk is
            "doctor/machine.py",
        ),
        methods=("read_text", "read_bytes", "write_text", "write_bytes"),
    ),
)


def starts(dotted: str, prefix: str) -> bool:
    """Tell whether a dotted name is `prefix`, lies below it, or is its _ns twin."""
    return dotted in (prefix, prefix + "_ns") or dotted.startswith(prefix + ".")


class Finder(ast.NodeVisitor):
    """Resolve every name of a module through its imports; collect (line, dotted name)."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.uses: list[tuple[int, str]] = []
        self.methods: list[tuple[int, str]] = []

    def visit_If(self, node: ast.If) -> None:
        """Skip what only a type checker imports."""
        test = ast.unparse(node.test)
        for part in (
            node.orelse if test.endswith("TYPE_CHECKING") else [node.test, *node.body, *node.orelse]
        ):
            self.visit(part)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.names[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )
            self.uses.append((node.lineno, alias.name))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            dotted = f"{node.module}.{alias.name}"
            self.names[alias.asname or alias.name] = dotted
            if dotted != GENERATOR:
                self.uses.append((node.lineno, dotted))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.methods.append((node.lineno, node.attr))
        parts: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            parts.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in self.names:
            self.uses.append((node.lineno, ".".join([self.names[inner.id], *parts])))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            name = node.func.id
            builtin = "open" if name == "open" else ""
            self.uses.append((node.lineno, self.names.get(name, builtin)))
        self.generic_visit(node)


def violations(source: str, path: str) -> list[str]:
    """Return the seams a file of hfengine/ (its path below that) reaches around."""
    finder = Finder()
    finder.visit(ast.parse(source))
    found = {}
    for seam in SEAMS:
        if any(
            path == place or (place.endswith("/") and path.startswith(place))
            for place in seam.allowed
        ):
            continue
        for line, dotted in finder.uses:
            if any(starts(dotted, prefix) for prefix in seam.dotted):
                found[line, dotted] = f"{path}:{line}: {dotted} belongs to the seam of {seam.name}"
        for line, method in finder.methods:
            if method in seam.methods:
                found[line, method] = f"{path}:{line}: .{method} belongs to the seam of {seam.name}"
    return [text for _, text in sorted(found.items())]


def test_nothing_reaches_around_a_seam():
    paths = sorted(ROOT.glob("hfengine/**/*.py"))
    found = [
        problem
        for path in paths
        for problem in violations(path.read_text(), path.relative_to(ROOT / "hfengine").as_posix())
    ]
    assert len(paths) > 10
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time\nnow = time.time_ns",
        "import time as t\nt.perf_counter_ns()",
        "from time import monotonic as m",
        "import random",
        "from uuid import uuid4",
        "import numpy as np\nnp.random.default_rng()",
        "import asyncio\nasync def f():\n    await asyncio.sleep(1)",
        "from asyncio import sleep",
        "from datetime import datetime, UTC\ndatetime.now(UTC)",
        "import datetime\ndatetime.datetime.utcnow()",
        "import socket",
        "import threading\nthreading.Thread(target=print)",
        "async def f(loop):\n    await loop.run_in_executor(None, print)",
        "from concurrent.futures import ThreadPoolExecutor",
        "open('x')",
        "from pathlib import Path\nPath('x').read_text()",
        "import gzip\ngzip.open('x')",
        "if x:\n    import random",
        "from random import Random\ndef f(r: Random):\n    return Random(1)",
    ],
)
def test_a_planted_use_is_found_once(source):
    lines = {text.split(":")[1] for text in violations(source, "actors/risk.py")}
    assert len(lines) >= 1
    assert str(len(source.splitlines())) in lines


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("import time\ntime.time_ns()", "clock.py"),
        ("import random", "seeds.py"),
        ("import threading\nthreading.Thread(target=print)", "journal/writer.py"),
        ("open('x')", "feeds/replay.py"),
        ("import threading\nthreading.Event()", "actors/risk.py"),
        ("if TYPE_CHECKING:\n    import random", "feeds/synthetic.py"),
        ("from datetime import datetime, UTC\ndatetime.fromtimestamp(1, UTC)", "cli/main.py"),
        ("import asyncio\nasyncio.Future()", "runtime/future.py"),
        ("position.open(1)", "actors/risk.py"),
        ("random = generator.random\nrandom()", "feeds/market.py"),
        ("from random import Random\ndef f(r: Random) -> None: ...", "feeds/market.py"),
    ],
)
def test_what_is_allowed_is_not_reported(source, path):
    assert violations(source, path) == []


def test_a_seam_is_not_opened_by_a_name_that_only_begins_alike():
    assert violations("import random", "seeds.py.py") != []
    assert violations("open('x')", "cli.py") != []
