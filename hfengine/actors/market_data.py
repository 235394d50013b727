"""Frames in, ticks out: keeps one book per symbol true, or says that it is not."""

from typing import Any

from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.kernels.book import Book
from hfengine.kernels.codec import DEPTH, FAULTS, MARK, QUOTE, SNAPSHOT, TRADE, BinanceCodec
from hfengine.kernels.histogram import now_ns
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
from hfengine.runtime.actor import Outcome, handles

SNAPSHOT_RETRY_NS = 1_000_000_000
IMBALANCE_LEVELS = 5


class MarketData(WiredActor):
    """Decodes frames into books; any doubt about a book blocks entries until it is resolved.

    A fault marks the book out of sync, drops it and asks the venue for a snapshot; diffs are kept
    meanwhile. Failed snapshots are asked for again every second (class: degraded).
    """

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        self._codecs: dict[str, BinanceCodec] = {}
        self._books: dict[str, Book] = {}
        self._synced: dict[str, bool] = {}
        self._published_id: dict[str, int] = {}
        self._mismatched: dict[str, int] = {}
        self._ever_synced = False
        self._asking: set[str] = set()
        self._waiting: set[str] = set()
        self._stages = wiring.stages
        self._frames = 0
        self._faults: dict[str, int] = {}
        self._fault_lines: list[str] = []
        self._snapshots = 0
        self._heard_ns = dict.fromkeys(self.settings.symbols, self.clock.now_ns())
        for symbol in self.settings.symbols:
            instrument = wiring.instruments[symbol]
            book = Book(str(instrument.price_tick), str(instrument.quantity_step))
            self._books[symbol] = book
            self._codecs[symbol] = BinanceCodec(symbol, book)
            self._synced[symbol] = False
            self._mismatched[symbol] = 0
            self._published_id[symbol] = 0

    @handles(Start)
    def on_start_message(self, start: Start) -> None:
        """Tell every book's state; after a restart ask for the books that are missing."""
        for symbol, synced in self._synced.items():
            self._tell_sync(symbol, synced=synced, reason="start")
            if start.again and not synced:
                self._ask_snapshot(symbol)

    @handles(Frame)
    def on_frame(self, frame: Frame) -> None:
        """Decode one frame and publish what it says."""
        stages = self._stages
        started_ns = now_ns()
        stages.frame_at_ns = started_ns
        self._frames += 1
        symbol = frame.symbol
        codec = self._codecs.get(symbol)
        if codec is None:
            self._fault(frame, "unknown_symbol", f"{symbol} is not in this profile")
            return
        self._heard_ns[symbol] = frame.received_ns
        kind = codec.decode(frame.payload)
        stages.decode.record(now_ns() - started_ns)
        if kind in (QUOTE, DEPTH):
            if codec.checks_mismatched > self._mismatched[symbol]:
                self._contradicted(frame, codec)
            elif codec.top_update_id > self._published_id[symbol] and codec.synced:
                self._publish_top(frame, codec)
        elif kind == TRADE:
            self.publish(
                TradeTick(
                    symbol,
                    frame.received_ns,
                    codec.match_ms,
                    codec.trade_id,
                    codec.trade_price,
                    codec.trade_quantity,
                    codec.trade_side,
                )
            )
        elif kind == MARK:
            self.publish(
                MarkTick(
                    symbol,
                    frame.received_ns,
                    codec.mark_price,
                    codec.index_price,
                    codec.funding_rate,
                    codec.next_funding_ms * 1_000_000,
                )
            )
        elif kind < 0:
            self._fault(frame, FAULTS[kind], codec.fault_detail)
        if codec.synced is not self._synced[symbol]:
            self._sync_changed(
                symbol, codec, "snapshot" if kind == SNAPSHOT else FAULTS.get(kind, "")
            )

    def _contradicted(self, frame: Frame, codec: BinanceCodec) -> None:
        """Drop a book that the venue's own best quote contradicts."""
        self._mismatched[frame.symbol] = codec.checks_mismatched
        codec.desync()
        self._fault(frame, "quote_mismatch", "the book's best level is not the quoted one")

    def _publish_top(self, frame: Frame, codec: BinanceCodec) -> None:
        symbol = frame.symbol
        self._published_id[symbol] = codec.top_update_id
        self.publish(
            BookTick(
                symbol,
                frame.received_ns,
                codec.event_ms,
                codec.top_update_id,
                codec.top_bid,
                codec.top_bid_quantity,
                codec.top_ask,
                codec.top_ask_quantity,
                self._books[symbol].imbalance(IMBALANCE_LEVELS),
            )
        )

    @handles(FeedFault)
    def on_feed_fault(self, fault: FeedFault) -> None:
        """Take a fault found before decoding: what was lost may have been a diff."""
        self._count(fault.fault, fault.origin, fault.line, fault.detail)
        self.publish(fault)
        codec = self._codecs.get(fault.symbol)
        if codec is None:
            return
        codec.desync()
        self._sync_changed(fault.symbol, codec, fault.fault)
        self._ask_snapshot(fault.symbol)

    def _tell_fault(self, frame: Frame, fault: str, detail: str) -> None:
        detail = detail.removeprefix(f"{fault}: ")
        self._count(fault, frame.origin, frame.line, detail)
        at_ns = frame.received_ns
        self.publish(FeedFault(frame.symbol, at_ns, fault, frame.origin, frame.line, detail))

    def _fault(self, frame: Frame, fault: str, detail: str) -> None:
        self._tell_fault(frame, fault, detail)
        codec = self._codecs.get(frame.symbol)
        if codec is not None and not codec.synced:
            self._ask_snapshot(frame.symbol)

    def _count(self, fault: str, origin: str, line: int, detail: str) -> None:
        self._faults[fault] = self._faults.get(fault, 0) + 1
        if self._faults[fault] <= FAULTS_SHOWN_A_KIND and len(self._fault_lines) < FAULTS_SHOWN:
            self._fault_lines.append(f"{origin}:{line}: {fault}: {detail}")

    def _sync_changed(self, symbol: str, codec: BinanceCodec, reason: str) -> None:
        if codec.synced is self._synced[symbol]:
            return
        self._synced[symbol] = codec.synced
        self._ever_synced |= codec.synced
        self._tell_sync(symbol, synced=codec.synced, reason=reason)

    def _tell_sync(self, symbol: str, *, synced: bool, reason: str) -> None:
        self.publish(BookSync(symbol, self.clock.now_ns(), synced, reason))

    def _ask_snapshot(self, symbol: str) -> None:
        if symbol in self._asking or symbol in self._waiting:
            return
        self._asking.add(symbol)
        self.run(self.wiring.venue.snapshot(symbol), tag=symbol)

    @handles(Outcome)
    def on_outcome(self, outcome: Outcome) -> None:
        """Apply a snapshot that was asked for, or ask again in a second."""
        if outcome.cancelled:
            return
        symbol = str(outcome.tag)
        self._asking.discard(symbol)
        codec = self._codecs[symbol]
        at_ns = self.clock.now_ns()
        if isinstance(outcome.error, VenueUnavailable | VenueUnknown | VenueRejected):
            self.publish(SnapshotFailed(symbol, at_ns, str(outcome.error)))
        elif outcome.error is not None:
            raise outcome.error
        else:
            self._snapshots += 1
            kind = codec.decode(outcome.result)
            if kind < 0:
                frame = Frame(symbol, at_ns, outcome.result, "snapshot asked for")
                self._tell_fault(frame, FAULTS[kind], codec.fault_detail)
            self._sync_changed(symbol, codec, "snapshot")
        if not codec.synced:
            self._waiting.add(symbol)
            self.tell_after_ns(SNAPSHOT_RETRY_NS, Timer(symbol))

    @handles(Timer)
    def on_timer(self, timer: Timer) -> None:
        """Ask for a snapshot again if the book is still out of sync."""
        self._waiting.discard(timer.name)
        if not self._codecs[timer.name].synced:
            self._ask_snapshot(timer.name)

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with frames, faults and the comparison of books with recorded quotes."""
        for codec in self._codecs.values():
            codec.finish_checks()
        return {
            "frames": self._frames,
            "matched": sum(codec.checks_matched for codec in self._codecs.values()),
            "mismatched": sum(codec.checks_mismatched for codec in self._codecs.values()),
            "faults": dict(self._faults),
            "fault_lines": list(self._fault_lines),
            "synced": dict(self._synced),
            "snapshots": self._snapshots,
            "ever_synced": self._ever_synced,
            "heard_ns": dict(self._heard_ns),
        }
