# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Order-flow imbalance and signed trade imbalance, decayed in time (signal layer 4).

The contribution of one change of the best quote is e_n of Cont, Kukanov and Stoikov, "The Price
Impact of Order Book Events", Journal of Financial Econometrics 12(1), 2014, equation (3). Every sum
loses half its weight in half_life_s. The combination weighs quotes 0.6 and trades 0.4: in that
paper order flow explains price moves better than trade imbalance does.
"""

from libc.math cimport M_LN2, M_SQRT1_2, erf, exp, fabs, isfinite, sqrt
from libc.stdint cimport int64_t

cdef double QUOTE_WEIGHT = 0.6
cdef double TRADE_WEIGHT = 0.4
# Squares of quantities must stay finite in every sum.
cdef double QUANTITY_MAX = 1e18


cdef inline bint is_price(double price) noexcept nogil:
    return isfinite(price) and price > 0.0


cdef inline bint is_quantity(double quantity) noexcept nogil:
    return 0.0 <= quantity <= QUANTITY_MAX


cdef inline double ratio_of(double net, double gross) noexcept nogil:
    """Return net / gross in -1..1, 0 where nothing was seen."""
    cdef double ratio
    if gross <= 0.0:
        return 0.0
    ratio = net / gross
    return 1.0 if ratio > 1.0 else (-1.0 if ratio < -1.0 else ratio)


cdef inline double z_of(double net, double square) noexcept nogil:
    """Return the score of a weighted sum of signs under the hypothesis of fair signs."""
    return net / sqrt(square) if square > 0.0 else 0.0


cdef inline double evidence_of(double count) noexcept nogil:
    """Return how much a decayed number of events counts, 0..1: a stale ratio fades to nothing."""
    return count / (count + 1.0)


cdef class Flow:
    def __cinit__(self, double half_life_s, double gap_max_s, int64_t warmup):
        if not (isfinite(half_life_s) and half_life_s > 0.0):
            raise ValueError(f"half_life_s {half_life_s} is not a positive number")
        if not (isfinite(gap_max_s) and gap_max_s > 0.0):
            raise ValueError(f"gap_max_s {gap_max_s} is not a positive number")
        if warmup < 1:
            raise ValueError(f"warmup {warmup} is less than 1")
        self.half_life_s = half_life_s
        self.gap_max_s = gap_max_s
        self.warmup = warmup
        self._rate = M_LN2 * 1e-9 / half_life_s
        self.clear()

    cdef void clear(self) noexcept nogil:
        self._at_ns = 0
        self._updates = 0
        self._quoted = False
        self._bid = self._bid_quantity = self._ask = self._ask_quantity = 0.0
        self._quote_sum = self._quote_gross = self._quote_square = self._quote_count = 0.0
        self._trade_sum = self._trade_gross = self._trade_square = self._trade_count = 0.0

    def reset(self) -> None:
        """Forget every quote and trade; the layer is then bit-identical to a new one."""
        self.clear()

    cdef void advance(self, int64_t at_ns) noexcept nogil:
        """Let the sums decay up to at_ns, or start anew after a gap."""
        cdef int64_t step_ns = at_ns - self._at_ns
        cdef double decay, decay_square
        if self._updates == 0 or fabs(<double>step_ns) > self.gap_max_s * 1e9:
            self.clear()
            self._at_ns = at_ns
        elif step_ns > 0:
            decay = exp(-self._rate * <double>step_ns)
            decay_square = decay * decay
            self._quote_sum *= decay
            self._quote_gross *= decay
            self._quote_square *= decay_square
            self._quote_count *= decay
            self._trade_sum *= decay
            self._trade_gross *= decay
            self._trade_square *= decay_square
            self._trade_count *= decay
            self._at_ns = at_ns
        self._updates += 1

    def update_quote(
        self,
        int64_t at_ns,
        double bid,
        double bid_quantity,
        double ask,
        double ask_quantity,
    ) -> None:
        """Take in the best quote at at_ns; the first after a start is only the reference.

        A time not after the last one counts as the same instant; a step of more than gap_max_s
        either way restarts the layer. Raise ValueError for a price that is not a positive number
        or a quantity outside 0..1e18.
        """
        if self.step_quote(at_ns, bid, bid_quantity, ask, ask_quantity) < 0:
            raise ValueError(
                f"quote {bid} x {bid_quantity} / {ask} x {ask_quantity} at {at_ns} ns: prices must"
                " be positive and quantities in 0..1e18"
            )

    def update_trade(self, int64_t at_ns, double quantity, int side) -> None:
        """Take in one trade at at_ns: side +1 when the taker bought, -1 when the taker sold.

        Times as in update_quote. Raise ValueError for another side, or a quantity that is not
        positive or above 1e18.
        """
        if self.step_trade(at_ns, quantity, side) < 0:
            raise ValueError(
                f"trade of {quantity}, side {side}, at {at_ns} ns: quantity must be in 0..1e18 and"
                " not 0, side +1 or -1"
            )

    cdef int step_quote(
        self, int64_t at_ns, double bid, double bid_quantity, double ask, double ask_quantity
    ) noexcept nogil:
        """Do update_quote() in C; return -1 and change nothing when the quote is refused."""
        cdef double event = 0.0
        if not (
            is_price(bid) and is_price(ask) and is_quantity(bid_quantity)
            and is_quantity(ask_quantity)
        ):
            return -1
        self.advance(at_ns)
        if self._quoted:
            if bid >= self._bid:
                event += bid_quantity
            if bid <= self._bid:
                event -= self._bid_quantity
            if ask <= self._ask:
                event -= ask_quantity
            if ask >= self._ask:
                event += self._ask_quantity
            self._quote_sum += event
            self._quote_gross += fabs(event)
            self._quote_square += event * event
            self._quote_count += 1.0
        self._quoted = True
        self._bid = bid
        self._bid_quantity = bid_quantity
        self._ask = ask
        self._ask_quantity = ask_quantity
        return 0

    cdef int step_trade(self, int64_t at_ns, double quantity, int side) noexcept nogil:
        """Do update_trade() in C; return -1 and change nothing when the trade is refused."""
        if not (quantity > 0.0 and is_quantity(quantity)) or (side != 1 and side != -1):
            return -1
        self.advance(at_ns)
        self._trade_sum += side * quantity
        self._trade_gross += quantity
        self._trade_square += quantity * quantity
        self._trade_count += 1.0
        return 0

    cdef double combined_now(self) noexcept nogil:
        return (
            QUOTE_WEIGHT * evidence_of(self._quote_count)
            * ratio_of(self._quote_sum, self._quote_gross)
            + TRADE_WEIGHT * evidence_of(self._trade_count)
            * ratio_of(self._trade_sum, self._trade_gross)
        )

    cdef double confidence_now(self) noexcept nogil:
        cdef double z
        if self._updates < self.warmup:
            return 0.0
        z = (
            QUOTE_WEIGHT * evidence_of(self._quote_count)
            * z_of(self._quote_sum, self._quote_square)
            + TRADE_WEIGHT * evidence_of(self._trade_count)
            * z_of(self._trade_sum, self._trade_square)
        ) / sqrt(QUOTE_WEIGHT * QUOTE_WEIGHT + TRADE_WEIGHT * TRADE_WEIGHT)
        return erf(fabs(z) * M_SQRT1_2)

    @property
    def ofi(self) -> float:
        """Return the decayed sum of e_n in base quantity, positive when buyers press."""
        return self._quote_sum

    @property
    def ofi_normalised(self) -> float:
        """Return the decayed sum of e_n over that of |e_n|, in -1..1; 0.0 where nothing moved."""
        return ratio_of(self._quote_sum, self._quote_gross)

    @property
    def trade_imbalance(self) -> float:
        """Return decayed taker buys minus sells over their sum, in -1..1; 0.0 without trades."""
        return ratio_of(self._trade_sum, self._trade_gross)

    @property
    def value(self) -> float:
        """Return the combination, in -1..1.

        0.6 k(quotes) ofi_normalised + 0.4 k(trades) trade_imbalance, where k(n) = n / (n + 1) of
        the decayed number of events, so that a ratio nobody renewed fades.
        """
        return self.combined_now()

    @property
    def confidence(self) -> float:
        """Return erf(|z| / sqrt 2), in 0..1; 0.0 until ready.

        z joins the two imbalances' sign-test scores sum(x) / sqrt(sum(x^2)), each times its k, with
        the weights of value (Stouffer). Events in a row are not independent, so it ranks flows
        rather than giving their odds.
        """
        return self.confidence_now()

    @property
    def ready(self) -> bool:
        """Return whether at least warmup updates came since the last start."""
        return self._updates >= self.warmup

    @property
    def updates(self) -> int:
        """Return how many quotes and trades came since the last start."""
        return self._updates
