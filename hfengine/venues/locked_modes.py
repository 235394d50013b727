"""A margin mode that cannot be changed now, said so that its user knows what to do."""

import re
from collections.abc import Awaitable
from typing import Final

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.venues.quirks import MarginMode

WORDS: Final = re.compile(r'"(?:retMsg|reasonMsg|msg)"\s*:\s*"([^"\\]+)"')
"""What the venue itself says, in its answer as JSON."""

CODE: Final = re.compile(r"^\w+ -?\d+(?= )")
"""Venue and code, before the answer."""


async def in_words(asked: Awaitable[None], venue: str, symbol: str, mode: MarginMode) -> None:
    """Wait for a change of margin mode; `symbol` "" is the account's.

    Raises what `asked` raises, a locked mode with a sentence in place of the venue's raw answer.
    """
    try:
        await asked
    except VenueRejected as rejected:
        if rejected.reason != rejects.MARGIN_MODE_LOCKED:
            raise
        raise VenueRejected(
            rejected.reason, _sentence(venue, symbol, mode, rejected.detail)
        ) from rejected


def _sentence(venue: str, symbol: str, mode: MarginMode, detail: str) -> str:
    what = f"the margin mode of {symbol}" if symbol else "the account's margin mode"
    return (
        f"{venue} does not change {what} to {mode} while a position or an order that it concerns"
        f" is open{_said(detail)}: close and cancel what is open at the exchange and start again,"
        " or set leverage.margin_mode to the mode that the account has"
    )


def _said(detail: str) -> str:
    """Return the venue's code and words in brackets, "" where it said nothing readable."""
    if "{" not in detail:
        return f" ({detail})" if detail else ""
    code, words = CODE.search(detail), WORDS.findall(detail)
    parts = [*([code[0]] if code else []), *words]
    return f" ({': '.join(parts)})" if parts else ""
