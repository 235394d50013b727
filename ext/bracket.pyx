# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One entry's bracket decided in one call: distances, fees, joint solve, size, grid, buffer.

Prices and sums are USDT, quantities base units, fees and moves plain fractions of price; what
leaves is whole ticks and steps of the instrument's grid.
"""

cimport cython
from libc.math cimport fabs, fmax, fmin, isfinite, sqrt

from hfengine.kernels.liquidation cimport (
    RiskTiers, buffer_usdt, cross_price, isolated_price, largest_notional, stop_is_safe
)
from hfengine.kernels.sizing cimport (
    Grid, Sizer, break_even_win_rate, expected_edge, grid_of, on_grid, whole_steps
)

cdef enum:
    C_PERCENT, C_ATR, C_FORECAST
cdef enum:
    G_NONE, G_ATR, G_FEE_EDGE, G_BREAK_EVEN, G_STOP_SIDE, G_TARGET_SIDE, G_TIER
    G_LIQUIDATION_BUFFER, G_STOP_NEAR, G_SIZE

PERCENT, ATR, FORECAST = range(3)
GATES = (
    "", "atr", "fee_edge", "break_even_win_rate", "stop_side", "target_side", "tier",
    "liquidation_buffer", "liquidation_buffer", "size",
)
DETAILS = (
    "", "not enough bars yet", "", "", "the stop would trigger at once",
    "the target would trigger at once", "", "", "stop too near liquidation", "",
)


@cython.final
cdef class Bracket:
    """Plan the brackets of one symbol under one profile. See the stub for units and ranges."""

    def __init__(
        self, int rule, RiskTiers tiers not None, double tick, double step, double quantity_min,
        double quantity_max, double notional_min_usdt, double taker_fee, double slippage,
        int distance, double stop_share, double target_share, double buffer_fraction,
        double buffer_sigma, double reaction_s, bint strict, double break_even_max, tuple sizing
    ):
        if not (tick > 0.0 and step > 0.0 and isfinite(tick) and isfinite(step)):
            raise ValueError(f"tick {tick} and step {step} must be positive and finite")
        if distance < C_PERCENT or distance > C_FORECAST:
            raise ValueError(f"distance {distance} is none of PERCENT, ATR, FORECAST")
        if not (stop_share >= 0.0 and target_share >= 0.0):
            raise ValueError(f"stop {stop_share} and target {target_share} must not be negative")
        if len(sizing) != 8:
            raise ValueError(f"sizing holds the Sizer's arguments but leverage: 8, not {len(sizing)}")
        self.rule = rule
        self.tiers = tiers
        self.price_grid = grid_of(tick)
        self.quantity_grid = grid_of(step)
        self.quantity_min = quantity_min
        self.quantity_max = quantity_max
        self.notional_min_usdt = notional_min_usdt
        self.taker_fee = taker_fee
        self.slippage = slippage
        self.distance = distance
        self.stop_share = stop_share
        self.target_share = target_share
        self.buffer_fraction = buffer_fraction
        self.sigmas = buffer_sigma * sqrt(reaction_s)
        self.strict = strict
        self.break_even_max = break_even_max
        self.sizing = sizing

    cdef int refuse(self, int gate, double measured, double threshold) noexcept nogil:
        self.gate = gate
        self.measured = measured
        self.threshold = threshold
        return gate

    cdef double down(self, double price_usdt) noexcept nogil:
        return whole_steps(&self.price_grid, price_usdt)

    cdef double up(self, double price_usdt) noexcept nogil:
        cdef double ticks = whole_steps(&self.price_grid, price_usdt)
        return ticks if on_grid(&self.price_grid, ticks) >= price_usdt else ticks + 1.0

    def plan(
        self, int side, double bid, double ask, double forecast, double drift,
        double volatility, double atr, int leverage, bint cross, double equity_usdt,
        double wallet_usdt, double free_margin_usdt, double maintenance_usdt,
        double exposure_usdt, double funding
    ):
        cdef double price = ask if side > 0 else bid
        cdef double stop_distance, target_distance, target_ticks, worst
        if side != 1 and side != -1:
            raise ValueError(f"side must be +1 (long) or -1 (short), not {side}")
        if not (bid > 0.0 and ask >= bid and isfinite(ask)):
            raise ValueError(f"bid {bid} and ask {ask} must be positive prices in order")
        self.price = price
        self.half_spread = 0.5 * (ask - bid)
        self.k_sigma = self.sigmas * volatility * price
        self.gate = G_NONE
        if self.distance == C_PERCENT:
            stop_distance = price * self.stop_share
            target_distance = price * self.target_share
        elif self.distance == C_ATR:
            if not (isfinite(atr) and atr > 0.0):
                return self.refuse(G_ATR, 0.0, 0.0)
            stop_distance = atr * self.stop_share
            target_distance = atr * self.target_share
        else:
            stop_distance = fabs(forecast - price)
            target_distance = stop_distance * self.target_share
            stop_distance *= self.stop_share
        if self.fees(drift, stop_distance, target_distance, funding) != G_NONE:
            return self.gate
        # the stop rounds towards the position, the target too
        if price - side * stop_distance <= 0.0:
            return self.refuse(G_STOP_SIDE, price - side * stop_distance, bid)
        if price + side * target_distance <= 0.0:
            return self.refuse(G_TARGET_SIDE, price + side * target_distance, price)
        if side > 0:
            self.stop_ticks_exact = self.up(price - stop_distance)
            target_ticks = self.down(price + target_distance)
        else:
            self.stop_ticks_exact = self.down(price + stop_distance)
            target_ticks = self.up(price - target_distance)
        self.stop_usdt = on_grid(&self.price_grid, self.stop_ticks_exact)
        if side * ((bid if side > 0 else ask) - self.stop_usdt) <= 0.0:
            return self.refuse(G_STOP_SIDE, self.stop_usdt, bid if side > 0 else ask)
        if side * (on_grid(&self.price_grid, target_ticks) - price) <= 0.0:
            return self.refuse(G_TARGET_SIDE, on_grid(&self.price_grid, target_ticks), price)
        if self.solve(side, leverage, equity_usdt, free_margin_usdt, exposure_usdt) != G_NONE:
            return self.gate
        if self.prove(side, leverage, cross, wallet_usdt, maintenance_usdt) != G_NONE:
            return self.gate
        worst = price * (1.0 + side * self.slippage) + side * self.price_grid.step
        self.price_ticks = <long long>(self.down(worst) if side > 0 else self.up(worst))
        self.stop_ticks = <long long>self.stop_ticks_exact
        self.target_ticks = <long long>target_ticks
        return G_NONE

    cdef int fees(
        self, double drift, double stop_distance, double target_distance, double funding
    ) except -1:
        """Look at the two fee gates; only a strict one refuses."""
        cdef double price = self.price
        cdef double round_trip = 2.0 * self.taker_fee
        self.edge = expected_edge(
            fabs(drift), round_trip, self.half_spread / price, 2.0 * self.slippage, funding)
        self.break_even = break_even_win_rate(
            target_distance / price, stop_distance / price, round_trip)
        self.edge_failed = not self.edge > 0.0
        self.rate_failed = not self.break_even <= self.break_even_max
        if self.strict and self.edge_failed:
            return self.refuse(G_FEE_EDGE, self.edge, 0.0)
        if self.strict and self.rate_failed:
            return self.refuse(G_BREAK_EVEN, self.break_even, self.break_even_max)
        return G_NONE

    cdef int solve(
        self, int side, int leverage, double equity, double free_margin, double exposure
    ) except -1:
        """Find the size: tier, joint solve of leverage and buffer, mode, caps, venue limits."""
        cdef double tier_max = self.tiers.max_notional_usdt(leverage)
        cdef double buffer_max
        if tier_max <= 0.0:
            return self.refuse(G_TIER, leverage, self.tiers.rows[0].max_leverage)
        buffer_max = largest_notional(
            self.rule, side, self.price, self.stop_usdt, leverage, self.tiers,
            self.buffer_fraction, self.taker_fee, self.half_spread, self.slippage, self.k_sigma,
            self.taker_fee, tier_max)
        if buffer_max <= 0.0:
            return self.refuse(G_STOP_NEAR, self.stop_usdt, isolated_price(
                self.rule, side, self.quantity_min, self.price, leverage, self.tiers, 0.0,
                self.taker_fee))
        if self.sizer is None or self.sizer.leverage != leverage:
            mode, fraction, fixed, *caps = self.sizing
            self.sizer = Sizer(mode, fraction, fixed, leverage, *caps)
        self.quantity_steps = self.sizer.size(
            self.price, equity, free_margin, exposure, fabs(self.price - self.stop_usdt),
            2.0 * self.taker_fee, tier_max, buffer_max, self.quantity_grid.step,
            self.quantity_min, self.quantity_max, self.notional_min_usdt)
        self.binding = self.sizer.binding
        self.limiting = self.sizer.limiting
        if self.quantity_steps <= 0:
            return self.refuse(
                G_SIZE, self.sizer.uncapped_notional_usdt, self.notional_min_usdt)
        return G_NONE

    cdef int prove(
        self, int side, int leverage, bint cross, double wallet, double maintenance
    ) except -1:
        """Prove the buffer at the final size; in cross margin by the nearer of two prices."""
        cdef double quantity = on_grid(&self.quantity_grid, <double>self.quantity_steps)
        cdef double notional = quantity * self.price
        cdef double shared, buffer
        self.liquidation = isolated_price(
            self.rule, side, quantity, self.price, leverage, self.tiers, 0.0, self.taker_fee)
        if cross:
            shared = cross_price(
                side, quantity, self.price, wallet, self.tiers.maintenance_rate(notional),
                self.tiers.deduction_usdt(notional), maintenance)
            self.liquidation = (
                fmax(self.liquidation, shared) if side > 0 else fmin(self.liquidation, shared))
        buffer = buffer_usdt(
            self.price, self.liquidation, self.buffer_fraction, self.taker_fee, self.half_spread,
            self.slippage, self.k_sigma)
        if not stop_is_safe(side, self.stop_usdt, self.liquidation, buffer):
            return self.refuse(
                G_LIQUIDATION_BUFFER, fabs(self.stop_usdt - self.liquidation), buffer)
        return G_NONE
