"""The keys of a profile: their types, their ranges, and how to say what is allowed."""

from difflib import get_close_matches
from math import inf
from types import UnionType
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from hfengine.settings import Settings

Type = type[Any] | UnionType


def _fields(struct: type[Struct], prefix: str = "") -> dict[str, Type]:
    found: dict[str, Type] = {}
    for part in msgspec.structs.fields(struct):
        key = prefix + part.name
        if isinstance(part.type, type) and issubclass(part.type, Struct):
            found |= _fields(part.type, key + ".")
        else:
            found[key] = part.type
    return found


FIELDS: Final = _fields(Settings)
"""Every setting: dotted key -> type."""

TABLES: Final = frozenset(key for key, kind in FIELDS.items() if get_origin(kind) is dict)
"""Settings whose own keys are free (symbols)."""

SECTIONS: Final = frozenset(key.rpartition(".")[0] for key in FIELDS) - {""}


class Bound(Struct, frozen=True):
    """A range of numbers; an end that is `open` does not belong to it."""

    low: float
    high: float = inf
    low_open: bool = False
    high_open: bool = False

    def holds(self, number: float) -> bool:
        """Tell whether a number lies in the range; NaN never does."""
        above = number > self.low if self.low_open else number >= self.low
        return above and (number < self.high if self.high_open else number <= self.high)

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.low_open else f"{self.low:g} or more"
        if self.high == inf:
            return low if self.high_open else f"{low}, or inf for no limit"
        if not self.low_open and not self.high_open:
            return f"{self.low:g} to {self.high:g}"
        return f"{low}, {'below' if self.high_open else 'at most'} {self.high:g}"


POSITIVE: Final = Bound(0, low_open=True, high_open=True)
NOT_NEGATIVE: Final = Bound(0, high_open=True)
CAP: Final = Bound(0, low_open=True)
COUNT: Final = Bound(1, high_open=True)
PERIOD_MS: Final = Bound(1, 86_400_000)
PERIOD_S: Final = Bound(0.001, 86_400)
MICROSECONDS: Final = Bound(0, 60_000_000)
MONEY: Final = Bound(0, 1e12, low_open=True)
SHARE: Final = Bound(0, 1, low_open=True)
FRACTION: Final = Bound(0, 1)
BELOW_ONE: Final = Bound(0, 1, high_open=True)
PERCENT: Final = Bound(0, 100, low_open=True, high_open=True)
LEVERAGE: Final = Bound(1, 125)

