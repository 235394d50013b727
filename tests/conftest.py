"""Fixtures every room's tests share."""

from collections.abc import Iterator

import pytest

from tests.rig import Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    bench = Rig()
    yield bench
    bench.close()
