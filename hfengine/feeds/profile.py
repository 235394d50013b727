"""What the synthetic market is made of: rates, sizes and distances measured on recordings.

All figures are of Binance USDⓈ-M, 2024-08-08 23:54:15 - 23:59:59 UTC (345 s), BTCUSDT and ETHUSDT.
Those named `STATED_` stand in the recordings' own table of statistics; the others were measured
on the same two files. Basis points are of the price.
"""

import math
from decimal import Decimal
from typing import Final, NamedTuple

from hfengine.instruments import Instrument


class Stated(NamedTuple):
    """The recordings' statistics of one symbol: rates per second, spread in ticks."""

    diffs_per_s: float
    levels_per_s: float
    best_changes_per_s: float
    trades_per_s: float
    spread_ticks: float
    volatility_bps: float
    """Standard deviation of one-second mid returns."""


STATED: Final = {
    "BTCUSDT": Stated(19.0, 1286.3, 191.7, 61.8, 1.14173, 1.396),
    "ETHUSDT": Stated(19.1, 1243.2, 156.6, 40.8, 1.0402, 1.214),
}
STATED_CORRELATION: Final = {"0.1s": 0.39, "0.5s": 0.547, "1s": 0.582}
"""Mid-return correlation of BTCUSDT and ETHUSDT by length of the return."""

STATED_LEAD: Final = (0.207, 0.101)
"""BTCUSDT's 100 ms return with ETHUSDT's next one, and the other way round."""

COMMON_SHARE: Final = 0.70
"""Part of a symbol's variance that comes from moves all symbols make."""

COMMON_MOVES_PER_S: Final = 1.4
OWN_MOVES_PER_S: Final = 1.0
FLICKERS_PER_S: Final = 0.45
"""Moves and flickers give the 5.9 (BTCUSDT) and 6.9 (ETHUSDT) changes of the mid per second."""

REGIME_S: Final = 6.0
"""Mean life of a regime; order signs stay correlated (0.2, then 0.03 after 50 orders) this long."""

TREND_SHARE: Final = 0.45
"""Part of the regimes that lean to one side."""

COMMON_LEAN: Final = 0.20
OWN_LEAN: Final = 0.30
"""How far a trending regime tips the signs of common and own moves, 0..1."""

FLOW_LEAN: Final = 0.45
"""How far one trending regime tips the side of market orders, 0..1."""

QUEUE_LEAN: Final = 0.35
"""How far one trending regime tips the sizes at the touch, 0..1."""

SWEPT: Final = 0.6
"""Most of the queue at the touch that a sweep prints in one trade; half of it is the mean."""

ACTIVITY_SIGMA: Final = 0.35
"""Log standard deviation of the activity from one regime to the next."""

DIFF_MS: Final = (51.0, 1.5)
"""Shortest pause between two diffs, and the mean of what comes on top of it."""

DISTANCE_BPS: Final = (6.6, 1.35)
"""Median and log standard deviation of a changed level's distance from the touch."""

DEPTH_BPS: Final = 70.0
SNAPSHOT_LEVELS: Final = 1000
_DEPTH_TICKS_MIN: Final = 1800
"""Depth of the book kept: in basis points, and in ticks where the tick is coarse."""

_LEVELS_MEDIAN: Final = 37.0
LEVELS_SIGMA: Final = 1.18
LEVELS_MAX: Final = 700
"""Levels changed per diff: median 34 to 39 and 609 at the 99th percentile, best levels included."""

_DEFAULT_PRICE_TICKS: Final = 20_000
_SPREAD_BPS: Final = 0.4
_COARSE_TICK_BPS: Final = 0.05


class Profile(NamedTuple):
    """One symbol's market. Quantities are in base units; `spread_ticks` is the resting spread."""

    price: float
    best_changes_per_s: float
    orders_per_s: float
    order_prints: float
    sweep_prints: float
    trade_median: float
    trade_sigma: float
    best_mean: float
    level_median: float
    level_sigma: float
    levels_median: float
    removed: float
    """Share of level changes that take the level away."""
    allowed: int
    """Residues of the price modulo 64, in ticks, that levels stand on: the density of the book."""
    spread_ticks: int
    gap_ms: float
    """Mean time the book stays wide after a move."""
    reaction_ms: float
    """Mean delay behind a common move: what makes one symbol lead another."""
    volatility_bps: float


