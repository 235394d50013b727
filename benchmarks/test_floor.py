"""The floor of tick to order: one delta decoded, applied, answered, all compiled."""

from hfengine.bench.wire.market import BybitMarket
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from hfengine.kernels.floor import FloorPath
from hfengine.seeds import Seed


def test_floor_order(benchmark):
    market = BybitMarket("BTCUSDT", Seed(1).stream("benchmark"))
    snapshot = market.snapshot(0)
    deltas = [market.delta(0) for _ in range(500)]
    path = FloorPath(BybitCodec("BTCUSDT", Book("0.1", "0.001")), "0.010")

    def run():
        # a snapshot first: the chain of deltas begins anew
        path.order(snapshot)
        for delta in deltas:
            path.order(delta)

    benchmark(run)
    assert path.orders % len(deltas) == 0
