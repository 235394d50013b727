"""`hfengine watch`: live market data as the engine sees it, without trading."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from math import nan
from typing import Annotated, Any, cast

import msgspec
import typer
from msgspec.structs import replace

from hfengine.actors.market_data import MarketData
from hfengine.actors.tally import DayResult, Tally
from hfengine.actors.wiring import Wiring
from hfengine.cli.durations import parse_duration_s
from hfengine.cli.streams import occupy_missing
from hfengine.errors import ConfigError, ExitCode, VenueUnavailable
from hfengine.instruments import Instrument, VenueName, load_catalogue
from hfengine.kernels.histogram import Histogram
from hfengine.messages import (
    BookSync,
    BookTick,
    FeedFault,
    MarkTick,
    Report,
    SnapshotFailed,
    Start,
    Timer,
    TradeTick,
)
from hfengine.runtime.actor import LoopActor, handles
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.loops import new_live_loop
from hfengine.runtime.stages import Stages
from hfengine.seeds import Numbers, OrderIds, Seed
from hfengine.settings import Settings
from hfengine.topology import HEARERS
from hfengine.venues.market import (
    NATIVE,
    Dialect,
    Market,
    open_market,
    read_grids,
    rest_of,
)
from hfengine.venues.port import Venue

PRINT_EVERY_NS = 1_000_000_000
SEED = 1

CAVEAT = (
    "latency is this machine's clock minus the venue's send time: the offset between the two "
    "clocks is in it"
)


class _Seen:
    """What was seen of one symbol."""

    def __init__(self) -> None:
        self.synced = False
        self.sync_losses = 0
        self.bid = self.ask = nan
        self.updates = self.trades = self.marks = 0
        self.latency = Histogram()
        self.faults: dict[str, int] = {}
        self.last_trouble = ""

    def row(self, seconds: float) -> dict[str, Any]:
        """Return the figures as JSON has them; nan becomes null there."""
        measured = self.latency.count > 0
        return {
            "synced": self.synced,
            "bid": self.bid,
            "ask": self.ask,
            "updates": self.updates,
            "updates_per_s": round(self.updates / seconds, 1) if seconds > 0 else 0.0,
            "trades": self.trades,
            "marks": self.marks,
            "latency_ms": {
                name: round(self.latency.quantile(share) / 1e6, 3) if measured else None
                for name, share in (("p50", 0.5), ("p99", 0.99))
            },
            "ahead_of_clock": self.latency.clamped,
            "sync_losses": self.sync_losses,
            "faults": self.faults,
            "last_trouble": self.last_trouble,
        }


class Watcher(LoopActor):
    """Counts what market data says; prints a line a symbol every second, unless quiet.

    `on_unprintable` hears why nothing can be printed any more; counting goes on.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        *,
        quiet: bool,
        on_unprintable: Callable[[OSError], None],
    ) -> None:
        super().__init__()
        self._on_unprintable = on_unprintable
        self._seen = {symbol: _Seen() for symbol in symbols}
        self._elsewhere = _Seen()
        self._quiet = quiet
        self._started_ns = self.clock.now_ns()

    def on_start(self) -> None:
        """Begin printing."""
        self.tell_every_ns(PRINT_EVERY_NS, Timer("print"))

    def _of(self, symbol: str) -> _Seen:
        return self._seen.get(symbol, self._elsewhere)

    @handles(BookTick)
    def on_book(self, tick: BookTick) -> None:
        """Count a top and how old it was when its bytes were read."""
        seen = self._of(tick.symbol)
        seen.updates += 1
        seen.bid, seen.ask = tick.bid, tick.ask
        seen.latency.record(tick.at_ns - tick.exchange_ms * 1_000_000)

    @handles(TradeTick)
    def on_trade(self, tick: TradeTick) -> None:
        """Count a trade."""
        self._of(tick.symbol).trades += 1

    @handles(MarkTick)
    def on_mark(self, tick: MarkTick) -> None:
        """Count a mark."""
        self._of(tick.symbol).marks += 1

    @handles(BookSync)
    def on_sync(self, sync: BookSync) -> None:
        """Follow whether the book is whole."""
        seen = self._of(sync.symbol)
        seen.sync_losses += seen.synced and not sync.synced
        seen.synced = sync.synced

    @handles(FeedFault)
    def on_fault(self, fault: FeedFault) -> None:
        """Count a fault and keep its words."""
        seen = self._of(fault.symbol)
        seen.faults[fault.fault] = seen.faults.get(fault.fault, 0) + 1
        seen.last_trouble = f"{fault.fault}: {fault.detail}"

    @handles(SnapshotFailed)
    def on_no_snapshot(self, failed: SnapshotFailed) -> None:
        """Keep why there is no book."""
        self._of(failed.symbol).last_trouble = failed.reason

    @handles(Timer)
    def on_timer(self, _timer: Timer) -> None:
        """Print where each symbol stands."""
        if self._quiet:
            return
        try:
            for symbol, row in self._rows().items():
                typer.echo(_line(symbol, row))
        except OSError as error:
            self._quiet = True
            self._on_unprintable(error)

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with every symbol's figures."""
        return {
            "seconds": round(self._seconds(), 3),
            "symbols": self._rows(),
            "other_faults": self._elsewhere.faults,
        }

    def _seconds(self) -> float:
        return (self.clock.now_ns() - self._started_ns) / 1e9

    def _rows(self) -> dict[str, dict[str, Any]]:
        seconds = self._seconds()
        return {symbol: seen.row(seconds) for symbol, seen in self._seen.items()}


