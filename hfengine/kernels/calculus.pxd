"""Declarations for cimport: the ring of kept observations and the C entry points."""

from libc.stdint cimport int64_t

cdef enum:
    SAMPLES_MAX = 64
    CELLS = 128
    DERIVATIVES = 5

cdef struct Products:
    # Sums over the points of a polynomial times itself, times x times itself, times the residual.
    double itself
    double x
    double rest


cdef class Calculus:
    cdef readonly double window_s
    cdef readonly int samples
    cdef readonly double gap_max_s
    cdef readonly int64_t warmup
    cdef int64_t _window_ns
    cdef int64_t _spacing_ns
    cdef int64_t _updates
    cdef int _first
    cdef int _end
    cdef int _degree
    cdef double _sigma
    cdef double _velocity_sigma
    # Derivatives 0..4 of the fitted log price at the newest observation, per s^k.
    cdef double[DERIVATIVES] _fitted
    cdef int64_t[CELLS] _at_ns
    cdef double[CELLS] _log_price

    cdef void clear(self) noexcept nogil
    cdef int step(self, int64_t at_ns, double price) noexcept nogil
    cdef void keep(self, int64_t at_ns, double log_price) noexcept nogil
    cdef void forget_fit(self) noexcept nogil
    cdef void fit(self) noexcept nogil
    cdef double scale(self, double* x, double* rest, Products* with_one) noexcept nogil
    cdef void unscale(self, double* rest, double span_s, double spread) noexcept nogil
    cdef double t_statistic_now(self) noexcept nogil
    cdef double confidence_now(self) noexcept nogil
