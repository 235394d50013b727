"""The measured path is the engine's own: every gate is asked, every order leaves a record."""

import json

from hfengine.bench.tick_to_order import TickToOrder


def test_every_frame_that_pays_its_fees_becomes_one_order() -> None:
    path = TickToOrder(400)
    took = path.hot(300)
    assert took.count == path.orders > 100
    assert 0 < took.p50 <= took.p99 <= took.max
    summary = path.summary
    assert summary.flat
    assert summary.actor_deaths == 0
    assert summary.rehearsal_fault == ""
    assert summary.leverage_proofs >= 1
    assert summary.brackets + sum(summary.refusals.values()) == summary.signals
    assert set(path.stages) == {
        "decode",
        "book",
        "signals",
        "risk",
        "order",
        "write",
        "frame_to_order",
        "frame",
    }
    frame = json.loads(path.last_frame)
    assert frame["args"][0]["orderLinkId"].startswith("hf-")
    assert frame["args"][0]["stopLoss"]


def test_a_paced_run_measures_each_frame_once_on_either_loop() -> None:
    path = TickToOrder(200)
    for spin in (False, True):
        took = path.paced(20, 1000.0, spin=spin)
        assert 0 < took.count <= 20
        assert took.count == path.orders
        assert path.summary.flat
