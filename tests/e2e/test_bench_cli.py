"""`hfengine bench` and `version`, and that ccxt stays unloaded where it is not needed."""

import json
import subprocess
import sys

from typer.testing import CliRunner

from hfengine import __version__
from hfengine.cli.main import app
from hfengine.runtime.stages import STAGES


def test_bench_prints_the_stage_table() -> None:
    done = CliRunner().invoke(app, ["bench", "--duration", "20s"])
    assert done.exit_code == 0, done.output
    assert "frames/s" in done.stdout
    for stage in ("decode", "signals", "frame"):
        assert stage in done.stdout


def test_bench_as_json_names_machine_market_and_quantiles() -> None:
    done = CliRunner().invoke(app, ["bench", "--duration", "20s", "--json"])
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["flat"] is True
    assert found["market"] == "synthetic, seed 1"
    assert found["frames"] > 5000
    assert set(found["latency_ns"]) <= set(STAGES)
    assert found["latency_ns"]["decode"]["count"] >= found["frames"]


def test_version() -> None:
    done = CliRunner().invoke(app, ["version"])
    assert done.stdout.strip() == f"hfengine {__version__}"


def test_the_engine_starts_without_ccxt_and_without_compute_threads() -> None:
    program = (
        "import sys, threading, hfengine.engine, hfengine.cli.main\n"
        "assert not {'ccxt', 'numpy', 'aiohttp'} & set(sys.modules), 'loaded needlessly'\n"
        "assert threading.active_count() == 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
