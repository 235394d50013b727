class Kalman:
    """Filter log price with a constant-acceleration, white-jerk model over irregular time.

    process_noise is the spectral density of the jerk of log price in 1/s^5, measurement_noise the
    variance of one observed log price (dimensionless); their ratio sets the filter's time scale,
    (measurement_noise / process_noise) ** 0.2 seconds. A gap of more than gap_max_s seconds
    restarts the filter; it is ready after warmup updates. Raise ValueError for a parameter that is
    not positive.
    """

    process_noise: float
    measurement_noise: float
    gap_max_s: float
    warmup: int

    def __init__(
        self, process_noise: float, measurement_noise: float, gap_max_s: float, warmup: int
    ) -> None: ...
    def update(self, at_ns: int, price: float) -> None:
        """Take in one price observed at at_ns.

        A time not after the last one counts as the same instant; a step of more than gap_max_s
        either way restarts the filter. Raise ValueError for a price that is not a positive number.
        """

    def reset(self) -> None:
        """Forget every observation; the filter is then bit-identical to a new one."""

    @property
    def level(self) -> float:
        """Return the filtered log price at the last update; 0.0 before the first."""

    @property
    def slope(self) -> float:
        """Return the velocity of log price in 1/s."""

    @property
    def curvature(self) -> float:
        """Return the acceleration of log price in 1/s^2."""

    @property
    def innovation(self) -> float:
        """Return the last observed minus predicted log price; 0.0 where nothing was predicted."""

    @property
    def innovation_sigma(self) -> float:
        """Return the standard deviation the filter gave that innovation; 0.0 likewise."""

    @property
    def snr(self) -> float:
        """Return |slope| over the standard deviation of its estimate."""

    @property
    def value(self) -> float:
        """Return the slope in 1/s."""

    @property
    def confidence(self) -> float:
        """Return erf(snr / sqrt 2), the two-sided normal probability; 0.0 until ready."""

    @property
    def ready(self) -> bool:
        """Return whether at least warmup updates came since the last start."""

    @property
    def updates(self) -> int:
        """Return how many updates came since the last start of the filter."""

    def forecast_log(self, horizon_s: float) -> float:
        """Return the log return expected over the next horizon_s seconds.

        slope h + curvature h^2 / 2, with h cut to 0..gap_max_s: beyond that the filter would
        distrust its own state. 0.0 until ready.
        """

    def covariance(
        self,
    ) -> tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]:
        """Return the state covariance, three rows of level, slope, curvature."""
