"""True range and volatility in plain Python, as the engine first had them."""

from math import exp, sqrt


class TrueRange:
    """Average true range in price units over `bars` bars of `bar_ns`, built from trades.

    Wilder's recursion: atr += (tr - atr) / bars; a bar without trades adds none.
    """

    __slots__ = ("_bar_ns", "_bars", "_close", "_high", "_low", "_open_ns", "atr", "count")

    def __init__(self, bar_s: float, bars: int) -> None:
        self._bar_ns = int(bar_s * 1e9)
        self._bars = bars
        self._open_ns = 0
        self._high = self._low = self._close = 0.0
        self.atr = 0.0
        self.count = 0

    @property
    def ready(self) -> bool:
        """Tell whether a full window of bars has closed."""
        return self.count >= self._bars

    def update(self, at_ns: int, price: float) -> None:
        """Take one trade price."""
        if at_ns >= self._open_ns + self._bar_ns:
            if self._open_ns:
                self._close_bar()
            self._open_ns = at_ns - at_ns % self._bar_ns
            # the true range begins at the previous close
            self._high = max(price, self._close) if self._close else price
            self._low = min(price, self._close) if self._close else price
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._close = price

    def _close_bar(self) -> None:
        true_range = self._high - self._low
        self.count += 1
        weight = 1.0 / min(self.count, self._bars)
        self.atr += weight * (true_range - self.atr)


class Volatility:
    """Exponentially weighted standard deviation of the log mid per square root of a second."""

    __slots__ = ("_at_ns", "_half_life_s", "_mid", "_variance", "_weight")

    SAMPLE_NS = 250_000_000

    def __init__(self, half_life_s: float = 60.0) -> None:
        self._half_life_s = half_life_s
        self._at_ns = 0
        self._mid = 0.0
        self._variance = 0.0
        self._weight = 0.0

    def update(self, at_ns: int, mid: float) -> None:
        """Take a mid price; sampled at most four times a second against bid-ask bounce."""
        dt_ns = at_ns - self._at_ns
        if dt_ns < self.SAMPLE_NS:
            return
        if self._at_ns:
            dt_s = dt_ns / 1e9
            change = (mid - self._mid) / self._mid
            keep = exp(-0.6931471805599453 * dt_s / self._half_life_s)
            self._variance = keep * self._variance + (1.0 - keep) * change * change / dt_s
            self._weight = keep * self._weight + (1.0 - keep)
        self._at_ns = at_ns
        self._mid = mid

    @property
    def sigma(self) -> float:
        """Relative standard deviation per root second; 0 before the second sample."""
        return sqrt(self._variance / self._weight) if self._weight > 0.0 else 0.0
