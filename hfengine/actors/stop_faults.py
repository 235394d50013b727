"""What can be wrong with a stop, and where it belongs: pure judgement, no I/O.

`mark` is the newest mark price, 0.0 while none is known.
"""

from decimal import Decimal
from typing import Final, Literal

from hfengine.instruments import Instrument
from hfengine.messages import PositionChanged
from hfengine.settings import Protection

NOTHING: Final = Decimal(0)

StopFault = Literal["missing", "wrong_size", "wrong_side", "wrong_trigger", "beyond_liquidation"]


def percent_stop(base: float, side: int, percent: float, instrument: Instrument) -> Decimal:
    """Return the price `percent` on the losing side of `base`, rounded towards the position."""
    price = base * (1.0 - side * percent / 100.0)
    return instrument.price_up(price) if side > 0 else instrument.price_down(price)


def percent_target(base: float, side: int, percent: float, instrument: Instrument) -> Decimal:
    """Return the price `percent` on the winning side of `base`, rounded towards the position."""
    price = base * (1.0 + side * percent / 100.0)
    return instrument.price_down(price) if side > 0 else instrument.price_up(price)


def innermost(position: PositionChanged, fraction: float, instrument: Instrument) -> Decimal:
    """Return the price nearest to liquidation at which a stop may lie (DESIGN 7.3); 0 is any.

    Between stop and liquidation stay `fraction` of the way from entry to liquidation.
    """
    liquidation, entry = float(position.liquidation), float(position.entry)
    if liquidation <= 0.0:
        return NOTHING
    price = liquidation + position.side * fraction * abs(entry - liquidation)
    return instrument.price_up(price) if position.side > 0 else instrument.price_down(price)


def inside(stop: Decimal, side: int, limit: Decimal) -> Decimal:
    """Return the stop, drawn back to the limit where it lies beyond it."""
    if not limit:
        return stop
    return max(stop, limit) if side > 0 else min(stop, limit)


def stands_behind(stop: Decimal, side: int, mark: float) -> bool:
    """Tell whether a stop would not fire at the mark; True while no mark is known."""
    return mark <= 0.0 or side * (mark - float(stop)) > 0.0


def is_passed(target: Decimal, side: int, mark: float) -> bool:
    """Tell whether the mark has reached a target."""
    return bool(target) and mark > 0.0 and side * (mark - float(target)) >= 0.0


def stop_fault(
    position: PositionChanged, wanted: Decimal, limit: Decimal, mark: float
) -> StopFault | None:
    """Return what is wrong with a stop, the most urgent first; None where nothing is.

    `wanted` is where it is expected, inside `limit`. A stop nearer to the mark than that is right.
    """
    side, stop = position.side, position.stop
    if not stop or not position.covered:
        return "missing"
    if position.covered < position.quantity:
        return "wrong_size"
    if not stands_behind(stop, side, mark):
        return "wrong_side"
    if limit and side * (stop - limit) < 0:
        return "beyond_liquidation"
    if wanted and side * (stop - wanted) < 0:
        return "wrong_trigger"
    return None


def computed_stop(
    position: PositionChanged, protection: Protection, limit: Decimal, mark: float,
    instrument: Instrument,
) -> Decimal:  # fmt: skip
    """Return the stop of a position that has none: the profile's per cent of its entry.

    Where the mark is beyond that already, of the mark; always inside the limit.
    """
    side = position.side
    for base in (float(position.entry), mark):
        stop = inside(percent_stop(base, side, protection.stop_percent, instrument), side, limit)
        if stands_behind(stop, side, mark):
            break
    return stop


def computed_target(
    position: PositionChanged, protection: Protection, mark: float, instrument: Instrument
) -> Decimal:
    """Return the target of a position that has none, likewise."""
    side = position.side
    target = percent_target(float(position.entry), side, protection.target_percent, instrument)
    if is_passed(target, side, mark):
        target = percent_target(mark, side, protection.target_percent, instrument)
    return target


def shown(position: PositionChanged, wanted: Decimal, limit: Decimal, mark: float) -> str:
    """Return in words what was seen."""
    side = "long" if position.side > 0 else "short"
    text = (
        f"{side} {position.quantity} at {position.entry}: stop {position.stop} covers"
        f" {position.covered}, expected {wanted}, liquidation {position.liquidation}"
    )
    text += f", stops end at {limit}" if limit else ""
    return f"{text}, mark {mark:g}" if mark else text
