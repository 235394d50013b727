# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Margin arithmetic of linear perpetuals: tiers, liquidation, the stop's buffer, breakers.

Sides are +1 (long) and -1 (short); prices and sums are USDT, quantities base units, rates and
fees plain fractions (0.004 = 0.4 %). Quantities are positive whatever the side.

A tier table defines the maintenance margin M(notional), the largest over its tiers of
`rate * notional - deduction`: continuous, convex, zero at zero. A position's equity at price p
crosses M(quantity * p) exactly once, so the bracket at the liquidation notional is unique, and
its price is the nearest to entry among the prices the brackets give one by one.
"""

cimport cython
from libc.math cimport INFINITY, fabs, fmax, fmin, isfinite, isinf, isnan
from libc.stdlib cimport calloc, free

cdef enum:
    C_BINANCE, C_BYBIT, C_BYBIT_LEGACY, C_FEE_INCLUSIVE
cdef enum:
    C_NONE, C_WARN, C_FORCE_CLOSE
BINANCE, BYBIT, BYBIT_LEGACY, FEE_INCLUSIVE = range(4)
NONE, WARN, FORCE_CLOSE = range(3)

cdef double BACK_OFF_FIRST = 1e-12
cdef double BACK_OFF_LAST = 1e-3


@cython.final
cdef class RiskTiers:
    """Hold one symbol's risk tiers, looked up at notional.

    `tiers` are (notional cap in USDT, maintenance rate, largest leverage), caps ascending; a tier
    starts where the one before ends, the first at 0. Rates lie in (0, 1) and never fall, leverages
    are positive and never rise: without that the maintenance margin is not convex and nothing
    below is proved. Deductions follow from continuity:
    `cum_n = cum_{n-1} + floor_n * (rate_n - rate_{n-1})`, which holds in the tables of Binance and
    Bybit. Raises ValueError for any other table.

    On a boundary the maintenance rate is that of the tier above, as Binance's is (the margin is
    the same in both), and the largest leverage is that of the tier below: a cap is inclusive.
    """

    def __cinit__(self, tiers):
        cdef Py_ssize_t i
        cdef double cap, rate, leverage
        cdef Tier* row
        cdef Tier* below
        table = [tuple(tier) for tier in tiers]
        if not table:
            raise ValueError("risk tiers: the table is empty")
        self.rows = <Tier*>calloc(len(table), sizeof(Tier))
        if self.rows == NULL:
            raise MemoryError()
        for i in range(len(table)):
            cap, rate, leverage = table[i]
            row = &self.rows[i]
            row.cap_usdt = cap
            row.rate = rate
            row.max_leverage = leverage
            if not (cap > 0.0 and 0.0 < rate < 1.0 and 0.0 < leverage < INFINITY):
                raise ValueError(
                    f"risk tiers: tier {i} needs a cap above 0, a maintenance rate in (0, 1) and "
                    f"a positive leverage, not {table[i]}")
            if i > 0:
                below = &self.rows[i - 1]
                if cap <= below.cap_usdt or rate < below.rate or leverage > below.max_leverage:
                    raise ValueError(
                        f"risk tiers: caps must ascend, rates not fall and leverages not rise, "
                        f"but {table[i]} follows {table[i - 1]}")
                row.floor_usdt = below.cap_usdt
                row.deduction_usdt = below.deduction_usdt + row.floor_usdt * (rate - below.rate)
            self.count += 1

    def __dealloc__(self):
        free(self.rows)

    cdef Py_ssize_t index_at(self, double notional_usdt) noexcept nogil:
        cdef Py_ssize_t i = 0
        while i + 1 < self.count and notional_usdt >= self.rows[i].cap_usdt:
            i += 1
        return i

    cdef double leverage_at(self, double notional_usdt) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(self.count):
            if notional_usdt <= self.rows[i].cap_usdt:
                return self.rows[i].max_leverage
        return 0.0

    cpdef double maintenance_rate(self, double notional_usdt) except? -1:
        """Return the maintenance rate at a notional; above the last cap, the last tier's."""
        check_notional(notional_usdt)
        return self.rows[self.index_at(notional_usdt)].rate

    cpdef double deduction_usdt(self, double notional_usdt) except? -1:
        """Return the maintenance deduction (Binance `cum`, Bybit `mmDeduction`) at a notional."""
        check_notional(notional_usdt)
        return self.rows[self.index_at(notional_usdt)].deduction_usdt

    cpdef double maintenance_usdt(self, double notional_usdt) except? -1:
        """Return the maintenance margin at a notional: notional * rate - deduction."""
        check_notional(notional_usdt)
        cdef Tier* row = &self.rows[self.index_at(notional_usdt)]
        return notional_usdt * row.rate - row.deduction_usdt

    cpdef double max_leverage(self, double notional_usdt) except? -1:
        """Return the largest leverage allowed at a notional, 0.0 above the last cap."""
        check_notional(notional_usdt)
        return self.leverage_at(notional_usdt)

    cpdef double max_notional_usdt(self, double leverage) except? -1:
        """Return the largest notional that still allows a leverage, 0.0 if no tier does."""
        cdef Py_ssize_t i = self.count - 1
        check_leverage(leverage)
        while i >= 0 and self.rows[i].max_leverage < leverage:
            i -= 1
        return self.rows[i].cap_usdt if i >= 0 else 0.0

    cpdef double max_leverage_for_margin(self, double margin_usdt) except? -1:
        """Return the largest L for which margin * L lies in a tier that allows L.

        Fractional where a cap binds; below 1 where the margin alone exceeds the last cap.
        """
        cdef Py_ssize_t i
        cdef double best = 0.0
        if not (margin_usdt > 0.0 and isfinite(margin_usdt)):
            raise ValueError(f"margin_usdt must be positive and finite, not {margin_usdt}")
        for i in range(self.count):
            best = fmax(best, fmin(self.rows[i].max_leverage, self.rows[i].cap_usdt / margin_usdt))
        return best


