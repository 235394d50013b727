"""Fixtures every room's tests share; property tests draw the same examples in every run.

`pytest --hypothesis-profile=default` searches with new ones.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from hfengine.runtime import virtual_loop
from tests.rig import Rig

settings.register_profile("steady", derandomize=True)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def loops_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail the test that leaves a virtual loop open, not the one the collector strikes in."""
    made: list[virtual_loop.VirtualLoop] = []
    real = virtual_loop.VirtualLoop.__init__

    def noting(self: virtual_loop.VirtualLoop, *args: Any, **named: Any) -> None:
        real(self, *args, **named)
        made.append(self)

    monkeypatch.setattr(virtual_loop.VirtualLoop, "__init__", noting)
    yield
    left = [loop for loop in made if not loop.is_closed()]
    for loop in left:
        loop.close()
    assert not left, "the test left a virtual loop open"


@pytest.fixture
def rig() -> Iterator[Rig]:
    bench = Rig()
    yield bench
    bench.close()
