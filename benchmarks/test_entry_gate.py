"""The gates that depend on an entry's moment, all of them holding."""

from typing import Any

from hfengine.kernels.entry_gate import EntryGate
from hfengine.messages import Entry, LeverageProof

NOW_NS = 1_700_000_000_000_000_000
SYMBOL = "BTCUSDT"


def test_opens(benchmark: Any) -> None:
    proof = LeverageProof(SYMBOL, NOW_NS, 50, 50, "isolated", "set")
    entry = Entry(1, SYMBOL, NOW_NS, NOW_NS, 1, 6e4, 60_000.1, 6e4, 1e-3, 1.0, 9.0, 1e-5, 9.0)
    gate = EntryGate({SYMBOL: "account"}, {SYMBOL: proof}, 250.0, 5.0, 10**15)
    assert benchmark(gate.opens, entry, NOW_NS) == "account"
