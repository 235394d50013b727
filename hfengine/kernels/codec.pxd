# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The C side of the Binance codec."""

from libc.stdint cimport int64_t, uint64_t

from hfengine.kernels.answers cimport Answers, Top
from hfengine.kernels.book cimport Book
from hfengine.kernels.frame cimport Fields, Frame
from hfengine.kernels.scanner cimport Text

cpdef enum:
    IGNORED = 0
    DEPTH = 1
    QUOTE = 2
    TRADE = 3
    MARK = 4
    SNAPSHOT = 5
    BUFFERED = 6
    STALE = 7
    MALFORMED = -1
    FOREIGN = -2
    WRONG_SYMBOL = -3
    BAD_NUMBER = -4
    OFF_GRID = -5
    GAP = -6
    CROSSED = -7
    OVERFLOW = -8


cdef class BinanceCodec:
    cdef readonly str symbol
    cdef readonly str market
    cdef readonly Book book
    cdef readonly bint synced
    cdef readonly int64_t event_ms
    cdef readonly int64_t match_ms
    cdef readonly int64_t canonical

    cdef Top quote
    cdef readonly int64_t quote_update_id
    cdef readonly int64_t quote_bid_ticks
    cdef readonly int64_t quote_bid_steps
    cdef readonly int64_t quote_ask_ticks
    cdef readonly int64_t quote_ask_steps
    cdef readonly double quote_bid
    cdef readonly double quote_bid_quantity
    cdef readonly double quote_ask
    cdef readonly double quote_ask_quantity

    cdef readonly int64_t trade_id
    cdef readonly double trade_price
    cdef readonly double trade_quantity
    cdef readonly int64_t trade_ticks
    cdef readonly int64_t trade_steps
    cdef readonly int trade_side

    cdef readonly double mark_price
    cdef readonly double index_price
    cdef readonly double funding_rate
    cdef readonly int64_t next_funding_ms

    cdef bint spot
    cdef bint printable  # the symbol needs no escapes where it is written
    cdef bytes symbol_text
    cdef const char* symbol_start
    cdef int64_t symbol_length
    cdef object kept  # diffs received while not synced, as they came
    cdef bint chained  # a diff has followed the snapshot, so that pu must equal the last u
    cdef Frame frame
    cdef Answers answers
    cdef int64_t outcomes[16]
    cdef int64_t off_market
    cdef int64_t replayed

    cpdef int decode(self, bytes payload) except -100
    cdef Top newest(self) noexcept nogil

    cdef int judge(self, bytes payload) except -100
    cdef Text scan(self, bytes payload) noexcept
    cdef int malformed(self) noexcept nogil
    cdef int lose(self, int code) noexcept nogil
    cdef int check(self, const Fields* fields, uint64_t keys) noexcept nogil
    cdef int depth_frame(self, const Fields* fields, bytes payload) except -100
    cdef int take_diff(
        self, int64_t first, int64_t last, int64_t previous, bytes payload
    ) except -100
    cdef int read_depth(
        self, const Fields* fields, int64_t* first, int64_t* last, int64_t* previous
    ) noexcept nogil
    cdef int follow(self, int64_t first, int64_t last, int64_t previous) noexcept nogil
    cdef int keep(self, bytes payload) except -100
    cdef int snapshot_frame(self, const Fields* fields) except -100
    cdef int replay(self) except -100
    cdef int quote_frame(self, const Fields* fields) noexcept nogil
    cdef int trade_frame(self, const Fields* fields) noexcept nogil
    cdef int mark_frame(self, const Fields* fields) noexcept
