"""One symbol's market: grid, prices, the outside book, what was taken of it, what rests in it."""

from collections.abc import Iterator
from decimal import Decimal
from heapq import merge
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from msgspec import Struct

from hfengine.exchange.ledger import EXACT, Unit, half_even, ratio
from hfengine.instruments import Instrument

if TYPE_CHECKING:
    from hfengine.exchange.account import Account
    from hfengine.exchange.orders import Order

NEVER_NS: Final = 1 << 63
LEVELS_READ: Final = 16
"""Levels of the outside book asked for at first; doubled while an order needs more."""

DIGITS_MAX: Final = 40
"""Decimal places before or behind the point beyond which a number is on no grid: its fraction
would be worked out for minutes."""

ZERO: Final = Decimal(0)

Regime = Literal["open", "reduce_only", "closed"]
"""Which requests a symbol takes: all, those that only reduce, none but cancels."""


class OutsideBook(Protocol):
    """The book the feed maintains. Sides: +1 bids, -1 asks; 0 is an empty side."""

    @property
    def bid_ticks(self) -> int:
        """Best bid, ticks."""
        ...

    @property
    def ask_ticks(self) -> int:
        """Best ask, ticks."""
        ...

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """Return up to `count` (ticks, steps), best first."""
        ...

    def quantity_at(self, side: int, ticks: int) -> int:
        """Return the steps at a price, 0 where there is no level."""
        ...


class Tier(NamedTuple):
    """A risk tier in units."""

    cap_units: int
    rate: tuple[int, int]
    max_leverage: Decimal
    deduction_units: int


class MarketView(Struct, frozen=True, gc=False):
    """A symbol's prices and funding; 0 is none yet."""

    mark: Decimal
    index: Decimal
    last: Decimal
    funding_rate: Decimal
    next_funding_ns: int


class Taken(NamedTuple):
    """What accounts took of an outside level, and the quantity it was taken from."""

    seen_steps: int
    taken_steps: int


class Resting:
    """The accounts' resting orders of one side, by price and then by time."""

    __slots__ = ("best", "levels", "side")

    def __init__(self, side: int) -> None:
        self.side = side
        self.levels: dict[int, list[Order]] = {}
        self.best = 0

    def add(self, order: "Order", outside_steps: int) -> None:
        """Join the queue of the order's price behind everybody there.

        What is ahead of an older order here is ahead of this one too, so the queue ahead never
        falls from one order to the next and time priority holds.
        """
        queue = self.levels.get(order.limit_ticks)
        self.put(order, max(outside_steps, queue[-1].ahead_steps if queue else 0))

    def put(self, order: "Order", ahead_steps: int) -> None:
        """Join the end of the queue of the order's price with this much outside ahead."""
        order.ahead_steps = ahead_steps
        ticks = order.limit_ticks
        self.levels.setdefault(ticks, []).append(order)
        if not self.best or (ticks - self.best) * self.side > 0:
            self.best = ticks

    def remove(self, order: "Order") -> None:
        """Leave the queue."""
        queue = self.levels[order.limit_ticks]
        queue.remove(order)
        if not queue:
            del self.levels[order.limit_ticks]
            if order.limit_ticks == self.best:
                self._find_best()

    def in_priority(self) -> Iterator["Order"]:
        """Yield the orders best price first, oldest first, from a snapshot of each price."""
        for ticks in sorted(self.levels, reverse=self.side > 0):
            yield from tuple(self.levels.get(ticks, ()))

    def _find_best(self) -> None:
        if not self.levels:
            self.best = 0
        else:
            self.best = max(self.levels) if self.side > 0 else min(self.levels)


