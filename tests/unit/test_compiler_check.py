"""Without a compiler the build says in one sentence what to install, before anything else."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        env=os.environ | changes,
        cwd=ROOT,
        check=False,
        timeout=60,
    )


def test_no_compiler_is_one_sentence() -> None:
    for command in (["tools/compiler.py"], ["setup.py", "--quiet", "build_ext"]):
        done = run(*command, CC="no-such-compiler")
        assert done.returncode == 1
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith("hfengine: no C compiler found (looked for 'no-such-compiler')")
        assert "apt-get install gcc" in line


def test_with_a_compiler_it_says_nothing() -> None:
    done = run("tools/compiler.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
