"""Declarations for cimport: layer 5's regression, the rebalance rules and their C entry points."""

cimport cython
from libc.stdint cimport int64_t

cdef enum:
    RING = 64
    FACTOR_COUNT = 6
    TERMS = 7


cdef struct Spread:
    # A decayed mean and sum of squared deviations.
    double mean
    double square


cdef struct Record:
    # Decayed moments of predictions and of the returns that followed.
    double weight
    double weight_square
    double predicted_mean
    double realised_mean
    double predicted_square
    double realised_square
    double product


cdef class Drift:
    cdef readonly double horizon_s
    cdef readonly double half_life_s
    cdef readonly double ridge
    cdef readonly double gap_max_s
    cdef readonly int64_t warmup
    cdef readonly bint learn
    cdef readonly double step_s
    cdef int64_t _step_ns
    cdef int64_t _gap_ns
    cdef double _keep
    cdef double _keep_short
    cdef double _keep_mean
    # The market since the last start.
    cdef bint _priced
    cdef int64_t _start_ns
    cdef int64_t _at_ns
    cdef int64_t _cell
    cdef int64_t _steps
    cdef double _origin
    cdef double _newest
    cdef double _last
    cdef double _open_quantity
    cdef double _short_weight
    cdef double _short_square
    cdef double _short_quantity
    cdef double _long_weight
    cdef double _long_square
    cdef double _long_quantity
    cdef double _mean_weight
    cdef double _mean
    cdef double[RING] _levels
    cdef double[RING][FACTOR_COUNT] _past_factors
    cdef double[RING] _past_predictions
    # What is learned.
    cdef double[FACTOR_COUNT] _factors
    cdef double _spread_weight
    cdef Spread[FACTOR_COUNT] _spreads
    cdef double[TERMS] _prior
    cdef double[TERMS] _coefficients
    cdef double[TERMS][TERMS] _moments
    cdef double[TERMS] _targets
    cdef Record _record
    cdef double _predicted
    cdef double _correlation
    cdef double _sure

    cdef void clear(self) noexcept nogil
    cdef void clear_market(self) noexcept nogil
    cdef void clear_lessons(self) noexcept nogil
    cdef bint advance(self, int64_t at_ns) noexcept nogil
    cdef int step_price(self, int64_t at_ns, double price) noexcept nogil
    cdef void step_log(self, int64_t at_ns, double log_price) noexcept nogil
    cdef int step_trade(self, int64_t at_ns, double quantity) noexcept nogil
    cdef void close(self) noexcept nogil
    cdef void absorb(self, double move) noexcept nogil
    cdef void measure(self, double level, double momentum) noexcept nogil
    cdef double standardise(self, int factor, double raw) noexcept nogil
    cdef double predict(self) noexcept nogil
    cdef void judge(self, double predicted, double realised) noexcept nogil
    cdef void study(self, const double* factors, double realised) noexcept nogil
    cdef void solve(self) noexcept nogil
    cdef bint ready_now(self) noexcept nogil
    cdef double value_now(self) noexcept nogil
    cdef double confidence_now(self) noexcept nogil


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
