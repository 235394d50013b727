"""Durations and speeds as people type them."""

import re
from typing import Final

from hfengine.errors import ConfigError

DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
DURATION_MAX_S: Final = 366 * 86_400.0
SPEED: Final = re.compile(r"(\d+(?:\.\d+)?)x")


def parse_duration_s(text: str) -> float:
    """Read "30s", "500ms", "2m", "1h" or plain seconds; raises ConfigError."""
    match = DURATION.fullmatch(text)
    if match is None or float(match[1]) <= 0.0:
        problem = f"--duration {text!r} is no duration: use for example 500ms, 30s, 2m or 1h"
        raise ConfigError([problem])
    seconds = float(match[1]) * UNITS_S[match[2]]
    if seconds > DURATION_MAX_S:
        raise ConfigError([f"--duration {text!r} is longer than a year: leave it out instead"])
    return seconds


def parse_speed(text: str) -> float | None:
    """Read "max" (None), "1x", "10x", "0.5x"; raises ConfigError."""
    if text == "max":
        return None
    match = SPEED.fullmatch(text)
    if match is None or float(match[1]) <= 0.0:
        raise ConfigError([f"--speed {text!r} is no speed: use max, 1x or 10x"])
    return float(match[1])