RANGES: Final[dict[str, Bound]] = {
    "seed": NOT_NEGATIVE,
    "venue.wallet_usdt": MONEY,
    "venue.recv_window_ms": Bound(100, 60_000),
    "venue.answer_max_s": Bound(0.05, 60),
    "venue.clock_offset_max_ms": POSITIVE,
    "venue.rate_reserve": BELOW_ONE,
    "venue.feed_latency_us": MICROSECONDS,
    "venue.feed_jitter_us": MICROSECONDS,
    "venue.order_latency_us": MICROSECONDS,
    "venue.order_jitter_us": MICROSECONDS,
    "leverage.wanted": LEVERAGE,
    "leverage.overrides": LEVERAGE,
    "leverage.proof_age_max_s": POSITIVE,
    "leverage.reread_s": PERIOD_S,
    "sizing.fraction": SHARE,
    "sizing.fixed_margin_usdt": POSITIVE,
    "sizing.share_of_equity_max": SHARE,
    "sizing.trade_notional_max_usdt": CAP,
    "sizing.exposure_max_usdt": CAP,
    "sizing.capital_usdt": CAP,
    "sizing.positions_max": COUNT,
    "sizing.free_margin_reserve": BELOW_ONE,
    "entries.timeout_s": PERIOD_S,
    "entries.chase_every_ms": PERIOD_MS,
    "entries.chase_max": Bound(0, 1_000),
    "entries.chase_max_bps": NOT_NEGATIVE,
    "protection.stop_percent": PERCENT,
    "protection.target_percent": PERCENT,
    "protection.trailing_activation_percent": Bound(0, 100, high_open=True),
    "protection.trailing_callback_percent": PERCENT,
    "protection.break_even_percent": Bound(0, 100, high_open=True),
    "protection.relax_after_s": NOT_NEGATIVE,
    "protection.relax_target_percent": PERCENT,
    "protection.reduce_after_s": NOT_NEGATIVE,
    "protection.close_after_s": NOT_NEGATIVE,
    "protection.atr_bar_s": PERIOD_S,
    "protection.atr_bars": COUNT,
    "protection.stop_atr": POSITIVE,
    "protection.target_atr": POSITIVE,
    "protection.stop_forecast": POSITIVE,
    "protection.target_forecast": POSITIVE,
    "protection.buffer_fraction": BELOW_ONE,
    "protection.buffer_sigma": NOT_NEGATIVE,
    "protection.reaction_s": NOT_NEGATIVE,
    "protection.cover_max_ms": POSITIVE,
    "protection.check_ms": PERIOD_MS,
    "fees.break_even_max": SHARE,
    "fees.slippage_bps": NOT_NEGATIVE,
    "signals.horizon_s": PERIOD_S,
    "signals.gap_max_s": POSITIVE,
    "signals.warmup": Bound(1, 1_000_000),
    "signals.trend_s": POSITIVE,
    "signals.calculus_window_s": Bound(1e-6, 1e6),
    "signals.calculus_samples": Bound(6, 64),
    "signals.calculus_weight": FRACTION,
    "signals.kalman_process_noise": POSITIVE,
    "signals.kalman_measurement_noise": POSITIVE,
    "signals.kalman_weight": FRACTION,
    "signals.ou_half_life_s": Bound(1e-6, 1e7),
    "signals.ou_weight": FRACTION,
    "signals.flow_half_life_s": POSITIVE,
    "signals.flow_move_bps": Bound(0, 1_000),
    "signals.flow_weight": FRACTION,
    "signals.drift_half_life_s": Bound(0.001, 1e9),
    "signals.drift_ridge": POSITIVE,
    "signals.drift_weight": FRACTION,
    "signals.cross_step_ms": Bound(1e-3, 1e7),
    "signals.cross_lags": Bound(1, 32),
    "signals.cross_half_life_s": POSITIVE,
    "signals.cross_weight": FRACTION,
    "signals.drift_min": NOT_NEGATIVE,
    "signals.confidence_min": FRACTION,
    "signals.disagreement_max": FRACTION,
    "signals.cooldown_s": NOT_NEGATIVE,
    "signals.forecast_every_ms": PERIOD_MS,
    "rebalance.interval_s": PERIOD_S,
    "rebalance.decay_threshold": POSITIVE,
    "rebalance.confidence_drop_relative": SHARE,
    "rebalance.max_hold_half_lives": POSITIVE,
    "rebalance.reduce_to": Bound(0, 1, low_open=True, high_open=True),
    "rebalance.reduces_max": Bound(0, 1_000),
    "rebalance.reduce_pause_s": NOT_NEGATIVE,
    "rebalance.cooldown_s": NOT_NEGATIVE,
    "rebalance.reentry_drift": POSITIVE,
    "risk.data_age_max_ms": POSITIVE,
    "risk.spread_max_bps": POSITIVE,
    "risk.utilisation_warn": SHARE,
    "risk.utilisation_close": SHARE,
    "risk.liquidation_left_close": BELOW_ONE,
    "risk.daily_loss_max_usdt": CAP,
    "risk.symbol_loss_max_usdt": CAP,
    "risk.total_loss_max_usdt": CAP,
    "risk.drawdown_max": SHARE,
    "risk.drawdown_window_s": POSITIVE,
    "risk.losing_streak_max": Bound(0, 1_000),
    "risk.losing_streak_cooldown_s": NOT_NEGATIVE,
    "risk.quality_cooldown_s": NOT_NEGATIVE,
    "risk.volatility_burst": POSITIVE,
    "risk.answer_max_ms": POSITIVE,
    "risk.mark_age_max_s": POSITIVE,
    "risk.liquidation_left_warn": BELOW_ONE,
    "risk.symbol_exposure_max_usdt": CAP,
    "risk.venue_exposure_max_usdt": CAP,
    "recovery.reconcile_s": PERIOD_S,
    "state.equity_every_s": PERIOD_S,
    "runtime.warm_every_ms": NOT_NEGATIVE,
    "runtime.cpu": Bound(-1, 1023),
    "runtime.wake_latency_us": Bound(-1, 1_000_000),
}
"""Dotted key -> what its number may be; for a table, each number in it."""

MAY_BE_EMPTY: Final = frozenset({"signals.drift_file", "signals.cross_with", "venue.url"})
"""Texts whose absence has a meaning of its own."""


def field_of(key: str) -> str | None:
    """Return the setting a dotted key belongs to: itself, or the table it lies in."""
    if key in FIELDS:
        return key
    table, _, name = key.rpartition(".")
    return table if table in TABLES and name else None


def type_of(key: str) -> Type:
    """Return the type of a dotted key's value; raises KeyError for an unknown key."""
    if key in FIELDS:
        return FIELDS[key]
    kind: Type = get_args(FIELDS[key.rpartition(".")[0]])[1]
    return kind


def canonical(parts: list[str]) -> str | None:
    """Return the dotted key of an upper-case path, None if there is none; symbols stay upper."""
    key = ".".join(parts).lower()
    if key in FIELDS:
        return key
    table = ".".join(parts[:-1]).lower()
    return f"{table}.{parts[-1]}" if table in TABLES else None


def near(key: str) -> str | None:
    """Return the setting a misspelt key most likely means, None if nothing is like it."""
    name = key.rpartition(".")[2]
    by_whole = get_close_matches(key, FIELDS, n=1, cutoff=0.75)
    by_name = [known for known in FIELDS if known.rpartition(".")[2] == name]
    return next(iter(by_whole or by_name or get_close_matches(key, FIELDS, n=1)), None)


def allowed(key: str) -> str:
    """Say what a key's value may be: its type, and its range or its choices."""
    kind = type_of(key)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in get_args(kind))
    names: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false"}
    listed = "a list of symbols" if key == "symbols" else "a list of names"
    origins: dict[Any, str] = {tuple: listed, dict: "a table: symbol = whole number"}
    words = (
        names.get(kind)
        or origins.get(get_origin(kind))
        or ("a text" if key in MAY_BE_EMPTY else "a text, not empty")
    )
    bound = RANGES.get(field_of(key) or "")
    return f"{words}, {bound}" if bound and kind in names else words


def in_range(key: str, reading: object) -> bool:
    """Tell whether a value of the right type lies in its key's range."""
    if isinstance(reading, str):
        return reading != "" or key in MAY_BE_EMPTY
    bound = RANGES.get(field_of(key) or "")
    if bound is None or not isinstance(reading, int | float):
        return True
    return bound.holds(reading)
