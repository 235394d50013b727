"""Declarations for cimport: the pair's grid, its decayed products and the C entry points."""

from libc.stdint cimport int64_t

cdef enum:
    LAGS_MAX = 32
    RETURNS = 33
    PRODUCTS = 65

cdef struct Leg:
    bint seen
    int64_t at_ns
    double newest
    double sampled
    double square
    # Returns of the closed steps and their decayed sums, newest first.
    double[RETURNS] returns
    double[RETURNS] sums


cdef class Cross:
    cdef readonly double step_ms
    cdef readonly int lags
    cdef readonly double half_life_s
    cdef readonly int64_t warmup
    cdef readonly double gap_max_s
    cdef int64_t _step_ns
    cdef double _log_keep
    cdef double _keep
    cdef int64_t _start_ns
    cdef int64_t _at_ns
    cdef int64_t _cell
    cdef int64_t _steps
    cdef int64_t _updates
    cdef int _lag
    cdef double _sure
    cdef Leg _a
    cdef Leg _b
    # Sums of a[t - k] b[t] (of a[t] b[t + k] for k < 0) and of their squares, at lags + k.
    cdef double[PRODUCTS] _products
    cdef double[PRODUCTS] _squares

    cdef void clear(self) noexcept nogil
    cdef int step_a(self, int64_t at_ns, double price) noexcept nogil
    cdef int step_b(self, int64_t at_ns, double price) noexcept nogil
    cdef int step(self, Leg* leg, int64_t at_ns, double price) noexcept nogil
    cdef void step_log(self, Leg* leg, int64_t at_ns, double log_price) noexcept nogil
    cdef void close(self, int64_t passed) noexcept nogil
    cdef void shift(self, Leg* leg, double move) noexcept nogil
    cdef void skip(self, int64_t count) noexcept nogil
    cdef void multiply(self) noexcept nogil
    cdef double correlation_at_now(self, int lag) noexcept nogil
    cdef double beta_now(self) noexcept nogil
    cdef double divergence_now(self) noexcept nogil
    cdef double value_now(self) noexcept nogil
    cdef double confidence_now(self) noexcept nogil
    cdef double assess(self) noexcept nogil
    cdef int leader_now(self) noexcept nogil
