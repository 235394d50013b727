cimport cython

@cython.final
cdef class RebalanceRules:
    cdef readonly double decay_threshold
    cdef readonly double confidence_drop_relative
    cdef readonly double max_hold_half_lives
    cdef readonly double reduce_to
    cdef readonly int action
    cdef readonly int reason
    cdef readonly long long close_steps
    cdef int reason_of(
        self, int side, double baseline_drift, double drift, double entry_confidence,
        double confidence, double age_s, double half_life_s) noexcept nogil
    cpdef int decide(
        self, int side, double baseline_drift, double drift, double entry_confidence,
        double confidence, double age_s, double half_life_s, long long quantity_steps,
        long long quantity_min_steps) except? -1

cpdef double drift_of(double forecast_usdt, double price_usdt) except? -1
