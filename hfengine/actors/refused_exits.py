"""Exits that the venue refused: which are sent again, and which the account has to explain."""

from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from hfengine.clock import Clock
from hfengine.exchange import rejects
from hfengine.messages import Halt, Message, PositionChanged, ReducePosition, Resume

NOTHING_TO_REDUCE: Final = (rejects.REDUCE_ONLY_REJECTED, rejects.NO_POSITION)


def reason_of(told: str) -> str:
    """Return the name at the start of what a refusal says."""
    return told.partition(":")[0]


def is_worth_repeating(told: str) -> bool:
    """Tell whether the same order may pass a moment later: the book had left the price band."""
    return reason_of(told) == rejects.PRICE_BAND


class _Doubt(NamedTuple):
    side: int
    told: str
    at_ns: int


class RefusedExits:
    """Exits refused because there was nothing to reduce: usually so, else entries stop."""

    def __init__(self, publish: Callable[[Message], None], clock: Clock) -> None:
        self._publish = publish
        self._clock = clock
        self._doubts: dict[str, _Doubt] = {}
        self._halted: dict[str, int] = {}
        """Symbol -> side of a position that the venue holds and does not let us reduce."""

    def doubt(self, refused: ReducePosition, told: str) -> bool:
        """Take that an exit was refused; True when the account must be read because of it."""
        symbol = refused.symbol
        if reason_of(told) not in NOTHING_TO_REDUCE:
            return False
        if symbol in self._doubts or symbol in self._halted:
            return False
        self._doubts[symbol] = _Doubt(refused.side, told, self._clock.now_ns())
        return True

    def judge(
        self, positions: Mapping[str, PositionChanged], began_ns: int, flying: Collection[str]
    ) -> bool:
        """Compare with the account as read from `began_ns`; True when it must be read again.

        Of a symbol with an order on its way nothing can be said yet.
        """
        for symbol, doubt in list(self._doubts.items()):
            if doubt.at_ns > began_ns or symbol in flying:
                continue
            del self._doubts[symbol]
            position = positions.get(symbol)
            if position is not None and position.quantity and position.side == doubt.side:
                self._halted[symbol] = doubt.side
                held = position.side * position.quantity
                why = f"the venue holds {held} and refuses to reduce it: {doubt.told}"
                self._publish(Halt(self._clock.now_ns(), _source(symbol), why))
        return not self._doubts.keys().isdisjoint(flying)

    def hear(self, position: PositionChanged) -> None:
        """Allow entries again once the position that could not be reduced is gone."""
        side = self._halted.get(position.symbol)
        if side is not None and (not position.quantity or position.side != side):
            del self._halted[position.symbol]
            self._publish(Resume(self._clock.now_ns(), _source(position.symbol)))


def _source(symbol: str) -> str:
    return f"exit {symbol}"
