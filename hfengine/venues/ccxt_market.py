"""Market data of any exchange through ccxt.pro: its watch calls in, the engine's own ticks out.

Slower and less strict than a native feed: ccxt applies the book itself, mostly without checking the
venue's sequence numbers, and hands over what is newest, so updates between two looks are merged.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from math import nan
from random import Random
from typing import Any, Final, NamedTuple

from msgspec import Struct

from hfengine.errors import ConfigError, VenueUnavailable
from hfengine.messages import BookTick, FeedFault, MarkTick, Message, TradeTick
from hfengine.runtime.hosts import ActorHost
from hfengine.venues.feed_faults import DISCONNECTED, GAP, REFUSED_TOPIC, SILENT
from hfengine.venues.port import Tell

IMBALANCE_LEVELS: Final = 5

DOUBLINGS_MAX: Final = 20
"""Pauses grow no further; reached at once by a refusal."""

NUMBER_MAX: Final = 2**60 - 1
DIGITS_MAX: Final = 18
"""10^18 lies below 2^60."""

TIME_MAX_MS: Final = (2**63 - 1) // 1_000_000

FUNDING_KEYS: Final = ("fundingRate", "r", "funding_rate", "lastFundingRate")
NEXT_FUNDING_KEYS: Final = ("nextFundingTime", "T", "next_funding_time")
"""Where the exchanges' own tickers hold what ccxt's unified ticker leaves out."""


class CcxtSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the watch calls are watched over."""

    book_limit: int | None = None
    """Levels to ask for; None is the exchange's default. Exchanges refuse other numbers than
    their own."""
    stale_after_s: float = 15.0
    """A book without news for so long is faulty; twice in a row the connections are closed."""
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    subscribe_every_s: float = 0.125
    """Pause between two subscriptions. Exchanges cut a connection that sends faster than they
    allow; the least generous here is Bitget with 10 messages a second, pings included."""


class _Market(NamedTuple):
    """One symbol here and there. `contract` is the base quantity of one contract."""

    symbol: str
    unified: str
    contract: float


class _Errors(NamedTuple):
    network: tuple[type[Exception], ...]
    checksum: tuple[type[Exception], ...]
    any: type[Exception]


UNREADABLE: Final = "unreadable"
"""The exchange class broke, or gave what is no book, trade or mark: `FeedFault.fault`."""

Watch = Callable[["_Market"], Awaitable[None]]


