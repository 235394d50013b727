"""How far equity has fallen from its peak, both from one window and both free of deposits.

Money that goes in or out is what the wallet changed by beyond the fills and funding heard. Account
events race each other, so a difference counts as a transfer only when it has stood for SETTLE_NS;
meanwhile the milder of the two readings holds and no peak is taken.
"""

from collections import deque
from math import isfinite
from typing import Final

from hfengine.limits import EQUITY_SAMPLES_MAX

SETTLE_NS: Final = 5_000_000_000
ROUNDING: Final = 1e-9
"""Share of the wallet below which a difference is the arithmetic's."""
CENT: Final = 0.01
MINUTE_NS: Final = 60_000_000_000
"""Grain of the peak's time in the memory, which would change with every sample otherwise."""


class EquityWindow:
    """Samples of equity over all venues within a sliding window, in USDT."""

    def __init__(self, window_s: float) -> None:
        self._window_ns = int(window_s * 1e9)
        self._part_ns = max(1, self._window_ns // EQUITY_SAMPLES_MAX)
        self._shift_usdt = 0.0
        """What came in from outside; samples are kept without it."""
        self._samples: deque[tuple[int, float]] = deque()
        """(at_ns, equity less shift), falling: the first is the peak."""
        self._equity: dict[str, float] = {}
        self._wallet: dict[str, float] = {}
        self._expected: dict[str, float] = {}
        """Venue -> the wallet the fills and funding heard explain."""
        self._missing_since: dict[str, tuple[float, int]] = {}
        """Venue -> an unexplained difference, and since when it has stood."""
        self._awaited: set[str] = set()
        """Venues remembered and not heard since the restart."""
        self.drawdown = 0.0

    @property
    def peak_usdt(self) -> float:
        """Return the peak in today's money, 0 before the first sample."""
        return self._samples[0][1] + self._shift_usdt if self._samples else 0.0

    @property
    def equity_usdt(self) -> float:
        """Return the newest equity over all venues."""
        return sum(self._equity.values())

    def explain(self, venue: str, at_ns: int, change_usdt: float) -> None:
        """Take in what a fill or funding changes the wallet by, before or after the wallet."""
        if venue in self._expected and isfinite(change_usdt):
            self._hold(at_ns)
            self._expected[venue] += change_usdt
            self._compare(venue, at_ns)
            self._measure(at_ns)

    def sample(self, venue: str, at_ns: int, wallet_usdt: float, equity_usdt: float) -> bool:
        """Take in one venue's account; return whether the drawdown is known now.

        The first account of a venue comes in as a deposit does. Figures that are no numbers are
        passed over.
        """
        if not (isfinite(wallet_usdt) and isfinite(equity_usdt)):
            return False
        if venue not in self._expected:
            self._expected[venue] = wallet_usdt
            self._shift_usdt += equity_usdt
        else:
            self._hold(at_ns)
        self._awaited.discard(venue)
        self._wallet[venue], self._equity[venue] = wallet_usdt, equity_usdt
        self._compare(venue, at_ns)
        self._hold(at_ns)
        return self._measure(at_ns)

    def look(self, at_ns: int) -> bool:
        """Let time pass: differences that have stood count as transfers."""
        settled = False
        for venue, (difference, since_ns) in list(self._missing_since.items()):
            if at_ns - since_ns >= SETTLE_NS:
                self._shift_usdt += difference
                self._expected[venue] = self._wallet[venue]
                del self._missing_since[venue]
                settled = True
        if settled:
            self._hold(at_ns)
        return self._measure(at_ns)

    def begin_anew(self, at_ns: int) -> None:
        """Forget the peak: what is there now is the new one."""
        self._samples.clear()
        self._hold(at_ns)
        self._measure(at_ns)

    def memory(self) -> tuple[float, int, dict[str, float]]:
        """Return the peak in today's money, its minute, and the wallets expected."""
        at_ns = self._samples[0][0] // MINUTE_NS * MINUTE_NS if self._samples else 0
        return round(self.peak_usdt, 2), at_ns, dict(self._expected)

    def restore(self, peak_usdt: float, at_ns: int, expected: dict[str, float]) -> None:
        """Go on from a memory; nothing is judged until every venue of it has been heard."""
        numbers = (peak_usdt, *expected.values())
        if not expected or peak_usdt <= 0.0 or not all(isfinite(one) for one in numbers):
            return
        self._samples.append((at_ns, peak_usdt))
        self._expected.update(expected)
        self._awaited = set(expected)

    def _compare(self, venue: str, at_ns: int) -> None:
        wallet = self._wallet.get(venue)
        if wallet is None:
            return
        difference = wallet - self._expected[venue]
        known = self._missing_since.get(venue)
        if abs(difference) <= ROUNDING * max(1.0, abs(wallet)):
            self._missing_since.pop(venue, None)
            self._expected[venue] = wallet
        elif known is None or abs(known[0] - difference) > ROUNDING * max(1.0, abs(wallet)):
            self._missing_since[venue] = (difference, at_ns)

    def _measure(self, at_ns: int) -> bool:
        if self._awaited or not self._equity:
            return False
        samples, now = self._samples, self.equity_usdt - self._shift_usdt
        while samples and samples[0][0] < at_ns - self._window_ns:
            samples.popleft()
        # less in the wallet: a withdrawal, or a loss whose fill is not heard yet, as is known soon
        now -= sum(min(0.0, difference) for difference, _ in self._missing_since.values())
        peak_usdt = self.peak_usdt
        fall = samples[0][1] - now if samples else 0.0
        self.drawdown = max(0.0, fall / peak_usdt) if peak_usdt > CENT else 0.0
        return True

    def _hold(self, at_ns: int) -> None:
        """Take in the equity last heard: it holds until now. Not while it is in doubt.

        Only what can still become the peak when what is before it has left is kept.
        """
        if not self._equity or self._missing_since or self._awaited:
            return
        samples, now = self._samples, self.equity_usdt - self._shift_usdt
        while samples and samples[-1][1] <= now:
            samples.pop()
        if not samples or at_ns - samples[-1][0] >= self._part_ns:
            samples.append((at_ns, now))
