"""One account at a real exchange, or at a local venue that speaks an exchange's protocol.

What all exchanges share: the public feed, the order path with its fall-back, the private stream
with its reconciliation, leverage and its record. What differs is in a `Quirks` object.
"""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Final

from hfengine import settings
from hfengine.clock import Clock
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.instruments import ASSUMED, Instrument
from hfengine.kernels.histogram import now_ns
from hfengine.messages import (
    BalanceChanged,
    Fill,
    LeverageChanged,
    OrderUpdate,
    PositionChanged,
    ProtectionRefused,
)
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.venues.absence import LOOK_S, Absence
from hfengine.venues.call_errors import CLOCK_SKEW, RATE_LIMIT
from hfengine.venues.ccxt_client import PACED, Paced
from hfengine.venues.clock_offset import REFRESH_S
from hfengine.venues.keys import ApiKeys
from hfengine.venues.leverage_record import LeverageRecord
from hfengine.venues.link import Link
from hfengine.venues.order_entry import (
    Credentials,
    LegOutcome,
    OrderEntry,
    OrderEntrySettings,
    Wires,
)
from hfengine.venues.port import Answer, Ended, Tell
from hfengine.venues.quirks import MarginMode, Place, Quirks
from hfengine.venues.reconciling import Reconciler
from hfengine.venues.understanding import acted, understood
from hfengine.venues.venue_desk import RECONCILE_SOON_S, VenueDesk

RECONCILE_S: Final = 60.0
SWEEP_S: Final = 1.0
SWEPT_MIN: Final = 5
SWEPT_MAX: Final = 20
SWEPT_WITHIN: Final = 15
"""Where the stream does not tell every change of leverage, all symbols are read within so many
sweeps, by at least SWEPT_MIN and at most SWEPT_MAX each time."""

RELOAD_PAUSE_S: Final = 10.0
"""Instruments are read anew at most this often, however many orders were refused by their rules."""

NS_A_MS: Final = 1_000_000

