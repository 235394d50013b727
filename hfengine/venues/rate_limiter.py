"""Our own rate limiter: budgets corrected by the venue's headers, a share kept for protection.

Every budget is a sliding window, so that two of the venue's windows never see more than one of
ours allows. What the headers say is used up counts when it is more than we know of, until the
venue counts anew.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from hfengine.clock import Clock
from hfengine.errors import VenueUnavailable
from hfengine.runtime.waiting import wait_s
from hfengine.venues.quirks import Budget

ANY: Final = "*"
"""The group of budgets that every call counts in, once each."""

BAN_S: Final = 600.0
"""Bybit's ban after 403: 10 minutes (VENUES 3.1); used where no Retry-After says better."""

LIMITED_S: Final = 1.0
"""Pause after a refusal for rate without any header."""

RETRY_AFTER_MAX_S: Final = 3 * 24 * 3600.0
WAKE_MARGIN_S: Final = 1e-3
SOCKET_ANSWER_S: Final = 0.1
"""How long a frame may take to the venue's counter."""

TURN_MARGIN_S: Final = 0.2
"""How much later than by the clocks a venue's count may begin anew."""

FLYING_S: Final = 0.01
"""How soon to look again when only answers under way can free a budget."""

WEIGHT: Final = "x-mbx-used-weight-"
ORDERS: Final = "x-mbx-order-count-"
UNITS_S: Final = {"S": 1.0, "M": 60.0, "H": 3600.0, "D": 86400.0}
ORDER_GROUP: Final = "order"
WEIGHT_GROUP: Final = "weight"

Banned = Callable[[str, float], None]


class _Window:
    """One budget and what was used of it within its period.

    A call counts from when it is sent until one period after its answer: the venue counted it
    somewhere in between.
    """

    def __init__(self, budget: Budget) -> None:
        self.limit = budget.calls
        self.period_s = budget.period_s
        self._reserves = budget.reserves
        self._flying = 0
        self._answered: deque[tuple[float, int]] = deque()
        self._sum = 0
        self._told = 0
        """What the venue has counted beyond what is known here, until `_told_until_s`."""
        self._told_until_s = 0.0

    def used(self, now_s: float) -> int:
        """Return what the venue may count in the period that ends now."""
        while self._answered and self._answered[0][0] + self.period_s <= now_s:
            self._sum -= self._answered.popleft()[1]
        if self._told and self._told_until_s <= now_s:
            self._told = 0
        return self._flying + self._sum + self._told

    def send(self, weight: int) -> None:
        """Use some of it."""
        self._flying += weight

    def answered(self, now_s: float, weight: int) -> None:
        """Let what was used begin to run out."""
        self._flying -= weight
        self._answered.append((now_s, weight))
        self._sum += weight

    def unsent(self, weight: int) -> None:
        """Give back what was used for nothing."""
        self._flying -= weight

    def sent(self, until_s: float, weight: int) -> None:
        """Use some of it that begins to run out at a time to come."""
        self._answered.append((until_s, weight))
        self._sum += weight

    def at_least(self, now_s: float, used: int, until_s: float) -> None:
        """Believe the venue when it has counted more, until its count begins anew."""
        missing = used - self.used(now_s)
        if missing > 0:
            self._told += missing
            self._told_until_s = max(self._told_until_s, until_s)

    def wait_s(self, now_s: float, weight: int, share: float) -> float:
        """Return how long until `weight` more may fit into a share of the budget, 0: at once."""
        usable = self.limit * share if self._reserves else self.limit
        # the last call a share allows is always one: a limit of 1 with a reserve is still a limit
        excess = self.used(now_s) + weight - max(int(usable), weight)
        if excess <= 0:
            return 0.0
        ends = [(at_s + self.period_s, spent) for at_s, spent in self._answered]
        if self._told:
            ends.append((self._told_until_s, self._told))
            ends.sort()
        for end_s, spent in ends:
            excess -= spent
            if excess <= 0:
                return end_s - now_s
        # only answers can free it
        return FLYING_S


