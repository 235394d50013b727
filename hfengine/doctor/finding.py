"""One check's outcome."""

from typing import Literal

from msgspec import Struct

Status = Literal["ok", "warn", "fail"]


class Finding(Struct, frozen=True):
    """What one check found; a warning can be traded with, a failure cannot."""

    name: str
    status: Status
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Finding:
    """Return a check that holds."""
    return Finding(name, "ok", found)


def warn(name: str, found: str, advice: str) -> Finding:
    """Return something to know about before trading."""
    return Finding(name, "warn", found, advice)


def fail(name: str, found: str, advice: str) -> Finding:
    """Return something that stops trading or makes it unsafe."""
    return Finding(name, "fail", found, advice)
