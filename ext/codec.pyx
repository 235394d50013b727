# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Binance market frames, of the futures or of spot, straight into a fixed-point book.

A frame is scanned whole before anything in it is believed; only a conforming one whose every
number lies on the grid and whose ids follow the chain changes the book.
"""

from collections import deque

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from hfengine.kernels.answers cimport Top, forget, settle_oldest, take_book, take_quote
from hfengine.kernels.book cimport Book
from hfengine.kernels.canonical cimport Stamps, read_binance_diff
from hfengine.kernels.events cimport (
    claim_of, depth_keys, mark_keys, quote_keys, snapshot_keys, trade_keys, wrapper_claims,
)
from hfengine.kernels.fields cimport (
    check_keys, check_sides, check_symbol, fail, read_double, read_integer, read_units,
)
from hfengine.kernels.frame cimport (
    KEY_A, KEY_ASKS, KEY_B, KEY_BIDS, KEY_DATA, KEY_E, KEY_I, KEY_ID, KEY_LAST_UPDATE_ID, KEY_M,
    KEY_P, KEY_PU, KEY_Q, KEY_R, KEY_RESULT, KEY_S, KEY_SYMBOL, KEY_T, KEY_U, LITERAL, NO_SLOT,
    OBJECT, UPPER_A, UPPER_B, UPPER_E, UPPER_T, UPPER_U, UPPER_X, Field, bit, is_text,
    read_on_grids_of, scan_frame,
)
from hfengine.kernels.touch cimport price_in, quantity_in, tick_of, touch_of

KEPT_MAX = 1024
MARKETS = ("usdm", "coinm", "spot")
FAULTS = {
    MALFORMED: "malformed", FOREIGN: "foreign", WRONG_SYMBOL: "wrong_symbol",
    BAD_NUMBER: "bad_number", OFF_GRID: "off_grid", GAP: "gap", CROSSED: "crossed",
    OVERFLOW: "overflow",
}
KINDS = {
    IGNORED: "ignored", DEPTH: "depth", QUOTE: "quote", TRADE: "trade", MARK: "mark",
    SNAPSHOT: "snapshot", BUFFERED: "buffered", STALE: "stale",
}
NAMED = {
    KEY_PU: "pu", KEY_ID: "id", KEY_BIDS: "bids", KEY_ASKS: "asks", KEY_DATA: "data",
    KEY_SYMBOL: "symbol", KEY_RESULT: "result", KEY_LAST_UPDATE_ID: "lastUpdateId",
}


cdef class BinanceCodec:
    def __cinit__(self, str symbol not None, Book book not None, str market not None="usdm"):
        if not symbol or not symbol.isascii() or '"' in symbol or "\\" in symbol:
            raise ValueError(f"symbol must be a venue symbol such as 'BTCUSDT', got {symbol!r}")
        if market not in MARKETS:
            raise ValueError(f"market must be one of {', '.join(MARKETS)}, got {market!r}")
        self.symbol = symbol
        self.market = market
        self.spot = market == "spot"
        self.symbol_text = symbol.encode("ascii")
        self.symbol_start = PyBytes_AS_STRING(self.symbol_text)
        self.symbol_length = PyBytes_GET_SIZE(self.symbol_text)
        self.printable = symbol.isprintable()
        self.book = book
        self.kept = deque()
        read_on_grids_of(&self.frame, book)
        self.mark_price = self.index_price = self.funding_rate = NAN
        self.trade_price = self.trade_quantity = NAN
        self.resync()

    def __dealloc__(self):
        free(self.frame.bids.levels)
        free(self.frame.asks.levels)

    cpdef int decode(self, bytes payload) except -100:
        cdef int code
        if payload is None:
            raise TypeError("payload must be bytes, not None")
        self.frame.failure.code = IGNORED
        code = self.judge(payload)
        self.outcomes[code - OVERFLOW] += 1
        return code

    cdef int judge(self, bytes payload) except -100:
        cdef const Fields* fields = &self.frame.outer
        cdef int kind
        cdef bint doubtful = False
        cdef Stamps stamps
        cdef Text start = <Text> PyBytes_AS_STRING(payload)
        if self.printable and read_binance_diff(
            &self.frame, start, start + PyBytes_GET_SIZE(payload), self.spot,
            self.symbol_start, self.symbol_length, &stamps,
        ):
            self.canonical += 1
            self.event_ms = stamps.event_ms
            self.match_ms = stamps.match_ms
            return self.take_diff(stamps.first, stamps.last, stamps.previous, payload)
        if self.scan(payload) == NULL:
            return self.malformed()
        if fields.seen & bit(KEY_DATA) and fields.slot[KEY_DATA].form == OBJECT:
            doubtful = fields.seen & wrapper_claims() != 0
            fields = &self.frame.inner
        kind = claim_of(fields, self.spot)
        if doubtful:
            fail(&self.frame, FOREIGN, KEY_DATA, self.frame.scan.start, b"two frames in one")
            return self.lose(FOREIGN) if kind == DEPTH or kind == SNAPSHOT else FOREIGN
        if kind == QUOTE:
            return self.quote_frame(fields)
        if kind == TRADE:
            return self.trade_frame(fields)
        if kind == DEPTH:
            return self.depth_frame(fields, payload)
        if kind == MARK:
            return self.mark_frame(fields)
        if kind == SNAPSHOT:
            return self.snapshot_frame(fields)
        if kind == FOREIGN:
            fail(&self.frame, FOREIGN, KEY_E, self.frame.scan.start, b"no known event")
        return kind

    cdef Text scan(self, bytes payload) noexcept:
        cdef Text start = <Text> PyBytes_AS_STRING(payload)
        return scan_frame(&self.frame, start, start + PyBytes_GET_SIZE(payload))

    cdef int malformed(self) noexcept nogil:
        """Refuse a frame; only one that surely was no change of the book leaves it in sync."""
        cdef const Fields* fields = &self.frame.outer
        cdef int kind
        if self.frame.inner.seen & bit(KEY_E):
            fields = &self.frame.inner
        kind = claim_of(fields, self.spot)
        fail(&self.frame, MALFORMED, NO_SLOT, self.frame.scan.fault, self.frame.scan.what)
        return MALFORMED if kind == QUOTE or kind == TRADE or kind == MARK else self.lose(MALFORMED)

    cdef int lose(self, int code) noexcept nogil:
        """Leave sync: an unproved book is no book."""
        self.synced = False
        self.chained = False
        self.book.reset()
        return code

    cdef int check(self, const Fields* fields, uint64_t keys) noexcept nogil:
        cdef int code = check_keys(&self.frame, fields, keys)
        if code:
            return code
        return check_symbol(&self.frame, fields, KEY_S, self.symbol_start, self.symbol_length)

    cdef int depth_frame(self, const Fields* fields, bytes payload) except -100:
        cdef int64_t first = 0
        cdef int64_t last = 0
        cdef int64_t previous = 0
        cdef int code = self.read_depth(fields, &first, &last, &previous)
        return self.lose(code) if code else self.take_diff(first, last, previous, payload)

    cdef int take_diff(
        self, int64_t first, int64_t last, int64_t previous, bytes payload
    ) except -100:
        """Apply the diff in the scratch area, or keep it."""
        cdef Top top
        cdef int code
        if not self.synced:
            return self.keep(payload)
        code = self.follow(first, last, previous)
        if code == DEPTH:
            top = touch_of(self.book)
            take_book(&self.answers, &top)
        elif code < 0:
            self.lose(code)
            self.keep(payload)
        return code

    cdef int read_depth(
        self, const Fields* fields, int64_t* first, int64_t* last, int64_t* previous
    ) noexcept nogil:
        """Check all of a diff that can be checked without the book."""
        cdef int64_t event_ms = 0
        cdef int64_t match_ms = 0
        cdef int code = self.check(fields, depth_keys(self.spot))
        if (
            code or (code := check_sides(&self.frame, fields, KEY_B, KEY_A))
            or (code := read_integer(&self.frame, fields, UPPER_U, first))
            or (code := read_integer(&self.frame, fields, KEY_U, last))
            or not self.spot
            and (code := read_integer(&self.frame, fields, KEY_PU, previous))
            or (code := read_integer(&self.frame, fields, UPPER_E, &event_ms))
            or not self.spot
            and (code := read_integer(&self.frame, fields, UPPER_T, &match_ms))
        ):
            return code
        if self.spot:
            if fields.seen & bit(KEY_PU):
                return fail(
                    &self.frame, FOREIGN, KEY_PU, fields.slot[KEY_PU].at, b"a diff of futures"
                )
            # Its ids leave no hole: what came before the first is the last of the diff before.
            previous[0] = first[0] - 1
            match_ms = event_ms
        if first[0] > last[0] or previous[0] > last[0]:
            return fail(&self.frame, BAD_NUMBER, KEY_U, fields.slot[KEY_U].at, b"ids run backwards")
        self.event_ms = event_ms
        self.match_ms = match_ms
        return 0

    cdef int follow(self, int64_t first, int64_t last, int64_t previous) noexcept nogil:
        """Apply the diff in the scratch area if it continues the chain."""
        cdef int64_t known = self.book.update_id
        if last < known or (last == known and (self.chained or self.spot)):
            return STALE
        if self.chained and previous != known:
            fail(
                &self.frame, GAP, NO_SLOT, self.frame.scan.start,
                b"U - 1 is not the last u" if self.spot else b"pu is not the last u",
            )
            self.frame.failure.expected, self.frame.failure.found = known, previous
            return GAP
        if not self.chained and first > known and previous != known:
            fail(&self.frame, GAP, NO_SLOT, self.frame.scan.start, b"U is past the snapshot")
            self.frame.failure.expected, self.frame.failure.found = known, first
            return GAP
        self.book.apply_side(1, self.frame.bids.levels, self.frame.bids.count)
        self.book.apply_side(-1, self.frame.asks.levels, self.frame.asks.count)
        if self.book.is_crossed():
            return fail(&self.frame, CROSSED, NO_SLOT, self.frame.scan.start, b"bid above ask")
        self.chained = True
        self.book.update_id = last
        return DEPTH

    cdef int keep(self, bytes payload) except -100:
        """Keep a diff for the next snapshot; when too many wait, the oldest goes."""
        self.kept.append(payload)
        if len(self.kept) <= KEPT_MAX:
            return BUFFERED
        self.kept.popleft()
        return fail(&self.frame, OVERFLOW, NO_SLOT, self.frame.scan.start, b"no snapshot came")

    cdef int snapshot_frame(self, const Fields* fields) except -100:
        cdef int64_t last = 0
        cdef int64_t event_ms = 0
        cdef int64_t match_ms = 0
        cdef int code = self.check(fields, snapshot_keys())
        if (
            code
            or (code := check_symbol(
                &self.frame, fields, KEY_SYMBOL, self.symbol_start, self.symbol_length
            ))
            or (code := check_sides(&self.frame, fields, KEY_BIDS, KEY_ASKS))
            or (code := read_integer(&self.frame, fields, KEY_LAST_UPDATE_ID, &last))
        ):
            return self.lose(code)
        if fields.seen & bit(UPPER_E):
            code = read_integer(&self.frame, fields, UPPER_E, &event_ms)
        if code == 0 and fields.seen & bit(UPPER_T):
            code = read_integer(&self.frame, fields, UPPER_T, &match_ms)
        if code:
            return self.lose(code)
        if self.synced and last <= self.book.update_id:
            return STALE
        self.book.load_side(1, self.frame.bids.levels, self.frame.bids.count)
        self.book.load_side(-1, self.frame.asks.levels, self.frame.asks.count)
        if self.book.is_crossed():
            fail(&self.frame, CROSSED, NO_SLOT, self.frame.scan.start, b"bid above ask")
            return self.lose(CROSSED)
        self.book.update_id = last
        self.synced = True
        self.chained = False
        code = self.replay()
        self.event_ms = event_ms
        self.match_ms = match_ms
        return code

    cdef int replay(self) except -100:
        """Apply the kept diffs to a snapshot; on a fault keep them for the next one.

        The book stands at none of them when it is next seen, so they ask for no answer.
        """
        cdef int64_t first = 0
        cdef int64_t last = 0
        cdef int64_t previous = 0
        cdef int64_t applied = 0
        cdef int code
        for payload in self.kept:
            self.scan(payload)
            code = self.read_depth(
                &self.frame.inner if self.frame.inner.seen else &self.frame.outer,
                &first, &last, &previous,
            )
            if code == 0:
                code = self.follow(first, last, previous)
            if code < 0:
                return self.lose(code)
            applied += code == DEPTH
        self.kept.clear()
        self.replayed += applied
        return SNAPSHOT

    cdef int quote_frame(self, const Fields* fields) noexcept nogil:
        cdef Top quote
        cdef Frame* frame = &self.frame
        cdef int64_t event_ms = 0
        cdef int64_t match_ms = 0
        cdef int code = self.check(fields, quote_keys(self.spot))
        if (
            code or (code := read_integer(frame, fields, KEY_U, &quote.update_id))
            or (code := read_units(frame, fields, KEY_B, &frame.tick, &quote.bid_ticks))
            or (code := read_units(frame, fields, UPPER_B, &frame.step, &quote.bid_steps))
            or (code := read_units(frame, fields, KEY_A, &frame.tick, &quote.ask_ticks))
            or (code := read_units(frame, fields, UPPER_A, &frame.step, &quote.ask_steps))
            or not self.spot
            and (
                (code := read_integer(frame, fields, UPPER_E, &event_ms))
                or (code := read_integer(frame, fields, UPPER_T, &match_ms))
            )
        ):
            return code
        # An empty side comes as zero at zero.
        if (quote.bid_ticks == 0 and quote.bid_steps) or (quote.ask_ticks == 0 and quote.ask_steps):
            return fail(frame, BAD_NUMBER, KEY_B, fields.slot[KEY_B].at, b"no price")
        if quote.ask_ticks and quote.bid_ticks >= quote.ask_ticks:
            return fail(frame, CROSSED, KEY_B, fields.slot[KEY_B].at, b"bid above ask")
        self.event_ms = event_ms
        self.match_ms = match_ms
        if quote.update_id < self.quote.update_id:
            return STALE
        self.quote = quote
        self.quote_update_id = quote.update_id
        self.quote_bid_ticks = quote.bid_ticks
        self.quote_bid_steps = quote.bid_steps
        self.quote_ask_ticks = quote.ask_ticks
        self.quote_ask_steps = quote.ask_steps
        self.quote_bid = self.book.price_of(quote.bid_ticks)
        self.quote_bid_quantity = self.book.quantity_of(quote.bid_steps)
        self.quote_ask = self.book.price_of(quote.ask_ticks)
        self.quote_ask_quantity = self.book.quantity_of(quote.ask_steps)
        take_quote(&self.answers, &quote)
        return QUOTE

    cdef int trade_frame(self, const Fields* fields) noexcept nogil:
        cdef int id_slot = KEY_T if is_text(&fields.slot[KEY_E], b"trade", 5) else KEY_A
        cdef const Field* market = &fields.slot[UPPER_X]
        cdef const Field* maker = &fields.slot[KEY_M]
        cdef int64_t event_ms = 0
        cdef int64_t match_ms = 0
        cdef int64_t trade_id = 0
        cdef int64_t ticks = 0
        cdef int64_t steps = 0
        cdef int code = self.check(fields, trade_keys(id_slot))
        if code:
            return code
        if fields.seen & bit(UPPER_X) and not (
            is_text(market, b"MARKET", 6) or is_text(market, b"", 0)
        ):
            self.off_market += 1
            return IGNORED
        if maker.form != LITERAL or maker.at[0] == 110:
            return fail(&self.frame, FOREIGN, KEY_M, maker.at, b"neither true nor false")
        if (
            (code := read_integer(&self.frame, fields, id_slot, &trade_id))
            or (code := read_units(&self.frame, fields, KEY_P, &self.frame.tick, &ticks))
            or (code := read_units(&self.frame, fields, KEY_Q, &self.frame.step, &steps))
            or (code := read_integer(&self.frame, fields, UPPER_E, &event_ms))
            or (code := read_integer(&self.frame, fields, UPPER_T, &match_ms))
        ):
            return code
        if ticks == 0 or steps == 0:
            return fail(&self.frame, BAD_NUMBER, KEY_P, fields.slot[KEY_P].at, b"no trade")
        self.trade_id = trade_id
        self.trade_ticks = ticks
        self.trade_steps = steps
        self.trade_price = self.book.price_of(ticks)
        self.trade_quantity = self.book.quantity_of(steps)
        self.trade_side = -1 if maker.at[0] == 116 else 1
        self.event_ms = event_ms
        self.match_ms = match_ms
        return TRADE

    cdef int mark_frame(self, const Fields* fields) noexcept:
        cdef double mark = 0.0
        cdef double index = 0.0
        cdef double rate = 0.0
        cdef int64_t event_ms = 0
        cdef int64_t next_ms = 0
        cdef int code = self.check(fields, mark_keys())
        if (
            code or (code := read_double(&self.frame, fields, KEY_P, False, &mark))
            or (code := read_double(&self.frame, fields, KEY_I, False, &index))
            or (code := read_double(&self.frame, fields, KEY_R, True, &rate))
            or (code := read_integer(&self.frame, fields, UPPER_E, &event_ms))
            or (code := read_integer(&self.frame, fields, UPPER_T, &next_ms))
        ):
            return code
        if mark <= 0.0:
            return fail(&self.frame, BAD_NUMBER, KEY_P, fields.slot[KEY_P].at, b"a mark price of 0")
        self.mark_price = mark
        self.index_price = index
        self.funding_rate = rate
        self.next_funding_ms = next_ms
        self.event_ms = self.match_ms = event_ms
        return MARK

    cdef Top newest(self) noexcept nogil:
        """Return the newer of book and quote; the book when they are of one update."""
        if self.synced and self.book.update_id >= self.quote.update_id:
            return touch_of(self.book)
        return self.quote

    def top(self, int levels):
        cdef Top top = self.newest()
        if levels < 1:
            raise ValueError(f"levels must be at least 1, got {levels}")
        if not self.synced or top.bid_ticks <= 0 or top.ask_ticks <= 0:
            return None
        return tick_of(self.book, &top, self.event_ms, levels)

    def finish_checks(self):
        while self.answers.waiting:
            settle_oldest(&self.answers)

    def desync(self):
        self.lose(IGNORED)

    def resync(self):
        self.lose(IGNORED)
        self.kept.clear()
        forget(&self.answers)
        memset(&self.quote, 0, sizeof(Top))
        self.quote_update_id = self.quote_bid_ticks = self.quote_bid_steps = 0
        self.quote_ask_ticks = self.quote_ask_steps = 0
        self.quote_bid = self.quote_bid_quantity = NAN
        self.quote_ask = self.quote_ask_quantity = NAN

    @property
    def counts(self):
        named = {
            name: self.outcomes[code - OVERFLOW]
            for code, name in [*KINDS.items(), *FAULTS.items()]
        }
        return {**named, "off_market": self.off_market, "replayed": self.replayed}

    @property
    def fault_detail(self):
        cdef int slot = self.frame.failure.slot
        if self.frame.failure.code == IGNORED:
            return ""
        text = f"{FAULTS[self.frame.failure.code]}: {self.frame.failure.what.decode()}"
        if slot >= 52:
            text += f" ({NAMED[slot]})"
        elif slot >= 0:
            text += f" ({chr(65 + slot - UPPER_A) if slot >= UPPER_A else chr(97 + slot)})"
        if self.frame.failure.code == GAP:
            text += f", {self.frame.failure.found} against {self.frame.failure.expected}"
        return f"{text} at byte {self.frame.failure.offset}"

    @property
    def buffered(self):
        return len(self.kept)

    @property
    def checks_matched(self):
        return self.answers.matched

    @property
    def checks_mismatched(self):
        return self.answers.mismatched

    @property
    def top_valid(self):
        cdef Top top = self.newest()
        return top.bid_ticks > 0 and top.ask_ticks > 0

    @property
    def top_update_id(self):
        return self.newest().update_id

    @property
    def top_bid(self):
        cdef Top top = self.newest()
        return price_in(self.book, top.bid_ticks)

    @property
    def top_bid_quantity(self):
        cdef Top top = self.newest()
        return quantity_in(self.book, top.bid_ticks, top.bid_steps)

    @property
    def top_ask(self):
        cdef Top top = self.newest()
        return price_in(self.book, top.ask_ticks)

    @property
    def top_ask_quantity(self):
        cdef Top top = self.newest()
        return quantity_in(self.book, top.ask_ticks, top.ask_steps)
