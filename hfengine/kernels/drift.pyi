from typing import Final, final

HOLD: Final[int]
REDUCE: Final[int]
CLOSE: Final[int]
REASONS: Final[tuple[str, ...]]

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
