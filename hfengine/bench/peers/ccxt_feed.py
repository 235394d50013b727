"""ccxt.pro's own handling of market frames: its client and exchange objects, without a socket.

Everything a frame goes through from the websocket's payload on is ccxt's unmodified code: JSON,
`handle_message`, the order book or trade cache, the futures that wake a `watch_*`. Only what would
reach for the network is given: one market, the book's snapshot, and a client that is connected.
"""

import asyncio
from typing import Any

import ccxt.pro as ccxt  # type: ignore[import-untyped]
from ccxt.async_support.base.ws.client import Client  # type: ignore[import-untyped]

from hfengine.bench.peers.frames import SYMBOL, Stream

UNIFIED = "BTC/USDT:USDT"
URLS = {
    "bybit": "wss://stream.bybit.com/v5/public/linear",
    "binanceusdm": "wss://fstream.binance.com/public/ws",
}

Levels = list[tuple[float, float]]


class CcxtFeed:
    """One ccxt.pro exchange with one market and one client that believes it is connected.

    Make it inside a running event loop, as ccxt.pro demands.
    """

    def __init__(self, name: str) -> None:
        self.exchange: Any = make_exchange(name)
        self.client: Any = Client(
            URLS[name], self.exchange.handle_message, _raise, _raise, _ignore, {"options": {}}
        )
        self.client.asyncio_loop = asyncio.get_running_loop()

    def decode(self, payload: bytes) -> None:
        """Do what ccxt.pro does with one websocket message, from its bytes on."""
        self.client.handle_text_or_binary_message(payload)

    def handle(self, parsed: Any) -> None:
        """Do what ccxt.pro does with one message that is parsed already."""
        self.exchange.handle_message(self.client, parsed)

    def restart(self, stream: Stream) -> None:
        """Start a book anew from the stream's snapshot."""
        if self.exchange.id == "bybit":
            self.decode(stream.snapshot)
            return
        fetched = self.exchange.parse_json(stream.snapshot.decode())
        book = self.exchange.parse_order_book(fetched, UNIFIED, None, "bids", "asks")
        book["nonce"] = fetched["lastUpdateId"]
        self.exchange.orderbooks[UNIFIED] = self.exchange.order_book(book, 1000)

    def levels(self) -> tuple[Levels, Levels]:
        """Return the bids and asks as (price, quantity), best first."""
        book = self.exchange.orderbooks[UNIFIED]
        bids, asks = ([(level[0], level[1]) for level in book[side]] for side in ("bids", "asks"))
        return bids, asks

    def trades(self) -> list[tuple[float, float]]:
        """Return (price, quantity) of the trades it keeps, oldest first."""
        return [(trade["price"], trade["amount"]) for trade in self.exchange.trades[UNIFIED]]


def make_exchange(name: str) -> Any:
    """Return a ccxt.pro exchange that knows one perpetual and never asks the network."""
    exchange = getattr(ccxt, name)(
        {"apiKey": "bench-key", "secret": "bench-secret", "enableRateLimit": False}
    )
    market = {
        "id": SYMBOL,
        "symbol": UNIFIED,
        "base": "BTC",
        "quote": "USDT",
        "settle": "USDT",
        "baseId": "BTC",
        "quoteId": "USDT",
        "settleId": "USDT",
        "type": "swap",
        "spot": False,
        "margin": False,
        "swap": True,
        "future": False,
        "option": False,
        "active": True,
        "contract": True,
        "linear": True,
        "inverse": False,
        "contractSize": 1.0,
        "precision": {"amount": 0.001, "price": 0.1},
        "limits": {"amount": {"min": 0.001, "max": 1000.0}, "cost": {"min": 5.0}},
    }
    exchange.set_markets([exchange.safe_market_structure(market)])
    # a unified account, as `create_order` would otherwise ask the venue about it
    exchange.options.update({"enableUnifiedAccount": True, "enableUnifiedMargin": False})
    exchange.options["unifiedMarginStatus"] = 6
    return exchange


def _raise(_client: Any, error: Any) -> None:
    raise RuntimeError(f"ccxt.pro's client failed in a comparison: {error!r}")


def _ignore(_client: Any) -> None:
    """Hear that the client is connected."""
