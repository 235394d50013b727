# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Ornstein-Uhlenbeck estimate of log price, from an exponentially weighted AR(1) (signal layer 3).

Irregular time: log price is sampled by the previous tick on a grid of fixed step, a hundredth of
the weights' half-life; a mid price stands until the next one, so a step without news repeats it.
On the grid the Gaussian transition is exact, x' = mu + b (x - mu) + e with b = exp(-theta step) and
var e = sigma^2 (1 - b^2) / (2 theta) (Uhlenbeck and Ornstein, Phys. Rev. 36, 1930; Glasserman,
"Monte Carlo Methods in Financial Engineering", 2004, section 3.3.1). Moves are regressed on levels
with weighted, centred sums (West, "Updating Mean and Variance Estimates", CACM 22(9), 1979).
Under a random walk the t-statistic of that slope has the Dickey-Fuller distribution; its p-value
is MacKinnon's response surface, J. Business and Economic Statistics 12(2), 1994, constant, N = 1.
"""

from libc.math cimport M_LN2, M_SQRT1_2, erfc, exp, expm1, fabs, isfinite, log, log1p, sqrt
from libc.stdint cimport int64_t

cdef double STEPS_PER_HALF_LIFE = 100.0
cdef int PAIRS_MIN = 3
# A variance of log price below this is rounding, not a market.
cdef double VARIANCE_MIN = 1e-24
cdef double T_MAX = 1e9


cdef double dickey_fuller(double t) noexcept nogil:
    """Return the p-value of t, at most 0, under a random walk with a constant in the regression."""
    cdef double score
    if t < -18.83:
        return 0.0
    if t <= -1.61:
        score = 2.1659 + t * (1.4412 + t * 0.038269)
    else:
        score = 1.7339 + t * (0.93202 + t * (-0.12745 - t * 0.010368))
    return 0.5 * erfc(-score * M_SQRT1_2)


cdef class OrnsteinUhlenbeck:
    def __cinit__(self, double half_life_s, double gap_max_s, int64_t warmup):
        if not (1e-6 <= half_life_s <= 1e7):
            raise ValueError(f"half_life_s {half_life_s} is not in 1e-6..1e7")
        if not (isfinite(gap_max_s) and gap_max_s > 0.0):
            raise ValueError(f"gap_max_s {gap_max_s} is not a positive number")
        if warmup < 1:
            raise ValueError(f"warmup {warmup} is less than 1")
        self.weight_half_life_s = half_life_s
        self.gap_max_s = gap_max_s
        self.warmup = warmup
        self._step_ns = <int64_t>(half_life_s * 1e9 / STEPS_PER_HALF_LIFE)
        self.step_s = <double>self._step_ns * 1e-9
        self._log_keep = -M_LN2 * self.step_s / half_life_s
        self._keep = exp(self._log_keep)
        self.clear()

    cdef void clear(self) noexcept nogil:
        self._start_ns = self._at_ns = self._cell = 0
        self._updates = self._pairs = 0
        self._origin = self._newest = self._sampled = 0.0
        self._weight = self._weight_square = 0.0
        self._level_mean = self._move_mean = 0.0
        self._level_square = self._level_move = self._move_square = 0.0
        self._theta = self._mu = self._sigma = self._t_statistic = self._sure = 0.0

    def reset(self) -> None:
        """Forget every observation; the layer is then bit-identical to a new one."""
        self.clear()

    def update(self, int64_t at_ns, double price) -> None:
        """Take in one price observed at at_ns.

        A time not after the last one counts as the same instant; a step of more than gap_max_s
        either way restarts the layer. Raise ValueError for a price that is not a positive number.
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
        cdef int64_t passed, cell
        if self._updates == 0 or fabs(<double>(at_ns - self._at_ns)) > self.gap_max_s * 1e9:
            self.clear()
            self._start_ns = self._at_ns = at_ns
            self._origin = log_price
        elif at_ns > self._at_ns:
            self._at_ns = at_ns
            # Most prices fall into the open cell; the division is for those that close it.
            if at_ns - self._start_ns >= (self._cell + 1) * self._step_ns:
                cell = (at_ns - self._start_ns) // self._step_ns
                passed = cell - self._cell
                if self._cell:
                    self.absorb(self._sampled, self._newest - self._sampled, 1)
                if passed > 1:
                    self.absorb(self._newest, 0.0, passed - 1)
                self._sampled = self._newest
                self._cell = cell
                self.estimate()
        # Levels count from the first one: its rounding would drown the moves in the sums.
        self._newest = log_price - self._origin
        self._updates += 1

    cdef void absorb(self, double level, double move, int64_t count) noexcept nogil:
        """Let the sums decay by count steps and fold in that many equal pairs."""
        cdef double keep, rest, block, total, level_off, move_off, share
        if count == 1:
            keep = self._keep
            block = 1.0
            rest = 1.0
        else:
            keep = exp(self._log_keep * count)
            block = expm1(self._log_keep * count) / expm1(self._log_keep)
            rest = expm1(2.0 * self._log_keep * count) / expm1(2.0 * self._log_keep)
        total = keep * self._weight + block
        level_off = level - self._level_mean
        move_off = move - self._move_mean
        share = keep * self._weight * block / total
        self._level_square = keep * self._level_square + share * level_off * level_off
        self._level_move = keep * self._level_move + share * level_off * move_off
        self._move_square = keep * self._move_square + share * move_off * move_off
        self._level_mean += level_off * block / total
        self._move_mean += move_off * block / total
        self._weight = total
        self._weight_square = keep * keep * self._weight_square + rest
        self._pairs += count

    cdef void estimate(self) noexcept nogil:
        """Turn the sums into theta, mu, sigma; leave zeros where no reversion can be seen."""
        cdef double slope, count, square, error, decay
        self._theta = self._mu = self._sigma = self._t_statistic = self._sure = 0.0
        if self._pairs < PAIRS_MIN or self._level_square <= VARIANCE_MIN * self._weight:
            return
        slope = self._level_move / self._level_square
        # Kish's effective number of equally weighted pairs.
        count = self._weight * self._weight / self._weight_square
        if not -1.0 < slope < 0.0 or count <= 2.0:
            return
        decay = -log1p(slope)
        # A reversion slower than the memory cannot be told from none.
        if decay * self.weight_half_life_s < M_LN2 * self.step_s:
            return
        square = (self._move_square - slope * self._level_move) / self._weight
        square = square * count / (count - 2.0) if square > 0.0 else 0.0
        error = sqrt(square * self._weight / (count * self._level_square))
        self._t_statistic = slope / error if -slope < T_MAX * error else -T_MAX
        self._sure = 1.0 - dickey_fuller(self._t_statistic)
        self._theta = decay / self.step_s
        self._mu = self._level_mean - self._move_mean / slope
        self._sigma = sqrt(square * 2.0 * self._theta / -expm1(-2.0 * decay))

    cdef double z_score_now(self) noexcept nogil:
        if self._sigma == 0.0:
            return 0.0
        return (self._newest - self._mu) * sqrt(2.0 * self._theta) / self._sigma

    cdef double value_now(self) noexcept nogil:
        return 0.5 * (self._mu - self._newest) if self._theta > 0.0 else 0.0

    cdef double confidence_now(self) noexcept nogil:
        if self._pairs < self.warmup or self._theta == 0.0:
            return 0.0
        return self._sure

    @property
    def theta(self) -> float:
        """Return the speed of reversion in 1/s; 0.0 where none is seen."""
        return self._theta

    @property
    def mu(self) -> float:
        """Return the log price reverted to; 0.0 where no reversion is seen."""
        return self._origin + self._mu if self._theta > 0.0 else 0.0

    @property
    def sigma(self) -> float:
        """Return the diffusion of log price in 1/sqrt(s); 0.0 where no reversion is seen."""
        return self._sigma

    @property
    def half_life_s(self) -> float:
        """Return ln 2 / theta, in seconds; infinite where no reversion is seen."""
        return M_LN2 / self._theta if self._theta > 0.0 else float("inf")

    @property
    def z_score(self) -> float:
        """Return newest log price less mu, in stationary standard deviations sigma / sqrt(2 theta).

        0.0 where no reversion is seen.
        """
        return self.z_score_now()

    @property
    def t_statistic(self) -> float:
        """Return the regression slope over its standard error, -1e9..0; 0.0 without reversion."""
        return self._t_statistic

    @property
    def value(self) -> float:
        """Return (mu - log price) / 2, the log return expected over one half-life of reversion.

        0.0 where no reversion is seen.
        """
        return self.value_now()

    @property
    def confidence(self) -> float:
        """Return 1 - p of the Dickey-Fuller test, in 0..1; 0.0 until ready or without reversion."""
        return self.confidence_now()

    @property
    def ready(self) -> bool:
        """Return whether at least warmup steps of the grid were paired since the last start."""
        return self._pairs >= self.warmup

    @property
    def pairs(self) -> int:
        """Return how many pairs of grid samples came since the last start."""
        return self._pairs

    @property
    def updates(self) -> int:
        """Return how many updates came since the last start."""
        return self._updates
