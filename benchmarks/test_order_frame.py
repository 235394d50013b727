"""Order frames beside json, msgspec and ccxt; from a request in one call and step by step.

And a whole `place`: frame built, handed over, answer awaited.
"""

import asyncio
import json
from decimal import Decimal
from typing import Any

import ccxt.pro
import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.clock import WallClock
from hfengine.instruments import load_catalogue
from hfengine.kernels.binance_orders import BinanceOrders
from hfengine.kernels.bybit_orders import BybitOrders
from hfengine.kernels.grid import Grid
from hfengine.kernels.signing import HmacSha256
from hfengine.requests import OrderRequest
from hfengine.venues.binance_order_entry import BinanceOrderEntry
from hfengine.venues.bybit_order_entry import BybitOrderEntry
from hfengine.venues.order_entry import TIF, Credentials, OrderEntrySettings
from tests.reference.binance_orders import BinanceOrders as PlainBinance
from tests.reference.bybit_orders import order_create

KEY, SECRET, SYMBOL = "k" * 64, b"s" * 64, "BTC/USDT:USDT"
BYBIT = BybitOrders("BTCUSDT", "0.10", "0.001")
BINANCE = BinanceOrders("BTCUSDT", "0.10", "0.001", KEY, HmacSha256(SECRET))
ORDER = (1_723_118_400_000_001, 1_723_118_400_123, "hf-0123456789-000001e0", 1, 7, 612345, 1, False)
PROTECTED = (*ORDER, 611111, 613333, True)


def entry() -> OrderRequest:
    """A protected limit entry, every number of it new."""
    return OrderRequest(
        client_id="hf-0123456789-000001e0",
        symbol="BTCUSDT",
        side=1,
        kind="limit",
        quantity=Decimal("0.007"),
        price=Decimal("61234.5"),
        tif="ioc",
        stop=Decimal("61111.1"),
        target=Decimal("61333.3"),
    )


def reducing() -> OrderRequest:
    """A reduce-only market order."""
    return OrderRequest(
        client_id="hf-0123456789-000001x0",
        symbol="BTCUSDT",
        side=-1,
        kind="market",
        quantity=Decimal("0.007"),
        reduce_only=True,
    )


ORDERS = {"entry": entry, "exit": reducing}


def test_grid_count(benchmark: BenchmarkFixture) -> None:
    """A number not seen before: none is known by identity."""
    count = Grid("0.10").count

    def fresh() -> tuple[tuple[Decimal], dict[str, Any]]:
        return (Decimal("61234.5"),), {}

    assert benchmark.pedantic(count, setup=fresh, rounds=20_000, warmup_rounds=2_000) == 612345


def test_grid_count_again(benchmark: BenchmarkFixture) -> None:
    assert benchmark(Grid("0.10").count, Decimal("61234.5")) == 612345


