"""Stops that follow a gain: trailing behind the best mark, and the move to break-even.

Both only ever move a stop nearer to the mark (DESIGN 7.11).
"""

from decimal import Decimal
from typing import NamedTuple

from hfengine.actors.guarded import Guarded
from hfengine.actors.stop_faults import stands_behind
from hfengine.instruments import Instrument
from hfengine.settings import Protection


class Ratchet(NamedTuple):
    """A better stop, and why."""

    stop: Decimal
    reason: str


class Trailing:
    """One profile's rules of following."""

    def __init__(self, protection: Protection) -> None:
        self._activation = protection.trailing_activation_percent / 100.0
        self._callback = protection.trailing_callback_percent / 100.0
        self._break_even = protection.break_even_percent / 100.0

    @property
    def is_on(self) -> bool:
        """Whether any rule is."""
        return self._activation > 0.0 or self._break_even > 0.0

    def look(self, guarded: Guarded, mark: float, instrument: Instrument) -> Ratchet | None:
        """Note the mark; return a better stop, None where the one expected is as good."""
        position = guarded.position
        side, entry = position.side, float(position.entry)
        if entry <= 0.0:
            return None
        best = guarded.best or entry
        best = guarded.best = max(best, mark) if side > 0 else min(best, mark)
        gain = side * (best - entry) / entry
        found = []
        if 0.0 < self._activation <= gain:
            trail = best * (1.0 - side * self._callback)
            found.append(Ratchet(_towards(trail, side, instrument), "trailing"))
        if 0.0 < self._break_even <= gain and not guarded.break_even:
            found.append(Ratchet(break_even_stop(position.entry, side, instrument), "break_even"))
        better = [
            one
            for one in found
            if (not guarded.stop or side * (one.stop - guarded.stop) > 0)
            and (not position.stop or side * (one.stop - position.stop) > 0)
            and stands_behind(one.stop, side, mark)
        ]
        return max(better, key=lambda one: side * one.stop, default=None)

    def stands(self, guarded: Guarded, instrument: Instrument) -> bool:
        """Note whether the stop at the venue loses nothing any more; return what is noted."""
        position = guarded.position
        if self._break_even > 0.0 and not guarded.break_even and position.stop:
            even = break_even_stop(position.entry, position.side, instrument)
            guarded.break_even = position.side * (position.stop - even) >= 0
        return guarded.break_even


def break_even_stop(entry: Decimal, side: int, instrument: Instrument) -> Decimal:
    """Return the price at which a market exit earns the taker fees of both ways, on the grid.

    side * (exit - entry) = fee * (entry + exit), solved for the exit.
    """
    fee = float(instrument.taker_fee)
    price = float(entry) * (1.0 + side * fee) / (1.0 - side * fee)
    return _towards(price, side, instrument)


def _towards(price: float, side: int, instrument: Instrument) -> Decimal:
    """Return a stop on the grid, rounded towards the position."""
    return instrument.price_up(price) if side > 0 else instrument.price_down(price)
