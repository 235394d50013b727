"""One entry through risk's planning: distances, fees, joint solve, size and grid, hot."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.actors.brackets import Account, Planner
from hfengine.config import load
from hfengine.instruments import load_catalogue
from hfengine.messages import Entry, LeverageProof, MarkTick
from hfengine.seeds import Numbers

AT_NS = 1_723_118_400_000_000_000
PROOF = LeverageProof("BTCUSDT", AT_NS, 50, 50, "isolated", "read")
ACCOUNT = Account(10_000.0, 10_000.0, 10_000.0, 0.0, 0.0)
MARK = MarkTick("BTCUSDT", AT_NS, 61800.0, 61800.0, 1e-4, AT_NS + 60_000_000_000)
EARNS, FEES_EAT = 4e-3, 5e-4


def entry(drift: float) -> Entry:
    return Entry(
        1, "BTCUSDT", AT_NS, AT_NS, 1, 61800.1, 61800.2, 61830.0, drift, 0.9, 60.0, 1e-4, 10.0
    )


def planner() -> Planner:
    profile = load("paper", environment={}, dotenv=None, overrides={})
    return Planner(profile.settings, load_catalogue("binance").find("BTCUSDT"))


@pytest.mark.benchmark(group="bracket")
@pytest.mark.parametrize("drift", [EARNS, FEES_EAT], ids=["silent", "warned"])
@pytest.mark.parametrize("mark", [None, MARK], ids=["no-mark", "funding"])
def test_plan_a_bracket(benchmark: BenchmarkFixture, drift: float, mark: MarkTick | None) -> None:
    plan = planner().plan
    bracket, warnings = benchmark(plan, entry(drift), PROOF, ACCOUNT, mark, Numbers())
    assert bracket.leverage == 50
    assert bool(warnings) == (drift == FEES_EAT)


@pytest.mark.benchmark(group="bracket")
def test_the_compiled_call_alone(benchmark: BenchmarkFixture) -> None:
    kernel = planner().kernel
    assert benchmark(kernel.open, entry(EARNS), PROOF, ACCOUNT, MARK, Numbers())
