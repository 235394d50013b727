"""Time the hot path of the whole engine: all actors, journal on, as fast as it goes."""

import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from hfengine.config import Profile
from hfengine.engine import Engine
from hfengine.feeds.build import build_feed
from hfengine.surroundings import paper


class Bench(Struct, frozen=True, kw_only=True):
    """One measurement: where, how much, how fast. Quantiles are nanoseconds of real time."""

    machine: str
    cores: int
    python: str
    market: str
    frames: int
    frames_per_s: float
    journal_records: int
    flat: bool
    latency_ns: dict[str, dict[str, int]]


def measure(profile: Profile, recordings: Sequence[Path], duration_s: float | None) -> Bench:
    """Run the engine once at full speed with its journal in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="hfengine-bench-") as folder:
        journal = replace(profile.settings.journal, directory=folder, enabled=True)
        settings = replace(profile.settings, journal=journal)
        feed = build_feed(settings, recordings)
        profile = replace(profile, settings=settings)
        engine = Engine(profile, paper(profile, feed), duration_s=duration_s)
        summary = engine.run()
    names = ", ".join(path.name for path in recordings)
    return Bench(
        machine=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 0,
        python=platform.python_version(),
        market=names or f"synthetic, seed {settings.seed}",
        frames=summary.frames,
        frames_per_s=summary.frames_per_s,
        journal_records=summary.journal.records if summary.journal else 0,
        flat=summary.flat,
        latency_ns=summary.latency_ns,
    )
