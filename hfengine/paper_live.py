"""Paper trading on live prices: surroundings in which only the market is real."""

import asyncio

from msgspec.structs import replace

from hfengine.clock import WallClock
from hfengine.config import Profile
from hfengine.errors import ConfigError, FeedError, VenueUnavailable
from hfengine.exchange.core import Exchange
from hfengine.instruments import Instrument, load_catalogue
from hfengine.runtime.cores import waiting
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.loops import bind_to_core, new_live_loop
from hfengine.runtime.stages import Stages
from hfengine.seeds import Seed
from hfengine.surroundings import Surroundings
from hfengine.venues.market import NATIVE, read_grids, rest_of
from hfengine.venues.paper_live import PaperLive


def paper_live(profile: Profile, exchange: str, *, url: str = "") -> Surroundings:
    """Return a paper account matched on the live book of `exchange`; no keys are needed.

    Grids are read from the exchange, fees and tiers are the catalogue's. `url` replaces the
    exchange's socket address (ws://HOST:PORT, REST on the same port). Raises ConfigError for an
    exchange without a relay or a symbol it does not list, FeedError when it cannot be reached.
    """
    if exchange not in NATIVE:
        known = ", ".join(f"live:{name}" for name in NATIVE)
        raise ConfigError([f"--feed live:{exchange}: there are {known}"])
    settings = profile.settings
    spins = settings.runtime.loop == "spin"
    if settings.runtime.cpu >= 0:
        bind_to_core(settings.runtime.cpu)
    clock, stages = WallClock(), Stages()
    loop = new_live_loop(spin=spins)
    asyncio.set_event_loop(loop)
    host = ActorHost(loop, clock)
    seed = Seed(settings.seed)
    try:
        instruments = loop.run_until_complete(_instruments(profile, exchange, url))
        venue = PaperLive(
            exchange,
            Exchange(list(instruments.values())),
            instruments,
            settings.venue,
            seed=seed,
            host=host,
            random=seed.stream(f"venue {exchange}"),
            url=url,
        )
    except BaseException:
        asyncio.set_event_loop(None)
        loop.close()
        raise
    return Surroundings(
        loop,
        clock,
        venue,
        instruments,
        dialect=venue.dialect,
        asks_for_books=True,
        cores=waiting(spins=spins, latency_max_us=settings.runtime.wake_latency_us),
        stages=stages,
        host=host,
        health=lambda: {f"live:{exchange}": venue.health()},
    )


async def _instruments(profile: Profile, exchange: str, url: str) -> dict[str, Instrument]:
    symbols = profile.settings.symbols
    catalogue = load_catalogue("bybit" if exchange == "bybit" else "binance")
    try:
        grids = await read_grids(exchange, rest_of(exchange, url), symbols)
    except VenueUnavailable as error:
        msg = f"--feed live:{exchange}: {error}. It needs a network that reaches the exchange"
        raise FeedError(msg) from error
    missing = [symbol for symbol in symbols if symbol not in grids]
    if missing:
        raise ConfigError([f"symbols: {exchange} does not list {', '.join(missing)}"])
    return {
        symbol: replace(
            catalogue.find(symbol),
            price_tick=grids[symbol].price_tick,
            quantity_step=grids[symbol].quantity_step,
        )
        for symbol in symbols
    }
