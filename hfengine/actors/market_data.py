"""Frames in, ticks out: keeps one book per symbol true, or says that it is not."""

from typing import Any

from hfengine.actors.symbol_feed import SymbolFeed, symbol_feed
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.kernels.codec import FAULTS, MARK, SNAPSHOT, TRADE
from hfengine.kernels.frame_turn import UNSEATED, FrameTurn
from hfengine.limits import FAULTS_SHOWN, FAULTS_SHOWN_A_KIND
from hfengine.messages import (
    BookSync,
    BookTick,
    FeedFault,
    Frame,
    MarkTick,
    Report,
    SnapshotFailed,
    Start,
    Timer,
    TradeTick,
)
from hfengine.runtime.actor import Outcome, TimerHandle, compiled, handles
from hfengine.venues.feed_faults import DISCONNECTED

SNAPSHOT_RETRY_NS = 1_000_000_000

STREAM_SNAPSHOT_NS = 5_000_000_000
"""How long to wait for a snapshot that the stream itself is to bring."""


class MarketData(WiredActor):
    """Decodes frames into books; any doubt about a book blocks entries until it is resolved.

    A fault marks the book out of sync, drops it and asks the venue for a snapshot; diffs are kept
    meanwhile. Failed snapshots are asked for again every second (class: degraded). Ready-made
    ticks are checked and passed on.
    """

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        self._feeds: dict[str, SymbolFeed] = {
            symbol: symbol_feed(wiring.dialect_of(symbol), symbol, wiring.instruments.get(symbol))
            for symbol in self.settings.symbols
        }
        self._ever_synced = False
        self._asking: set[str] = set()
        self._waiting: dict[str, TimerHandle] = {}
        """Symbols not to ask for before their timer ends."""
        self._promised: set[str] = set()
        """Symbols whose snapshot the stream is to bring."""
        self._faults: dict[str, int] = {}
        self._fault_lines: list[str] = []
        self._snapshots = 0
        self._heard_ns = dict.fromkeys(self.settings.symbols, self.clock.now_ns())
        self._turn = FrameTurn(
            self._feeds, self._heard_ns, wiring.stages, self.publish, self._tell_rest
        )
        self.handle_by(Frame, self._turn.handle)

    @handles(Start)
    def on_start_message(self, start: Start) -> None:
        """Tell every book's state; ask for the books that are missing where that is needed."""
        for symbol, feed in self._feeds.items():
            self._tell_sync(symbol, synced=feed.told_synced, reason="start")
            if (start.again or self.wiring.asks_for_books) and not feed.told_synced:
                self._ask_snapshot(symbol)

    @compiled
    @handles(Frame)
    def on_frame(self, frame: Frame) -> None:
        """Decode one frame and publish what it says."""
        self._turn.handle(frame)

    def _tell_rest(self, frame: Frame, kind: int) -> None:
        """Tell what a frame says besides a new top of a book that stayed in sync."""
        symbol = frame.symbol
        feed = self._feeds.get(symbol)
        if feed is None:
            self._fault(frame, "unknown_symbol", f"{symbol} is not in this profile")
            return
        at_ns = frame.received_ns
        if kind == UNSEATED:
            self._heard_ns[symbol] = at_ns
            kind = feed.decode(frame.payload)
        if kind < 0:
            self._fault(frame, FAULTS[kind], feed.codec.fault_detail)
        if feed.codec.synced is not feed.told_synced:
            self._sync_changed(feed, "snapshot" if kind == SNAPSHOT else FAULTS.get(kind, ""))
        if kind in feed.ticks_on:
            tick = None if feed.contradicted else feed.top(at_ns)
            if tick is not None:
                self.publish(tick)
            elif feed.contradicted:
                self._contradicted(frame, feed)
        elif kind == TRADE:
            for trade in feed.trades(at_ns):
                self.publish(trade)
        elif kind == MARK and (mark := feed.mark(at_ns)) is not None:
            self.publish(mark)

    def _contradicted(self, frame: Frame, feed: SymbolFeed) -> None:
        """Drop a book that the venue's own best quote contradicts."""
        feed.contradicted = False
        feed.codec.desync()
        self._fault(frame, "quote_mismatch", "the book's best level is not the quoted one")
        self._sync_changed(feed, "")

    @handles(BookTick)
    def on_book_tick(self, tick: BookTick) -> None:
        """Check a ready-made top; a bad one takes the book out of sync."""
        feed = self._take(tick)
        if feed is None:
            return
        self._sync_changed(feed, "snapshot")
        self.publish(tick)

    @handles(TradeTick)
    def on_trade_tick(self, tick: TradeTick) -> None:
        """Check a ready-made trade and pass it on."""
        if self._take(tick) is not None:
            self.publish(tick)

    @handles(MarkTick)
    def on_mark_tick(self, tick: MarkTick) -> None:
        """Check a ready-made mark and pass it on."""
        if self._take(tick) is not None:
            self.publish(tick)

    def _take(self, tick: BookTick | TradeTick | MarkTick) -> SymbolFeed | None:
        """Return the feed a good tick belongs to; tell what is wrong with any other."""
        symbol = tick.symbol
        feed = self._feeds.get(symbol)
        if feed is None:
            refused = ("unknown_symbol", f"{symbol} is not in this profile")
        else:
            self._heard_ns[symbol] = tick.at_ns
            found = feed.refusal(tick)
            if found is None:
                return feed
            refused = found
        fault, detail = refused
        self._count(fault, "ticks", 0, detail)
        self.publish(FeedFault(symbol, tick.at_ns, fault, "ticks", 0, detail))
        if feed is not None:
            self._sync_changed(feed, fault)
        return None

    @handles(FeedFault)
    def on_feed_fault(self, fault: FeedFault) -> None:
        """Take a fault found before decoding: what was lost may have been a diff."""
        self._count(fault.fault, fault.origin, fault.line, fault.detail)
        self.publish(fault)
        feed = self._feeds.get(fault.symbol)
        if feed is None:
            return
        if fault.fault == DISCONNECTED:
            feed.codec.resync()
        else:
            feed.codec.desync()
        self._sync_changed(feed, fault.fault)
        self._ask_snapshot(fault.symbol)

    def _tell_fault(self, frame: Frame, fault: str, detail: str) -> None:
        detail = detail.removeprefix(f"{fault}: ")
        self._count(fault, frame.origin, frame.line, detail)
        at_ns = frame.received_ns
        self.publish(FeedFault(frame.symbol, at_ns, fault, frame.origin, frame.line, detail))

    def _fault(self, frame: Frame, fault: str, detail: str) -> None:
        self._tell_fault(frame, fault, detail)
        feed = self._feeds.get(frame.symbol)
        if feed is not None and not feed.codec.synced:
            self._ask_snapshot(frame.symbol)

    def _count(self, fault: str, origin: str, line: int, detail: str) -> None:
        self._faults[fault] = self._faults.get(fault, 0) + 1
        if self._faults[fault] <= FAULTS_SHOWN_A_KIND and len(self._fault_lines) < FAULTS_SHOWN:
            self._fault_lines.append(f"{origin}:{line}: {fault}: {detail}")

    def _sync_changed(self, feed: SymbolFeed, reason: str) -> None:
        synced = feed.codec.synced
        if synced is feed.told_synced:
            return
        feed.told_synced = synced
        self._ever_synced |= synced
        if synced:
            self._stop_waiting(feed.symbol)
        self._tell_sync(feed.symbol, synced=synced, reason=reason)

    def _tell_sync(self, symbol: str, *, synced: bool, reason: str) -> None:
        self.publish(BookSync(symbol, self.clock.now_ns(), synced, reason))

    def _ask_snapshot(self, symbol: str) -> None:
        if symbol in self._asking or symbol in self._waiting:
            return
        self._asking.add(symbol)
        self.run(self.wiring.venue.snapshot(symbol), tag=symbol)

    def _wait(self, symbol: str, wait_ns: int) -> None:
        self._waiting[symbol] = self.tell_after_ns(wait_ns, Timer(symbol))

    def _stop_waiting(self, symbol: str) -> None:
        self._promised.discard(symbol)
        timer = self._waiting.pop(symbol, None)
        if timer is not None:
            timer.cancel()

    @handles(Outcome)
    def on_outcome(self, outcome: Outcome) -> None:
        """Apply a snapshot that was asked for, wait for the stream's, or ask again in a second."""
        if outcome.cancelled:
            return
        symbol = str(outcome.tag)
        self._asking.discard(symbol)
        feed = self._feeds[symbol]
        codec = feed.codec
        at_ns = self.clock.now_ns()
        if isinstance(outcome.error, VenueUnavailable | VenueUnknown | VenueRejected):
            self.publish(SnapshotFailed(symbol, at_ns, str(outcome.error)))
        elif outcome.error is not None:
            raise outcome.error
        elif outcome.result is None:
            if not codec.synced:
                self._promised.add(symbol)
                self._wait(symbol, STREAM_SNAPSHOT_NS)
            return
        else:
            self._snapshots += 1
            kind = codec.decode(outcome.result)
            if kind < 0:
                frame = Frame(symbol, at_ns, outcome.result, "snapshot asked for")
                self._tell_fault(frame, FAULTS[kind], codec.fault_detail)
            self._sync_changed(feed, "snapshot")
        if not codec.synced:
            self._wait(symbol, SNAPSHOT_RETRY_NS)

    @handles(Timer)
    def on_timer(self, timer: Timer) -> None:
        """Ask for a snapshot again if the book is still out of sync."""
        symbol = timer.name
        promised = symbol in self._promised
        self._stop_waiting(symbol)
        if self._feeds[symbol].codec.synced:
            return
        if promised:
            reason = f"the stream brought none within {STREAM_SNAPSHOT_NS / 1e9:g} s"
            self.publish(SnapshotFailed(symbol, self.clock.now_ns(), reason))
        self._ask_snapshot(symbol)

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with frames, faults and the comparison of books with recorded quotes."""
        checks = [feed.checks() for feed in self._feeds.values()]
        return {
            "frames": self._turn.frames,
            "matched": sum(matched for matched, _ in checks),
            "mismatched": sum(mismatched for _, mismatched in checks),
            "faults": dict(self._faults),
            "fault_lines": list(self._fault_lines),
            "synced": {symbol: feed.told_synced for symbol, feed in self._feeds.items()},
            "snapshots": self._snapshots,
            "ever_synced": self._ever_synced,
            "heard_ns": dict(self._heard_ns),
        }