ORDERS: Final = "order"
"""The budget that orders count in, over whichever path."""


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
        self._settings = settings
        self._host = host
        self._clock = clock
        self._random = random
        self._stages = stages
        self._keys = keys
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
        self._entry: OrderEntry | None = None
        self._link: Link | None = None
        self._leverage: dict[str, int] = {}
        self._swept = 0
        self._sweeping = False
        self._rest_orders = 0
        self._socket_orders = 0
        self._reconcile_due = False
        self._reconciling = False
        self._reload_due = False
        self._connected = False
        self._stopped = False
        self._closed = False
        desk.on_fix = self._reload_soon
        desk.on_private_ready = lambda: self._reconcile_soon("the private stream is subscribed")
        desk.on_reconcile = self._reconcile_soon
        desk.on_offset = self._clock_set

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
        await self._quirks.prepare_account()
        self._reconciler.since_ms = desk.now_ms()
        for position in await self._quirks.positions():
            desk.view.positions[position.symbol] = position
        self._open_order_entry()

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
        self._feed.connect_market(market)
        for stream in self._quirks.streams():
            desk.streams.keep(stream)
        if self._link is not None:
            self._link.start()
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
        if self._link is not None:
            self._link.stop()

    async def close(self) -> None:
        """End everything and close all connections. Safe to call twice."""
        self.stop()
        if self._closed:
            return
        self._closed = True
        await self._desk.close()
        if self._link is not None:
            await self._link.wait_stopped()

    async def snapshot(self, symbol: str) -> bytes | None:
        """Make sure that a book comes: its bytes, or None when the stream brings it."""
        return await self._feed.snapshot(symbol)

    # clock, instruments, reconciliation

    def _clock_set(self, offset_ms: int) -> None:
        if self._entry is not None:
            self._entry.clock_offset_ms = offset_ms

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
        settled = False
        try:
            settled = await self._reconciler.reconcile()
        finally:
            self._reconciling = False
            if not settled:
                self._reconcile_soon("not settled")

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
        await acted(self._quirks.set_margin_mode(symbol, mode), symbol)

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
            return splitter.place(request, self._send)
        return self._send(request)

    def _send(self, request: OrderRequest) -> Answer:
        entry = self._entry
        if entry is not None and entry.is_ready and self._quirks.takes(request):
            urgent = request.reduce_only or request.close_position
            if self._desk.limiter.try_send(ORDERS, urgent=urgent):
                self._socket_orders += 1
                return self._follow(request, entry.place(request))
        return self._by_rest(request)

    async def _by_rest(self, request: OrderRequest) -> OrderUpdate:
        self._rest_orders += 1
        acknowledged = await acted(self._quirks.place(request), request.client_id)
        self._desk.view.placed(acknowledged)
        return acknowledged

    async def _follow(
        self, request: OrderRequest, answer: asyncio.Future[OrderUpdate]
    ) -> OrderUpdate:
        """Wait for the socket's answer; a refusal that may pass is answered by REST, same id."""
        try:
            acknowledged = await answer
        except VenueUnavailable as error:
            # certainly not sent: what reduces goes another way, an entry is late by now
            if not (request.reduce_only or request.close_position):
                raise
            self._desk.note("order_entry", str(error))
        except VenueRejected as rejected:
            reason = rejected.reason
            self._desk.rejected[reason] += 1
            if reason == CLOCK_SKEW:
                await self._desk.offset.refresh()
            elif reason == RATE_LIMIT:
                self._desk.limiter.refused(ORDERS)
            else:
                self._desk.heed(reason, str(rejected))
                raise
        else:
            self._desk.view.placed(acknowledged)
            return acknowledged
        return await self._by_rest(request)

    def _open_order_entry(self) -> None:
        if self._settings.order_entry != "websocket" or self._entry is not None:
            return
        wires: Wires = {
            "clock": self._clock,
            "loop": self._host.loop,
            "settings": OrderEntrySettings(
                answer_max_s=self._settings.answer_max_s,
                recv_window_ms=self._settings.recv_window_ms,
            ),
            "on_ready": self._order_entry_ready,
            "on_protection": self._protection_answered,
            "write_ns": self._stages.write,
        }
        credentials = Credentials(self._keys.key, self._keys.secret.encode())
        opened = self._quirks.order_entry(self._place, credentials, wires)
        if opened is None:
            self._desk.note("order_entry", f"{self.name} has no trading socket here: REST instead")
            return
        self._entry, url, link_settings = opened
        self._entry.clock_offset_ms = self._desk.offset.offset_ms
        self._link = Link(
            url,
            self._entry,
            host=self._host,
            random=self._random,
            settings=link_settings,
            name=f"{self.name} orders",
        )

    def _order_entry_ready(self, ready: bool, reason: str) -> None:
        if not ready:
            self._desk.note("order_entry", reason)

    def _protection_answered(self, request: OrderRequest, outcome: LegOutcome) -> None:
        if isinstance(outcome, OrderUpdate):
            self._desk.tell(outcome)
            return
        if isinstance(outcome, VenueUnknown):
            # the account says whether the leg is there; the guardian acts on missing cover
            self._desk.reconcile_soon(str(outcome))
            return
        if isinstance(outcome, VenueRejected):
            self._desk.heed(outcome.reason, str(outcome))
        self._desk.tell(
            ProtectionRefused(
                request.symbol,
                self._clock.now_ns(),
                request.client_id,
                "target" if request.kind == "take_profit_market" else "stop",
                str(outcome),
            )
        )

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
        """Read the fills since `prepare`; those the stream had not told are told now."""
        await understood(self._reconciler.read_fills(), "fills")
        splitter = self._desk.splitter
        return [splitter.fill(fill) for fill in self._desk.view.fills.values()]

    # health

    @property
    def health(self) -> Mapping[str, Any]:
        """State and counters; nothing in it is secret."""
        desk, entry = self._desk, self._entry
        ready = entry is not None and entry.is_ready
        return {
            "clock_offset_ms": desk.offset.offset_ms,
            "clock_round_trip_ms": round(desk.offset.round_trip_ms, 2),
            "budgets": desk.limiter.report(),
            "order_path": "websocket" if ready else "rest",
            "orders": {"rest": self._rest_orders, "websocket": self._socket_orders},
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
