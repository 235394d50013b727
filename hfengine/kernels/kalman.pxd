"""Declarations for cimport: the filter's state and its C entry points."""

from libc.stdint cimport int64_t


cdef class Kalman:
    cdef readonly double process_noise
    cdef readonly double measurement_noise
    cdef readonly double gap_max_s
    cdef readonly int64_t warmup
    cdef double _slope_prior
    cdef double _curvature_prior
    cdef int64_t _at_ns
    cdef int64_t _updates
    cdef double _level
    cdef double _slope
    cdef double _curvature
    cdef double _p00
    cdef double _p01
    cdef double _p02
    cdef double _p11
    cdef double _p12
    cdef double _p22
    cdef double _innovation
    cdef double _innovation_sigma

    cdef void clear(self) noexcept nogil
    cdef int step(self, int64_t at_ns, double price) noexcept nogil
    cdef void step_log(self, int64_t at_ns, double log_price) noexcept nogil
    cdef void restart(self, int64_t at_ns, double log_price) noexcept nogil
    cdef void predict(self, double dt) noexcept nogil
    cdef void correct(self, double log_price) noexcept nogil
    cdef double snr_now(self) noexcept nogil
    cdef double confidence_now(self) noexcept nogil
    cdef double forecast_now(self, double horizon_s) noexcept nogil
