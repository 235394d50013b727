# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Layer 5, the expected return from six factors, and the rebalance decision.

Log price is sampled by the previous tick on a grid of 64 steps a horizon, so every memory decays
by a constant factor a step. Six factors of the last closed step are regressed on the log return of
the horizon that followed it: recursive ridge regression with exponential forgetting (Hoerl and
Kennard, Technometrics 12(1), 1970; Ljung, "System Identification", 1999, section 11.2), solved
from its decayed normal equations by Cholesky, so that nothing but the sums is carried on.
Confidence is Fisher's z (Metron 1, 1921) of the predictions' own record.

The rebalance rules say what a forecast's drift means for a position already open. Drift is the
expected return (forecast - price) / price, a plain signed fraction; sides are +1 (long) and -1
(short); confidence is a positive number on one scale throughout.
"""

cimport cython
from libc.math cimport M_LN2, M_PI, M_SQRT1_2, M_SQRT2, atanh, erf, exp, fabs, floor, isfinite
from libc.math cimport fmax, fmin, log, rint, sin, sqrt
from libc.stdint cimport int64_t
from libc.string cimport memset

FACTORS = ("momentum", "volatility", "volume", "time_of_day", "day_of_week", "reversion")
STEPS = RING

cdef enum:
    MOMENTUM, VOLATILITY, VOLUME, TIME_OF_DAY, DAY_OF_WEEK, REVERSION

cdef int64_t DAY_NS = 86_400_000_000_000
cdef double FACTOR_MAX = 4.0
# The mean that price reverts to forgets half in so many horizons.
cdef double MEAN_HORIZONS = 4.0
# A spread of a factor, or of log returns, below this is rounding, not a market.
cdef double SPREAD_MIN = 1e-13
cdef double QUANTITY_MAX = 1e18
# Fisher's z of a correlation needs more than so many independent pairs.
cdef double JUDGED_MIN = 3.0
cdef double CORRELATION_MAX = 1.0 - 1e-12


cdef inline double contrast(double short, double long) noexcept nogil:
    """Return (short - long) / (short + long), -1..1; 0 where both are 0."""
    return (short - long) / (short + long) if short + long > 0.0 else 0.0


cdef class Drift:
    def __cinit__(self, double horizon_s, double half_life_s, double ridge, double gap_max_s,
                  int64_t warmup, bint learn=True):
        if not (1e-3 <= horizon_s <= 1e6):
            raise ValueError(f"horizon_s {horizon_s} is not in 0.001..1e6")
        if not (horizon_s <= half_life_s <= 1e9):
            raise ValueError(f"half_life_s {half_life_s} is not in horizon_s {horizon_s}..1e9")
        for name, given in (("ridge", ridge), ("gap_max_s", gap_max_s), ("warmup", warmup)):
            if not (isfinite(given) and given > 0.0):
                raise ValueError(f"{name} {given} is not a positive number")
        self.horizon_s = horizon_s
        self.half_life_s = half_life_s
        self.ridge = ridge
        self.gap_max_s = gap_max_s
        self.warmup = warmup
        self.learn = learn
        self._step_ns = <int64_t>(horizon_s * 1e9 / RING)
        self.step_s = <double>self._step_ns * 1e-9
        self._gap_ns = <int64_t>((gap_max_s if gap_max_s < horizon_s else horizon_s) * 1e9)
        self._keep = exp(-M_LN2 * self.step_s / half_life_s)
        self._keep_short = exp(-M_LN2 / RING)
        self._keep_mean = exp(-M_LN2 / (RING * MEAN_HORIZONS))
        self.clear()

    cdef void clear(self) noexcept nogil:
        self.clear_market()
        memset(&self._spreads[0], 0, FACTOR_COUNT * sizeof(Spread))
        memset(&self._prior[0], 0, TERMS * sizeof(double))
        memset(&self._coefficients[0], 0, TERMS * sizeof(double))
        self._spread_weight = 0.0
        self.clear_lessons()

    cdef void clear_market(self) noexcept nogil:
        """Forget prices, quantities and open predictions; what was learned stays."""
        self._priced = False
        self._start_ns = self._at_ns = self._cell = self._steps = 0
        self._origin = self._newest = self._last = self._open_quantity = 0.0
        self._short_weight = self._short_square = self._short_quantity = 0.0
        self._long_weight = self._long_square = self._long_quantity = 0.0
        self._mean_weight = self._mean = self._predicted = 0.0
        memset(&self._factors[0], 0, FACTOR_COUNT * sizeof(double))
        memset(&self._levels[0], 0, RING * sizeof(double))
        memset(&self._past_factors[0][0], 0, RING * FACTOR_COUNT * sizeof(double))
        memset(&self._past_predictions[0], 0, RING * sizeof(double))

    cdef void clear_lessons(self) noexcept nogil:
        memset(&self._moments[0][0], 0, TERMS * TERMS * sizeof(double))
        memset(&self._targets[0], 0, TERMS * sizeof(double))
        memset(&self._record, 0, sizeof(Record))
        self._correlation = self._sure = 0.0

    def reset(self) -> None:
        """Forget everything, loaded coefficients too; the layer is then as new, bit for bit."""
        self.clear()

    def load(self, coefficients) -> None:
        """Take seven coefficients as prior and present ones: the intercept, then one a factor.

        In log return per standard deviation of a factor. What was learned is forgotten. Raise
        ValueError for other than seven finite numbers.
        """
        cdef int i
        taken = [float(one) for one in coefficients]
        if len(taken) != TERMS or not all(isfinite(one) for one in taken):
            raise ValueError(f"coefficients {taken} are not {TERMS} finite numbers")
        self.clear_lessons()
        for i in range(TERMS):
            self._prior[i] = self._coefficients[i] = taken[i]
        if self._steps >= RING:
            self._predicted = self.predict()

    def update_price(self, int64_t at_ns, double price) -> None:
        """Take in one price observed at at_ns.

        A time not after the last one counts as the same instant. Raise ValueError for a price that
        is not a positive number.
        """
        if self.step_price(at_ns, price) < 0:
            raise ValueError(f"price {price} at {at_ns} ns is not a positive number")

    def update_trade(self, int64_t at_ns, double quantity) -> None:
        """Take in the quantity of one trade; raise ValueError when it is not in 0..1e18 or is 0."""
        if self.step_trade(at_ns, quantity) < 0:
            raise ValueError(f"quantity {quantity} at {at_ns} ns is not in 0..1e18, or is 0")

    cdef int step_price(self, int64_t at_ns, double price) noexcept nogil:
        """Do update_price() in C; return -1 and change nothing when the price is refused."""
        if not (isfinite(price) and price > 0.0):
            return -1
        self.step_log(at_ns, log(price))
        return 0

    cdef void step_log(self, int64_t at_ns, double log_price) noexcept nogil:
        if not self.advance(at_ns):
            self._priced = True
            self._start_ns = self._at_ns = at_ns
            self._origin = log_price
        self._newest = log_price - self._origin

    cdef int step_trade(self, int64_t at_ns, double quantity) noexcept nogil:
        """Do update_trade() in C; trades before the first price of a start are not counted."""
        if not 0.0 < quantity <= QUANTITY_MAX:
            return -1
        self._open_quantity += quantity if self.advance(at_ns) else 0.0
        return 0

    cdef bint advance(self, int64_t at_ns) noexcept nogil:
        """Close the steps that ended by at_ns; return whether there is a price to go on from.

        A silence is at most the horizon, so no more than 64 steps are closed at once.
        """
        if not self._priced:
            return False
        if fabs(<double>(at_ns - self._at_ns)) > self._gap_ns:
            self.clear_market()
            return False
        if at_ns > self._at_ns:
            self._at_ns = at_ns
            while at_ns - self._start_ns >= (self._cell + 1) * self._step_ns:
                self._cell += 1
                self.close()
        return True

    cdef void close(self) noexcept nogil:
        """Close one step: learn from the prediction of a horizon ago, then make the next one."""
        cdef double level = self._newest
        cdef int at
        if self._cell == 1:
            self._last = self._mean = level
            self._mean_weight = 1.0
            self._levels[0] = level
            self._open_quantity = 0.0
            return
        self._steps += 1
        self.absorb(level - self._last)
        self._mean_weight = self._keep_mean * self._mean_weight + 1.0
        self._mean += (level - self._mean) / self._mean_weight
        self._last = level
        at = self._steps % RING
        if self._steps >= RING:
            if self._steps >= 2 * RING:
                if self._steps - RING >= self.warmup:
                    self.judge(self._past_predictions[at], level - self._levels[at])
                self.study(&self._past_factors[at][0], level - self._levels[at])
            self.measure(level, level - self._levels[at])
            self._predicted = self.predict()
            self._past_predictions[at] = self._predicted
            self._past_factors[at] = self._factors
        self._levels[at] = level

    cdef void absorb(self, double move) noexcept nogil:
        """Fold one step's return and traded quantity into the short and the long memory."""
        self._short_weight = self._keep_short * self._short_weight + 1.0
        self._short_square = self._keep_short * self._short_square + move * move
        self._short_quantity = self._keep_short * self._short_quantity + self._open_quantity
        self._long_weight = self._keep * self._long_weight + 1.0
        self._long_square = self._keep * self._long_square + move * move
        self._long_quantity = self._keep * self._long_quantity + self._open_quantity
        self._open_quantity = 0.0

    cdef void measure(self, double level, double momentum) noexcept nogil:
        """Fill the six factors at the end of the step just closed."""
        cdef int64_t end_ns = self._start_ns + self._cell * self._step_ns
        cdef int64_t day = end_ns // DAY_NS
        cdef double phase = <double>(end_ns - day * DAY_NS) / <double>DAY_NS
        self._spread_weight = self._keep * self._spread_weight + 1.0
        self._factors[MOMENTUM] = self.standardise(MOMENTUM, momentum)
        self._factors[VOLATILITY] = self.standardise(VOLATILITY, contrast(
            sqrt(self._short_square / self._short_weight),
            sqrt(self._long_square / self._long_weight)))
        self._factors[VOLUME] = self.standardise(VOLUME, contrast(
            self._short_quantity / self._short_weight, self._long_quantity / self._long_weight))
        # The clock's moments over a day and a week are known: 0 and, with sqrt 2, 1. Estimated
        # from minutes they would make a trend of it. The epoch was a Thursday.
        self._factors[TIME_OF_DAY] = M_SQRT2 * sin(2.0 * M_PI * phase)
        self._factors[DAY_OF_WEEK] = M_SQRT2 * sin(2.0 * M_PI * <double>((day + 3) % 7) / 7.0)
        self._factors[REVERSION] = self.standardise(REVERSION, self._mean - level)

    cdef double standardise(self, int factor, double raw) noexcept nogil:
        """Fold one value into a factor's mean and spread; return it in deviations, -4..4."""
        cdef Spread* spread = &self._spreads[factor]
        cdef double weight = self._spread_weight
        cdef double off = raw - spread.mean
        cdef double deviation
        spread.square = self._keep * spread.square + off * off * (weight - 1.0) / weight
        spread.mean += off / weight
        deviation = sqrt(spread.square / weight)
        if deviation <= SPREAD_MIN:
            return 0.0
        return fmin(fmax((raw - spread.mean) / deviation, -FACTOR_MAX), FACTOR_MAX)

    cdef double predict(self) noexcept nogil:
        cdef double total = self._coefficients[0]
        cdef int i
        for i in range(FACTOR_COUNT):
            total += self._coefficients[i + 1] * self._factors[i]
        return total

    cdef void judge(self, double predicted, double realised) noexcept nogil:
        """Enter one prediction and its outcome into the record; renew the confidence."""
        cdef Record* record = &self._record
        cdef double keep = self._keep
        cdef double share, off, other, count
        record.weight = keep * record.weight + 1.0
        record.weight_square = keep * keep * record.weight_square + 1.0
        share = (record.weight - 1.0) / record.weight
        off = predicted - record.predicted_mean
        other = realised - record.realised_mean
        record.predicted_square = keep * record.predicted_square + share * off * off
        record.realised_square = keep * record.realised_square + share * other * other
        record.product = keep * record.product + share * off * other
        record.predicted_mean += off / record.weight
        record.realised_mean += other / record.weight
        self._correlation = self._sure = 0.0
        off = sqrt(record.predicted_square / record.weight)
        other = sqrt(record.realised_square / record.weight)
        if off <= SPREAD_MIN or other <= SPREAD_MIN:
            return
        self._correlation = record.product / record.weight / (off * other)
        count = record.weight * record.weight / record.weight_square / RING
        if count > JUDGED_MIN and self._correlation > 0.0:
            share = atanh(fmin(self._correlation, CORRELATION_MAX))
            self._sure = erf(share * sqrt(count - JUDGED_MIN) * M_SQRT1_2)

    cdef void study(self, const double* factors, double realised) noexcept nogil:
        """Fold one factor vector and its outcome into the normal equations; solve them."""
        cdef double[TERMS] terms
        cdef double rest
        cdef int i, j
        if not self.learn:
            return
        terms[0] = 1.0
        rest = realised - self._prior[0]
        for i in range(FACTOR_COUNT):
            terms[i + 1] = factors[i]
            rest -= self._prior[i + 1] * factors[i]
        for i in range(TERMS):
            self._targets[i] = self._keep * self._targets[i] + terms[i] * rest
            for j in range(i + 1):
                self._moments[i][j] = self._keep * self._moments[i][j] + terms[i] * terms[j]
        self.solve()

    cdef void solve(self) noexcept nogil:
        """Set coefficients = prior + (moments + ridge I)^-1 targets; pivots are >= ridge > 0."""
        cdef double[TERMS][TERMS] lower
        cdef double[TERMS] solved
        cdef double total
        cdef int i, j, k
        for i in range(TERMS):
            for j in range(i + 1):
                total = self._moments[i][j]
                for k in range(j):
                    total -= lower[i][k] * lower[j][k]
                if i == j:
                    total += self.ridge
                    lower[i][i] = sqrt(total if total > self.ridge else self.ridge)
                else:
                    lower[i][j] = total / lower[j][j]
            total = self._targets[i]
            for k in range(i):
                total -= lower[i][k] * solved[k]
            solved[i] = total / lower[i][i]
        for i in range(TERMS - 1, -1, -1):
            total = solved[i]
            for k in range(i + 1, TERMS):
                total -= lower[k][i] * solved[k]
            solved[i] = total / lower[i][i]
            self._coefficients[i] = self._prior[i] + solved[i]

    cdef bint ready_now(self) noexcept nogil:
        return self._steps >= RING and self._steps >= self.warmup

    cdef double value_now(self) noexcept nogil:
        return self._predicted if self.ready_now() else 0.0

    cdef double confidence_now(self) noexcept nogil:
        return self._sure if self.ready_now() else 0.0

    @property
    def coefficients(self) -> tuple:
        """Return the intercept and six coefficients, log return per standard deviation."""
        return tuple([self._coefficients[i] for i in range(TERMS)])

    @property
    def factors(self) -> tuple:
        """Return the six standardised factors of the last closed step, -4..4, as in FACTORS."""
        return tuple([self._factors[i] for i in range(FACTOR_COUNT)])

    @property
    def value(self) -> float:
        """Return the log return expected over horizon_s at the last step; 0.0 until ready."""
        return self.value_now()

    @property
    def correlation(self) -> float:
        """Return the decayed correlation of past predictions with the returns that followed."""
        return self._correlation

    @property
    def confidence(self) -> float:
        """Return erf(z / sqrt 2) of Fisher's z of that correlation, 0..1; 0.0 where it is negative.

        The predictions counted were made before their outcomes; 64 overlapping ones count as one.
        0.0 until more than three horizons of predictions were judged.
        """
        return self.confidence_now()

    @property
    def judged(self) -> float:
        """Return the effective number of independent predictions judged: decayed, over 64."""
        cdef double square = self._record.weight_square
        return self._record.weight * self._record.weight / square / RING if square > 0.0 else 0.0

    @property
    def ready(self) -> bool:
        """Return whether a horizon of steps and warmup steps closed since the last start."""
        return self.ready_now()

    @property
    def steps(self) -> int:
        """Return how many steps of the grid closed since the last start."""
        return self._steps


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