cdef int check_notional(double notional_usdt) except -1:
    if not notional_usdt >= 0.0:
        raise ValueError(f"notional_usdt must not be negative, not {notional_usdt}")
    return 0


cdef int check_leverage(double leverage) except -1:
    if not (leverage > 0.0 and isfinite(leverage)):
        raise ValueError(f"leverage must be positive and finite, not {leverage}")
    return 0


cdef double top_rate(RiskTiers tiers) except -1:
    if tiers is None:
        raise TypeError("tiers must be RiskTiers, not None")
    return tiers.rows[tiers.count - 1].rate


cdef int check_position(int side, double quantity, double entry_usdt, double margin_usdt) except -1:
    if side != 1 and side != -1:
        raise ValueError(f"side must be +1 (long) or -1 (short), not {side}")
    if not (quantity >= 0.0 and isfinite(quantity)):
        raise ValueError(f"quantity must be finite and not negative, not {quantity}")
    if not (entry_usdt > 0.0 and isfinite(entry_usdt)):
        raise ValueError(f"entry_usdt must be positive and finite, not {entry_usdt}")
    if not isfinite(margin_usdt):
        raise ValueError(f"margin, wallet and deduction must be finite, not {margin_usdt}")
    return 0


cdef int check_terms(Terms* terms, double rate_max) except -1:
    check_position(
        terms.side, terms.quantity, terms.entry_usdt, terms.wallet_usdt + terms.extra_usdt)
    check_leverage(terms.leverage)
    if terms.formula < C_BINANCE or terms.formula > C_FEE_INCLUSIVE:
        raise ValueError(f"formula {terms.formula} is none of this module's BINANCE, BYBIT, ...")
    if not (0.0 <= terms.taker_fee < 1.0 and 0.0 < rate_max < 1.0):
        raise ValueError(f"taker_fee {terms.taker_fee} or maintenance rate {rate_max} not in 0..1")
    if terms.formula == C_FEE_INCLUSIVE and terms.side > 0 and rate_max + terms.taker_fee >= 1.0:
        raise ValueError(f"maintenance rate {rate_max} and taker_fee {terms.taker_fee} reach 1")
    return 0


cdef double clamped(Terms* terms, double price_usdt) noexcept nogil:
    if terms.quantity == 0.0:
        return 0.0 if terms.side > 0 else INFINITY
    return price_usdt if price_usdt > 0.0 else 0.0


