"""One measured client in a process of its own: `python -m hfengine.bench.wire.client`."""

import argparse
import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import uvloop

from hfengine.bench.wire.kinds import KINDS, WAITING, Kind, Waiting
from hfengine.runtime.cores import AWAKE_US, LEFT_TO_SYSTEM
from hfengine.runtime.cores import waiting as held_by
from hfengine.runtime.loops import bind_to_core, new_live_loop


def run(kind: Kind, waiting: Waiting, port: int, symbol: str, settle: Callable[[], None]) -> None:
    """Connect, answer the venue's frames, return when the venue closes.

    `settle` gives the calling thread its core and class. It runs once the client is connected:
    threads made before (resolver, journal writer) must not wait behind a loop that never sleeps.
    """
    if kind in ("engine", "engine_watch"):
        from hfengine.bench.wire.engine_client import run_engine  # noqa: PLC0415 - each its own

        summary = run_engine(port, symbol, waiting, trades=kind == "engine", settle=settle)
        sys.stdout.write(msgspec.json.encode(summary).decode())
        return
    spins = waiting == "spin"
    with held_by(spins=spins, latency_max_us=AWAKE_US if waiting == "sleep" else LEFT_TO_SYSTEM):
        _run_other(kind, port, symbol, settle, spins=spins)


def _run_other(
    kind: Kind, port: int, symbol: str, settle: Callable[[], None], *, spins: bool
) -> None:
    """Run a floor or a bot."""
    if kind == "bare":
        from hfengine.bench.wire.floors import run_bare  # noqa: PLC0415

        run_bare(port, symbol, spin=spins, settle=settle)
    elif kind == "picows":
        from hfengine.bench.wire.floors import run_picows  # noqa: PLC0415

        run_picows(port, symbol, new_live_loop(spin=spins), settle)
    else:
        from hfengine.bench.wire.bots import run_bot  # noqa: PLC0415

        gc.collect()
        gc.freeze()
        # a bot that sleeps has the loop its users have
        run_bot(port, new_live_loop(spin=True) if spins else uvloop.new_event_loop(), kind, settle)


def take_place(*, cpu: int, fifo: bool, timer_slack_ns: int) -> None:
    """Set how the system schedules this thread; raises PermissionError without the right to."""
    if cpu >= 0:
        bind_to_core(cpu)
    if fifo:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    if timer_slack_ns:
        Path("/proc/self/timerslack_ns").write_text(str(timer_slack_ns))


def main() -> None:
    """Run one client until the venue closes its connections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--loop", choices=WAITING, default="sleep")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--symbol", default="BTCUSDT")
    parser.add_argument("--cpu", type=int, default=-1, help="core to stay on, -1 for any")
    parser.add_argument("--fifo", action="store_true", help="real-time class, before all others")
    parser.add_argument("--timer-slack-ns", type=int, default=0, help="0 leaves the system's")
    options = parser.parse_args()
    settle = partial(
        take_place, cpu=options.cpu, fifo=options.fifo, timer_slack_ns=options.timer_slack_ns
    )
    run(options.kind, options.loop, options.port, options.symbol, settle)


if __name__ == "__main__":
    main()