class CcxtMarket:
    """The market half of a venue over one ccxt.pro exchange object.

    Three loops a symbol: book, trades, marks. A network error is told, and tried again after a
    growing, jittered pause, and so is any error that is none of ccxt's own; a refusal is named and
    tried again after the longest pause.
    """

    def __init__(
        self,
        exchange: Any,
        symbols: Sequence[str],
        *,
        host: ActorHost,
        random: Random,
        settings: CcxtSettings | None = None,
    ) -> None:
        """Take over an exchange object: it is closed by `stop`.

        Symbols are the exchange's own ids of linear swaps ("BTCUSDT") or ccxt's ("BTC/USDT:USDT").
        """
        self.exchange = exchange
        self.host = host
        self.symbols = list(symbols)
        self.settings = settings or CcxtSettings()
        self.reconnects = 0
        self._random = random
        self._market: Tell | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._stop_asked = asyncio.Event()
        self._errors = _errors()
        self._updates = 0
        self._last_reason = ""
        self._silences: dict[str, int] = {}
        self._next_turn_ns = 0

    def connect_market(self, market: Tell) -> None:
        """Start the loops: ticks and faults go to `market`."""
        self._market = market
        self._spawn("markets", self._begin())

    def stop(self) -> None:
        """End the loops and close the exchange; the host's shutdown waits for both."""
        if self._stopping:
            return
        self._stopping = True
        self._stop_asked.set()
        for task in self._tasks:
            task.cancel()
        self._spawn("close", self._close())

    async def snapshot(self, symbol: str) -> bytes | None:
        """Return None: the next update is a whole book; VenueUnavailable for an unknown symbol."""
        if symbol not in self.symbols:
            msg = f"{symbol} is not watched"
            raise VenueUnavailable(msg)
        return None

    def report(self) -> list[dict[str, Any]]:
        """Return the state of all loops together, in the form of the native feeds'."""
        return [
            {
                "name": f"ccxt {self.exchange.id}",
                "open": bool(self._tasks) and not self._stopping,
                "frames": self._updates,
                "reconnects": self.reconnects,
                "last_reason": self._last_reason,
            }
        ]

    async def _close(self) -> None:
        await self.exchange.close()

    async def _begin(self) -> None:
        """Load the markets, then start a loop for everything there is to watch."""
        failures = 0
        while True:
            try:
                await self.exchange.load_markets()
                break
            except Exception as error:  # noqa: BLE001 - any bug of an exchange class
                self._fault_all(DISCONNECTED, f"no list of markets: {_sentence(error)}")
                failures += 1
                await self._pause(failures)
        for symbol in self.symbols:
            market = self._resolve(symbol)
            if market is None:
                detail = f"{self.exchange.id} has no linear swap {symbol}"
                self._fault(symbol, REFUSED_TOPIC, detail)
                continue
            for name, watch in self._watches().items():
                self._spawn(f"{name} {symbol}", self._watch(name, watch, market))

    def _watches(self) -> dict[str, Watch]:
        offers = self.exchange.has
        watches: dict[str, Watch] = {"book": self._book, "trades": self._trades}
        if offers.get("watchMarkPrice"):
            watches["marks"] = self._mark_price
        elif offers.get("watchTicker"):
            watches["marks"] = self._ticker
        return watches

    def _resolve(self, symbol: str) -> _Market | None:
        for unified, market in self.exchange.markets.items():
            if unified == symbol or (
                market.get("id") == symbol and market.get("swap") and market.get("linear")
            ):
                return _Market(symbol, unified, float(market.get("contractSize") or 1.0))
        return None

    async def _watch(self, name: str, watch: Watch, market: _Market) -> None:
        """Call one watch for ever; what it raises is told and answered with a pause."""
        failures = 0
        subscribes = True
        while not self._stopping:
            try:
                if subscribes:
                    await self._turn()
                await watch(market)
                failures = 0
                subscribes = False
                continue
            except asyncio.CancelledError:
                task = asyncio.current_task()
                # ccxt cancels its waiters when its client closes: that is not our end.
                if self._stopping or (task is not None and task.cancelling()):
                    raise
                fault, detail = DISCONNECTED, "the exchange's client was closed"
            except self._errors.checksum as error:
                fault, detail = GAP, _sentence(error)
            except self._errors.network as error:
                fault, detail = DISCONNECTED, _sentence(error)
            except self._errors.any as error:
                fault, detail = REFUSED_TOPIC, _sentence(error)
                failures = DOUBLINGS_MAX
            except Exception as error:  # noqa: BLE001 - any bug of an exchange class
                fault, detail = UNREADABLE, _sentence(error)
            failures += 1
            subscribes = True
            self.reconnects += fault == DISCONNECTED
            self._fault(market.symbol, fault, f"{name}: {detail}")
            # the same gap may be told again at once, for as long as no new book has come
            if fault != GAP or failures > 1:
                await self._pause(failures)

    async def _book(self, market: _Market) -> None:
        settings = self.settings
        try:
            async with asyncio.timeout(settings.stale_after_s):
                book = await self.exchange.watch_order_book(market.unified, settings.book_limit)
        except TimeoutError:
            await self._silent(market)
            return
        self._silences.pop(market.symbol, None)
        at_ns = self.host.clock.now_ns()
        # The book is ccxt's live object: what is needed is copied out before anything else runs.
        bids = [(_number(row[0]), _number(row[1])) for row in book["bids"][:IMBALANCE_LEVELS]]
        asks = [(_number(row[0]), _number(row[1])) for row in book["asks"][:IMBALANCE_LEVELS]]
        bid, bid_contracts = bids[0] if bids else (nan, nan)
        ask, ask_contracts = asks[0] if asks else (nan, nan)
        bid_sum, ask_sum = sum(q for _, q in bids), sum(q for _, q in asks)
        whole = bid_sum + ask_sum
        self._updates += 1
        self._tell(
            BookTick(
                market.symbol,
                at_ns,
                _time_ms(book.get("timestamp") or at_ns // 1_000_000),
                int(book.get("nonce") or self._updates) & NUMBER_MAX,
                bid,
                bid_contracts * market.contract,
                ask,
                ask_contracts * market.contract,
                (bid_sum - ask_sum) / whole if whole > 0 else 0.0,
            )
        )

    async def _silent(self, market: _Market) -> None:
        again = self._silences.get(market.symbol, 0) + 1
        self._silences[market.symbol] = again
        seconds = f"nothing for {self.settings.stale_after_s:g} s"
        self._fault(market.symbol, SILENT, seconds)
        if again >= 2:
            self._silences.clear()
            await self.exchange.close()

    async def _trades(self, market: _Market) -> None:
        # With newUpdates the list holds only what is new since the last call.
        trades = list(await self.exchange.watch_trades(market.unified))
        at_ns = self.host.clock.now_ns()
        for trade in trades:
            self._tell(
                TradeTick(
                    market.symbol,
                    at_ns,
                    _time_ms(trade.get("timestamp") or at_ns // 1_000_000),
                    _trade_number(trade.get("id")),
                    _number(trade.get("price")),
                    _number(trade.get("amount")) * market.contract,
                    {"buy": 1, "sell": -1}.get(trade.get("side") or "", 0),
                )
            )

    async def _mark_price(self, market: _Market) -> None:
        self._tell_mark(market, await self.exchange.watch_mark_price(market.unified))

    async def _ticker(self, market: _Market) -> None:
        self._tell_mark(market, await self.exchange.watch_ticker(market.unified))

    def _tell_mark(self, market: _Market, ticker: Mapping[str, Any]) -> None:
        own = ticker.get("info") or {}
        # some exchange classes leave their own figures where they were (bitget)
        mark = ticker.get("markPrice") or own.get("markPrice")
        if not mark:
            return
        funding = next((own[key] for key in FUNDING_KEYS if own.get(key)), 0.0)
        due_ms = next((own[key] for key in NEXT_FUNDING_KEYS if own.get(key)), 0)
        self._tell(
            MarkTick(
                market.symbol,
                self.host.clock.now_ns(),
                _number(mark),
                _number(ticker.get("indexPrice") or own.get("indexPrice") or mark),
                _number(funding),
                _time_ms(due_ms) * 1_000_000,
            )
        )

    def _tell(self, message: Message) -> None:
        if self._market is not None and not self._stopping:
            self._market(message)

    def _fault(self, symbol: str, fault: str, detail: str) -> None:
        at_ns = self.host.clock.now_ns()
        self._last_reason = f"{fault}: {detail}"
        self._tell(FeedFault(symbol, at_ns, fault, f"ccxt {self.exchange.id}", 0, detail))

    def _fault_all(self, fault: str, detail: str) -> None:
        for symbol in self.symbols:
            self._fault(symbol, fault, detail)

    async def _pause(self, failures: int) -> None:
        settings = self.settings
        doublings = min(failures - 1, DOUBLINGS_MAX)
        longest_s = min(settings.backoff_max_s, settings.backoff_first_s * 2**doublings)
        await self._wait(longest_s * self._random.uniform(0.5, 1.0))

    async def _turn(self) -> None:
        """Wait until it is this caller's turn to subscribe."""
        now_ns = self.host.clock.now_ns()
        turn_ns = max(now_ns, self._next_turn_ns)
        self._next_turn_ns = turn_ns + round(self.settings.subscribe_every_s * 1e9)
        if turn_ns > now_ns:
            await self._wait((turn_ns - now_ns) / 1e9)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop_asked.wait()
        except TimeoutError:
            return

    def _spawn(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        task = self.host.loop.create_task(loop, name=f"ccxt {self.exchange.id} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        if self._stopping:
            self.host.tasks.add(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.host.tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._fault_all(DISCONNECTED, f"{task.get_name()} ended: {error!r}")
            self.host.loop.call_exception_handler(
                {"message": f"{task.get_name()} ended", "exception": error, "task": task}
            )


def open_exchange(exchange_id: str, options: Mapping[str, Any] | None = None) -> Any:
    """Return a ccxt.pro exchange object without keys; raises ConfigError for an unknown id."""
    pro = import_module("ccxt.pro")  # a second and 100 MiB: only for those who need it
    if exchange_id not in pro.exchanges:
        near = get_close_matches(exchange_id, pro.exchanges, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else "see ccxt.pro.exchanges"
        raise ConfigError([f"ccxt.pro has no exchange {exchange_id!r}: {hint}"])
    return getattr(pro, exchange_id)({"newUpdates": True, **(options or {})})


def _errors() -> _Errors:
    errors = import_module("ccxt.base.errors")
    network = (errors.NetworkError, errors.ExchangeClosedByUser)
    # bitget's class unsubscribes from a book whose checksum is wrong, and says only that
    return _Errors(network, (errors.ChecksumError, errors.UnsubscribeError), errors.BaseError)


def _number(text: Any) -> float:
    return nan if text is None else float(text)


def _time_ms(told: Any) -> int:
    """Return a time in ms since the epoch; raises ValueError for one that no int64 of ns holds."""
    at_ms = int(told)
    if not 0 <= at_ms <= TIME_MAX_MS:
        msg = "a time before 1970 or after 2262"
        raise ValueError(msg)
    return at_ms


def _trade_number(name: Any) -> int:
    """Return a trade's id as a number below 2^60: its last 18 digits, or 7 bytes when it is text.

    The journal's MessagePack has no integer beyond 64 bits.
    """
    text = str(name or "0")[-DIGITS_MAX:]
    if text.isdecimal():
        return int(text)
    return int.from_bytes(text.encode(errors="replace")[-7:], "big")


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
