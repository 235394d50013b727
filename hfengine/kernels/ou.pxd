"""Declarations for cimport: the weighted regression's state and its C entry points."""

from libc.stdint cimport int64_t


cdef class OrnsteinUhlenbeck:
    cdef readonly double weight_half_life_s
    cdef readonly double step_s
    cdef readonly double gap_max_s
    cdef readonly int64_t warmup
    cdef int64_t _step_ns
    cdef double _log_keep
    cdef double _keep
    cdef int64_t _start_ns
    cdef int64_t _at_ns
    cdef int64_t _cell
    cdef int64_t _updates
    cdef int64_t _pairs
    cdef double _origin
    # Log prices less the first one of a start, as are the means and mu.
    cdef double _newest
    cdef double _sampled
    cdef double _weight
    cdef double _weight_square
    cdef double _level_mean
    cdef double _move_mean
    cdef double _level_square
    cdef double _level_move
    cdef double _move_square
    cdef double _theta
    cdef double _mu
    cdef double _sigma
    cdef double _t_statistic
    cdef double _sure

    cdef void clear(self) noexcept nogil
    cdef int step(self, int64_t at_ns, double price) noexcept nogil
    cdef void step_log(self, int64_t at_ns, double log_price) noexcept nogil
    cdef void absorb(self, double level, double move, int64_t count) noexcept nogil
    cdef void estimate(self) noexcept nogil
    cdef double z_score_now(self) noexcept nogil
    cdef double value_now(self) noexcept nogil
    cdef double confidence_now(self) noexcept nogil
