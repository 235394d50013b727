# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One pass over a Bybit V5 market frame: its fields, its levels, and each trade of a trade frame.

What is wrong with a trade is noted beside the trades and judged when the whole frame has proved to
be conforming, as it is with levels.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp

from hfengine.kernels.fields cimport check_keys, fail, read_integer, read_units
from hfengine.kernels.frame cimport (
    ESCAPED, KEY_A, KEY_B, LEVELS, LITERAL, NO_SLOT, NUMBER, OBJECT, OTHER, STRING, WORD_LENGTH_MAX,
    Failure, Field, Fields, Frame, bit, is_text, scan_levels, scan_span, unescape,
)
from hfengine.kernels.scanner cimport (
    Scan, Text, blank, colon_end, digit, fault, string_end, value_end,
)

cdef enum:
    TRADES_MAX = 1024  # the venue's own bound on the trades of one frame

# The slots of the keys: those of `data` first, then the frame's own. `a` and `b` keep the numbers
# under which check_sides looks for the sides.
cdef enum:
    ASKS = KEY_A
    BIDS = KEY_B
    SYMBOL = 2
    UPDATE = 3
    SEQUENCE = 4
    TRADED = 5
    TAKER = 6
    QUANTITY = 7
    PRICE = 8
    TRADE_ID = 9
    BLOCK = 10
    TICKER_SYMBOL = 11
    MARK_PRICE = 12
    INDEX_PRICE = 13
    FUNDING_RATE = 14
    NEXT_FUNDING = 15
    TOPIC = 16
    TYPE = 17
    SENT = 18
    PAYLOAD = 19
    MATCHED = 20
    OPERATION = 21
    SUCCESS = 22
    REQUEST_ID = 23
    MESSAGE = 24

cdef enum TopicKind:
    OTHER_TOPIC
    BOOK_TOPIC
    TRADE_TOPIC
    TICKER_TOPIC

# The codec's codes of the same meaning.
cdef enum:
    TRADE_FOREIGN = -2
    TRADE_OF_ANOTHER = -3
    TRADE_NO_NUMBER = -4
    TRADES_TOO_MANY = -8

cdef struct Trade:
    int64_t ticks
    int64_t steps
    int64_t match_ms
    int64_t sequence  # 0 when the trade has none
    int64_t id_offset  # where the id lies in its payload, quotes included
    int64_t id_length
    int side

cdef struct Trades:
    int count
    int64_t off_market
    Failure failure  # of the first trade that is wrong; code 0 when none is
    Trade trade[TRADES_MAX]

cdef struct Topic:
    TopicKind kind
    int depth  # levels a side, of a book
    bint ours  # of the codec's symbol

cdef struct BybitFrame:
    Frame base
    Trades* trades  # where the trades of the frame being read go
    const char* symbol
    int64_t symbol_length


cdef inline int inner_slot_of(Text name, int64_t length) noexcept nogil:
    """Return the slot of a key of `data`."""
    if length == 1:
        if name[0] == b"b":
            return BIDS
        if name[0] == b"a":
            return ASKS
        if name[0] == b"s":
            return SYMBOL
        if name[0] == b"u":
            return UPDATE
        if name[0] == b"T":
            return TRADED
        if name[0] == b"S":
            return TAKER
        if name[0] == b"v":
            return QUANTITY
        if name[0] == b"p":
            return PRICE
        if name[0] == b"i":
            return TRADE_ID
    elif length == 2 and memcmp(name, b"BT", 2) == 0:
        return BLOCK
    elif length == 3 and memcmp(name, b"seq", 3) == 0:
        return SEQUENCE
    elif length == 6 and memcmp(name, b"symbol", 6) == 0:
        return TICKER_SYMBOL
    elif length == 9 and memcmp(name, b"markPrice", 9) == 0:
        return MARK_PRICE
    elif length == 10 and memcmp(name, b"indexPrice", 10) == 0:
        return INDEX_PRICE
    elif length == 11 and memcmp(name, b"fundingRate", 11) == 0:
        return FUNDING_RATE
    elif length == 15 and memcmp(name, b"nextFundingTime", 15) == 0:
        return NEXT_FUNDING
    return NO_SLOT


cdef inline int outer_slot_of(Text name, int64_t length) noexcept nogil:
    """Return the slot of a key of the frame itself."""
    if length == 2:
        if memcmp(name, b"ts", 2) == 0:
            return SENT
        if memcmp(name, b"op", 2) == 0:
            return OPERATION
    elif length == 3 and memcmp(name, b"cts", 3) == 0:
        return MATCHED
    elif length == 4:
        if memcmp(name, b"data", 4) == 0:
            return PAYLOAD
        if memcmp(name, b"type", 4) == 0:
            return TYPE
    elif length == 5 and memcmp(name, b"topic", 5) == 0:
        return TOPIC
    elif length == 6 and memcmp(name, b"req_id", 6) == 0:
        return REQUEST_ID
    elif length == 7:
        if memcmp(name, b"success", 7) == 0:
            return SUCCESS
        if memcmp(name, b"ret_msg", 7) == 0:
            return MESSAGE
    return NO_SLOT


