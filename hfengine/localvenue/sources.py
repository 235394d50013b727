"""The sources that `--feed` names."""

import asyncio
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from hfengine.clock import Clock
from hfengine.errors import ConfigError
from hfengine.feeds.build import SYNTHETIC_START_NS
from hfengine.feeds.replay import Replay
from hfengine.feeds.synthetic import Synthetic
from hfengine.instruments import Instrument
from hfengine.localvenue.live_source import LiveSource
from hfengine.localvenue.load import Load
from hfengine.localvenue.paced import Paced
from hfengine.localvenue.source import Sink, Source
from hfengine.localvenue.still import Still
from hfengine.seeds import Seed
from hfengine.venues.market import played_at

LIVELY_MAX: Final = 100
"""Symbols a synthetic market makes up at once; further ones stand still."""

FEEDS: Final = "still, synthetic, replay:FILE, live:EXCHANGE or load:UPDATES_PER_S"


def recorded_symbols(feed: str) -> tuple[str, ...] | None:
    """Return the symbols a recording holds, None for a feed that is none.

    Raises FeedError when it cannot be read.
    """
    kind, _, name = feed.partition(":")
    return Replay(_paths(name)).symbols if kind == "replay" and name else None


def open_source(
    feed: str,
    instruments: Mapping[str, Instrument],
    *,
    seed: int,
    speed: float,
    loop: asyncio.AbstractEventLoop,
    clock: Clock,
) -> Source:
    """Return the source of a feed's name; raises ConfigError for one there is not."""
    kind, _, name = feed.partition(":")
    if feed == "still":
        return Still(loop)
    if feed == "synthetic":
        lively = dict(islice(instruments.items(), LIVELY_MAX))
        calm = dict(islice(instruments.items(), LIVELY_MAX, None))
        market = Synthetic(seed, SYNTHETIC_START_NS, tuple(lively), instruments=lively)
        paced = Paced("synthetic", market, lively, loop=loop, clock=clock, speed=speed)
        return Together(paced, Still(loop, calm)) if calm else paced
    if kind == "replay" and name:
        return Paced(
            "replay", Replay(_paths(name)), instruments, loop=loop, clock=clock, speed=speed
        )
    if kind == "live" and name:
        exchange, url = played_at(name)
        return LiveSource(exchange, Seed(seed).stream("live"), url)
    if kind == "load" and name.isdecimal():
        try:
            return Load(int(name), instruments, Seed(seed).stream("load"), loop=loop, clock=clock)
        except ValueError as error:
            raise ConfigError([f"--feed {feed}: {error}"]) from error
    raise ConfigError([f"--feed: {feed!r} is none of {FEEDS}"])


class Together:
    """A paced market, and a still one for the symbols it does not have."""

    def __init__(self, paced: Paced, still: Still) -> None:
        self._paced = paced
        self._still = still

    @property
    def name(self) -> str:
        """The name of the paced one."""
        return self._paced.name

    @property
    def frames(self) -> int:
        """Frames played."""
        return self._paced.frames

    @property
    def late_ms(self) -> float:
        """How far it is behind its schedule."""
        return self._paced.late_ms

    def start(self, sink: Sink) -> None:
        """Start both."""
        self._still.start(sink)
        self._paced.start(sink)

    def stop(self) -> None:
        """Stop both."""
        self._still.stop()
        self._paced.stop()


def _paths(names: str) -> list[Path]:
    """Return the files of `replay:A,B`."""
    return [Path(name) for name in names.split(",") if name]
