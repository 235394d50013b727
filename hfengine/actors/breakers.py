"""Circuit breakers: a measure against a threshold, with a cool-down and hysteresis (docs/risk.md).

CB4, which has many measures, is in `market_quality.py`.
"""

from math import inf, isfinite
from typing import ClassVar, Final

from hfengine.actors.tally import DayResult
from hfengine.oversight import BreakerChanged, BreakerName

CLEARED: Final = 0
WARNED: Final = 1
TRIPPED: Final = 2
STATES: Final = ("cleared", "warned", "tripped")
WHEN_GOOD: Final = 0
WHEN_RESUMED: Final = -1

HYSTERESIS: Final = 0.02
"""A level ends only when the measure is better than its threshold by this share of it."""
WARN_SHARE: Final = 0.8
"""Loss breakers warn at this share of their limit."""
CONFIRM_NS: Final = 1_000_000_000
"""How long one reading must stand uncontradicted to count where no second one comes."""


class Breaker:
    """One measure of the account or of one symbol; a figure that is no number is no measurement."""

    name: ClassVar[BreakerName]
    gate: str
    """What a refusal by it is called."""
    falling: ClassVar[bool] = False
    """Worse the lower the measure."""
    confirms: ClassVar[bool] = False
    """One reading beyond the threshold only warns; the next one, or a second of none, trips."""
    resumable: ClassVar[bool] = False
    """An operator may end it by its name."""

    def __init__(self, symbol: str, warn: float, trip: float, detail: str = "") -> None:
        self.symbol = symbol
        self.level = CLEARED
        self.measured = 0.0
        self.threshold = trip
        self.until_ns = WHEN_GOOD
        self.detail = detail
        self._warn = warn
        self._trip = trip
        self._suspected_ns = 0

    @property
    def tripped(self) -> bool:
        """Tell whether it has tripped and not cleared."""
        return self.level == TRIPPED

    @property
    def state(self) -> str:
        """Return cleared, warned or tripped."""
        return STATES[self.level]

    def until(self, _at_ns: int) -> int:
        """Return until when a trip holds: a time, WHEN_GOOD or WHEN_RESUMED."""
        return WHEN_GOOD

    def judge(self, at_ns: int, measured: float) -> BreakerChanged | None:
        """Take a measurement; return what it changed, if anything."""
        if not isfinite(measured):
            return None
        self.measured = measured
        if self.level == TRIPPED and self.until_ns != WHEN_GOOD:
            return None
        level = self._level_of(measured)
        if level == TRIPPED and self.confirms and self.level != TRIPPED:
            if not self._suspected_ns:
                self._suspected_ns = at_ns
                level = WARNED
        elif level != TRIPPED:
            self._suspected_ns = 0
        return self._move(level, at_ns)

    def look(self, at_ns: int) -> BreakerChanged | None:
        """Let time pass: end what lasts until now, confirm what nothing contradicted."""
        if self.level == TRIPPED:
            if self.until_ns > 0 and at_ns >= self.until_ns:
                return self._clear(at_ns)
        elif self._suspected_ns and at_ns - self._suspected_ns >= CONFIRM_NS:
            return self._move(TRIPPED, at_ns)
        return None

    def resume(self, at_ns: int) -> BreakerChanged | None:
        """End a trip that time or an operator ends."""
        if self.level == TRIPPED and self.until_ns != WHEN_GOOD:
            return self._clear(at_ns)
        return None

    def restore(self, measured: float, until_ns: int) -> None:
        """Be tripped again as before a restart."""
        self.level, self.measured, self.until_ns = TRIPPED, measured, until_ns
        self.threshold = self._trip

    def _clear(self, at_ns: int) -> BreakerChanged | None:
        self._suspected_ns = 0
        return self._move(CLEARED, at_ns)

    def _level_of(self, measured: float) -> int:
        sign = -1.0 if self.falling else 1.0
        level = CLEARED
        for each, threshold in ((WARNED, self._warn), (TRIPPED, self._trip)):
            if not isfinite(threshold):
                continue
            margin = HYSTERESIS * abs(threshold) if self.level >= each else 0.0
            over = sign * (measured - threshold) + margin
            # leaving a level takes more than touching its threshold, entering it does not
            if over > 0.0 or (over == 0.0 and not margin):
                level = each
        return level

    def _move(self, level: int, at_ns: int) -> BreakerChanged | None:
        if level == self.level:
            return None
        self.level = level
        if level == TRIPPED:
            self._suspected_ns = 0
        self.until_ns = self.until(at_ns) if level == TRIPPED else WHEN_GOOD
        self.threshold = self._warn if level == WARNED else self._trip
        return self.told(at_ns)

    def told(self, at_ns: int) -> BreakerChanged:
        """Return its state as a message."""
        return BreakerChanged(
            self.name,
            self.symbol,
            at_ns,
            STATES[self.level],
            self.measured,
            self.threshold,
            self.until_ns,
            self.detail,
        )


class DailyLoss(Breaker):
    """CB1: realised loss of the UTC day, fees and funding included; holds until the next day.

    A gain of the same day does not end it.
    """

    name = "daily_loss"
    gate = "daily_loss_usdt"

    def __init__(self, symbol: str, limit_usdt: float) -> None:
        super().__init__(symbol, WARN_SHARE * limit_usdt, limit_usdt)
        if symbol:
            self.gate = "symbol_loss_usdt"

    def until(self, at_ns: int) -> int:
        """Return the next UTC midnight."""
        return (at_ns // DayResult.DAY_NS + 1) * DayResult.DAY_NS


class Drawdown(Breaker):
    """CB2: fall of equity from its peak in the window, as a fraction of it; until resumed."""

    name = "drawdown"
    gate = "drawdown"
    confirms = True
    resumable = True

    def __init__(self, limit: float) -> None:
        off = limit >= 1.0
        super().__init__("", inf if off else WARN_SHARE * limit, inf if off else limit)

    def until(self, _at_ns: int) -> int:
        """Wait for whoever resumes it."""
        return WHEN_RESUMED


class LosingStreak(Breaker):
    """CB3: positions closed at a net loss one after the other; holds for a cool-down."""

    name = "losing_streak"
    gate = "losing_streak"
    resumable = True

    def __init__(self, count_max: int, cooldown_ns: int) -> None:
        limit = float(count_max) if count_max > 0 else inf
        super().__init__("", limit - 1.0 if limit > 1.0 else inf, limit)
        self._cooldown_ns = cooldown_ns

    def until(self, at_ns: int) -> int:
        """Return the end of the cool-down."""
        return at_ns + max(1, self._cooldown_ns)


class MarginUtilisation(Breaker):
    """CB5: share of one venue's equity in use as margin; from `warn` on no entries there.

    At `close` the guardian closes the largest position.
    """

    name = "margin_utilisation"
    gate = "margin_utilisation"

    def __init__(self, venue: str, warn: float, close: float) -> None:
        super().__init__("", warn, close, f"venue {venue}" if venue else "")


class LiquidationDistance(Breaker):
    """CB6: share of the way from entry to liquidation that is left; the guardian closes.

    One mark is enough, a bad one included: waiting for a second may cost the position.
    """

    name = "liquidation_distance"
    gate = "liquidation_distance"
    falling = True

    def __init__(self, symbol: str, warn: float, close: float) -> None:
        # as the guardian does it: strictly below closes
        super().__init__(symbol, max(warn, close), close)
        self.measured = 1.0
