"""What gets lost between engine and venue: ends of orders, answers, and readings overtaken."""

import asyncio
from typing import Any

import pytest

from hfengine.actors.order_desk import OPEN_ORDER_NS
from hfengine.messages import (
    LeverageChanged,
    LeverageProof,
    OrderEnded,
    OrderUnknown,
    OrderUpdate,
    Start,
)
from hfengine.requests import LeverageSetting
from tests.proved import proved
from tests.rig import T0_NS, Rig, bracket, fill, order, position

ENTRY_ID = "hf-test-000001e0"
PATIENCE_S = OPEN_ORDER_NS / 1e9


@pytest.fixture
def ref(rig: Rig) -> Any:
    return proved(rig)


def test_an_acknowledged_order_whose_end_is_not_heard_is_asked_for(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID, "new", filled="0"))
    rig.venue.known[ENTRY_ID] = order(ENTRY_ID, "new", filled="0")
    rig.tell(ref, bracket())
    rig.run(PATIENCE_S - 0.1)
    assert rig.venue.queries == []
    rig.run(0.2)
    assert rig.venue.queries == [ENTRY_ID]
    # still open: asked again, until the venue knows an end
    rig.venue.known[ENTRY_ID] = order(ENTRY_ID, "cancelled", filled="0")
    rig.run(PATIENCE_S)
    assert rig.venue.queries == [ENTRY_ID, ENTRY_ID]
    assert rig.one(OrderEnded).outcome == "cancelled"
    rig.run(10 * PATIENCE_S)
    assert len(rig.venue.queries) == 2


def test_an_order_that_ended_is_not_asked_for(rig: Rig, ref: Any) -> None:
    rig.venue.answers.append(order(ENTRY_ID))
    rig.tell(ref, bracket(), fill(ENTRY_ID), position())
    rig.run(10 * PATIENCE_S)
    assert rig.one(OrderEnded)
    assert rig.venue.queries == []


def test_an_answer_that_the_venue_drops_leaves_the_order_unknown(
    rig: Rig, ref: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer: asyncio.Future[OrderUpdate] = rig.loop.create_future()
    monkeypatch.setattr(rig.venue, "place", lambda _request: answer)
    rig.venue.known[ENTRY_ID] = order(ENTRY_ID, "cancelled", filled="0")
    rig.tell(ref, bracket())
    answer.cancel()
    rig.run(1.0)
    assert rig.one(OrderUnknown).client_id == ENTRY_ID
    assert rig.venue.queries == [ENTRY_ID]
    assert rig.one(OrderEnded).outcome == "cancelled"


def test_a_reading_begun_before_the_leverage_changed_is_no_proof(
    rig: Rig, ref: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.tell(ref, Start(T0_NS))
    rig.run(0.01)
    rig.heard.clear()
    slow: asyncio.Future[LeverageSetting] = rig.loop.create_future()
    readings = [slow]

    async def leverage_of(_symbol: str) -> LeverageSetting:
        if readings:
            return await readings.pop()
        return LeverageSetting("BTCUSDT", 10, "isolated")

    monkeypatch.setattr(rig.venue, "leverage_of", leverage_of)
    rig.host.actors[ref.actor_urn]._leverage.prove("BTCUSDT", may_set=False)
    rig.run(0.01)
    rig.tell(ref, LeverageChanged("BTCUSDT", rig.clock.now_ns(), 10))
    rig.run(0.01)
    slow.set_result(LeverageSetting("BTCUSDT", 50, "isolated"))
    rig.run(0.01)
    assert {proof.got for proof in rig.all(LeverageProof)} == {10}
    assert rig.all(LeverageProof)[-1].at_ns > T0_NS
