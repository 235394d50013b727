"""Time the hot path of the whole engine: all actors, journal on, as fast as it goes."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from hfengine.bench.allocations import Memory, MemoryUse, memory_use, resident_bytes
from hfengine.clock import mono_ns
from hfengine.config import Profile
from hfengine.engine import Engine
from hfengine.feeds.build import build_feed
from hfengine.kernels.allocation import AllocationCounter
from hfengine.runtime.stages import STAGES
from hfengine.surroundings import paper

LOOK_EVERY_S = 10.0
"""Engine time between two looks at frames, memory and the clock: some ten a second flat out."""

INTERRUPTED: Final = "interrupted"
"""How the engine's reason begins when a signal ended the run."""

Buckets = list[tuple[int, int]]


class Bench(Struct, frozen=True, kw_only=True):
    """One measured run: how much, how fast. Quantiles are nanoseconds of real time."""

    market: str
    frames: int
    wall_s: float
    frames_per_s: float
    journal_records: int
    flat: bool
    latency_ns: dict[str, dict[str, int]]
    buckets: dict[str, Buckets]
    memory: MemoryUse


class Until(Struct, frozen=True):
    """When a measured run ends: the first bound that is reached; None is no bound."""

    engine_s: float | None = None
    wall_s: float | None = None
    frames: int | None = None


class _Watch:
    """Looks at the run now and then, and ends it when its bound is reached."""

    def __init__(self, until: Until, counter: AllocationCounter | None) -> None:
        self.engine: Engine | None = None
        self.looks: list[Memory] = []
        self._until = until
        self._counter = counter
        self._started_ns = mono_ns()

    def __call__(self, seen: Mapping[str, Any]) -> None:
        frames = seen["market_data"]["frames"]
        resident = resident_bytes()
        counter = self._counter
        allocated, freed = (counter.allocated, counter.freed) if counter else (0, 0)
        if resident is not None:
            self.looks.append(Memory(frames, resident, allocated, freed))
        until, engine = self._until, self.engine
        if engine is None:
            return
        if until.frames is not None and frames >= until.frames:
            engine.stop(f"{frames} frames measured")
        elif until.wall_s is not None and mono_ns() - self._started_ns >= until.wall_s * 1e9:
            engine.stop("measured long enough")


def measure(
    profile: Profile, recordings: Sequence[Path], until: Until, *, count_allocations: bool = False
) -> Bench:
    """Run the engine once at full speed with its journal in a temporary folder.

    Counting allocations slows the run by some percent: its times are not the engine's. Raises
    KeyboardInterrupt for a run that a signal ended: its figures would pass for whole ones.
    """
    with tempfile.TemporaryDirectory(prefix="hfengine-bench-") as folder:
        journal = replace(profile.settings.journal, directory=folder, enabled=True)
        settings = replace(profile.settings, journal=journal)
        feed = build_feed(settings, recordings)
        profile = replace(profile, settings=settings)
        counter = AllocationCounter() if count_allocations else None
        watch = _Watch(until, counter)
        engine = Engine(
            profile,
            paper(profile, feed),
            duration_s=until.engine_s,
            observer=watch,
            observe_every_s=LOOK_EVERY_S,
        )
        watch.engine = engine
        if counter is None:
            summary = engine.run()
        else:
            with counter:
                summary = engine.run()
    if summary.reason.startswith(INTERRUPTED):
        raise KeyboardInterrupt
    names = ", ".join(os.fsencode(path.name).decode(errors="replace") for path in recordings)
    stages = engine.stages
    return Bench(
        market=names or f"synthetic, seed {settings.seed}",
        frames=summary.frames,
        wall_s=summary.wall_s,
        frames_per_s=summary.frames_per_s,
        journal_records=summary.journal.records if summary.journal else 0,
        flat=summary.flat,
        latency_ns=summary.latency_ns,
        buckets={stage: getattr(stages, stage).buckets() for stage in STAGES},
        memory=memory_use(watch.looks),
    )
