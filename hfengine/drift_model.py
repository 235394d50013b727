"""The drift layer's trained coefficients as a file: written by train-drift, read by a profile."""

from math import isclose, isfinite
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from hfengine.errors import ConfigError

VERSION: Final = 1
COEFFICIENTS: Final = 7
"""The intercept and one coefficient a factor."""


class TrainedOn(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the coefficients were fitted on: file names, a span in ns since the epoch, samples."""

    recordings: tuple[str, ...]
    from_ns: int
    until_ns: int
    samples: int
    independent_horizons: int


class OutOfSample(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the coefficients did on what came after, purged of what overlaps the fit.

    `r2` is against the forecast of no move; `ic` is the signed-rank information coefficient with
    its 95 % interval; None where the data do not suffice.
    """

    from_ns: int
    until_ns: int
    samples: int
    independent_horizons: int
    r2: float | None
    ic: float | None
    ic_low: float | None
    ic_high: float | None
    verdict: str


class DriftModel(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Seven coefficients, intercept first, of the log return over `horizon_s`.

    `ridge` is the penalty per sample they were fitted with.
    """

    version: int
    symbols: tuple[str, ...]
    horizon_s: float
    ridge: float
    coefficients: tuple[float, ...]
    trained_on: TrainedOn
    out_of_sample: OutOfSample


def encode_drift_model(model: DriftModel) -> bytes:
    """Return a model as the JSON text of its file: the same model, the same bytes."""
    return msgspec.json.format(msgspec.json.encode(model), indent=2) + b"\n"


def load_drift_model(path: Path | str, horizon_s: float | None = None) -> DriftModel:
    """Read and check a model; with `horizon_s`, the model must be of that horizon.

    Raises ConfigError with one sentence a problem: no such file, not a drift model, another
    version, coefficients that are not seven finite numbers, another horizon.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        problem = f"{path}: cannot be read: {error.strerror}; {_REMEDY}"
        raise ConfigError([problem]) from None
    try:
        version = msgspec.json.decode(text, type=_Versioned).version
        if version != VERSION:
            problem = f"{path}: is of version {version}, this hfengine reads {VERSION}; {_REMEDY}"
            raise ConfigError([problem])
        model = msgspec.json.decode(text, type=DriftModel)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is no drift model: {error}; {_REMEDY}"]) from None
    problems = [f"{path}: {problem}; {_REMEDY}" for problem in _problems(model, horizon_s)]
    if problems:
        raise ConfigError(problems)
    return model


_REMEDY: Final = "make one with `hfengine signals train-drift`"


class _Versioned(Struct):
    version: int


def _problems(model: DriftModel, horizon_s: float | None) -> list[str]:
    found = []
    count = len(model.coefficients)
    if count != COEFFICIENTS:
        found.append(f"holds {count} coefficients, it must be {COEFFICIENTS}, intercept first")
    if not all(map(isfinite, model.coefficients)):
        found.append("holds a coefficient that is not finite")
    if not (isfinite(model.horizon_s) and model.horizon_s > 0.0):
        found.append(f"horizon_s = {model.horizon_s:g} must be above 0")
    elif horizon_s is not None and not isclose(model.horizon_s, horizon_s):
        found.append(
            f"was trained for a horizon of {model.horizon_s:g} s and the profile's "
            f"signals.horizon_s is {horizon_s:g} s"
        )
    return found
