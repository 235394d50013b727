"""Declarations for cimport: the open bar, the sampled variance and their C entry points."""

from libc.stdint cimport int64_t


cdef class TrueRange:
    cdef readonly double bar_s
    cdef readonly int64_t bars
    cdef int64_t _bar_ns
    cdef int64_t _open_ns
    cdef int64_t _count
    cdef bint _opened
    cdef double _high
    cdef double _low
    cdef double _close
    cdef double _atr

    cdef void clear(self) noexcept nogil
    cdef int step(self, int64_t at_ns, double price) noexcept nogil


cdef class Volatility:
    cdef readonly double half_life_s
    cdef int64_t _at_ns
    cdef bint _sampled
    cdef double _mid
    cdef double _variance
    cdef double _weight

    cdef void clear(self) noexcept nogil
    cdef int step(self, int64_t at_ns, double mid) noexcept nogil
    cdef double sigma_now(self) noexcept nogil
