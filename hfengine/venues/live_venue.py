"""One account at a real exchange, or at a local venue that speaks an exchange's protocol.

What all exchanges share: the public feed, the order path with its fall-back, the private stream
with its reconciliation, leverage and its record. What differs is in a `Quirks` object.
"""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any, Final

from hfengine import settings
from hfengine.clock import Clock
from hfengine.errors import VenueRejected, VenueUnavailable
from hfengine.exchange import rejects
from hfengine.halts import ALL
from hfengine.instruments import ASSUMED, Instrument
from hfengine.kernels.histogram import now_ns
from hfengine.messages import (
    BalanceChanged,
    Fill,
    Halt,
    LeverageChanged,
    OrderUpdate,
    PositionChanged,
    Resume,
)
from hfengine.oversight import VenueHealth
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.venues.absence import LOOK_S, Absence
from hfengine.venues.ccxt_client import PACED, Paced
from hfengine.venues.clock_offset import REFRESH_S
from hfengine.venues.keys import ApiKeys
from hfengine.venues.leverage_record import LeverageRecord
from hfengine.venues.locked_modes import in_words
from hfengine.venues.order_path import OrderPath
from hfengine.venues.port import Answer, Ended, Tell
from hfengine.venues.quirks import MarginMode, Place, Quirks
from hfengine.venues.reconciling import Reconciler
from hfengine.venues.understanding import acted, understood
from hfengine.venues.venue_desk import HALTING, RECONCILE_SOON_S, VenueDesk

RECONCILE_S: Final = 60.0
RECONCILE_FAILED_MAX_S: Final = 5.0
"""Longest pause between readings while the venue answers none; it doubles from RECONCILE_SOON_S."""

DOUBLINGS_MAX: Final = 10

SWEEP_S: Final = 1.0
SWEPT_MIN: Final = 5
SWEPT_MAX: Final = 20
SWEPT_WITHIN: Final = 15
"""Where the stream does not tell every change of leverage, all symbols are read within so many
sweeps, by at least SWEPT_MIN and at most SWEPT_MAX each time."""

RELOAD_PAUSE_S: Final = 10.0
"""Instruments are read anew at most this often, however many orders were refused by their rules."""

NS_A_MS: Final = 1_000_000


