"""The constant-acceleration filter in numpy matrices, covariance in Joseph form."""

import math

import numpy as np

PRIOR_FACTOR = 100.0


class Kalman:
    def __init__(
        self, process_noise: float, measurement_noise: float, gap_max_s: float, warmup: int
    ) -> None:
        self.q = process_noise
        self.r = measurement_noise
        self.gap_max_s = gap_max_s
        self.warmup = warmup
        self.count = 0
        self.at_ns = 0
        self.x = np.zeros(3)
        self.p = np.zeros((3, 3))
        self.innovation = 0.0
        self.innovation_sigma = 0.0

    def update(self, at_ns: int, price: float) -> None:
        measured = math.log(price)
        dt = (at_ns - self.at_ns) / 1e9
        if self.count == 0 or abs(dt) > self.gap_max_s:
            scale_s = (self.r / self.q) ** 0.2
            self.x = np.array([measured, 0.0, 0.0])
            self.p = self.r * np.diag(
                [1.0, PRIOR_FACTOR / scale_s**2, PRIOR_FACTOR / scale_s**4],
            )
            self.innovation = self.innovation_sigma = 0.0
            self.count = 1
            self.at_ns = at_ns
            return
        if dt > 0:
            self.at_ns = at_ns
            f = np.array([[1, dt, dt * dt / 2], [0, 1, dt], [0, 0, 1]])
            noise = self.q * np.array(
                [
                    [dt**5 / 20, dt**4 / 8, dt**3 / 6],
                    [dt**4 / 8, dt**3 / 3, dt**2 / 2],
                    [dt**3 / 6, dt**2 / 2, dt],
                ]
            )
            self.x = f @ self.x
            self.p = f @ self.p @ f.T + noise
        h = np.array([[1.0, 0.0, 0.0]])
        s = float((h @ self.p @ h.T)[0, 0]) + self.r
        gain = self.p @ h.T / s
        self.innovation = measured - float(self.x[0])
        self.innovation_sigma = math.sqrt(s)
        self.x = self.x + gain[:, 0] * self.innovation
        rest = np.eye(3) - gain @ h
        self.p = rest @ self.p @ rest.T + self.r * gain @ gain.T
        self.count += 1

    @property
    def snr(self) -> float:
        return abs(float(self.x[1])) / math.sqrt(self.p[1, 1]) if self.count else 0.0

    @property
    def confidence(self) -> float:
        return math.erf(self.snr / math.sqrt(2)) if self.count >= self.warmup else 0.0

    def forecast_log(self, horizon_s: float) -> float:
        if self.count < self.warmup:
            return 0.0
        span = min(max(horizon_s, 0.0), self.gap_max_s)
        return float(self.x[1]) * span + float(self.x[2]) * span**2 / 2
