"""A message through an actor's door to a handler that does nothing, beside the mailbox alone."""

from typing import Any

import pytest

from hfengine.kernels.door import Door
from hfengine.kernels.histogram import Histogram
from tests.unit.test_door import started


@pytest.mark.parametrize("way", ["door", "mailbox"])
def test_deliver(benchmark: Any, way: str) -> None:
    actor, box = started()
    deliver = Door(box, Histogram()) if way == "door" else box.deliver
    benchmark(deliver, "message")
    assert actor.heard
