"""Every row of VENUES section 2: the local venue gives the error, our adapter does what it says.

Over unmodified ccxt and loopback sockets; the table is in `tests/error_rows.py`.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from hfengine.errors import VenueRejected
from hfengine.runtime.loops import new_live_loop
from tests.error_desk import ErrorDesk, check, erring
from tests.error_rows import OK, Row, Written, cases, mirrored, read_venues, written
from tests.live_desk import live
from tests.localvenue_desk import run_live
from tests.shared import SHARED, needs_shared

VENUES = ("bybit", "binance", "bitget")


@needs_shared
def test_the_table_has_every_row_and_code_of_venues() -> None:
    assert mirrored() == read_venues(SHARED)


def test_a_row_that_is_missing_or_has_another_code_is_seen() -> None:
    text = (
        "## 2. Error semantics\n"
        "| meaning | Bybit | Binance | ccxt class | engine |\n|---|---|---|---|---|\n"
        "| **busy** | 10016*, 429 retCode; 10 min | -1008 (HTTP 408) (none: 200 OK) | x | y |\n"
        "## 3. Next\n| other | 110001 | - | x | y |\n"
    )
    expected = Written("busy", frozenset({10016, 429}), frozenset({-1008, 408}))
    assert written(text) == [expected]


@pytest.fixture(scope="module")
def desks() -> Iterator[Callable[[str], tuple[asyncio.Runner, ErrorDesk]]]:
    """Return what opens the account at a venue; it stays open until the last row is through."""
    opened: dict[str, tuple[asyncio.Runner, ErrorDesk]] = {}
    contexts: list[tuple[asyncio.Runner, AbstractAsyncContextManager[ErrorDesk]]] = []

    def desk(name: str) -> tuple[asyncio.Runner, ErrorDesk]:
        if name not in opened:
            runner, context = asyncio.Runner(loop_factory=new_live_loop), erring(name)
            opened[name] = runner, runner.run(context.__aenter__())
            contexts.append((runner, context))
        return opened[name]

    yield desk
    for runner, context in contexts:
        runner.run(context.__aexit__(None, None, None))
        runner.close()


def of_calls(*calls: str, others: bool = False) -> list[Any]:
    """Return the rows whose first answer is to one of these calls, or (others) to none of them."""
    return [
        pytest.param(row, name, id=f"{row.meaning} {name}")
        for row, name in cases(*VENUES)
        if (row.answers[name][0].call in calls) != others
    ]


@pytest.mark.parametrize(("row", "name"), of_calls("prepare", others=True))
def test_row(row: Row, name: Any, desks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfengine.venues.rate_limiter.LIMITED_S", 0.02)
    monkeypatch.setattr("hfengine.venues.live_venue.RECONCILE_SOON_S", 0.01)
    runner, at = desks(name)

    async def scenario() -> None:
        for answer in row.answers[name]:
            await asyncio.wait_for(check(at, answer), 5)

    runner.run(scenario())


@pytest.mark.parametrize(("row", "name"), of_calls("prepare"))
def test_row_at_the_start(row: Row, name: Any) -> None:
    """OK: the account is as wanted. ESC: the start is refused, with the venue's own words."""

    async def scenario() -> None:
        for answer in row.answers[name]:
            async with live(name, position_mode="hedge", connected=False) as desk:
                at = ErrorDesk(name, desk)
                at.fault("error_after" if answer.outcome == OK else "error_before", answer)
                if answer.outcome == OK:
                    await desk.venue.prepare()
                    assert desk.world.exchange.position_mode("main") == "hedge"
                else:
                    with pytest.raises(VenueRejected) as refused:
                        await desk.venue.prepare()
                    assert refused.value.reason == answer.outcome
                    assert str(answer.code) in str(refused.value)
                assert at.count("prepare") == 1

    run_live(scenario)
