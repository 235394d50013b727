"""The profiles a simulated engine runs: real settings, in a few variants."""

from collections.abc import Mapping
from typing import Any, Final

BASE: Final[Mapping[str, Any]] = {
    "symbols": ["BTCUSDT", "ETHUSDT"],
    "leverage.wanted": 50,
    "leverage.reread_s": 5.0,
    "leverage.proof_age_max_s": 30.0,
    "sizing.mode": "fixed_margin",
    "sizing.fixed_margin_usdt": 60.0,
    "sizing.share_of_equity_max": 0.1,
    "sizing.positions_max": 2,
    "protection.stop_percent": 0.3,
    "protection.target_percent": 0.35,
    # the guardian acts at the first look after this: its close has left within 500 ms
    "protection.cover_max_ms": 380.0,
    "protection.check_ms": 100.0,
    "signals.warmup": 20,
    "signals.drift_min": 0.0001,
    "signals.confidence_min": 0.3,
    "signals.disagreement_max": 0.9,
    "signals.cooldown_s": 1.0,
    "signals.cross_weight": 0.0,
    "signals.ou_weight": 0.0,
    "signals.drift_weight": 0.2,
    "signals.forecast_every_ms": 500.0,
    "rebalance.interval_s": 2.0,
    "rebalance.reduce_pause_s": 4.0,
    "recovery.reconcile_s": 10.0,
    "journal.enabled": False,
    "state.url": "none",
}

VARIANTS: Final[tuple[Mapping[str, Any], ...]] = (
    {},
    {"leverage.wanted": 20, "rebalance.cooldown_s": 3.0},
    {
        "protection.trailing_activation_percent": 0.1,
        "protection.trailing_callback_percent": 0.08,
        "protection.break_even_percent": 0.08,
    },
    {"entries.kind": "gtc", "entries.timeout_s": 3.0, "entries.chase_max": 2},
    {
        "sizing.positions_max": 1,
        "protection.relax_after_s": 3.0,
        "protection.reduce_after_s": 5.0,
        "protection.close_after_s": 9.0,
    },
    {
        "protection.distance": "atr",
        "protection.atr_bar_s": 1.0,
        "protection.atr_bars": 5,
        "protection.stop_atr": 9.0,
        "protection.target_atr": 3.0,
    },
)
"""Chosen by the seed, so that every one meets every fault."""


def overrides_of(style: str, variant: int) -> dict[str, Any]:
    """Return the settings of one variant at one kind of venue."""
    return {**BASE, **VARIANTS[variant], "venue.catalogue": style}
