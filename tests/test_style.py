"""The house style a machine can check: sizes, names, one actor a file, no swallowed errors."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE_LINES = 500
FUNCTION_LINES = 70
PLACES = ("ext", "hfengine", "tests", "benchmarks", "tools")

VAGUE = frozenset({"amount", "value", "data", "info", "manager", "utils", "helpers"})
VAGUE_PARTS = frozenset({"amount", "amounts", "manager", "utils", "helpers"})
"""Words that say nothing even inside a longer name; `market_data` is the field's own term."""

INHERITED = frozenset({("hfengine/runtime/future.py", "value")})
"""Names of an interface that is not ours: Pykka's `Future.set(value)`."""

LEFTOVER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
NATIVE_DEF = re.compile(r"^(\s*)(?:def|cdef|cpdef)\b(?!\s+(?:class|enum|extern|struct)\b).*\(")
NATIVE_BARE = re.compile(r"^\s*except\s*:")


def sources(*suffixes: str) -> Iterator[Path]:
    """Yield our source files with one of the suffixes."""
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*")):
            if path.suffix in suffixes and path.is_file() and "__pycache__" not in path.parts:
                yield path


def shown(path: Path) -> str:
    """Name a file from the repository's root."""
    return path.relative_to(ROOT).as_posix()


def too_long(source: str, name: str) -> list[str]:
    """Return the complaint about a file of FILE_LINES lines or more."""
    count = len(source.splitlines())
    return [f"{name}: {count} lines"] if count >= FILE_LINES else []


def long_functions(source: str, name: str) -> list[str]:
    """Return the functions of a Python file with FUNCTION_LINES lines or more."""
    return [
        f"{name}:{node.lineno}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 >= FUNCTION_LINES
    ]


def long_native_functions(source: str, name: str) -> list[str]:
    """Return the same of a Cython file, by indentation."""
    found = []
    lines = source.splitlines()
    for start, line in enumerate(lines):
        match = NATIVE_DEF.match(line)
        if match is None:
            continue
        last = start
        for number in range(start + 1, len(lines)):
            text = lines[number]
            indent = len(text) - len(text.lstrip())
            if text.strip() and indent <= len(match[1]) and not text.lstrip().startswith(")"):
                break
            if text.strip():
                last = number
        if last - start + 1 >= FUNCTION_LINES:
            found.append(f"{name}:{start + 1}: {last - start + 1} lines")
    return found


def bases(source: str) -> dict[str, set[str]]:
    """Return the classes of a Python file with the last names of their bases."""
    return {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
    }


def actors(sources_by_name: dict[str, str]) -> dict[str, list[str]]:
    """Return file -> the actors it defines: what descends from LoopActor, over all files."""
    files = {name: bases(source) for name, source in sources_by_name.items()}
    known = {"LoopActor"}
    while True:
        more = {
            name for classes in files.values() for name, of in classes.items() if of & known
        } | {"LoopActor"}
        if more <= known:
            break
        known |= more
    return {
        name: [part for part, of in classes.items() if of & known]
        for name, classes in files.items()
    }


def is_vague(identifier: str) -> bool:
    """Tell whether a public name is, or is made of, a word that says nothing."""
    if identifier.startswith("_"):
        return False
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", identifier).lower().split("_")
    return identifier.lower() in VAGUE or not VAGUE_PARTS.isdisjoint(words)


