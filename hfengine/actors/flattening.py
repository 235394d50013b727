"""Flatten: cancel, close reduce-only, read back zero; only the venue's word counts."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.limits import FLATTEN_PAUSE_S, FLATTEN_ROUNDS_MAX
from hfengine.messages import PositionChanged
from hfengine.requests import OrderRequest
from hfengine.venues.port import PartlyRead, Venue


async def flatten(
    venue: Venue,
    symbols: tuple[str, ...],
    closing_order: Callable[[PositionChanged], OrderRequest],
    pause: Callable[[float], Awaitable[None]],
    known: Sequence[PositionChanged] = (),
) -> tuple[bool, int, str]:
    """Return (flat, rounds used, what is left).

    Positions `known` to be open are closed before anything is cancelled: with many symbols that
    takes long, and cancelling takes their stops. Flat needs two readings of zero in a row, so that
    an entry which was on its way when the first was read is found and closed too. A refused or lost
    close is tried again with a new id: it is reduce-only, so a double can never open a position.
    Where a round left something, the book may have been too thin, or the venue was away: the next
    one waits FLATTEN_PAUSE_S.
    """
    zeros, left, faults = 0, "", ""
    await asyncio.gather(*(_close(venue, closing_order(position)) for position in known))
    for round_ in range(1, FLATTEN_ROUNDS_MAX + 2):
        # one round more than may close, so that a zero of the last can be read a second time
        for symbol in symbols:
            try:
                await venue.cancel_all(symbol)
            except (VenueRejected, VenueUnknown, VenueUnavailable) as error:
                faults = str(error)
        try:
            positions = await venue.positions()
            zeros = 0 if positions else zeros + 1
        except (VenueRejected, VenueUnknown, VenueUnavailable) as error:
            zeros, faults = 0, str(error)
            # of several venues, what the others hold is closed all the same
            positions = list(error.found) if isinstance(error, PartlyRead) else []
        if zeros == 2:
            return True, round_, ""
        left = ", ".join(f"{p.symbol} {p.side * p.quantity}" for p in positions)
        if round_ > FLATTEN_ROUNDS_MAX:
            break
        if not zeros and round_ > 1:
            await pause(FLATTEN_PAUSE_S)
        for position in positions:
            faults = await _close(venue, closing_order(position)) or faults
    return False, FLATTEN_ROUNDS_MAX, f"{left}; {faults}".strip("; ")


async def _close(venue: Venue, request: OrderRequest) -> str:
    try:
        await venue.place(request)
    except (VenueRejected, VenueUnknown, VenueUnavailable) as error:
        return str(error)
    return ""