cdef double bracket_price(Terms* terms, double rate, double deduction_usdt) noexcept nogil:
    """Solve one bracket, unclamped."""
    cdef int side = terms.side
    cdef double quantity = terms.quantity
    cdef double entry_usdt = terms.entry_usdt
    if quantity == 0.0:
        return 0.0
    if terms.formula == C_BINANCE:
        return (
            terms.wallet_usdt + terms.extra_usdt + deduction_usdt - side * quantity * entry_usdt
        ) / (quantity * (rate - side))
    if terms.formula == C_BYBIT:
        return (
            entry_usdt * quantity * (1.0 - side / terms.leverage)
            - side * (terms.extra_usdt / (1.0 - side * terms.taker_fee) + deduction_usdt)
        ) / (quantity * (1.0 - side * rate))
    if terms.formula == C_BYBIT_LEGACY:
        return (entry_usdt * (1.0 - side * (1.0 / terms.leverage - rate))
                - side * terms.extra_usdt / quantity)
    return (entry_usdt - side * (terms.wallet_usdt + terms.extra_usdt) / quantity) / (
        1.0 - side * (rate + terms.taker_fee))


cdef double nearest_price(Terms* terms, RiskTiers tiers) noexcept nogil:
    """Solve the bracket at the liquidation notional: the nearest price of all brackets'."""
    cdef Py_ssize_t i
    cdef double price
    cdef double best = -INFINITY if terms.side > 0 else INFINITY
    for i in range(tiers.count):
        price = bracket_price(terms, tiers.rows[i].rate, tiers.rows[i].deduction_usdt)
        best = fmax(best, price) if terms.side > 0 else fmin(best, price)
    return best


cdef double first_price(Terms* terms, RiskTiers tiers, Py_ssize_t entered) noexcept nogil:
    """Solve FEE_INCLUSIVE, whose margin jumps at a boundary: walk against the position."""
    cdef Py_ssize_t i = entered
    cdef double price
    while True:
        price = bracket_price(terms, tiers.rows[i].rate, 0.0)
        if terms.side > 0:
            if i == 0 or terms.quantity * price >= tiers.rows[i].floor_usdt:
                return price
            i -= 1
        else:
            if i > entered:
                price = fmax(price, tiers.rows[i].floor_usdt / terms.quantity)
            if i + 1 == tiers.count or terms.quantity * price < tiers.rows[i].cap_usdt:
                return price
            i += 1


cdef double tiers_price(Terms* terms, RiskTiers tiers) noexcept nogil:
    """Return the clamped price in the formula's bracket, with wallet = entry*q/leverage."""
    cdef Py_ssize_t entered = tiers.index_at(terms.quantity * terms.entry_usdt)
    terms.wallet_usdt = terms.entry_usdt * terms.quantity / terms.leverage
    if terms.formula == C_BYBIT_LEGACY:
        return clamped(terms, bracket_price(terms, tiers.rows[entered].rate, 0.0))
    if terms.formula == C_FEE_INCLUSIVE and terms.quantity > 0.0:
        return clamped(terms, first_price(terms, tiers, entered))
    return clamped(terms, nearest_price(terms, tiers))


cpdef double isolated_price_at(
    int formula, int side, double quantity, double entry_usdt, double leverage,
    double wallet_usdt, double maintenance_rate, double deduction_usdt,
    double taker_fee=0.0, double extra_margin_usdt=0.0
) except? -1:
    """Return the liquidation price of an isolated position in one given bracket.

    BINANCE `(W + cum - side*q*EP) / (q*MMR - side*q)` and FEE_INCLUSIVE
    `(EP - side*W/q) / (1 - side*(MMR + taker))` take the wallet W = wallet_usdt plus
    extra_margin_usdt and ignore leverage. BYBIT, in force since 2025-09-02,
    `(EP*q*(1 - side/L) - side*(X/(1 - side*taker) + MMD)) / (q*(1 - side*MMR))` and BYBIT_LEGACY
    `EP*(1 - side*(1/L - MMR)) - side*X/q` take X = extra_margin_usdt and ignore wallet_usdt.
    BYBIT_LEGACY and FEE_INCLUSIVE know no deduction. Never negative: 0.0 for a long that cannot
    be liquidated (or a short that is at any price), inf for a short of quantity 0.
    Raises ValueError for an unknown formula or side and for numbers out of range.
    """
    cdef Terms terms = Terms(
        formula, side, quantity, entry_usdt, leverage, wallet_usdt, extra_margin_usdt, taker_fee)
    check_terms(&terms, maintenance_rate)
    if not isfinite(deduction_usdt):
        raise ValueError(f"deduction_usdt must be finite, not {deduction_usdt}")
    return clamped(&terms, bracket_price(&terms, maintenance_rate, deduction_usdt))


