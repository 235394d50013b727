"""Recorded sessions for the tests of replay, why and incident."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hfengine import __version__
from hfengine.clock import Clock
from hfengine.config import load
from hfengine.engine import Engine
from hfengine.feeds.build import build_feed
from hfengine.journal.beginning import beginning
from hfengine.runtime.recording import Recorder
from hfengine.summary import Summary
from hfengine.surroundings import paper


class WalkingClock:
    """A clock that never says the same time twice, as a wall clock on a busy machine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.readings = 0

    def now_ns(self) -> int:
        self.readings += 1
        return self._clock.now_ns() + self.readings


def made(
    directory: Path,
    *,
    duration_s: float,
    overrides: dict[str, object] | None = None,
    walks: bool = False,
) -> Engine:
    """Return an engine of the paper profile that records into a directory."""
    given = {"journal.directory": str(directory)} | (overrides or {})
    profile = load("paper", environment={}, overrides=given)
    around = paper(profile, build_feed(profile.settings, []))
    if walks:
        around = replace(around, clock=WalkingClock(around.clock))
    engine = Engine(profile, around, duration_s=duration_s)
    _with_recorder(engine)
    return engine


def recorded(
    directory: Path,
    *,
    duration_s: float = 20.0,
    overrides: dict[str, object] | None = None,
    before: Callable[[Engine], Any] | None = None,
    walks: bool = False,
) -> tuple[Path, Summary]:
    """Run a paper session; return where its journal lies and how it ended."""
    engine = made(directory, duration_s=duration_s, overrides=overrides, walks=walks)
    if before is not None:
        before(engine)
    summary = engine.run()
    assert summary.journal is not None
    return Path(summary.journal.path), summary


def _with_recorder(engine: Engine) -> None:
    """Record, where the engine does not do so by itself."""
    log: Any = engine._log
    opened = log.open

    def open_recorded(session: str, started_ns: int, **named: Any) -> None:
        opened(session, started_ns, **named)
        host, profile = engine._host, engine._profile
        if host.recorder is not None or profile.settings.journal.market_data == "none":
            return
        host.recorder = recorder = Recorder(log._journal, host)
        host.settled = recorder.settle
        recorder.begin(
            *beginning(
                session,
                started_ns,
                profile.settings,
                engine._instruments,
                version=__version__,
                profile=profile.name,
                config_hash=profile.config_hash,
            )
        )

    log.open = open_recorded
