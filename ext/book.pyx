# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A fixed-point price-level order book: two arrays of integer levels, the best level last."""

import re
from decimal import Decimal

from libc.math cimport NAN
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memmove

DEPTH_MAX = DEPTH_CAPACITY

cdef enum:
    WINDOW = 8
    FAR = -1
    FAR_TICKS = 32  # over that many ticks hardly every one has its level
    WRONG = -2
    WRONG_MAX = 2  # wrong guesses, after which a side has too many gaps for guessing

GRID_DECIMALS_MAX = 15
POSITIVE_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")


def grid_of(str text not None, str name not None):
    """Return (units, decimals) with text == units / 10**decimals, units free of needless zeros."""
    if not POSITIVE_DECIMAL.fullmatch(text):
        raise ValueError(f"{name} must be a positive decimal such as '0.10', got {text!r}")
    number = Decimal(text)
    digits, exponent = "".join(map(str, number.as_tuple().digits)), number.as_tuple().exponent
    trimmed = digits.rstrip("0")
    exponent += len(digits) - len(trimmed)
    trimmed = trimmed.lstrip("0")
    if not trimmed:
        raise ValueError(f"{name} must be a positive decimal such as '0.10', got {text!r}")
    decimals = max(0, -exponent)
    if decimals > GRID_DECIMALS_MAX or len(trimmed) + max(0, exponent) > GRID_DECIMALS_MAX:
        raise ValueError(
            f"{name} must have at most {GRID_DECIMALS_MAX} decimals and digits, got {text!r}"
        )
    return int(trimmed) * 10 ** max(0, exponent), decimals


cdef inline int position(const Ladder* ladder, int sign, int64_t ticks, int at) noexcept nogil:
    """Return the first index whose level is at least as good as the price, count if none is.

    Gallops from a place nearby (the touch, where most changes are, or the last change), then
    bisects.
    """
    cdef const Level* levels = &ladder.levels[0]
    cdef int64_t key = sign * ticks
    cdef int count = ladder.count
    cdef int low, high, middle
    cdef int reach = 1
    if at >= count or sign * levels[at].ticks >= key:
        high = at if at < count else count
        low = high - 1
        while low >= 0 and sign * levels[low].ticks >= key:
            high = low
            low -= reach
            reach <<= 1
        if low < -1:
            low = -1
    else:
        low = at
        high = at + 1
        while high < count and sign * levels[high].ticks < key:
            low = high
            high += reach
            reach <<= 1
        if high > count:
            high = count
    while high - low > 1:
        middle = (low + high) >> 1
        if sign * levels[middle].ticks >= key:
            high = middle
        else:
            low = middle
    return high


cdef inline int guess(
    const Ladder* ladder, int sign, int64_t ticks, int at, int64_t ticks_at
) noexcept nogil:
    """Return what `position` does if most ticks have a level hereabouts, else FAR or WRONG.

    Counted from a known place. Fewer levels than ticks bring the answer nearer to that place, never
    further away, so WINDOW levels from the guess towards it are compared, without a branch that
    would be mispredicted.
    """
    cdef const Level* levels = &ladder.levels[0]
    cdef int64_t key = sign * ticks
    cdef int64_t away = sign * (ticks - ticks_at)
    cdef int low, index
    cdef int worse = 0
    if away > FAR_TICKS or away < -FAR_TICKS:
        return FAR
    low = at + <int> away - WINDOW * (away > 0)
    if low > ladder.count - WINDOW:
        low = ladder.count - WINDOW
    if low < 0:
        return FAR
    for index in range(WINDOW):
        worse += sign * levels[low + index].ticks < key
    if (
        (worse == 0 and low > 0 and sign * levels[low - 1].ticks >= key)
        or (worse == WINDOW and low + WINDOW < ladder.count
            and sign * levels[low + WINDOW].ticks < key)
    ):
        return WRONG
    return low + worse


cdef inline int put(Ladder* ladder, int sign, int at, int64_t ticks, int64_t steps) noexcept nogil:
    """Set the size of a level at its position; returns 1 when one had to go for want of room."""
    cdef Level* levels = ladder.levels
    if at < ladder.count and levels[at].ticks == ticks:
        if steps > 0:
            levels[at].steps = steps
        else:
            ladder.count -= 1
            memmove(&levels[at], &levels[at + 1], (ladder.count - at) * sizeof(Level))
        return 0
    if steps <= 0:
        return 0
    if ladder.count < DEPTH_CAPACITY:
        memmove(&levels[at + 1], &levels[at], (ladder.count - at) * sizeof(Level))
        ladder.count += 1
        levels[at].ticks = ticks
        levels[at].steps = steps
        return 0
    if at > 0:
        at -= 1
        memmove(&levels[0], &levels[1], at * sizeof(Level))
        levels[at].ticks = ticks
        levels[at].steps = steps
    return 1