def step_by_step(orders: BybitOrders, request: OrderRequest, request_id: int, now_ms: int) -> bytes:
    """Frame an entry as Python does where the template declines."""
    count = orders.price.count
    return orders.limit(
        request_id,
        now_ms,
        request.client_id,
        request.side,
        orders.quantity.count(request.quantity),
        count(request.price),
        TIF[request.tif],
        request.reduce_only,
        count(request.stop),
        count(request.target),
        request.protect_by == "mark",
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("template", [BYBIT, BINANCE], ids=["bybit", "binance"])
def test_of_request(
    benchmark: BenchmarkFixture, template: BybitOrders | BinanceOrders, order: str
) -> None:
    def fresh() -> tuple[tuple[OrderRequest, int, int], dict[str, Any]]:
        return (ORDERS[order](), *ORDER[:2]), {}

    made = benchmark.pedantic(template.of_request, setup=fresh, rounds=20_000, warmup_rounds=2_000)
    assert b"0.007" in made


def test_bybit_peer_step_by_step(benchmark: BenchmarkFixture) -> None:
    def fresh() -> tuple[tuple[BybitOrders, OrderRequest, int, int], dict[str, Any]]:
        return (BYBIT, entry(), *ORDER[:2]), {}

    made = benchmark.pedantic(step_by_step, setup=fresh, rounds=20_000, warmup_rounds=2_000)
    assert b"61234.50" in made


def test_peer_decimal_division(benchmark: BenchmarkFixture) -> None:
    tick, price = Decimal("0.10"), Decimal("61234.5")
    assert benchmark(lambda: int(price / tick)) == 612345


def test_bybit_entry(benchmark: BenchmarkFixture) -> None:
    assert b"61234.50" in benchmark(BYBIT.limit, *PROTECTED)


def test_bybit_peer_json(benchmark: BenchmarkFixture) -> None:
    order = order_create("BTCUSDT", "0.10", "0.001", 5000, *PROTECTED)
    assert b"61234.50" in benchmark(lambda: json.dumps(order).encode())


def test_bybit_peer_msgspec(benchmark: BenchmarkFixture) -> None:
    order = order_create("BTCUSDT", "0.10", "0.001", 5000, *PROTECTED)
    encoder = msgspec.json.Encoder()
    assert b"61234.50" in benchmark(encoder.encode, order)


def test_binance_entry(benchmark: BenchmarkFixture) -> None:
    assert b"61234.50" in benchmark(BINANCE.limit, *ORDER)


def test_binance_stop(benchmark: BenchmarkFixture) -> None:
    assert b"61111.10" in benchmark(BINANCE.conditional, *ORDER[:4], False, 611111)


def test_binance_peer_plain(benchmark: BenchmarkFixture) -> None:
    plain = PlainBinance("BTCUSDT", "0.10", "0.001", KEY, SECRET, 5000)
    assert b"61234.50" in benchmark(lambda: json.dumps(plain.place(*ORDER)).encode())


def ccxt_exchange(name: str) -> Any:
    options = {"enableUnifiedAccount": True, "enableUnifiedMargin": False}
    made = getattr(ccxt.pro, name)({"apiKey": KEY, "secret": SECRET.decode(), "options": options})
    market = {
        "id": "BTCUSDT",
        "symbol": SYMBOL,
        "base": "BTC",
        "quote": "USDT",
        "settle": "USDT",
        "type": "swap",
        "swap": True,
        "contract": True,
        "linear": True,
        "contractSize": 1.0,
        "precision": {"amount": 0.001, "price": 0.1},
        "limits": {"amount": {}, "price": {}, "cost": {}},
        "info": {"orderTypes": ["LIMIT", "MARKET"]},
    }
    made.set_markets([made.safe_market_structure(market)])
    return made


def test_bybit_peer_ccxt_request_and_sign(benchmark: BenchmarkFixture) -> None:
    exchange = ccxt_exchange("bybit")
    terms = {
        "timeInForce": "IOC",
        "clientOrderId": ORDER[2],
        "takeProfit": {"triggerPrice": 61333.3},
        "stopLoss": {"triggerPrice": 61111.1},
        "positionIdx": 0,
    }

    def build() -> Any:
        request = exchange.create_order_request(
            SYMBOL, "limit", "buy", 0.007, 61234.5, dict(terms), True
        )
        return exchange.sign("v5/order/create", ["private"], "POST", request)

    assert "61234.5" in benchmark(build)["body"]


def test_binance_peer_ccxt_request_and_sign(benchmark: BenchmarkFixture) -> None:
    exchange = ccxt_exchange("binanceusdm")
    terms = {"timeInForce": "IOC", "clientOrderId": ORDER[2]}

    def build() -> Any:
        request = exchange.create_order_request(SYMBOL, "limit", "buy", 0.007, 61234.5, dict(terms))
        return exchange.sign("order", ["fapiPrivate"], "POST", request)

    assert "61234.5" in benchmark(build)["body"]


class Sink:
    """Takes frames and answers nothing."""

    def __init__(self) -> None:
        self.last = b""

    def send(self, payload: bytes) -> None:
        self.last = payload


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dialect", ["bybit", "binance"])
def test_place(benchmark: BenchmarkFixture, dialect: str, order: str) -> None:
    """Request in, bytes at the link, answer awaited; a bracket of two frames on Binance."""
    loop = asyncio.new_event_loop()
    make = BybitOrderEntry if dialect == "bybit" else BinanceOrderEntry
    session = make(
        {"BTCUSDT": load_catalogue(dialect).find("BTCUSDT")},
        Credentials(KEY, SECRET),
        clock=WallClock(),
        loop=loop,
        settings=OrderEntrySettings(),
    )
    sink = Sink()
    session.opened(sink)
    if dialect == "bybit":
        session.heard(b'{"op":"auth","retCode":0}', 1)

    def fresh() -> tuple[tuple[OrderRequest], dict[str, Any]]:
        session._waiting.clear()
        return (ORDERS[order](),), {}

    benchmark.pedantic(session.place, setup=fresh, rounds=20_000, warmup_rounds=2_000)
    assert b"BTCUSDT" in sink.last
    loop.close()
