class Calculus:
    """Fit a polynomial of degree 4 to recent log prices and differentiate it at the newest one.

    At most samples observations (6..64) no older than window_s seconds (1e-6..1e6) are kept, all
    with equal weight; one that comes less than window_s / (samples - 1) after the one before it is
    replaced by the next, so fast quotes do not shorten the window. A gap of more than gap_max_s
    seconds restarts the layer; it is ready after warmup updates with a slope. Raise ValueError for
    a parameter out of its range.
    """

    window_s: float
    samples: int
    gap_max_s: float
    warmup: int

    def __init__(self, window_s: float, samples: int, gap_max_s: float, warmup: int) -> None: ...
    def reset(self) -> None:
        """Forget every observation; the layer is then bit-identical to a new one."""

    def update(self, at_ns: int, price: float) -> None:
        """Take in one price observed at at_ns and fit anew.

        A time not after the last one counts as the same instant, where the newest price stands; a
        step of more than gap_max_s either way restarts the layer. Raise ValueError for a price
        that is not a positive number.
        """

    @property
    def level(self) -> float:
        """Return the fitted log price at the newest observation; 0.0 while nothing is fitted."""

    @property
    def velocity(self) -> float:
        """Return the first derivative of log price in 1/s."""

    @property
    def acceleration(self) -> float:
        """Return the second derivative of log price in 1/s^2."""

    @property
    def jerk(self) -> float:
        """Return the third derivative of log price in 1/s^3."""

    @property
    def snap(self) -> float:
        """Return the fourth derivative of log price in 1/s^4."""

    @property
    def sigma(self) -> float:
        """Return the standard deviation of the observed log prices around the fit."""

    @property
    def velocity_sigma(self) -> float:
        """Return the standard error of velocity in 1/s, residuals taken as independent."""

    @property
    def t_statistic(self) -> float:
        """Return |velocity| over its standard error, at most 1e9."""

    @property
    def degree(self) -> int:
        """Return the degree of the fit, 0..4: at most two below the observations kept."""

    @property
    def kept(self) -> int:
        """Return how many observations the fit rests on."""

    @property
    def value(self) -> float:
        """Return the velocity in 1/s."""

    @property
    def confidence(self) -> float:
        """Return Student's two-sided probability of the t-statistic, in 0..1; 0.0 until ready.

        The residuals of a price path are not independent, so it ranks fits rather than giving
        their odds.
        """

    @property
    def ready(self) -> bool:
        """Return whether warmup updates came since the last start and a slope is fitted."""

    @property
    def updates(self) -> int:
        """Return how many updates came since the last start."""