class LiveVenue:
    """A `Venue` whose requests go over REST, or orders over the trading socket if configured."""

    derived_marks = 0

    def __init__(
        self,
        name: str,
        quirks: Quirks,
        *,
        place: Place,
        settings: settings.Venue,
        margin_mode: MarginMode,
        keys: ApiKeys,
        symbols: Sequence[str],
        host: ActorHost,
        clock: Clock,
        random: Random,
        stages: Stages,
    ) -> None:
        self.name = name
        self.leverage_stats = LeverageRecord()
        self._quirks = quirks
        self._host = host
        self._clock = clock
        self._place = place
        self._feed, self.dialect = quirks.open_feed(
            symbols, place, host=host, random=random, stages=stages
        )
        self.asks_for_books = True
        self._desk = VenueDesk(
            name,
            quirks,
            place=place,
            settings=settings,
            margin_mode=margin_mode,
            keys=keys,
            symbols=symbols,
            host=host,
            clock=clock,
            random=random,
        )
        quirks.desk = self._desk
        desk = self._desk
        self._reconciler = Reconciler(quirks, desk.view, tell=desk.tell, now_ms=desk.now_ms)
        self._orders = OrderPath(
            name,
            quirks,
            desk,
            place=place,
            settings=settings,
            keys=keys,
            host=host,
            clock=clock,
            random=random,
            stages=stages,
        )
        self._leverage: dict[str, int] = {}
        self._swept = 0
        self._sweeping = False
        self._reconcile_due = False
        self._reconciling = False
        self._failed_readings = 0
        self._reload_due = False
        self._connected = False
        self._stopped = False
        self._closed = False
        desk.on_fix = self._reload_soon
        desk.on_private_ready = lambda: self._reconcile_soon("the private stream is subscribed")
        desk.on_reconcile = self._reconcile_soon
        desk.on_offset = self._orders.set_clock_offset

    # life

    async def prepare(self) -> None:
        """Read clock and instruments, check and set the modes; the order path is made ready.

        Raises VenueRejected, VenueUnknown or VenueUnavailable with a sentence.
        """
        desk = self._desk
        await desk.offset.refresh()
        found = await self._quirks.read_instruments(desk.symbols)
        missing = [symbol for symbol in desk.symbols if symbol not in found]
        if missing:
            raise VenueRejected("unknown_symbol", f"{self.name} does not list {', '.join(missing)}")
        desk.instruments.update(found)
        await in_words(self._quirks.prepare_account(), self.name, "", desk.margin_mode)
        self._reconciler.since_ms = desk.now_ms()
        for position in await self._quirks.positions():
            desk.view.positions[position.symbol] = position
        self._orders.open()

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The instruments of the profile's symbols, as read from the venue."""
        return self._desk.instruments

    async def all_instruments(self) -> dict[str, Instrument]:
        """Read every linear USDT perpetual the venue lists."""
        return await self._quirks.read_instruments(None)

    def connect(self, market: Tell, account: Tell, ended: Ended) -> None:
        """Start the streams; they end only by `stop`, or when a local venue is gone."""
        desk = self._desk
        self._connected = True
        desk.connect(account)
        desk.tell_halts()
        self._host.routes.tap(self._resumed, Resume)
        self._feed.connect_market(market)
        for stream in self._quirks.streams():
            desk.streams.keep(stream)
        self._orders.start()
        desk.timers.every(round(REFRESH_S * 1e9), self._refresh_clock)
        desk.timers.every(
            round(RECONCILE_S * 1e9), lambda: self._reconcile_soon("it is time again")
        )
        if not self._quirks.pushes_leverage:
            desk.timers.every(round(SWEEP_S * 1e9), self._sweep)
        if self._place.http:
            absence = Absence(self._quirks.time_ms, self._clock, ended)
            desk.timers.every(round(LOOK_S * 1e9), lambda: desk.run(absence.look(), "absence"))

    def stop(self) -> None:
        """End the streams; requests are still answered. Safe to call twice."""
        if self._stopped:
            return
        self._stopped = True
        self._feed.stop()
        self._desk.connect(None)
        self._desk.streams.stop()
        self._desk.timers.cancel_all()
        self._quirks.stop()
        self._orders.stop()

    async def close(self) -> None:
        """End everything and close all connections. Safe to call twice."""
        self.stop()
        if self._closed:
            return
        self._closed = True
        await self._desk.close()
        await self._orders.wait_stopped()

    def _resumed(self, resume: Resume) -> None:
        # in a turn of its own, behind all that the resume itself comes to
        self._host.loop.call_soon(self._halt_again, resume.source)

    def _halt_again(self, source: str) -> None:
        """Halt anew for what was resumed by a person and still is wrong here.

        What resumes by itself is known to stand; what halts until a person resumes it is not, and
        the next refusal of its kind halts again.
        """
        desk = self._desk
        for held, reason in desk.halts.items():
            is_meant = source in (ALL, held, f"{self.name} {held}")
            if is_meant and HALTING.get(held) != 0.0:
                desk.tell(Halt(self._clock.now_ns(), held, reason))

    async def snapshot(self, symbol: str) -> bytes | None:
        """Make sure that a book comes: its bytes, or None when the stream brings it."""
        return await self._feed.snapshot(symbol)

    def look_back(self, since_ns: int) -> None:
        """Read fills and funding from an earlier time on than `prepare`: where a run before ended.

        Call it between `prepare` and `connect`; fills counted by then are told again.
        """
        reconciler = self._reconciler
        reconciler.since_ms = min(reconciler.since_ms, since_ns // NS_A_MS)

    # clock, instruments, reconciliation

    def _refresh_clock(self) -> None:
        self._desk.run(self._desk.offset.refresh(), "clock")

    def _reload_soon(self) -> None:
        if self._reload_due or self._stopped:
            return
        self._reload_due = True
        self._desk.run(self._reload(), "instruments")
        self._desk.timers.after(round(RELOAD_PAUSE_S * 1e9), self._reload_again)

    def _reload_again(self) -> None:
        self._reload_due = False

    async def _reload(self) -> None:
        self._desk.instruments.update(await self._quirks.read_instruments(self._desk.symbols))

    def _reconcile_soon(self, _why: str) -> None:
        if self._reconcile_due or self._stopped or not self._connected:
            return
        self._reconcile_due = True
        self._desk.timers.after(round(RECONCILE_SOON_S * 1e9), self._reconcile)

    def _reconcile(self) -> None:
        if self._reconciling:
            # one at a time: asked again when this one has ended
            self._desk.timers.after(round(RECONCILE_SOON_S * 1e9), self._reconcile)
            return
        self._reconcile_due = False
        self._reconciling = True
        self._desk.run(self._reconcile_once(), "reconciliation")

    async def _reconcile_once(self) -> None:
        settled: bool | None = None
        try:
            settled = await self._reconciler.reconcile()
        finally:
            self._reconciling = False
            self._look_again(settled)

    def _look_again(self, settled: bool | None) -> None:
        """Read once more what moved meanwhile (False), or could not be read (None)."""
        if settled is not None:
            self._failed_readings = 0
            if not settled:
                self._reconcile_soon("not settled")
        elif not self._stopped:
            # an outage must not spend the budgets that its end will need
            self._failed_readings = min(self._failed_readings + 1, DOUBLINGS_MAX)
            wait_s = min(RECONCILE_SOON_S * 2**self._failed_readings, RECONCILE_FAILED_MAX_S)
            again = partial(self._reconcile_soon, "not read")
            self._desk.timers.after(round(wait_s * 1e9), again)

    # leverage

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Ask for a leverage; success is proved only by `leverage_of`."""
        started_ns = now_ns()
        agreed = False
        paced = Paced()
        token = PACED.set(paced)
        try:
            await acted(self._quirks.set_leverage(symbol, leverage), symbol)
            agreed = True
        finally:
            PACED.reset(token)
            # what the rate limit made it wait is not the venue's time
            took_ms = (now_ns() - started_ns) / 1e6 - paced.waited_s * 1e3
            self.leverage_stats.asked(symbol, leverage, took_ms, agreed=agreed)

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Ask for a margin mode; "not modified" is a success."""
        asked = acted(self._quirks.set_margin_mode(symbol, mode), symbol)
        await in_words(asked, self.name, symbol, mode)

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        """Read a symbol's leverage and margin mode."""
        agreed = self.leverage_stats.agreed(symbol)
        setting = await understood(self._quirks.leverage_of(symbol), symbol)
        self._leverage[symbol] = setting.leverage
        self.leverage_stats.read(symbol, setting.leverage, agreed)
        return setting

    def _sweep(self) -> None:
        """Read the next few symbols again: another client may have changed their leverage."""
        if not self._sweeping and self._leverage:
            self._sweeping = True
            self._desk.run(self._sweep_some(), "leverage sweep")

    async def _sweep_some(self) -> None:
        try:
            known = list(self._leverage)
            most = min(max(SWEPT_MIN, -(-len(known) // SWEPT_WITHIN)), SWEPT_MAX, len(known))
            first, self._swept = self._swept, (self._swept + most) % len(known)
            chosen = [known[(first + n) % len(known)] for n in range(most)]
            await asyncio.gather(*map(self._sweep_one, chosen))
        finally:
            self._sweeping = False

    async def _sweep_one(self, symbol: str) -> None:
        before = self._leverage[symbol]
        try:
            setting = await understood(self._quirks.leverage_of(symbol), symbol)
        except (VenueRejected, VenueUnavailable) as error:
            self._desk.note("leverage_sweep", f"{symbol}: {error}")
            return
        # changed by ourselves meanwhile: whoever did reads it
        if self._leverage[symbol] != before or setting.leverage == before:
            return
        self._leverage[symbol] = setting.leverage
        at_ns = self._desk.now_ms() * NS_A_MS
        self._desk.tell(LeverageChanged(symbol, at_ns, setting.leverage))

    # orders

    def place(self, request: OrderRequest) -> Answer:
        """Send one order; over the trading socket its bytes leave before this returns.

        What reduces by more than the venue takes in one market order is sent in parts.
        """
        splitter = self._desk.splitter
        if splitter.must_split(request):
            return splitter.place(request, self._orders.send)
        return self._orders.send(request)

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Look an order up by its client id; None when the venue does not know it."""
        whole = self._desk.splitter.find(client_id)
        if whole is not None:
            found = self._desk.splitter.look_up(whole, self._quirks.order_by_id)
            return await understood(found, client_id)
        return await understood(self._quirks.order_by_id(symbol, client_id), client_id)

    async def cancel_all(self, symbol: str) -> int:
        """Cancel every open and conditional order of a symbol; return how many."""
        return await acted(self._quirks.cancel_all(symbol), symbol)

    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        """Cancel one open or conditional order; one that is gone is a success.

        One that went out in parts is cancelled in all of them.
        """
        whole = self._desk.splitter.find(client_id) if client_id else None
        if whole is None:
            await self._cancel_one(symbol, client_id, venue_id)
            return
        await asyncio.gather(
            *(self._cancel_one(symbol, part.client_id, "") for part in whole.parts)
        )

    async def _cancel_one(self, symbol: str, client_id: str, venue_id: str) -> None:
        if not (client_id or venue_id):
            raise VenueRejected(rejects.BAD_CLIENT_ID, f"{symbol}: an order without any id")
        try:
            await acted(self._quirks.cancel(symbol, client_id, venue_id), client_id or venue_id)
        except VenueRejected as rejected:
            if rejected.reason != rejects.UNKNOWN_ORDER:
                raise

    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        """Move a resting order of ours to another price, in place."""
        return await acted(self._quirks.amend(symbol, client_id, price), client_id)

    async def open_orders(self) -> list[OrderUpdate]:
        """Read every open order of the profile's symbols: resting, conditional and attached."""
        read = await understood(self._quirks.open_orders(), "open orders")
        return self._desk.splitter.listed(read)

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Amend stop and target of a position, never leaving it uncovered."""
        return await acted(self._quirks.protect(symbol, stop, target), symbol)

    # the account

    async def positions(self) -> list[PositionChanged]:
        """Read the positions that are not flat."""
        return await understood(self._quirks.positions(), "positions")

    async def balance(self) -> BalanceChanged:
        """Read the account."""
        return await understood(self._quirks.balance(), "balance")

    async def fills(self) -> list[Fill]:
        """Read the fills of this run, or since `look_back`; what was not told is told now."""
        await understood(self._reconciler.read_fills(), "fills")
        splitter = self._desk.splitter
        return [splitter.fill(fill) for fill in self._desk.view.fills.values()]

    # health

    @property
    def vitals(self) -> VenueHealth:
        """Clock and answers in short, as looked at once a second."""
        return self._desk.vitals

    @property
    def health(self) -> Mapping[str, Any]:
        """State and counters; nothing in it is secret."""
        desk, orders = self._desk, self._orders
        return {
            "clock_offset_ms": desk.offset.offset_ms,
            "clock_round_trip_ms": round(desk.offset.round_trip_ms, 2),
            "budgets": desk.limiter.report(),
            "order_path": "websocket" if orders.is_ready else "rest",
            "orders": {"rest": orders.by_rest, "websocket": orders.by_socket},
            "reconnects": desk.streams.reconnects,
            "last_break": desk.newest_note.get("stream_breaks", ""),
            "reconciliations": self._reconciler.rounds,
            "events_found": self._reconciler.found,
            "repeats": desk.view.repeats,
            "rejected": dict(desk.rejected),
            "halts": dict(desk.halts),
            "notes": dict(desk.notes),
            "newest_notes": dict(desk.newest_note),
            "leverage": self.leverage_stats.report(),
            "warnings": [*self.leverage_stats.warnings(), *_assumptions(self.instruments)],
            "feed": self._feed.report(),
        }


def _assumptions(instruments: Mapping[str, Instrument]) -> list[str]:
    """Return what is taken for granted of instruments because the venue did not tell it."""
    assumed: dict[str, list[str]] = {}
    for symbol, instrument in instruments.items():
        for source in instrument.sources:
            if source.startswith(ASSUMED):
                assumed.setdefault(source, []).append(symbol)
    return [
        f"{symbols[0]}{f' and {len(symbols) - 1} more' if symbols[1:] else ''}: {source}"
        for source, symbols in assumed.items()
    ]
