"""Cost of finding a frame's symbol, beside the parse it saves."""

from typing import Any

import msgspec
import pytest

from hfengine.kernels.routing import Router

LEVELS = ",".join(f'["6{number:04}.10","1.{number:03}"]' for number in range(10))
FRAMES = {
    "bybit": (
        f'{{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1700000000000,'
        f'"data":{{"s":"BTCUSDT","b":[{LEVELS}],"a":[{LEVELS}],"u":1,"seq":2}},"cts":1}}'
    ).encode(),
    "binance": (
        f'{{"e":"depthUpdate","E":1700000000000,"T":1700000000000,"s":"BTCUSDT","U":1,"u":2,'
        f'"pu":0,"b":[{LEVELS}],"a":[{LEVELS}]}}'
    ).encode(),
}
SYMBOLS = {"orderbook.50.BTCUSDT": "BTCUSDT", "BTCUSDT": "BTCUSDT"}


@pytest.mark.parametrize("dialect", sorted(FRAMES))
def test_route(benchmark: Any, dialect: str) -> None:
    router = Router(SYMBOLS)
    assert benchmark(router.route, FRAMES[dialect]) == "BTCUSDT"


@pytest.mark.parametrize("dialect", sorted(FRAMES))
def test_full_parse(benchmark: Any, dialect: str) -> None:
    assert benchmark(msgspec.json.decode, FRAMES[dialect])
