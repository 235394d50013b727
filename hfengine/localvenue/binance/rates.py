"""What Binance counts: request weight by address and orders by account, and what too much costs."""

from collections.abc import Callable
from typing import Final

from hfengine.localvenue.binance.errors import BinanceError
from hfengine.localvenue.binance.wire import Row

WEIGHT_MAX: Final = 2400
"""Weight of one address in a minute."""
ORDERS_10S_MAX: Final = 300
ORDERS_1M_MAX: Final = 1200
STUBBORN_MAX: Final = 20
"""Refused requests within a minute after which the address is banned."""
BAN_MS: Final = 120_000
MINUTE_MS: Final = 60_000


class _Window:
    """A count that starts anew with every interval of the clock."""

    __slots__ = ("count", "interval_ms", "start_ms")

    def __init__(self, interval_ms: int) -> None:
        self.interval_ms = interval_ms
        self.start_ms = 0
        self.count = 0

    def at(self, now_ms: int) -> int:
        """Return the count of the interval that holds `now_ms`."""
        start_ms = now_ms - now_ms % self.interval_ms
        if start_ms != self.start_ms:
            self.start_ms, self.count = start_ms, 0
        return self.count

    def left_s(self, now_ms: int) -> int:
        """Return the seconds until the next interval, at least 1."""
        return max(1, -(-(self.interval_ms - now_ms % self.interval_ms) // 1000))


class Rates:
    """The limits of every address and account, by the venue's clock."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.weight_max = WEIGHT_MAX
        self.orders_10s_max = ORDERS_10S_MAX
        self.orders_1m_max = ORDERS_1M_MAX
        self._weights: dict[str, _Window] = {}
        self._refused: dict[str, _Window] = {}
        self._orders: dict[str, tuple[_Window, _Window]] = {}
        self._banned_until_ms: dict[str, int] = {}

    def spend(self, remote: str, weight: int) -> None:
        """Count a request; raises BinanceError 429 when it is too much and 418 when banned."""
        now_ms = self._now_ms()
        until_ms = self._banned_until_ms.get(remote, 0)
        if now_ms < until_ms:
            raise banned(remote, until_ms, now_ms)
        window = self._weights.setdefault(remote, _Window(MINUTE_MS))
        if window.at(now_ms) + weight > self.weight_max:
            refused = self._refused.setdefault(remote, _Window(MINUTE_MS))
            refused.at(now_ms)
            refused.count += 1
            if refused.count > STUBBORN_MAX:
                self.ban(remote, BAN_MS)
                raise banned(remote, now_ms + BAN_MS, now_ms)
            raise too_many(remote, self.weight_max, window.left_s(now_ms))
        window.count += weight

    def spend_orders(self, account: str, count: int) -> None:
        """Count orders of an account; raises BinanceError -1015 when there are too many."""
        now_ms = self._now_ms()
        ten, minute = self._windows(account)
        for window, most, span in (
            (ten, self.orders_10s_max, "10 SECOND"),
            (minute, self.orders_1m_max, "1 MINUTE"),
        ):
            if window.at(now_ms) + count > most:
                message = f"Too many new orders; current limit is {most} orders per {span}."
                raise BinanceError(-1015, message, 429, window.left_s(now_ms))
        ten.count += count
        minute.count += count

    def ban(self, remote: str, duration_ms: int) -> None:
        """Refuse everything of an address for a while."""
        self._banned_until_ms[remote] = self._now_ms() + duration_ms

    def weight(self, remote: str) -> int:
        """Return the weight an address has used in this minute."""
        window = self._weights.get(remote)
        return 0 if window is None else window.at(self._now_ms())

    def orders(self, account: str) -> tuple[int, int]:
        """Return the orders of an account in these ten seconds and in this minute."""
        ten, minute = self._windows(account)
        now_ms = self._now_ms()
        return ten.at(now_ms), minute.at(now_ms)

    def rows(self, remote: str, account: str = "") -> list[Row]:
        """Return `rateLimits` of a websocket answer: of orders too when an account is named."""
        weight, minute_orders, ten_orders = self.limits()
        rows = [weight | {"count": self.weight(remote)}]
        if account:
            ten, minute = self.orders(account)
            rows = [ten_orders | {"count": ten}, minute_orders | {"count": minute}, *rows]
        return rows

    def limits(self) -> list[Row]:
        """Return the limits as exchangeInfo tells them: weight, orders a minute and in ten s."""
        return [
            _row("REQUEST_WEIGHT", "MINUTE", 1, self.weight_max),
            _row("ORDERS", "MINUTE", 1, self.orders_1m_max),
            _row("ORDERS", "SECOND", 10, self.orders_10s_max),
        ]

    def _windows(self, account: str) -> tuple[_Window, _Window]:
        found = self._orders.get(account)
        if found is None:
            found = self._orders[account] = _Window(10_000), _Window(MINUTE_MS)
        return found


def too_many(remote: str, most: int, retry_after_s: int) -> BinanceError:
    """Return the error of too much request weight."""
    message = (
        f"Too many requests; current limit of IP({remote}) is {most} requests per minute. "
        "Please use the websocket for live updates to avoid polling the API."
    )
    return BinanceError(-1003, message, 429, retry_after_s)


def banned(remote: str, until_ms: int, now_ms: int) -> BinanceError:
    """Return the error of a banned address."""
    message = (
        f"Way too many requests; IP({remote}) banned until {until_ms}. "
        "Please use the websocket for live updates to avoid bans."
    )
    return BinanceError(-1003, message, 418, max(1, -(-(until_ms - now_ms) // 1000)))


def _row(kind: str, interval: str, number: int, limit: int) -> Row:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
    }
