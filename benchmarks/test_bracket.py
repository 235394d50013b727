"""One bracket decided: the kernel behind its planner, and its plain twin, on the same entry."""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.actors.brackets import Account, Planner
from hfengine.instruments import load_catalogue
from hfengine.messages import Entry, LeverageProof
from hfengine.seeds import Numbers
from hfengine.settings import Settings
from tests.reference.bracket import PlainPlanner

AT_NS = 1_700_000_000_000_000_000
ENTRY = Entry(
    7, "BTCUSDT", AT_NS, AT_NS, 1, 60000.0, 60000.1, 60120.0, 0.004, 0.9, 60.0, 5e-5, 20.0
)
PROOF = LeverageProof("BTCUSDT", AT_NS, 50, 50, "isolated", "read")
ACCOUNT = Account(1e4, 1e4, 1e4, 0.0)


@pytest.mark.benchmark(group="bracket")
@pytest.mark.parametrize("made", [Planner, PlainPlanner], ids=["kernel", "python"])
def test_plan(benchmark: BenchmarkFixture, made: Any) -> None:
    planner = made(Settings(), load_catalogue("binance").find("BTCUSDT"))
    numbers = Numbers()
    bracket, _ = benchmark(planner.plan, ENTRY, PROOF, ACCOUNT, None, numbers)
    assert bracket.quantity > 0


@pytest.mark.benchmark(group="bracket")
def test_kernel_alone(benchmark: BenchmarkFixture) -> None:
    kernel = Planner(Settings(), load_catalogue("binance").find("BTCUSDT"))._kernel
    terms = (1, 60000.0, 60000.1, 60120.0, 0.004, 5e-5, 20.0, 50, False, 1e4, 1e4, 1e4, 0.0, 0.0)
    assert benchmark(kernel.plan, *terms, 0.0) == 0
