"""Setting leverage and reading it back: only the reading is proof."""

from typing import Literal, NamedTuple

from hfengine.errors import VenueRejected
from hfengine.requests import LeverageSetting
from hfengine.venues.port import Venue


class Proving(NamedTuple):
    """What is to be proved of a symbol."""

    symbol: str
    leverage: int
    margin_mode: Literal["isolated", "cross"]
    may_set: bool
    asked_ns: int = 0
    """When the reading began: what the venue said later outweighs it."""


async def prove(venue: Venue, asked: Proving) -> tuple[LeverageSetting, str]:
    """Return the setting read from the venue, after setting it where it differs.

    The second item says how it came about: "read", "set and read", or the venue's refusal. A
    refusal is no error here: what was read tells the risk gate what it must know.
    """
    setting = await venue.leverage_of(asked.symbol)
    matches = setting.leverage == asked.leverage and setting.margin_mode == asked.margin_mode
    if matches or not asked.may_set:
        return setting, "read"
    try:
        if setting.margin_mode != asked.margin_mode:
            await venue.set_margin_mode(asked.symbol, asked.margin_mode)
        if setting.leverage != asked.leverage:
            await venue.set_leverage(asked.symbol, asked.leverage)
    except VenueRejected as rejected:
        return await venue.leverage_of(asked.symbol), f"refused: {rejected}"
    return await venue.leverage_of(asked.symbol), "set and read"
