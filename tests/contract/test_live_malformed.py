"""An answer in another form than the protocol's is unavailable or unknown, never the end."""

import asyncio
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest

from hfengine.errors import VenueUnavailable, VenueUnknown
from tests.live_desk import SYMBOL, LiveDesk, live

READINGS: dict[str, Callable[[LiveDesk], Any]] = {
    "positions": lambda desk: desk.venue.positions(),
    "balance": lambda desk: desk.venue.balance(),
    "fills_since": lambda desk: desk.venue.fills(),
    "leverage_of": lambda desk: desk.venue.leverage_of(SYMBOL),
    "order_by_id": lambda desk: desk.venue.order_by_id(SYMBOL, "c1"),
}
ACTIONS: dict[str, Callable[[LiveDesk], Any]] = {
    "place": lambda desk: desk.venue.place(desk.bracket("c1")),
    "set_leverage": lambda desk: desk.venue.set_leverage(SYMBOL, 10),
    "set_margin_mode": lambda desk: desk.venue.set_margin_mode(SYMBOL, "isolated"),
    "cancel_all": lambda desk: desk.venue.cancel_all(SYMBOL),
    "protect": lambda desk: desk.venue.protect(SYMBOL, Decimal(1), Decimal(2)),
}
ERRORS = (KeyError("retCode"), TypeError("a list"), IndexError(0), InvalidOperation("x"))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_is_not_understood_is_unavailable_or_unknown(error: Exception) -> None:
    async def fails(*_: Any) -> Any:
        raise error

    async def scenario() -> None:
        async with live("bybit") as desk:
            for name in READINGS | ACTIONS:
                setattr(desk.venue._quirks, name, fails)
            for read in READINGS.values():
                with pytest.raises(VenueUnavailable, match="not understood"):
                    await read(desk)
            for act in ACTIONS.values():
                with pytest.raises(VenueUnknown, match="not understood"):
                    await act(desk)

    asyncio.run(scenario())
