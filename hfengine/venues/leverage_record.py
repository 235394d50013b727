"""How setting leverage goes: how often, how long, and whether the venue kept what it agreed to."""

from collections import deque
from typing import Any, Final

SUCCESS_MIN: Final = 0.9
SET_MAX_MS: Final = 2_000.0
KEPT: Final = 1_000


class LeverageRecord:
    """Counters and timings of one account; times in ms."""

    def __init__(self) -> None:
        self.sets = 0
        self.set_failures = 0
        self.mismatches = 0
        """Readings that were not what the venue had agreed to set."""
        self.slow_sets = 0
        self.set_ms: deque[float] = deque(maxlen=KEPT)
        self._agreed: dict[str, int] = {}

    def asked(self, symbol: str, leverage: int, took_ms: float, *, agreed: bool) -> None:
        """Take one request to set a leverage."""
        self.sets += 1
        self.set_ms.append(took_ms)
        self.slow_sets += took_ms > SET_MAX_MS
        if agreed:
            self._agreed[symbol] = leverage
        else:
            self.set_failures += 1

    def agreed(self, symbol: str) -> int | None:
        """Return what a reading that begins now has to find; None where nothing is to compare."""
        return self._agreed.get(symbol)

    def read(self, symbol: str, leverage: int, agreed: int | None) -> None:
        """Take one reading; the first that began after a setting is compared with it.

        `agreed` is what was agreed when it began: one under way while the venue was still setting
        says nothing.
        """
        if agreed is not None and self._agreed.pop(symbol, None) is not None:
            self.mismatches += agreed != leverage

    @property
    def success_rate(self) -> float:
        """Share of the requests that did what they asked for, 1 when there was none."""
        if not self.sets:
            return 1.0
        return 1.0 - (self.set_failures + self.mismatches) / self.sets

    def warnings(self) -> list[str]:
        """Return what a person should look at."""
        found = []
        if self.success_rate < SUCCESS_MIN:
            found.append(
                f"only {self.success_rate:.0%} of {self.sets} leverage settings were done, "
                f"{self.mismatches} of them not kept"
            )
        if self.slow_sets:
            found.append(
                f"{self.slow_sets} of {self.sets} leverage settings took over "
                f"{SET_MAX_MS / 1e3:g} s, the slowest {max(self.set_ms) / 1e3:.1f} s"
            )
        return found

    def report(self) -> dict[str, Any]:
        """Return the figures."""
        times = sorted(self.set_ms)
        return {
            "sets": self.sets,
            "set_failures": self.set_failures,
            "mismatches": self.mismatches,
            "success_rate": round(self.success_rate, 4),
            "set_p50_ms": round(times[len(times) // 2], 1) if times else 0.0,
            "set_max_ms": round(times[-1], 1) if times else 0.0,
        }
