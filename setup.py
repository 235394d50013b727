"""Build the Cython kernels of ext/ into hfengine/kernels/.

HFENGINE_DEBUG=1 builds with bounds, wrap-around, initialisation and division checks on, C
assertions on and no optimisation; the default build uses -O3. HFENGINE_KERNELS="book codec"
builds only the named kernels.
"""

import os
import re
import sys
from pathlib import Path

from setuptools import Extension, setup

sys.path.insert(0, str(Path(__file__).parent / "tools"))
from compiler import missing

DEBUG = os.environ.get("HFENGINE_DEBUG", "") not in ("", "0")
JOBS = os.cpu_count() or 1
ONLY = os.environ.get("HFENGINE_KERNELS", "").split()
CHECKS_OFF = re.compile(r"\b(boundscheck|wraparound|initializedcheck|nonecheck)=False")


def debug_source(path: Path) -> Path:
    """Copy a kernel with its checks switched on: a file's own directives beat the build's."""
    header, _, body = path.read_text().partition("\n")
    header = CHECKS_OFF.sub(r"\1=True", header).replace("cdivision=True", "cdivision=False")
    copy = Path("build/debug/ext") / path.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(header + "\n" + body)
    return copy


def extensions() -> list[Extension]:
    """Return one extension per ext/*.pyx, named hfengine.kernels.<stem>."""
    flags = ["-O0", "-g", "-UNDEBUG"] if DEBUG else ["-O3"]
    return [
        Extension(
            f"hfengine.kernels.{path.stem}",
            [str(debug_source(path) if DEBUG else path)],
            include_dirs=["ext"],
            extra_compile_args=[*flags, "-Wno-unused-function"],
        )
        for path in sorted(Path("ext").glob("*.pyx"))
        if not ONLY or path.stem in ONLY
    ]


def native() -> list[Extension]:
    """Translate the kernels to C, or exit with one sentence when they cannot be built."""
    problem = missing()
    if problem:
        sys.exit(f"hfengine: {problem}")
    from Cython.Build import cythonize  # noqa: PLC0415 - only a build needs it

    return cythonize(
        extensions(),
        build_dir="build/debug-c" if DEBUG else "build/c",
        include_path=["."],
        language_level=3,
        quiet=True,
        nthreads=JOBS,
    )


setup(ext_modules=native(), options={"build_ext": {"parallel": JOBS}})
