"""The `host` fixture of the Pykka contract."""

import pytest

from tests.contract.pykka_runtimes import RUNTIMES, runtime


@pytest.fixture(params=RUNTIMES)
def host(request):
    """Return the host that serves actors started by the test, on each loop, from each thread."""
    with runtime(request.param) as opened:
        yield opened
