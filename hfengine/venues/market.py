"""Market data alone: which feed serves an exchange, and the grid its frames are on."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from random import Random
from typing import Any, Final, Literal, NamedTuple, Protocol

import msgspec

from hfengine.errors import ConfigError, VenueUnavailable
from hfengine.runtime.hosts import ActorHost
from hfengine.venues.port import Tell

GRID_TIMEOUT_S: Final = 5.0
PLAYED_AT: Final = re.compile(r"https?://[^\s/@]+/?")

NATIVE: Final = ("binance", "bybit")
"""Exchanges with a native feed; all others go through ccxt.pro."""


class Market(Protocol):
    """The market half of a venue."""

    def connect_market(self, market: Tell) -> None:
        """Start the streams: frames or ticks, and feed faults, go to `market`."""

    async def snapshot(self, symbol: str) -> bytes | None:
        """Make sure that a book comes: its bytes, or None when the stream brings it."""

    def report(self) -> list[dict[str, Any]]:
        """Return each connection's state and counters."""

    def stop(self) -> None:
        """Close the streams for good."""


class Grid(NamedTuple):
    """The steps a symbol's prices and quantities are multiples of."""

    price_tick: Decimal
    quantity_step: Decimal


Dialect = Literal["binance", "bybit", "ticks"]


def open_market(
    exchange: str,
    symbols: Sequence[str],
    *,
    host: ActorHost,
    random: Random,
    url: str = "",
    rest_url: str = "",
) -> tuple[Market, Dialect]:
    """Return an exchange's feed, not yet connected, and what it delivers.

    `url` replaces the venue's socket address, `rest_url` its REST address (by default the same
    host). Raises VenueUnavailable for an exchange that neither hfengine nor ccxt.pro knows.
    """
    if exchange == "bybit":
        from hfengine.venues import bybit_market  # noqa: PLC0415 - sockets only where needed

        address = url or bybit_market.MAINNET
        return bybit_market.BybitMarket(symbols, host=host, random=random, url=address), "bybit"
    if exchange == "binance":
        from hfengine.venues import binance_market  # noqa: PLC0415 - as above

        return (
            binance_market.BinanceMarket(
                symbols,
                host=host,
                random=random,
                url=url or binance_market.MAINNET,
                rest_url=rest_url or rest_of(exchange, url),
            ),
            "binance",
        )
    from hfengine.venues.ccxt_market import CcxtMarket, open_exchange  # noqa: PLC0415 - as above

    return CcxtMarket(open_exchange(exchange), symbols, host=host, random=random), "ticks"


def played_at(live: str) -> tuple[str, str]:
    """Return exchange and socket address of EXCHANGE[@http://HOST:PORT]; '' is its own address.

    Raises ConfigError for an address that is none.
    """
    exchange, at, address = live.partition("@")
    if not at:
        return exchange, ""
    if not PLAYED_AT.fullmatch(address):
        problem = f"--feed live:{live}: an address is written like @http://127.0.0.1:8601"
        raise ConfigError([problem])
    return exchange, "ws" + address.removeprefix("http").rstrip("/")


def rest_of(exchange: str, url: str) -> str:
    """Return the REST address that belongs to a socket address; '' means the venue's own."""
    if url:
        return "http" + url.removeprefix("ws")
    own = {"bybit": "https://api.bybit.com", "binance": "https://fapi.binance.com"}
    return own[exchange]


async def read_grids(exchange: str, rest_url: str, symbols: Sequence[str]) -> dict[str, Grid]:
    """Read the symbols' grids from the venue; one it does not list is left out.

    Raises VenueUnavailable when they cannot be had.
    """
    import aiohttp  # noqa: PLC0415 - costs memory and start-up; only live feeds need it

    address = rest_url.rstrip("/")
    if exchange == "bybit":
        queries = [f"/v5/market/instruments-info?category=linear&symbol={s}" for s in symbols]
    else:
        queries = ["/fapi/v1/exchangeInfo"]
    patience = aiohttp.ClientTimeout(total=GRID_TIMEOUT_S)
    bodies = []
    try:
        async with aiohttp.ClientSession(timeout=patience, raise_for_status=True) as http:
            for query in queries:
                async with http.get(address + query) as answer:
                    bodies.append(await answer.read())
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        msg = f"instruments from {address}: {error or type(error).__name__}"
        raise VenueUnavailable(msg) from error
    try:
        return {
            row["symbol"]: _grid(exchange, row)
            for listed in map(msgspec.json.decode, bodies)
            for row in (listed["result"]["list"] if exchange == "bybit" else listed["symbols"])
            if row["symbol"] in symbols
        }
    except (msgspec.DecodeError, KeyError, TypeError, InvalidOperation) as error:
        msg = f"instruments from {address}: not the expected form: {error!r}"
        raise VenueUnavailable(msg) from error


def _grid(exchange: str, row: Mapping[str, Any]) -> Grid:
    if exchange == "bybit":
        price, quantity = row["priceFilter"]["tickSize"], row["lotSizeFilter"]["qtyStep"]
    else:
        filters = {entry["filterType"]: entry for entry in row["filters"]}
        price, quantity = filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"]
    return Grid(Decimal(price), Decimal(quantity))