cpdef double isolated_price(
    int formula, int side, double quantity, double entry_usdt, double leverage,
    RiskTiers tiers, double extra_margin_usdt=0.0, double taker_fee=0.0
) except? -1:
    """Return the liquidation price of an isolated position opened at entry with entry*q/leverage.

    BINANCE and BYBIT: the bracket at the liquidation notional, where mark is when maintenance is
    due, in one pass over the tiers. Two brackets fit only on a boundary, where both give this
    price; `isolated_price_at` in any other bracket is never nearer. BYBIT_LEGACY: the bracket at
    entry. FEE_INCLUSIVE, whose margin jumps at a boundary so that two brackets may fit: the first
    price met on the way from entry. Clamps and errors as `isolated_price_at`; a position under
    water at entry gives a price on the winning side of entry.
    """
    cdef Terms terms = Terms(
        formula, side, quantity, entry_usdt, leverage, 0.0, extra_margin_usdt, taker_fee)
    check_terms(&terms, top_rate(tiers))
    return tiers_price(&terms, tiers)


cpdef double cross_price(
    int side, double quantity, double entry_usdt, double wallet_usdt, double maintenance_rate,
    double deduction_usdt, double maintenance_other_usdt=0.0, double unrealised_other_usdt=0.0
) except? -1:
    """Return the liquidation price of a cross position in one given bracket (Binance USDⓈ-M).

    `(WB - TMM + UPNL + cum - side*q*EP) / (q*MMR - side*q)`, one-way mode: WB the cross wallet,
    TMM and UPNL the maintenance margin and unrealised profit of all other positions, frozen.
    Same clamps and errors as `isolated_price_at`. Bybit publishes only an estimate of this form:
    its account is liquidated when `margin_ratio` reaches 1.
    """
    return isolated_price_at(
        C_BINANCE, side, quantity, entry_usdt, 1.0,
        wallet_usdt - maintenance_other_usdt + unrealised_other_usdt,
        maintenance_rate, deduction_usdt)


cpdef double bankruptcy_price(int side, double entry_usdt, double leverage) except? -1:
    """Return the price at which the initial margin is gone: entry * (1 - side/leverage)."""
    check_position(side, 0.0, entry_usdt, 0.0)
    check_leverage(leverage)
    return fmax(0.0, entry_usdt * (1.0 - side / leverage))


cpdef double pnl_usdt(
    int side, double quantity, double entry_usdt, double exit_usdt
) noexcept nogil:
    """Return the profit of closing a linear position at exit, before fees and funding."""
    return side * quantity * (exit_usdt - entry_usdt)


cpdef double margin_ratio(double maintenance_usdt, double margin_balance_usdt) noexcept nogil:
    """Return maintenance over margin balance (Bybit account MM rate, Binance margin ratio).

    Liquidation is at 1. No balance left: inf, or 0.0 where nothing is to be maintained either.
    """
    if margin_balance_usdt == 0.0 == maintenance_usdt:
        return 0.0
    return INFINITY if margin_balance_usdt <= 0.0 else maintenance_usdt / margin_balance_usdt


cpdef double distance_left(double entry_usdt, double liquidation_usdt, double mark_usdt) except? -1:
    """Return the part of the entry→liquidation distance still ahead of mark, for either side.

    1.0 at entry, 0.0 at liquidation, negative beyond it, above 1.0 in profit; inf where the
    position cannot be liquidated upwards. Raises ValueError if liquidation equals entry.
    """
    if isinf(liquidation_usdt):
        return INFINITY
    if not fabs(entry_usdt - liquidation_usdt) > 0.0:
        raise ValueError(f"no distance from entry {entry_usdt} to liquidation {liquidation_usdt}")
    return (mark_usdt - liquidation_usdt) / (entry_usdt - liquidation_usdt)


