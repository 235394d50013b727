"""A reading of the turn's clock, inside a turn and outside, beside the clock it reads."""

from typing import Any

import pytest

from hfengine.clock import WallClock
from hfengine.kernels.mailbox import Host
from hfengine.kernels.turn_clock import TurnClock


@pytest.mark.parametrize("place", ["wall", "outside", "in a turn"])
def test_read(benchmark: Any, place: str) -> None:
    host = Host(None)
    clock = WallClock() if place == "wall" else TurnClock(WallClock(), host)
    if place == "in a turn":
        host.begin_batch()
    assert benchmark(clock.now_ns) > 0
