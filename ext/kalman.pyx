# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Constant-acceleration Kalman filter on log price over irregular time (signal layer 2).

State: level, slope (1/s) and curvature (1/s^2) of log price; curvature is driven by white noise
(white jerk), so F and Q are those of the discretised white-noise-jerk model in Bar-Shalom, Li and
Kirubarajan, "Estimation with Applications to Tracking and Navigation" (2001), section 6.2.3.
The scalar measurement is log price; the covariance is updated in Joseph form on its six distinct
elements, so it is symmetric by construction and keeps its positive diagonal.
"""

from libc.math cimport M_SQRT1_2, erf, fabs, isfinite, log, pow, sqrt
from libc.stdint cimport int64_t

# The prior spans ten standard deviations of what the process itself does in its own time scale.
cdef double PRIOR_FACTOR = 100.0


cdef class Kalman:
    def __cinit__(
        self, double process_noise, double measurement_noise, double gap_max_s, int64_t warmup
    ):
        cdef double scale_s
        if not (isfinite(process_noise) and process_noise > 0.0):
            raise ValueError(f"process_noise {process_noise} is not a positive number")
        if not (isfinite(measurement_noise) and measurement_noise > 0.0):
            raise ValueError(f"measurement_noise {measurement_noise} is not a positive number")
        if not (isfinite(gap_max_s) and gap_max_s > 0.0):
            raise ValueError(f"gap_max_s {gap_max_s} is not a positive number")
        if warmup < 1:
            raise ValueError(f"warmup {warmup} is less than 1")
        self.process_noise = process_noise
        self.measurement_noise = measurement_noise
        self.gap_max_s = gap_max_s
        self.warmup = warmup
        scale_s = pow(measurement_noise / process_noise, 0.2)
        self._slope_prior = PRIOR_FACTOR * measurement_noise / (scale_s * scale_s)
        self._curvature_prior = self._slope_prior / (scale_s * scale_s)
        self.clear()

    cdef void clear(self) noexcept nogil:
        self._at_ns = 0
        self._updates = 0
        self._level = 0.0
        self._slope = 0.0
        self._curvature = 0.0
        self._p00 = self._p01 = self._p02 = 0.0
        self._p11 = self._p12 = self._p22 = 0.0
        self._innovation = 0.0
        self._innovation_sigma = 0.0

    def reset(self) -> None:
        """Forget every observation; the filter is then bit-identical to a new one."""
        self.clear()

    def update(self, int64_t at_ns, double price) -> None:
        """Take in one price observed at at_ns.

        A time not after the last one counts as the same instant; a step of more than gap_max_s
        either way restarts the filter. Raise ValueError for a price that is not a positive number.
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
        cdef double dt = <double>(at_ns - self._at_ns) / 1e9
        if self._updates == 0 or fabs(dt) > self.gap_max_s:
            self.restart(at_ns, log_price)
            return
        if dt > 0.0:
            self._at_ns = at_ns
            self.predict(dt)
        self.correct(log_price)
        self._updates += 1

    cdef void restart(self, int64_t at_ns, double log_price) noexcept nogil:
        self._at_ns = at_ns
        self._updates = 1
        self._level = log_price
        self._slope = 0.0
        self._curvature = 0.0
        self._p00 = self.measurement_noise
        self._p11 = self._slope_prior
        self._p22 = self._curvature_prior
        self._p01 = self._p02 = self._p12 = 0.0
        self._innovation = 0.0
        self._innovation_sigma = 0.0

    cdef void predict(self, double dt) noexcept nogil:
        """Move the state dt seconds on: x = F x, P = F P F' + Q."""
        cdef double half = 0.5 * dt * dt
        cdef double q = self.process_noise
        cdef double dt2 = dt * dt
        cdef double dt3 = dt2 * dt
        # The rows of F P; only what F P F' needs.
        cdef double a00 = self._p00 + dt * self._p01 + half * self._p02
        cdef double a01 = self._p01 + dt * self._p11 + half * self._p12
        cdef double a02 = self._p02 + dt * self._p12 + half * self._p22
        cdef double a11 = self._p11 + dt * self._p12
        cdef double a12 = self._p12 + dt * self._p22
        self._p00 = a00 + dt * a01 + half * a02 + q * dt3 * dt2 * 0.05
        self._p01 = a01 + dt * a02 + q * dt2 * dt2 * 0.125
        self._p02 = a02 + q * dt3 / 6.0
        self._p11 = a11 + dt * a12 + q * dt3 / 3.0
        self._p12 = a12 + q * half
        self._p22 = self._p22 + q * dt
        self._level += dt * self._slope + half * self._curvature
        self._slope += dt * self._curvature

    cdef void correct(self, double log_price) noexcept nogil:
        """Fold in one measurement: P = (I - K H) P (I - K H)' + K R K', the Joseph form."""
        cdef double r = self.measurement_noise
        cdef double variance = self._p00 + r
        cdef double k0 = self._p00 / variance
        cdef double k1 = self._p01 / variance
        cdef double k2 = self._p02 / variance
        cdef double keep = r / variance
        cdef double b01, b02
        self._innovation = log_price - self._level
        self._innovation_sigma = sqrt(variance)
        self._level += k0 * self._innovation
        self._slope += k1 * self._innovation
        self._curvature += k2 * self._innovation
        # Rows 1 and 2, column 0 of (I - K H) P, before the right-hand factor.
        b01 = self._p01 - k1 * self._p00
        b02 = self._p02 - k2 * self._p00
        self._p11 = (self._p11 - k1 * self._p01) - k1 * b01 + k1 * k1 * r
        self._p12 = (self._p12 - k1 * self._p02) - k2 * b01 + k1 * k2 * r
        self._p22 = (self._p22 - k2 * self._p02) - k2 * b02 + k2 * k2 * r
        self._p01 = keep * b01 + k0 * k1 * r
        self._p02 = keep * b02 + k0 * k2 * r
        self._p00 = keep * keep * self._p00 + k0 * k0 * r

    cdef double snr_now(self) noexcept nogil:
        return fabs(self._slope) / sqrt(self._p11) if self._p11 > 0.0 else 0.0

    cdef double confidence_now(self) noexcept nogil:
        if self._updates < self.warmup:
            return 0.0
        return erf(self.snr_now() * M_SQRT1_2)

    cdef double forecast_now(self, double horizon_s) noexcept nogil:
        cdef double span
        if self._updates < self.warmup or not horizon_s > 0.0:
            return 0.0
        span = horizon_s if horizon_s < self.gap_max_s else self.gap_max_s
        return span * (self._slope + 0.5 * span * self._curvature)

    @property
    def level(self) -> float:
        """Return the filtered log price at the last update; 0.0 before the first."""
        return self._level

    @property
    def slope(self) -> float:
        """Return the velocity of log price in 1/s."""
        return self._slope

    @property
    def curvature(self) -> float:
        """Return the acceleration of log price in 1/s^2."""
        return self._curvature

    @property
    def innovation(self) -> float:
        """Return the last observed minus predicted log price; 0.0 where nothing was predicted."""
        return self._innovation

    @property
    def innovation_sigma(self) -> float:
        """Return the standard deviation the filter gave that innovation; 0.0 likewise."""
        return self._innovation_sigma

    @property
    def snr(self) -> float:
        """Return |slope| over the standard deviation of its estimate."""
        return self.snr_now()

    @property
    def value(self) -> float:
        """Return the slope in 1/s."""
        return self._slope

    @property
    def confidence(self) -> float:
        """Return erf(snr / sqrt 2), the two-sided normal probability; 0.0 until ready."""
        return self.confidence_now()

    @property
    def ready(self) -> bool:
        """Return whether at least warmup updates came since the last start."""
        return self._updates >= self.warmup

    @property
    def updates(self) -> int:
        """Return how many updates came since the last start of the filter."""
        return self._updates

    def forecast_log(self, double horizon_s) -> float:
        """Return the log return expected over the next horizon_s seconds.

        slope h + curvature h^2 / 2, with h cut to 0..gap_max_s: beyond that the filter would
        distrust its own state. 0.0 until ready.
        """
        return self.forecast_now(horizon_s)

    def covariance(self) -> tuple:
        """Return the state covariance, three rows of level, slope, curvature."""
        return (
            (self._p00, self._p01, self._p02),
            (self._p01, self._p11, self._p12),
            (self._p02, self._p12, self._p22),
        )
