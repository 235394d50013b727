"""What stands behind a local venue: accounts, market, clock, timers and faults; no sockets."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

from hfengine.clock import Clock
from hfengine.errors import ConfigError
from hfengine.exchange.core import Exchange
from hfengine.exchange.reports import FillReport, OrderReport
from hfengine.instruments import Instrument, VenueName
from hfengine.localvenue.faults import Faults
from hfengine.localvenue.listings import choose_instruments
from hfengine.localvenue.market import PublicMarket, Ticker
from hfengine.localvenue.notes import Notes
from hfengine.localvenue.ports import ApiKey
from hfengine.localvenue.source import Source
from hfengine.localvenue.sources import open_source, recorded_symbols
from hfengine.localvenue.state import StateFile, StateLost
from hfengine.localvenue.still import Still
from hfengine.localvenue.tape import Candle, PublicTrade
from hfengine.localvenue.timers import Cancel, Timers
from hfengine.seeds import Seed

__all__ = ["Candle", "PublicTrade", "Ticker", "World", "make_world"]

T = TypeVar("T")
Report = Any
"""A report of `Exchange.drain`: OrderReport, FillReport, PositionReport, BalanceChanged, …"""

WALLET_USDT: Final = Decimal(10_000)
TRADES_A_START: Final = 10**9
"""Public trade numbers set aside for one start of a venue."""

OWN_CAUSES: Final = frozenset({"order", "stop", "target"})
"""Causes of a fill that move the last price; a liquidation does not."""
TEST_KEY: Final = ApiKey(
    key="k-test",
    secret=b"s-test",
    account="main",
    passphrase="p-test",  # noqa: S106 - opens a venue that holds no money
)
"""The open key of a venue that holds no money."""


class World:
    """One venue without its protocol. Everything happens on one loop, in the order it comes."""

    def __init__(
        self,
        name: str,
        *,
        instruments: Mapping[str, Instrument],
        seed: Seed,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        source: Source,
        store: StateFile | None = None,
    ) -> None:
        """Make a world, from `store` where it holds one; raises ConfigError if it does not fit."""
        starts = 1 if store is None else store.starts
        self.name = name
        self.instruments = instruments
        self.clock = clock
        self.loop = loop
        self.source = source
        # a later start must not draw the ids of an earlier one again
        self.random: Random = seed.stream("venue" if starts == 1 else f"venue/{starts}")
        self.faults = Faults(seed.stream("faults"))
        self.exchange = _exchange(list(instruments.values()), store)
        self.keys: dict[str, ApiKey] = {}
        self.notes = Notes(None if store is None else store.notes(), self._settle_soon)
        """What the dialect wants to find again after a restart."""
        self.clock_skew_ns = 0
        self.acted = False
        """Whether anything was asked of the exchange since the state was last saved."""
        self.failure: StateLost | None = None
        """Why nothing is served any more: the state could not be written."""
        self._on_failure: list[Callable[[], None]] = []
        self._settling = False
        self._store = store
        self._timers = Timers(loop)
        self.market = PublicMarket(
            self.exchange, instruments, self.now_ns, self._timers, self._collect, self._note_move
        )
        for tape in self.market.tapes.values():
            tape.last_id = (starts - 1) * TRADES_A_START
        self._reports: deque[tuple[str, Report]] = deque()
        self._delivering = False
        self._account_listeners: list[Callable[[str, Report], None]] = []

    # Time

    def now_ns(self) -> int:
        """Return the venue's clock, ns since the epoch, a fault's skew included."""
        return self.clock.now_ns() + self.clock_skew_ns

    def now_ms(self) -> int:
        """Return the venue's clock in ms since the epoch."""
        return (self.clock.now_ns() + self.clock_skew_ns) // 1_000_000

    def every(self, period_s: float, call: Callable[[], None]) -> Cancel:
        """Call every `period_s` until it is called off; missed beats are not made up for."""
        return self._timers.every(period_s, call)

    def later(self, delay_s: float, call: Callable[[], None]) -> Cancel:
        """Call once after `delay_s`."""
        return self._timers.later(delay_s, call)

    def venue_uuid(self) -> str:
        """Return text in the form of a UUID, drawn from the venue's seed."""
        text = f"{self.random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    # Life

    def start(self) -> None:
        """Let the market begin; books and marks that can be known are there at once.

        Raises StateLost when the state file cannot be written.
        """
        if self._store is not None:
            kept = self._store.market()
            self.clock_skew_ns = kept.get("clock_skew_ns", 0)
            self.market.restore(kept)
            self.acted = True
        self.source.start(self.market)
        if not self.settle() and self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """End the market and every timer; safe to call twice."""
        self.source.stop()
        self._timers.close()
        if self._store is not None:
            self._store.close()
            self._store = None

    # Accounts

    def add_key(self, key: ApiKey, wallet_usdt: Decimal = WALLET_USDT) -> None:
        """Let an API key in; its account is opened with this deposit unless it is known.

        Raises ValueError when the key exists or the sum is off.
        """
        if key.key in self.keys:
            msg = f"there is a key {key.key!r} already"
            raise ValueError(msg)
        if key.account not in self.exchange.accounts:
            self.exchange.open_account(key.account, wallet_usdt, self.now_ns())
            self.acted = True
        self.keys[key.key] = key

    def accounts(self) -> list[str]:
        """Return the names of the accounts, in the order they were opened."""
        return list(dict.fromkeys(key.account for key in self.keys.values()))

    def act(self, call: Callable[[int], T]) -> T:
        """Run `call(now_ns)` on the exchange; raises what it raises, VenueRejected above all.

        What it does to accounts is told to the listeners on the next turn of the loop, in order.
        """
        self.acted = True
        try:
            return call(self.now_ns())
        finally:
            self._collect()

    def on_account(self, listener: Callable[[str, Report], None]) -> None:
        """Tell `listener` every report of every account."""
        self._account_listeners.append(listener)

    # Market

    def levels(self, symbol: str, side: int, count: int) -> list[tuple[int, int]]:
        """Return the public book: up to `count` (ticks, steps), best first; side +1 is bids."""
        return self.market.levels(symbol, side, count)

    def version(self, symbol: str) -> int:
        """Return a number that grows with every change of the public book."""
        return self.market.versions[symbol]

    def ticker(self, symbol: str) -> Ticker:
        """Return a symbol's public figures."""
        return self.market.ticker(symbol)

    def recent_trades(self, symbol: str, count: int) -> list[PublicTrade]:
        """Return up to `count` public trades, newest last; a thousand are kept."""
        return self.market.tapes[symbol].recent(count)

    def candles(self, symbol: str, interval_s: int, count: int) -> list[Candle]:
        """Return up to `count` candles of the trades seen, oldest first; whole minutes only."""
        return self.market.tapes[symbol].candles(interval_s, count)

    def next_funding_ns(self, symbol: str) -> int:
        """Return the next time on the symbol's grid of funding times."""
        return self.market.next_funding_ns(symbol, self.now_ns())

    def on_trade(self, listener: Callable[[PublicTrade], None]) -> None:
        """Tell `listener` every public trade, at once."""
        self.market.trade_listeners.append(listener)

    def on_mark(self, listener: Callable[[str], None]) -> None:
        """Tell `listener` the symbol of every new mark price, at once."""
        self.market.mark_listeners.append(listener)

    # What a test or an operator does

    def move(
        self,
        symbol: str,
        ticks: int = 0,
        *,
        to_price: Decimal | None = None,
        over_s: float = 0.0,
    ) -> None:
        """Shift book, trades, mark and index of a symbol, at once or evenly over a time.

        By `ticks`, or by whole ticks so that the mark price comes to `to_price`. A trade at the
        new touch takes the last price along. Raises KeyError for an unknown symbol, ValueError
        when prices would end at or below 0.
        """
        self.acted = True
        self.market.move(symbol, ticks, to_price, over_s)

    def set_mark(self, symbol: str, mark: Decimal | None, index: Decimal | None = None) -> None:
        """Hold mark (and index) price of a symbol at a figure; None lets it follow again.

        A later `move` moves what is held.
        """
        self.acted = True
        self.market.hold_mark(symbol, mark, index)

    def pay_funding(self, symbol: str, rate: Decimal) -> None:
        """Make every holder of a symbol pay (or receive) funding now, at this rate."""
        self.acted = True
        self.market.pay_funding(symbol, rate)

    def set_level(self, symbol: str, side: int, ticks: int, steps: int) -> None:
        """Set one level of a still market's book; raises ValueError for any other market."""
        if not isinstance(self.source, Still):
            msg = f"the book of the {self.source.name} market is not to be written"
            raise ValueError(msg)  # noqa: TRY004 - the argument is fine, the market is another
        self.source.set_level(symbol, side, ticks - self.market.offset_ticks(symbol), steps)

    # Reports

    def settle(self) -> bool:
        """Write down what happened; called before anything of it is said to a client.

        False says that it could not be written: then nothing may be said, now or later.
        """
        if self.failure is not None:
            return False
        if self.acted or self.notes.is_changed:
            if self._store is not None:
                try:
                    self._store.write(self)
                except StateLost as lost:
                    self.failure = lost
                    for call in self._on_failure:
                        call()
                    return False
            self.acted = False
        return True

    def on_failure(self, call: Callable[[], None]) -> None:
        """Call once when the state cannot be written and the venue has to end."""
        self._on_failure.append(call)

    def deliver(self) -> None:
        """Tell the listeners everything that was not told yet, before an orderly end."""
        while self._reports and self.failure is None:
            self._deliver()

    def _settle_soon(self) -> None:
        """Write down on the next turn of the loop what no request stands behind."""
        if self._store is not None and not self._settling:
            self._settling = True
            self.loop.call_soon(self._settle_now)

    def _settle_now(self) -> None:
        self._settling = False
        self.settle()

    def _note_move(self) -> None:
        self.acted = True
        self._settle_soon()

    def market_state(self) -> dict[str, Any]:
        """Return how prices and clock were moved and held, for the state file."""
        return {"clock_skew_ns": self.clock_skew_ns, **self.market.state()}

    def _collect(self) -> None:
        reports = self.exchange.drain()
        if not reports:
            return
        self.acted = True
        for entry in reports:
            self._reports.append(entry)
            self._note_public(entry[1])
        if not self._delivering:
            self._delivering = True
            self.loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Tell the listeners what came since; what they cause is told on the next turn."""
        self._delivering = False
        if not self.settle():
            return
        reports, self._reports = self._reports, deque()
        for account, report in reports:
            if type(report) is FillReport:
                self._print_fill(report)
            for listener in self._account_listeners:
                listener(account, report)

    def _note_public(self, report: Report) -> None:
        """Count what an account did to the public book as a change of it."""
        if type(report) is OrderReport:
            self.market.versions[report.update.symbol] += 1
        elif type(report) is FillReport:
            self.market.versions[report.fill.symbol] += 1

    def _print_fill(self, report: FillReport) -> None:
        """Show a taker's fill to the public; a maker's is the other side of a print there."""
        fill = report.fill
        if not fill.maker and fill.cause in OWN_CAUSES:
            self.market.print_fill(fill.symbol, fill.price, fill.quantity, fill.side, fill.at_ns)


def make_world(
    dialect_name: VenueName,
    *,
    loop: asyncio.AbstractEventLoop,
    clock: Clock,
    symbols: Sequence[str] = (),
    seed: int = 1,
    wallet_usdt: Decimal = WALLET_USDT,
    feed: str = "still",
    speed: float = 1.0,
    listings: int = 0,
    keys: Sequence[ApiKey] = (TEST_KEY,),
    state: Path | None = None,
) -> World:
    """Return a started world of one venue with its accounts open.

    `symbols` default to all of the venue's catalogue (of a replay: to what was recorded);
    `listings` adds that many invented instruments; `state` is the file that keeps everything.
    Raises ConfigError for an unknown symbol or feed or a state of another venue, FeedError for a
    recording that cannot be read.
    """
    root = Seed(seed)
    instruments = choose_instruments(dialect_name, symbols, listings, recorded_symbols(feed))
    source = open_source(feed, instruments, seed=seed, speed=speed, loop=loop, clock=clock)
    store = None if state is None else StateFile(state, dialect_name)
    world = World(
        dialect_name,
        instruments=instruments,
        seed=root,
        loop=loop,
        clock=clock,
        source=source,
        store=store,
    )
    try:
        for key in keys:
            world.add_key(key, wallet_usdt)
    except ValueError as error:
        world.close()
        raise ConfigError([f"--account: {error}"]) from error
    for key in () if store is None else store.keys():
        if key.key not in world.keys:
            world.add_key(key)
    world.start()
    return world


def _exchange(instruments: Sequence[Instrument], store: StateFile | None) -> Exchange:
    dumped = None if store is None else store.dumped()
    if store is None or dumped is None:
        return Exchange(instruments, detailed=True)
    try:
        return Exchange.restore(instruments, dict(dumped), detailed=True)
    except ValueError as error:
        store.close()
        problem = f"--state {store.path}: {error}; start with the symbols and listings it had"
        raise ConfigError([problem]) from error
