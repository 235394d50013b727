"""The numbered list of what every live adapter must do: how a case is written and found."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from functools import wraps
from typing import Any, Final, NamedTuple

import pytest

from hfengine.exchange.reports import OrderReport
from hfengine.requests import OrderRequest
from tests.live_desk import SYMBOL, LiveDesk, live

VENUES: Final = ("bybit", "binance", "bitget")
LEVERAGE: Final = 20
ENTRY: Final = "hf-a-000001e0"
EXIT: Final = "hf-a-000002x0"
OTHER_MODE: Final = {"one_way": "hedge", "hedge": "one_way"}


class Wire(NamedTuple):
    """Where a dialect's calls and sockets are, and its codes for an open outcome."""

    mode: str
    order: str
    leverage: str
    private: str
    book_topic: str
    unknown: tuple[tuple[int, int], ...]
    """(code, HTTP status)"""
    trade: str = ""


WIRES: Final[Mapping[str, Wire]] = {
    "bybit": Wire(
        mode="one_way",
        order="/v5/order/create",
        leverage="/v5/position/set-leverage",
        private="/v5/private",
        book_topic="orderbook",
        unknown=((10000, 200), (10016, 200)),
        trade="/v5/trade",
    ),
    "binance": Wire(
        mode="one_way",
        order="/fapi/v1/order",
        leverage="/fapi/v1/leverage",
        private="/private",
        book_topic="depthUpdate",
        unknown=((-1006, 400), (-1007, 408)),
        trade="/ws-fapi/v1",
    ),
    "bitget": Wire(
        mode="hedge",
        order="/api/v2/mix/order/place-order",
        leverage="/api/v2/mix/account/set-leverage",
        private="/v2/ws/private",
        book_topic='"channel":"books',
        unknown=((40010, 200), (40015, 200), (45001, 200)),
    ),
}


class Opening:
    """One venue of the list, for cases that open their desks themselves."""

    def __init__(self, venue: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.venue = venue
        self.wire = WIRES[venue]
        self.patch = monkeypatch
        # the account is read this soon after the stream began: two in three seconds of the list
        monkeypatch.setattr("hfengine.venues.live_venue.RECONCILE_SOON_S", 0.05)

    def desk(self, **options: Any) -> AbstractAsyncContextManager[LiveDesk]:
        """Return `live` for this venue, in the position mode the list is run in."""
        return live(self.venue, **{"position_mode": self.wire.mode} | options)


Run = Callable[[Opening], Awaitable[None]]


class Case(NamedTuple):
    """One number of the list."""

    number: int
    run: Run
    excepted: Mapping[str, str]
    """Venue -> why it has no such case."""

    def venues(self) -> list[str]:
        """Return the venues it is run for."""
        return [venue for venue in VENUES if venue not in self.excepted]


CASES: Final[dict[int, Case]] = {}


def bare(number: int, **excepted: str) -> Callable[[Run], Run]:
    """Enter a case that opens its desks itself."""

    def enter(run: Run) -> Run:
        assert number not in CASES, f"two cases {number}"
        CASES[number] = Case(number, run, excepted)
        return run

    return enter


def case(
    number: int, *, excepted: Mapping[str, str] | None = None, **options: Any
) -> Callable[[Callable[[LiveDesk, Wire], Awaitable[None]]], Run]:
    """Enter a case that is given a connected desk, isolated, at `LEVERAGE`."""

    def enter(run: Callable[[LiveDesk, Wire], Awaitable[None]]) -> Run:
        @bare(number, **excepted or {})
        @wraps(run)
        async def opened(opening: Opening) -> None:
            async with opening.desk(**options) as desk:
                await ready(desk)
                await run(desk, opening.wire)

        return opened

    return enter


async def ready(desk: LiveDesk, leverage: int = LEVERAGE) -> None:
    """Isolated margin and a leverage, as the engine sets them before it trades."""
    await desk.venue.set_margin_mode(SYMBOL, "isolated")
    await desk.venue.set_leverage(SYMBOL, leverage)
    assert (await desk.venue.leverage_of(SYMBOL)).leverage == leverage


async def held(desk: LiveDesk, client_id: str = ENTRY, **changes: Any) -> OrderRequest:
    """Open a position and wait until its whole protection was told."""
    request = desk.bracket(client_id, **changes)
    await desk.venue.place(request)
    await desk.until(lambda: is_covered(desk, request))
    return request


def is_covered(desk: LiveDesk, request: OrderRequest) -> bool:
    """Tell whether a position with all of the request's protection was told last."""
    told = desk.position()
    return (
        told is not None
        and told.quantity > 0
        and told.covered == told.quantity
        and (told.stop, told.target) == (request.stop, request.target)
    )


def told_quantity(desk: LiveDesk) -> Decimal:
    """Return the quantity of the position told last, 0 for none."""
    told = desk.position()
    return told.quantity if told is not None else Decimal(0)


def listed(desk: LiveDesk, symbol: str = SYMBOL) -> list[OrderReport]:
    """Return what the venue itself has as open orders, conditional ones too."""
    return desk.world.exchange.order_reports("main", symbol, open_only=True)


def has(desk: LiveDesk, symbol: str = SYMBOL) -> Decimal:
    """Return the quantity of the position the venue itself has."""
    reports = desk.world.exchange.position_reports("main", symbol)
    return sum((one.changed.quantity for one in reports), Decimal(0))


def drop(desk: LiveDesk, path: str) -> None:
    """Cut the sockets of a path; there must be one."""
    assert desk.server._to_sockets("drop", path, 0) >= 1
