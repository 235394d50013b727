"""Execution reads what its streams did not tell: lost fills, leverage and account at the start."""

from typing import Any

import pytest

from hfengine.errors import VenueUnavailable, VenueUnknown
from hfengine.messages import (
    BalanceChanged,
    EngineState,
    Fill,
    LeverageProof,
    OrderEnded,
    PositionChanged,
    Start,
)
from hfengine.requests import LeverageSetting
from tests.proved import proved
from tests.rig import T0_NS, Rig, bracket, fill, order, position

ENTRY_ID = "hf-test-000001e0"


@pytest.fixture
def ref(rig: Rig) -> Any:
    return proved(rig)


def test_a_fill_the_stream_lost_is_read_when_the_query_shows_it(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(VenueUnknown("timeout"))
    rig.venue.known[ENTRY_ID] = order(ENTRY_ID)
    rig.venue.fill_list = [fill(ENTRY_ID)]
    rig.venue.position_list = [[position()]]
    rig.tell(ref, bracket())
    rig.run(0.2)
    assert rig.one(Fill).client_id == ENTRY_ID
    assert rig.one(OrderEnded).outcome == "filled"


def test_leverage_that_cannot_be_read_is_asked_for_again_and_not_called_proved(
    rig: Rig, ref: Any
) -> None:
    original = rig.venue.leverage_of
    lost = [VenueUnknown("timeout")] * 2

    async def deaf(symbol: str) -> LeverageSetting:
        if symbol == "BTCUSDT" and lost:
            raise lost.pop()
        return await original(symbol)

    rig.venue.leverage_of = deaf  # type: ignore[method-assign]
    rig.tell(ref, Start(T0_NS))
    rig.run(0.5)
    assert {p.symbol for p in rig.all(LeverageProof)} == {"ETHUSDT"}
    assert [s.state for s in rig.all(EngineState)] == ["starting"]
    rig.run(2.0)
    assert {p.symbol for p in rig.all(LeverageProof)} == {"BTCUSDT", "ETHUSDT"}
    assert [s.state for s in rig.all(EngineState)] == ["starting", "trading"]


def test_an_account_that_cannot_be_read_is_read_again(rig: Rig, ref: Any) -> None:
    original = rig.venue.balance
    lost = [VenueUnavailable("down")]

    async def deaf() -> BalanceChanged:
        if lost:
            raise lost.pop()
        return await original()

    rig.venue.balance = deaf  # type: ignore[method-assign]
    rig.tell(ref, Start(T0_NS))
    rig.run(0.5)
    assert not rig.all(BalanceChanged)
    rig.run(1.0)
    assert rig.all(BalanceChanged)
    assert rig.all(EngineState)[-1].state == "trading"


def test_what_was_read_does_not_overrule_an_order_on_its_way(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID, "new", filled="0"))
    rig.tell(ref, bracket(), fill(ENTRY_ID))
    rig.heard.clear()
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    assert {p.symbol for p in rig.all(PositionChanged)} == {"ETHUSDT"}
    assert not rig.all(OrderEnded)
