"""Say in one sentence what to install when the kernels cannot be built here.

Standard library only: it runs before anything is installed, and from setup.py.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path


def missing() -> str | None:
    """Return what the build lacks and how to get it, or None when it lacks nothing."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return (
            f"no C compiler found (looked for '{compiler}'): install one, for example with "
            "'apt-get install gcc python3-dev' on Debian or 'xcode-select --install' on macOS, "
            "then run the same command again."
        )
    include = Path(sysconfig.get_paths()["include"])
    if not (include / "Python.h").exists():
        return (
            f"Python's C headers are missing (no Python.h in {include}): install them, for "
            "example with 'apt-get install python3-dev' on Debian, then run the same command "
            "again."
        )
    return None


if __name__ == "__main__":
    problem = missing()
    if problem:
        sys.exit(f"hfengine: {problem}")