cdef inline int bybit_slot_of(Scan* scan, Text name, Text stop, bint outer) noexcept nogil:
    """Return the slot of the key just scanned, its escapes resolved."""
    cdef unsigned char plain[WORD_LENGTH_MAX]
    cdef int64_t length = stop - name
    if scan.escaped:
        length = unescape(name, stop, plain, WORD_LENGTH_MAX)
        name = plain
    return outer_slot_of(name, length) if outer else inner_slot_of(name, length)


cdef inline Topic read_topic(BybitFrame* frame) noexcept nogil:
    """Take the topic apart: what it is of, how deep, and whether of the symbol."""
    cdef const Field* field = &frame.base.outer.slot[TOPIC]
    cdef unsigned char plain[WORD_LENGTH_MAX]
    cdef Text p = field.at
    cdef Text stop = field.stop
    cdef Topic topic
    cdef int length = 0
    topic.kind = OTHER_TOPIC
    topic.depth = 0
    topic.ours = False
    if field.form == ESCAPED:
        length = unescape(field.at, field.stop, plain, WORD_LENGTH_MAX)
        p = plain
        # Of a longer topic the beginning still tells the kind.
        stop = p + (length if length >= 0 else WORD_LENGTH_MAX)
    elif field.form != STRING:
        return topic
    if stop - p > 10 and memcmp(p, b"orderbook.", 10) == 0 and p[10] != b"0":
        p += 10
        while p < stop and digit(p[0]) and topic.depth <= 1000:
            topic.depth = topic.depth * 10 + (p[0] - 48)
            p += 1
        if p < stop and p[0] == b"." and (
            topic.depth == 1 or topic.depth == 50 or topic.depth == 200 or topic.depth == 500
            or topic.depth == 1000
        ):
            topic.kind = BOOK_TOPIC
            p += 1
    elif stop - p > 12 and memcmp(p, b"publicTrade.", 12) == 0:
        topic.kind = TRADE_TOPIC
        p += 12
    elif stop - p > 8 and memcmp(p, b"tickers.", 8) == 0:
        topic.kind = TICKER_TOPIC
        p += 8
    topic.ours = length >= 0 and stop - p == frame.symbol_length and (
        memcmp(p, frame.symbol, frame.symbol_length) == 0
    )
    return topic


cdef inline int check_market(BybitFrame* frame, const Fields* fields, int slot) noexcept nogil:
    """Check that a key that is there names the symbol."""
    if is_text(&fields.slot[slot], frame.symbol, frame.symbol_length):
        return 0
    return fail(&frame.base, TRADE_OF_ANOTHER, slot, fields.slot[slot].at, b"another symbol")


cdef inline int read_trade_id(BybitFrame* frame, Trade* trade) noexcept nogil:
    """Note where the id stands: any text, or a whole number."""
    cdef const Field* field = &frame.base.inner.slot[TRADE_ID]
    cdef int64_t number = 0
    cdef int quotes = 0
    cdef int code
    if field.form == NUMBER:
        code = read_integer(&frame.base, &frame.base.inner, TRADE_ID, &number)
        if code:
            return code
    elif (field.form == STRING or field.form == ESCAPED) and field.stop > field.at:
        quotes = 1
    else:
        return fail(&frame.base, TRADE_FOREIGN, TRADE_ID, field.at, b"not an id")
    trade.id_offset = field.at - frame.base.scan.start - quotes
    trade.id_length = field.stop - field.at + 2 * quotes
    return 0


cdef inline int read_trade(BybitFrame* frame, Trade* trade) noexcept nogil:
    """Judge the trade just scanned; side 0 when it was struck off the market."""
    cdef Frame* base = &frame.base
    cdef const Fields* fields = &base.inner
    cdef const Field* block = &fields.slot[BLOCK]
    cdef const Field* taker = &fields.slot[TAKER]
    cdef uint64_t keys = (
        bit(TRADED) | bit(SYMBOL) | bit(TAKER) | bit(QUANTITY) | bit(PRICE) | bit(TRADE_ID)
    )
    cdef int code = check_keys(base, fields, keys)
    if code or (code := check_market(frame, fields, SYMBOL)):
        return code
    if fields.seen & bit(BLOCK):
        if block.form != LITERAL or block.at[0] == b"n":
            return fail(base, TRADE_FOREIGN, BLOCK, block.at, b"neither true nor false")
        if block.at[0] == b"t":
            trade.side = 0
            return 0
    trade.side = 1 if is_text(taker, b"Buy", 3) else -1
    if trade.side < 0 and not is_text(taker, b"Sell", 4):
        return fail(base, TRADE_FOREIGN, TAKER, taker.at, b"neither Buy nor Sell")
    trade.sequence = 0
    if (
        (code := read_trade_id(frame, trade))
        or (code := read_units(base, fields, PRICE, &base.tick, &trade.ticks))
        or (code := read_units(base, fields, QUANTITY, &base.step, &trade.steps))
        or (code := read_integer(base, fields, TRADED, &trade.match_ms))
        or fields.seen & bit(SEQUENCE)
        and (code := read_integer(base, fields, SEQUENCE, &trade.sequence))
    ):
        return code
    if trade.ticks == 0 or trade.steps == 0:
        return fail(base, TRADE_NO_NUMBER, PRICE, fields.slot[PRICE].at, b"no trade")
    return 0


