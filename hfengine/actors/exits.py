"""Exits sent and not ended, symbol by symbol, and how soon another one may follow."""

from typing import Final

from hfengine.messages import Close, ExitReason, Reduce, ReducePosition

EXIT_PATIENCE_NS: Final = 5_000_000_000
"""After this long without an end of the exit before it a Close may be sent: reduce-only, so a
double closes nothing twice, while one never sent leaves a position unattended. A Reduce may not:
sent twice it would halve twice."""

EXIT_SOON_NS: Final = 400_000_000
"""The same where the exit's answer was lost, or the position must not stand. Below the half second
at which the guardian asks again. Each exit that is still out doubles it, up to EXIT_PATIENCE_NS."""

URGENT: Final[frozenset[ExitReason]] = frozenset(
    ("uncovered", "bad_stop", "near_liquidation", "margin", "drawdown")
)
"""Reasons that cannot wait for a slow answer."""


class ExitsUnderWay:
    """Every exit on its way: no entry of its symbol is taken before the last of them has ended.

    One that arrives late would else take off what was entered after it.
    """

    def __init__(self) -> None:
        self._sent: dict[str, dict[int, ReducePosition]] = {}
        """Symbol -> intent -> exit, the newest last."""

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._sent

    def sent(self, exit_: ReducePosition) -> None:
        """Take that an exit goes out."""
        self._sent.setdefault(exit_.symbol, {})[exit_.intent] = exit_

    def ended(self, symbol: str, intent: int) -> None:
        """Take that an intent is over; of another kind of order it says nothing."""
        under_way = self._sent.get(symbol)
        if under_way is not None and under_way.pop(intent, None) is not None and not under_way:
            del self._sent[symbol]

    def may_follow(self, wish: Reduce | Close, at_ns: int, unknown: tuple[int, ...]) -> bool:
        """Tell whether an exit may be sent now; `unknown` are intents whose answer was lost."""
        under_way = self._sent.get(wish.symbol)
        if under_way is None:
            return True
        if isinstance(wish, Reduce):
            return False
        newest = next(reversed(under_way.values()))
        patience_ns = EXIT_PATIENCE_NS
        if wish.reason in URGENT or newest.intent in unknown:
            patience_ns = min(patience_ns, EXIT_SOON_NS << (len(under_way) - 1))
        return at_ns - newest.at_ns >= patience_ns
