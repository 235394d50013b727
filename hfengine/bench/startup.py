"""How soon a profile trades, and what its process holds then: `python -m hfengine.bench.startup`.

The child imports the command line as a user's does, runs the profile at the pace of real time and
says one line of JSON when the engine trades; the parent's clock runs from before the child exists.
"""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hfengine.bench.allocations import peak_resident_bytes
from hfengine.bench.rounds import Spread, spread_of
from hfengine.clock import mono_ns
from hfengine.runtime.threads import unexpected_threads

HEAVY = ("ccxt", "numpy", "aiohttp", "matplotlib", "pandas")
LOOK_EVERY_S = 0.002
SETTLE_S = 0.5
GIVE_UP_S = 10.0
WAIT_S = 60.0


class Trading(Struct, frozen=True):
    """What the child says when it trades."""

    heavy_modules: list[str]
    threads: list[str]
    unexpected_threads: list[str]
    peak_resident_bytes: int | None


class Startup(Struct, frozen=True):
    """From the start of the process until the engine trades, and its memory half a second on."""

    trading_after_s: Spread
    peak_resident_mib: float
    heavy_modules: list[str]
    unexpected_threads: list[str]


class StartupFailed(RuntimeError):
    """The engine ended without ever trading."""


def measure_startup(profile: str, rounds: int) -> Startup:
    """Start the profile in a process of its own `rounds` times; raises StartupFailed."""
    took_s, seen = [], []
    for _ in range(rounds):
        started_ns = mono_ns()
        with subprocess.Popen(  # noqa: S603 - this interpreter, this module
            [sys.executable, "-m", "hfengine.bench.startup", profile],
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            line = child.stdout.readline()
            took_s.append((mono_ns() - started_ns) / 1e9)
            rest, _ = child.communicate(timeout=WAIT_S)
        if not line.strip() or not rest.strip():
            raise StartupFailed(f"{profile} ended with {child.returncode} before it traded")
        seen.append(msgspec.json.decode(rest, type=Trading))
    peaks = [one.peak_resident_bytes or 0 for one in seen]
    return Startup(
        trading_after_s=spread_of(took_s),
        peak_resident_mib=max(peaks) / 2**20,
        heavy_modules=sorted({name for one in seen for name in one.heavy_modules}),
        unexpected_threads=sorted({name for one in seen for name in one.unexpected_threads}),
    )


def trade_briefly(profile: str, settle_s: float = SETTLE_S) -> Trading:
    """Run a profile until it has traded for `settle_s`; print a line at once, describe it then.

    Raises StartupFailed when it ends without trading.
    """
    # what a user's `hfengine run` imports, as late as there
    import hfengine.cli.main  # noqa: F401, PLC0415
    from hfengine.config import load  # noqa: PLC0415
    from hfengine.engine import Engine  # noqa: PLC0415
    from hfengine.feeds.build import build_feed  # noqa: PLC0415
    from hfengine.surroundings import paper  # noqa: PLC0415

    loaded = load(profile, environment=os.environ, dotenv=None, overrides={})
    described: list[Trading] = []
    traded_at_ns: list[int] = []

    def observe(seen: Mapping[str, Any]) -> None:
        state = seen["telemetry"]["state"]
        if state is None or state.state != "trading":
            return
        if not traded_at_ns:
            traded_at_ns.append(mono_ns())
            sys.stdout.write("trading\n")
            sys.stdout.flush()
        elif not described and mono_ns() - traded_at_ns[0] >= settle_s * 1e9:
            described.append(describe())
            engine.stop("seen trading")

    with tempfile.TemporaryDirectory(prefix="hfengine-startup-") as folder:
        journal = replace(loaded.settings.journal, directory=folder)
        loaded = replace(loaded, settings=replace(loaded.settings, journal=journal))
        engine = Engine(
            loaded,
            paper(loaded, build_feed(loaded.settings, []), speed=1.0),
            duration_s=GIVE_UP_S,
            observer=observe,
            observe_every_s=LOOK_EVERY_S,
        )
        engine.run()
    if not described:
        raise StartupFailed(f"{profile} did not trade within {GIVE_UP_S} s")
    return described[0]


def describe() -> Trading:
    """Return what this process holds now."""
    return Trading(
        heavy_modules=[name for name in HEAVY if name in sys.modules],
        threads=sorted(thread.name for thread in threading.enumerate()),
        unexpected_threads=unexpected_threads(),
        peak_resident_bytes=peak_resident_bytes(),
    )


if __name__ == "__main__":
    told = trade_briefly(sys.argv[1] if len(sys.argv) > 1 else "paper")
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