cdef inline int64_t put_all(
    Ladder* ladder, int sign, const Level* levels, int64_t count
) noexcept nogil:
    """Set the sizes of levels in their order; returns how many had to go for want of room."""
    cdef int64_t dropped = 0
    cdef int64_t index, ticks
    cdef int last = ladder.count - 1 if ladder.count else 0
    cdef int64_t last_ticks = ladder.levels[last].ticks if ladder.count else 0
    cdef int at
    cdef int wrong = 0
    for index in range(count):
        ticks = levels[index].ticks
        at = guess(ladder, sign, ticks, last, last_ticks) if wrong < WRONG_MAX else FAR
        if at < 0:
            wrong += at == WRONG
            at = position(ladder, sign, ticks, last)
        last = at
        last_ticks = ticks
        dropped += put(ladder, sign, at, ticks, levels[index].steps)
    return dropped


cdef inline double best(const Ladder* ladder, bint price) noexcept nogil:
    cdef const Level* level = &ladder.levels[ladder.count - 1]
    return <double> (level.ticks if price else level.steps)


cdef inline double steps_of_best(const Ladder* ladder, int count) noexcept nogil:
    cdef double total = 0.0
    cdef int index
    cdef int last = ladder.count - count if ladder.count > count else 0
    for index in range(last, ladder.count):
        total += <double> ladder.levels[index].steps
    return total


