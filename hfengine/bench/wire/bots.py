"""Minimal bots on ccxt.pro, as a person would write them: a book comes in, an order goes out."""

import asyncio
from collections.abc import Callable
from typing import Any

from hfengine.bench.wire.kinds import Kind
from hfengine.errors import VenueUnavailable

QUANTITY = 0.01
READY_MARGIN = {
    "enableUnifiedMargin": False,
    "enableUnifiedAccount": True,
    "unifiedMarginStatus": 6,
}
"""What ccxt would ask the venue before its first order (VENUES 1.2)."""


def exchange_at(port: int, base: str, quote: str) -> Any:
    """Return ccxt.pro's Bybit client pointed at a loopback port, its one market preset."""
    import ccxt.pro  # type: ignore[import-untyped]  # noqa: PLC0415 - a second to import, and only these bots need it

    http, ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    streams = {
        "public": {"linear": f"{ws}/v5/public/linear"},
        "private": {"contract": f"{ws}/v5/private", "trade": f"{ws}/v5/trade"},
    }
    exchange = ccxt.pro.bybit(
        {
            "apiKey": "wire",
            "secret": "wire",
            "enableRateLimit": False,
            "urls": {"api": {"public": http, "private": http, "ws": streams}},
            "options": {"fetchMarkets": {"types": ["linear"]}, **READY_MARGIN},
        }
    )
    exchange.set_markets([_market(exchange, base, quote)])
    return exchange


def _market(exchange: Any, base: str, quote: str) -> Any:
    return exchange.safe_market_structure(
        {
            "id": base + quote,
            "symbol": f"{base}/{quote}:{quote}",
            "base": base,
            "quote": quote,
            "settle": quote,
            "baseId": base,
            "quoteId": quote,
            "settleId": quote,
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
            "taker": 0.00055,
            "maker": 0.0002,
            "precision": {"amount": 0.001, "price": 0.1},
            "limits": {"leverage": {"min": 1.0, "max": 100.0}},
        }
    )


async def _trade(exchange: Any, symbol: str, *, rest: bool) -> None:
    create = exchange.create_order if rest else exchange.create_order_ws
    while True:
        book = await exchange.watch_order_book(symbol)
        bid, ask = book["bids"][0], book["asks"][0]
        side, price = ("buy", ask[0]) if bid[1] > ask[1] else ("sell", bid[0])
        await create(symbol, "limit", side, QUANTITY, price, {"timeInForce": "IOC"})


async def _watch(exchange: Any, symbol: str) -> None:
    """Watch all three streams at once: their frames share one connection."""

    async def forever(watch: Any) -> None:
        while True:
            await watch(symbol)

    watches = (exchange.watch_order_book, exchange.watch_trades, exchange.watch_ticker)
    await asyncio.gather(*(forever(watch) for watch in watches))


def run_bot(
    port: int, loop: asyncio.AbstractEventLoop, kind: Kind, settle: Callable[[], None]
) -> None:
    """Trade ("ccxt_ws", "ccxt_rest") or only watch ("ccxt_watch") until the venue closes.

    `settle` runs once the first book is there.
    """
    import ccxt  # noqa: PLC0415 - as above

    async def run() -> None:
        exchange = exchange_at(port, "BTC", "USDT")
        symbol = "BTC/USDT:USDT"
        try:
            await exchange.watch_order_book(symbol)
            settle()
            if kind == "ccxt_watch":
                await _watch(exchange, symbol)
            else:
                await _trade(exchange, symbol, rest=kind == "ccxt_rest")
        except ccxt.NetworkError as error:
            raise VenueUnavailable(str(error)) from error
        finally:
            await exchange.close()

    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(run())
    except VenueUnavailable:
        return  # the venue closed: the run is over