def watch(
    exchange: Annotated[
        str, typer.Option(help="bybit and binance natively; any other id through ccxt.pro.")
    ] = "bybit",
    symbol: Annotated[
        list[str] | None, typer.Option(help="Symbol as the exchange writes it; repeatable.")
    ] = None,
    url: Annotated[
        str, typer.Option(help="Another socket address, for example ws://127.0.0.1:8601.")
    ] = "",
    rest_url: Annotated[
        str, typer.Option(help="Another REST address; by default the host of --url.")
    ] = "",
    duration: Annotated[
        str, typer.Option(help="How long, for example 10s; until Ctrl-C by default.")
    ] = "",
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object at the end, nothing else.")
    ] = False,
) -> None:
    """Show live books, trades and marks, their latency, reconnects and faults. Trades nothing.

    Example: hfengine watch --exchange binance --symbol BTCUSDT --duration 10s

    Exit codes: 0 every book was whole at the end; 1 what is printed cannot be written any more; 2 a
    problem in the options; 5 some book was not.
    """
    ends_s = parse_duration_s(duration) if duration else None
    symbols = list(dict.fromkeys(symbol or ["BTCUSDT"]))
    problems = []
    if url:
        from hfengine.venues.link import check_socket_url  # noqa: PLC0415 - sockets, as for feeds

        try:
            check_socket_url(url)
        except ConfigError as error:
            problems += [f"--url {problem}" for problem in error.problems]
    if url and exchange not in NATIVE:
        problems.append(f"--url works with {' and '.join(NATIVE)} only")
    if problems:
        raise ConfigError(problems)
    occupy_missing()
    with asyncio.Runner(loop_factory=new_live_loop) as runner:
        seen = runner.run(_watch(exchange, symbols, url, rest_url, ends_s, quiet=json_))
    if json_:
        typer.echo(msgspec.json.encode(seen).decode())
    else:
        _print(seen)
    missing = [name for name, row in seen["symbols"].items() if not row["synced"]]
    if missing:
        reasons = {str(seen["symbols"][name]["last_trouble"]) for name in missing} - {""}
        because = "; ".join(sorted(reasons)) or "the venue sent none"
        typer.echo(f"hfengine: no whole book of {', '.join(missing)}: {because}", err=True)
        raise typer.Exit(ExitCode.FEED)


async def _watch(
    exchange: str,
    symbols: list[str],
    url: str,
    rest_url: str,
    ends_s: float | None,
    *,
    quiet: bool,
) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    host = ActorHost(loop, system="watch")
    unprintable: asyncio.Future[OSError] = loop.create_future()
    random = Seed(SEED).stream("feeds")
    if exchange in NATIVE:
        instruments = await _instruments(exchange, rest_url or rest_of(exchange, url), symbols)
    else:
        instruments = {}
    market, dialect = open_market(
        exchange, symbols, host=host, random=random, url=url, rest_url=rest_url
    )
    watcher = Watcher.start(symbols, quiet=quiet, on_unprintable=unprintable.set_result)
    for message_class in HEARERS:
        host.routes.wire(message_class)
    for heard in (BookTick, TradeTick, MarkTick, BookSync, FeedFault, SnapshotFailed):
        host.routes.wire(heard, watcher)
    wiring = _wiring(market, dialect, symbols, instruments)
    source = MarketData.start(wiring)
    # a message for a stopped actor is counted, not raised at the socket
    market.connect_market(source.actor_inbox.deliver)
    source.tell(Start(host.clock.now_ns()))
    try:
        await _until_asked(ends_s, unprintable)
        seen: dict[str, Any] = await watcher.ask(Report(), block=False)
    finally:
        market.stop()
        links = market.report()
        await host.shutdown()
    if unprintable.done():
        raise unprintable.result()
    return {
        "exchange": exchange,
        **seen,
        "links": links,
        "decode_ns": wiring.stages.quantiles().get("decode"),
        "latency_note": CAVEAT,
    }


