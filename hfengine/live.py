"""An engine's surroundings where orders go over sockets: local, testnet, demo or live venues."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec.structs import replace

from hfengine.actors.wiring import Dialect
from hfengine.clock import WallClock
from hfengine.config import Profile
from hfengine.instruments import Instrument
from hfengine.oversight import VenueHealth
from hfengine.runtime.cores import waiting
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.loops import bind_to_core, new_live_loop
from hfengine.runtime.stages import Stages
from hfengine.seeds import Seed
from hfengine.settings import Settings
from hfengine.surroundings import Surroundings
from hfengine.symbols import at_venue, plain_symbol
from hfengine.venues.keys import ApiKeys
from hfengine.venues.live_venue import LiveVenue
from hfengine.venues.open_venue import open_venue
from hfengine.venues.rehearsed import rehearsed_over_loopback
from hfengine.venues.several import SeveralVenues

LEFT_MAX_S: Final = 2.0
"""How long a start that failed waits for its requests to be answered or refused."""


def live(
    profile: Profile,
    *,
    urls: Mapping[str, str],
    keys: Mapping[str, ApiKeys],
    since_ns: int = 0,
) -> Surroundings:
    """Return the venues of a profile, prepared: instruments read, modes set, clock compared.

    `urls` and `keys` are by venue; a url is that of a local venue. Fills since `since_ns` are told
    to the engine, 0: those of this run. Raises VenueRejected, VenueUnknown or VenueUnavailable with
    what is wrong; the loop is closed then.
    """
    settings = profile.settings
    spins = settings.runtime.loop == "spin"
    if settings.runtime.cpu >= 0:
        bind_to_core(settings.runtime.cpu)
    clock, stages = WallClock(), Stages()
    loop = new_live_loop(spin=spins)
    asyncio.set_event_loop(loop)
    host = ActorHost(loop, clock)
    opened: dict[str, LiveVenue] = {}
    try:
        for name in settings.venue.names:
            opened[name] = open_venue(
                name,
                mode=settings.mode,
                settings=settings.venue,
                margin_mode=settings.leverage.margin_mode,
                keys=keys.get(name),
                url=urls.get(name, ""),
                symbols=settings.symbols_at(name),
                host=host,
                clock=clock,
                random=Seed(settings.seed).stream(f"venue {name}"),
                stages=stages,
            )
        loop.run_until_complete(_prepare(opened))
        if since_ns:
            for venue in opened.values():
                venue.look_back(since_ns)
    except BaseException:
        loop.run_until_complete(_close(opened))
        loop.run_until_complete(_over())
        asyncio.set_event_loop(None)
        loop.close()
        raise
    first = next(iter(opened.values()))
    qualified = bool(settings.venue.also)
    instruments = _instruments(opened, qualified=qualified)
    native = first.dialect != "ticks"
    return Surroundings(
        loop,
        clock,
        SeveralVenues(opened, clock) if qualified else first,
        {symbol: instruments[symbol] for symbol in settings.symbols},
        dialect=first.dialect,
        dialects=_dialects(settings, opened) if qualified else {},
        asks_for_books=any(venue.asks_for_books for venue in opened.values()),
        rehearse=partial(rehearsed_over_loopback, _plainly(instruments), clock, loop)
        if native
        else None,
        cores=waiting(spins=spins, latency_max_us=settings.runtime.wake_latency_us),
        stages=stages,
        host=host,
        close=partial(_close, opened),
        health=partial(_health, opened),
        vitals=partial(_vitals, opened),
    )


async def _prepare(opened: Mapping[str, LiveVenue]) -> None:
    # all to their end, so that none is still at work when the others' failure closes it
    ends = await asyncio.gather(
        *(venue.prepare() for venue in opened.values()), return_exceptions=True
    )
    for end in ends:
        if isinstance(end, BaseException):
            raise end


async def _close(opened: Mapping[str, LiveVenue]) -> None:
    await asyncio.gather(*(venue.close() for venue in opened.values()), return_exceptions=True)


async def _over() -> None:
    """Let what the failure left under way come to its end: a closed loop would say a traceback."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _, late = await asyncio.wait(left, timeout=LEFT_MAX_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _health(opened: Mapping[str, LiveVenue]) -> dict[str, object]:
    return {name: dict(venue.health) for name, venue in opened.items()}


def _vitals(opened: Mapping[str, LiveVenue]) -> list[VenueHealth]:
    return [venue.vitals for venue in opened.values()]


def _instruments(opened: Mapping[str, LiveVenue], *, qualified: bool) -> dict[str, Instrument]:
    found = {}
    for name, venue in opened.items():
        for symbol, instrument in venue.instruments.items():
            listed = at_venue(symbol, name) if qualified else symbol
            found[listed] = replace(instrument, symbol=listed) if qualified else instrument
    return found


def _dialects(settings: Settings, opened: Mapping[str, LiveVenue]) -> dict[str, Dialect]:
    return {one: opened[settings.venue_of(one)].dialect for one in settings.symbols}


def _plainly(instruments: Mapping[str, Instrument]) -> dict[str, Instrument]:
    """Return the instruments under their names here, each as its venue writes it."""
    return {
        listed: replace(one, symbol=plain_symbol(listed)) for listed, one in instruments.items()
    }
