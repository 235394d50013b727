"""Which halts a resume ends: one rule for everybody who keeps them."""

from collections.abc import Iterable
from typing import Final

ALL: Final = "all"
"""The source of a resume that is meant for every halt."""

LASTING: Final = frozenset({"journal", "lock"})
"""Not resumed while the process lives: its journal has a hole, another engine has its account."""


def ended_by(source: str, halts: Iterable[str]) -> set[str]:
    """Return which of the halts in force, by source, `Resume(source)` ends."""
    return {halt for halt in halts if source in (ALL, halt)} - LASTING
