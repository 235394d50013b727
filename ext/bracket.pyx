# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One entry's bracket decided in one call: distances, fees, joint solve, size, grid, buffer.

Prices and sums are USDT, quantities base units, fees and moves plain fractions of price; what
leaves is whole ticks and steps of the instrument's grid. `open` reads the messages by the places
of their fields and builds the next one: it lies between every signal and its order.
"""

cimport cython
from cpython.object cimport PyTypeObject, Py_TYPE
from cpython.ref cimport PyObject
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport INFINITY, copysign, fabs, fmax, fmin, isfinite, sqrt

from decimal import Decimal

from hfengine.kernels.grid cimport Grid as WrittenGrid
from hfengine.kernels.liquidation cimport (
    RiskTiers, buffer_usdt, cross_price, isolated_price, largest_notional, stop_is_safe
)
from hfengine.kernels.sizing cimport (
    Grid, Sizer, break_even_win_rate, expected_edge, grid_of, on_grid, whole_steps
)
from hfengine.kernels.sizing import BINDINGS
from hfengine.kernels.slots cimport field_at, place_of_field

cdef extern from "Python.h":
    object PyObject_Vectorcall(
        object callable, PyObject** arguments, size_t count, PyObject* names)
    bint PyFloat_CheckExact(PyObject* number)
    double PyFloat_AS_DOUBLE(PyObject* number)
    double PyFloat_AsDouble(PyObject* number) except? -1.0
    bint PyLong_CheckExact(PyObject* number)
    long long PyLong_AsLongLongAndOverflow(PyObject* number, int* overflow) except? -1

cdef enum:
    C_PERCENT, C_ATR, C_FORECAST
cdef enum:
    G_NONE, G_ATR, G_FEE_EDGE, G_BREAK_EVEN, G_STOP_SIDE, G_TARGET_SIDE, G_TIER
    G_LIQUIDATION_BUFFER, G_STOP_NEAR, G_SIZE, G_CHASE
cdef enum:
    E_SIGNAL_ID, E_SYMBOL, E_AT_NS, E_TICK_NS, E_SIDE, E_BID, E_ASK, E_FORECAST, E_DRIFT
    E_CONFIDENCE, E_HALF_LIFE_S, E_VOLATILITY, E_ATR
cdef enum:
    P_AT_NS, P_GOT, P_MARGIN_MODE
cdef enum:
    M_FUNDING_RATE, M_NEXT_FUNDING_NS
cdef enum:
    A_EQUITY, A_WALLET, A_FREE_MARGIN, A_MAINTENANCE, A_EXPOSURE, A_COUNT

PERCENT, ATR, FORECAST = range(3)
GATES = (
    "", "atr", "fee_edge", "break_even_win_rate", "stop_side", "target_side", "tier",
    "liquidation_buffer", "liquidation_buffer", "size", "liquidation_buffer",
)
DETAILS = (
    "", "not enough bars yet", "", "", "the stop would trigger at once",
    "the target would trigger at once", "", "", "stop too near liquidation", "",
    "after the longest chase of the entry",
)
# in the order of the enums above; the messages themselves are handed to `prepare`
ENTRY_FIELDS = (
    "signal_id", "symbol", "at_ns", "tick_ns", "side", "bid", "ask", "forecast", "drift",
    "confidence", "half_life_s", "volatility", "atr",
)
PROOF_FIELDS = ("at_ns", "got", "margin_mode")
MARK_FIELDS = ("funding_rate", "next_funding_ns")
# up to here a double tells neighbouring integers apart
cdef double EXACT_MAX = 9007199254740992.0
# differences of two times under this many nanoseconds stay in a long long
cdef long long TIME_MAX = 1LL << 62


cdef inline double as_double(PyObject* number) except? -1.0:
    if PyFloat_CheckExact(number):
        return PyFloat_AS_DOUBLE(number)
    return PyFloat_AsDouble(number)


cdef int find_places(object message_class, tuple names, unsigned short* places) except -1:
    cdef Py_ssize_t place
    for i, name in enumerate(names):
        place = place_of_field(message_class, name)
        if not 0 < place < 65536:
            raise TypeError(f"{message_class.__name__}.{name} is no slot of a struct")
        places[i] = <unsigned short>place
    return 0


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

    def prepare(
        self, entry_class not None, proof_class not None, mark_class not None,
        bracket_class not None, tick not None, step not None, double exposure_cap_usdt,
        double chase
    ):
        find_places(entry_class, ENTRY_FIELDS, self.entry_at)
        find_places(proof_class, PROOF_FIELDS, self.proof_at)
        find_places(mark_class, MARK_FIELDS, self.mark_at)
        self.entry_class = entry_class
        self.proof_class = proof_class
        self.mark_class = mark_class
        self.bracket_class = bracket_class
        self.tick = tick
        self.step = step
        try:
            self.written_ticks = WrittenGrid(f"{tick:f}")
            self.written_steps = WrittenGrid(f"{step:f}")
        except ValueError:
            # no venue's grid is so fine: an order on it is refused where it is written
            self.written_ticks = self.written_steps = None
        self.bindings = BINDINGS
        self.exposure_cap_usdt = exposure_cap_usdt
        self.chase = chase
        self.grid_is_exact = (
            self.price_grid.units > 0.0
            and Decimal(self.price_grid.units) == tick * Decimal(self.price_grid.scale))

    def plan(
        self, int side, double bid, double ask, double forecast, double drift,
        double volatility, double atr, int leverage, bint cross, double equity_usdt,
        double wallet_usdt, double free_margin_usdt, double maintenance_usdt,
        double exposure_usdt, double funding
    ):
        return self.decide(
            side, bid, ask, forecast, drift, volatility, atr, leverage, cross, equity_usdt,
            wallet_usdt, free_margin_usdt, maintenance_usdt, exposure_usdt, funding)

    cpdef object open(self, entry, proof, account, mark, intents):
        cdef int side
        cdef double ask, drift, exposure
        if (Py_TYPE(entry) != <PyTypeObject*><PyObject*>self.entry_class
                or Py_TYPE(proof) != <PyTypeObject*><PyObject*>self.proof_class
                or not PyTuple_Check(account) or PyTuple_GET_SIZE(account) != A_COUNT):
            raise TypeError("an entry, a proof and an account of the classes prepared for")
        side = <object>field_at(entry, self.entry_at[E_SIDE])
        ask = as_double(field_at(entry, self.entry_at[E_ASK]))
        exposure = as_double(<PyObject*>PyTuple_GET_ITEM(account, A_EXPOSURE))
        if side > 0 and self.exposure_cap_usdt != INFINITY:
            exposure = self.exposure_at_limit(exposure, ask)
        # slippage is paid both ways, the chase but once
        drift = as_double(field_at(entry, self.entry_at[E_DRIFT]))
        if self.decide(
            side,
            as_double(field_at(entry, self.entry_at[E_BID])),
            ask,
            as_double(field_at(entry, self.entry_at[E_FORECAST])),
            drift + copysign(self.chase, drift),
            as_double(field_at(entry, self.entry_at[E_VOLATILITY])),
            as_double(field_at(entry, self.entry_at[E_ATR])),
            <object>field_at(proof, self.proof_at[P_GOT]),
            <object>field_at(proof, self.proof_at[P_MARGIN_MODE]) == "cross",
            as_double(<PyObject*>PyTuple_GET_ITEM(account, A_EQUITY)),
            as_double(<PyObject*>PyTuple_GET_ITEM(account, A_WALLET)),
            as_double(<PyObject*>PyTuple_GET_ITEM(account, A_FREE_MARGIN)),
            as_double(<PyObject*>PyTuple_GET_ITEM(account, A_MAINTENANCE)),
            exposure,
            0.0 if mark is None else self.funding(side, entry, mark),
        ) != G_NONE:
            return None
        if self.chase != 0.0 and self.prove_chase(side) != G_NONE:
            return None
        bracket = self.build(entry, proof, intents)
        return bracket, None if self.edge_failed or self.rate_failed else ()

    cdef object build(self, object entry, object proof, object intents):
        """Return the bracket decided; what entry and proof hold is passed on as it is."""
        cdef PyObject* held[17]
        number = intents.draw()
        quantity = self.step * self.quantity_steps
        price = self.tick * self.price_ticks
        stop = self.tick * self.stop_ticks
        target = self.tick * self.target_ticks
        cdef object liquidation = self.liquidation
        if self.written_steps is not None:
            # whoever writes the order counts them again
            self.written_steps.know(quantity, self.quantity_steps)
            self.written_ticks.know(price, self.price_ticks)
            self.written_ticks.know(stop, self.stop_ticks)
            self.written_ticks.know(target, self.target_ticks)
        held[0] = <PyObject*>number
        held[1] = field_at(entry, self.entry_at[E_SIGNAL_ID])
        held[2] = field_at(entry, self.entry_at[E_SYMBOL])
        held[3] = field_at(entry, self.entry_at[E_AT_NS])
        held[4] = field_at(entry, self.entry_at[E_TICK_NS])
        held[5] = field_at(entry, self.entry_at[E_SIDE])
        held[6] = <PyObject*>quantity
        held[7] = <PyObject*>price
        held[8] = <PyObject*>stop
        held[9] = <PyObject*>target
        held[10] = field_at(proof, self.proof_at[P_GOT])
        held[11] = <PyObject*>liquidation
        held[12] = field_at(proof, self.proof_at[P_AT_NS])
        held[13] = field_at(entry, self.entry_at[E_DRIFT])
        held[14] = field_at(entry, self.entry_at[E_CONFIDENCE])
        held[15] = field_at(entry, self.entry_at[E_HALF_LIFE_S])
        held[16] = <PyObject*>PyTuple_GET_ITEM(self.bindings, self.binding)
        return PyObject_Vectorcall(self.bracket_class, held, 17, NULL)

    cdef double exposure_at_limit(self, double exposure_usdt, double ask) except? -1.0:
        """Return what counts as open: the kernel sizes at the ask, a buy may fill at its limit."""
        cdef double cap_usdt = self.exposure_cap_usdt
        cdef double limit
        if ask != 0.0:
            limit = 1.0 + self.slippage + self.price_grid.step / ask
            if limit != 0.0:
                return cap_usdt - (cap_usdt - exposure_usdt) / limit
        raise ZeroDivisionError("float division by zero")

    cdef double funding(self, int side, object entry, object mark) except? -1.0:
        """Return the funding an entry would pay within two half-lives, as a fraction."""
        cdef PyObject* at_held = field_at(entry, self.entry_at[E_AT_NS])
        cdef PyObject* next_held
        cdef long long at_ns = 0, next_ns = 0
        cdef int beyond = 0, also = 0
        cdef double until_s, paid
        if Py_TYPE(mark) != <PyTypeObject*><PyObject*>self.mark_class:
            raise TypeError("a mark of the class prepared for")
        next_held = field_at(mark, self.mark_at[M_NEXT_FUNDING_NS])
        if PyLong_CheckExact(at_held) and PyLong_CheckExact(next_held):
            at_ns = PyLong_AsLongLongAndOverflow(at_held, &beyond)
            next_ns = PyLong_AsLongLongAndOverflow(next_held, &also)
        else:
            beyond = 1
        if beyond or also or not (-TIME_MAX < at_ns < TIME_MAX and -TIME_MAX < next_ns < TIME_MAX):
            until_s = (<object>next_held - <object>at_held) / 1e9
        else:
            until_s = <double>(next_ns - at_ns) / 1e9
        if not 0.0 <= until_s <= 2.0 * as_double(field_at(entry, self.entry_at[E_HALF_LIFE_S])):
            return 0.0
        paid = side * as_double(field_at(mark, self.mark_at[M_FUNDING_RATE]))
        return paid if paid > 0.0 else 0.0

    cdef int prove_chase(self, int side) except -1:
        """Refuse where the chase would bring liquidation, which moves along, into the buffer."""
        cdef double stop_usdt = self.stop_usdt
        cdef double left_usdt, least_usdt
        if not (self.grid_is_exact
                and self.stop_ticks_exact * self.price_grid.units < EXACT_MAX):
            # the grid's own double may be an ulp from the Decimal that is sent
            stop_usdt = self.tick * self.stop_ticks
        left_usdt = side * (stop_usdt - self.liquidation)
        least_usdt = (
            self.buffer_fraction * fabs(self.price - self.liquidation) + self.chase * self.price)
        if left_usdt < least_usdt:
            return self.refuse(G_CHASE, left_usdt, least_usdt)
        return G_NONE

    cdef int decide(
        self, int side, double bid, double ask, double forecast, double drift,
        double volatility, double atr, int leverage, bint cross, double equity_usdt,
        double wallet_usdt, double free_margin_usdt, double maintenance_usdt,
        double exposure_usdt, double funding
    ) except -1:
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
