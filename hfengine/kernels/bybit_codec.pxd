# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The C side of the Bybit V5 linear codec."""

from libc.stdint cimport int64_t, uint64_t

from hfengine.kernels.answers cimport Top
from hfengine.kernels.book cimport Book
from hfengine.kernels.bybit_frame cimport BybitFrame, Topic, Trades
from hfengine.kernels.canonical cimport Head, Update
from hfengine.kernels.frame cimport Field
from hfengine.kernels.scanner cimport Text

cpdef enum:
    IGNORED = 0
    DEPTH = 1
    QUOTE = 2
    TRADE = 3
    MARK = 4
    SNAPSHOT = 5
    UNSYNCED = 6
    STALE = 7
    MALFORMED = -1
    FOREIGN = -2
    WRONG_SYMBOL = -3
    BAD_NUMBER = -4
    OFF_GRID = -5
    GAP = -6
    CROSSED = -7
    OVERFLOW = -8


cdef class BybitCodec:
    cdef readonly str symbol
    cdef readonly Book book
    cdef readonly bint synced
    cdef readonly int depth
    cdef readonly int64_t event_ms
    cdef readonly int64_t match_ms
    cdef readonly int64_t sequence
    cdef readonly int64_t canonical

    cdef Top quote
    cdef int64_t quote_sequence
    cdef int64_t book_sequence

    cdef readonly double trade_price
    cdef readonly double trade_quantity
    cdef readonly int64_t trade_ticks
    cdef readonly int64_t trade_steps
    cdef readonly int trade_side

    cdef readonly double mark_price
    cdef readonly double index_price
    cdef readonly double funding_rate
    cdef readonly int64_t next_funding_ms

    cdef readonly bint control_success
    cdef readonly str control_op
    cdef readonly str control_request_id
    cdef readonly str control_message

    cdef bytes symbol_text
    cdef bint printable  # the symbol needs no escapes where it is written
    cdef Head head
    cdef BybitFrame frame
    cdef Trades trades[2]  # of the last trade frame, and room for the next
    cdef int shown  # which of the two is the last
    cdef bytes trades_payload  # where their ids lie
    cdef int64_t outcomes[16]
    cdef int64_t off_market
    cdef int64_t sequence_backwards

    cpdef int decode(self, bytes payload) except -100
    cdef Top newest(self) noexcept nogil

    cdef int judge(self, bytes payload) except -100
    cdef int malformed(self) noexcept nogil
    cdef int lose(self, int code) noexcept nogil
    cdef int refuse(self, int code, int slot, const char* what) noexcept nogil
    cdef int check(
        self, const Topic* topic, uint64_t outer, uint64_t inner, int symbol
    ) noexcept nogil
    cdef int book_frame(self, const Topic* topic) noexcept nogil
    cdef bint read_delta(self, Text start, Text end, Update* update) noexcept nogil
    cdef int take(self, int depth, const Update* update) noexcept nogil
    cdef int read_book(self, const Topic* topic, Update* update) noexcept nogil
    cdef int follow(self, const Update* update) noexcept nogil
    cdef int load(self, int depth, const Update* update) noexcept nogil
    cdef int touch_frame(self, const Update* update) noexcept nogil
    cdef int trade_frame(self, const Topic* topic, bytes payload) except -100
    cdef int mark_frame(self, const Topic* topic) noexcept
    cdef int control_frame(self) except -100
    cdef str text_of(self, const Field* field)
