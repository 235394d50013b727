"""What a position's resting orders and pieces of a new one need, by walking all of them."""

from collections.abc import Sequence

from hfengine.exchange.positions import Position


def requirement(
    position: Position, side: int, pieces: Sequence[tuple[int, int]] = ()
) -> tuple[int, int, int]:
    """Return margin and exposure in units, and steps that open."""
    market = position.market
    queue = [
        (one.remaining_steps, one.limit_ticks)
        for one in position.resting.values()
        if one.side == side and not one.reduce_only
    ]
    offset = max(-side * position.steps, 0)
    margin = opening_steps = 0
    exposure = position.mark_notional_units if position.side == side else 0
    for steps, ticks in (*pieces, *queue):
        opening = steps - min(offset, steps)
        offset -= steps - opening
        if not opening:
            continue
        notional_units = opening * ticks * market.tick_units
        marked_units = market.mark_notional_units(opening)
        margin += -(-notional_units // position.leverage)
        margin += market.unit.fee(notional_units, market.taker_fee)
        margin += max(side * (notional_units - marked_units), 0)
        exposure += max(notional_units, marked_units)
        opening_steps += opening
    return margin, exposure, opening_steps
