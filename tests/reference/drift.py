"""The four rebalance rules, read off the design in exact decimals."""

from decimal import Decimal
from math import floor

RULES = {
    "decay_threshold": 0.0005,
    "confidence_drop_relative": 0.3,
    "max_hold_half_lives": 2.0,
    "reduce_to": 0.5,
}


def decimal(number: float) -> Decimal:
    return Decimal(repr(number))


def reason(
    rules: dict[str, float],
    side: int,
    baseline: float,
    drift: float,
    entry_confidence: float,
    confidence: float,
    age_s: float,
    half_life_s: float,
) -> str:
    """The first rule that applies, by its name in REASONS."""
    if (drift < 0 < side) or (side < 0 < drift):
        return "drift_flip"
    if decimal(age_s) > decimal(rules["max_hold_half_lives"]) * decimal(half_life_s):
        return "max_hold"
    weakened = (decimal(baseline) - decimal(drift)) * side
    if weakened > decimal(rules["decay_threshold"]):
        return "drift_decay"
    fallen = decimal(entry_confidence) - decimal(confidence)
    if fallen > decimal(rules["confidence_drop_relative"]) * decimal(entry_confidence):
        return "confidence_drop"
    return "none"


def action(why: str, reduce_to: float, quantity: int, minimum: int) -> tuple[str, int]:
    """The action a reason calls for, and how many steps it closes."""
    if why == "none":
        return "hold", 0
    kept = floor(decimal(reduce_to) * quantity)
    if why in ("drift_flip", "max_hold") or kept < max(minimum, 1):
        return "close", quantity
    return "reduce", quantity - kept
