"""What an entry waits for after the rebalancer has taken its symbol out."""

from typing import Final

from hfengine.actors.brackets import Refused
from hfengine.actors.risk_memory import Rest
from hfengine.messages import Close, Entry, Reduce
from hfengine.settings import Settings

REBALANCER: Final = frozenset({"drift_flip", "max_hold", "drift_decay", "confidence_drop"})
FOR_DRIFT: Final = frozenset({"drift_flip", "drift_decay"})
DRIFT_COOLDOWNS: Final = 10
"""So many cool-downs long an entry on the side closed for drift needs more of it."""


class Reentry:
    """Symbols that rest after an exit of the rebalancer; gates `rebalance_cooldown` and
    `reentry_drift`."""

    def __init__(self, settings: Settings) -> None:
        self.rests: dict[str, Rest] = {}
        self._cooldown_ns = int(settings.rebalance.cooldown_s * 1e9)
        self._drift_min = settings.rebalance.reentry_drift * settings.signals.drift_min

    def heard(self, wish: Reduce | Close, at_ns: int) -> bool:
        """Begin a rest if the rebalancer wishes this exit; return whether one began."""
        if not self._cooldown_ns or wish.reason not in REBALANCER:
            return False
        rest = self.rests.get(wish.symbol) or Rest(0)
        rest.until_ns = at_ns + self._cooldown_ns
        if isinstance(wish, Close) and wish.reason in FOR_DRIFT:
            rest.drift_until_ns = at_ns + DRIFT_COOLDOWNS * self._cooldown_ns
            rest.side = wish.side
        self.rests[wish.symbol] = rest
        return True

    def gate(self, entry: Entry, at_ns: int) -> None:
        """Raise Refused where the entry comes too early, or with too little drift."""
        rest = self.rests.get(entry.symbol)
        if rest is None:
            return
        if at_ns < rest.until_ns:
            left_s = (rest.until_ns - at_ns) / 1e9
            raise Refused("rebalance_cooldown", left_s, 0.0, "seconds left")
        if at_ns < rest.drift_until_ns and entry.side == rest.side:
            drift = abs(entry.drift)
            if not drift >= self._drift_min:
                raise Refused("reentry_drift", drift, self._drift_min)

    def look(self, at_ns: int) -> None:
        """Forget rests that are over."""
        over = [
            symbol
            for symbol, rest in self.rests.items()
            if at_ns >= max(rest.until_ns, rest.drift_until_ns)
        ]
        for symbol in over:
            del self.rests[symbol]
