# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The rebalance decision: what a forecast's drift says about a position already open.

Drift is the expected return (forecast - price) / price, a plain signed fraction; sides are +1
(long) and -1 (short); confidence is a positive number on one scale throughout.
"""

cimport cython
from libc.math cimport fabs, floor, isfinite, rint

cdef enum:
    C_HOLD, C_REDUCE, C_CLOSE

cdef enum:
    C_NO_REASON, C_DRIFT_FLIP, C_MAX_HOLD, C_DRIFT_DECAY, C_CONFIDENCE_DROP

HOLD, REDUCE, CLOSE = range(3)
REASONS = ("none", "drift_flip", "max_hold", "drift_decay", "confidence_drop")

# Thresholds and differences are decimals held as doubles: this much is representation, so that a
# change of exactly the threshold does not count as more than it.
cdef double REPRESENTATION = 1e-12
# The product of a decimal fraction and a whole number of steps is right to this much of itself.
cdef double PRODUCT = 4e-16


cdef bint exceeds(double measured, double limit, double scale) noexcept nogil:
    return measured > limit + REPRESENTATION * scale


@cython.final
cdef class RebalanceRules:
    """Decide whether to hold, reduce or close, by four rules in a fixed order.

    1. drift points against the position: close, "drift_flip"
    2. age above max_hold_half_lives half-lives: close, "max_hold"
    3. drift fell by more than decay_threshold since the baseline, seen from the position's side:
       reduce, "drift_decay"
    4. confidence more than confidence_drop_relative below its baseline, relative to it: reduce,
       "confidence_drop"

    Every comparison is strict: at exactly the threshold the position is held. A reduce leaves
    floor(reduce_to * quantity) steps; less than the venue's minimum is a close for the same
    reason. After a reduce the caller takes today's drift and confidence as the new baseline.
    Thresholds are finite and not negative, confidence_drop_relative at most 1, max_hold_half_lives
    positive (inf for never), reduce_to in [0, 1); ValueError otherwise.
    """

    def __init__(
        self, double decay_threshold=0.0005, double confidence_drop_relative=0.3,
        double max_hold_half_lives=2.0, double reduce_to=0.5
    ):
        if not (decay_threshold >= 0.0 and isfinite(decay_threshold)):
            raise ValueError(f"decay_threshold must not be negative, not {decay_threshold}")
        if not 0.0 <= confidence_drop_relative <= 1.0:
            raise ValueError(
                f"confidence_drop_relative must lie in [0, 1], not {confidence_drop_relative}")
        if not max_hold_half_lives > 0.0:
            raise ValueError(f"max_hold_half_lives must be positive, not {max_hold_half_lives}")
        if not 0.0 <= reduce_to < 1.0:
            raise ValueError(f"reduce_to must lie in [0, 1), not {reduce_to}")
        self.decay_threshold = decay_threshold
        self.confidence_drop_relative = confidence_drop_relative
        self.max_hold_half_lives = max_hold_half_lives
        self.reduce_to = reduce_to

    cdef int reason_of(
        self, int side, double baseline_drift, double drift, double entry_confidence,
        double confidence, double age_s, double half_life_s
    ) noexcept nogil:
        cdef double hold_max_s = self.max_hold_half_lives * half_life_s
        cdef double confidence_min = entry_confidence * (1.0 - self.confidence_drop_relative)
        if side * drift < 0.0:
            return C_DRIFT_FLIP
        if exceeds(age_s, hold_max_s, hold_max_s):
            return C_MAX_HOLD
        if exceeds(side * (baseline_drift - drift), self.decay_threshold, fabs(baseline_drift)):
            return C_DRIFT_DECAY
        if exceeds(confidence_min, confidence, entry_confidence):
            return C_CONFIDENCE_DROP
        return C_NO_REASON

    cpdef int decide(
        self, int side, double baseline_drift, double drift, double entry_confidence,
        double confidence, double age_s, double half_life_s, long long quantity_steps,
        long long quantity_min_steps
    ) except? -1:
        """Return HOLD, REDUCE or CLOSE; set reason (index into REASONS) and close_steps.

        Drifts and confidences are those of the baseline (entry, or the last reduce) and of now;
        age_s counts from entry; half_life_s is positive, inf where none is known; quantities are
        whole steps. Without a position (0 steps) there is nothing to do: HOLD. Raises ValueError
        for another side, NaN, a half-life that is not positive, a negative age, confidence or
        quantity.
        """
        cdef double kept
        cdef long long kept_steps
        if side != 1 and side != -1:
            raise ValueError(f"side must be +1 (long) or -1 (short), not {side}")
        if not (isfinite(baseline_drift) and isfinite(drift)):
            raise ValueError(f"drifts must be finite, not {baseline_drift} and {drift}")
        if not (entry_confidence >= 0.0 and confidence >= 0.0 and isfinite(entry_confidence)):
            raise ValueError(
                f"confidence must not be negative, not {entry_confidence} and {confidence}")
        if not (age_s >= 0.0 and half_life_s > 0.0):
            raise ValueError(f"age {age_s} s or half-life {half_life_s} s is out of range")
        if quantity_steps < 0 or quantity_min_steps < 0:
            raise ValueError(
                f"quantity {quantity_steps} and minimum {quantity_min_steps} must not be negative")
        self.action = C_HOLD
        self.reason = C_NO_REASON
        self.close_steps = 0
        if quantity_steps == 0:
            return self.action
        self.reason = self.reason_of(
            side, baseline_drift, drift, entry_confidence, confidence, age_s, half_life_s)
        if self.reason == C_NO_REASON:
            return self.action
        self.action = C_CLOSE
        self.close_steps = quantity_steps
        if self.reason == C_DRIFT_FLIP or self.reason == C_MAX_HOLD:
            return self.action
        # 0.29 * 100 is 28.999999999999996: a product that is whole but for representation is whole.
        kept = self.reduce_to * quantity_steps
        if fabs(kept - rint(kept)) <= PRODUCT * kept:
            kept = rint(kept)
        kept_steps = <long long>floor(kept)
        if 0 < kept_steps < quantity_steps and kept_steps >= quantity_min_steps:
            self.action = C_REDUCE
            self.close_steps = quantity_steps - kept_steps
        return self.action


cpdef double drift_of(double forecast_usdt, double price_usdt) except? -1:
    """Return the expected return (forecast - price) / price.

    Raises ValueError for a price that is not positive or a number that is not finite.
    """
    if not (price_usdt > 0.0 and isfinite(price_usdt) and isfinite(forecast_usdt)):
        raise ValueError(f"no drift from price {price_usdt} to forecast {forecast_usdt}")
    return (forecast_usdt - price_usdt) / price_usdt
