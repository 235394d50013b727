"""The simulated exchange as a venue, in process, on virtual time.

A pump moves the clock from event to event: a recorded frame reaches the exchange, and a latency
later the engine. Requests, answers and account events each take their own seeded latency, so
acknowledgement and fill race as they do on a real venue.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import orjson

from hfengine.clock import VirtualClock
from hfengine.errors import VenueUnavailable
from hfengine.exchange.core import Exchange
from hfengine.feeds.source import Damage, Feed, Recorded
from hfengine.instruments import Instrument
from hfengine.kernels.book import Book
from hfengine.kernels.codec import DEPTH, MARK, QUOTE, SNAPSHOT, TRADE, BinanceCodec
from hfengine.limits import PUMP_BATCH_FRAMES
from hfengine.messages import FeedFault, Frame, Message
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.seeds import Seed
from hfengine.settings import Venue as VenueSettings
from hfengine.venues.marks import DerivedMark
from hfengine.venues.port import Ended, Tell
from hfengine.venues.simulated_account import SimulatedAccount, unconnected
from hfengine.venues.touch import TouchBook

SNAPSHOT_LEVELS = 1000
DERIVED = "derived mark"
MARK_SAMPLE_NS = 100_000_000
FUNDING_PERIOD_NS = 8 * 3600 * 1_000_000_000
ASSUMED_FUNDING_RATE = Decimal("0.0001")


class SimVenue(SimulatedAccount):
    """One account at the simulated exchange, fed by a recording or a synthetic market."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        feed: Feed,
        instruments: Mapping[str, Instrument],
        settings: VenueSettings,
        seed: Seed,
        loop: VirtualLoop,
        clock: VirtualClock,
    ) -> None:
        super().__init__(exchange, settings, seed=seed, loop=loop, clock=clock)
        self._instruments = instruments
        self._loop = loop
        self._clock = clock
        self._recorded: Iterator[Recorded | Damage] = iter(feed.events())
        self._head: Recorded | Damage | None = next(self._recorded, None)
        self._travelling: deque[tuple[int, Message]] = deque()
        self._feed_delay = self._delay(
            seed, "feed", settings.feed_latency_us, settings.feed_jitter_us
        )
        self._codecs: dict[str, BinanceCodec] = {}
        self._books: dict[str, Book] = {}
        self._marks: dict[str, DerivedMark | None] = {}
        self._sample_ns = dict.fromkeys(instruments, 0)
        for symbol, instrument in instruments.items():
            book = Book(str(instrument.price_tick), str(instrument.quantity_step))
            codec = BinanceCodec(symbol, book)
            self._books[symbol] = book
            self._codecs[symbol] = codec
            self._marks[symbol] = DerivedMark()
            exchange.attach_book(symbol, TouchBook(codec, book))
        self._ended: Ended = _never
        self._market: Tell = unconnected
        self._running = False
        self.frames = 0
        self._derived_marks = 0

    @property
    def derived_marks(self) -> int:
        """Return how many frames the engine was given that no recording holds."""
        on_the_way = (m for _, m in self._travelling if isinstance(m, Frame))
        return self._derived_marks - sum(1 for m in on_the_way if m.origin == DERIVED)

    def _at(self, due_ns: int, call: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_at_ns(due_ns, call, *arguments)

    # streams

    def connect(self, market: Tell, account: Tell, ended: Ended) -> None:
        """Start the feed; it runs until its end or `stop`."""
        self._ended = ended
        self._market = market
        self._account = account
        self._running = True
        self._loop.call_soon(self._pump)

    def stop(self) -> None:
        """Stop the feed; requests are still answered."""
        self._running = False

    def _pump(self) -> None:
        """Process events until a timer, a ready callback or the batch's end is next.

        A paced run takes every event as a timer of the loop, which waits for it; a run at full
        speed moves the clock itself as long as no timer is due before the next event.
        """
        loop, clock, travelling = self._loop, self._clock, self._travelling
        paced = loop.speed is not None
        now_ns = clock.now_ns()
        timers_made = -1
        timer_ns: int | None = None
        for _ in range(PUMP_BATCH_FRAMES):
            if not self._running:
                return
            head = self._head
            arrives = bool(travelling) and (head is None or travelling[0][0] <= head.at_ns)
            if arrives:
                at_ns = travelling[0][0]
            elif head is not None:
                at_ns = head.at_ns
            else:
                self._running = False
                self._ended("the feed ended")
                return
            if at_ns > now_ns:
                if loop.has_ready():
                    # time goes by only when nothing is left to do, as it does on a paced loop
                    break
                if timers_made != loop.timers_made:
                    timers_made = loop.timers_made
                    timer_ns = loop.next_timer_ns()
                if paced or (timer_ns is not None and timer_ns <= at_ns):
                    loop.call_at_ns(at_ns, self._pump)
                    return
                clock.advance_to(at_ns)
                now_ns = at_ns
            if arrives:
                self._market(travelling.popleft()[1])
            elif head is not None:
                self._head = next(self._recorded, None)
                self._leave(head)
            if loop.has_ready():
                break
        loop.call_soon(self._pump)

    def _leave(self, event: Recorded | Damage) -> None:
        if isinstance(event, Recorded):
            self._ingest(event)
            return
        self._travel(
            event.at_ns,
            FeedFault(
                event.symbol, event.at_ns, event.fault, event.origin, event.line, event.detail
            ),
        )

    def _travel(self, at_ns: int, message: Message) -> None:
        self._travelling.append((self._feed_delay.due_ns(at_ns), message))

    def _ingest(self, recorded: Recorded) -> None:
        """Let the exchange see a frame, then send it on its way to the engine."""
        self.frames += 1
        at_ns, symbol = recorded.at_ns, recorded.symbol
        codec = self._codecs.get(symbol)
        due_ns = self._feed_delay.due_ns(at_ns)
        self._travelling.append(
            (due_ns, Frame(symbol, due_ns, recorded.payload, recorded.origin, recorded.line))
        )
        if codec is None:
            return
        exchange = self._exchange
        kind = codec.decode(recorded.payload)
        if kind == TRADE:
            exchange.on_trade(symbol, codec.trade_ticks, codec.trade_steps, codec.trade_side, at_ns)
        elif kind in (QUOTE, DEPTH, SNAPSHOT):
            if at_ns >= self._sample_ns[symbol]:
                self._derive_mark(symbol, codec, at_ns)
            exchange.on_book(symbol, at_ns)
        elif kind == MARK:
            self._marks[symbol] = None
            exchange.on_mark(
                symbol,
                Decimal(repr(codec.mark_price)),
                Decimal(repr(codec.index_price)),
                Decimal(repr(codec.funding_rate)),
                codec.next_funding_ms * 1_000_000,
                at_ns,
            )
        self._send_account_events(at_ns)

    def _derive_mark(self, symbol: str, codec: BinanceCodec, at_ns: int) -> None:
        self._sample_ns[symbol] = at_ns + MARK_SAMPLE_NS
        derived = self._marks[symbol]
        if derived is None or not codec.top_valid:
            return
        mid = 0.5 * (codec.top_bid + codec.top_ask)
        mark = derived.update(at_ns, mid)
        if mark is None:
            return
        tick = self._instruments[symbol].price_tick / 10
        exact_mark = Decimal(repr(mark)).quantize(tick)
        index = Decimal(repr(mid)).quantize(tick)
        funding_ns = (at_ns // FUNDING_PERIOD_NS + 1) * FUNDING_PERIOD_NS
        self._exchange.on_mark(symbol, exact_mark, index, ASSUMED_FUNDING_RATE, funding_ns, at_ns)
        payload = (
            f'{{"e":"markPriceUpdate","E":{at_ns // 1_000_000},"s":"{symbol}","p":"{exact_mark}",'
            f'"i":"{index}","r":"{ASSUMED_FUNDING_RATE}","T":{funding_ns // 1_000_000}}}'
        )
        due_ns = self._feed_delay.due_ns(at_ns)
        self._travelling.append((due_ns, Frame(symbol, due_ns, payload.encode(), DERIVED)))
        self._derived_marks += 1

    async def snapshot(self, symbol: str) -> bytes:
        """Return the exchange's own book; VenueUnavailable while its recording has a gap."""

        def read(_at_ns: int) -> bytes:
            codec, book = self._codecs[symbol], self._books[symbol]
            if not codec.synced:
                return b""
            instrument = self._instruments[symbol]
            tick, step = instrument.price_tick, instrument.quantity_step

            def rows(side: int) -> list[list[str]]:
                levels = book.levels(side, SNAPSHOT_LEVELS)
                return [[str(ticks * tick), str(steps * step)] for ticks, steps in levels]

            return orjson.dumps(
                {
                    "lastUpdateId": book.update_id,
                    "E": codec.event_ms,
                    "T": codec.match_ms,
                    "bids": rows(1),
                    "asks": rows(-1),
                }
            )

        payload = await self._request(read)
        if not payload:
            msg = f"{symbol}: the feed itself is out of sync and holds no later snapshot"
            raise VenueUnavailable(msg)
        return payload


def _never(reason: str) -> None:
    msg = f"the feed ended before connect(): {reason}"
    raise RuntimeError(msg)
