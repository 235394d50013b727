"""`hfengine bench` and `version`, and what a trading process may hold: no ccxt, no busy thread."""

import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from hfengine import __version__
from hfengine.bench.hot_path import Until, _Watch, measure
from hfengine.cli.bench import _progress
from hfengine.cli.main import app
from hfengine.config import load
from hfengine.errors import ConfigError
from hfengine.runtime.loops import new_live_loop
from hfengine.runtime.stages import STAGES
from hfengine.runtime.threads import WRITER_THREAD

RESIDENT_MAX_MIB = 80
BENCH = [sys.executable, "-m", "hfengine.cli.entry", "bench"]


def test_bench_prints_and_saves(tmp_path) -> None:
    done = CliRunner().invoke(
        app, ["bench", "--quick", "--duration", "20s", "--save", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert "frames/s" in done.stdout
    for stage in ("decode", "signals", "frame"):
        assert stage in done.stdout
    saved = json.loads((tmp_path / "bench.json").read_text())
    assert saved["frames"] > 5000
    assert (tmp_path / "bench.md").read_text().startswith("- 20")
    assert (tmp_path / "bench.png").read_bytes()[1:4] == b"PNG"


def test_bench_as_json_is_one_object_with_machine_and_quantiles() -> None:
    done = CliRunner().invoke(app, ["bench", "--quick", "--duration", "20s", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["flat"] is True
    assert found["market"] == "synthetic, seed 1"
    assert found["frames"] > 5000
    assert set(found["stages_ns"]) <= set(STAGES)
    assert found["stages_ns"]["decode"]["count"] >= found["frames"]
    assert set(found["tick_to_order_ns"]) == {"p50", "p99", "p999"}
    assert found["machine"]["cores"] >= 1
    assert "ratios" not in found


def test_two_ends_of_one_run_are_refused() -> None:
    done = CliRunner().invoke(app, ["bench", "--seconds", "1s", "--frames", "5"])
    assert done.exit_code != 0
    assert "give one of them" in str(done.exception)


@pytest.mark.parametrize(
    "phase", ["warming up ...", "measuring the market ...", "measuring frame to order ..."]
)
def test_an_interrupt_ends_all_of_it_and_shows_no_figures(tmp_path, phase) -> None:
    seconds = "300ms" if "frame to order" in phase else "1h"
    process = subprocess.Popen(
        [*BENCH, "--save", "saved", "--seconds", seconds],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip() == phase:
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    # a loop that is being made when the interrupt comes may complain after this line
    assert "hfengine: interrupted: what was measured so far is not shown" in errors.splitlines()
    assert list((tmp_path / "saved").iterdir()) == []


def test_an_interrupt_in_the_middle_of_a_run_is_one_too(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    watched: list[object] = []

    def interrupt_once(_watch: object, seen: object) -> None:
        if not watched:
            os.kill(os.getpid(), signal.SIGINT)
        watched.append(seen)

    monkeypatch.setattr(_Watch, "__call__", interrupt_once)
    loaded = load("paper", environment={}, overrides={})
    with pytest.raises(KeyboardInterrupt):
        measure(loaded, [], Until(engine_s=60.0))


def test_an_engine_that_ran_before_does_not_swallow_the_interrupt(capsys) -> None:
    before = signal.getsignal(signal.SIGINT)
    loop = new_live_loop()
    loop.add_signal_handler(signal.SIGINT, loop.stop)
    loop.close()
    try:
        _progress("next")
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "next ...\n"


def test_an_interrupted_engine_of_a_measurement_is_an_interrupt(monkeypatch) -> None:
    def interrupted(*_asked: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hfengine.cli.bench._measure", interrupted)
    done = CliRunner().invoke(app, ["bench"])
    assert (done.exit_code, done.stdout) == (130, "")

    def broken(*_asked: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("hfengine.cli.bench._measure", broken)
    assert str(CliRunner().invoke(app, ["bench"]).exception) == "on purpose"


@pytest.mark.parametrize("place", ["file", "file/folder"])
def test_a_place_that_cannot_be_a_folder_is_refused_before_the_work(
    tmp_path, monkeypatch, place
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("hfengine.cli.bench._measure", None)
    done = CliRunner().invoke(app, ["bench", "--save", str(tmp_path / place)])
    assert isinstance(done.exception, ConfigError)
    assert f"--save {tmp_path / place}: cannot be made a folder" in str(done.exception)


def test_version() -> None:
    done = CliRunner().invoke(app, ["version"])
    assert done.stdout.strip() == f"hfengine {__version__}"


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_engine_starts_without_ccxt_and_without_compute_threads() -> None:
    program = (
        "import sys, threading, hfengine.engine, hfengine.cli.main\n"
        "assert not {'ccxt', 'numpy', 'aiohttp'} & set(sys.modules), 'loaded needlessly'\n"
        "assert threading.active_count() == 1\n"
    )
    done = run_python(program)
    assert done.returncode == 0, done.stderr


def trading() -> dict[str, object]:
    """Let the paper profile trade in a process of its own; return what that process held."""
    program = (
        "import msgspec, sys\n"
        "from hfengine.bench.startup import trade_briefly\n"
        "told = trade_briefly('paper', settle_s=0.2)\n"
        "sys.stdout.write(msgspec.json.encode(told).decode())\n"
    )
    done = run_python(program)
    assert done.returncode == 0, done.stderr
    first, _, told = done.stdout.partition("\n")
    assert first == "trading"
    return json.loads(told)


def test_a_trading_process_has_no_compute_thread_no_ccxt_and_stays_small() -> None:
    found = trading()
    assert found["unexpected_threads"] == []
    assert set(found["threads"]) == {"MainThread", WRITER_THREAD}
    assert found["heavy_modules"] == []
    assert found["peak_resident_bytes"] < RESIDENT_MAX_MIB * 2**20


def test_a_compute_thread_beside_the_trading_loop_ends_the_start() -> None:
    program = (
        "import threading, time\n"
        "from hfengine.bench.startup import trade_briefly\n"
        "def compute():\n"
        "    while True: time.sleep(0.001)\n"
        "threading.Thread(target=compute, name='indicators', daemon=True).start()\n"
        "trade_briefly('paper', settle_s=0.2)\n"
    )
    done = run_python(program)
    assert done.returncode != 0
    assert "ComputeThreadError: threads that may compute in this process: indicators" in done.stderr
