"""CB4: is one symbol's market fit to enter? Stale, wide, bursting, slow, skewed, out of sync."""

from math import isfinite, log, sqrt
from typing import Final

from hfengine.actors.breakers import CLEARED, TRIPPED, Breaker
from hfengine.messages import MarkTick
from hfengine.oversight import BreakerChanged, MarketQuality, VenueHealth
from hfengine.settings import Settings

WARMUP_MOVES: Final = 30
"""Moves of the mark before any of them counts as unusual."""
MEMORY: Final = 0.97
"""Weight the variance keeps at each move of about a second."""
MOVE_MIN: Final = 5e-5
"""Least usual move in a second: a mark that stood still makes the next tick no burst."""
GRID_S: Final = 1.0
CONFIRMATIONS: Final = 2
"""Bad readings in a row that count; one may be a bad tick."""


class MarkMoves:
    """The mark's moves against their usual standard deviation, one bad tick left out."""

    def __init__(self, burst: float, gap_max_ns: int) -> None:
        self._burst = burst
        self._gap_max_ns = gap_max_ns
        self._mark = 0.0
        self._at_ns = 0
        self._variance = 0.0
        self._moves = 0
        self._suspected = False

    def measure(self, at_ns: int, mark: float) -> float | None:
        """Return the move in standard deviations; None where there is nothing to compare.

        A move beyond the limit counts when the next mark confirms it. After a gap the first mark
        begins anew.
        """
        passed_ns = at_ns - self._at_ns
        if self._mark <= 0.0 or passed_ns < 0 or passed_ns > self._gap_max_ns:
            self._begin(at_ns, mark)
            return None
        seconds = max(passed_ns / 1e9, GRID_S)
        move = log(mark / self._mark)
        usual = sqrt(max(self._variance, MOVE_MIN * MOVE_MIN) * seconds)
        if self._moves < WARMUP_MOVES:
            self._learn(at_ns, mark, move * move / seconds)
            return None
        deviations = abs(move) / usual
        if deviations > self._burst:
            if not self._suspected:
                self._suspected = True
                return None
            self._learn(at_ns, mark, (self._burst * usual) ** 2 / seconds, at_once=True)
        else:
            self._learn(at_ns, mark, move * move / seconds)
        self._suspected = False
        return deviations

    def _begin(self, at_ns: int, mark: float) -> None:
        self._mark, self._at_ns, self._suspected = mark, at_ns, False

    def _learn(self, at_ns: int, mark: float, square: float, *, at_once: bool = False) -> None:
        if at_ns - self._at_ns < GRID_S * 1e9 and not at_once:
            return
        kept = MEMORY if self._moves >= WARMUP_MOVES else self._moves / (self._moves + 1.0)
        self._variance = kept * self._variance + (1.0 - kept) * square
        self._moves += 1
        self._begin(at_ns, mark)


class MarketWatch(Breaker):
    """CB4 of one symbol: trips by the first bad measure, clears after a time of good ones.

    What was never heard is not judged, so that a start is no alarm; what was heard and falls silent
    grows stale. A figure that is no number is passed over, and grows stale too.
    """

    name = "market_quality"
    gate = "market_quality"

    def __init__(self, symbol: str, settings: Settings) -> None:
        limits = settings.risk
        super().__init__(symbol, 0.0, 0.0)
        self._limits = limits
        self._offset_max_ms = settings.venue.clock_offset_max_ms
        self._cooldown_ns = int(limits.quality_cooldown_s * 1e9)
        self._silence_max_s = limits.mark_age_max_s
        self._moves = MarkMoves(limits.volatility_burst, int(limits.mark_age_max_s * 1e9))
        self._bad: dict[str, tuple[float, float]] = {}
        self._suspects: dict[str, int] = {}
        self._good_ns = 0
        """Since when every measure has been good; 0 while one is bad."""
        self._mark_ns = 0
        self._quality_ns = 0
        self._ever_synced = False

    def quality(self, quality: MarketQuality, at_ns: int) -> BreakerChanged | None:
        """Take in spread and age of the book."""
        self._quality_ns = at_ns
        self._bad.pop("quote_age_s", None)
        self._note("spread_bps", quality.spread_bps, self._limits.spread_max_bps)
        self._note("data_age_ms", abs(quality.age_ms), self._limits.data_age_max_ms)
        return self._weigh(at_ns)

    def mark(self, mark: MarkTick, at_ns: int) -> BreakerChanged | None:
        """Take in a mark: it is fresh, and its move usual or not."""
        if not (isfinite(mark.mark) and mark.mark > 0.0):
            return None
        self._mark_ns = at_ns
        known = self._bad.pop("mark_age_s", None) is not None
        deviations = self._moves.measure(at_ns, mark.mark)
        if deviations is not None:
            # the moves do their own confirming
            known |= self._note("volatility", deviations, self._limits.volatility_burst, 1)
        return self._weigh(at_ns) if known or self.level == TRIPPED else None

    def health(self, health: VenueHealth, at_ns: int) -> BreakerChanged | None:
        """Take in the venue's answers and clock."""
        self._note("answer_ms", health.answer_ms, self._limits.answer_max_ms)
        self._note("clock_offset_ms", abs(health.clock_offset_ms), self._offset_max_ms)
        self._note("disconnected", 0.0 if health.connected else 1.0, 0.5, 1)
        return self._weigh(at_ns)

    def sync(self, *, synced: bool, at_ns: int) -> BreakerChanged | None:
        """Take in whether the book can be trusted; before it first could, that is no alarm."""
        if synced or self._ever_synced:
            self._note("book_desync", 0.0 if synced else 1.0, 0.5, 1)
        self._ever_synced |= synced
        return self._weigh(at_ns)

    def look(self, at_ns: int) -> BreakerChanged | None:
        """Let time pass: what is silent grows stale, what has been good for long enough clears."""
        for fault, heard_ns in (("mark_age_s", self._mark_ns), ("quote_age_s", self._quality_ns)):
            if heard_ns:
                self._note(fault, (at_ns - heard_ns) / 1e9, self._silence_max_s, 1)
        return self._weigh(at_ns)

    def resume(self, _at_ns: int) -> BreakerChanged | None:
        """Stay: only a good market ends it."""
        return None

    def _note(
        self, fault: str, measured: float, threshold: float, confirmations: int = CONFIRMATIONS
    ) -> bool:
        """Take in one measure; return whether it is, or was, bad."""
        if not isfinite(measured):
            return False
        if measured <= threshold:
            self._suspects.pop(fault, None)
            return self._bad.pop(fault, None) is not None
        seen = self._suspects[fault] = self._suspects.get(fault, 0) + 1
        if seen >= confirmations:
            self._bad[fault] = (measured, threshold)
        return True

    def _weigh(self, at_ns: int) -> BreakerChanged | None:
        if self._bad:
            self._good_ns = 0
            fault = next(iter(self._bad))
            self.measured, limit = self._bad[fault]
            if self.level == TRIPPED:
                self.threshold, self.detail = limit, fault
                return None
            return self._trip_by(fault, limit, at_ns)
        if self.level != TRIPPED:
            return None
        if not self._good_ns:
            self._good_ns = at_ns
        if at_ns - self._good_ns < self._cooldown_ns:
            return None
        limit = self.threshold
        changed = self._move(CLEARED, at_ns)
        self.threshold = limit
        return changed

    def _trip_by(self, fault: str, limit: float, at_ns: int) -> BreakerChanged:
        self.level, self.threshold, self.detail = TRIPPED, limit, fault
        return self.told(at_ns)
