from collections.abc import Sequence
from typing import Final

GATES: Final[tuple[str, ...]]

class Fusion:
    """Pool the forecasts of six layers into one, and judge it at the entry gates.

    weights are six numbers in 0..1, one a layer: how much of its confidence counts as a witness of
    its own. Every forecast is an expected log return over horizon_s. Raise ValueError for a
    parameter out of its range.
    """

    horizon_s: float
    drift_min: float
    confidence_min: float
    disagreement_max: float

    def __init__(
        self,
        weights: Sequence[float],
        horizon_s: float,
        drift_min: float,
        confidence_min: float,
        disagreement_max: float,
    ) -> None: ...
    def update(
        self,
        expectations: Sequence[float],
        confidences: Sequence[float],
        reversion_half_life_s: float,
        cross_claims: bool,
    ) -> None:
        """Fuse six expected log returns with their confidences.

        reversion_half_life_s is layer 3's; cross_claims tells whether layer 6 knows this symbol's
        leader. Raise ValueError for other than six of each, a log return outside -1..1, a
        confidence outside 0..1.
        """

    def gate(self) -> int:
        """Judge: 0 no signal (drift below drift_min), 1 entry, 2 refused by refused_gate."""

    def reset(self) -> None:
        """Forget the last forecast; as new."""

    @property
    def weights(self) -> tuple[float, ...]:
        """Return the six weights."""

    @property
    def value(self) -> float:
        """Return the fused expected log return over horizon_s."""

    @property
    def drift(self) -> float:
        """Return the fused expected return, exp(value) - 1."""

    @property
    def confidence(self) -> float:
        """Return support less opposition, 0..1."""

    @property
    def support(self) -> float:
        """Return the joined sureness of the layers that point where value points, 0..1."""

    @property
    def opposition(self) -> float:
        """Return the joined sureness of the layers that point the other way, 0..1."""

    @property
    def direction(self) -> int:
        """Return +1 up, -1 down, 0 for no view."""

    @property
    def half_life_s(self) -> float:
        """Return how long half of the drift is expected to last, in seconds."""

    @property
    def ready(self) -> bool:
        """Return whether a forecast was fused since the start."""

    @property
    def refused_gate(self) -> str:
        """Return the name of the gate that refused last, one of GATES; "" for none."""

    @property
    def refused_measured(self) -> float:
        """Return what that gate measured."""

    @property
    def refused_threshold(self) -> float:
        """Return what it measured against."""