cdef inline void take_trade(BybitFrame* frame, Text at, bint is_object) noexcept nogil:
    """Keep the trade just scanned, or note why not; the first fault stands."""
    cdef Trades* trades = frame.trades
    cdef Trade trade
    cdef int code
    if trades.failure.code:
        return
    if is_object:
        code = read_trade(frame, &trade)
    else:
        code = fail(&frame.base, TRADE_FOREIGN, PAYLOAD, at, b"not a trade")
    if code == 0 and trade.side == 0:
        trades.off_market += 1
        return
    if code == 0 and trades.count == TRADES_MAX:
        code = fail(&frame.base, TRADES_TOO_MANY, PAYLOAD, at, b"too many trades in a frame")
    if code:
        trades.failure = frame.base.failure
        frame.base.failure.code = 0
        return
    trades.trade[trades.count] = trade
    trades.count += 1


cdef inline Text scan_trades(BybitFrame* frame, Text p) noexcept nogil:
    """Read the array of a trade frame, p at its opening bracket."""
    cdef Scan* scan = &frame.base.scan
    cdef Text at
    p = blank(p + 1, scan.end)
    if p < scan.end and p[0] == b"]":
        return p + 1
    while True:
        at = p
        if p < scan.end and p[0] == b"{":
            frame.base.inner.seen = 0
            p = scan_members(frame, p, &frame.base.inner, False)
        else:
            p = value_end(scan, p)
        if p == NULL:
            return NULL
        take_trade(frame, at, at[0] == b"{")
        p = blank(p, scan.end)
        if p < scan.end and p[0] == b"]":
            return p + 1
        if p >= scan.end or p[0] != b",":
            return fault(scan, p, "a comma or a closing bracket must stand here")
        p = blank(p + 1, scan.end)


cdef inline Text scan_member(BybitFrame* frame, Text p, int slot, Field* field) noexcept nogil:
    """Note the span and form of a value; read levels, the inner object and trades."""
    cdef unsigned char first = p[0] if p < frame.base.scan.end else 0
    if slot == BIDS and first == b"[":
        field.stop = scan_levels(&frame.base, p, &frame.base.bids)
        field.form = LEVELS
    elif slot == ASKS and first == b"[":
        field.stop = scan_levels(&frame.base, p, &frame.base.asks)
        field.form = LEVELS
    elif slot == PAYLOAD and first == b"{":
        field.stop = scan_members(frame, p, &frame.base.inner, False)
        field.form = OBJECT
    elif slot == PAYLOAD and first == b"[":
        field.stop = scan_trades(frame, p)
        field.form = OTHER
    else:
        return scan_span(&frame.base.scan, p, field)
    field.at = p
    return field.stop


cdef inline Text scan_members(
    BybitFrame* frame, Text p, Fields* fields, bint outer
) noexcept nogil:
    """Read an object, p at its opening brace. A known key that appears twice is a fault."""
    cdef Scan* scan = &frame.base.scan
    cdef Text name
    cdef int slot
    p = blank(p + 1, scan.end)
    if p < scan.end and p[0] == b"}":
        return p + 1
    while True:
        if p >= scan.end or p[0] != b'"':
            return fault(scan, p, "a key must stand here")
        name = p + 1
        p = string_end(scan, name)
        if p == NULL:
            return NULL
        slot = bybit_slot_of(scan, name, p, outer)
        p = colon_end(scan, p + 1)
        if p == NULL:
            return NULL
        if slot == NO_SLOT:
            p = value_end(scan, p)
        elif fields.seen & bit(slot):
            return fault(scan, name, "a key appears twice")
        else:
            p = scan_member(frame, p, slot, &fields.slot[slot])
        if p == NULL:
            return NULL
        if slot != NO_SLOT:
            fields.seen |= bit(slot)
        p = blank(p, scan.end)
        if p < scan.end and p[0] == b"}":
            return p + 1
        if p >= scan.end or p[0] != b",":
            return fault(scan, p, "a comma or a closing brace must stand here")
        p = blank(p + 1, scan.end)


cdef inline Text scan_bybit(BybitFrame* frame, Text start, Text end) noexcept nogil:
    """Read a whole payload; NULL when it is not exactly one conforming JSON value."""
    cdef Scan* scan = &frame.base.scan
    cdef Text p
    scan.start = start
    scan.end = end
    frame.base.outer.seen = 0
    frame.base.inner.seen = 0
    frame.trades.count = 0
    frame.trades.off_market = 0
    frame.trades.failure.code = 0
    p = blank(start, end)
    if p < end and p[0] == b"{":
        p = scan_members(frame, p, &frame.base.outer, True)
    else:
        p = value_end(scan, p)
    if p == NULL:
        return NULL
    p = blank(p, end)
    if p != end:
        return fault(scan, p, "bytes follow the frame")
    return p
