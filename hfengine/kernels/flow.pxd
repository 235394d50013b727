"""Declarations for cimport: the decayed sums and their C entry points."""

from libc.stdint cimport int64_t


cdef class Flow:
    cdef readonly double half_life_s
    cdef readonly double gap_max_s
    cdef readonly int64_t warmup
    cdef double _rate
    cdef int64_t _at_ns
    cdef int64_t _updates
    cdef bint _quoted
    cdef double _bid
    cdef double _bid_quantity
    cdef double _ask
    cdef double _ask_quantity
    cdef double _quote_sum
    cdef double _quote_gross
    cdef double _quote_square
    cdef double _quote_count
    cdef double _trade_sum
    cdef double _trade_gross
    cdef double _trade_square
    cdef double _trade_count

    cdef void clear(self) noexcept nogil
    cdef void advance(self, int64_t at_ns) noexcept nogil
    cdef int step_quote(
        self, int64_t at_ns, double bid, double bid_quantity, double ask, double ask_quantity
    ) noexcept nogil
    cdef int step_trade(self, int64_t at_ns, double quantity, int side) noexcept nogil
    cdef double combined_now(self) noexcept nogil
    cdef double confidence_now(self) noexcept nogil
