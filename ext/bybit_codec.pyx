# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Bybit V5 linear market frames straight into a fixed-point book.

A frame is scanned whole before anything in it is believed; only a conforming one whose every
number lies on the grid and whose update id follows the last changes the book.
"""

from decimal import Decimal
from json import loads

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from hfengine.kernels.answers cimport Top
from hfengine.kernels.book cimport Book
from hfengine.kernels.bybit_frame cimport (
    ASKS, BIDS, BOOK_TOPIC, FUNDING_RATE, INDEX_PRICE, MARK_PRICE, MATCHED, MESSAGE, NEXT_FUNDING,
    OPERATION, PAYLOAD, REQUEST_ID, SENT, SEQUENCE, SUCCESS, SYMBOL, TICKER_SYMBOL, TICKER_TOPIC,
    TOPIC, TRADE_TOPIC, TYPE, UPDATE, Topic, Trade, Trades, check_market, read_topic,
    scan_bybit,
)
from hfengine.kernels.bybit_frame cimport TRADES_MAX as TRADES_ROOM
from hfengine.kernels.canonical cimport Update, read_bybit_delta, write_head
from hfengine.kernels.fields cimport check_keys, check_sides, fail, read_double, read_integer
from hfengine.kernels.frame cimport (
    ESCAPED, LITERAL, NO_SLOT, NUMBER, OBJECT, OTHER, STRING, Field, Fields, Frame, Scratch, bit,
    is_text, read_on_grids_of,
)
from hfengine.kernels.scanner cimport Text
from hfengine.kernels.touch cimport price_in, quantity_in, tick_of, touch_of

TRADES_MAX = TRADES_ROOM
FAULTS = {
    MALFORMED: "malformed", FOREIGN: "foreign", WRONG_SYMBOL: "wrong_symbol",
    BAD_NUMBER: "bad_number", OFF_GRID: "off_grid", GAP: "gap", CROSSED: "crossed",
    OVERFLOW: "overflow",
}
KINDS = {
    IGNORED: "ignored", DEPTH: "depth", QUOTE: "quote", TRADE: "trade", MARK: "mark",
    SNAPSHOT: "snapshot", UNSYNCED: "unsynced", STALE: "stale",
}
# The keys in the order of their slots.
NAMES = (
    "a", "b", "s", "u", "seq", "T", "S", "v", "p", "i", "BT", "symbol", "markPrice", "indexPrice",
    "fundingRate", "nextFundingTime", "topic", "type", "ts", "data", "cts", "op", "success",
    "req_id", "ret_msg",
)

cdef uint64_t STAMPED = bit(TOPIC) | bit(SENT) | bit(PAYLOAD)
cdef uint64_t TYPED = STAMPED | bit(TYPE)
cdef uint64_t BOOK_KEYS = bit(SYMBOL) | bit(BIDS) | bit(ASKS) | bit(UPDATE) | bit(SEQUENCE)
cdef uint64_t MARK_KEYS = (
    bit(MARK_PRICE) | bit(INDEX_PRICE) | bit(FUNDING_RATE) | bit(NEXT_FUNDING)
)
# What a topic must not come with, lest one payload be two frames.
cdef uint64_t CLAIMS = bit(OPERATION) | bit(SUCCESS)


cdef class BybitCodec:
    def __cinit__(self, str symbol not None, Book book not None):
        if not symbol or not symbol.isascii() or '"' in symbol or "\\" in symbol:
            raise ValueError(f"symbol must be a venue symbol such as 'BTCUSDT', got {symbol!r}")
        self.symbol = symbol
        self.symbol_text = symbol.encode("ascii")
        self.frame.symbol = PyBytes_AS_STRING(self.symbol_text)
        self.frame.symbol_length = PyBytes_GET_SIZE(self.symbol_text)
        self.book = book
        read_on_grids_of(&self.frame.base, book)
        self.printable = symbol.isprintable()
        self.trades_payload = b""
        self.control_op = self.control_request_id = self.control_message = ""
        self.mark_price = self.index_price = self.funding_rate = NAN
        self.trade_price = self.trade_quantity = NAN
        self.resync()

    def __dealloc__(self):
        free(self.frame.base.bids.levels)
        free(self.frame.base.asks.levels)

    cpdef int decode(self, bytes payload) except -100:
        cdef int code
        if payload is None:
            raise TypeError("payload must be bytes, not None")
        self.frame.base.failure.code = IGNORED
        code = self.judge(payload)
        self.outcomes[code - OVERFLOW] += 1
        return code

    cdef int judge(self, bytes payload) except -100:
        cdef Text start = <Text> PyBytes_AS_STRING(payload)
        cdef Text end = start + PyBytes_GET_SIZE(payload)
        cdef uint64_t seen
        cdef Topic topic
        cdef Update update
        cdef int code
        if self.printable and self.depth > 1 and self.read_delta(start, end, &update):
            self.canonical += 1
            code = self.take(self.depth, &update)
            return code if code >= 0 else self.lose(code)
        self.frame.trades = &self.trades[1 - self.shown]
        if scan_bybit(&self.frame, start, end) == NULL:
            return self.malformed()
        seen = self.frame.base.outer.seen
        if not seen & bit(TOPIC):
            if seen & bit(OPERATION):
                return self.control_frame()
            return self.refuse(FOREIGN, NO_SLOT, b"neither a topic nor a reply")
        topic = read_topic(&self.frame)
        if seen & CLAIMS:
            self.refuse(FOREIGN, TOPIC, b"two frames in one")
            return self.lose(FOREIGN) if topic.kind == BOOK_TOPIC else FOREIGN
        if topic.kind == BOOK_TOPIC:
            return self.book_frame(&topic)
        if topic.kind == TRADE_TOPIC:
            return self.trade_frame(&topic, payload)
        if topic.kind == TICKER_TOPIC:
            return self.mark_frame(&topic)
        return self.refuse(FOREIGN, TOPIC, b"no known topic")

    cdef int malformed(self) noexcept nogil:
        """Refuse a frame; only one that surely was no change of the book leaves it in sync."""
        cdef Frame* base = &self.frame.base
        cdef Topic topic
        fail(base, MALFORMED, NO_SLOT, base.scan.fault, base.scan.what)
        if base.outer.seen & bit(TOPIC):
            topic = read_topic(&self.frame)
            if topic.kind == TRADE_TOPIC or topic.kind == TICKER_TOPIC:
                return MALFORMED
        return self.lose(MALFORMED)

    cdef int lose(self, int code) noexcept nogil:
        """Leave sync: an unproved book is no book."""
        self.synced = False
        self.book_sequence = 0
        self.book.reset()
        return code

    cdef int refuse(self, int code, int slot, const char* what) noexcept nogil:
        cdef Frame* base = &self.frame.base
        cdef Text at = base.scan.start if slot == NO_SLOT else (
            base.inner.slot[slot].at if slot < TOPIC else base.outer.slot[slot].at
        )
        return fail(base, code, slot, at, what)

    cdef int check(
        self, const Topic* topic, uint64_t outer, uint64_t inner, int symbol
    ) noexcept nogil:
        """Check that a frame whose `data` is one object has its keys and is of the symbol."""
        cdef Frame* base = &self.frame.base
        cdef int code = check_keys(base, &base.outer, outer)
        if code:
            return code
        if not topic.ours:
            return self.refuse(WRONG_SYMBOL, TOPIC, b"another symbol")
        if base.outer.slot[PAYLOAD].form != OBJECT:
            return self.refuse(FOREIGN, PAYLOAD, b"not an object")
        code = check_keys(base, &base.inner, inner)
        return code if code else check_market(&self.frame, &base.inner, symbol)

    cdef int book_frame(self, const Topic* topic) noexcept nogil:
        """Take a frame of the book's depth, of another one, or of the touch beside it."""
        cdef Update update
        # A fault in the stream of another depth says nothing about the book.
        cdef bint aside = self.depth != 0 and topic.depth != self.depth
        cdef int code = self.read_book(topic, &update)
        if code == 0:
            code = self.take(topic.depth, &update)
        return code if code >= 0 or aside else self.lose(code)

    cdef int take(self, int depth, const Update* update) noexcept nogil:
        """Apply the frame just read whole."""
        self.event_ms = update.event_ms
        self.match_ms = update.match_ms
        self.sequence = update.sequence
        if depth == 1:
            return self.touch_frame(update)
        return self.load(depth, update) if update.whole else self.follow(update)

    cdef bint read_delta(self, Text start, Text end, Update* update) noexcept nogil:
        """Read a delta of the book's depth written as the venue writes it; False for any other."""
        if self.head.depth != self.depth:
            write_head(&self.head, self.depth, self.frame.symbol, self.frame.symbol_length)
        return read_bybit_delta(
            &self.frame.base, start, end, &self.head, self.frame.symbol, self.frame.symbol_length,
            &self.frame.base.inner.slot[UPDATE].at, update,
        )

    cdef int read_book(self, const Topic* topic, Update* update) noexcept nogil:
        """Check all of a frame that can be checked without the book."""
        cdef Frame* base = &self.frame.base
        cdef const Fields* fields = &base.inner
        cdef bint delta
        cdef int code = self.check(topic, TYPED, BOOK_KEYS, SYMBOL)
        if code:
            return code
        delta = is_text(&base.outer.slot[TYPE], b"delta", 5)
        if not delta and not is_text(&base.outer.slot[TYPE], b"snapshot", 8):
            return self.refuse(FOREIGN, TYPE, b"neither snapshot nor delta")
        if delta and topic.depth == 1:
            return self.refuse(FOREIGN, TYPE, b"a delta of depth 1")
        if delta and self.depth and topic.depth != self.depth:
            return self.refuse(FOREIGN, TOPIC, b"a delta of another depth than the book's")
        if (
            (code := check_sides(base, fields, BIDS, ASKS))
            or (code := read_integer(base, fields, UPDATE, &update.update_id))
            or (code := read_integer(base, fields, SEQUENCE, &update.sequence))
            or (code := read_integer(base, &base.outer, SENT, &update.event_ms))
        ):
            return code
        update.match_ms = update.event_ms
        update.whole = not delta or update.update_id == 1
        if base.outer.seen & bit(MATCHED):
            return read_integer(base, &base.outer, MATCHED, &update.match_ms)
        return 0

    cdef int follow(self, const Update* update) noexcept nogil:
        """Apply the delta in the scratch area if it continues the chain."""
        cdef int64_t known = self.book.update_id
        if not self.synced:
            return UNSYNCED
        if update.update_id <= known:
            return STALE
        if update.update_id != known + 1:
            self.refuse(GAP, UPDATE, b"not the next update")
            self.frame.base.failure.expected = known + 1
            self.frame.base.failure.found = update.update_id
            return GAP
        self.book.apply_side(1, self.frame.base.bids.levels, self.frame.base.bids.count)
        self.book.apply_side(-1, self.frame.base.asks.levels, self.frame.base.asks.count)
        if self.book.is_crossed():
            return self.refuse(CROSSED, NO_SLOT, b"bid above ask")
        self.sequence_backwards += update.sequence < self.book_sequence
        self.book.update_id = update.update_id
        self.book_sequence = update.sequence
        return DEPTH

    cdef int load(self, int depth, const Update* update) noexcept nogil:
        """Replace the book by the levels in the scratch area."""
        cdef const Scratch* bids = &self.frame.base.bids
        cdef const Scratch* asks = &self.frame.base.asks
        self.book.load_side(1, bids.levels, bids.count)
        self.book.load_side(-1, asks.levels, asks.count)
        if self.book.is_crossed():
            return self.lose(self.refuse(CROSSED, NO_SLOT, b"bid above ask"))
        if update.update_id == 1 and depth > 1:
            # After a restart of the service nothing says that the old touch is older.
            memset(&self.quote, 0, sizeof(Top))
            self.quote_sequence = 0
        self.book.update_id = update.update_id
        self.book_sequence = update.sequence
        self.depth = depth
        self.synced = True
        return SNAPSHOT

    cdef int touch_frame(self, const Update* update) noexcept nogil:
        """Take a snapshot of depth 1: the touch, and the book where there is no deeper one."""
        cdef const Scratch* bids = &self.frame.base.bids
        cdef const Scratch* asks = &self.frame.base.asks
        cdef Top quote
        if bids.count > 1 or asks.count > 1:
            return self.refuse(FOREIGN, PAYLOAD, b"more than the touch")
        memset(&quote, 0, sizeof(Top))
        quote.update_id = update.update_id
        if bids.count and bids.levels[0].steps:
            quote.bid_ticks = bids.levels[0].ticks
            quote.bid_steps = bids.levels[0].steps
        if asks.count and asks.levels[0].steps:
            quote.ask_ticks = asks.levels[0].ticks
            quote.ask_steps = asks.levels[0].steps
        if quote.ask_ticks and quote.bid_ticks >= quote.ask_ticks:
            return self.refuse(CROSSED, NO_SLOT, b"bid above ask")
        if (
            (self.synced or self.depth > 1)
            and quote.update_id == self.quote.update_id
            and update.sequence == self.quote_sequence
        ):
            return STALE
        self.quote = quote
        self.quote_sequence = update.sequence
        return self.load(1, update) if self.depth <= 1 else QUOTE

    cdef int trade_frame(self, const Topic* topic, bytes payload) except -100:
        cdef Frame* base = &self.frame.base
        cdef const Trades* trades = self.frame.trades
        cdef const Trade* last
        cdef int64_t event_ms = 0
        cdef int code = check_keys(base, &base.outer, STAMPED)
        if code:
            return code
        if not topic.ours:
            return self.refuse(WRONG_SYMBOL, TOPIC, b"another symbol")
        if base.outer.slot[PAYLOAD].form != OTHER:  # an object has a form of its own
            return self.refuse(FOREIGN, PAYLOAD, b"not an array of trades")
        if trades.failure.code:
            base.failure = trades.failure
            return trades.failure.code
        code = read_integer(base, &base.outer, SENT, &event_ms)
        if code:
            return code
        self.off_market += trades.off_market
        if trades.count == 0:
            return IGNORED
        self.shown = 1 - self.shown
        self.trades_payload = payload
        last = &trades.trade[trades.count - 1]
        self.trade_ticks = last.ticks
        self.trade_steps = last.steps
        self.trade_price = self.book.price_of(last.ticks)
        self.trade_quantity = self.book.quantity_of(last.steps)
        self.trade_side = last.side
        self.event_ms = event_ms
        self.match_ms = last.match_ms
        if last.sequence:
            self.sequence = last.sequence
        return TRADE

    cdef int mark_frame(self, const Topic* topic) noexcept:
        """Take what a ticker says of mark, index and funding; a delta leaves out what stayed."""
        cdef Frame* base = &self.frame.base
        cdef const Fields* fields = &base.inner
        cdef double mark = self.mark_price
        cdef double index = self.index_price
        cdef double rate = self.funding_rate
        cdef int64_t next_ms = self.next_funding_ms
        cdef int64_t event_ms = 0
        cdef bint whole
        cdef int code = self.check(topic, TYPED, bit(TICKER_SYMBOL), TICKER_SYMBOL)
        if code:
            return code
        whole = is_text(&base.outer.slot[TYPE], b"snapshot", 8)
        if not whole and not is_text(&base.outer.slot[TYPE], b"delta", 5):
            return self.refuse(FOREIGN, TYPE, b"neither snapshot nor delta")
        if whole and (code := check_keys(base, fields, MARK_KEYS)):
            return code
        if (
            (code := read_integer(base, &base.outer, SENT, &event_ms))
            or fields.seen & bit(MARK_PRICE)
            and (code := read_double(base, fields, MARK_PRICE, False, &mark))
            or fields.seen & bit(INDEX_PRICE)
            and (code := read_double(base, fields, INDEX_PRICE, False, &index))
            or fields.seen & bit(FUNDING_RATE)
            and (code := read_double(base, fields, FUNDING_RATE, True, &rate))
            or fields.seen & bit(NEXT_FUNDING)
            and (code := read_integer(base, fields, NEXT_FUNDING, &next_ms))
        ):
            return code
        if fields.seen & bit(MARK_PRICE) and mark <= 0.0:
            return self.refuse(BAD_NUMBER, MARK_PRICE, b"a mark price of 0")
        self.event_ms = self.match_ms = event_ms
        if not fields.seen & MARK_KEYS:
            return IGNORED
        self.mark_price = mark
        self.index_price = index
        self.funding_rate = rate
        self.next_funding_ms = next_ms
        return MARK

    cdef int control_frame(self) except -100:
        """Note a reply to a request; a pong needs no word of success."""
        cdef const Fields* fields = &self.frame.base.outer
        cdef const Field* success = &fields.slot[SUCCESS]
        cdef const Field* operation = &fields.slot[OPERATION]
        cdef bint succeeded = True
        if operation.form != STRING and operation.form != ESCAPED:
            return self.refuse(FOREIGN, OPERATION, b"not an operation")
        if fields.seen & bit(SUCCESS):
            if success.form != LITERAL or success.at[0] == b"n":
                return self.refuse(FOREIGN, SUCCESS, b"neither true nor false")
            succeeded = success.at[0] == b"t"
        elif not is_text(operation, b"pong", 4):
            return self.refuse(FOREIGN, OPERATION, b"a reply without success")
        self.control_success = succeeded
        self.control_op = self.text_of(operation)
        self.control_request_id = ""
        self.control_message = ""
        if fields.seen & bit(REQUEST_ID):
            self.control_request_id = self.text_of(&fields.slot[REQUEST_ID])
        if fields.seen & bit(MESSAGE):
            self.control_message = self.text_of(&fields.slot[MESSAGE])
        return IGNORED

    cdef str text_of(self, const Field* field):
        """Return the text of a string or number, '' for any other value."""
        cdef const char* start = <const char*> field.at
        if field.form == STRING or field.form == NUMBER:
            return start[:field.stop - field.at].decode("utf-8")
        if field.form == ESCAPED:
            return loads((start - 1)[:field.stop - field.at + 2].decode("utf-8"))
        return ""

    cdef Top newest(self) noexcept nogil:
        """Return the newer of book and touch by sequence; the book when they are of one."""
        if self.synced and self.book_sequence >= self.quote_sequence:
            return touch_of(self.book)
        return self.quote

    def top(self, int levels):
        cdef Top top = self.newest()
        if levels < 1:
            raise ValueError(f"levels must be at least 1, got {levels}")
        if not self.synced or top.bid_ticks <= 0 or top.ask_ticks <= 0:
            return None
        return tick_of(self.book, &top, self.event_ms, levels)

    def trade(self, Py_ssize_t index):
        cdef const Trades* trades = &self.trades[self.shown]
        cdef const Trade* trade
        if not 0 <= index < trades.count:
            raise IndexError(f"no trade {index}: the last trade frame held {trades.count}")
        trade = &trades.trade[index]
        written = self.trades_payload[trade.id_offset:trade.id_offset + trade.id_length]
        if written[0] == c'"' and b"\\" not in written:
            # text without an escape says what it is; the frame was checked when it came
            trade_id = written[1:-1].decode()
        else:
            trade_id = loads(written, parse_float=Decimal)
        return (
            trade_id if isinstance(trade_id, str) else int(trade_id),
            self.book.price_of(trade.ticks), self.book.quantity_of(trade.steps), trade.side,
            trade.match_ms, trade.ticks, trade.steps,
        )

    def desync(self):
        self.lose(IGNORED)

    def resync(self):
        self.lose(IGNORED)
        memset(&self.quote, 0, sizeof(Top))
        self.quote_sequence = 0
        self.depth = 0

    @property
    def trade_count(self):
        return self.trades[self.shown].count

    @property
    def trade_id(self):
        cdef int count = self.trades[self.shown].count
        return self.trade(count - 1)[0] if count else ""

    @property
    def control_is_pong(self):
        return self.control_op == "pong" or (
            self.control_op == "ping" and self.control_message == "pong"
        )

    @property
    def counts(self):
        named = {
            name: self.outcomes[code - OVERFLOW]
            for code, name in [*KINDS.items(), *FAULTS.items()]
        }
        return {
            **named, "off_market": self.off_market, "sequence_backwards": self.sequence_backwards,
        }

    @property
    def fault_detail(self):
        cdef Frame* base = &self.frame.base
        if base.failure.code == IGNORED:
            return ""
        text = f"{FAULTS[base.failure.code]}: {base.failure.what.decode()}"
        if base.failure.slot != NO_SLOT:
            text += f" ({NAMES[base.failure.slot]})"
        if base.failure.code == GAP:
            text += f", {base.failure.found} against {base.failure.expected}"
        return f"{text} at byte {base.failure.offset}"

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
