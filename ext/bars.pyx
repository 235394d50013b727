# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""True range of bars built from trades, and sampled volatility of the mid.

The average true range is Wilder's ("New Concepts in Technical Trading Systems", 1978) with the
mean of the bars so far until a full window closed. The variance is per second of elapsed time,
each squared return over its own step, exponentially weighted by that step.
"""

from libc.math cimport M_LN2, exp, isfinite, sqrt
from libc.stdint cimport int64_t

# Four samples a second: faster ones would see bid-ask bounce.
cdef int64_t SAMPLE_NS = 250_000_000


cdef class TrueRange:
    def __cinit__(self, double bar_s, int64_t bars):
        if not (1e-9 <= bar_s <= 1e9):
            raise ValueError(f"bar_s {bar_s} is not in 1e-9..1e9")
        if bars < 1:
            raise ValueError(f"bars {bars} is less than 1")
        self.bar_s = bar_s
        self.bars = bars
        self._bar_ns = <int64_t>(bar_s * 1e9)
        self.clear()

    cdef void clear(self) noexcept nogil:
        self._open_ns = self._count = 0
        self._opened = False
        self._high = self._low = self._close = self._atr = 0.0

    def reset(self) -> None:
        """Forget every bar; as new."""
        self.clear()

    def update(self, int64_t at_ns, double price) -> None:
        """Take one trade price; raise ValueError when it is not a positive number."""
        if self.step(at_ns, price) < 0:
            raise ValueError(f"price {price} at {at_ns} ns is not a positive number")

    cdef int step(self, int64_t at_ns, double price) noexcept nogil:
        """Do update() in C; return -1 and change nothing when the price is refused."""
        cdef int64_t count
        if not (isfinite(price) and price > 0.0):
            return -1
        if not self._opened or at_ns >= self._open_ns + self._bar_ns:
            if self._opened:
                self._count += 1
                count = self._count if self._count < self.bars else self.bars
                self._atr += 1.0 / count * (self._high - self._low - self._atr)
                # The true range begins at the previous close.
                self._high = price if price > self._close else self._close
                self._low = price if price < self._close else self._close
            else:
                self._high = self._low = price
            self._opened = True
            self._open_ns = at_ns - at_ns % self._bar_ns
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._close = price
        return 0

    @property
    def atr(self) -> float:
        """Return the average true range in price units; 0.0 before the first bar closed."""
        return self._atr

    @property
    def count(self) -> int:
        """Return how many bars closed."""
        return self._count

    @property
    def ready(self) -> bool:
        """Return whether a full window of bars has closed."""
        return self._count >= self.bars


cdef class Volatility:
    def __cinit__(self, double half_life_s=60.0):
        if not (isfinite(half_life_s) and half_life_s > 0.0):
            raise ValueError(f"half_life_s {half_life_s} is not a positive number")
        self.half_life_s = half_life_s
        self.clear()

    cdef void clear(self) noexcept nogil:
        self._at_ns = 0
        self._sampled = False
        self._mid = self._variance = self._weight = 0.0

    def reset(self) -> None:
        """Forget every sample; as new."""
        self.clear()

    def update(self, int64_t at_ns, double mid) -> None:
        """Take a mid price; sampled at most four times a second against bid-ask bounce.

        Raise ValueError when it is not a positive number.
        """
        if self.step(at_ns, mid) < 0:
            raise ValueError(f"mid {mid} at {at_ns} ns is not a positive number")

    cdef int step(self, int64_t at_ns, double mid) noexcept nogil:
        """Do update() in C; return -1 and change nothing when the mid is refused."""
        cdef double dt_s, change, keep
        if not (isfinite(mid) and mid > 0.0):
            return -1
        if self._sampled:
            if at_ns - self._at_ns < SAMPLE_NS:
                return 0
            dt_s = <double>(at_ns - self._at_ns) / 1e9
            change = (mid - self._mid) / self._mid
            keep = exp(-M_LN2 * dt_s / self.half_life_s)
            self._variance = keep * self._variance + (1.0 - keep) * change * change / dt_s
            self._weight = keep * self._weight + (1.0 - keep)
        self._sampled = True
        self._at_ns = at_ns
        self._mid = mid
        return 0

    cdef double sigma_now(self) noexcept nogil:
        return sqrt(self._variance / self._weight) if self._weight > 0.0 else 0.0

    @property
    def sigma(self) -> float:
        """Return the relative standard deviation per root second; 0.0 before two samples."""
        return self.sigma_now()