cdef class Book:
    def __init__(self, str tick not None, str step not None):
        self.tick_units, self.tick_decimals = grid_of(tick, "tick")
        self.step_units, self.step_decimals = grid_of(step, "step")
        self.tick_scale = 10.0**self.tick_decimals
        self.step_scale = 10.0**self.step_decimals
        self.tick = self.tick_units / self.tick_scale
        self.step = self.step_units / self.step_scale
        self.dropped = 0
        self.reset()

    cdef void apply_level(self, int side, int64_t ticks, int64_t steps) noexcept nogil:
        if side > 0:
            self.dropped += put(&self.bids, 1, position(&self.bids, 1, ticks, self.bids.count), ticks, steps)
        else:
            self.dropped += put(&self.asks, -1, position(&self.asks, -1, ticks, self.asks.count), ticks, steps)

    cdef void apply_side(self, int side, const Level* levels, int64_t count) noexcept nogil:
        """Set the sizes of several levels of a side, in their order."""
        if side > 0:
            self.dropped += put_all(&self.bids, 1, levels, count)
        else:
            self.dropped += put_all(&self.asks, -1, levels, count)

    cdef void load_side(self, int side, const Level* levels, int64_t count) noexcept nogil:
        """Replace a side; levels in any order, but best first without zeros is copied at once."""
        cdef int sign = 1 if side > 0 else -1
        cdef Ladder* ladder = &self.bids if side > 0 else &self.asks
        cdef int64_t kept = count if count < DEPTH_CAPACITY else DEPTH_CAPACITY
        cdef int64_t index
        cdef bint best_first = True
        ladder.count = 0
        for index in range(count):
            if levels[index].steps <= 0 or (
                index > 0 and sign * levels[index].ticks >= sign * levels[index - 1].ticks
            ):
                best_first = False
                break
        if not best_first:
            self.apply_side(side, levels, count)
            return
        for index in range(kept):
            ladder.levels[kept - 1 - index] = levels[index]
        ladder.count = <int> kept
        self.dropped += count - kept

    cdef void reset(self) noexcept nogil:
        self.bids.count = 0
        self.asks.count = 0
        self.update_id = 0

    cdef bint is_crossed(self) noexcept nogil:
        return (
            self.bids.count > 0
            and self.asks.count > 0
            and self.bids.levels[self.bids.count - 1].ticks
            >= self.asks.levels[self.asks.count - 1].ticks
        )

    cdef int64_t steps_at(self, int side, int64_t ticks) noexcept nogil:
        cdef const Ladder* ladder = &self.bids if side > 0 else &self.asks
        cdef int at = position(ladder, 1 if side > 0 else -1, ticks, ladder.count)
        if at < ladder.count and ladder.levels[at].ticks == ticks:
            return ladder.levels[at].steps
        return 0

    # Dividing two exact doubles rounds once: the result is the double nearest to the decimal.
    cdef double price_of(self, int64_t ticks) noexcept nogil:
        return <double> ticks * self.tick_units / self.tick_scale

    cdef double quantity_of(self, int64_t steps) noexcept nogil:
        return <double> steps * self.step_units / self.step_scale

    cdef double imbalance_of(self, int levels) noexcept nogil:
        cdef double bid_steps, ask_steps
        if self.bids.count == 0 or self.asks.count == 0:
            return 0.0
        bid_steps = steps_of_best(&self.bids, levels)
        ask_steps = steps_of_best(&self.asks, levels)
        return (bid_steps - ask_steps) / (bid_steps + ask_steps)

    @property
    def bid_ticks(self):
        return self.bids.levels[self.bids.count - 1].ticks if self.bids.count else 0

    @property
    def bid_steps(self):
        return self.bids.levels[self.bids.count - 1].steps if self.bids.count else 0

    @property
    def ask_ticks(self):
        return self.asks.levels[self.asks.count - 1].ticks if self.asks.count else 0

    @property
    def ask_steps(self):
        return self.asks.levels[self.asks.count - 1].steps if self.asks.count else 0

    @property
    def bid(self):
        if self.bids.count == 0:
            return NAN
        return self.price_of(self.bids.levels[self.bids.count - 1].ticks)

    @property
    def bid_quantity(self):
        if self.bids.count == 0:
            return NAN
        return self.quantity_of(self.bids.levels[self.bids.count - 1].steps)

    @property
    def ask(self):
        if self.asks.count == 0:
            return NAN
        return self.price_of(self.asks.levels[self.asks.count - 1].ticks)

    @property
    def ask_quantity(self):
        if self.asks.count == 0:
            return NAN
        return self.quantity_of(self.asks.levels[self.asks.count - 1].steps)

    @property
    def mid(self):
        if self.is_empty:
            return NAN
        return (self.bid + self.ask) / 2.0

    @property
    def microprice(self):
        if self.is_empty:
            return NAN
        cdef double bid_steps = best(&self.bids, False)
        cdef double ask_steps = best(&self.asks, False)
        return (self.bid * ask_steps + self.ask * bid_steps) / (bid_steps + ask_steps)

    @property
    def spread_bps(self):
        if self.is_empty:
            return NAN
        cdef double bid_ticks = best(&self.bids, True)
        cdef double ask_ticks = best(&self.asks, True)
        return (ask_ticks - bid_ticks) / (ask_ticks + bid_ticks) * 2e4

    @property
    def crossed(self):
        return self.is_crossed()

    @property
    def is_empty(self):
        return self.bids.count == 0 or self.asks.count == 0

    def imbalance(self, int levels):
        if levels < 1:
            raise ValueError(f"levels must be at least 1, got {levels}")
        return self.imbalance_of(levels)

    def levels(self, int side, int count):
        check_side(side)
        cdef const Ladder* ladder = &self.bids if side > 0 else &self.asks
        cdef int index
        cdef int last = ladder.count - count if count < ladder.count else 0
        if count <= 0:
            return []
        return [
            (ladder.levels[index].ticks, ladder.levels[index].steps)
            for index in range(ladder.count - 1, last - 1, -1)
        ]

    def quantity_at(self, int side, int64_t ticks):
        check_side(side)
        return self.steps_at(side, ticks)

    def depth(self, int side):
        check_side(side)
        return self.bids.count if side > 0 else self.asks.count

    def apply(self, int side, int64_t ticks, int64_t steps):
        check_side(side)
        if ticks <= 0 or steps < 0:
            raise ValueError(
                f"ticks must be positive and steps not negative, got {ticks} and {steps}"
            )
        self.apply_level(side, ticks, steps)

    def clear(self):
        self.reset()

    def copy_from(self, Book other not None):
        if (
            other.tick_units != self.tick_units
            or other.tick_decimals != self.tick_decimals
            or other.step_units != self.step_units
            or other.step_decimals != self.step_decimals
        ):
            raise ValueError(
                f"the books have different grids: tick {self.tick} and {other.tick},"
                f" step {self.step} and {other.step}"
            )
        memcpy(self.bids.levels, other.bids.levels, other.bids.count * sizeof(Level))
        memcpy(self.asks.levels, other.asks.levels, other.asks.count * sizeof(Level))
        self.bids.count = other.bids.count
        self.asks.count = other.asks.count
        self.update_id = other.update_id
        self.dropped = other.dropped


cdef int check_side(int side) except -1:
    if side != 1 and side != -1:
        raise ValueError(f"side must be +1 (bids) or -1 (asks), got {side}")
    return 0
