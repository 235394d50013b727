"""Closing what a dead engine left open: straight to the venue, without an engine."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from hfengine.actors.flattening import flatten
from hfengine.actors.orders import reducing_request
from hfengine.clock import Clock, WallClock
from hfengine.config import Profile
from hfengine.live import live
from hfengine.messages import PositionChanged
from hfengine.requests import OrderRequest
from hfengine.runtime.waiting import wait_s
from hfengine.seeds import Numbers, OrderIds, session_id
from hfengine.state.lock import Facts, InstanceLock
from hfengine.surroundings import Surroundings
from hfengine.venues.keys import ApiKeys

Told = Callable[[str], None]


@contextmanager
def guarded(profile: Profile, account: str) -> Iterator[None]:
    """Hold the instance lock of an account; raises AccountBusy where an engine holds it."""
    facts = Facts(pid=os.getpid(), profile=profile.name, started_ns=WallClock().now_ns())
    lock = InstanceLock.take(Path(profile.settings.state.directory), account, facts)
    try:
        yield
    finally:
        lock.release()


def flatten_unattended(
    profile: Profile, *, urls: Mapping[str, str], keys: Mapping[str, ApiKeys], tell: Told
) -> dict[str, Any]:
    """Cancel and close everything of a profile's symbols at its venues, and read back flat.

    Modes are compared, never set; `tell` hears what was found. The caller holds the account's
    instance lock, or an engine that starts meanwhile would open what is being closed. Raises
    VenueRejected, VenueUnknown or VenueUnavailable where a venue cannot be worked with at all.
    """
    settings = profile.settings
    venue = replace(settings.venue, set_modes=False, order_entry="rest")
    quiet = replace(profile, settings=replace(settings, venue=venue))
    surroundings = live(quiet, urls=urls, keys=keys)
    loop = surroundings.loop
    try:
        return loop.run_until_complete(_flatten(quiet, surroundings, tell))
    finally:
        if surroundings.close is not None:
            loop.run_until_complete(surroundings.close())
        asyncio.set_event_loop(None)
        loop.close()


async def _flatten(profile: Profile, around: Surroundings, tell: Told) -> dict[str, Any]:
    clock: Clock = WallClock()
    session = session_id(profile.config_hash, profile.settings.seed, clock.now_ns())
    ids, numbers = OrderIds(session), Numbers()

    def closing_order(position: PositionChanged) -> OrderRequest:
        client_id = ids.client_id(numbers.draw(), "f")
        held = position.side * position.quantity
        tell(f"closing {position.symbol} {held}: order {client_id}")
        return reducing_request(client_id, position.symbol, position.side, position.quantity)

    async def pause(seconds: float) -> None:
        await wait_s(around.loop, seconds)

    symbols = profile.settings.symbols
    flat, rounds, detail = await flatten(around.venue, symbols, closing_order, pause)
    return {
        "profile": profile.name,
        "session": session,
        "flat": flat,
        "rounds": rounds,
        "detail": detail,
    }