async def _instruments(exchange: str, rest_url: str, symbols: list[str]) -> dict[str, Instrument]:
    """Return the symbols with the venue's grid of today, or the catalogue's if there is no answer.

    Raises ConfigError for symbols that neither has.
    """
    catalogue = load_catalogue(cast(VenueName, exchange))
    known = {instrument.symbol: instrument for instrument in catalogue.instruments}
    reason = "the venue does not list it"
    try:
        grids = await read_grids(exchange, rest_url, symbols)
    except VenueUnavailable as error:
        grids, reason = {}, str(error)
    for symbol, grid in grids.items():
        # Only the grid matters here: nothing is traded, so the rest may be another symbol's.
        like = known.get(symbol, catalogue.instruments[0])
        known[symbol] = replace(
            like, symbol=symbol, price_tick=grid.price_tick, quantity_step=grid.quantity_step
        )
    missing = [symbol for symbol in symbols if symbol not in known]
    if missing:
        names = ", ".join(missing)
        problem = f"--symbol {names}: not in the {exchange} catalogue of {catalogue.as_of}, and"
        raise ConfigError([f"{problem} {reason}"])
    return {symbol: known[symbol] for symbol in symbols}


def _wiring(
    market: Market, dialect: Dialect, symbols: list[str], instruments: dict[str, Instrument]
) -> Wiring:
    return Wiring(
        settings=replace(Settings(), symbols=tuple(symbols)),
        instruments=instruments,
        venue=cast(Venue, market),
        stages=Stages(),
        intents=Numbers(),
        signals=Numbers(),
        order_ids=OrderIds("watch"),
        journal_ok=lambda: True,
        pause=_wait,
        tally=Tally(),
        day=DayResult(),
        heard_fills=set(),
        dialect=dialect,
        asks_for_books=True,
    )


async def _until_asked(ends_s: float | None, unprintable: asyncio.Future[OSError]) -> None:
    """Wait for the end of the duration, of the reader, for Ctrl-C or a request to terminate."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[None] = loop.create_future()

    def ask() -> None:
        if not asked.done():
            asked.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    try:
        ends = (asked, unprintable)
        await asyncio.wait(ends, timeout=ends_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _wait(seconds: float) -> None:
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=seconds)


def _line(symbol: str, row: dict[str, Any]) -> str:
    latency = row["latency_ms"]
    delay = "-" if latency["p50"] is None else f"{latency['p50']:g}/{latency['p99']:g} ms"
    faults = ", ".join(f"{name} {count}" for name, count in row["faults"].items()) or "none"
    return (
        f"{symbol:12} {'synced' if row['synced'] else 'NO BOOK':8} {row['bid']:>12g} "
        f"{row['ask']:>12g} {row['updates_per_s']:>8g}/s latency p50/p99 {delay}, faults: {faults}"
    )


def _print(seen: dict[str, Any]) -> None:
    typer.echo(f"{seen['exchange']}, {seen['seconds']:g} s")
    for symbol, row in seen["symbols"].items():
        typer.echo(_line(symbol, row))
        if row["last_trouble"]:
            typer.echo(f"{'':12} last trouble: {row['last_trouble']}")
    for link in seen["links"]:
        typer.echo(
            f"{link['name']}: {link['frames']} frames, {link['reconnects']} reconnects"
            + (f", {link['last_reason']}" if link["last_reason"] else "")
        )
    decode = seen["decode_ns"]
    if decode:
        typer.echo(f"decode p50 {decode['p50']} ns, p99 {decode['p99']} ns")
    typer.echo(CAVEAT)
