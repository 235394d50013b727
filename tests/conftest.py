"""Fixtures every room's tests share; property tests draw the same examples in every run.

`pytest --hypothesis-profile=default` searches with new ones.
"""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.rig import Rig

settings.register_profile("steady", derandomize=True)
settings.load_profile("steady")


@pytest.fixture
def rig() -> Iterator[Rig]:
    bench = Rig()
    yield bench
    bench.close()