_KNOWN: Final = {
    "BTCUSDT": Profile(
        price=61_800.25,
        best_changes_per_s=176.0,
        orders_per_s=14.0,
        order_prints=2.2,
        sweep_prints=15.0,
        trade_median=0.016,
        trade_sigma=1.98,
        best_mean=4.2,
        level_median=0.10,
        level_sigma=1.85,
        levels_median=_LEVELS_MEDIAN,
        removed=0.26,
        allowed=29,
        spread_ticks=1,
        gap_ms=1.25,
        reaction_ms=40.0,
        volatility_bps=STATED["BTCUSDT"].volatility_bps,
    ),
    "ETHUSDT": Profile(
        price=2_681.625,
        best_changes_per_s=145.0,
        orders_per_s=9.0,
        order_prints=2.2,
        sweep_prints=10.0,
        trade_median=0.071,
        trade_sigma=2.1,
        best_mean=17.7,
        level_median=1.7,
        level_sigma=1.8,
        levels_median=_LEVELS_MEDIAN,
        removed=0.16,
        allowed=45,
        spread_ticks=1,
        gap_ms=1.0,
        reaction_ms=75.0,
        volatility_bps=STATED["ETHUSDT"].volatility_bps,
    ),
}

_OTHER_PRICES: Final = {"SOLUSDT": 155.0}
"""Start prices of other symbols, of the same evening in round figures."""

_OTHER_DEPTH_USDT_PER_BP: Final = {"SOLUSDT": 150_000.0}
_SMALL_DEPTH_USDT_PER_BP: Final = 12_000.0
_BTC_DEPTH_USDT_PER_BP: Final = 950_000.0
"""Notional resting per basis point; sets sizes and pace of the symbols without a recording."""


def profile_of(instrument: Instrument) -> Profile:
    """Return the market of an instrument: as recorded, or scaled from its tick and a price.

    A symbol without a recording trades at its own spread of 0.4 bp (at least a tick), with sizes
    and pace in proportion to an assumed depth, the calmer the thinner it is.
    """
    known = _KNOWN.get(instrument.symbol)
    if known:
        return known
    tick = instrument.tick_usdt
    price = _OTHER_PRICES.get(instrument.symbol, tick * _DEFAULT_PRICE_TICKS)
    depth_usdt = _OTHER_DEPTH_USDT_PER_BP.get(instrument.symbol, _SMALL_DEPTH_USDT_PER_BP)
    tick_bps = tick / price * 1e4
    pace = (depth_usdt / _BTC_DEPTH_USDT_PER_BP) ** 0.4
    level_usdt = depth_usdt * max(tick_bps, _COARSE_TICK_BPS)
    btc = _KNOWN["BTCUSDT"]
    return btc._replace(
        price=price,
        best_changes_per_s=btc.best_changes_per_s * pace,
        orders_per_s=btc.orders_per_s * pace,
        order_prints=1.8,
        sweep_prints=1.0 + 14.0 * pace,
        trade_median=90.0 / price,
        best_mean=depth_usdt * 0.25 / price,
        level_median=level_usdt / math.exp(1.85**2 / 2) / price,
        levels_median=_LEVELS_MEDIAN * pace,
        allowed=29 if tick_bps < _COARSE_TICK_BPS else 54,
        spread_ticks=max(1, round(_SPREAD_BPS / tick_bps)),
        reaction_ms=90.0,
        volatility_bps=1.6,
    )


def depth_ticks(price_ticks: int) -> int:
    """Return how many ticks from the touch the book is kept, at most a quarter of the price."""
    wanted = max(int(price_ticks * DEPTH_BPS / 1e4), _DEPTH_TICKS_MIN)
    return min(wanted, price_ticks // 4)


def decimals_of(grid: Decimal) -> int:
    """Return the decimals of a tick or step."""
    exponent = grid.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
