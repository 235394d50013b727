class OrnsteinUhlenbeck:
    """Estimate how log price reverts to a mean, from a weighted AR(1) on a grid of fixed step.

    half_life_s (1e-6..1e7) is the half-life of the regression's weights, kept as
    weight_half_life_s; the grid's step_s is a hundredth of it. A gap of more than gap_max_s seconds
    restarts the layer; it is ready after warmup pairs of grid samples. Raise ValueError for a
    parameter out of its range.
    """

    weight_half_life_s: float
    step_s: float
    gap_max_s: float
    warmup: int

    def __init__(self, half_life_s: float, gap_max_s: float, warmup: int) -> None: ...
    def reset(self) -> None:
        """Forget every observation; the layer is then bit-identical to a new one."""

    def update(self, at_ns: int, price: float) -> None:
        """Take in one price observed at at_ns.

        A time not after the last one counts as the same instant; a step of more than gap_max_s
        either way restarts the layer. Raise ValueError for a price that is not a positive number.
        """

    @property
    def theta(self) -> float:
        """Return the speed of reversion in 1/s; 0.0 where none is seen."""

    @property
    def mu(self) -> float:
        """Return the log price reverted to; 0.0 where no reversion is seen."""

    @property
    def sigma(self) -> float:
        """Return the diffusion of log price in 1/sqrt(s); 0.0 where no reversion is seen."""

    @property
    def half_life_s(self) -> float:
        """Return ln 2 / theta, in seconds; infinite where no reversion is seen."""

    @property
    def z_score(self) -> float:
        """Return newest log price less mu, in stationary standard deviations sigma / sqrt(2 theta).

        0.0 where no reversion is seen.
        """

    @property
    def t_statistic(self) -> float:
        """Return the regression slope over its standard error, -1e9..0; 0.0 without reversion."""

    @property
    def value(self) -> float:
        """Return (mu - log price) / 2, the log return expected over one half-life of reversion.

        0.0 where no reversion is seen.
        """

    @property
    def confidence(self) -> float:
        """Return 1 - p of the Dickey-Fuller test, in 0..1; 0.0 until ready or without reversion."""

    @property
    def ready(self) -> bool:
        """Return whether at least warmup steps of the grid were paired since the last start."""

    @property
    def pairs(self) -> int:
        """Return how many pairs of grid samples came since the last start."""

    @property
    def updates(self) -> int:
        """Return how many updates came since the last start."""
