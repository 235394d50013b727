# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Lead and lag of a pair of symbols, from decayed lagged covariances (signal layer 6).

Log returns of both on one grid of fixed steps, sampled by the previous tick; the product sums at
every lag but 0 are compared, and the leader is whose past moves go best with the other's present
ones (lagged cross-correlation as in de Jong and Nijman, "High frequency analysis of lead-lag
relationships between financial markets", J. Empirical Finance 4, 1997). Returns are taken about
zero. The score of a lag is sum(x) / sqrt(sum(x^2)) of its products, robust to changing variance
(White, Econometrica 48(4), 1980); Sidak's correction makes it the level of the best of all lags.
"""

from libc.math cimport M_LN2, M_SQRT1_2, erfc, exp, fabs, isfinite, log, log1p, sqrt
from libc.stdint cimport int64_t
from libc.string cimport memmove, memset

cdef double CLAIM = 0.95
# Squared products below this are on their way to underflow and carry no digits.
cdef double SQUARE_MIN = 1e-280


cdef class Cross:
    def __cinit__(
        self,
        double step_ms,
        int lags,
        double half_life_s,
        int64_t warmup,
        double gap_max_s=10.0,
    ):
        if not (1e-3 <= step_ms <= 1e7):
            raise ValueError(f"step_ms {step_ms} is not in 0.001..1e7")
        if not (1 <= lags <= LAGS_MAX):
            raise ValueError(f"lags {lags} is not in 1..{LAGS_MAX}")
        if not (isfinite(half_life_s) and half_life_s * 1e3 >= step_ms):
            raise ValueError(f"half_life_s {half_life_s} is less than a step of {step_ms} ms")
        if warmup < 1:
            raise ValueError(f"warmup {warmup} is less than 1")
        if not (isfinite(gap_max_s) and gap_max_s > 0.0):
            raise ValueError(f"gap_max_s {gap_max_s} is not a positive number")
        self.step_ms = step_ms
        self.lags = lags
        self.half_life_s = half_life_s
        self.warmup = warmup
        self.gap_max_s = gap_max_s
        self._step_ns = <int64_t>(step_ms * 1e6)
        self._log_keep = -M_LN2 * <double>self._step_ns * 1e-9 / half_life_s
        self._keep = exp(self._log_keep)
        self.clear()

    cdef void clear(self) noexcept nogil:
        self._start_ns = self._at_ns = self._cell = 0
        self._steps = self._updates = 0
        self._lag = 0
        self._sure = 0.0
        memset(&self._a, 0, sizeof(Leg))
        memset(&self._b, 0, sizeof(Leg))
        memset(&self._products[0], 0, PRODUCTS * sizeof(double))
        memset(&self._squares[0], 0, PRODUCTS * sizeof(double))

    def reset(self) -> None:
        """Forget both symbols; the layer is then bit-identical to a new one."""
        self.clear()

    def update_a(self, int64_t at_ns, double price) -> None:
        """Take in one price of symbol a observed at at_ns.

        A time not after the last one of either symbol counts as that instant; a step of more than
        gap_max_s either way, or a symbol silent for longer, restarts the layer. Raise ValueError
        for a price that is not a positive number.
        """
        if self.step_a(at_ns, price) < 0:
            raise ValueError(f"price {price} of a at {at_ns} ns is not a positive number")

    def update_b(self, int64_t at_ns, double price) -> None:
        """Take in one price of symbol b, as update_a does."""
        if self.step_b(at_ns, price) < 0:
            raise ValueError(f"price {price} of b at {at_ns} ns is not a positive number")

    cdef int step_a(self, int64_t at_ns, double price) noexcept nogil:
        """Do update_a() in C; return -1 and change nothing when the price is refused."""
        return self.step(&self._a, at_ns, price)

    cdef int step_b(self, int64_t at_ns, double price) noexcept nogil:
        """Do update_b() in C; return -1 and change nothing when the price is refused."""
        return self.step(&self._b, at_ns, price)

    cdef int step(self, Leg* leg, int64_t at_ns, double price) noexcept nogil:
        if not (isfinite(price) and price > 0.0):
            return -1
        self.step_log(leg, at_ns, log(price))
        return 0

    cdef void step_log(self, Leg* leg, int64_t at_ns, double log_price) noexcept nogil:
        cdef int64_t cell
        cdef double gap_ns = self.gap_max_s * 1e9
        if self._updates == 0 or fabs(<double>(at_ns - self._at_ns)) > gap_ns or (
            self._a.seen and <double>(at_ns - self._a.at_ns) > gap_ns
        ) or (self._b.seen and <double>(at_ns - self._b.at_ns) > gap_ns):
            self.clear()
            self._at_ns = at_ns
        elif at_ns > self._at_ns:
            self._at_ns = at_ns
        # The grid starts when both symbols have a price.
        if self._a.seen and self._b.seen:
            if self._at_ns - self._start_ns >= (self._cell + 1) * self._step_ns:
                cell = (self._at_ns - self._start_ns) // self._step_ns
                self.close(cell - self._cell)
                self._cell = cell
        leg.newest = log_price
        leg.at_ns = self._at_ns
        if not leg.seen:
            leg.seen = True
            self._start_ns = self._at_ns
        self._updates += 1

    cdef void close(self, int64_t passed) noexcept nogil:
        """Close the open step and the ones after it that saw no price."""
        if self._cell:
            self.shift(&self._a, self._a.newest - self._a.sampled)
            self.shift(&self._b, self._b.newest - self._b.sampled)
            self.multiply()
            self._steps += 1
        self._a.sampled = self._a.newest
        self._b.sampled = self._b.newest
        if passed > 1:
            self.skip(passed - 1)
        self._sure = self.assess()

    cdef void shift(self, Leg* leg, double move) noexcept nogil:
        """Put the return of a closed step first."""
        cdef int kept = self.lags
        memmove(&leg.returns[1], &leg.returns[0], kept * sizeof(double))
        memmove(&leg.sums[1], &leg.sums[0], kept * sizeof(double))
        leg.returns[0] = move
        leg.sums[0] = self._keep * leg.sums[0] + move
        leg.square = self._keep * leg.square + move * move

    cdef void skip(self, int64_t count) noexcept nogil:
        """Let count steps without a move pass: they add nothing, the sums decay."""
        cdef double keep = exp(self._log_keep * count)
        cdef int k
        # Beyond the lags kept, only the decay is left to do.
        cdef int64_t near = count if count < self.lags + 1 else self.lags + 1
        cdef double before = exp(self._log_keep * (count - near))
        self._a.square *= before
        self._b.square *= before
        self._a.sums[0] *= before
        self._b.sums[0] *= before
        for k in range(near):
            self.shift(&self._a, 0.0)
            self.shift(&self._b, 0.0)
        for k in range(2 * self.lags + 1):
            self._products[k] *= keep
            self._squares[k] *= keep * keep
        self._steps += count

    cdef void multiply(self) noexcept nogil:
        """Fold the newest returns into the product sums and find the lag of the largest."""
        cdef double keep = self._keep
        cdef double keep2 = keep * keep
        cdef double a = self._a.returns[0]
        cdef double b = self._b.returns[0]
        cdef double product, size
        cdef double largest = 0.0
        cdef int lags = self.lags
        cdef int k
        for k in range(1, lags + 1):
            product = self._a.returns[k] * b
            self._products[lags + k] = keep * self._products[lags + k] + product
            self._squares[lags + k] = keep2 * self._squares[lags + k] + product * product
            product = a * self._b.returns[k]
            self._products[lags - k] = keep * self._products[lags - k] + product
            self._squares[lags - k] = keep2 * self._squares[lags - k] + product * product
        product = a * b
        self._products[lags] = keep * self._products[lags] + product
        self._squares[lags] = keep2 * self._squares[lags] + product * product
        # All lags share one normaliser, so the largest product sum is the largest correlation.
        self._lag = 0
        for k in range(1, lags + 1):
            size = fabs(self._products[lags + k])
            if size > largest:
                largest = size
                self._lag = k
            size = fabs(self._products[lags - k])
            if size > largest:
                largest = size
                self._lag = -k

    cdef double correlation_at_now(self, int lag) noexcept nogil:
        cdef double scale = sqrt(self._a.square) * sqrt(self._b.square)
        cdef double ratio
        if scale <= 0.0:
            return 0.0
        ratio = self._products[self.lags + lag] / scale
        return 1.0 if ratio > 1.0 else (-1.0 if ratio < -1.0 else ratio)

    cdef double beta_now(self) noexcept nogil:
        cdef double square = self._a.square if self._lag > 0 else self._b.square
        if self._lag == 0 or square <= 0.0:
            return 0.0
        return self._products[self.lags + self._lag] / square

    cdef double divergence_now(self) noexcept nogil:
        if self._lag > 0:
            return self._b.sums[0] - self.beta_now() * self._a.sums[self._lag]
        if self._lag < 0:
            return self._a.sums[0] - self.beta_now() * self._b.sums[-self._lag]
        return 0.0

    cdef double value_now(self) noexcept nogil:
        cdef Leg* leader = &self._a if self._lag > 0 else &self._b
        cdef int lag = self._lag if self._lag > 0 else -self._lag
        cdef double share, move
        cdef int k
        if lag == 0:
            return 0.0
        share = <double>(self._at_ns - self._start_ns - self._cell * self._step_ns)
        share /= <double>self._step_ns
        move = leader.newest - leader.sampled + (1.0 - share) * leader.returns[lag - 1]
        for k in range(lag - 1):
            move += leader.returns[k]
        return self.beta_now() * move

    cdef double confidence_now(self) noexcept nogil:
        return self._sure

    cdef double assess(self) noexcept nogil:
        """Return the confidence; it changes only when a step closes."""
        cdef double square, tail
        if self._steps < self.warmup or self._lag == 0:
            return 0.0
        square = self._squares[self.lags + self._lag]
        if square <= SQUARE_MIN:
            return 0.0
        tail = erfc(fabs(self._products[self.lags + self._lag]) / sqrt(square) * M_SQRT1_2)
        return exp(2 * self.lags * log1p(-tail)) if tail < 1.0 else 0.0

    cdef int leader_now(self) noexcept nogil:
        if self.confidence_now() < CLAIM:
            return 0
        return 1 if self._lag > 0 else -1

    def confirms(self, int side) -> bool:
        """Return whether the leader's last moves take the follower to this side, +1 or -1.

        True when confidence is at least 0.95 and value points there. Raise ValueError for another
        side.
        """
        if side != 1 and side != -1:
            raise ValueError(f"side {side} is not +1 or -1")
        return self.leader_now() != 0 and side * self.value_now() > 0.0

    def correlation_at(self, int lag) -> float:
        """Return the correlation at a lag in steps, + when a's return is the earlier one.

        Raise ValueError for a lag outside -lags..lags.
        """
        if not (-self.lags <= lag <= self.lags):
            raise ValueError(f"lag {lag} is not in {-self.lags}..{self.lags}")
        return self.correlation_at_now(lag)

    @property
    def lead_lag_ms(self) -> float:
        """Return the lag of the largest correlation in ms, + when a leads; 0.0 before any move."""
        return self._lag * (<double>self._step_ns * 1e-6)

    @property
    def leader(self) -> int:
        """Return +1 when a is claimed to lead, -1 for b, 0 while confidence is below 0.95."""
        return self.leader_now()

    @property
    def correlation(self) -> float:
        """Return the correlation at lead_lag_ms, in -1..1; 0.0 before any move."""
        return self.correlation_at_now(self._lag) if self._lag else 0.0

    @property
    def beta(self) -> float:
        """Return the follower's log return per unit of the leader's, at lead_lag_ms."""
        return self.beta_now()

    @property
    def divergence(self) -> float:
        """Return the decayed sum of the follower's log return less beta times the leader's lagged.

        Both sums with half_life_s, beta and lag as they are now.
        """
        return self.divergence_now()

    @property
    def value(self) -> float:
        """Return the follower's log return still to come from the leader's last moves.

        beta times the leader's move over the last |lead_lag_ms|, the open step included and the
        oldest counted by its share still inside.
        """
        return self.value_now()

    @property
    def confidence(self) -> float:
        """Return (1 - p) ** (2 lags), p the two-sided normal tail of the best lag's score.

        In 0..1; the chance that none of the lags tried would do so by luck (Sidak). 0.0 until
        ready.
        """
        return self.confidence_now()

    @property
    def ready(self) -> bool:
        """Return whether at least warmup steps of the grid closed since the last start."""
        return self._steps >= self.warmup

    @property
    def steps(self) -> int:
        """Return how many returns of the grid were taken since the last start."""
        return self._steps

    @property
    def updates(self) -> int:
        """Return how many prices of both symbols came since the last start."""
        return self._updates