class Market:
    """The state of one symbol. Prices are ticks, quantities steps, money units."""

    __slots__ = (
        "book",
        "conditionals",
        "funding_due_ns",
        "funding_rate",
        "holders",
        "index",
        "instrument",
        "interval_ns",
        "last_ticks",
        "liquidation_fee",
        "maker_fee",
        "mark",
        "mark_ratio",
        "regime",
        "resting_asks",
        "resting_bids",
        "starved",
        "step_ratio",
        "taken",
        "taker_fee",
        "tick_ratio",
        "tick_units",
        "tiers",
        "unit",
    )

    def __init__(self, instrument: Instrument, unit: Unit) -> None:
        self.instrument = instrument
        self.unit = unit
        self.tick_ratio = ratio(instrument.price_tick)
        self.step_ratio = ratio(instrument.quantity_step)
        self.tick_units = unit.of(EXACT.multiply(instrument.price_tick, instrument.quantity_step))
        self.maker_fee = ratio(instrument.maker_fee)
        self.taker_fee = ratio(instrument.taker_fee)
        self.liquidation_fee = ratio(instrument.liquidation_fee)
        self.tiers = [
            Tier(
                unit.of(tier.notional_cap_usdt),
                ratio(tier.maintenance_rate),
                tier.max_leverage,
                unit.of(tier.deduction_usdt),
            )
            for tier in instrument.tiers
        ]
        self.book: OutsideBook | None = None
        self.taken: dict[tuple[int, int], Taken] = {}
        self.resting_bids = Resting(1)
        self.resting_asks = Resting(-1)
        self.conditionals: dict[str, Order] = {}
        self.holders: dict[str, Account] = {}
        self.starved = False
        self.regime: Regime = "open"
        self.last_ticks = 0
        self.mark = self.index = self.funding_rate = ZERO
        self.mark_ratio = (0, 1)
        self.interval_ns = instrument.funding_interval_h * 3_600_000_000_000
        self.funding_due_ns = NEVER_NS

    def resting(self, side: int) -> Resting:
        """Return the accounts' resting orders of a side."""
        return self.resting_bids if side > 0 else self.resting_asks

    def set_mark(self, mark: Decimal) -> None:
        """Take a new mark price; `mark_ratio` is units per step at it."""
        self.mark = mark
        mark_top, mark_bottom = ratio(mark)
        step_top, step_bottom = self.step_ratio
        self.mark_ratio = (mark_top * step_top * self.unit.per_usdt, mark_bottom * step_bottom)

    def mark_notional_units(self, steps: int) -> int:
        """Return the notional of a quantity at the mark price, rounded half-even to a unit."""
        if not steps:
            return 0
        numerator, denominator = self.mark_ratio
        return half_even(steps * numerator, denominator)

    def ticks_of(self, price: Decimal) -> int | None:
        """Return a price in ticks, None when it is off the grid."""
        return _whole(price, self.tick_ratio)

    def steps_of(self, quantity: Decimal) -> int | None:
        """Return a quantity in steps, None when it is off the grid."""
        return _whole(quantity, self.step_ratio)

    def price_of(self, ticks: int) -> Decimal:
        """Return the exact price of ticks."""
        return self.instrument.price_tick * ticks

    def quantity_of(self, steps: int) -> Decimal:
        """Return the exact quantity of steps."""
        return self.instrument.quantity_step * steps

    def last(self) -> Decimal:
        """Return the last price, 0 before the first trade."""
        return self.price_of(self.last_ticks)

    def outside_steps_at(self, side: int, ticks: int) -> int:
        """Return the whole outside queue at a price."""
        return 0 if self.book is None else self.book.quantity_at(side, ticks)

    def outside(self, side: int) -> Iterator[tuple[int, int]]:
        """Yield (ticks, steps still there to take) of an outside side, best first."""
        if self.book is None:
            return
        done = 0
        count = LEVELS_READ
        while True:
            levels = self.book.levels(side, count)
            for ticks, steps in levels[done:]:
                left = self._left(side, ticks, steps)
                if left > 0:
                    yield ticks, left
            if len(levels) < count:
                return
            done = len(levels)
            count *= 2

    def view(self) -> MarketView:
        """Return prices and funding."""
        due_ns = 0 if self.funding_due_ns == NEVER_NS else self.funding_due_ns
        return MarketView(self.mark, self.index, self.last(), self.funding_rate, due_ns)

    def public_levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """Return (ticks, steps), best first: the outside less what was taken, and who rests."""
        if self.book is None:
            outside = []
        elif not self.taken:
            outside = self.book.levels(side, count)
        else:
            outside = self._left_of(side, self.book.levels(side, count + len(self.taken)))
        queues = self.resting(side).levels
        if not queues:
            return outside[:count]
        resting = sorted(
            ((ticks, sum(one.remaining_steps for one in queue)) for ticks, queue in queues.items()),
            reverse=side > 0,
        )
        levels: list[tuple[int, int]] = []
        for ticks, steps in merge(outside, resting, key=lambda level: -side * level[0]):
            if levels and levels[-1][0] == ticks:
                levels[-1] = (ticks, levels[-1][1] + steps)
            elif len(levels) == count:
                break
            else:
                levels.append((ticks, steps))
        return levels

    def take_outside(self, side: int, ticks: int, steps: int) -> None:
        """Take from an outside level; it stays taken until the feed changes the level."""
        seen_steps = self.outside_steps_at(side, ticks)
        old = self.taken.get((side, ticks))
        already = old.taken_steps if old is not None and old.seen_steps == seen_steps else 0
        self.taken[side, ticks] = Taken(seen_steps, already + steps)

    def forget_changed(self) -> None:
        """Give back what was taken from the levels that the feed has changed since."""
        changed = [
            key
            for key, taken in self.taken.items()
            if self.outside_steps_at(*key) != taken.seen_steps
        ]
        for key in changed:
            del self.taken[key]

    def _left_of(self, side: int, levels: list[tuple[int, int]]) -> list[tuple[int, int]]:
        left = ((ticks, self._left(side, ticks, steps)) for ticks, steps in levels)
        return [level for level in left if level[1] > 0]

    def _left(self, side: int, ticks: int, steps: int) -> int:
        taken = self.taken.get((side, ticks))
        if taken is None or taken.seen_steps != steps:
            return steps
        return steps - taken.taken_steps


def _whole(number: Decimal, grid: tuple[int, int]) -> int | None:
    if not number.is_finite() or abs(number.adjusted()) > DIGITS_MAX:
        return None
    top, bottom = ratio(number)
    count, rest = divmod(top * grid[1], bottom * grid[0])
    return None if rest else count
