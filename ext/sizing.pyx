# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Position size: one mode, every cap at once, whole steps; and what a trade must earn.

Margin is what the position ties up, notional what it is worth: notional = margin * leverage.
Prices, margins and notionals are USDT, quantities base units, fees and fractions plain.
"""

cimport cython
from libc.math cimport INFINITY, floor, fma, fmax, fmin, isfinite, isinf, isnan, rint

cdef enum:
    C_KELLY_FRACTION, C_RISK_PER_TRADE, C_FIXED_MARGIN

cdef enum:
    C_MODE, C_SHARE_OF_EQUITY, C_TRADE_NOTIONAL, C_EXPOSURE, C_FREE_MARGIN
    C_CAPITAL_TIMES_LEVERAGE, C_TIER, C_LIQUIDATION_BUFFER, C_VENUE_MAXIMUM, C_VENUE_MINIMUM

KELLY_FRACTION, RISK_PER_TRADE, FIXED_MARGIN = range(3)
BINDINGS = (
    "mode", "share_of_equity", "trade_notional", "exposure", "free_margin",
    "capital_times_leverage", "tier", "liquidation_buffer", "venue_maximum", "venue_minimum",
)

# Above this, doubles no longer tell neighbouring integers apart.
cdef double EXACT_MAX = 9007199254740992.0
# A cap and a price are decimals held as doubles: their quotient is right to a few units in the
# last place. This much is representation, not size; without it an exact fit loses a step.
cdef double REPRESENTATION = 1e-15
# A double can hold these powers of ten exactly, so one division by them is correctly rounded.
cdef double[23] POWERS_OF_TEN
cdef int _power
POWERS_OF_TEN[0] = 1.0
for _power in range(1, 23):
    POWERS_OF_TEN[_power] = POWERS_OF_TEN[_power - 1] * 10.0


cdef Grid grid_of(double step) noexcept nogil:
    cdef Grid grid
    cdef int places
    cdef double units
    grid.step = step
    grid.units = 0.0
    grid.scale = 1.0
    for places in range(23):
        units = rint(step * POWERS_OF_TEN[places])
        if units >= EXACT_MAX:
            break
        if units > 0.0 and units / POWERS_OF_TEN[places] == step:
            grid.units = units
            grid.scale = POWERS_OF_TEN[places]
            break
    return grid


cdef double on_grid(Grid* grid, double steps) noexcept nogil:
    """Return the double nearest to steps * step, the step taken as its decimal."""
    if grid.units > 0.0 and steps * grid.units < EXACT_MAX:
        return steps * grid.units / grid.scale
    return steps * grid.step


cdef bint fits(Grid* grid, double steps, double quantity) noexcept nogil:
    """Tell whether steps * step <= quantity, exactly."""
    cdef double product = on_grid(grid, steps)
    if grid.units > 0.0 and steps * grid.units < EXACT_MAX:
        return product <= quantity
    return product < quantity or (
        product == quantity and fma(steps, grid.step, -product) <= 0.0)


cdef double whole_steps(Grid* grid, double quantity) noexcept nogil:
    """Return the largest whole number of steps in quantity; negative where it is not exact."""
    cdef double steps = floor(quantity / grid.step)
    if not steps < EXACT_MAX - 2.0:
        return -1.0
    while fits(grid, steps + 1.0, quantity):
        steps += 1.0
    while steps > 0.0 and not fits(grid, steps, quantity):
        steps -= 1.0
    return steps


cpdef long long floor_steps(double quantity, double step) except? -1:
    """Return the largest n with n * step <= quantity, both taken as the decimals they print as.

    So 0.3 holds three steps of 0.1 and 0.29999999999999993 holds two. Exact while n * step has
    at most 15 digits; beyond, and for a step that is no short decimal, the binary values are
    compared exactly. Raises ValueError for a quantity that is negative or not finite or a step
    that is not positive, OverflowError from 2^53 steps on.
    """
    cdef Grid grid
    cdef double steps
    if not (quantity >= 0.0 and isfinite(quantity)):
        raise ValueError(f"quantity must be finite and not negative, not {quantity}")
    if not (step > 0.0 and isfinite(step)):
        raise ValueError(f"quantity step must be positive and finite, not {step}")
    grid = grid_of(step)
    steps = whole_steps(&grid, quantity)
    if steps < 0.0:
        raise OverflowError(f"{quantity} is more than 2^53 steps of {step}")
    return <long long>steps


cdef int check_cap(str name, double limit) except -1:
    if not limit > 0.0:
        raise ValueError(f"{name} must be positive (inf switches the cap off), not {limit}")
    return 0


@cython.final
cdef class Sizer:
    """Size entries by one mode under the caps of a profile.

    Modes, as notional before caps: KELLY_FRACTION balance * fraction * leverage; RISK_PER_TRADE
    price * balance * fraction / (stop distance + price * round-trip fee); FIXED_MARGIN
    fixed_margin_usdt * leverage. `fraction` lies in (0, 1] and is unused by FIXED_MARGIN.
    Caps, inf for off: `share_of_equity_max` in (0, 1], of the balance, on margin;
    `trade_notional_max_usdt` and `exposure_max_usdt` (over all positions) on notional;
    `capital_usdt` * leverage on notional. `free_margin_reserve` in [0, 1) is the part of the free
    margin no entry may touch. Raises ValueError for anything else.
    """

    def __init__(
        self, int mode, double fraction, double fixed_margin_usdt, double leverage,
        double share_of_equity_max, double trade_notional_max_usdt, double exposure_max_usdt,
        double capital_usdt, double free_margin_reserve
    ):
        if mode < C_KELLY_FRACTION or mode > C_FIXED_MARGIN:
            raise ValueError(f"sizing mode {mode} is unknown: use KELLY_FRACTION, ...")
        if mode != C_FIXED_MARGIN and not 0.0 < fraction <= 1.0:
            raise ValueError(f"fraction must lie in (0, 1], not {fraction}")
        if mode == C_FIXED_MARGIN and not (fixed_margin_usdt > 0.0 and isfinite(fixed_margin_usdt)):
            raise ValueError(f"fixed_margin_usdt must be positive, not {fixed_margin_usdt}")
        if not (leverage > 0.0 and isfinite(leverage)):
            raise ValueError(f"leverage must be positive and finite, not {leverage}")
        check_cap("share_of_equity_max", share_of_equity_max)
        check_cap("trade_notional_max_usdt", trade_notional_max_usdt)
        check_cap("exposure_max_usdt", exposure_max_usdt)
        check_cap("capital_usdt", capital_usdt)
        if 1.0 < share_of_equity_max < INFINITY:
            raise ValueError(f"share_of_equity_max must be at most 1, not {share_of_equity_max}")
        if not 0.0 <= free_margin_reserve < 1.0:
            raise ValueError(f"free_margin_reserve must lie in [0, 1), not {free_margin_reserve}")
        self.mode = mode
        self.fraction = fraction
        self.fixed_margin_usdt = fixed_margin_usdt
        self.leverage = leverage
        self.share_of_equity_max = share_of_equity_max
        self.trade_notional_max_usdt = trade_notional_max_usdt
        self.exposure_max_usdt = exposure_max_usdt
        self.capital_usdt = capital_usdt
        self.free_margin_reserve = free_margin_reserve
        self.limiting = C_MODE
        self.refuse()

    cpdef long long size(
        self, double price_usdt, double balance_usdt, double free_margin_usdt,
        double exposure_usdt, double stop_distance_usdt, double fee_round_trip,
        double tier_notional_max_usdt, double buffer_notional_max_usdt, double quantity_step,
        double quantity_min, double quantity_max, double notional_min_usdt
    ) except? -1:
        """Return the size in whole steps, never rounded up; 0 is a refusal.

        The smallest of the mode and every cap: free margin leaves room for the opening fee
        (notional / leverage + notional * fee_round_trip / 2 <= free margin * (1 - reserve)),
        exposure_usdt is the notional already open, tier_notional_max_usdt and
        buffer_notional_max_usdt come from the `liquidation` kernel (inf for none), the last four
        are the venue's (quantity_max inf for none). stop_distance_usdt counts in RISK_PER_TRADE
        only. A cap at or below 0 refuses. The attributes then hold the result: quantity_steps,
        quantity, notional_usdt, margin_usdt, uncapped_notional_usdt (the mode's own),
        binding (index into BINDINGS; "venue_minimum" for a refusal) and limiting (the binding cap
        even where the size it left was refused). On equal caps the first in BINDINGS binds.
        After an error they say refused.

        Raises ValueError for a price, step or stop distance that is not positive, a negative fee
        or venue limit, or NaN anywhere; OverflowError from 2^53 steps on.
        """
        cdef double[9] caps
        cdef double bound, steps
        cdef Grid grid
        cdef int i
        self.refuse()
        if not (price_usdt > 0.0 and isfinite(price_usdt)):
            raise ValueError(f"price_usdt must be positive and finite, not {price_usdt}")
        if not (quantity_step > 0.0 and isfinite(quantity_step)):
            raise ValueError(f"quantity_step must be positive and finite, not {quantity_step}")
        if self.mode == C_RISK_PER_TRADE and not stop_distance_usdt > 0.0:
            raise ValueError(f"stop_distance_usdt must be positive, not {stop_distance_usdt}")
        if not (fee_round_trip >= 0.0 and quantity_min >= 0.0 and notional_min_usdt >= 0.0):
            raise ValueError(
                f"fee_round_trip {fee_round_trip}, quantity_min {quantity_min} and "
                f"notional_min_usdt {notional_min_usdt} must not be negative")
        self.fill_caps(
            caps, price_usdt, balance_usdt, free_margin_usdt, exposure_usdt, stop_distance_usdt,
            fee_round_trip)
        caps[C_TIER] = tier_notional_max_usdt
        caps[C_LIQUIDATION_BUFFER] = buffer_notional_max_usdt
        caps[C_VENUE_MAXIMUM] = quantity_max * price_usdt
        self.limiting = C_MODE
        for i in range(9):
            if isnan(caps[i]):
                raise ValueError(f"the limit {BINDINGS[i]} is not a number: an input is NaN")
            if caps[i] < caps[self.limiting]:
                self.limiting = i
        bound = fmax(0.0, caps[self.limiting])
        grid = grid_of(quantity_step)
        steps = whole_steps(
            &grid,
            fmax(0.0, fmin(bound / price_usdt * (1.0 + REPRESENTATION), quantity_max)))
        if steps < 0.0:
            raise OverflowError(f"{bound} USDT is more than 2^53 steps of {quantity_step}")
        self.settle(&grid, steps, bound, price_usdt, quantity_min, notional_min_usdt)
        self.uncapped_notional_usdt = caps[C_MODE]
        return self.quantity_steps

    cdef void refuse(self) noexcept nogil:
        self.binding = C_VENUE_MINIMUM
        self.quantity_steps = 0
        self.quantity = 0.0
        self.notional_usdt = 0.0
        self.margin_usdt = 0.0

    cdef void fill_caps(
        self, double* caps, double price_usdt, double balance_usdt, double free_margin_usdt,
        double exposure_usdt, double stop_distance_usdt, double fee_round_trip
    ) noexcept nogil:
        if self.mode == C_KELLY_FRACTION:
            caps[C_MODE] = balance_usdt * self.fraction * self.leverage
        elif self.mode == C_RISK_PER_TRADE:
            caps[C_MODE] = price_usdt * balance_usdt * self.fraction / (
                stop_distance_usdt + price_usdt * fee_round_trip)
        else:
            caps[C_MODE] = self.fixed_margin_usdt * self.leverage
        caps[C_SHARE_OF_EQUITY] = INFINITY
        if not isinf(self.share_of_equity_max):
            caps[C_SHARE_OF_EQUITY] = balance_usdt * self.share_of_equity_max * self.leverage
        caps[C_TRADE_NOTIONAL] = self.trade_notional_max_usdt
        caps[C_EXPOSURE] = self.exposure_max_usdt - exposure_usdt
        caps[C_FREE_MARGIN] = free_margin_usdt * (1.0 - self.free_margin_reserve) / (
            1.0 / self.leverage + fee_round_trip / 2.0)
        caps[C_CAPITAL_TIMES_LEVERAGE] = self.capital_usdt * self.leverage

    cdef void settle(
        self, Grid* grid, double steps, double bound_usdt, double price_usdt,
        double quantity_min, double notional_min_usdt
    ) noexcept nogil:
        cdef double quantity = on_grid(grid, steps)
        # An exact fit may multiply out an ulp above its cap; what is reported obeys the cap.
        cdef double notional_usdt = fmin(quantity * price_usdt, bound_usdt)
        if (steps == 0.0 or quantity < quantity_min
                or notional_usdt * (1.0 + REPRESENTATION) < notional_min_usdt):
            self.refuse()
            return
        self.binding = self.limiting
        self.quantity_steps = <long long>steps
        self.quantity = quantity
        self.notional_usdt = notional_usdt
        self.margin_usdt = notional_usdt / self.leverage


cpdef double break_even_win_rate(
    double take_profit, double stop_loss, double round_trip_fee
) except? -1:
    """Return the share of wins at which a bracket earns nothing: (stop + fees) / (target + stop).

    All three are fractions of the entry price. Above 1 where fees exceed the target; inf where
    target + stop is not positive. Raises ValueError for NaN.
    """
    if isnan(take_profit + stop_loss + round_trip_fee):
        raise ValueError(
            f"take_profit {take_profit}, stop_loss {stop_loss} and round_trip_fee "
            f"{round_trip_fee} must be numbers")
    if take_profit + stop_loss <= 0.0:
        return INFINITY
    return (stop_loss + round_trip_fee) / (take_profit + stop_loss)


cpdef double expected_edge(
    double forecast_move, double round_trip_fee, double half_spread, double slippage,
    double funding
) noexcept nogil:
    """Return what is left of a forecast move after its costs, as a fraction of price.

    `forecast_move` is signed towards the position (positive is profit), `funding` is what the
    position pays while held (negative where it receives). NaN if any of them is.
    """
    return forecast_move - round_trip_fee - half_spread - slippage - funding
