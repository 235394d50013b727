"""Declarations for cimport: the fused forecast and its C entry points."""

cdef enum:
    LAYERS = 6
    AT_OU = 2
    AT_CROSS = 5

cdef enum:
    NO_SIGNAL_C = 0
    ENTRY_C = 1
    REFUSED_C = 2


cdef class Fusion:
    cdef readonly double horizon_s
    cdef readonly double drift_min
    cdef readonly double confidence_min
    cdef readonly double disagreement_max
    cdef double[LAYERS] _weights
    cdef bint _fused
    cdef bint _cross_claims
    cdef double _cross_move
    cdef double _log_return
    cdef double _drift
    cdef double _support
    cdef double _opposition
    cdef double _confidence
    cdef double _half_life_s
    cdef int _refused
    cdef double _measured
    cdef double _threshold

    cdef void clear(self) noexcept nogil
    cdef void fuse(
        self,
        const double* expectations,
        const double* confidences,
        double reversion_half_life_s,
        bint cross_claims,
    ) noexcept nogil
    cdef int refuse(self, int gate, double measured, double threshold) noexcept nogil
    cdef int judge(self) noexcept nogil
