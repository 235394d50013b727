from collections.abc import Sequence
from typing import Final, final

HOLD: Final[int]
REDUCE: Final[int]
CLOSE: Final[int]
REASONS: Final[tuple[str, ...]]
FACTORS: Final[tuple[str, ...]]
STEPS: Final[int]

class Drift:
    """Expect the log return over horizon_s from six factors by an online ridge regression.

    Log price is sampled by the previous tick on a grid of horizon_s / 64. half_life_s is the decay
    of the regression, of the factors' means and deviations, and of the record of predictions;
    ridge pulls the coefficients towards those loaded (else zero) with the weight of so many
    samples; learn False keeps the loaded ones. A silence longer than gap_max_s or the horizon
    restarts the factors but keeps what was learned. Ready after warmup steps of the grid, at
    least 64. Raise ValueError for a parameter out of its range.
    """

    horizon_s: float
    half_life_s: float
    ridge: float
    gap_max_s: float
    warmup: int
    learn: bool
    step_s: float

    def __init__(
        self,
        horizon_s: float,
        half_life_s: float,
        ridge: float,
        gap_max_s: float,
        warmup: int,
        learn: bool = True,
    ) -> None: ...
    def load(self, coefficients: Sequence[float]) -> None:
        """Take seven coefficients as prior and present ones: the intercept, then one a factor.

        In log return per standard deviation of a factor. What was learned is forgotten. Raise
        ValueError for other than seven finite numbers.
        """

    def update_price(self, at_ns: int, price: float) -> None:
        """Take in one price observed at at_ns.

        A time not after the last one counts as the same instant. Raise ValueError for a price that
        is not a positive number.
        """

    def update_trade(self, at_ns: int, quantity: float) -> None:
        """Take in the quantity of one trade; raise ValueError when it is not in 0..1e18 or is 0."""

    def reset(self) -> None:
        """Forget everything, loaded coefficients too; the layer is then as new, bit for bit."""

    @property
    def coefficients(self) -> tuple[float, ...]:
        """Return the intercept and six coefficients, log return per standard deviation."""

    @property
    def factors(self) -> tuple[float, ...]:
        """Return the six standardised factors of the last closed step, -4..4, as in FACTORS."""

    @property
    def value(self) -> float:
        """Return the log return expected over horizon_s at the last step; 0.0 until ready."""

    @property
    def correlation(self) -> float:
        """Return the decayed correlation of past predictions with the returns that followed."""

    @property
    def confidence(self) -> float:
        """Return erf(z / sqrt 2) of Fisher's z of that correlation, 0..1; 0.0 where it is negative.

        The predictions counted were made before their outcomes; 64 overlapping ones count as one.
        0.0 until more than three horizons of predictions were judged.
        """

    @property
    def judged(self) -> float:
        """Return the effective number of independent predictions judged: decayed, over 64."""

    @property
    def ready(self) -> bool:
        """Return whether a horizon of steps and warmup steps closed since the last start."""

    @property
    def steps(self) -> int:
        """Return how many steps of the grid closed since the last start."""

@final
class RebalanceRules:
    def __init__(
        self,
        decay_threshold: float = 0.0005,
        confidence_drop_relative: float = 0.3,
        max_hold_half_lives: float = 2.0,
        reduce_to: float = 0.5,
    ) -> None: ...
    @property
    def decay_threshold(self) -> float: ...
    @property
    def confidence_drop_relative(self) -> float: ...
    @property
    def max_hold_half_lives(self) -> float: ...
    @property
    def reduce_to(self) -> float: ...
    @property
    def action(self) -> int: ...
    @property
    def reason(self) -> int: ...
    @property
    def close_steps(self) -> int: ...
    def decide(
        self,
        side: int,
        baseline_drift: float,
        drift: float,
        entry_confidence: float,
        confidence: float,
        age_s: float,
        half_life_s: float,
        quantity_steps: int,
        quantity_min_steps: int,
    ) -> int: ...

def drift_of(forecast_usdt: float, price_usdt: float) -> float: ...