cdef int check_costs(
    double buffer_fraction, double exit_fee, double half_spread_usdt, double slippage,
    double k_sigma_usdt
) except -1:
    if not 0.0 <= buffer_fraction < 1.0:
        raise ValueError(f"buffer_fraction must lie in [0, 1), not {buffer_fraction}")
    if not (exit_fee >= 0 and half_spread_usdt >= 0 and slippage >= 0 and k_sigma_usdt >= 0):
        raise ValueError(
            f"costs must not be negative: exit_fee {exit_fee}, half_spread_usdt "
            f"{half_spread_usdt}, slippage {slippage}, k_sigma_usdt {k_sigma_usdt}")
    return 0


cdef double buffer_of(
    double entry_usdt, double liquidation_usdt, double buffer_fraction, double floor_usdt
) noexcept nogil:
    if isinf(liquidation_usdt):
        return floor_usdt
    return fmax(buffer_fraction * fabs(entry_usdt - liquidation_usdt), floor_usdt)


cpdef double buffer_usdt(
    double entry_usdt, double liquidation_usdt, double buffer_fraction, double exit_fee,
    double half_spread_usdt, double slippage, double k_sigma_usdt
) except? -1:
    """Return the room that must lie between stop and liquidation, in price.

    The larger of buffer_fraction * |entry - liquidation| and the price floor
    entry * (exit_fee + slippage) + half_spread_usdt + k_sigma_usdt (k·σ over the reaction time).
    The floor alone for an infinite liquidation price. Raises ValueError for a fraction outside
    [0, 1) or a negative cost.
    """
    check_costs(buffer_fraction, exit_fee, half_spread_usdt, slippage, k_sigma_usdt)
    return buffer_of(
        entry_usdt, liquidation_usdt, buffer_fraction,
        entry_usdt * (exit_fee + slippage) + half_spread_usdt + k_sigma_usdt)


cpdef bint stop_is_safe(
    int side, double stop_usdt, double liquidation_usdt, double buffer_usdt
) noexcept nogil:
    """Tell whether at least the buffer lies between stop and liquidation; False for NaN."""
    return stop_usdt > 0.0 and side * (stop_usdt - liquidation_usdt) >= buffer_usdt


cdef double buffered_notional(Terms* terms, RiskTiers tiers, double threshold) noexcept nogil:
    """Return the notional up to which liquidation stays beyond threshold (a multiple of entry).

    In every formula the maintenance margin per unit of notional never falls as notional grows, so
    liquidation only comes nearer: the feasible notionals are an interval from 0.
    """
    cdef Py_ssize_t i
    cdef double multiple, margin_rate
    cdef double notional = INFINITY
    cdef Tier* row
    if terms.formula == C_BINANCE or terms.formula == C_BYBIT:
        # What is left of the margin at the threshold, per unit of notional there, must cover
        # rate - deduction / notional of every tier.
        margin_rate = 1.0 / terms.leverage + terms.side * (threshold - 1.0)
        if threshold == 0.0:
            return INFINITY if margin_rate >= 0.0 else 0.0
        margin_rate /= threshold
        for i in range(tiers.count):
            row = &tiers.rows[i]
            if row.rate > margin_rate:
                notional = fmin(notional, row.deduction_usdt / (row.rate - margin_rate))
        return notional / threshold
    terms.quantity = 1.0
    terms.wallet_usdt = terms.entry_usdt / terms.leverage
    for i in range(tiers.count):
        row = &tiers.rows[i]
        multiple = bracket_price(terms, row.rate, 0.0) / terms.entry_usdt
        if terms.side * (multiple - threshold) > 0.0:
            if terms.formula == C_BYBIT_LEGACY:
                return row.floor_usdt
            return row.floor_usdt / (fmin(multiple, 1.0) if terms.side > 0 else threshold)
    return notional


