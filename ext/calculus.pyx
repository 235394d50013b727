# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Derivatives of log price at the newest observation, by a causal local polynomial (signal layer 1).

Least squares of degree 4 over the kept observations, all of equal weight: at the end of its window
the fit already leans on the newest points, so a decay would only shorten the window and raise the
variance. Time is scaled to -1..0 and the polynomial is built from the orthogonal polynomials of
the very points (Forsythe, "Generation and Use of Orthogonal Polynomials for Data-Fitting with a
Digital Computer", J. SIAM 5(2), 1957), so no normal equations are formed and a degree the points
cannot bear is left out.

Most observations only replace the newest point. The fit of all the others is kept and the newest
is joined to it in a fixed number of operations, by the rank-one update of least squares (Sherman
and Morrison, Annals of Mathematical Statistics 21(1), 1950; Plackett, Biometrika 37, 1950). When a
point settles, once a spacing at most, the others are fitted anew: nothing accumulates.
"""

from libc.math cimport M_PI, atan, fabs, isfinite, log, sqrt
from libc.stdint cimport int64_t
from libc.string cimport memmove

cdef int DEGREE_MAX = 4
# A degree that adds less than this mean square on -1..0 is not told from rounding.
cdef double RANK_MIN = 1e-10
cdef double T_MAX = 1e9
# A newest point that outweighs the others by more than this is fitted with them from scratch.
cdef double LEVERAGE_MAX = 100.0


cdef double probability_within(double t, int freedom) noexcept nogil:
    """Return P(|T| <= t) of Student's distribution (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    cdef double cosine2 = freedom / (freedom + t * t)
    cdef double sine = t / sqrt(freedom + t * t)
    cdef double total = 0.0
    cdef double term
    cdef int j = freedom & 1
    term = sqrt(cosine2) if j else 1.0
    while j <= freedom - 2:
        total += term
        term *= cosine2 * (j + 1) / (j + 2)
        j += 2
    if freedom & 1:
        return 2.0 / M_PI * (atan(t / sqrt(<double>freedom)) + sine * total)
    return sine * total


cdef inline void raise_degree(
    double* x,
    double* older,
    double* now,
    double* rest,
    int live,
    double coefficient,
    double shift,
    double ratio,
    Products* with_next,
) noexcept nogil:
    """Take coefficient p(k) off the residual, turn p(k) into p(k+1), and sum its products."""
    # Four lanes: their order of summation is fixed, and compilers pack them.
    cdef double[4] itself
    cdef double[4] with_x
    cdef double[4] with_rest
    cdef double[4] left
    cdef double[4] higher
    cdef double[4] square
    cdef int i, j
    for j in range(4):
        itself[j] = with_x[j] = with_rest[j] = 0.0
    for i in range(0, live, 4):
        for j in range(4):
            left[j] = rest[i + j] - coefficient * now[i + j]
            higher[j] = (x[i + j] - shift) * now[i + j] - ratio * older[i + j]
            square[j] = higher[j] * higher[j]
            itself[j] += square[j]
            with_x[j] += x[i + j] * square[j]
            with_rest[j] += left[j] * higher[j]
        for j in range(4):
            older[i + j] = now[i + j]
        for j in range(4):
            now[i + j] = higher[j]
            rest[i + j] = left[j]
    with_next.itself = (itself[0] + itself[1]) + (itself[2] + itself[3])
    with_next.x = (with_x[0] + with_x[1]) + (with_x[2] + with_x[3])
    with_next.rest = (with_rest[0] + with_rest[1]) + (with_rest[2] + with_rest[3])


cdef inline void raise_at_newest(
    double* older, double* now, double shift, double ratio
) noexcept nogil:
    """Turn the derivatives of p(k) at x = 0 into those of p(k+1)."""
    cdef double lower = 0.0
    cdef double following
    cdef int j
    for j in range(DERIVATIVES):
        following = j * lower - shift * now[j] - ratio * older[j]
        lower = now[j]
        older[j] = now[j]
        now[j] = following


cdef class Calculus:
    def __cinit__(self, double window_s, int samples, double gap_max_s, int64_t warmup):
        if not (1e-6 <= window_s <= 1e6):
            raise ValueError(f"window_s {window_s} is not in 1e-6..1e6")
        if not (DEGREE_MAX + 2 <= samples <= SAMPLES_MAX):
            raise ValueError(f"samples {samples} is not in {DEGREE_MAX + 2}..{SAMPLES_MAX}")
        if not (isfinite(gap_max_s) and gap_max_s > 0.0):
            raise ValueError(f"gap_max_s {gap_max_s} is not a positive number")
        if warmup < 1:
            raise ValueError(f"warmup {warmup} is less than 1")
        self.window_s = window_s
        self.samples = samples
        self.gap_max_s = gap_max_s
        self.warmup = warmup
        self._window_ns = <int64_t>(window_s * 1e9)
        # samples cells at this spacing span the window, however fast the observations come.
        self._spacing_ns = self._window_ns // (samples - 1)
        self.clear()

    cdef void clear(self) noexcept nogil:
        self._updates = 0
        self._first = self._end = 0
        self._stale = True
        self.forget_fit()

    cdef void forget_fit(self) noexcept nogil:
        cdef int j
        self._degree = 0
        self._sigma = self._velocity_sigma = 0.0
        for j in range(DERIVATIVES):
            self._fitted[j] = 0.0

    def reset(self) -> None:
        """Forget every observation; the layer is then bit-identical to a new one."""
        self.clear()

    def update(self, int64_t at_ns, double price) -> None:
        """Take in one price observed at at_ns and fit anew.

        A time not after the last one counts as the same instant, where the newest price stands; a
        step of more than gap_max_s either way restarts the layer. Raise ValueError for a price
        that is not a positive number.
        """
        if self.step(at_ns, price) < 0:
            raise ValueError(f"price {price} at {at_ns} ns is not a positive number")

    cdef int step(self, int64_t at_ns, double price) noexcept nogil:
        """Do update() in C; return -1 and leave the state alone when the price is refused."""
        if not (isfinite(price) and price > 0.0):
            return -1
        self.step_log(at_ns, log(price))
        return 0

    cdef void step_log(self, int64_t at_ns, double log_price) noexcept nogil:
        cdef int64_t step_ns
        if self._updates:
            step_ns = at_ns - self._at_ns[self._end - 1]
            if fabs(<double>step_ns) > self.gap_max_s * 1e9:
                self.clear()
            elif step_ns < 0:
                at_ns = self._at_ns[self._end - 1]
        self.keep(at_ns, log_price)
        self._updates += 1
        self.fit()

    cdef void keep(self, int64_t at_ns, double log_price) noexcept nogil:
        """Put an observation last; it replaces one at its instant or too near the one before."""
        cdef int last = self._end - 1
        cdef int live = self._end - self._first
        if live and (
            at_ns == self._at_ns[last]
            or (live > 1 and self._at_ns[last] - self._at_ns[last - 1] < self._spacing_ns)
        ):
            self._end = last
        else:
            self._stale = True
            if live == self.samples:
                self._first += 1
        if self._end == CELLS:
            live = self._end - self._first
            memmove(&self._at_ns[0], &self._at_ns[self._first], live * sizeof(int64_t))
            memmove(&self._log_price[0], &self._log_price[self._first], live * sizeof(double))
            self._first = 0
            self._end = live
        self._at_ns[self._end] = at_ns
        self._log_price[self._end] = log_price
        self._end += 1
        while at_ns - self._at_ns[self._first] > self._window_ns:
            self._first += 1
            self._stale = True

    cdef void fit(self) noexcept nogil:
        """Fit the kept observations; leave zeros when there are fewer than three."""
        self.forget_fit()
        if self._end - self._first < 3:
            return
        if self._stale:
            self.settle()
            self._stale = False
        if not (self._settled.usable and self.join_newest()):
            self.fit_all()

    cdef void settle(self) noexcept nogil:
        """Fit all points but the newest with full degree, if they bear it."""
        cdef double[SAMPLES_MAX] x
        cdef double[SAMPLES_MAX] older
        cdef double[SAMPLES_MAX] now
        cdef double[SAMPLES_MAX] rest
        cdef Products with_p
        cdef Settled* settled = &self._settled
        cdef int last = self._end - 1
        cdef int live = last - self._first
        cdef int j, k
        settled.usable = False
        if live < DEGREE_MAX + 1:
            return
        settled.span_ns = 1e9 * self.scale(last, x, rest, &with_p)
        settled.last_ns = self._at_ns[last - 1]
        settled.last_log = self._log_price[last - 1]
        for j in range((live + 3) & ~3):
            older[j] = 0.0
            now[j] = 1.0 if j < live else 0.0
        settled.norm[0] = live
        for k in range(DERIVATIVES):
            settled.coefficient[k] = with_p.rest / settled.norm[k]
            settled.shift[k] = with_p.x / settled.norm[k]
            settled.ratio[k] = settled.norm[k] / settled.norm[k - 1] if k else 0.0
            raise_degree(
                x, older, now, rest, live, settled.coefficient[k], settled.shift[k],
                settled.ratio[k], &with_p,
            )
            if k < DEGREE_MAX:
                settled.norm[k + 1] = with_p.itself
                if with_p.itself <= RANK_MIN * live:
                    return
        settled.square = 0.0
        for j in range(live):
            settled.square += rest[j] * rest[j]
        settled.usable = True

    cdef bint join_newest(self) noexcept nogil:
        """Join the newest point to the settled fit; return False where that loses digits.

        With p its polynomials, D their norms, e what the settled fit misses at the newest point
        and L = p' D^-1 p: coefficients gain D^-1 p e / (1 + L), the residual square e^2 / (1 + L).
        """
        cdef Settled* settled = &self._settled
        cdef double[DERIVATIVES][DERIVATIVES] at
        cdef double x = <double>(self._at_ns[self._end - 1] - settled.last_ns) / settled.span_ns
        cdef double shrink = 1.0 / ((1.0 + x) * (1.0 + x))
        cdef double least = RANK_MIN * (self._end - self._first)
        cdef double miss = self._log_price[self._end - 1] - settled.last_log
        cdef double leverage = 0.0
        cdef double spread = 0.0
        cdef double mixed = 0.0
        cdef double scale = 1.0
        cdef double gain
        cdef int j, k
        for j in range(DERIVATIVES):
            at[0][j] = 0.0
        at[0][0] = 1.0
        for k in range(DERIVATIVES):
            # On -1..0 of all points a norm is at least this; else the degree is in doubt.
            if settled.norm[k] * scale <= least:
                return False
            scale *= shrink
            miss -= settled.coefficient[k] * at[k][0]
            leverage += at[k][0] * at[k][0] / settled.norm[k]
            mixed += at[k][0] * at[k][1] / settled.norm[k]
            spread += at[k][1] * at[k][1] / settled.norm[k]
            if k < DEGREE_MAX:
                for j in range(DERIVATIVES):
                    at[k + 1][j] = (x - settled.shift[k]) * at[k][j]
                    if j:
                        at[k + 1][j] += j * at[k][j - 1]
                    if k:
                        at[k + 1][j] -= settled.ratio[k] * at[k - 1][j]
        if leverage > LEVERAGE_MAX:
            return False
        gain = miss / (1.0 + leverage)
        for k in range(DERIVATIVES):
            scale = settled.coefficient[k] + gain * at[k][0] / settled.norm[k]
            for j in range(DERIVATIVES):
                self._fitted[j] += scale * at[k][j]
        self._degree = DEGREE_MAX
        self._fitted[0] += settled.last_log - self._log_price[self._end - 1]
        self.unscale(
            settled.square + miss * gain, settled.span_ns * 1e-9,
            spread - mixed * mixed / (1.0 + leverage),
        )
        return True

    cdef void fit_all(self) noexcept nogil:
        """Fit every kept observation from scratch.

        p(k+1) = (x - a) p(k) - b p(k-1) with a = <x p, p> / <p, p> and b the ratio of two norms.
        The residual is reduced degree by degree, so each coefficient is taken from what is left.
        """
        cdef double[SAMPLES_MAX] x
        cdef double[SAMPLES_MAX] older
        cdef double[SAMPLES_MAX] now
        cdef double[SAMPLES_MAX] rest
        # Derivatives 0..4 at x = 0 of p(k-1) and p(k).
        cdef double[DERIVATIVES] at_older
        cdef double[DERIVATIVES] at_now
        cdef Products with_p
        cdef int live = self._end - self._first
        cdef int top = DEGREE_MAX if live - 2 > DEGREE_MAX else live - 2
        cdef double span_s, coefficient, shift, ratio
        cdef double norm = live
        cdef double norm_older = 1.0
        cdef double spread = 0.0
        cdef double square = 0.0
        cdef int j, k
        span_s = self.scale(self._end, x, rest, &with_p)
        for j in range((live + 3) & ~3):
            older[j] = 0.0
            now[j] = 1.0 if j < live else 0.0
        for j in range(DERIVATIVES):
            at_older[j] = at_now[j] = 0.0
        at_now[0] = 1.0
        for k in range(top + 1):
            coefficient = with_p.rest / norm
            shift = with_p.x / norm
            ratio = norm / norm_older if k else 0.0
            self._degree = k
            for j in range(DERIVATIVES):
                self._fitted[j] += coefficient * at_now[j]
            spread += at_now[1] * at_now[1] / norm
            raise_degree(x, older, now, rest, live, coefficient, shift, ratio, &with_p)
            norm_older = norm
            norm = with_p.itself
            if norm <= RANK_MIN * live:
                break
            raise_at_newest(at_older, at_now, shift, ratio)
        for j in range(live):
            square += rest[j] * rest[j]
        self.unscale(square, span_s, spread)

    cdef double scale(self, int end, double* x, double* rest, Products* with_one) noexcept nogil:
        """Fill x with times on -1..0 and rest with log prices less the last; return the span in s.

        Over the points before end. The sums are those with p(0) = 1; cells up to the next multiple
        of four are zero.
        """
        cdef int live = end - self._first
        cdef int64_t newest_ns = self._at_ns[end - 1]
        cdef double newest = self._log_price[end - 1]
        cdef double span_ns = <double>(newest_ns - self._at_ns[self._first])
        cdef double per_ns = 1.0 / span_ns
        cdef int i
        with_one.x = with_one.rest = 0.0
        for i in range(live):
            x[i] = <double>(self._at_ns[self._first + i] - newest_ns) * per_ns
            rest[i] = self._log_price[self._first + i] - newest
            with_one.x += x[i]
            with_one.rest += rest[i]
        for i in range(live, (live + 3) & ~3):
            x[i] = rest[i] = 0.0
        return span_ns * 1e-9

    cdef void unscale(self, double square, double span_s, double spread) noexcept nogil:
        """Turn the fit on -1..0 into log price and seconds, with its standard errors.

        square is the residuals' sum of squares, spread the velocity's variance per residual one.
        """
        cdef int live = self._end - self._first
        cdef double per = 1.0
        cdef int i
        self._sigma = sqrt(square / (live - 1 - self._degree))
        self._velocity_sigma = self._sigma * sqrt(spread) / span_s
        self._fitted[0] += self._log_price[self._end - 1]
        for i in range(1, DERIVATIVES):
            per /= span_s
            self._fitted[i] *= per

    cdef double t_statistic_now(self) noexcept nogil:
        cdef double size = fabs(self._fitted[1])
        if size == 0.0:
            return 0.0
        if size >= T_MAX * self._velocity_sigma:
            return T_MAX
        return size / self._velocity_sigma

    cdef double confidence_now(self) noexcept nogil:
        cdef double within
        if self._updates < self.warmup or self._degree < 1:
            return 0.0
        within = probability_within(
            self.t_statistic_now(), self._end - self._first - 1 - self._degree
        )
        return 1.0 if within > 1.0 else within

    @property
    def level(self) -> float:
        """Return the fitted log price at the newest observation; 0.0 while nothing is fitted."""
        return self._fitted[0]

    @property
    def velocity(self) -> float:
        """Return the first derivative of log price in 1/s."""
        return self._fitted[1]

    @property
    def acceleration(self) -> float:
        """Return the second derivative of log price in 1/s^2."""
        return self._fitted[2]

    @property
    def jerk(self) -> float:
        """Return the third derivative of log price in 1/s^3."""
        return self._fitted[3]

    @property
    def snap(self) -> float:
        """Return the fourth derivative of log price in 1/s^4."""
        return self._fitted[4]

    @property
    def sigma(self) -> float:
        """Return the standard deviation of the observed log prices around the fit."""
        return self._sigma

    @property
    def velocity_sigma(self) -> float:
        """Return the standard error of velocity in 1/s, residuals taken as independent."""
        return self._velocity_sigma

    @property
    def t_statistic(self) -> float:
        """Return |velocity| over its standard error, at most 1e9."""
        return self.t_statistic_now()

    @property
    def degree(self) -> int:
        """Return the degree of the fit, 0..4: at most two below the observations kept."""
        return self._degree

    @property
    def kept(self) -> int:
        """Return how many observations the fit rests on."""
        return self._end - self._first

    @property
    def value(self) -> float:
        """Return the velocity in 1/s."""
        return self._fitted[1]

    @property
    def confidence(self) -> float:
        """Return Student's two-sided probability of the t-statistic, in 0..1; 0.0 until ready.

        The residuals of a price path are not independent, so it ranks fits rather than giving
        their odds.
        """
        return self.confidence_now()

    @property
    def ready(self) -> bool:
        """Return whether warmup updates came since the last start and a slope is fitted."""
        return self._updates >= self.warmup and self._degree >= 1

    @property
    def updates(self) -> int:
        """Return how many updates came since the last start."""
        return self._updates
