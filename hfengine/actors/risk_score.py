"""The risk score: 0 (calm) to 100, the sum of seven parts, each bounded and never falling.

A part is its weight times a ramp of one measure between where it begins and where it is full.
"""

from typing import Final, NamedTuple

WEIGHTS: Final = {
    "margin_use": 20.0,
    "liquidation_distance": 20.0,
    "drawdown": 20.0,
    "daily_loss": 15.0,
    "losing_streak": 5.0,
    "market_quality": 10.0,
    "exposure": 10.0,
}
"""Points a part has when it is full; they add up to 100."""


class Strains(NamedTuple):
    """What the parts look at, as shares of where each is full: 0 none of it, 1 all of it."""

    margin_use: float = 0.0
    """Margin in use over that at which positions are closed; of the venue that is worst."""
    liquidation_distance: float = 0.0
    """Share of the way from entry to the force-close distance that is used up; the worst."""
    drawdown: float = 0.0
    """Fall from the peak over its limit; over all of equity where there is no limit."""
    daily_loss: float = 0.0
    """The day's loss over its limit, the account's or a symbol's; 0 without one."""
    losing_streak: float = 0.0
    """Losses in a row over their limit; 0 without one."""
    market_quality: float = 0.0
    """Share of the symbols whose market is not fit."""
    exposure: float = 0.0
    """Notional over its cap; over equity times leverage where there is none."""


def ramp(share: float) -> float:
    """Return a share held between 0 and 1; one that is no number counts as full."""
    if share != share:  # noqa: PLR0124 - NaN
        return 1.0
    return min(1.0, max(0.0, share))


def share_of(measured: float, limit: float) -> float:
    """Return measured / limit, 0 where the limit is off."""
    return measured / limit if 0.0 < limit < float("inf") else 0.0


def scored(strains: Strains) -> tuple[float, tuple[tuple[str, float], ...]]:
    """Return the score and its parts, which add up to it, in points rounded to hundredths."""
    parts = tuple(
        (name, round(weight * ramp(getattr(strains, name)), 2)) for name, weight in WEIGHTS.items()
    )
    return round(sum(points for _, points in parts), 2), parts
