"""The layers of every symbol, made from a profile."""

from collections.abc import Sequence

from hfengine.drift_model import load_drift_model
from hfengine.kernels.bars import TrueRange, Volatility
from hfengine.kernels.calculus import Calculus
from hfengine.kernels.cross import Cross
from hfengine.kernels.drift import Drift
from hfengine.kernels.flow import Flow
from hfengine.kernels.fusion import Fusion
from hfengine.kernels.kalman import Kalman
from hfengine.kernels.layers import Layers
from hfengine.kernels.ou import OrnsteinUhlenbeck
from hfengine.settings import Protection, Signals


def layers_of(
    settings: Signals, protection: Protection, symbols: Sequence[str]
) -> dict[str, Layers]:
    """Return each symbol's layers; those paired share one Cross.

    Every symbol is paired with `signals.cross_with` (else the first), so there is one Cross less
    than symbols and an update of that one costs one step in each. Which of the two leads is
    estimated. The common symbol's own layer 6 is its pair with the next symbol. Raise ConfigError
    for a drift file that cannot be read or was trained for another horizon.
    """
    coefficients = drift_coefficients(settings)
    found = {symbol: _layers(settings, protection, coefficients) for symbol in symbols}
    common = settings.cross_with or next(iter(found), "")
    for number, symbol in enumerate(one for one in found if one != common):
        cross = Cross(
            settings.cross_step_ms,
            settings.cross_lags,
            settings.cross_half_life_s,
            settings.warmup,
            settings.gap_max_s,
        )
        found[common].pair(cross, 1, number == 0)
        found[symbol].pair(cross, -1, True)
    return found


def drift_coefficients(settings: Signals) -> tuple[float, ...] | None:
    """Return the coefficients of the profile's drift file, None where it names none."""
    if not settings.drift_file:
        return None
    return load_drift_model(settings.drift_file, settings.horizon_s).coefficients


def _layers(
    settings: Signals, protection: Protection, coefficients: tuple[float, ...] | None
) -> Layers:
    gap_max_s, warmup = settings.gap_max_s, settings.warmup
    drift = Drift(
        settings.horizon_s,
        settings.drift_half_life_s,
        settings.drift_ridge,
        gap_max_s,
        warmup,
        settings.drift_learn,
    )
    if coefficients is not None:
        drift.load(coefficients)
    return Layers(
        Calculus(settings.calculus_window_s, settings.calculus_samples, gap_max_s, warmup),
        Kalman(settings.kalman_process_noise, settings.kalman_measurement_noise, gap_max_s, warmup),
        OrnsteinUhlenbeck(settings.ou_half_life_s, gap_max_s, warmup),
        Flow(settings.flow_half_life_s, gap_max_s, warmup),
        drift,
        Fusion(
            (
                settings.calculus_weight,
                settings.kalman_weight,
                settings.ou_weight,
                settings.flow_weight,
                settings.drift_weight,
                settings.cross_weight,
            ),
            settings.horizon_s,
            settings.drift_min,
            settings.confidence_min,
            settings.disagreement_max,
        ),
        TrueRange(protection.atr_bar_s, protection.atr_bars),
        Volatility(),
        settings.horizon_s,
        settings.trend_s,
        settings.flow_move_bps * 1e-4,
    )
