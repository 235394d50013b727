"""What an engine runs in: its loop, its clock, its venue. Paper runs have virtual ones."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from hfengine.actors.wiring import Dialect
from hfengine.clock import Clock, VirtualClock
from hfengine.config import Profile
from hfengine.exchange.core import Exchange
from hfengine.feeds.source import Feed
from hfengine.instruments import Instrument, load_catalogue
from hfengine.oversight import VenueHealth
from hfengine.rehearsal import MakeVenue
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.seeds import Seed
from hfengine.venues.port import Venue
from hfengine.venues.sim import SimVenue


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One engine's loop, clock and venue; the engine closes the loop at its end."""

    loop: asyncio.AbstractEventLoop
    clock: Clock
    venue: Venue
    instruments: Mapping[str, Instrument]
    dialect: Dialect = "binance"
    """What the venue's market data is made of."""
    asks_for_books: bool = False
    """Ask the venue for every book at the start: its stream may bring none by itself."""
    rehearse: MakeVenue | None = None
    """Makes the venue of a rehearsal; None where time is virtual and nothing grows cold."""
    cores: AbstractContextManager[str] = field(default_factory=lambda: nullcontext(""))
    """Held while the engine runs; says in words how it waits, nothing where time is virtual."""
    stages: Stages = field(default_factory=Stages)
    """Where the latencies of this run go; the venue fills those of its sockets."""
    dialects: Mapping[str, Dialect] = field(default_factory=dict)
    """Symbol -> dialect, where several venues differ."""
    host: ActorHost | None = None
    """The host the venue already works with; the engine makes its own where there is none."""
    close: Callable[[], Awaitable[None]] | None = None
    """Closes what the venue holds open, once the actors have stopped."""
    health: Callable[[], Mapping[str, object]] | None = None
    """Says how the venues' connections, clocks and rate budgets are, by venue."""
    vitals: Callable[[], Sequence[VenueHealth]] | None = None
    """Says in short, once a second, how each venue's clock and answers are."""
    outruns_disk: bool = False
    """A run at full speed waits for the journal's disk instead of halting."""


def instruments_of(profile: Profile) -> dict[str, Instrument]:
    """Return the instruments of a profile's symbols from its catalogue."""
    catalogue = load_catalogue(profile.settings.venue.catalogue)
    return {symbol: catalogue.find(symbol) for symbol in profile.settings.symbols}


def paper(profile: Profile, feed: Feed, *, speed: float | None = None) -> Surroundings:
    """Return the exchange in this process on virtual time, fed by `feed`.

    Time is virtual at every speed: pacing only waits, so the journal of a paced run equals that
    of the same run at full speed, byte for byte. `speed` None is as fast as it goes.
    """
    settings = profile.settings
    clock = VirtualClock(feed.start_ns)
    loop = VirtualLoop(clock, speed=speed)
    instruments = instruments_of(profile)
    venue = SimVenue(
        exchange=Exchange(list(instruments.values())),
        feed=feed,
        instruments=instruments,
        settings=settings.venue,
        seed=Seed(settings.seed),
        loop=loop,
        clock=clock,
    )
    return Surroundings(loop, clock, venue, instruments, outruns_disk=speed is None)
