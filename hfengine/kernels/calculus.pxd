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

cdef struct Settled:
    # The fit of all points but the newest, on times scaled to -1..0 before the last of them: its
    # recurrence p(k+1) = (x - shift) p(k) - ratio p(k-1), norms, coefficients and residual square.
    bint usable
    int64_t last_ns
    double span_ns
    double last_log
    double square
    double[DERIVATIVES] shift
    double[DERIVATIVES] ratio
    double[DERIVATIVES] norm
    double[DERIVATIVES] coefficient


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
    cdef bint _stale
    cdef Settled _settled
    cdef double _sigma
    cdef double _velocity_sigma
    # Derivatives 0..4 of the fitted log price at the newest observation, per s^k.
    cdef double[DERIVATIVES] _fitted
    cdef int64_t[CELLS] _at_ns
    cdef double[CELLS] _log_price

    cdef void clear(self) noexcept nogil
    cdef int step(self, int64_t at_ns, double price) noexcept nogil
    cdef void step_log(self, int64_t at_ns, double log_price) noexcept nogil
    cdef void keep(self, int64_t at_ns, double log_price) noexcept nogil
    cdef void forget_fit(self) noexcept nogil
    cdef void fit(self) noexcept nogil
    cdef void settle(self) noexcept nogil
    cdef bint join_newest(self) noexcept nogil
    cdef void fit_all(self) noexcept nogil
    cdef double scale(self, int end, double* x, double* rest, Products* with_one) noexcept nogil
    cdef void unscale(self, double square, double span_s, double spread) noexcept nogil
    cdef double t_statistic_now(self) noexcept nogil
    cdef double confidence_now(self) noexcept nogil
