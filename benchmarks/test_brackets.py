"""One entry through risk's planning: distances, fees, joint solve, size and grid, hot."""

from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.actors.brackets import Account, Planner
from hfengine.config import load
from hfengine.instruments import load_catalogue
from hfengine.messages import Entry, LeverageProof
from hfengine.seeds import Numbers

AT_NS = 1_723_118_400_000_000_000


def test_plan_a_bracket(benchmark: BenchmarkFixture) -> None:
    profile = load("paper", environment={}, dotenv=None, overrides={})
    planner = Planner(profile.settings, load_catalogue("binance").find("BTCUSDT"))
    entry = Entry(
        1, "BTCUSDT", AT_NS, AT_NS, 1, 61800.1, 61800.2, 61830.0, 5e-4, 0.9, 60.0, 1e-4, 10.0
    )
    proof = LeverageProof("BTCUSDT", AT_NS, 50, 50, "isolated", "read")
    account = Account(10_000.0, 10_000.0, 10_000.0, 0.0, 0.0)
    bracket, _ = benchmark(planner.plan, entry, proof, account, None, Numbers())
    assert bracket.leverage == 50
