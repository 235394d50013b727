"""One rebalance decision."""

from hfengine.kernels.drift import HOLD, RebalanceRules


def test_decide(benchmark):
    rules = RebalanceRules()
    assert benchmark(rules.decide, 1, 0.0012, 0.001, 0.45, 0.43, 30.0, 300.0, 10, 1) == HOLD
