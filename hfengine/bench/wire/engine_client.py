"""The engine as a measured client: every actor, journal on, gates on, native sockets."""

import tempfile
from collections.abc import Callable, Mapping
from typing import Final

from hfengine.bench.wire.bench_venue import PATIENCE_S, BenchVenue
from hfengine.bench.wire.kinds import Waiting
from hfengine.clock import WallClock
from hfengine.config import Profile, load
from hfengine.engine import Engine
from hfengine.runtime.cores import AWAKE_US, LEFT_TO_SYSTEM, waiting
from hfengine.runtime.loops import new_live_loop
from hfengine.runtime.stages import Stages
from hfengine.summary import Summary
from hfengine.surroundings import Surroundings, instruments_of
from hfengine.venues.rehearsed import rehearsed_over_loopback

COMMON: Final[Mapping[str, object]] = {
    "venue.catalogue": "bybit",
    "fees.gate": "strict",
    # between its turns it hears nothing, and no breaker shall hold that against the next one
    "risk.mark_age_max_s": PATIENCE_S,
}

EVERY_DELTA: Final[Mapping[str, object]] = {
    "signals.warmup": 20,
    "signals.cooldown_s": 1e-9,
    "signals.confidence_min": 0.0,
    "signals.drift_min": 1e-9,
    "signals.flow_move_bps": 200.0,
}
"""Makes every delta a signal that pays its fees; every gate behind it stands."""


def wire_profile(symbol: str, journals: str, *, trades: bool) -> Profile:
    """Return the paper profile on Bybit's tables; `trades`: an entry for every delta."""
    chosen = {**COMMON, "symbols": [symbol], "journal.directory": journals}
    if trades:
        chosen |= EVERY_DELTA
    return load("paper", environment={}, overrides=chosen)


def run_engine(
    port: int, symbol: str, how: Waiting, *, trades: bool, settle: Callable[[], None]
) -> Summary:
    """Run the engine until the venue closes; its journal goes with the temporary folder.

    `settle` runs on the loop's thread once orders can be sent.
    """
    with tempfile.TemporaryDirectory(prefix="hfengine-wire-") as journals:
        profile = wire_profile(symbol, journals, trades=trades)
        instruments = instruments_of(profile)
        clock = WallClock()
        stages = Stages()
        venue = BenchVenue(port, instruments, clock, settle, stages)
        spins = how == "spin"
        loop = new_live_loop(spin=spins)
        surroundings = Surroundings(
            loop,
            clock,
            venue,
            instruments,
            dialect="bybit",
            rehearse=lambda: rehearsed_over_loopback(instruments, clock, loop),
            cores=waiting(
                spins=spins, latency_max_us=LEFT_TO_SYSTEM if how == "system" else AWAKE_US
            ),
            stages=stages,
        )
        return Engine(profile, surroundings).run()
