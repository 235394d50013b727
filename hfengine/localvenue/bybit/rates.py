"""Rate limits: so many requests per second, user and endpoint; so many per five seconds and IP."""

from collections import deque
from typing import Final

from hfengine.localvenue.bybit.errors import TOO_MANY_VISITS, Refused

ORDER_GROUPS: Final = (
    "order/create",
    "order/amend",
    "order/cancel",
    "order/cancel-all",
    "order/create-batch",
    "order/amend-batch",
    "order/cancel-batch",
)
PER_SECOND: Final[dict[str, int]] = {
    **dict.fromkeys(ORDER_GROUPS, 10),
    "position/set-leverage": 10,
    "position/switch-mode": 10,
    "position/trading-stop": 10,
    "account/set-margin-mode": 5,
    "account/fee-rate": 10,
    "user/query-api": 10,
    "asset/coin/query-info": 5,
}
PER_SECOND_ELSE: Final = 50
"""Reads: positions, open orders, history, executions, wallet, account."""

IP_REQUESTS_MAX: Final = 600
IP_SPAN_MS: Final = 5_000
IP_BAN_MS: Final = 600_000


class Rates:
    """What each user and each address used of its limits, on rolling windows."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], deque[int]] = {}
        self._seen: dict[str, deque[int]] = {}
        self._banned_until_ms: dict[str, int] = {}
        self._limits = dict(PER_SECOND)
        self._ip_requests_max = IP_REQUESTS_MAX

    def set_ip_limit(self, requests: int) -> None:
        """Let an address send so many requests in five seconds."""
        self._ip_requests_max = requests

    def set_order_rate(self, per_second: int) -> None:
        """Give every user another limit on order requests, as a higher tier has."""
        self._limits.update(dict.fromkeys(ORDER_GROUPS, per_second))

    def spend(
        self, account: str, endpoint: str, now_ms: int, *, count: int = 1, limited: bool = False
    ) -> dict[str, str]:
        """Use up `count` requests and return the headers that say what is left.

        Raises Refused 10006 with those headers when that is more than is left, or if `limited`.
        """
        limit = self._limits.get(endpoint, PER_SECOND_ELSE)
        used = self._used.setdefault((account, endpoint), deque())
        while used and used[0] <= now_ms - 1000:
            used.popleft()
        over = limited or len(used) + count > limit
        if not over:
            used.extend([now_ms] * count)
        reset_ms = now_ms
        if over:
            reset_ms = used[0] + 1000 if used else now_ms + 1000
        headers = {
            "X-Bapi-Limit": str(limit),
            "X-Bapi-Limit-Status": "0" if limited else str(limit - len(used)),
            "X-Bapi-Limit-Reset-Timestamp": str(reset_ms),
        }
        if over:
            message = "Too many visits. Exceeded the API Rate Limit."
            raise Refused(TOO_MANY_VISITS, message, headers=headers)
        return headers

    def is_banned(self, remote: str, now_ms: int) -> bool:
        """Note a request from an address and tell whether the address is banned."""
        if now_ms < self._banned_until_ms.get(remote, 0):
            return True
        seen = self._seen.setdefault(remote, deque())
        while seen and seen[0] <= now_ms - IP_SPAN_MS:
            seen.popleft()
        seen.append(now_ms)
        if len(seen) <= self._ip_requests_max:
            return False
        seen.clear()
        self._banned_until_ms[remote] = now_ms + IP_BAN_MS
        return True
