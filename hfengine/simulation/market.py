"""A made-up market that trends hard enough for the engine to trade every few seconds."""

from decimal import Decimal
from random import Random
from typing import Final, NamedTuple

from hfengine.instruments import Instrument

STEP_NS: Final = 100_000_000
MARK_EVERY: Final = 2
"""Steps from one mark price to the next."""

LEVELS: Final = 6
TREND_STEPS: Final = (25, 90)
TREND_BPS: Final = (0.6, 2.0)
"""How far a trend goes in one step."""

NOISE_BPS: Final = 0.25
LEVEL_USDT: Final = (20_000.0, 90_000.0)
"""Notional that rests at one level."""

START_USDT: Final = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}
REVERT_BEYOND: Final = 0.05
"""A price this far from its start turns back."""


class Top(NamedTuple):
    """What a step made: floats for the feed, exact figures for the exchange."""

    bid: float
    bid_quantity: float
    ask: float
    ask_quantity: float
    trade_ticks: int
    trade_steps: int
    trade_side: int
    mark: Decimal | None


class SteppedBook:
    """The outside book the exchange matches against; sides +1 bids, -1 asks."""

    __slots__ = ("_levels", "ask_ticks", "bid_ticks")

    def __init__(self) -> None:
        self.bid_ticks = self.ask_ticks = 0
        self._levels: dict[int, list[tuple[int, int]]] = {1: [], -1: []}

    def put(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        """Take new levels, best first; an empty side is 0."""
        self._levels[1], self._levels[-1] = bids, asks
        self.bid_ticks = bids[0][0] if bids else 0
        self.ask_ticks = asks[0][0] if asks else 0

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """Return up to `count` (ticks, steps), best first."""
        return self._levels[side][:count]

    def quantity_at(self, side: int, ticks: int) -> int:
        """Return the steps at a price, 0 where there is no level."""
        return next((steps for level, steps in self._levels[side] if level == ticks), 0)


class TrendingMarket:
    """One symbol's price: trends of a few seconds, up and down, with little noise."""

    def __init__(self, instrument: Instrument, draw: Random) -> None:
        self.instrument = instrument
        self.book = SteppedBook()
        self._draw = draw
        self._start = self._price = START_USDT[instrument.symbol]
        self._left = 0
        self._drift = 0.0
        self._steps = 0
        self._tick = instrument.tick_usdt
        self._gap = max(1, round(self._price * 0.5e-4 / self._tick))
        self.depth = 1.0
        """Share of the usual liquidity that is there."""
        self.shift = 0.0
        """A flash move: what the price is off, as a fraction."""

    @property
    def price(self) -> float:
        """The middle, USDT, with a flash move in it."""
        return self._price * (1.0 + self.shift)

    def step(self) -> Top:
        """Move on by one step."""
        draw = self._draw
        if self._left <= 0:
            self._turn()
        self._left -= 1
        self._price *= 1.0 + self._drift + draw.gauss(0.0, NOISE_BPS * 1e-4)
        self._steps += 1
        middle = round(self.price / self._tick)
        bid, ask = middle, middle + self._gap
        step = self.instrument.step_quantity
        bids, asks = [], []
        for level in range(LEVELS):
            usdt = draw.uniform(*LEVEL_USDT) * self.depth * self.depth
            steps = max(1, int(usdt / self.price / step))
            bids.append((bid - level * self._gap, steps))
            asks.append((ask + level * self._gap, max(1, int(steps * 0.9))))
        self.book.put(bids, asks)
        side = 1 if draw.random() < (0.85 if self._drift > 0 else 0.15) else -1
        mark = None
        if self._steps % MARK_EVERY == 0:
            mark = self.instrument.price_tick * middle
        return Top(
            bid * self._tick,
            bids[0][1] * step,
            ask * self._tick,
            asks[0][1] * step,
            ask if side > 0 else bid,
            max(1, bids[0][1] // 50),
            side,
            mark,
        )

    def _turn(self) -> None:
        draw = self._draw
        self._left = draw.randint(*TREND_STEPS)
        away = self._price / self._start - 1.0
        side = draw.choice((-1, 1))
        if abs(away) > REVERT_BEYOND:
            side = -1 if away > 0 else 1
        self._drift = side * draw.uniform(*TREND_BPS) * 1e-4
