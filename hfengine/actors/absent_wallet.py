"""Money that went in or out while no engine ran: the wallet of before against the one found.

What the run before ended with is remembered; fills and funding since are told by the venue and
counted in. As account events race each other, what is left over counts once it has stood for
SETTLE_NS.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Final

from hfengine.actors.equity_window import CENT, SETTLE_NS
from hfengine.oversight import Difference

POLICY: Final = "the venue's is taken: a deposit, a withdrawal, or a trade of somebody else"


class AbsentWallet:
    """Compares each venue's wallet once after a start, in USDT."""

    def __init__(self, publish: Callable[[Difference], None]) -> None:
        self._publish = publish
        self._ours: dict[str, float] = {}
        """Venue -> what its wallet should be; of those not compared yet."""
        self._found: dict[str, float] = {}
        self._since: dict[str, tuple[float, int]] = {}
        """Venue -> a difference, and since when it has stood."""

    def restore(self, wallets: Mapping[str, float]) -> None:
        """Take the wallets that the run before ended with."""
        self._ours = {venue: usdt for venue, usdt in wallets.items() if isfinite(usdt)}

    def explain(self, venue: str, at_ns: int, change_usdt: float) -> None:
        """Count in what a fill or funding changed the wallet by."""
        if venue in self._ours and isfinite(change_usdt):
            self._ours[venue] += change_usdt
            self._compare(venue, at_ns)

    def sample(self, venue: str, at_ns: int, wallet_usdt: float) -> None:
        """Take in a wallet as the venue tells it."""
        if venue in self._ours and isfinite(wallet_usdt):
            self._found[venue] = wallet_usdt
            self._compare(venue, at_ns)

    def look(self, at_ns: int) -> None:
        """Tell the differences that have stood."""
        for venue, (_, since_ns) in list(self._since.items()):
            if at_ns - since_ns >= SETTLE_NS:
                wallet = f"{venue} wallet".strip()
                ours = f"{wallet} {self._ours[venue]:.2f} USDT when the run before ended"
                venues = f"{wallet} {self._found[venue]:.2f} USDT"
                self._publish(Difference(at_ns, "", "balance", ours, venues, POLICY))
                self._forget(venue)

    def _compare(self, venue: str, at_ns: int) -> None:
        found = self._found.get(venue)
        if found is None:
            return
        difference = found - self._ours[venue]
        if abs(difference) <= CENT:
            self._forget(venue)
        elif venue not in self._since or abs(self._since[venue][0] - difference) > CENT:
            self._since[venue] = difference, at_ns

    def _forget(self, venue: str) -> None:
        del self._ours[venue]
        self._since.pop(venue, None)
