"""What age does to a position: its target comes nearer, it is halved once, it is closed."""

from decimal import Decimal
from typing import Final, Literal, NamedTuple

from hfengine.actors.guarded import Guarded
from hfengine.actors.stop_faults import percent_target
from hfengine.instruments import Instrument
from hfengine.settings import Protection

ASK_AGAIN_NS: Final = 1_000_000_000
"""A halving that did not come true is asked for again after this."""


class AgeStep(NamedTuple):
    """What an age asks for: `price` is a new target, `quantity` what goes."""

    action: Literal["relax", "reduce", "close"]
    price: Decimal
    quantity: Decimal


class Ageing:
    """One profile's ages; 0 switches a step off."""

    def __init__(self, protection: Protection) -> None:
        self._relax_ns = int(protection.relax_after_s * 1e9)
        self._relax_percent = protection.relax_target_percent
        self._reduce_ns = int(protection.reduce_after_s * 1e9)
        self._close_ns = int(protection.close_after_s * 1e9)

    @property
    def is_on(self) -> bool:
        """Whether any step is."""
        return bool(self._relax_ns or self._reduce_ns or self._close_ns)

    def look(self, guarded: Guarded, instrument: Instrument, now_ns: int) -> AgeStep | None:
        """Return the step a position's age asks for now, noting it; the last one goes first."""
        age_ns = now_ns - guarded.opened_ns
        position = guarded.position
        if 0 < self._close_ns <= age_ns:
            return AgeStep("close", position.target, position.quantity)
        if 0 < self._reduce_ns <= age_ns:
            step = self._halve(guarded, instrument, now_ns)
            if step is not None:
                return step
        if 0 < self._relax_ns <= age_ns and not guarded.relaxed:
            return self._relax(guarded, instrument)
        return None

    def _halve(self, guarded: Guarded, instrument: Instrument, now_ns: int) -> AgeStep | None:
        position = guarded.position
        if not guarded.reduce_to:
            left = instrument.quantity_of(int(position.quantity / instrument.quantity_step) // 2)
            if not left or left < instrument.quantity_min:
                return AgeStep("close", position.target, position.quantity)
            guarded.reduce_to = left
        if position.quantity <= guarded.reduce_to:
            return None
        if guarded.reduce_asked_ns and now_ns - guarded.reduce_asked_ns < ASK_AGAIN_NS:
            return None
        guarded.reduce_asked_ns = now_ns
        return AgeStep("reduce", position.target, position.quantity - guarded.reduce_to)

    def _relax(self, guarded: Guarded, instrument: Instrument) -> AgeStep | None:
        """Bring the target nearer, never further away."""
        guarded.relaxed = True
        side, entry = guarded.side, float(guarded.position.entry)
        target = percent_target(entry, side, self._relax_percent, instrument)
        if guarded.target and side * (target - guarded.target) >= 0:
            return None
        guarded.target = target
        return AgeStep("relax", target, Decimal(0))