cdef bint is_feasible(
    Terms* terms, RiskTiers tiers, double notional_usdt, double stop_usdt,
    double buffer_fraction, double floor_usdt
) noexcept nogil:
    cdef double liquidation_usdt
    if tiers.leverage_at(notional_usdt) < terms.leverage:
        return False
    terms.quantity = notional_usdt / terms.entry_usdt
    liquidation_usdt = tiers_price(terms, tiers)
    return stop_is_safe(
        terms.side, stop_usdt, liquidation_usdt,
        buffer_of(terms.entry_usdt, liquidation_usdt, buffer_fraction, floor_usdt))


cpdef double largest_notional(
    int formula, int side, double entry_usdt, double stop_usdt, double leverage,
    RiskTiers tiers, double buffer_fraction, double exit_fee, double half_spread_usdt,
    double slippage, double k_sigma_usdt, double taker_fee, double limit_usdt
) except? -1:
    """Return the largest notional whose tier allows the leverage and whose stop is safe.

    At most limit_usdt (inf for none); 0.0 if there is none, or if the stop is not on the losing
    side of entry. Safe means `stop_is_safe` with `buffer_usdt` at the `isolated_price` of that
    notional without extra margin. Liquidation only nears as notional grows, so each formula has a
    closed form over its tiers; the result is evaluated again and, where rounding breaks it,
    reduced by 1e-12 of itself or the little more it takes. Raises ValueError as those functions do.
    """
    cdef double floor_usdt, by_fraction, by_floor, threshold, start, notional
    cdef double shrink = BACK_OFF_FIRST
    cdef Terms terms = Terms(formula, side, 0.0, entry_usdt, leverage, 0.0, 0.0, taker_fee)
    check_terms(&terms, top_rate(tiers))
    check_costs(buffer_fraction, exit_fee, half_spread_usdt, slippage, k_sigma_usdt)
    if isnan(limit_usdt) or not isfinite(stop_usdt):
        raise ValueError(f"stop_usdt {stop_usdt} and limit_usdt {limit_usdt} must be numbers")
    if stop_usdt <= 0.0 or side * (entry_usdt - stop_usdt) <= 0.0 or limit_usdt <= 0.0:
        return 0.0
    floor_usdt = entry_usdt * (exit_fee + slippage) + half_spread_usdt + k_sigma_usdt
    by_fraction = (stop_usdt - buffer_fraction * entry_usdt) / (1.0 - buffer_fraction)
    by_floor = stop_usdt - side * floor_usdt
    threshold = fmin(by_fraction, by_floor) if side > 0 else fmax(by_fraction, by_floor)
    threshold /= entry_usdt
    if threshold < 0.0 or isinf(threshold):
        return 0.0
    start = fmin(
        fmin(limit_usdt, tiers.max_notional_usdt(leverage)),
        buffered_notional(&terms, tiers, threshold))
    if isinf(start) or start <= 0.0:
        return fmax(start, 0.0)
    notional = start
    while shrink < BACK_OFF_LAST:
        if is_feasible(&terms, tiers, notional, stop_usdt, buffer_fraction, floor_usdt):
            return notional
        notional = start * (1.0 - shrink)
        shrink *= 4.0
    return 0.0


cpdef int utilisation_action(
    double utilisation, double warn=0.90, double force_close=0.95
) except? -1:
    """Return WARN from `warn` of margin utilisation on, FORCE_CLOSE from `force_close` on.

    Raises ValueError for NaN or thresholds out of order.
    """
    if isnan(utilisation) or not warn <= force_close:
        raise ValueError(f"utilisation {utilisation}, warn {warn}, force_close {force_close}")
    if utilisation >= force_close:
        return C_FORCE_CLOSE
    return C_WARN if utilisation >= warn else C_NONE


cpdef int distance_action(double distance_left, double force_close=0.05) except? -1:
    """Return FORCE_CLOSE when under `force_close` of the entry→liquidation distance is left.

    Raises ValueError for NaN.
    """
    if isnan(distance_left) or isnan(force_close):
        raise ValueError(f"distance_left {distance_left}, force_close {force_close}")
    return C_FORCE_CLOSE if distance_left < force_close else C_NONE
