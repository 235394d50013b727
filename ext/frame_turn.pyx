# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The turn of a plain market frame without a step of the interpreter: decoded, its new top told.

Plain is a frame of a known symbol that leaves its book as true as it was and moves its top.
Whatever else a frame says is left to the caller, who hears how its decoding ended.
"""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from hfengine.kernels.answers cimport Top
from hfengine.kernels.book cimport Book
from hfengine.kernels.bybit_codec cimport DEPTH, QUOTE, SNAPSHOT, BybitCodec
from hfengine.kernels.codec cimport BinanceCodec
from hfengine.kernels.histogram cimport Histogram, mono_ns
from hfengine.kernels.touch cimport price_in, quantity_in

cdef enum:
    LEVELS = 5, C_UNSEATED = -100, C_TOLD = 100

IMBALANCE_LEVELS = LEVELS
UNSEATED = C_UNSEATED
TOLD = C_TOLD


cdef class TopFeed:
    """One symbol's codec, and what was told of its top. See the stub."""

    cdef readonly str symbol
    cdef readonly Book book
    cdef public bint told_synced
    cdef public bint contradicted
    cdef object tick_class
    cdef int64_t told_id

    cdef int take(self, bytes payload) except -101:
        raise NotImplementedError

    cdef bint is_plain(self, int kind) noexcept:
        """Tell whether a frame of this kind says nothing but, perhaps, a new top."""
        return False

    cdef object new_top(self, int64_t at_ns):
        raise NotImplementedError

    def top(self, int64_t at_ns):
        return self.new_top(at_ns)

    cdef object tick_of(self, int64_t at_ns, int64_t event_ms, const Top* top):
        cdef Book book = self.book
        self.told_id = top.update_id
        return self.tick_class(
            self.symbol, at_ns, event_ms, top.update_id,
            price_in(book, top.bid_ticks), quantity_in(book, top.bid_ticks, top.bid_steps),
            price_in(book, top.ask_ticks), quantity_in(book, top.ask_ticks, top.ask_steps),
            book.imbalance_of(LEVELS),
        )


cdef class BybitTopFeed(TopFeed):
    cdef readonly BybitCodec codec

    def __init__(self, str symbol not None, BybitCodec codec not None, tick_class not None):
        self.symbol = symbol
        self.codec = codec
        self.book = codec.book
        self.tick_class = tick_class

    cdef int take(self, bytes payload) except -101:
        return self.codec.decode(payload)

    cdef bint is_plain(self, int kind) noexcept:
        return (
            (kind == DEPTH or kind == QUOTE or kind == SNAPSHOT)
            and self.codec.synced == self.told_synced
        )

    cdef object new_top(self, int64_t at_ns):
        cdef BybitCodec codec = self.codec
        cdef Top top = codec.newest()
        # update ids begin again when the service restarts
        if (
            not codec.synced or top.bid_ticks <= 0 or top.ask_ticks <= 0
            or top.update_id == self.told_id
        ):
            return None
        return self.tick_of(at_ns, codec.event_ms, &top)


cdef class BinanceTopFeed(TopFeed):
    cdef readonly BinanceCodec codec
    cdef int64_t mismatched

    def __init__(self, str symbol not None, BinanceCodec codec not None, tick_class not None):
        self.symbol = symbol
        self.codec = codec
        self.book = codec.book
        self.tick_class = tick_class

    cdef int take(self, bytes payload) except -101:
        return self.codec.decode(payload)

    cdef bint is_plain(self, int kind) noexcept:
        return (kind == QUOTE or kind == DEPTH) and self.codec.synced == self.told_synced

    cdef object new_top(self, int64_t at_ns):
        cdef BinanceCodec codec = self.codec
        cdef Top top
        if codec.answers.mismatched != self.mismatched:
            self.mismatched = codec.answers.mismatched
            self.contradicted = True
            return None
        top = codec.newest()
        if (
            not codec.synced or top.bid_ticks <= 0 or top.ask_ticks <= 0
            or top.update_id <= self.told_id
        ):
            return None
        return self.tick_of(at_ns, codec.event_ms, &top)


cdef class FrameTurn:
    """Take the frames of many symbols. See the stub."""

    cdef readonly int64_t frames
    cdef readonly dict heard_ns
    cdef dict feeds
    cdef object stages
    cdef object publish
    cdef Histogram socket
    cdef Histogram decode
    cdef Histogram book
    cdef object rest

    def __init__(
        self, dict feeds not None, dict heard_ns not None, stages, publish not None, rest not None
    ):
        self.feeds = {}
        for symbol, feed in feeds.items():
            if isinstance(feed, TopFeed):
                self.feeds[symbol] = feed
        self.heard_ns = heard_ns
        self.stages = stages
        self.publish = publish
        self.rest = rest
        self.socket = stages.socket
        self.decode = stages.decode
        self.book = stages.book

    def handle(self, frame):
        cdef int kind = self.take(frame)
        if kind != C_TOLD:
            self.rest(frame, kind)

    cpdef int take(self, frame) except? -1:
        cdef int64_t started_ns = mono_ns()
        cdef int64_t read_at_ns = self.stages.read_at_ns
        cdef int64_t decoded_ns
        cdef PyObject* found
        cdef TopFeed feed
        cdef int kind
        if read_at_ns:
            self.socket.record_ns(started_ns - read_at_ns)
            self.stages.frame_at_ns = read_at_ns
        else:
            self.stages.frame_at_ns = started_ns
        self.frames += 1
        symbol = frame.symbol
        found = PyDict_GetItem(self.feeds, symbol)
        if found is NULL:
            return C_UNSEATED
        feed = <TopFeed>found
        at_ns = frame.received_ns
        self.heard_ns[symbol] = at_ns
        kind = feed.take(frame.payload)
        decoded_ns = mono_ns()
        self.decode.record_ns(decoded_ns - started_ns)
        if not feed.is_plain(kind):
            return kind
        tick = feed.new_top(at_ns)
        if tick is None:
            return kind if feed.contradicted else C_TOLD
        self.publish(tick)
        self.book.record_ns(mono_ns() - decoded_ns)
        return C_TOLD