class RateLimiter:
    """Lets calls through as the venue's budgets allow; waits rather than failing."""

    def __init__(
        self,
        budgets: Sequence[Budget],
        *,
        reserve: float,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        banned: Banned,
    ) -> None:
        """Take the budgets; `reserve` (0..1) of each is kept for urgent calls.

        `banned` hears why and for how many seconds nothing may be sent at all.
        """
        self._windows: dict[str, list[_Window]] = {}
        for budget in budgets:
            self._windows.setdefault(budget.group, []).append(_Window(budget))
        self._share = 1.0 - reserve
        self._loop = loop
        self._clock = clock
        self._banned = banned
        self._closed_until_s: dict[str, float] = {}
        self._urgent_waiting: Counter[str] = Counter()
        self.waits = 0
        """How many calls had to wait."""
        self.clock_offset_ms = 0
        """The venue's time minus ours."""

    async def take(
        self, group: str, weight: int = 1, *, urgent: bool = False, patience_s: float
    ) -> None:
        """Wait until a call may be sent, and count it until `done`; urgent ones use the reserve.

        Raises VenueUnavailable when that would take longer than `patience_s`.
        """
        loop = self._loop
        deadline_s = loop.time() + patience_s
        waited = False
        self._urgent_waiting[group] += urgent
        try:
            while True:
                now_s = loop.time()
                wait_s = self._wait_s(now_s, group, weight, urgent=urgent)
                if wait_s <= 0.0:
                    self._spend(group, weight)
                    return
                if now_s + wait_s > deadline_s:
                    msg = f"rate_limit: {group} has no budget for another {wait_s:.1f} s"
                    raise VenueUnavailable(msg)
                self.waits += not waited
                waited = True
                await self._pause(wait_s + WAKE_MARGIN_S)
        finally:
            self._urgent_waiting[group] -= urgent

    def try_send(self, group: str, *, urgent: bool) -> bool:
        """Count one call that leaves at once, if it may: an order over a socket; no `done` is due.

        The hot path's: it is taken as answered a moment from now.
        """
        now_s = self._loop.time()
        if self._closed_until_s and self._wait_s(now_s, group, 1, urgent=urgent) > 0.0:
            return False
        share = 1.0 if urgent else self._share
        windows = (*self._windows.get(group, ()), *self._windows.get(ANY, ()))
        for window in windows:
            if window.wait_s(now_s, 1, share) > 0.0:
                return False
        for window in windows:
            window.sent(now_s + SOCKET_ANSWER_S, 1)
        return True

    def done(self, group: str, weight: int = 1) -> None:
        """Take that a call was answered, or given up."""
        now_s = self._loop.time()
        for window in self._windows.get(group, ()):
            window.answered(now_s, weight)
        for window in self._windows.get(ANY, ()):
            window.answered(now_s, 1)

    def never_sent(self, group: str, weight: int = 1) -> None:
        """Take, instead of `done`, that a call never left: no connection could be made."""
        for window in self._windows.get(group, ()):
            window.unsent(weight)
        for window in self._windows.get(ANY, ()):
            window.unsent(1)

    def _wait_s(self, now_s: float, group: str, weight: int, *, urgent: bool) -> float:
        share = 1.0 if urgent else self._share
        closed_s = max(self._closed_until_s.get(name, 0.0) for name in (group, ANY))
        waits = [closed_s - now_s]
        waits += [w.wait_s(now_s, weight, share) for w in self._windows.get(group, ())]
        waits += [w.wait_s(now_s, 1, share) for w in self._windows.get(ANY, ())]
        longest_s = max(waits)
        if longest_s <= 0.0 and not urgent and self._urgent_waiting[group]:
            # an urgent call waits for the very same budget: it goes first
            return WAKE_MARGIN_S
        return longest_s

    def _spend(self, group: str, weight: int) -> None:
        for window in self._windows.get(group, ()):
            window.send(weight)
        for window in self._windows.get(ANY, ()):
            window.send(1)

    async def _pause(self, seconds: float) -> None:
        await wait_s(self._loop, seconds)

    # what the venue says

    def heard(self, group: str, status: int, headers: Mapping[str, str]) -> None:
        """Take an answer's status and headers."""
        told = {name.lower(): text for name, text in headers.items()}
        now_s = self._loop.time()
        self._bybit(now_s, group, told)
        self._binance(now_s, told)
        if status in (403, 418):
            self._ban(status, told.get("retry-after"))
        elif status == 429:
            pause_s = _seconds(told.get("retry-after")) or LIMITED_S
            self.close(ANY, pause_s)

    def refused(self, group: str) -> None:
        """Take a refusal for rate: the group is closed for a while, unless a header said how long.

        Does not shorten what is closed already.
        """
        if self._closed_until_s.get(group, 0.0) <= self._loop.time():
            self.close(group, LIMITED_S)

    def close(self, group: str, seconds: float) -> None:
        """Send nothing of a group for so long."""
        until_s = self._loop.time() + seconds
        self._closed_until_s[group] = max(self._closed_until_s.get(group, 0.0), until_s)

    def _ban(self, status: int, retry_after: str | None) -> None:
        ban_s = _seconds(retry_after) or BAN_S
        self.close(ANY, ban_s)
        self._banned(f"HTTP {status}: the venue takes nothing from this address", ban_s)

    def _bybit(self, now_s: float, group: str, told: Mapping[str, str]) -> None:
        left = _whole(told.get("x-bapi-limit-status"))
        limit = _whole(told.get("x-bapi-limit"))
        windows = self._windows.get(group, ())
        if left is None or limit is None or limit <= 0:
            return
        for window in windows:
            window.limit = limit
            window.at_least(now_s, limit - left, now_s + window.period_s)
        if left == 0:
            reset_ms = _whole(told.get("x-bapi-limit-reset-timestamp")) or 0
            now_ms = self._clock.now_ns() // 1_000_000
            # a time stamp far ahead is a clock that disagrees, not a day's ban
            self.close(group, min(max((reset_ms - now_ms) / 1e3, 0.0), LIMITED_S))

    def _binance(self, now_s: float, told: Mapping[str, str]) -> None:
        for name, text in told.items():
            for prefix, group in ((WEIGHT, WEIGHT_GROUP), (ORDERS, ORDER_GROUP)):
                used = _whole(text)
                if not name.startswith(prefix) or used is None:
                    continue
                period_s = _period_s(name.removeprefix(prefix))
                for window in self._windows.get(group, ()):
                    if window.period_s == period_s:
                        window.at_least(now_s, used, self._turn_s(now_s, period_s))

    def _turn_s(self, now_s: float, period_s: float) -> float:
        """Return when the venue's count begins anew: at every full period of its clock.

        What others used, an earlier run too, is forgotten then; the next answer says it again if
        that was wrong.
        """
        venue_s = self._clock.now_ns() / 1e9 + self.clock_offset_ms / 1e3
        return now_s + period_s - venue_s % period_s + TURN_MARGIN_S

    def report(self) -> dict[str, Any]:
        """Return each budget's use, by group and period."""
        now_s = self._loop.time()
        figures: dict[str, Any] = {
            f"{group}/{window.period_s:g}s": f"{window.used(now_s)}/{window.limit}"
            for group, windows in self._windows.items()
            for window in windows
        }
        figures["waits"] = self.waits
        closed_s = self._closed_until_s.get(ANY, 0.0) - now_s
        if closed_s > 0:
            figures["closed_s"] = round(closed_s, 1)
        return figures


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdecimal() else None


def _seconds(text: str | None) -> float:
    whole = _whole(text)
    return min(float(whole), RETRY_AFTER_MAX_S) if whole is not None else 0.0


def _period_s(text: str) -> float:
    number, unit = text[:-1], text[-1:].upper()
    return int(number) * UNITS_S[unit] if number.isdecimal() and unit in UNITS_S else 0.0