def identifiers(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of the public names: classes, functions, parameters, fields, globals."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            if not (node.name == "value" and "property" in decorators):
                yield node.lineno, node.name
            if not node.name.startswith("_") or node.name == "__init__":
                every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                yield from ((arg.lineno, arg.arg) for arg in every)
        elif isinstance(node, ast.ClassDef):
            yield node.lineno, node.name
            yield from fields(node.body)
    yield from fields(tree.body)


def fields(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of the names assigned in a class's or a module's own body."""
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        yield from ((node.lineno, part.id) for part in targets if isinstance(part, ast.Name))


def vague_names(source: str, name: str) -> list[str]:
    """Return the vague public identifiers of a file, its own name included."""
    stem = Path(name).stem
    found = [f"{name}: the file's name is vague"] if is_vague(stem) else []
    found += [
        f"{name}:{line}: {identifier} says nothing"
        for line, identifier in identifiers(ast.parse(source))
        if is_vague(identifier) and (name, identifier) not in INHERITED
    ]
    return found


def swallowed(source: str, name: str) -> list[str]:
    """Return the bare excepts and the handlers of everything that do nothing."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = ast.unparse(node.type) if node.type else ""
        idle = all(isinstance(part, ast.Pass | ast.Continue) for part in node.body)
        if not caught or (caught in ("Exception", "BaseException") and idle):
            found.append(f"{name}:{node.lineno}: catches everything")
    return found


def leftovers(source: str, name: str) -> list[str]:
    """Return the lines that put work off."""
    lines = enumerate(source.splitlines(), start=1)
    return [f"{name}:{number}: {line.strip()}" for number, line in lines if LEFTOVER.search(line)]


PYTHON = (".py", ".pyi")
NATIVE = (".pyx", ".pxd", ".h")


@pytest.mark.parametrize(
    ("check", "suffixes"),
    [
        (too_long, PYTHON + NATIVE),
        (long_functions, PYTHON),
        (long_native_functions, NATIVE),
        (swallowed, PYTHON),
        (leftovers, PYTHON + NATIVE),
    ],
)
def test_every_source_keeps_the_house_style(check, suffixes):
    paths = list(sources(*suffixes))
    assert len(paths) > 3
    assert [problem for path in paths for problem in check(path.read_text(), shown(path))] == []


def test_no_public_name_of_the_package_is_vague():
    paths = [path for path in sources(*PYTHON) if shown(path).startswith("hfengine/")]
    assert [p for path in paths for p in vague_names(path.read_text(), shown(path))] == []


def test_one_actor_a_file():
    package = {
        shown(path): path.read_text()
        for path in sources(".py")
        if shown(path).startswith("hfengine/")
    }
    found = actors(package)
    assert sum(map(len, found.values())) > 1
    assert {name: names for name, names in found.items() if len(names) > 1} == {}


def test_no_cython_source_has_a_bare_except():
    found = [
        f"{shown(path)}: {line}"
        for path in sources(*NATIVE)
        for line in path.read_text().splitlines()
        if NATIVE_BARE.match(line)
    ]
    assert found == []


def test_a_long_file_is_found():
    assert too_long("x\n" * 499, "a.py") == []
    assert too_long("x\n" * 500, "a.py") == ["a.py: 500 lines"]


def test_a_long_function_is_found():
    def function(lines: int) -> str:
        return "class A:\n    async def f(self):\n" + "        x = 1\n" * (lines - 1)

    assert long_functions(function(69), "a.py") == []
    assert long_functions(function(70), "a.py") == ["a.py:2: f has 70 lines"]


def test_a_long_native_function_is_found():
    def function(lines: int) -> str:
        signature = "cdef class A:\n    cpdef int f(\n        int x\n    ) except? -1:\n"
        return (
            signature
            + "        x += 1\n\n" * ((lines - 3) // 2)
            + "        x += 1\n" * ((lines - 3) % 2)
            + "    cdef int g(self):\n        return 1\n"
        )

    assert long_native_functions(function(68), "a.pyx") == []
    assert len(long_native_functions(function(72), "a.pyx")) == 1
    assert long_native_functions("cdef class A:\n" + "    cdef int x\n" * 90, "a.pyx") == []


@pytest.mark.parametrize(
    "source",
    [
        "amount = 1",
        "class OrderManager: ...",
        "def f(value): ...",
        "class A:\n    info: int",
        "def fee_amount(): ...",
        "def data(): ...",
        "class A:\n    def value(self): ...",
        "class A:\n    def __init__(self, *, helpers): ...",
    ],
)
def test_a_vague_name_is_found(source):
    assert len(vague_names(source, "hfengine/a.py")) == 1


def test_a_vague_file_name_is_found():
    assert vague_names("", "hfengine/utils.py") == ["hfengine/utils.py: the file's name is vague"]


@pytest.mark.parametrize(
    "source",
    [
        "market_data = 1",
        "class MarketData: ...",
        "class A:\n    @property\n    def value(self): ...",
        "def _private(value): ...",
        "class A:\n    def __setattr__(self, name, value): ...",
        "def f():\n    value = 1",
        "margin_usdt = 1",
    ],
)
def test_a_telling_name_passes(source):
    assert vague_names(source, "hfengine/market_data.py") == []


@pytest.mark.parametrize("caught", ["", " Exception", " BaseException"])
def test_a_swallowed_error_is_found(caught):
    source = f"try:\n    f()\nexcept{caught}:\n    pass\n"
    assert swallowed(source, "a.py") == ["a.py:3: catches everything"]
    assert swallowed("try:\n    f()\nexcept OSError:\n    pass\n", "a.py") == []
    assert NATIVE_BARE.match("    except:")
    assert not NATIVE_BARE.match("cdef int f() except? -1:")


def test_work_put_off_is_found():
    word = "TO" + "DO"
    assert leftovers(f"x = 1  # {word}: later\n", "a.py") == [f"a.py:1: x = 1  # {word}: later"]
    assert leftovers("x = TODOS\n", "a.py") == []


def test_two_actors_in_a_file_are_found():
    found = actors(
        {
            "a.py": "class Base(runtime.LoopActor): ...\n",
            "b.py": "class A(Base): ...\nclass B(A): ...\nclass Plain(Struct): ...\n",
            "c.py": "class A(Struct): ...\n",
        }
    )
    assert found == {"a.py": ["Base"], "b.py": ["A", "B"], "c.py": []}
