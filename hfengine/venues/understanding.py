"""Answers of a venue that are not what its protocol says: no reason to die of."""

from collections.abc import Awaitable
from decimal import DecimalException
from typing import Final, TypeVar

from hfengine.errors import VenueUnavailable, VenueUnknown

T = TypeVar("T")

MALFORMED: Final = (LookupError, ValueError, TypeError, AttributeError, DecimalException)
"""What reading a row of another form raises; the venue's refusals are none of these."""


async def understood(answer: Awaitable[T], what: str) -> T:
    """Return what a reading gives; raises VenueUnavailable where it could not be understood."""
    try:
        return await answer
    except MALFORMED as error:
        msg = f"{what}: the venue answered in a form that is not understood: {error!r}"
        raise VenueUnavailable(msg) from error


async def acted(answer: Awaitable[T], what: str) -> T:
    """Return how a request that acts was answered; VenueUnknown where that was not understood."""
    try:
        return await answer
    except MALFORMED as error:
        msg = f"{what}: the venue answered in a form that is not understood: {error!r}"
        raise VenueUnknown(msg) from error
